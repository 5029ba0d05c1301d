"""`holdfast status`: where the work stands, for people and for scripts."""

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from holdfast.cli import phase, signals, task
from holdfast.cli.access import shown
from holdfast.cli.groups import Command
from holdfast.cli.output import ago, say, say_json
from holdfast.events import clean

if TYPE_CHECKING:
    from holdfast.project import Project
    from holdfast.state.document import State

TASKS = 12  # open ones that are named
SIGNALS = 12
ERRORS = 5
TRAIL = 1 << 20  # bytes of the audit trail's end
OF_STATE = (
    "state_file",
    "schema_version",
    "revision",
    "size",
    "phase",
    "mode",
    "degraded_mode",
    "last_backup",
    "backups",
    "spool",
    "lock",
    "errors",
    "updated_at",
    "updated_by",
)


class Row(NamedTuple):
    """One line of the overview, or several; style is rich's."""

    label: str
    text: str
    style: str = ""


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the keys above.")
def status(as_json: bool) -> None:
    """Show where the work stands.

    Keys of --json; more may come, none goes or changes its meaning. Times are Unix times in seconds.
      project              the project's folder
      workflow             its name, or ""
      workflow_error       what is wrong with workflow.yaml, or null; the last good one is in force
      phase                null, or {id, title, number, of, guidance, needs: [signal], has: [signal]}
      phases               [{id, title, status: complete|current|open}]
      finished             whether all phases are complete
      mode                 monitoring, paused or stopped
      tasks                {open: [{id, title, status, source, updated_at}], done: how many}
      signals              {NAME: time}
      session              null, or {id, host, path, source, started_at, last_seen, ended_at}
      last_failure         null, or {command, exit_code, at, host, session} of one that still stands
      notices              [{at, text}] that need the user's eye
      degraded_mode        {enabled, reason, timestamp, disabled_features}
      revision, stats      as in `holdfast state read`
      updated_at, updated_by    of the last save
      spool                events that wait to be written
      last_backup          null, or {file, at}
      backups              how many copies there are
      state_file, schema_version, size    of the state document; size in bytes, 0 before the first save
      lock                 null, or {pid, command} of who holds the state's lock; Linux alone tells
      errors               {count, since, last: [the newest 5]} in the audit trail, since the session began

    Examples:
      holdfast status
      holdfast status --json | jq -r .phase.id
    """
    from holdfast.project import Project

    project = Project.find()
    facts = gather(project, shown(project))
    if as_json:
        say_json(facts)
    else:
        show(overview(facts))


def gather(project: "Project", state: "State") -> dict[str, Any]:
    """What there is to say of a state, in the keys that `--json` prints."""
    from holdfast.state import backups, holder, spool

    index = project.index
    return {
        "project": project.root,
        "workflow": index.workflow["name"],
        "workflow_error": index.header["error"] or None,
        "phase": _phase(project, state),
        "phases": phase.standing(state, index),
        "finished": state["progress"]["finished"],
        "mode": state["mode"],
        "tasks": {"open": task.listed(state), "done": len(state["completed_tasks"])},
        "signals": signals.newest(state),
        "session": _session(state),
        "last_failure": _failure(state),
        "notices": [{"at": told["at"], "text": told["text"]} for told in state["notices"] if not told["told"]],
        "degraded_mode": state["degraded_mode"],
        "revision": state["revision"],
        "stats": state["stats"],
        "updated_at": state["metadata"]["last_modified"],
        "updated_by": state["metadata"]["last_writer"],
        "spool": sum(path.endswith(spool.RECORD) for path in spool.waiting(project.store.folder)),
        "last_backup": _backup(project.store.folder),
        "backups": len(backups.dated(project.store.folder)),
        "state_file": project.store.path,
        "schema_version": state["schema_version"],
        "size": _size(project.store.path),
        "lock": holder.find(project.store.lock),
        "errors": _errors(project.store.trail, (state["current_session"] or {"started_at": 0})["started_at"]),
    }


def _phase(project: "Project", state: "State") -> dict[str, Any] | None:
    from holdfast import moments

    found = project.index.phase(state["phase"])
    if found is None:
        return None
    place, entry = found
    needs, has = moments.outstanding(state, entry)
    return {
        "id": entry["id"],
        "title": entry["title"],
        "number": place + 1,
        "of": len(project.index.workflow["phases"]),
        "guidance": entry["guidance"],
        "needs": needs,
        "has": has,
    }


