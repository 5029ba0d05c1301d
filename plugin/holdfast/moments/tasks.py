"""An agent's own list of what to do becomes tasks of the workflow. Imported when a plan tool was called."""

from holdfast.events import TITLE_LIMIT, clean
from holdfast.lean import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Tool
    from holdfast.state.document import State

STATUSES = ("pending", "in_progress", "completed", "cancelled")
MOST = 60  # of one list
SLUG = 40
NUMBER = 40  # characters of a host's id of a task


def take(state: "State", event: "Event", tool: "Tool") -> None:
    """Take over a whole list, or one change to it.

    A whole list replaces what the same session listed before, but not what is done, nor the tasks of others: a new
    session that begins a list of its own must not wipe what an earlier one left open.
    """
    source = f"{event.host}:{tool.name}"
    named = []
    for todo in tool.todos[:MOST]:
        title, status = clean(todo.get("title") or "", TITLE_LIMIT), todo.get("status") or ""
        number = _number(todo.get("ref") or "")
        name = _known(state, event.session, number)
        if status == "deleted":
            if name:
                drop(state, name)
            continue
        if not name:
            if not title:
                continue
            name = _new(state, title, event.session, number)
        named.append(name)
        put(state, name, title, status, source, event.at)
        state["tasks"][name]["session"] = event.session
        if number:
            state["tasks"][name]["ref"] = number
    if tool.whole_list:
        for name, task in list(state["tasks"].items()):
            mine = task.get("session") == event.session and task["source"] == source
            if mine and name not in named and task["status"] not in ("completed", "cancelled"):
                drop(state, name)


def _number(ref: str) -> str:
    """What is kept of the host's id: a long one ends with its digest, for Copilot CLI's are the model's words."""
    number = clean(ref, NUMBER)
    return number if number == ref else f"{clean(ref, NUMBER - 7)}-{digest(ref)[:6]}"


def _known(state: "State", session: str, number: str) -> str:
    """The task to which this session's host gave the number, or ""."""
    if number:
        name: str
        for name, task in state["tasks"].items():
            if task.get("ref") == number and task.get("session") == session:
                return name
    return ""


def _new(state: "State", title: str, session: str, number: str) -> str:
    """The id of a task that the session's host gives the number: another one where it has the same title twice."""
    name = identifier(state, title)
    task = state["tasks"].get(name) or {}
    twice = number and task.get("ref") and task.get("session") == session and task["ref"] != number
    return f"{name}-{number}" if twice else name


def identifier(state: "State", title: str) -> str:
    """The id of the task with this title: a readable one, the same title the same id."""
    folded = title.casefold()
    slug = "".join(c if c.isascii() and c.isalnum() else " " for c in folded).split()
    name = "-".join(slug)[:SLUG].strip("-") or f"task-{digest(folded)[:6]}"
    if name in state["tasks"] and state["tasks"][name]["title"].casefold() != folded:
        name = f"{name}-{digest(folded)[:6]}"
    return name


def put(  # noqa: PLR0913, PLR0917  a task has that many parts
    state: "State", name: str, title: str, status: str, source: str, at: float
) -> "dict[str, Any]":
    """Add a task, or change one; an empty title or status leaves it as it is."""
    task: dict[str, Any] | None = state["tasks"].get(name)
    if task is None:
        task = {
            "title": title or name,
            "status": "pending",
            "source": source,
            "updated_at": at,
            "session": "",
            "ref": "",
        }
        state["tasks"][name] = task
    if title:
        task["title"] = title
    if status:
        task["status"] = status if status in STATUSES else "pending"
    task["updated_at"] = at
    done = state["completed_tasks"]
    if name in done:
        done.remove(name)
    if task["status"] == "completed":
        done.append(name)
    return task


def drop(state: "State", name: str) -> None:
    """Forget a task."""
    del state["tasks"][name]
    if name in state["completed_tasks"]:
        state["completed_tasks"].remove(name)
