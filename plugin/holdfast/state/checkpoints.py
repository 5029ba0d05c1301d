"""Checkpoints: named copies of the state, made before something risky, which a person can go back to. Cold.

A checkpoint is one sealed file, `.holdfast/checkpoints/checkpoint-<UTC time>-<operation>.json`. The newest 50 are kept.
"""

import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.errors import HoldfastError, StateCorrupt, ValidationFailed
from holdfast.lean import dumps, join, loads, read
from holdfast.state import document, durable

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store

FOLDER = "checkpoints"
PREFIX = "checkpoint-"
SUFFIX = ".json"
LATEST = "latest"  # stands for the newest one's id, but for those that undo a restoration
UNDO = "before-restore"  # their operation
KEPT = 50
OPERATION_LIMIT = 60  # characters of it in a name
METADATA_LIMIT = 16 << 10  # bytes
DAY = 86400  # seconds
STAMP = re.compile(r"checkpoint-(\d{8}-\d{6})-.+\Z")
KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "operation": str,
    "phase": (str, type(None)),
    "metadata": dict,
    "at": (int, float),
    "state": dict,
}


class Checkpoint(NamedTuple):
    """One checkpoint. at: Unix time in seconds. size: bytes of its file. fault: what is wrong with it, or ""."""

    id: str
    at: float
    size: int
    operation: str = ""
    phase: str | None = None
    metadata: dict[str, Any] = {}  # noqa: RUF012  nobody alters it
    state: dict[str, Any] = {}  # noqa: RUF012
    fault: str = ""


def create(  # noqa: PLR0913, PLR0917  one a fact
    folder: str,
    state: "State",
    operation: str,
    phase: str | None = None,
    metadata: dict[str, Any] | None = None,
    kept: str = "",
) -> str:
    """Keep a sealed copy of `state`, on the disk when this returns, and let go of the oldest beyond 50.

    Args:
        folder: the project's `.holdfast`.
        state: what is kept.
        operation: what it is made before; it is part of the name.
        phase: the phase to note; None for the state's own.
        metadata: anything else that JSON can hold, up to 16 KiB.
        kept: the id of one that stays, however old: it is about to be restored.

    Returns:
        The checkpoint's id.

    Raises:
        ValidationFailed: the operation has no letter or digit, or the metadata are too large.
        OSError: it cannot be written.
    """
    word = re.sub(r"[^A-Za-z0-9._]+", "-", operation).strip("-._")[:OPERATION_LIMIT]
    if not word:
        raise ValidationFailed(f"{operation!r} is no name for an operation: it needs a letter or a digit")
    if len(dumps(metadata or {})) > METADATA_LIMIT:
        raise ValidationFailed(f"the metadata have more than {METADATA_LIMIT >> 10} KiB: keep them elsewhere")
    at = round(time.time(), 3)
    name = stem = f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S', time.gmtime(at))}-{word}"
    taken = {other.lower() for other in names(folder)}  # file systems may not tell names by case
    number = 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    content = {
        "id": name,
        "operation": operation[:300],
        "phase": state["phase"] if phase is None else phase,
        "metadata": metadata or {},
        "at": at,
        "state": state,
    }
    durable.put(path_of(folder, name), document.encode(content))
    for old in names(folder)[:-KEPT]:
        if old not in (name, kept):  # whatever the clock said when the others were made
            _remove(folder, old)
    return name


def path_of(folder: str, name: str) -> str:
    """The file of the checkpoint whose id is `name`."""
    return join(join(folder, FOLDER), name + SUFFIX)


