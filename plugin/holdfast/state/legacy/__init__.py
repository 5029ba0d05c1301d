"""States of other tools that are taken over, one importer module each. Cold.

Each importer has the same few names:
    NAME                 what the tool is called
    find(root)           the path of its state for the project at `root`, or None
    read(path)           an Original: what stands there; ValidationFailed if it is not this tool's
    convert(original)    a Legacy: the facts that have a place in our state, and the rest

They read, and know nothing of our state; `holdfast.state.legacy.merging` puts the facts into it, and
`holdfast.state.legacy.keeping` keeps what has no place. The originals are never changed.
"""

from typing import Protocol

from holdfast.errors import ValidationFailed
from holdfast.state.legacy import claude_dev_pipeline, gsd_multi, harness_sync, hydraflow, palingenesis
from holdfast.state.legacy.original import Legacy, Original


class Importer(Protocol):
    """What each importer module has."""

    NAME: str

    def find(self, root: str) -> str | None:
        """The path of its state for the project at `root`."""

    def read(self, path: str) -> Original:
        """What stands there."""

    def convert(self, original: Original) -> Legacy:
        """The facts in it."""


IMPORTERS: dict[str, Importer] = {
    module.NAME: module for module in (claude_dev_pipeline, palingenesis, gsd_multi, hydraflow, harness_sync)
}


def read(path: str, name: str = "") -> tuple[Importer, Original]:
    """Whose state a file is, and what stands in it.

    Args:
        path: the file.
        name: whose it is, if that is known.

    Raises:
        ValidationFailed: it is no state that can be taken over, or not that tool's.
        HoldfastError: it cannot be read.
    """
    if name:
        return IMPORTERS[name], IMPORTERS[name].read(path)
    reasons = []
    for importer in IMPORTERS.values():
        try:
            return importer, importer.read(path)
        except ValidationFailed as error:
            reasons.append(str(error))
    if len(set(reasons)) == 1:  # it is no JSON, or too large, for each of them
        raise ValidationFailed(reasons[0])
    raise ValidationFailed(f"{path}: no state of {', '.join(IMPORTERS)}: nothing was imported")


def find(root: str) -> list[tuple[Importer, str]]:
    """The states of other tools that lie in a project, or in the home for it."""
    return [(importer, path) for importer in IMPORTERS.values() if (path := importer.find(root))]


__all__ = ["IMPORTERS", "Importer", "find", "read"]
