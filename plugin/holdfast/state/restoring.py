"""Copies of the state as people meet them: listed, chosen by a pattern, and put back in the state's place. Cold."""

import calendar
import fnmatch
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import HoldfastError, StateCorrupt
from holdfast.state import backups, document, recovery

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store

WORD = 40  # characters of a reason in a file's name


class Copy(NamedTuple):
    """One copy. at: Unix time in seconds. size: bytes. state: what it holds, or None where it is damaged."""

    name: str
    path: str
    at: float
    revision: int
    reason: str
    size: int
    state: "State | None"


def word(reason: str) -> str:
    """A reason as it may stand in a file's name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "-" for c in reason)
    found = "-".join(part for part in plain.split("-") if part)[:WORD].strip("-.") or "manual"
    return f"{found}-asked" if found == backups.START else found  # of those named so, hooks keep one a minute


def listed(folder: str) -> list[Copy]:
    """All copies, the newest first: the dated ones, and the two previous revisions."""
    found = []
    for name in [*backups.dated(folder), *backups.UNDATED]:
        path = os.path.join(folder, backups.FOLDER, name)
        try:
            data = os.stat(path)
            state = recovery.read_copy(path)
        except OSError:  # let go of, or about to be the next revision
            continue
        if name in backups.UNDATED:
            at, revision, reason = data.st_mtime, state["revision"] if state else 0, name.removesuffix(".json")
        else:
            stamp, revision, reason = backups.parts(name)
            at = _unix(stamp, data.st_mtime)
        copy = Copy(name, path, at, revision, reason, data.st_size, state)
        found.append((revision, int(at), data.st_mtime_ns, copy))  # two of one second: their files know
    return [row[-1] for row in sorted(found, key=lambda row: row[:-1], reverse=True)]


def _unix(stamp: str, default: float) -> float:
    try:
        return float(calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return default


def choose(folder: str, pattern: str, present: int | None) -> Copy:
    """The newest valid copy, or the newest valid one of those that a pattern names.

    Args:
        folder: the project's `.holdfast`.
        pattern: a part of the name, or a glob; "" for any dated copy, and for the previous revisions as well if there
            is no valid state before which it was.
        present: the revision of the present state, whose own copies come last; None where it is damaged.

    Raises:
        HoldfastError: no copy is named like that.
        StateCorrupt: none that could be restored is valid.
    """
    found = listed(folder)
    if pattern:
        name = os.path.basename(pattern)
        fits = [copy for copy in found if name in copy.name or fnmatch.fnmatchcase(copy.name, name)]
        if not fits:
            raise HoldfastError(f"no backup is named like {pattern!r}: `holdfast state backups` lists them")
    elif present is not None:
        dated = [copy for copy in found if copy.name not in backups.UNDATED]
        fits = [copy for copy in dated if copy.revision != present] or dated
    else:
        fits = found
    for copy in fits:
        if copy.state is not None:
            return copy
    what = f"none of {', '.join(copy.name for copy in fits[:3])} is valid" if fits else "there is no backup"
    raise StateCorrupt(f"{os.path.join(folder, backups.FOLDER)}: {what}; `holdfast state reset` begins anew")


def put_back(present: "State", saved: "State", name: str, at: float) -> None:
    """Make the present state what a saved one was, in place.

    Revisions go on, and events that were applied since do not count again when a host delivers them once more. What the
    user is still to be told, and the degraded mode, stay.
    """
    revision, recoveries = present["revision"], present["stats"]["recoveries"]
    now = {key: present[key] for key in ("notices", "degraded_mode")}
    recent = [once for once in saved["recent"] if once not in present["recent"]] + present["recent"]
    present.clear()
    present.update(saved, **now)
    present["revision"] = max(revision, saved["revision"] + 1)
    present["stats"]["recoveries"] = max(recoveries, saved["stats"]["recoveries"]) + 1
    present["recent"] = recent[-document.RECENT :]
    document.notice(present, at, f"The workflow state was put back to the copy {name}.")


def present_revision(store: "Store") -> int | None:
    """The revision of a state that is valid as it lies there; None for one that is damaged or gone.

    Raises:
        StateCorrupt: a newer release wrote it.
        HoldfastError: it cannot be read.
    """
    from holdfast.errors import from_os

    try:
        data, _sealed = recovery.settled(store.path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os(error, store.path) from None
    found = recovery.parsed(data)
    if found is None:
        return None
    recovery.refuse_newer(store.path, found)
    state = recovery.validated(data)
    return state["revision"] if state is not None else None
