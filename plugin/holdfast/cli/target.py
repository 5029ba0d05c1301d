"""`holdfast target`: what a script has carried to which target, and what has changed since."""

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.amounts import COUNT
from holdfast.cli.groups import Group, nearest
from holdfast.cli.output import note, say, say_json
from holdfast.errors import HoldfastError, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.project import Project

    Targets = dict[str, Any]


@click.group(cls=Group)
def target() -> None:
    """Note which files a script has carried to which target, and find what has changed since.

    A target is whatever files are brought to: another CLI's configuration, a server, an account. It is kept in
    .holdfast/install.json, where `holdfast state import` puts the targets of HarnessSync and cc2all.
    """


@target.command()
@click.argument("name")
@click.argument("files", nargs=-1)
@click.option("--method", metavar="WORD", default="copy", show_default=True, help="How they were carried.")
@click.option("--skipped", metavar="N", type=COUNT, default=0, help="How many were left out.")
@click.option("--failed", metavar="N", type=COUNT, default=0, help="How many could not be carried.")
def record(name: str, files: tuple[str, ...], method: str, skipped: int, failed: int) -> None:
    """Note that FILES were carried to the target NAME now. What was noted of it before is replaced.

    The status follows from the counts: success if nothing failed, partial if some did, failed if nothing was carried.

    Examples:
      holdfast target record gemini CLAUDE.md skills/*.md
      holdfast target record codex AGENTS.md --method symlink --failed 1
    """
    from holdfast.events import clean
    from holdfast.install import synced

    if not name or clean(name, 100) != name:
        raise ValidationFailed(f"{name!r} is no name for a target: up to 100 characters, none of them a control")
    project = _project()
    made = synced.target(project.root, files, method, skipped, failed)
    _alter(project, lambda targets: targets.__setitem__(name, made))
    say(f"target {name}: {made['status']}, {len(files)} carried, {skipped} skipped, {failed} failed")


@target.command()
@click.argument("name", default="")
@click.option("--json", "as_json", is_flag=True, help="A JSON object of {NAME: what install.json has of it}.")
def status(name: str, as_json: bool) -> None:
    """Show what was carried to NAME, or to every target, when, and what came of it.

    Examples:
      holdfast target status
      holdfast target status gemini --json | jq .gemini.file_hashes
    """
    from holdfast.events import clean
    from holdfast.install import synced

    targets = _targets(_project())
    shown = {name: _one(targets, name)} if name else targets
    found = {each: {**kept, "status": synced.status(kept)} for each, kept in shown.items()}
    if as_json:
        say_json(found)
        return
    for each, kept in sorted(found.items()):
        counts = ", ".join(f"{kept.get(f'items_{word}', 0)} {word}" for word in ("synced", "skipped", "failed"))
        say(clean(f"{each}  {kept['status']}, {counts}, {kept.get('last_sync') or 'never'}", 300))
    if not found:
        say("no targets")


@target.command()
@click.argument("name")
@click.argument("files", nargs=-1)
def drift(name: str, files: tuple[str, ...]) -> None:
    """Tell which files differ from what was carried to NAME: changed, removed, or new among FILES.

    Exit code 1 if any does.

    Examples:
      holdfast target drift gemini skills/*.md || ./carry.sh gemini
    """
    from holdfast.events import clean
    from holdfast.install import synced

    project = _project()
    found = synced.drift(project.root, _one(_targets(project), name), files)
    for word, paths in found._asdict().items():
        for path in paths:
            say(f"{word}  {clean(path, 1000)}")
    if any(found):
        raise click.exceptions.Exit(1)
    say(f"target {name}: as it was carried")


@target.command()
@click.argument("name")
def clear(name: str) -> None:
    """Forget what was carried to the target NAME.

    Examples:
      holdfast target clear gemini
    """
    project = _project()
    _one(_targets(project), name)
    _alter(project, lambda targets: targets.pop(name, None))
    say(f"target {name}: cleared")


def _project() -> "Project":
    from holdfast.project import Project

    return Project.find()


def _targets(project: "Project") -> "Targets":
    from holdfast.install import record as installed

    return installed.synced(project.folder)


def _one(targets: "Targets", name: str) -> "dict[str, Any]":
    if name not in targets:
        raise HoldfastError(f"there is no target {name!r}: {nearest(name, sorted(targets))}")
    found: dict[str, Any] = targets[name]
    return found


def _alter(project: "Project", change: "Callable[[Targets], object]") -> None:
    from holdfast.install import record as installed

    with installed.held(project.folder, note):
        installed.change_synced(project.folder, change, note)
