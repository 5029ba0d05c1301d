"""`holdfast lock`: named locks for scripts and people."""

import os
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.amounts import Amount
from holdfast.cli.groups import Group
from holdfast.cli.output import ago, note, say, say_json
from holdfast.errors import HoldfastError, ValidationFailed

if TYPE_CHECKING:
    from holdfast.locks import Holder, Locks, Owner
    from holdfast.project import Project

FREE = 1  # exit code of `check`, as for a test that fails

_TIMEOUT = click.option(
    "--timeout",
    type=Amount(),
    metavar="S",
    help="Seconds to wait; HOLDFAST_LOCK_TIMEOUT, else 30, by default. 0 tries once.",
)
_SHARED = click.option("--shared", is_flag=True, help="Share the lock with others that share it.")
_OWNER = click.option(
    "--owner", type=int, metavar="PID", help="The process that the lease belongs to; by default the calling shell."
)


@click.group(cls=Group)
def lock() -> None:
    """Take, release and list named locks.

    A name is 1 to 64 letters, digits, dots, dashes and underscores; case makes no difference. Locks are taken in this
    order, and taking one before a lock that is held already is refused: state 1, config 2, signals 3, backup 4,
    temp 5, user and all other names 10.
    """


@lock.command()
@click.argument("name")
@_TIMEOUT
@_SHARED
@click.option("--meta", "text", metavar="JSON", help="A JSON object for others to see, at most 4 KiB.")
@click.option("--ttl", type=Amount(above=True), metavar="S", help="Seconds until it runs out.")
@_OWNER
def acquire(  # noqa: PLR0913, PLR0917  the options
    name: str, timeout: "float | None", shared: bool, text: "str | None", ttl: "float | None", owner: "int | None"
) -> None:
    """Take the lock NAME as a lease, which stays when this command has ended; or renew it.

    The lease belongs to the calling shell, or to the process that --owner names: only the owner renews it (by the
    same command) or releases it, and it ends with the owner. An agent that starts a new shell for every command names
    a process that lives on. Exit code 2 if it is not free in time; the message names who holds it.

    Examples:
      holdfast lock acquire deploy --meta '{"purpose": "release 2"}'
      holdfast lock acquire docs --shared --ttl 600 --owner "$PPID"
    """
    project = _project()
    taken, renewed = _locks(project).acquire(
        name, _owner(owner), shared=shared, timeout=timeout, meta=_meta(text), ttl=ttl
    )
    _write_down(project, f"lock acquire {taken.name}")
    say(f"lock {taken.name}: {'renewed' if renewed else 'acquired'}, {taken.describe()}")


@lock.command()
@click.argument("name")
@_OWNER
def release(name: str, owner: "int | None") -> None:
    """Give the lock NAME back. Exit code 6 if another process is its owner, 1 if nobody holds it.

    Examples:
      holdfast lock release deploy
    """
    project = _project()
    given = _locks(project).release(name, _owner(owner))
    _write_down(project, f"lock release {given.name}")
    say(f"lock {given.name}: released{', though it had run out' if given.status == 'stale' else ''}")


@lock.command()
@click.argument("name")
def check(name: str) -> None:
    """Tell who holds the lock NAME. Exit code 0 if somebody does, 1 if it is free.

    Examples:
      holdfast lock check deploy && echo "somebody deploys"
    """
    found = _locks(_project()).holders(name)
    held = [holder for holder in found if holder.status in ("held", "damaged")]
    for holder in found:
        prefix = "" if holder.status == "waiting" else f"{holder.status}: "
        say(f"lock {holder.name}: {prefix}{holder.describe()}")
    if not held:
        if not found:
            say(f"lock {name}: free")
        raise click.exceptions.Exit(FREE)


@lock.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of the records, with the keys above.")
def list_(as_json: bool) -> None:
    """List who holds and who waits for which lock, for each in the order in which they came.

    Keys of --json; more may come, none goes or changes its meaning. Times are Unix times in seconds.
      name       the lock
      id         the record's own
      kind       lease, or process for one that ends with its holder
      shared     whether others may share it
      status     held, waiting, stale or damaged
      pid        the owner of a lease, the process that holds, or the command under `holdfast lock run`
      command    its command line, secrets masked, or ""
      since      when it was taken, or the waiting began
      expires    when a lease runs out, or null
      meta       what --meta said
      host       the machine

    Examples:
      holdfast lock list
      holdfast lock list --json | jq '.[] | select(.status == "held")'
    """
    found = sorted(_locks(_project()).holders(), key=lambda holder: holder.name)
    if as_json:
        say_json([holder.shown() for holder in found])
        return
    width = max((len(holder.name) for holder in found), default=0)
    for holder in found:
        say(f"{holder.name:{width}}  {holder.status:7}  {_line(holder)}")
    if not found:
        say("no locks")


@lock.command()
def clean() -> None:
    """Remove leases whose owner is gone or that have run out, and what killed processes left.

    Nothing else is removed. Whoever takes a lock removes what is stale of it; this is for all of them.

    Examples:
      holdfast lock clean
    """
    project = _project()
    removed = _locks(project).clean()
    for holder in removed:
        _write_down(project, f"lock clean {holder.name}")
        say(f"lock {holder.name}: removed, {holder.describe()}")
    if not removed:
        say("nothing is stale")


@lock.command()
@click.argument("name")
@_TIMEOUT
@_SHARED
@click.argument("words", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, timeout: "float | None", shared: bool, words: "tuple[str, ...]") -> None:
    """Run a command while the lock NAME is held, and end with its exit code.

    The kernel holds the lock for as long as the command runs, whatever becomes of holdfast itself; signals are passed
    on to the command. Exit code 2 if the lock is not free in time, 5 if there is no such program, 128 and the signal's
    number if a signal ended the command.

    Examples:
      holdfast lock run deploy -- ./deploy.sh --now
      holdfast lock run docs --shared --timeout 5 -- make html
    """
    from holdfast.events import clean as one_line
    from holdfast.locks import child, owner
    from holdfast.masking import mask

    command = one_line(mask(" ".join(words)), owner.COMMAND)
    project = _project()
    with _locks(project).hold(name, shared=shared, timeout=timeout, command=command, session=_owner(None)) as held:
        _write_down(project, f"lock run {name}")

        def started(pid: int) -> None:
            try:
                held.tell_child(pid)
            except HoldfastError as error:  # the command runs under the lock all the same
                note(f"holdfast: {error}")

        code = child.run(words, held.environment(), [held.fd] if held.fd >= 0 else [], started)
    raise click.exceptions.Exit(code)


def _project() -> "Project":
    from holdfast.project import Project

    return Project.find()


def _locks(project: "Project") -> "Locks":
    from holdfast.locks import Locks

    return Locks(project.folder)


def _write_down(project: "Project", what: str) -> None:
    """Add what was done to the audit trail."""
    from holdfast.project import now
    from holdfast.state import audit

    audit.append(project.store.trail, {"time": now(), "host": "command", "decision": what})


def _owner(pid: "int | None") -> "Owner":
    from holdfast.locks import owner

    return owner.of(os.getppid() if pid is None else pid)


def _meta(text: "str | None") -> "dict[str, Any] | None":
    from holdfast.lean import loads

    if text is None:
        return None
    try:
        found = loads(text)
    except ValueError as error:
        raise ValidationFailed(f"--meta is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValidationFailed('--meta must be a JSON object, like {"purpose": "release 2"}')
    return found


def _line(holder: "Holder") -> str:
    """The holder with how long ago it came, for people."""
    return f"{holder.describe()} ({ago(holder.since)})" if holder.status != "damaged" else holder.describe()
