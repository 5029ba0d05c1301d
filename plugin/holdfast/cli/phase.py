"""`holdfast phase`: the workflow's phases, and which one the work is in."""

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.access import Done, alter, shown
from holdfast.cli.groups import Group
from holdfast.cli.output import say
from holdfast.errors import ValidationFailed

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.workflow.index import Index


@click.group(cls=Group)
def phase() -> None:
    """Show the workflow's phases, or go to one."""


@phase.command("set")
@click.argument("phase_id", metavar="ID")
def set_(phase_id: str) -> None:
    """Go to the phase ID, forwards or back.

    The phases before it count as complete, and it ends by signals that are emitted from now on.

    Examples:
      holdfast phase set build
    """
    from holdfast.project import Project

    project = Project.find()

    def change(state: "State") -> Done:
        known(project.index, phase_id)
        before = state["phase"]
        go(state, project.index, phase_id)
        came = f"{phase_id} again" if before == phase_id else f"{before} -> {phase_id}"
        return Done(f"phase set {phase_id}", f"phase: {came}, {position(project.index, phase_id)}")

    alter(project, change)


@phase.command()
def show() -> None:
    """Say which phase the work is in, and what ends it.

    Examples:
      holdfast phase show
    """
    from holdfast import moments
    from holdfast.project import Project

    project = Project.find()
    state = shown(project)
    say(moments.open_step(state, project.index) or "the workflow has no phases")


@phase.command("list")
def list_() -> None:
    """List the workflow's phases: x is complete, > is where the work is.

    Examples:
      holdfast phase list
    """
    from holdfast.events import clean
    from holdfast.project import Project

    project = Project.find()
    state = shown(project)
    phases = standing(state, project.index)
    width = max((len(phase["id"]) for phase in phases), default=0)
    marks = {"complete": "x", "current": ">", "open": " "}
    for entry in phases:
        say(f"{marks[entry['status']]} {entry['id']:{width}}  {clean(entry['title'], 200)}")
    if not phases:
        say("the workflow has no phases")


def known(index: "Index", name: "str | None") -> None:
    """Refuse a phase that the workflow does not have.

    Raises:
        ValidationFailed: the phases that there are, or why there is none.
    """
    if index.phase(name) is not None:
        return
    phases = [phase["id"] for phase in index.workflow["phases"]]
    if phases:
        raise ValidationFailed(f"the workflow has no phase {name}: it has {', '.join(phases)}")
    if index.header["error"]:
        raise ValidationFailed(f"the workflow cannot be used: {index.header['error']}")
    if name is not None:
        raise ValidationFailed("the workflow has no phases: `holdfast workflow init` makes one that has")


def go(state: "State", index: "Index", name: str) -> None:
    """Enter a phase that the workflow has; those before it count as complete."""
    from holdfast import moments

    moments.enter(state, name)
    phases = [phase["id"] for phase in index.workflow["phases"]]
    state["progress"]["completed"] = phases[: phases.index(name)]
    state["progress"]["finished"] = False
    moments.steps(state, index)


def position(index: "Index", name: str) -> str:
    """The phase's place, and what ends it."""
    found = index.phase(name)
    if found is None:
        return ""
    place, phase = found
    ends = f"it ends with {', '.join(phase['next'])}" if phase["next"] else "no signal ends it"
    return f"{place + 1} of {len(index.workflow['phases'])}; {ends}"


def standing(state: "State", index: "Index") -> list[dict[str, Any]]:
    """The workflow's phases as [{"id", "title", "status"}], where the status is complete, current or open."""
    progress = state["progress"]
    found = []
    for phase in index.workflow["phases"]:
        done = phase["id"] in progress["completed"]
        status = "complete" if done else "open"
        if phase["id"] == state["phase"] and not progress["finished"]:
            status = "current"
        found.append({"id": phase["id"], "title": phase["title"], "status": status})
    return found
