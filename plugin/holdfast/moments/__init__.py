"""What a hook does at each moment: pure functions of state, event and index, without hosts and without files.

Each moment's module has `match(event, index)`, which finds what the event means to the workflow before the state is
locked, and `apply(state, event, index)`, which alters the state in place and returns a Reply or None. `apply` here
does what is common to all: each event once, the mode, the session, the phase that a changed workflow may have lost.
"""

from holdfast.events import clean
from holdfast.lean import digest
from holdfast.state.document import RECENT, notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from holdfast.events import Event, Reply
    from holdfast.state.document import State
    from holdfast.workflow.index import Index

MADE_UP = "made-"  # begins the keys that the spool gave to events without one
BY_ORDER = ("session_start", "before_compaction", "turn_end", "session_end")  # told apart by what lies between them


def module(moment: str) -> "ModuleType":
    """The moment's module."""
    if moment == "tool_done":
        from holdfast.moments import tracking

        return tracking
    if moment == "prompt":
        from holdfast.moments import activation

        return activation
    from holdfast.moments import resume

    return resume


def identity(event: "Event") -> str:
    """What names the event: the same for each delivery of it.

    For one told apart by order it is the same for each of its sort.
    """
    return digest(event.session, event.moment, event.source if _by_order(event) else event.key)


def _by_order(event: "Event") -> bool:
    """Whether only what lies between tells it from the next of its sort."""
    return event.moment in BY_ORDER or not event.key or event.key.startswith(MADE_UP)


def apply(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """Apply an event to the state, unless it was applied before; the reply is for the model and the user.

    A state that is left as it was keeps its revision.
    """
    if state["mode"] == "stopped":
        return None
    own = module(event.moment)
    name = once = identity(event)  # before another session may be given what it did: each delivery has the same
    if event.subagent and event.host == "copilot" and event.session not in state["sessions"]:
        _adopt(state, event)
    if _by_order(event):
        once = digest(name, event.key) if event.key else ""  # a spooled one has a key: its file may be folded twice
        session = state["sessions"].get(event.session)
        if once not in state["recent"] and session is not None and session["last_event"] == name:
            if once:
                _remember(state, once)
            # a session that died is started again: nothing to count, but its new process knows nothing yet
            return own.repeat(state, event, index) if event.moment == "session_start" else None
    if once and once in state["recent"]:
        return None
    if state["mode"] == "paused" and event.moment not in ("session_start", "session_end"):
        return None
    if once:
        _remember(state, once)
    else:
        state["revision"] += 1
    _see(state, event, name)
    if state["mode"] == "paused":
        own.note_session(state, event)
        return None
    _tell_of_trouble(state, event)
    align(state, event.at, index)
    reply: Reply | None = own.apply(state, event, index)
    return reply


def _adopt(state: "State", event: "Event") -> None:
    """Give the current session what a sub-agent of a sub-agent does: Copilot CLI names that one as its parent."""
    current = state["current_session"]
    if current is not None and current["host"] == event.host:
        event.session = current["id"]


def _remember(state: "State", once: str) -> None:
    state["revision"] += 1
    state["recent"].append(once)
    del state["recent"][:-RECENT]


def _tell_of_trouble(state: "State", event: "Event") -> None:
    if event.matches.get("trouble"):
        notice(state, event.at, f"A hook failed, and its event was kept: {clean(event.matches['trouble'], 200)}")
    if event.matches.get("slow"):
        notice(state, event.at, "A regex of the workflow ran too long and was given up: simplify what it repeats.")


def _see(state: "State", event: "Event", name: str) -> None:
    """Note that the session lives. A subagent's events come under its parent's id."""
    session = state["sessions"].pop(event.session, None)
    if session is None:
        session = {
            "host": event.host,
            "started_at": event.at,
            "last_seen": event.at,
            "ended_at": None,
            "activated": [],
            "files": [],
            "last_failure": None,
            "armed": [],
            "told": None,
            "unheard": False,
            "last_event": "",
        }
    state["sessions"][event.session] = session  # the last seen comes last, whatever the clock says
    session["last_seen"] = event.at
    session["ended_at"] = None
    session["last_event"] = name


def align(state: "State", at: float, index: "Index") -> None:
    """Put the state into a phase that the workflow has: the first for a new state, and for one whose phase is gone."""
    workflow = index.workflow
    state["metadata"]["workflow"] = clean(workflow["name"], 100)
    phases = workflow["phases"]
    if not phases:
        if not index.header["error"]:
            state["phase"] = None
        return
    found, progress = index.phase(state["phase"]), state["progress"]
    if found is not None and progress["finished"] and found[0] + 1 < len(phases):
        enter(state, phases[found[0] + 1]["id"])  # the workflow was complete, and has got another phase since
        progress["finished"] = False
    elif found is None:
        if state["phase"] is not None:
            gone = clean(state["phase"], 80)
            notice(
                state, at, f"The workflow has no phase {gone} any more: the state went to the first, {phases[0]['id']}."
            )
        enter(state, phases[0]["id"])
        # it began before this event, whose signals count
        progress["entered"] = max(state["revision"] - 1, 0)
        progress["completed"] = []
        progress["finished"] = False


def enter(state: "State", phase: str) -> None:
    """Begin a phase. Signals count towards its end from the next revision on; skills may be named again."""
    state["phase"] = phase
    state["progress"]["entered"] = state["revision"]
    for session in state["sessions"].values():
        session["activated"] = []
        session["told"] = None


def steps(state: "State", index: "Index") -> None:
    """Bring the current session's steps, which are the workflow's phases counted from 1, up to date."""
    current = state["current_session"]
    if current is None:
        return
    phases = [phase["id"] for phase in index.workflow["phases"]]
    done = [phases.index(name) + 1 for name in state["progress"]["completed"] if name in phases]
    current["steps_completed"] = sorted(done)
    current["last_step"] = max(done, default=0)
    current["total_steps"] = len(phases)


def open_step(state: "State", index: "Index") -> str:
    """One line on the phase that is open, for the model; empty where the workflow has no phases."""
    found = index.phase(state["phase"])
    if found is None:
        return ""
    place, phase = found
    total = len(index.workflow["phases"])
    title = clean(phase["title"], 160)
    line = f"Phase {place + 1} of {total}, {phase['id']}"
    if title != phase["id"]:
        line += f": {title}"
    if state["progress"]["finished"]:
        return f"{line}. All phases of the workflow are complete."
    missing, seen = outstanding(state, phase)
    if missing:
        line += f". It ends with {', '.join(missing)}"
        if seen:
            line += f" (already there: {', '.join(seen)})"
    line += "."
    guidance = clean(phase["guidance"], 600)
    return f"{line} {guidance}" if guidance else line


def outstanding(state: "State", phase: "dict[str, list[str]]") -> "tuple[list[str], list[str]]":
    """The signals that the phase still needs, and those that it has: emitted since it was entered, by revision."""
    emitted, entered = state["progress"]["signals"], state["progress"]["entered"]
    missing = [name for name in phase["next"] if emitted.get(name, 0) <= entered]
    return missing, [name for name in phase["next"] if name not in missing]
