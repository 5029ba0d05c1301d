"""`holdfast state backup`, `backups` and `recover`: copies of the state, made, listed and put back."""

import os
import time
from typing import TYPE_CHECKING

import click

from holdfast.cli.access import Done, alter, current
from holdfast.cli.groups import Command
from holdfast.cli.output import ago, say, say_json
from holdfast.errors import HoldfastError, from_os

if TYPE_CHECKING:
    from holdfast.project import Project
    from holdfast.state.document import State
    from holdfast.state.restoring import Copy


@click.command(cls=Command)
@click.argument("reason", default="manual")
def backup(reason: str) -> None:
    """Keep a copy of the state, and print its path.

    REASON goes into its name, beside the UTC time and the revision. How many copies are kept, and for how long, is
    the workflow's `backups: {keep, max_age_days}`; without it the newest 20.

    Examples:
      holdfast state backup
      holdfast state backup before-deployment
    """
    from holdfast.project import Project, now
    from holdfast.state import audit, restoring

    project = Project.find()
    found = current(project)
    if not found["revision"]:
        raise HoldfastError(f"{project.store.path}: there is no state yet: `holdfast state init` makes one")
    word = restoring.word(reason)
    path = _written(project, found, word)
    record = {"time": now(), "host": "command", "decision": f"state backup {word}", "revision": found["revision"]}
    audit.append(project.store.trail, record)
    say(path)


def keep(project: "Project", found: "State", reason: str) -> str:
    """Back up what an update is about to change, whose revision it has raised already; the copy's path.

    Raises:
        HoldfastError: it cannot be written.
    """
    return _written(project, {**found, "revision": found["revision"] - 1}, reason)


def _written(project: "Project", found: "State", reason: str) -> str:
    from holdfast.project import now

    try:
        return project.store.back_up(found, now(), reason)
    except OSError as error:
        raise from_os(error, os.path.join(project.store.folder, "backups")) from None


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="A JSON list of {name, file, at, revision, reason, size, valid}.")
def backups(as_json: bool) -> None:
    """List the copies of the state, the newest first.

    The one whose reason is `previous` is the revision before the present one, and `older` the one before that.

    Examples:
      holdfast state backups
      holdfast state backups --json | jq -r '.[0].file'
    """
    from holdfast.project import Project
    from holdfast.state import restoring

    found = restoring.listed(Project.find().store.folder)
    if as_json:
        say_json([_facts(copy) for copy in found])
        return
    for copy in found:
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(copy.at))
        flaw = "" if copy.state else "  damaged"
        say(f"{copy.name:52}  {at}  revision {copy.revision}, {copy.size} bytes, {ago(copy.at)}{flaw}")
    if not found:
        say("there is no backup yet")


def _facts(copy: "Copy") -> "dict[str, object]":
    kept = {key: getattr(copy, key) for key in ("name", "at", "revision", "reason", "size")}
    return {**kept, "file": copy.path, "valid": copy.state is not None}


@click.command(cls=Command)
@click.argument("pattern", default="")
@click.option("--force", is_flag=True, help="Also when the present state is valid.")
def recover(pattern: str, force: bool) -> None:
    """Put back the newest valid copy, or the newest one whose name has PATTERN in it or fits it as a glob.

    A valid state is not replaced without --force. With it, and without PATTERN, the newest copy of another revision
    is put back. What was there is kept: a valid state as a backup, a damaged one as state.json.corrupt-<UTC time>.

    Exit code 1 if the state is valid or no copy is named like that, 3 if no copy is valid.

    Examples:
      holdfast state recover
      holdfast state recover before-deployment --force
      holdfast state recover 'state-20261120T*' --force
    """
    from holdfast.project import Project, now
    from holdfast.state import restoring

    project = Project.find()
    path = project.store.path
    present = restoring.present_revision(project.store)
    if present is not None and not force:
        raise HoldfastError(
            f"{path}: the state is valid (revision {present}); --force puts a copy in its place, after backing it up"
        )
    chosen = restoring.choose(project.store.folder, pattern, present)
    if present is None and not pattern:  # what any update does with a damaged state
        found = current(project) if os.path.exists(path) else project.recovered()
        say(f"{path}: recovered from {chosen.name}, now revision {found['revision']}")
        return

    def change(found: "State") -> Done:
        kept = os.path.basename(keep(project, found, "before-recover"))
        restoring.put_back(found, chosen.state or {}, chosen.name, now())
        line = f"{path}: put back {chosen.name}, now revision {found['revision']}; what it was is kept as {kept}"
        return Done(f"state recover {chosen.name}", line)

    alter(project, change)
