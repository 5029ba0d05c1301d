"""`holdfast state import`: take over the state of another tool."""

import os
from typing import TYPE_CHECKING

import click

from holdfast.cli import copies, phase
from holdfast.cli.access import Done, Unchanged, alter, current
from holdfast.cli.groups import Command
from holdfast.cli.output import note, say
from holdfast.errors import HoldfastError, from_os

if TYPE_CHECKING:
    from holdfast.project import Project
    from holdfast.state.document import State
    from holdfast.state.legacy import Importer
    from holdfast.state.legacy.original import Original

# holdfast.state.legacy.IMPORTERS, which takes longer to import than a help text may
NAMES = ("claude-dev-pipeline", "palingenesis", "gsd-multi", "hydraflow", "harness-sync")
RECORD = "install.json"


@click.command("import", cls=Command)
@click.argument("file")
@click.option("--from", "name", type=click.Choice(NAMES), help="Whose state it is; without it, found by its content.")
def import_(file: str, name: "str | None") -> None:
    """Take over the state of another tool. FILE is its state, or a project's folder in which to look for it.

    The phase (if the workflow has it), tasks, signals, counters and the session go to their places here. What has no
    place is kept under `imported` of the state, or, where it is large, as a copy in .holdfast/imported/. Targets of a
    synchronisation go to .holdfast/install.json. FILE itself is not changed, and a second import of it does nothing.
    What was there is backed up first, named before-import.

    Exit code 4 if FILE is no state of a known tool.

    Examples:
      holdfast state import .claude/.workflow-state.json
      holdfast state import ~/.local/state/palingenesis/state.json --from palingenesis
    """
    from holdfast.project import Project
    from holdfast.state import legacy

    project = Project.find()
    if not os.path.isdir(file):
        take(project, *legacy.read(file, name or ""))
        return
    found = [(importer, path) for importer, path in legacy.find(file) if name in (None, importer.NAME)]
    if not found:
        raise HoldfastError(f"{file}: no state of {name or ', '.join(NAMES)} lies there")
    for importer, path in found:
        take(project, importer, importer.read(path))


def take(project: "Project", importer: "Importer", original: "Original") -> None:
    """Take over one state, and say what became of it.

    Raises:
        HoldfastError: it cannot be taken over; ours is as it was.
    """
    from holdfast.project import now
    from holdfast.state.legacy import keeping, merging

    name, path = importer.NAME, os.path.abspath(original.path)
    digest = original.digest(name)
    done = f"{path}: was taken over already; nothing changed"
    if keeping.known(current(project), digest):
        say(done)
        return
    facts = importer.convert(original)
    kept = None
    if facts.targets is not None:
        _record(project, original, facts.targets)
        kept = RECORD

    def change(state: "State") -> Done:
        if keeping.known(state, digest):  # by somebody else, just now
            raise Unchanged(done)
        facts = importer.convert(original)
        if state["metadata"]["last_writer"]:
            copies.keep(project, state, "before-import")
        said = merging.merge(state, facts, name, project.index, now(), lambda to: phase.go(state, project.index, to))
        try:
            entry = keeping.keep(project.folder, state, name, original, facts.rest, now(), kept)
        except OSError as error:
            raise from_os(error, os.path.join(project.folder, keeping.FOLDER)) from None
        return Done(f"state import {name}", f"{path}: taken over from {name}: {_told(state, entry, said)}")

    alter(project, change)
    if facts.mode == "paused":
        note("holdfast: the mode is paused, as it was there: `holdfast mode monitoring` lets the hooks work")


def _told(state: "State", entry: str, said: list[str]) -> str:
    kept, rest = state["imported"][entry]["kept"], state["imported"][entry]["rest"]
    parts = list(said)
    if kept:
        parts.append(f"the original in .holdfast/{kept}")
    elif rest:
        parts.append(f"the rest ({', '.join(sorted(rest)[:6])}{', …' if len(rest) > 6 else ''}) under imported.{entry}")  # noqa: PLR2004
    return ", ".join(parts) or "there was nothing in it"


def _record(project: "Project", original: "Original", targets: "dict[str, object]") -> None:
    from holdfast.install import record

    with record.held(project.folder, note):
        record.take_over(project.folder, original.data, targets, note)
