"""`holdfast state migrate`: bring the state of an older release up to this one's schema."""

from typing import TYPE_CHECKING

import click

from holdfast.cli import merge_patch
from holdfast.cli.groups import Command
from holdfast.cli.output import say
from holdfast.errors import StateCorrupt, ValidationFailed, from_os

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store


@click.command(cls=Command)
@click.option("--to", type=int, metavar="N", help="The schema version to end at; default: this release's.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
def migrate(to: "int | None", dry_run: bool) -> None:
    """Bring the state up to this release's schema.

    Any update does so by itself, after a backup named before-migration. Each migration is rehearsed on a copy, which
    must be a valid state; the names of those applied are in the state's metadata.migrations. There is no way back
    but the backup. A state of a newer release is left alone, exit code 3.

    Examples:
      holdfast state migrate --dry-run
      holdfast state migrate
    """
    from holdfast.project import Project
    from holdfast.state import document, migrations

    project = Project.find()
    found = _document(project.store)
    start, newest = migrations.version_of(found) or 0, document.SCHEMA_VERSION
    end = newest if to is None else to
    if end > newest:
        raise ValidationFailed(f"there is no schema {end}: this Holdfast knows {newest}")
    if end < start:
        raise ValidationFailed(
            f"the state has schema {start}, and no migration leads back: `holdfast state recover before-migration "
            "--force` puts back what it was, for the release that wrote it"
        )
    steps = migrations.pending(found, end)
    if not steps:
        say(f"{project.store.path}: schema {start}: nothing to migrate")
        return
    names = ", ".join(step.name for step in steps)
    after = migrations.rehearse(found, end)
    if dry_run:
        say(f"schema {start} to {end}: {names}")
        for line in merge_patch.differences({key: value for key, value in found.items() if key != "seal"}, after):
            say(line)
        say("this was a dry run: nothing was written")
        return
    if end != newest:
        raise ValidationFailed(f"this Holdfast works with schema {newest} alone: leave --to out, or add --dry-run")
    project.recovered()
    say(f"{project.store.path}: schema {start} to {end}: {names}")


def _document(store: "Store") -> "State":
    """The document as it lies there.

    Raises:
        StateCorrupt: there is none, or a newer release wrote it.
        HoldfastError: it cannot be read.
    """
    from holdfast.state import document, recovery

    try:
        found = recovery.parsed(recovery.settled(store.path)[0])
    except FileNotFoundError:
        return {"schema_version": document.SCHEMA_VERSION}  # the first event makes one that needs nothing
    except OSError as error:
        raise from_os(error, store.path) from None
    if found is None:
        raise StateCorrupt(f"{store.path}: damaged: `holdfast state recover` brings back the newest valid copy")
    recovery.refuse_newer(store.path, found)
    return found
