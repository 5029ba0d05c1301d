"""The records of who holds a lock and who waits for it: one JSON file each, replaced as a whole.

`build~3f0c9a1b2d4e.json` is the record of one holder of the lock `build`. While its process holds or waits, that
process has the kernel lock on `build~3f0c9a1b2d4e.held`. Records change under the folder's mutex alone.
"""

import os
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.events import clean
from holdfast.install import files
from holdfast.lean import dumps, join, loads, read
from holdfast.locks import kernel, names
from holdfast.locks.owner import Owner

LIMIT = 65536  # bytes of a record
PIDS = 1 << 32  # process ids: Windows has them up to here
MOST = 1 << 53  # of times and numbers in a record: what a double holds exactly
RECORD, HELD = ".json", ".held"
HELD_NOW, WAITING, STALE, DAMAGED = "held", "waiting", "stale", "damaged"


@dataclass
class Holder:
    """One that holds a lock, or waits for it.

    name: of the lock. kind: "lease" or "process". shared: with others that share it. order: who came first. since: Unix
    time in seconds of when it was taken, or when the waiting began. ttl: seconds that a lease lasts from its last
    renewal, or None. expires: Unix time at which it runs out, or None. meta: what its taker wants others to know.
    kernel_lock: False where the file system has none. child: process id of the command that runs under the lock, or 0.
    status: held, waiting, stale or damaged, as of when it was read.
    """

    name: str
    id: str
    kind: str
    owner: Owner
    shared: bool = False
    waiting: bool = False
    kernel_lock: bool = True
    order: int = 0
    command: str = ""
    since: float = 0.0
    ttl: "float | None" = None
    expires: "float | None" = None
    meta: "dict[str, Any]" = field(default_factory=dict)
    child: int = 0
    status: str = HELD_NOW

    @property
    def pid(self) -> int:
        """The process to look at: the command under the lock, or the owner."""
        return self.child or self.owner.pid

    def record(self) -> "dict[str, Any]":
        """What its file holds."""
        made = asdict(self) | {"owner": self.owner._asdict()}
        del made["status"], made["id"]
        return made

    def shown(self) -> "dict[str, Any]":
        """What `holdfast lock list --json` shows of it."""
        shown = {name: getattr(self, name) for name in ("name", "id", "kind", "shared", "status", "pid", "command")}
        return shown | {"since": self.since, "expires": self.expires, "meta": self.meta, "host": self.owner.host}

    def describe(self) -> str:
        """Who it is, in one line."""
        if self.status == DAMAGED:
            return f"a record that cannot be read ({self.name}~{self.id}{RECORD}; `holdfast lock clean` removes it)"
        how = "shared" if self.shared else "exclusive"
        who = f"pid {self.pid}" + (f" ({clean(self.command, 80)})" if self.command else "")
        line = f"{'waiting: ' if self.waiting else ''}{who}, {how}, since {utc(self.since)}"
        if self.expires is not None:
            line += f", until {utc(self.expires)}"
        return line + (f", {clean(dumps(self.meta), 200)}" if self.meta else "")