def _session(state: "State") -> dict[str, Any] | None:
    session = state["current_session"]
    if session is None:
        return None
    seen = state["sessions"].get(session["id"]) or {}
    kept = {key: session[key] for key in ("id", "host", "path", "source", "started_at")}
    return {**kept, "last_seen": seen.get("last_seen", session["started_at"]), "ended_at": seen.get("ended_at")}


def _failure(state: "State") -> dict[str, Any] | None:
    found = []
    for name, entry in state["sessions"].items():
        if entry["last_failure"]:
            failure = {key: entry["last_failure"][key] for key in ("command", "exit_code", "at")}
            found.append({**failure, "host": entry["host"], "session": name})
    return max(found, key=lambda failure: failure["at"], default=None)


def _backup(folder: str) -> dict[str, Any] | None:
    """The newest dated copy, by its name and its file's time."""
    from holdfast.state import backups

    for name in reversed(backups.dated(folder)):
        path = os.path.join(folder, backups.FOLDER, name)
        try:
            return {"file": path, "at": os.stat(path).st_mtime}
        except FileNotFoundError:  # pruned a moment ago
            continue
    return None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _errors(trail: str, since: float) -> dict[str, Any]:
    """What went wrong since a Unix time, by the newest part of the audit trail."""
    from holdfast.state.trail import moment, newest

    found = [
        {"time": moment(record), "decision": record.get("decision"), "error": record["error"]}
        for record in newest(trail, TRAIL)
        if record.get("error") and moment(record) >= since
    ]
    return {"count": len(found), "since": since, "last": found[-ERRORS:]}


def overview(facts: dict[str, Any]) -> list[Row]:
    """The facts in words, what matters most first."""
    rows = [Row("Workflow", clean(facts["workflow"], 200) or "none: `holdfast workflow init` makes one")]
    if facts["workflow_error"]:
        rows.append(Row("", f"cannot be used as it stands: {clean(facts['workflow_error'], 400)}", "red"))
    rows += _of_phase(facts)
    mode = facts["mode"]
    rows.append(Row("Mode", mode, "" if mode == "monitoring" else "yellow"))
    rows += [Row("Attention", clean(told["text"], 600), "yellow") for told in facts["notices"]]
    degraded = facts["degraded_mode"]
    if degraded["enabled"]:
        off = f"; switched off: {', '.join(degraded['disabled_features'])}" if degraded["disabled_features"] else ""
        rows.append(Row("Degraded", clean(f"{degraded['reason']}{off}", 600), "yellow"))
    failure = facts["last_failure"]
    if failure:
        code = "" if failure["exit_code"] is None else f" with exit code {failure['exit_code']}"
        text = f"`{clean(failure['command'], 200)}` failed{code} {ago(failure['at'])} in {clean(failure['host'], 40)}"
        rows.append(Row("Failure", text, "red"))
    rows.append(Row("Tasks", _of_tasks(facts["tasks"])))
    names = [f"{clean(name, 80)} ({ago(at)})" for name, at in facts["signals"].items()]
    more = f", and {len(names) - SIGNALS} more" if len(names) > SIGNALS else ""
    rows.append(Row("Signals", ", ".join(names[:SIGNALS]) + more if names else "none"))
    rows.append(Row("Session", _of_session(facts["session"])))
    return rows + _of_state(facts)


def _of_phase(facts: dict[str, Any]) -> list[Row]:
    here = facts["phase"]
    if here is None:
        return [Row("Phase", "none")]
    title = clean(here["title"], 200)
    named = here["id"] if title == here["id"] else f"{here['id']}: {title}"
    rows = [Row("Phase", f"{here['number']} of {here['of']}, {named}")]
    if facts["finished"]:
        return [*rows, Row("", "all phases are complete", "green")]
    has = f" (already there: {', '.join(here['has'])})" if here["has"] else ""
    needs = ", ".join(here["needs"]) or "no signal ends it: `holdfast phase set` goes on"
    rows.append(Row("Needs", needs + has))
    guidance = clean(here["guidance"], 1000)
    return [*rows, Row("Guidance", guidance)] if guidance else rows


