"""`holdfast recovery`: checkpoints, degraded mode, and what is done about failures."""

import json
import os
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.access import Done, Unchanged, alter, current
from holdfast.cli.amounts import Amount
from holdfast.cli.groups import Group
from holdfast.cli.output import ago, note, say, say_json
from holdfast.errors import HoldfastError, ValidationFailed, from_os
from holdfast.events import clean

if TYPE_CHECKING:
    from holdfast.project import Project
    from holdfast.state.document import State

LEFT = "recovered: degraded mode left"  # in the audit trail
RECENT = 5  # recoveries that are shown
TAIL = 256 << 10  # bytes of the audit trail that are searched for them
FEATURES = 50


@click.group(cls=Group)
def recovery() -> None:
    """Checkpoints, degraded mode, and trying again."""


@recovery.command()
@click.argument("operation")
@click.option("--phase", metavar="P", help="The phase to note with it; else the state's own.")
@click.option("--meta", metavar="JSON", help="A JSON object that is kept with it, up to 16 KiB.")
def checkpoint(operation: str, phase: str | None, meta: str | None) -> None:
    """Keep a copy of the state before OPERATION, and print its id.

    The newest 50 checkpoints are kept, in .holdfast/checkpoints/.

    Examples:
      holdfast recovery checkpoint deployment
      holdfast recovery checkpoint deployment --phase ship --meta '{"version": "1.2.3"}'
    """
    from holdfast.project import Project

    metadata = _metadata(meta)
    project = Project.find()
    current(project)  # a damaged state is whole again before it is kept
    say(project.checkpoint(operation, phase=phase, metadata=metadata))


