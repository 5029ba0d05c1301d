"""What was carried to which target: the files with their hashes, how, and what came of it.

A target is whatever a script brings files to: another CLI, a server, an account. What is known of each stands in
install.json under `synced`, where states of HarnessSync and cc2all are taken over to, in their words: `file_hashes`,
`sync_method`, the counters `items_synced`, `items_skipped`, `items_failed`, `last_sync`, and `status`, which follows
from the counters.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.errors import ValidationFailed
from holdfast.install import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Target = dict[str, Any]

SUCCESS, PARTIAL, FAILED = "success", "partial", "failed"
SHORTEST = 6  # digits of a hash that still name a file: other tools keep a part of it


class Drift(NamedTuple):
    """How files differ from what was carried to a target, each list sorted."""

    changed: list[str]
    new: list[str]
    removed: list[str]


def status(target: Mapping[str, Any]) -> str:
    """What came of it: success if nothing failed, partial if some did, failed if nothing was carried."""
    failed, carried = _count(target, "items_failed"), _count(target, "items_synced")
    return SUCCESS if not failed else PARTIAL if carried else FAILED


def _count(target: Mapping[str, Any], key: str) -> int:
    value = target.get(key)
    return value if isinstance(value, int) else 0


def hash_of(path: str) -> str | None:
    """The sha256 of a file in hexadecimal digits; None where there is none.

    Raises:
        HoldfastError: it cannot be read.
    """
    data = files.read(path)
    return None if data is None else sha256(data).hexdigest()


def target(root: str, paths: Iterable[str], method: str, skipped: int, failed: int) -> Target:
    """What is to be kept of a target to which `paths` were carried now.

    Args:
        root: the project's folder.
        paths: the files.
        method: how they were carried, a word.
        skipped: how many others were left out.
        failed: how many others could not be carried.

    Raises:
        ValidationFailed: a file is not there.
        HoldfastError: one cannot be read.
    """
    hashes = {}
    for path in paths:
        found = hash_of(path)
        if found is None:
            raise ValidationFailed(f"{path}: there is no such file, so it cannot have been carried to a target")
        hashes[name_of(root, path)] = found
    made: Target = {
        "last_sync": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "file_hashes": hashes,
        "sync_method": dict.fromkeys(hashes, method),
        "items_synced": len(hashes),
        "items_skipped": skipped,
        "items_failed": failed,
    }
    return {**made, "status": status(made)}


def name_of(root: str, path: str) -> str:
    """A file as the record names it: from the project's folder, absolute where it lies outside."""
    full = os.path.abspath(path)
    return os.path.relpath(full, root).replace(os.sep, "/") if full.startswith(root + os.sep) else full


def drift(root: str, known: Target, paths: Iterable[str] = ()) -> Drift:
    """How the files of a target, and `paths` besides, differ from what was carried to it.

    Raises:
        HoldfastError: one cannot be read.
    """
    kept = known.get("file_hashes")
    hashes = {name: str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}
    present = {name: hash_of(os.path.join(root, name)) for name in hashes}
    given = (name_of(root, path) for path in paths if os.path.isfile(path))
    return Drift(
        sorted(name for name, found in present.items() if found and not _same(found, hashes[name])),
        sorted({*given} - hashes.keys()),
        sorted(name for name, found in present.items() if found is None),
    )


def _same(found: str, kept: str) -> bool:
    return found.startswith(kept.lower()) and len(kept) >= SHORTEST
