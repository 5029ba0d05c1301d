"""After a tool call: what the agent really did becomes signals, phases, tasks, files and failures."""

from holdfast import deadline
from holdfast.events import COMMAND_LIMIT, PATH_LIMIT, Reply, clean
from holdfast.lean import digest
from holdfast.moments import enter, open_step, outstanding, steps
from holdfast.state.document import ACTIVATED, FILES
from holdfast.workflow.patterns import MOST_SLOW, given_up, search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Tool
    from holdfast.state.document import State
    from holdfast.workflow.index import Index


def match(event: "Event", index: "Index") -> None:
    """Find the signals whose rules this call meets but for `after`, and the skills whose files it touched."""
    tool = event.tool
    if tool is None:
        return
    inside = [path for path in tool.paths if not path.startswith("/") and path[1:2] != ":"]
    command = tool.command[:COMMAND_LIMIT]
    found: list[list[Any]] = []
    slow = 0
    if tool.kind == "shell":
        event.matches["command"] = digest(" ".join(tool.command.split()))
    for rule in index.signals(tool.kind):
        if slow >= MOST_SLOW:
            break
        try:
            if _meets(rule, tool.outcome, inside, command):
                found.append([rule["name"], rule["after"]])
        except deadline.Expired:
            slow = given_up(slow)
    event.matches["signals"] = found
    if inside and tool.kind == "edit":
        try:
            event.matches["armed"] = index.skills_touched_by(inside)
        except deadline.Expired:
            slow = given_up(slow)
    if slow:
        event.matches["slow"] = True


def _meets(rule: "dict[str, Any]", outcome: str, paths: "list[str]", command: str) -> bool:
    """Whether a finished call is what a rule asks for. One that names no outcome is not met by a failure."""
    if rule["outcome"] != outcome and (rule["outcome"] or outcome == "failed"):
        return False
    if rule["paths"] and not any(search(glob, path, path) for glob in rule["paths"] for path in paths):
        return False
    return not rule["command"] or search(rule["command"], command, command.lower())


def apply(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """Count the call, and note what it changed. A phase's end is told to the agent, and what a compaction took."""
    tool = event.tool
    if tool is None:
        return None
    reply = None if event.recalls and not index.concerns(event) else _count(state, event, tool, index)
    session = state["sessions"][event.session]
    if session["unheard"] and not event.subagent:
        from holdfast.moments import resume

        session["told"] = state["phase"]
        lines = [reply.text if reply else "", resume.recall(state, event, index)]
        return Reply("\n".join(line for line in lines if line))
    return reply


def _count(state: "State", event: "Event", tool: "Tool", index: "Index") -> "Reply | None":
    stats, session = state["stats"], state["sessions"][event.session]
    stats["tool_calls"] += 1
    if tool.outcome == "failed":
        stats["failures"] += 1
    if tool.kind == "edit" and tool.outcome != "failed":
        _touch(session, tool.paths)
        _keep(session["armed"], event.matches.get("armed") or [], ACTIVATED)
    if tool.kind == "shell":
        _note_outcome(state, session, event, tool)
    if tool.skill and tool.outcome != "failed":
        _keep(session["activated"], [clean(tool.skill, 120)], ACTIVATED)
    if (tool.todos or tool.whole_list) and tool.outcome != "failed":
        from holdfast.moments import tasks

        tasks.take(state, event, tool)
    standing = set(state["signals"])  # before this event: `after` asks for what came earlier
    for name, after in event.matches.get("signals") or []:
        if standing.issuperset(after):
            emit(state, name, event.at)
    return advance(state, event, index)


def emit(state: "State", name: str, at: float) -> None:
    """Emit a signal at the state's revision."""
    state["signals"][name] = at
    state["progress"]["signals"][name] = state["revision"]


def advance(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """End the phase if all signals that it needs were emitted since it was entered.

    One event ends at most one phase.
    """
    ended = end_phase(state, index)
    if not ended:
        return None
    if not event.subagent:  # a subagent's reply does not reach the one that the user talks to
        state["sessions"][event.session]["told"] = state["phase"]
    return Reply(f"Holdfast: the phase {ended} is complete. {open_step(state, index)}")


def end_phase(state: "State", index: "Index") -> str:
    """Go to the next phase if the present one has all that it needs; the name of the phase that ended, or ""."""
    found = index.phase(state["phase"])
    if found is None or state["progress"]["finished"]:
        return ""
    place, phase = found
    if not phase["next"] or outstanding(state, phase)[0]:
        return ""
    name: str = phase["id"]
    complete(state, name)
    phases = index.workflow["phases"]
    if place + 1 < len(phases):
        enter(state, phases[place + 1]["id"])
    else:
        state["progress"]["finished"] = True
    steps(state, index)
    return name


def complete(state: "State", phase: str) -> None:
    """Note that a phase came to its end."""
    done = state["progress"]["completed"]
    if phase not in done:
        done.append(phase)


def _touch(session: "dict[str, Any]", paths: "list[str]") -> None:
    _keep(session["files"], [clean(path, PATH_LIMIT) for path in paths], FILES)


def _keep(kept: "list[str]", new: "list[str]", most: int) -> None:
    """Put `new` at the end of a list that holds each once, and let go of its oldest."""
    for item in new:
        if item in kept:
            kept.remove(item)
        kept.append(item)
    del kept[:-most]


def _note_outcome(state: "State", session: "dict[str, Any]", event: "Event", tool: "Tool") -> None:
    """A failure stands until the same command passes, in whichever session."""
    if tool.outcome == "unknown":
        return
    name = event.matches.get("command") or digest(" ".join(tool.command.split()))
    if tool.outcome == "failed":
        from holdfast.masking import mask

        shown = clean(mask(tool.command[:2000]), 200)
        session["last_failure"] = {"command": shown, "exit_code": tool.exit_code, "at": event.at, "key": name}
        return
    for other in state["sessions"].values():
        if other["last_failure"] is not None and other["last_failure"]["key"] == name:
            other["last_failure"] = None