def _metadata(text: str | None) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    if text is None:
        return {}
    try:
        found = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValidationFailed(f"--meta is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValidationFailed('--meta must be a JSON object, as in \'{"version": "1.2.3"}\'')
    return found


@recovery.command()
@click.argument("name", metavar="ID")
def restore(name: str) -> None:
    """Go back to the checkpoint ID; `latest` stands for the newest.

    The state as it is now is backed up before, and kept as a checkpoint, whose id is printed: restoring that
    undoes it. The revision goes on, and events that were applied are not applied again.

    Examples:
      holdfast recovery restore checkpoint-20261120-103000-deployment
      holdfast recovery restore latest
    """
    from holdfast import moments
    from holdfast.project import Project, now
    from holdfast.state import audit, checkpoints

    project = Project.find()
    current(project)  # a damaged state is whole again before it is backed up
    try:
        checkpoint = checkpoints.load(project.store.folder, name)
    except OSError as error:
        raise from_os(error, checkpoints.path_of(project.store.folder, name)) from error

    def change(state: "State") -> "tuple[str, State]":
        undo = checkpoints.restore(project.store, state, checkpoint)
        moments.align(state, now(), project.index)
        return undo, state

    undo, state = project.update(change, keep="restore")
    line = {"time": now(), "host": "command", "decision": "recovered", "revision": state["revision"]}
    audit.append(project.store.trail, {**line, "what": f"{checkpoint.id} was restored; {undo} undoes it"})
    say(f"{checkpoint.id} restored, made {ago(checkpoint.at)}; phase {clean(state['phase'] or 'none', 100)}")
    say(f"undo: holdfast recovery restore {undo}")


@recovery.command("list")
@click.option("--json", "as_json", is_flag=True, help="[{id, at, operation, phase, metadata, revision, size, fault}]")
def list_(as_json: bool) -> None:
    """List the checkpoints, the newest first.

    Examples:
      holdfast recovery list
      holdfast recovery list --json | jq -r '.[0].id'
    """
    from holdfast.project import Project
    from holdfast.state import checkpoints

    shown = [_facts(found) for found in checkpoints.found(Project.find().store.folder)]
    if as_json:
        say_json(shown)
        return
    width = max((len(found["id"]) for found in shown), default=0)
    for found in shown:
        text = found["fault"] or f"phase {found['phase'] or 'none'}, revision {found['revision']}"
        say(f"{clean(found['id'], 200):{width}}  {ago(found['at']):12}  {clean(text, 300)}")
    if not shown:
        say("no checkpoints")


def _facts(found: Any) -> dict[str, Any]:
    kept = {key: getattr(found, key) for key in ("id", "at", "operation", "phase", "metadata")}
    return {**kept, "revision": found.state.get("revision"), "size": found.size, "fault": found.fault or None}


@recovery.command()
@click.option(
    "--days",
    metavar="N",
    type=Amount(),
    default=30,
    show_default=True,
    help="Those older than this go; 0 takes all.",
)
def cleanup(days: float) -> None:
    """Remove old checkpoints, and what killed writers left.

    Examples:
      holdfast recovery cleanup --days 7
    """
    from holdfast.project import Project, now
    from holdfast.state import audit, checkpoints, remedies

    project = Project.find()
    try:
        gone = checkpoints.cleanup(project.store.folder, days)
    except OSError as error:
        raise from_os(error, project.store.folder) from error
    left = remedies.sweep(project)
    what = f"{_plural(len(gone), 'checkpoint')} removed, {len(checkpoints.names(project.store.folder))} kept"
    audit.append(project.store.trail, {"time": now(), "host": "command", "decision": f"recovery cleanup: {what}"})
    say(what + (f"; {_plural(left, 'temporary file')} removed" if left else ""))


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


@recovery.command()
@click.argument("reason")
@click.argument("more", nargs=-1, metavar="")
@click.option("--disable", multiple=True, metavar="FEATURE…", help="What is off: one or more names. May be repeated.")
def degrade(reason: str, more: tuple[str, ...], disable: tuple[str, ...]) -> None:
    """Go on in degraded mode for REASON, until it is left by hand.

    `holdfast recovery recover-mode` leaves it. Features are names that your own scripts and agents know. Holdfast
    itself knows `backups`: no dated copies of the state are made while that is off.

    Examples:
      holdfast recovery degrade database-unavailable --disable real-time-updates notifications
    """
    from holdfast.project import Project, now
    from holdfast.state import degraded

    if more and not disable:
        raise click.UsageError(
            f"unexpected words after REASON: {' '.join(more)}: quote it, or name features after --disable"
        )
    reason = clean(reason, 300).strip()
    if not reason:
        raise ValidationFailed("the reason is empty: say why")
    names = [clean(word, 80).strip() for given in (*disable, *more) for word in given.split(",")]
    features = list(dict.fromkeys(filter(None, names)))
    if len(features) > FEATURES:
        raise ValidationFailed(f"{len(features)} features: name {FEATURES} at most")
    off = f"; off: {', '.join(features)}" if features else ""

    def change(state: "State") -> Done:
        degraded.switch_on(state, reason, features, now())
        return Done("recovery degrade", f"degraded mode: {reason}{off}")

    alter(Project.find(), change)


@recovery.command("recover-mode")
def recover_mode() -> None:
    """Leave degraded mode.

    Examples:
      holdfast recovery recover-mode
    """
    from holdfast.project import Project
    from holdfast.state import degraded

    project = Project.find()
    was = current(project)["degraded_mode"]  # the update itself may end it: see `degraded.fold`

    def change(state: "State") -> Done:
        if not was["enabled"] and not state["degraded_mode"]["enabled"]:
            raise Unchanged("not in degraded mode")
        if state["degraded_mode"]["enabled"]:
            state["stats"]["recoveries"] += 1
        degraded.switch_off(state)
        return Done(LEFT, f"degraded mode left: {clean(was['reason'], 300)}")

    alter(project, change)


@recovery.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the keys above.")
def status(as_json: bool) -> None:
    """Show what went wrong, and what would be done about each way to fail.

    Keys of --json:
      degraded_mode     {enabled, reason, timestamp, disabled_features}
      failed_in_a_row   updates that failed since the last that succeeded
      spool             events that wait to be written
      reserve           {there, bytes, free}: free is what the disk has left, in bytes
      checkpoints       {count, newest}
      recoveries        how many there were, or null
      recent            [{time, code, what}]: the last of them, as the audit trail tells them
      error             why the state cannot be read, or null
      remedies          [{code, title, what, automatic, now}]: now is what would be done now, or ""

    Examples:
      holdfast recovery status
    """
    from holdfast.project import Project

    facts = gather(Project.find())
    if as_json:
        say_json(facts)
        return
    for label, text in overview(facts):
        say(f"{label:12}{text}")


def gather(project: "Project") -> dict[str, Any]:
    """What there is to say, in the keys that `--json` prints."""
    from holdfast.state import checkpoints, degraded, document, remedies, reserve, spool

    waiting = spool.waiting(project.store.folder)
    error = None
    try:
        state = project.read()
    except HoldfastError as failure:  # the mode may be due to just that
        error = str(failure)
        state = document.new(0)
        degraded.show(state, waiting)
    names = checkpoints.names(project.store.folder)
    return {
        "degraded_mode": state["degraded_mode"],
        "failed_in_a_row": degraded.in_a_row(project.store.folder),
        "spool": sum(path.endswith(spool.RECORD) for path in waiting),
        "reserve": {
            "there": reserve.there(project.store.folder),
            "bytes": reserve.SIZE,
            "free": reserve.free(project.store.folder),
        },
        "checkpoints": {"count": len(names), "newest": names[-1] if names else None},
        "recoveries": None if error else state["stats"]["recoveries"],
        "recent": recent(project.store.trail),
        "error": error,
        "remedies": [
            {
                "code": remedy.code,
                "title": remedy.title,
                "what": remedy.what,
                "automatic": remedy.automatic,
                "now": remedy.plan(project),
            }
            for remedy in remedies.REMEDIES
        ],
    }


def recent(trail: str) -> list[dict[str, Any]]:
    """The last recoveries that the audit trail tells of, newest last."""
    from holdfast.state.trail import moment, newest

    told = []
    for found in newest(trail, TAIL, b'"decision":"recovered'):
        what = str(found.get("what") or found.get("error") or found.get("decision"))
        told.append({"time": moment(found), "code": found.get("code"), "what": what})
    return told[-RECENT:]


def overview(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts in words."""
    rows = []
    mode = facts["degraded_mode"]
    if facts["error"]:
        rows.append(("State", clean(facts["error"], 600)))
    if mode["enabled"]:
        off = f"; off: {', '.join(mode['disabled_features'])}" if mode["disabled_features"] else ""
        rows.append(("Degraded", clean(f"{mode['reason']}, since {ago(mode['timestamp'] or 0)}{off}", 600)))
    else:
        rows.append(("Degraded", "no"))
    reserve = facts["reserve"]
    there = f"{reserve['bytes'] >> 10} KiB" if reserve["there"] else "given up, or not made yet"
    rows += [
        ("Failures", f"{facts['failed_in_a_row']} updates in a row; {_plural(facts['spool'], 'event')} in the spool"),
        ("Reserve", f"{there}; {reserve['free'] >> 10} KiB free on the disk"),
        ("Checkpoints", f"{facts['checkpoints']['count']}, newest {facts['checkpoints']['newest'] or 'none'}"),
    ]
    if facts["recoveries"] is not None:
        rows.append(("Recoveries", str(facts["recoveries"])))
    rows += [("", f"{ago(told['time'])}: {clean(told['what'], 300)}") for told in facts["recent"]]
    for remedy in facts["remedies"]:
        how = "by itself" if remedy["automatic"] else "by hand"
        now = f"; now: {remedy['now']}" if remedy["now"] else ""
        rows.append((f"Exit {remedy['code']}", f"{remedy['title']}: {remedy['what']} ({how}){now}"))
    return rows


@recovery.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--attempts",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="How often it is run at most.",
)
@click.option(
    "--delay",
    metavar="S",
    type=Amount(),
    default=1.0,
    show_default=True,
    help="Seconds before the second run; they double from run to run, and vary by half of it.",
)
@click.option(
    "--max-delay",
    metavar="S",
    type=Amount(),
    default=60.0,
    show_default=True,
    help="Seconds that no delay exceeds.",
)
@click.option(
    "--on", "codes", metavar="CODES", help="Exit codes that are worth another run, as in 2,9; else all but 0."
)
@click.option(
    "--timeout",
    "limit",
    metavar="S",
    type=Amount(above=True),
    help="Seconds after which a run is ended, with exit code 9; without it a run may last for ever.",
)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def retry(  # noqa: PLR0913, PLR0917  one argument an option
    attempts: int, delay: float, max_delay: float, codes: str | None, limit: float | None, words: tuple[str, ...]
) -> None:
    """Run COMMAND again until it succeeds; the exit code is that of its last run.

    It is run as it is written, without a shell. SIGINT and SIGTERM are passed on to it, and it is not run again
    after them.

    Examples:
      holdfast recovery retry -- npm ci
      holdfast recovery retry --attempts 5 --delay 2 --max-delay 30 --on 2,9 -- holdfast state read
      holdfast recovery retry --timeout 60 -- ./fetch.sh
    """
    from holdfast import retrying

    code, runs = retrying.run(
        words,
        attempts=attempts,
        delay=delay,
        most=max_delay,
        codes=_codes(codes),
        limit=limit,
        tell=lambda line: note(f"holdfast: {line}"),
    )
    if code == 0 and runs > 1:
        _tell_of_success(os.path.basename(words[0]), runs)
    click.get_current_context().exit(code)


def _codes(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset()
    try:
        found = frozenset(int(word) for word in text.split(","))
    except ValueError:
        found = frozenset()
    if not found or not all(0 < code < 256 for code in found):  # noqa: PLR2004  what a process can end with
        raise click.UsageError(f"--on {text}: exit codes from 1 to 255, with commas between them")
    return found


def _tell_of_success(program: str, runs: int) -> None:
    """Write down in the project, if there is one, that trying again helped."""
    from holdfast.hook import locate
    from holdfast.project import Project
    from holdfast.state import remedies

    if locate("", os.getcwd()):
        try:
            project = Project.find()
            remedies.count(project, 9, f"{clean(program, 80)} succeeded at run {runs}")
            project.store.fold_late()
        except (HoldfastError, OSError) as error:  # the command did succeed
            note(f"holdfast: this could not be written down: {error}")
