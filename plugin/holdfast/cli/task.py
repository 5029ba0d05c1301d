"""`holdfast task`: what there is to do."""

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.access import Done, Unchanged, alter, current
from holdfast.cli.groups import Group, nearest
from holdfast.cli.output import say, say_json
from holdfast.errors import HoldfastError, ValidationFailed

if TYPE_CHECKING:
    from holdfast.state.document import State

OPEN = ("in_progress", "pending")  # in the order of a list


@click.group(cls=Group)
def task() -> None:
    """Add tasks, list them, and mark them done."""


@task.command()
@click.argument("title")
def add(title: str) -> None:
    """Add a task and print its id. A task of the same title that was done is opened again.

    Examples:
      holdfast task add "Write the refund API"
      holdfast task done "$(holdfast task add 'Ask for a review')"
    """
    from holdfast.events import TITLE_LIMIT, clean
    from holdfast.moments import tasks
    from holdfast.project import Project, now
    from holdfast.state.document import TASKS

    text = clean(title, TITLE_LIMIT + 1)
    if not text:
        raise ValidationFailed("the title is empty: say what is to be done")
    if len(text) > TITLE_LIMIT:
        raise ValidationFailed(f"the title is longer than {TITLE_LIMIT} characters: shorten it")

    def change(state: "State") -> Done:
        name = tasks.identifier(state, text)
        there = state["tasks"].get(name)
        if there and there["status"] in OPEN:
            raise Unchanged(name)
        if sum(entry["status"] in OPEN for entry in state["tasks"].values()) >= TASKS:
            raise HoldfastError(f"{TASKS} tasks are open, and the state keeps no more: mark some done first")
        tasks.put(state, name, text, "pending", "command", now())
        return Done(f"task add {name}", name)

    alter(Project.find(), change)


@task.command()
@click.argument("task_id", metavar="ID")
def done(task_id: str) -> None:
    """Mark a task as done. ID is its id or its whole title.

    Examples:
      holdfast task done write-the-refund-api
      holdfast task done "Write the refund API"
    """
    from holdfast.moments import tasks
    from holdfast.project import Project, now

    def change(state: "State") -> Done:
        name = _find(state, task_id)
        if name not in state["tasks"] or state["tasks"][name]["status"] == "completed":
            raise Unchanged(f"{name}: was done already")
        tasks.put(state, name, "", "completed", state["tasks"][name]["source"], now())
        return Done(f"task done {name}", f"{name}: done")

    alter(Project.find(), change)


@task.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that are done or cancelled.")
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON list of {id, title, status, source, updated_at (Unix time)}."
)
def list_(every: bool, as_json: bool) -> None:
    """List the open tasks, those begun first.

    Examples:
      holdfast task list
      holdfast task list --all --json
    """
    from holdfast.events import clean
    from holdfast.project import Project

    found = listed(current(Project.find()), every=every)
    if as_json:
        say_json(found)
        return
    width = max((len(entry["id"]) for entry in found), default=0)
    for entry in found:
        say(f"{clean(entry['id'], 300):{width}}  {entry['status']:11}  {clean(entry['title'], 300)}")
    if not found:
        say("no tasks" if every else "no open tasks")


def listed(state: "State", *, every: bool = False) -> list[dict[str, Any]]:
    """The tasks as [{"id", "title", "status", "source", "updated_at"}]: begun, open, then the others if asked for."""
    order = [*OPEN, "completed", "cancelled"] if every else list(OPEN)
    keys = ("title", "status", "source", "updated_at")
    found = [
        {"id": name, **{key: entry[key] for key in keys}}
        for name, entry in state["tasks"].items()
        if entry["status"] in order
    ]
    return sorted(found, key=lambda entry: order.index(entry["status"]))


def _find(state: "State", asked: str) -> str:
    """The id of the task that has `asked` as its id or title.

    Raises:
        HoldfastError: there is none; those that are near are named.
    """
    if asked in state["tasks"] or asked in state["completed_tasks"]:
        return asked
    same = [name for name, entry in state["tasks"].items() if entry["title"].casefold() == asked.casefold()]
    open_ones = [name for name, entry in state["tasks"].items() if entry["status"] in OPEN]
    for name in sorted(same, key=lambda name: name not in open_ones):
        return str(name)
    raise HoldfastError(f"there is no task {asked!r}: {nearest(asked, open_ones)}")
