"""Keeps what has no place: in the state while it is small, else as copies of the original files beside it.

`imported` of the state holds, for each state that was taken over, {file, sha256, at, kept, rest}.
"""

import json
import os
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.lean import sync
from holdfast.state import durable
from holdfast.state.schema import IMPORTED_SIZE, IMPORTS

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.legacy.original import Original

FOLDER = "imported"
INLINE = 16 << 10  # characters of one rest: every update reads and writes the state whole
SHORT = 12  # digits of the digest in a folder's name


def known(state: "State", digest: str) -> bool:
    """Whether this very content was taken over already."""
    return any(entry["sha256"] == digest for entry in state.get("imported", {}).values())


def keep(  # noqa: PLR0913, PLR0917  where, whose, what, what of it is left, when, and what holds it already
    folder: str, state: "State", name: str, original: "Original", rest: dict[str, Any], at: float, kept: str | None
) -> str:
    """Note that a state was taken over, with what has no place; the entry's name under `imported`.

    Args:
        folder: the project's `.holdfast`.
        state: ours, changed in place.
        name: whose state it was.
        original: as it was read.
        rest: what has no place.
        at: Unix time in seconds.
        kept: what holds the whole of it already, or None.

    Raises:
        HoldfastError: 20 states were taken over already.
        OSError: a copy cannot be written.
    """
    imported = dict(state.get("imported", {}))
    if len(imported) >= IMPORTS:
        raise HoldfastError(
            f"{IMPORTS} states were imported already: `holdfast state reset` begins anew, after a backup"
        )
    digest = original.digest(name)
    size = len(json.dumps(rest))
    there = sum(len(json.dumps(entry["rest"])) for entry in imported.values())
    if size > INLINE or size + there > IMPORTED_SIZE:
        kept = f"{FOLDER}/{name}-{digest[:SHORT]}"
        for file, data in original.files.items():
            _copy(os.path.join(folder, kept), file, data)
        rest = {}
    entry = name
    number = 1
    while entry in imported:
        number += 1
        entry = f"{name}-{number}"
    imported[entry] = {
        "file": os.path.abspath(original.path),
        "sha256": digest,
        "at": round(at, 3),
        "kept": kept,
        "rest": rest,
    }
    state["imported"] = imported
    return entry


def _copy(folder: str, file: str, data: bytes) -> None:
    path = os.path.join(folder, *file.split("/"))
    _make(os.path.dirname(path))
    durable.put(path, data)


def _make(folder: str) -> None:
    """Make a folder and those above it, on the disk before the state speaks of them."""
    if not os.path.isdir(folder):
        _make(os.path.dirname(folder))
        os.mkdir(folder, 0o700)
        sync(os.path.dirname(folder))