def names(folder: str) -> list[str]:
    """The ids of all checkpoints, oldest first; those of one second in the order in which their files were written."""
    try:
        found = [entry for entry in os.scandir(join(folder, FOLDER)) if entry.name.endswith(SUFFIX)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    ordered = []
    for entry in found:
        name = entry.name.removesuffix(SUFFIX)
        if stamp := STAMP.match(name):
            try:
                ordered.append((stamp[1], entry.stat(follow_symlinks=False).st_mtime_ns, name))
            except FileNotFoundError:  # let go of a moment ago
                continue
    return [name for _stamp, _written, name in sorted(ordered)]


def latest(folder: str) -> str:
    """The id of the newest checkpoint that is whole and was not made to undo a restoration; "" without one."""
    return next((kept.id for kept in found(folder) if not kept.fault and kept.operation != UNDO), "")


def load(folder: str, name: str) -> Checkpoint:
    """The checkpoint with the id `name`; `latest` is the newest.

    Raises:
        HoldfastError: there is none.
        StateCorrupt: its file is damaged.
        OSError: it cannot be read.
    """
    newest = latest(folder)
    name = newest if name == LATEST and newest else name.removesuffix(SUFFIX)
    if name not in names(folder):
        there = f"the newest is {newest}" if newest else "there is none yet"
        raise HoldfastError(f"there is no checkpoint {name}: {there}; `holdfast recovery list` shows all")
    found = _read(folder, name)
    if found.fault:
        raise StateCorrupt(f"{path_of(folder, name)}: {found.fault}; nothing was changed: restore another checkpoint")
    return found


def found(folder: str) -> list[Checkpoint]:
    """All checkpoints, newest first; a damaged one too, with its fault."""
    return [_read(folder, name) for name in reversed(names(folder))]


def _read(folder: str, name: str) -> Checkpoint:
    path = path_of(folder, name)
    at = _at(name)
    try:
        data = read(path)
    except OSError as error:
        return Checkpoint(name, at, 0, fault=error.strerror or str(error))
    content = document.decode(data)
    if content is None or any(not isinstance(content.get(key), kind) for key, kind in KEYS.items()):
        return Checkpoint(name, at, len(data), fault="damaged")
    return Checkpoint(
        name,
        content["at"],
        len(data),
        content["operation"],
        content["phase"],
        content["metadata"],
        content["state"],
    )


def _at(name: str) -> float:
    import calendar

    stamp = STAMP.match(name)
    try:
        return float(calendar.timegm(time.strptime(stamp[1], "%Y%m%d-%H%M%S"))) if stamp else 0.0
    except ValueError:  # digits that are no date
        return 0.0


def restore(store: "Store", state: "State", checkpoint: Checkpoint) -> str:
    """Put a checkpoint's state in the place of `state`, in place, once that was kept twice: to be undone.

    What happened stays known: the revision goes on, events that were applied are not applied again, the user's notices
    and the degraded mode stay. For who holds the lock and has raised the revision.

    Args:
        store: whose state it is.
        state: the state as it is; altered.
        checkpoint: what it shall be.

    Returns:
        The id of the checkpoint that undoes it.

    Raises:
        StateCorrupt: the checkpoint's state was written by a newer release.
        ValidationFailed: it is no valid state.
        OSError: what is there cannot be backed up; nothing was changed.
    """
    from holdfast.state import migrations, restoring, schema

    where = path_of(store.folder, checkpoint.id)
    wanted: State = loads(dumps(checkpoint.state))
    if migrations.older(wanted):
        wanted = migrations.rehearse(wanted)
    if wanted.get("schema_version") != document.SCHEMA_VERSION:
        raise StateCorrupt(f"{where}: written by a newer Holdfast: upgrade; nothing was changed")
    schema.validate(wanted, where)
    now = round(time.time(), 3)
    before = {**state, "revision": state["revision"] - 1}
    store.back_up(before, now, UNDO)
    undo = create(store.folder, before, UNDO, metadata={"restored": checkpoint.id}, kept=checkpoint.id)
    saves = state["stats"]["saves_count"]
    restoring.put_back(state, wanted, checkpoint.id, now)
    state["stats"]["saves_count"] = saves
    for session in state["sessions"].values():  # their agents know another phase
        session["told"], session["activated"] = None, []
    return undo


def cleanup(folder: str, days: float) -> list[str]:
    """Remove the checkpoints that are older than `days`; their ids."""
    limit = time.time() - days * DAY
    old = [name for name in names(folder) if _at(name) <= limit]
    return [name for name in old if _remove(folder, name)]


def _remove(folder: str, name: str) -> bool:
    try:
        os.unlink(path_of(folder, name))
    except FileNotFoundError:
        return False
    return True
