"""`holdfast state`: the state document itself."""

import errno
import os
from typing import TYPE_CHECKING

import click

from holdfast.cli import copies, merge_patch, migrate, takeover
from holdfast.cli import status as overview
from holdfast.cli.access import Done, alter, current, shown
from holdfast.cli.groups import Group
from holdfast.cli.output import say, say_json
from holdfast.errors import HoldfastError, StateCorrupt, ValidationFailed, from_os

if TYPE_CHECKING:
    from holdfast.state.document import State


@click.group(cls=Group)
def state() -> None:
    """Make the state document, read, check and change it, and bring back what it was."""


@state.command()
def init() -> None:
    """Make the state, and leave one that is there as it is.

    A damaged one is brought back from its newest valid copy, one of an older release is migrated. The project needs
    a .holdfast folder: `holdfast init` makes one.

    Examples:
      holdfast state init
    """
    from holdfast.project import Project

    project = Project.find()
    path = project.store.path
    if os.path.exists(path):
        project.recovered()
        say(f"{path}: is there, revision {current(project)['revision']}")
        return

    def change(made: "State") -> Done:
        phase = f"phase {made['phase']}" if made["phase"] else "the workflow has no phases"
        return Done("state init", f"{path}: made, {phase}")

    alter(project, change)


@state.command()
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write it to FILE, with mode 0600.")
def read(out: "str | None") -> None:
    """Print the state as JSON.

    Events that wait in the spool are counted in. A damaged state is brought back from its newest valid copy
    first, and stderr says so.

    Examples:
      holdfast state read
      holdfast state read | jq .phase
      holdfast state read --out snapshot.json
    """
    from holdfast.project import Project

    found = current(Project.find())
    if out is None:
        say_json(found)
        return
    import json

    from holdfast.install import files

    text = json.dumps(found, indent=2) + "\n"
    if os.path.exists(out) and not os.path.isfile(out):  # a device or a pipe, which must not be replaced by a file
        _write_into(out, text)
    else:
        files.replace(out, text.encode("ascii"), 0o600)
    say(f"{out}: written, revision {found['revision']}")


def _write_into(path: str, text: str) -> None:
    """Write to what is no regular file, and do not wait until somebody reads a pipe."""

    def opened(path: str, flags: int) -> int:
        if not hasattr(os, "O_NONBLOCK"):  # Windows
            return os.open(path, flags)
        fd = os.open(path, flags | os.O_NONBLOCK)
        os.set_blocking(fd, True)
        return fd

    try:
        with open(path, "w", encoding="ascii", opener=opened) as file:
            file.write(text)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise HoldfastError(f"{path}: nobody reads this pipe: start its reader first") from None
        raise from_os(error, path) from None


@state.command()
def validate() -> None:
    """Check the state file, and change nothing.

    Exit code 3 if the file is damaged, 4 if it says something that no state says; each such key has a line.

    Examples:
      holdfast state validate
    """
    from holdfast.lean import loads
    from holdfast.project import Project
    from holdfast.state import document, recovery

    store = Project.find().store
    path = store.path
    try:
        data, sealed = recovery.settled(path)
    except FileNotFoundError:
        if recovery.newest_copy(store.folder) is not None:
            raise StateCorrupt(f"{path}: gone; the next update brings back the newest valid copy") from None
        say(f"{path}: there is no state yet; the first event makes one")
        return
    except OSError as error:
        raise from_os(error, path) from None
    try:
        found = loads(data)
    except ValueError as error:
        raise StateCorrupt(
            f"{path}: damaged ({error}); `holdfast state read` brings back the newest valid copy and keeps this file"
        ) from None
    if not isinstance(found, dict):
        raise ValidationFailed(f"{path}: must be an object with the keys of a state")
    if recovery.newer(found):
        raise StateCorrupt(
            f"{path}: written by a newer Holdfast (schema {found['schema_version']}, this one knows "
            f"{document.SCHEMA_VERSION}): upgrade"
        )
    wrong = [f"{path}: {merge_patch.key(place)}: {message}" for place, message in merge_patch.faults(found)]
    if wrong:
        raise ValidationFailed(*wrong)
    edited = "" if sealed else "; edited by hand, the next update seals it again"
    say(f"{path}: valid, revision {found['revision']}{edited}")


@state.command()
def reset() -> None:
    """Begin anew, after a backup of what there is.

    Phases, tasks, signals, counters and imports go; revisions go on. `holdfast state recover before-reset --force`
    takes it back.

    Examples:
      holdfast state reset
    """
    from holdfast import moments
    from holdfast.project import Project, now
    from holdfast.state import document

    project = Project.find()

    def change(found: "State") -> Done:
        path = copies.keep(project, found, "before-reset")
        revision, recent = found["revision"], found["recent"]  # what a host delivers twice counts once, after this too
        found.clear()
        found.update(document.new(now()), revision=revision, recent=recent)
        moments.align(found, now(), project.index)
        return Done("state reset", f"{project.store.path}: begun anew; what it was is kept as {path}")

    alter(project, change)


@state.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the keys above.")
def status(as_json: bool) -> None:
    """Show how the state document fares. `holdfast status` shows what is in it.

    Keys of --json, as in `holdfast status --json`:
      state_file, schema_version, revision, size (bytes), phase, mode, degraded_mode, last_backup, backups,
      spool, lock, errors, updated_at, updated_by

    Examples:
      holdfast state status
      holdfast state status --json | jq .lock
    """
    from holdfast.project import Project

    project = Project.find()
    facts = overview.gather(project, shown(project))
    if as_json:
        say_json({key: facts[key] for key in overview.OF_STATE})
    else:
        overview.show(overview.of_document(facts))


for command in (
    merge_patch.patch,
    copies.backup,
    copies.backups,
    copies.recover,
    migrate.migrate,
    takeover.import_,
):
    state.add_command(command)