def utc(at: float) -> str:
    """A Unix time in seconds for people."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    except (ValueError, OverflowError, OSError):
        return f"{at:g}"


def path(folder: str, name: str, identity: str, ending: str) -> str:
    """Where a file of a record is."""
    return join(folder, f"{names.key(name)}~{identity}{ending}")


def save(folder: str, holder: Holder) -> None:
    """Write a record, whole or not at all.

    Raises:
        HoldfastError: it cannot be written.
    """
    data = dumps(holder.record()).encode("ascii") + b"\n"
    files.replace(path(folder, holder.name, holder.id, RECORD), data, 0o600, follow=False)


def remove(folder: str, holder: Holder, *, whole: bool = True) -> None:
    """Remove a record and its kernel lock's file, or the latter alone.

    Raises:
        OSError: it is there and stays.
    """
    for ending in (RECORD, HELD) if whole else (HELD,):
        forget(path(folder, holder.name, holder.id, ending))


def forget(name: str) -> None:
    """Delete a file that may be gone already.

    Raises:
        OSError: it is there and stays.
    """
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass


def sweep(folder: str) -> None:
    """Remove what killed processes left half done. Whoever writes here holds the mutex, and so does the caller.

    Raises:
        OSError: something is there and stays.
    """
    there = set(os.listdir(folder))
    for entry in there:
        place = join(folder, entry)
        unused = entry.endswith(HELD) and entry[: -len(HELD)] + RECORD not in there and not kernel.seized(place)
        left = unused or (entry.startswith(".") and entry.endswith(".tmp"))
        if "~" in entry and left and not os.path.isdir(place):
            forget(place)


def load(folder: str, now: float, name: str = "") -> "list[Holder]":
    """All records, or those of one lock, each with its status at the Unix time `now`; the oldest first.

    Raises:
        OSError: the folder cannot be read.
    """
    start = f"{names.key(name)}~" if name else ""
    try:
        found = [entry for entry in os.listdir(folder) if entry.startswith(start) and entry.endswith(RECORD)]
    except FileNotFoundError:
        return []
    holders = []
    for entry in found:
        lock, mark, identity = entry[: -len(RECORD)].partition("~")
        if not lock or not mark or entry.startswith("."):
            continue
        try:
            holder = _parsed(lock, identity, read(join(folder, entry), LIMIT))
        except FileNotFoundError:  # released just now
            continue
        except (OSError, ValueError, TypeError):
            if os.path.isdir(join(folder, entry)):  # somebody else's: we make no folders here
                continue
            seized = kernel.seized(path(folder, lock, identity, HELD))
            nobody = Owner(0, "", "", "", "")
            holder = Holder(lock, identity, "process" if seized else "lease", nobody, status=DAMAGED)
        else:
            holder.status = _status(folder, holder, now)
        holders.append(holder)
    return sorted(holders, key=lambda holder: (holder.order, holder.since, holder.id))


def _status(folder: str, holder: Holder, now: float) -> str:
    if holder.kind == "lease" and not holder.waiting:
        stale = holder.owner.gone() or (holder.expires is not None and holder.expires <= now)
    else:
        place = path(folder, holder.name, holder.id, HELD)
        seized = kernel.seized(place) if holder.kernel_lock else None
        stale = holder.owner.gone() if seized is None else not seized
    return STALE if stale else WAITING if holder.waiting else HELD_NOW


_NUMBER = (int, float)
_KINDS: "dict[str, Any]" = {
    "name": str,
    "kind": str,
    "shared": bool,
    "waiting": bool,
    "kernel_lock": bool,
    "order": int,
    "command": str,
    "since": _NUMBER,
    "ttl": (*_NUMBER, type(None)),
    "expires": (*_NUMBER, type(None)),
    "meta": dict,
    "child": int,
}


def _parsed(lock: str, identity: str, data: bytes) -> Holder:
    """The holder in a record's bytes.

    Raises:
        ValueError: they are no record of this lock.
    """
    told = loads(data)
    if not isinstance(told, dict):
        raise ValueError("no record")  # noqa: TRY004  what is wrong is the file's content
    given: dict[str, Any] = {name: told.get(name) for name in _KINDS}
    owner = told.get("owner")
    right = all(isinstance(value, _KINDS[name]) for name, value in given.items())
    if not right or names.key(given["name"]) != lock or not isinstance(owner, dict):
        raise ValueError("no record of this lock")
    pid = owner.get("pid", 0)
    if not isinstance(pid, int) or not all(0 <= number < PIDS for number in (pid, given["child"])):
        raise ValueError("no process")
    if not all(-MOST < (given[name] or 0) < MOST for name in ("since", "ttl", "expires", "order")):
        raise ValueError("no time")
    dumps(given["meta"])  # a number that JSON does not have was read as infinite
    return Holder(id=identity, owner=Owner(pid, *(str(owner.get(part, "")) for part in Owner._fields[1:])), **given)
