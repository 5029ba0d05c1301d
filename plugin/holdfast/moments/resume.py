"""When a session starts, resumes, is compacted or ends: who works, and the briefing.

The briefing's text depends on the state alone, not on the clock: Claude Code replays on resume what it was given, drops
an identical text, and piles up a changed one.
"""

from holdfast.events import PATH_LIMIT, Reply, clean
from holdfast.moments import open_step, steps
from holdfast.state.document import look, newest_sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event
    from holdfast.state.document import State
    from holdfast.workflow.index import Index

FORGETTING = ("compact", "clear")  # sources of a start after which the model has forgotten what hooks said
TASKS = 8  # named in a briefing
FILES = 6
SOURCE_LIMIT = 40


def match(event: "Event", index: "Index") -> None:
    """Nothing of these events depends on the workflow's rules."""


def apply(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """Note the session; a start is answered by the briefing."""
    note_session(state, event)
    session = state["sessions"][event.session]
    if event.moment == "before_compaction":
        session["activated"], session["told"] = [], None
        session["unheard"] = event.unheard
    if event.moment != "session_start":
        return None
    if event.source in FORGETTING:
        session["activated"] = []
    steps(state, index)
    if index.header["error"]:
        from holdfast.state.document import notice

        notice(state, event.at, f"The workflow cannot be used as it stands: {clean(index.header['error'], 300)}")
    session["unheard"] = event.unheard
    if event.unheard:
        return None
    reply = briefing(state, event, index)
    session["told"] = state["phase"]
    all_told(state)
    return reply


def recall(state: "State", event: "Event", index: "Index") -> str:
    """The briefing that could not be heard when it was due."""
    told = text(state, event, index)
    state["sessions"][event.session]["unheard"] = False
    all_told(state)
    return told


def all_told(state: "State") -> None:
    """Note that the user has heard what there was to say."""
    for kept in state["notices"]:
        kept["told"] = True


def repeat(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """Answer an event that was applied already: a start is briefed again, and nothing is noted."""
    if event.moment != "session_start" or event.unheard or state["mode"] != "monitoring":
        return None
    return briefing(state, event, index)


def note_session(state: "State", event: "Event") -> None:
    """What is noted of a session in any mode: that it started, goes on or ended."""
    session = state["sessions"][event.session]
    if event.moment == "session_end":
        session["ended_at"] = event.at
    if event.moment != "session_start":
        return
    if event.source == "resume":
        state["stats"]["total_resumes"] += 1
        state["stats"]["last_resume"] = event.at
    make_current(state, event)


def make_current(state: "State", event: "Event") -> None:
    """Make the event's session the current one."""
    state["current_session"] = {
        "id": event.session,
        "host": event.host,
        "path": clean(event.transcript, PATH_LIMIT),
        "steps_completed": (state["current_session"] or {}).get("steps_completed", []),
        "last_step": (state["current_session"] or {}).get("last_step", 0),
        "total_steps": (state["current_session"] or {}).get("total_steps", 0),
        "started_at": state["sessions"][event.session]["started_at"],
        "source": clean(event.source, SOURCE_LIMIT),
    }
    state["sessions"][event.session]["host"] = event.host


def briefing(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """The briefing as a reply; what needs the user's eye is a notice too."""
    untold = [clean(kept["text"], 400) for kept in state["notices"] if not kept["told"]]
    told = text(state, event, index)
    if not told:
        return None
    return Reply(told, "Holdfast: " + " ".join(untold) if untold else "")


def text(state: "State", event: "Event", index: "Index") -> str:
    """The briefing: most important first, cut at the workflow's `max_chars`."""
    lines = _standing(state, index)
    lines += [f"For the user: {clean(kept['text'], 400)}" for kept in state["notices"] if not kept["told"]]
    mode = state["degraded_mode"]
    if mode["enabled"]:
        off = ", ".join(clean(name, 80) for name in mode["disabled_features"]) or "nothing named"
        lines.append(f"Holdfast works in degraded mode: {clean(mode['reason'], 300)}; off: {off}.")
    failure = _last_failure(state)
    if failure:
        code = "" if failure["exit_code"] is None else f" with exit code {failure['exit_code']}"
        lines.append(f"Last failure, not mended yet: `{clean(failure['command'], 200)}` failed{code}.")
    lines += _work(state)
    lines += _before(state, event)
    if not lines:
        return ""
    limit = index.workflow["max_chars"]
    shown = "\n".join(lines)
    while len(shown) > limit and len(lines) > 1:
        lines.pop()
        shown = "\n".join([*lines, "(cut: `holdfast status` shows all)"])
    return shown[:limit]


def _standing(state: "State", index: "Index") -> "list[str]":
    step = open_step(state, index)
    if not step:
        return []
    lines = [f"Holdfast keeps this project's workflow, {state['metadata']['workflow']}. {step}"]
    done = [name for name in state["progress"]["completed"] if index.phase(name) is not None]
    if done:
        lines.append(f"Phases complete: {', '.join(clean(name, 80) for name in done)}.")
    return lines


def _last_failure(state: "State") -> "dict[str, Any] | None":
    failures = [session["last_failure"] for session in state["sessions"].values() if session["last_failure"]]
    return max(failures, key=lambda failure: (failure["at"], failure["key"]), default=None)


def _work(state: "State") -> "list[str]":
    lines = []
    tasks, completed = look(state, "tasks").values(), look(state, "completed_tasks")
    rank = {"in_progress": 0, "pending": 1}
    still = sorted((task for task in tasks if task["status"] in rank), key=lambda task: rank[task["status"]])
    if still:
        named = [clean(task["title"], 120) + (" (begun)" if task["status"] == "in_progress" else "") for task in still]
        more = f"; and {len(named) - TASKS} more" if len(named) > TASKS else ""
        lines.append(f"Open tasks: {'; '.join(named[:TASKS])}{more}.")
    if completed:
        lines.append(f"Tasks done: {len(completed)}.")
    files: list[str] = []
    for name in newest_sessions(state):
        for path in reversed(state["sessions"][name]["files"]):
            if path not in files:
                files.append(path)
    if files:
        lines.append(f"Files last touched: {', '.join(clean(path, 120) for path in files[:FILES])}.")
    return lines


def _before(state: "State", event: "Event") -> "list[str]":
    others = [name for name in newest_sessions(state) if name != event.session]
    if not others:
        return []
    session = state["sessions"][others[0]]
    ending = "" if session["ended_at"] else ", which was not ended"
    return [f"Worked here before: {clean(session['host'], 20)}, session {clean(others[0], 120)}{ending}."]
