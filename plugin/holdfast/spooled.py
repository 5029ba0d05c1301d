"""An event as the spool keeps it, and how it is applied by the writer that takes it in."""

from holdfast import moments
from holdfast.events import LATEST, PATH_LIMIT, Event, Tool
from holdfast.hook import prepare
from holdfast.lean import parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.state.document import State
    from holdfast.workflow.index import Index


def to_dict(event: Event) -> "dict[str, Any]":
    """Everything but the prompt, which the spool must not hold and `matches` makes superfluous."""
    record = {name: getattr(event, name) for name in Event.__slots__ if name not in ("prompt", "tool")}
    if event.tool is not None:
        record["tool"] = {name: getattr(event.tool, name) for name in Tool.__slots__}
    return record


def from_dict(record: "dict[str, Any]") -> Event:
    """The event that `to_dict` was given.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no event.
    """
    event = Event(record["host"], record["moment"], record["name"], record["session"])
    _take(event, {name: value for name, value in record.items() if name != "tool"})
    if record.get("tool"):
        event.tool = Tool(record["tool"]["name"], record["tool"]["kind"])
        _take(event.tool, record["tool"])
    _check(event)
    return event


def _take(part: Event | Tool, found: "dict[str, Any]") -> None:
    """Set the attributes that `found` names.

    Raises:
        TypeError: one is of another type than it starts with.
    """
    for name, value in found.items():
        meant = getattr(part, name) if name in part.__slots__ else None
        kinds: Any = (int, float) if isinstance(meant, float) else (int, type(None)) if meant is None else type(meant)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise TypeError(f"{name} is {type(value).__name__}")
        setattr(part, name, value)


def _check(event: Event) -> None:
    """Refuse a record from which the state would become one that is not valid.

    Raises:
        TypeError, ValueError, AttributeError: it is such a one.
    """
    found, tool = event.matches, event.tool
    kept = [event.session, event.host, found.get("command", ""), *found.get("armed", [])]
    for name, after in found.get("signals", []):
        kept += [name or None, *after]
    "".join(kept).encode()  # the state cannot hold half a character
    "".join([found.get("trouble", ""), *found.get("skills", [])])
    if tool is not None:
        "".join([*tool.paths, *(text for todo in tool.todos for text in todo.values())])
    if max(map(len, kept)) > PATH_LIMIT or not 0 <= event.at < LATEST or abs((tool and tool.exit_code) or 0) > LATEST:
        raise ValueError("longer, later or larger than anything is")


def fold(state: "State", record: "dict[str, Any]", index: "Index", folder: str) -> None:
    """Apply a spooled event to the state.

    Args:
        state: altered in place.
        record: what `to_dict` gave.
        index: the workflow.
        folder: the project's `.holdfast`.

    Raises:
        Exception: the record cannot be applied.
        Damaged: the index is at fault.
    """
    try:
        event = from_dict(record)
        if event.matches.pop("unmatched", None):
            if not index.concerns(event):
                return
            prepare(event, parent(folder), index)
        session = state["sessions"].get(event.session)
        due = session is not None and session["unheard"] and event.moment in ("prompt", "tool_done")
        moments.apply(state, event, index)
        if due:  # the briefing that would have come with this one reached nobody
            state["sessions"][event.session]["unheard"] = True
    except Exception:
        if not index.whole():  # then it is no fault of the record, which must not be put aside for it
            from holdfast.workflow.index import Damaged

            raise Damaged from None
        raise
