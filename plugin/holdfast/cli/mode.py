"""`holdfast mode`: whether the hooks do anything."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.access import Done, Unchanged, alter, current
from holdfast.cli.groups import Command
from holdfast.cli.output import say

if TYPE_CHECKING:
    from holdfast.state.document import State


@click.command(cls=Command)
@click.argument("wanted", metavar="[MODE]", required=False, type=click.Choice(["monitoring", "paused", "stopped"]))
def mode(wanted: "str | None") -> None:
    """Print the mode, or change it to monitoring, paused or stopped.

    monitoring: the hooks do all they do. paused: they note sessions and nothing else. stopped: they do nothing.

    Examples:
      holdfast mode
      holdfast mode paused
    """
    from holdfast.project import Project

    project = Project.find()
    if wanted is None:
        say(current(project)["mode"])
        return

    def change(state: "State") -> Done:
        before = state["mode"]
        if before == wanted:
            raise Unchanged(f"mode: {wanted} already")
        state["mode"] = wanted
        return Done(f"mode {wanted}", f"mode: {before} -> {wanted}")

    alter(project, change)