def _of_tasks(tasks: dict[str, Any]) -> str:
    lines = [f"{len(tasks['open'])} open, {tasks['done']} done"]
    for entry in tasks["open"][:TASKS]:
        begun = " (begun)" if entry["status"] == "in_progress" else ""
        lines.append(f"- {clean(entry['title'], 200)}{begun}")
    if len(tasks["open"]) > TASKS:
        lines.append(f"- and {len(tasks['open']) - TASKS} more: `holdfast task list`")
    return "\n".join(lines)


def _of_session(session: dict[str, Any] | None) -> str:
    if session is None:
        return "none yet"
    end = f"ended {ago(session['ended_at'])}" if session["ended_at"] else f"last seen {ago(session['last_seen'])}"
    return f"{clean(session['host'], 40)} {clean(session['id'], 120)}, started {ago(session['started_at'])}, {end}"


def _of_state(facts: dict[str, Any]) -> list[Row]:
    stats, backup = facts["stats"], facts["last_backup"]
    counted = ("prompts", "tool_calls", "failures", "total_resumes", "recoveries")
    text = f"revision {facts['revision']}"
    if facts["updated_by"]:
        text += f", saved {ago(facts['updated_at'])} by {clean(facts['updated_by'], 160)}"
    rows = [
        Row("Counted", ", ".join(f"{key.removeprefix('total_').replace('_', ' ')} {stats[key]}" for key in counted)),
        Row("State", f"{text}, {_kilobytes(facts)}"),
        Row("Last copy", f"{backup['file']}, {ago(backup['at'])}" if backup else "none yet"),
    ]
    rows[2:2] = _of_waiting(facts)
    return rows + _of_errors(facts)


def _kilobytes(facts: dict[str, Any]) -> str:
    return f"{facts['size'] / 1000:.1f} kB, schema {facts['schema_version']}"


def _of_waiting(facts: dict[str, Any]) -> list[Row]:
    rows = []
    if facts["spool"]:
        rows.append(Row("Spool", f"{facts['spool']} events wait for the next writer"))
    if facts["lock"]:
        rows.append(Row("Lock", f"held by process {facts['lock']['pid']} ({clean(facts['lock']['command'], 40)})"))
    return rows


def _of_errors(facts: dict[str, Any]) -> list[Row]:
    errors = facts["errors"]
    if not errors["count"]:
        return []
    newest = errors["last"][-1]
    many = "1 error" if errors["count"] == 1 else f"{errors['count']} errors"
    text = f"{many} since the session started; the last {ago(newest['time'])}: {clean(str(newest['error']), 300)}"
    return [Row("Errors", text, "yellow")]


def of_document(facts: dict[str, Any]) -> list[Row]:
    """The facts about the document itself, in words."""
    here, degraded, backup = facts["phase"], facts["degraded_mode"], facts["last_backup"]
    rows = [
        Row("State", facts["state_file"]),
        Row("Schema", str(facts["schema_version"])),
        Row("Revision", str(facts["revision"])),
        Row("Size", f"{facts['size']} bytes"),
        Row("Phase", here["id"] if here else "none"),
        Row("Mode", facts["mode"]),
        Row("Degraded", clean(degraded["reason"], 600) or "yes" if degraded["enabled"] else "no"),
        Row("Backups", f"{facts['backups']}" + (f", the last {backup['file']}, {ago(backup['at'])}" if backup else "")),
        Row("Spool", f"{facts['spool']} events wait"),
    ]
    rows += [row for row in _of_waiting(facts) if row.label == "Lock"] or [Row("Lock", "no holder is known")]
    return rows + (_of_errors(facts) or [Row("Errors", "none since the session started")])


def show(rows: list[Row]) -> None:
    """Print the overview: by rich on a terminal, else as plain lines that are never wrapped."""
    if not (sys.stdout and sys.stdout.isatty()) and not os.environ.get("FORCE_COLOR"):
        width = max(len(row.label) for row in rows) + 2
        for row in rows:
            say(f"{row.label:{width}}" + row.text.replace("\n", "\n" + " " * width))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(row.label, Text(row.text, style=row.style))
    with console.capture() as capture:
        console.print(grid)
    say("\n".join(line.rstrip() for line in capture.get().splitlines()))
