"""`holdfast workflow`: begin one, check it, show it."""

import os
import time
from typing import TYPE_CHECKING

import click

from holdfast.cli.groups import Group
from holdfast.cli.output import note, say, say_json
from holdfast.errors import HoldfastError, ValidationFailed
from holdfast.hook import FOLDER, locate
from holdfast.workflow.index import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.workflow.definition import Signal, Skill, Workflow

TEMPLATES = ("feature", "bugfix", "blank")  # holdfast.workflow.templates.NAMES, which imports importlib.resources


@click.group(cls=Group)
def workflow() -> None:
    """Begin a workflow, check it, show it."""


@workflow.command()
@click.option(
    "--template", type=click.Choice(TEMPLATES), default="feature", show_default=True, help="What to begin with."
)
@click.option("--force", is_flag=True, help="Replace a workflow that is there; the old one is kept beside it.")
def init(template: str, force: bool) -> None:
    """Write a workflow to start from.

    It goes into the .holdfast folder here or above; where there is none, one is made here.

    Templates:
      feature   spec, plan, build, review, ship
      bugfix    reproduce, fix, verify
      blank     one phase, and every key as an example

    Examples:
      holdfast workflow init
      holdfast workflow init --template bugfix --force
    """
    from holdfast.install import files
    from holdfast.install.installer import GITIGNORE
    from holdfast.project import Project
    from holdfast.workflow import templates

    folder = locate("", os.getcwd()) or os.path.join(os.getcwd(), FOLDER)
    path = os.path.join(folder, SOURCE)
    data = templates.text(template).encode()
    old = files.read(path)
    if old is not None and old != data and not force:
        raise HoldfastError(f"{path}: is there already: --force replaces it, and keeps it as {SOURCE}.bak-…")
    files.make_folder(folder, 0o700)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.lexists(ignore):
        files.replace(ignore, GITIGNORE.encode())
    if old == data:
        say(f"{path}: is the template {template} already")
        return
    if old is not None:
        kept = f"{path}.bak-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        files.replace(kept, old, 0o600)
        say(f"{kept}: the workflow that was there")
    files.replace(path, data)
    project = Project(folder)
    if project.index.header["error"]:
        raise ValidationFailed(project.index.header["error"])
    phases = ", ".join(phase["id"] for phase in project.index.workflow["phases"])
    say(f"{path}: written from the template {template}: {phases}")


@workflow.command()
@click.argument("file", required=False)
def check(file: "str | None") -> None:
    """Check the project's workflow, or FILE.

    Problems go to stderr, one a line as FILE:LINE: key: what is wrong, and the exit code is 4. What is allowed
    but odd goes there too, with exit code 0. The project's own workflow is compiled as well, for the hooks.

    Examples:
      holdfast workflow check
      holdfast workflow check drafts/release.yaml
    """
    from holdfast.project import Project
    from holdfast.workflow import index as compiled
    from holdfast.workflow import loader

    path, name = (file, file) if file else (os.path.join(Project.find().folder, SOURCE), SOURCE)
    folder = _folder_of(path)
    try:
        found, odd = loader.read(path, name)
    except ValidationFailed as error:
        note(str(error))
        raise click.exceptions.Exit(ValidationFailed.exit_code) from None
    finally:
        if folder:  # a broken one leaves the last good index in force, which then says so
            Project(folder)
    for problem in odd:
        note(str(problem))
    if folder:
        index = compiled.load(folder)
        if index is None:
            note(f"holdfast: {folder}: cannot be written: check owner and mode; until then each hook compiles anew")
        elif index.header["error"]:
            raise ValidationFailed(index.header["error"])
    say(f"{name}: ok: {_count(found)}")


@workflow.command()
@click.option("--json", "as_json", is_flag=True, help="JSON with the keys of workflow.yaml, defaults filled in.")
def show(as_json: bool) -> None:
    """Show the project's workflow as it is understood.

    Examples:
      holdfast workflow show
      holdfast workflow show --json | jq '.phases[].id'
    """
    from holdfast.project import Project
    from holdfast.workflow import loader

    try:
        found, _odd = loader.read(os.path.join(Project.find().folder, SOURCE), SOURCE)
    except ValidationFailed as error:
        note(str(error))
        raise click.exceptions.Exit(ValidationFailed.exit_code) from None
    if as_json:
        say_json(found.model_dump(mode="json"))
        return
    say("\n".join(_described(found)))


def _folder_of(path: str) -> str:
    """The project's folder whose workflow `path` is, or ""."""
    folder = os.path.dirname(os.path.abspath(path))
    own = os.path.basename(folder) == FOLDER and os.path.basename(path) == SOURCE and os.path.isdir(folder)
    return folder if own else ""


def _count(found: "Workflow") -> str:
    parts = (("phase", found.phases), ("signal", found.signals), ("skill", found.skills))
    return ", ".join(f"{len(part)} {name}{'' if len(part) == 1 else 's'}" for name, part in parts)


def _described(found: "Workflow") -> list[str]:
    from holdfast.events import clean

    lines = [f"{clean(found.name, 200)}: {_count(found)}"]
    phases = [
        (phase.id, clean(phase.title, 200), f"ends with {', '.join(phase.next)}" if phase.next else "")
        for phase in found.phases
    ]
    lines += _table("phases", phases)
    lines += _table("signals", [(name, _signal(signal)) for name, signal in found.signals.items()])
    lines += _table("skills", [(clean(name, 200), _skill(skill)) for name, skill in found.skills.items()])
    if found.plan:
        lines += ["", "plan", *(f"  {glob}" for glob in found.plan)]
    return lines


def _table(title: str, rows: "Sequence[tuple[str, ...]]") -> list[str]:
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return ["", title, *(f"  {line.rstrip()}" for line in lines)]


def _signal(signal: "Signal") -> str:
    from holdfast.events import clean

    parts = [f"tool {' or '.join(signal.tool)}"] if signal.tool else []
    parts += [f"path {' or '.join(signal.path)}"] if signal.path else []
    parts += [f"command {clean(signal.command, 120)}"] if signal.command else []
    parts += [f"outcome {signal.outcome}"] if signal.outcome else []
    if not parts:
        parts = ["by hand"]
    return "; ".join(parts + ([f"after {', '.join(signal.after)}"] if signal.after else []))


def _skill(skill: "Skill") -> str:
    from holdfast.events import clean

    parts: list[str] = [skill.priority, skill.enforcement]
    for name in ("keywords", "patterns", "files", "phases", "after"):
        values = getattr(skill, name)
        if values:
            parts.append(f"{name} {clean(', '.join(values), 200)}")
    return "; ".join(parts)
