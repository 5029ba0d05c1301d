"""How commands read and alter the project's state."""

from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.cli.output import note, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.project import Project
    from holdfast.state.document import State


class Done(NamedTuple):
    """What a change did. what: for the audit trail, which holds no texts. line: for stdout. aside: for stderr."""

    what: str
    line: str
    aside: str = ""


class Unchanged(Exception):
    """There is nothing to do; the message is for stdout."""


def current(project: "Project") -> "State":
    """The state, brought back from a copy first if it is damaged, of which the user is told.

    Raises:
        HoldfastError: it cannot be read, or a newer release wrote it.
    """
    from holdfast.errors import StateCorrupt

    try:
        return project.read()
    except StateCorrupt:
        state = project.recovered()
        _tell(state, [])
        return state


def shown(project: "Project") -> "State":
    """The current state in a phase that the workflow has, as the next event will find it.

    Raises:
        HoldfastError: as `current`.
    """
    from holdfast import moments
    from holdfast.project import now

    state = current(project)
    state["revision"] += 1  # as for an update: a phase begins before what its first update brings
    moments.align(state, now(), project.index)
    state["revision"] -= 1
    return state


def alter(project: "Project", change: "Callable[[State], Done]") -> None:
    """Apply `change` to the state, tell what it did, and write it down in the audit trail.

    Args:
        project: whose state.
        change: alters the state in place, which stands in a phase that the workflow has. What it raises leaves the
            state as it was.

    Raises:
        HoldfastError: the change refused, or the state cannot be read or written.
    """
    from holdfast import moments
    from holdfast.project import now

    began = now()
    known = current(project)["notices"]  # and a damaged state is whole again, even if the change is refused

    def aligned(state: "State") -> "tuple[Done, State]":
        moments.align(state, began, project.index)
        return change(state), state

    try:
        done, state = project.update(aligned)
    except Unchanged as reason:
        say(str(reason))
        return
    project.record(done.what, state["revision"])
    _tell(state, known)
    if done.aside:
        note(f"holdfast: {done.aside}")
    say(done.line)


def _tell(state: "State", known: list[Any]) -> None:
    """Tell what needs the user's eye since `known`: a recovery, a phase that is gone."""
    for notice in state["notices"]:
        if not notice["told"] and notice not in known:
            note(f"holdfast: {notice['text']}")
