"""Puts the facts of another tool's state into ours. What we have already stands; what finds no place is the rest."""

from typing import TYPE_CHECKING, Any

from holdfast.events import TITLE_LIMIT, clean
from holdfast.moments import tasks
from holdfast.state import degraded, document

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.state.document import State
    from holdfast.state.legacy.original import Item, Legacy
    from holdfast.workflow.index import Index

NAME = 300  # characters of a signal's name, as the schema has it
PATH = 1000
REASON = 300
FEATURES = 20


def merge(  # noqa: PLR0913, PLR0917  where to, what, whose, by which workflow, when and how
    state: "State", legacy: "Legacy", name: str, index: "Index", at: float, go: "Callable[[str], None]"
) -> list[str]:
    """Put the facts into the state, in place.

    Args:
        state: ours; it stands in a phase that the workflow has.
        legacy: the facts; its `rest` takes what finds no place.
        name: whose they are.
        index: the workflow.
        at: Unix time in seconds.
        go: enters a phase of the workflow.

    Returns:
        What was taken, in words.
    """
    said = [
        *_take_phase(state, legacy, index, go),
        *_take_items(state, legacy, name, at),
        *_take_signals(state, legacy),
    ]
    last = state["last_activation"]
    if legacy.skill:
        skill, when = legacy.skill
        if last["at"] is None and not last["skills"] and clean(skill, NAME) == skill:
            state["last_activation"] = {"skills": [skill], "at": when, "session": None}
            said.append("the last skill")
        else:
            legacy.rest["lastActivation"] = skill
    if legacy.session is not None and state["current_session"] is None:
        state["current_session"] = _session(legacy.session, name)
        said.append("the session")
    if legacy.stats:
        for key, value in legacy.stats.items():
            state["stats"][key] = max(value, state["stats"][key] or 0)
        said.append("counters")
    if legacy.degraded is not None and not state["degraded_mode"]["enabled"]:
        theirs = legacy.degraded["disabled_features"][:FEATURES]
        features = [clean(name, 100) for name in theirs if name not in degraded.OFF]  # what of ours works goes on
        reason = clean(legacy.degraded["reason"], REASON)
        state["degraded_mode"] = {**legacy.degraded, "reason": reason, "disabled_features": features}
        said.append("degraded mode")
    if legacy.mode and legacy.mode != state["mode"]:
        state["mode"] = legacy.mode
        said.append(f"the mode {legacy.mode}")
    if legacy.created is not None:
        state["metadata"]["created"] = min(legacy.created, state["metadata"]["created"])
    return said


def _take_phase(state: "State", legacy: "Legacy", index: "Index", go: "Callable[[str], None]") -> list[str]:
    """Go to the first of the phases that the workflow has, by id or title, unless the work is further already."""
    phases = index.workflow["phases"]
    names = {_plain(phase[key]): place for key in ("title", "id") for place, phase in enumerate(phases)}
    for named in legacy.phases:
        place = names.get(_plain(named))
        if place is None:
            continue
        found = index.phase(state["phase"])
        if found is not None and found[0] > place:
            return []
        if legacy.rest.get("phase") == named:
            del legacy.rest["phase"]
        if found is None or found[0] != place:
            go(phases[place]["id"])
        return [f"the phase {phases[place]['id']}"]
    return []


def _plain(name: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in name.casefold()).split())


def _take_items(state: "State", legacy: "Legacy", name: str, at: float) -> list[str]:
    """Add tasks as long as there is room: open ones first, then the newest. One that we have already stands."""
    room = max(document.TASKS - len(state["tasks"]), 0)
    order = sorted(range(len(legacy.items)), key=lambda place: (legacy.items[place].status == "completed", -place))
    chosen = set(order[:room])
    left, taken = [], 0
    for place, item in enumerate(legacy.items):
        title = clean(item.title, TITLE_LIMIT)
        identifier = tasks.identifier(state, title) if title else ""
        known = state["tasks"].get(identifier)
        if place not in chosen or not title or (known and known["source"] != name):
            left.append(item)
            continue
        tasks.put(state, identifier, title, item.status, name, at)
        taken += 1
        if title != item.title:
            left.append(item)
    _spill(legacy, left)
    return [f"{taken} task{'' if taken == 1 else 's'}"] if taken else []


def _spill(legacy: "Legacy", left: "list[Item]") -> None:
    if not left or not legacy.items_key:
        return
    if legacy.items_by_name:
        there = legacy.rest.get(legacy.items_key, {})
        if isinstance(there, dict):  # else the items are from elsewhere in the rest, where they still stand
            by_name: dict[str, Any] = dict(there)
            for item in left:
                by_name |= item.given
            legacy.rest[legacy.items_key] = by_name
    else:
        legacy.rest[legacy.items_key] = [item.given for item in left]


def _take_signals(state: "State", legacy: "Legacy") -> list[str]:
    """Add the newest as long as there is room. They were emitted before the present phase, which they do not end."""
    ours = state["signals"]
    fit = [name for name in legacy.signals if name and clean(name, NAME) == name]
    new = sorted((name for name in fit if name not in ours), key=legacy.signals.__getitem__, reverse=True)
    chosen = set(new[: max(document.SIGNALS - len(ours), 0)])
    left = {}
    taken = 0
    for name, at in legacy.signals.items():
        if name in chosen or name in ours:
            ours[name] = max(at, ours.get(name, 0))
            taken += 1
        else:
            left[name] = at
    if left:
        there = legacy.rest.get("signals")
        legacy.rest["signals"] = {**(there if isinstance(there, dict) else {}), **left}
    return [f"{taken} signal{'' if taken == 1 else 's'}"] if taken else []


def _session(session: dict[str, Any], name: str) -> dict[str, Any]:
    host, path = clean(session["host"], 40) or name, clean(session["path"], PATH)
    return {"id": name, **session, "host": host, "path": path, "source": "imported"}
