"""Reads the audit trail and the older files that it was rotated into, in order. Cold.

A line that a killed writer tore, or that a rotation cut in two, is passed over.
"""

import errno
import json
import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from holdfast.state.audit import KEPT

PAUSE = 0.2  # seconds between looks at a trail that is followed

Record = dict[str, Any]


def records(path: str, since: float = 0.0) -> Iterator[Record]:
    """The records of the trail at `path`, oldest first.

    Args:
        path: the newest file; the older ones are `path.1` and so on.
        since: Unix time in seconds; older records are left out.

    Raises:
        OSError: a file that is there cannot be read.
    """
    with _Opened(path) as files:
        for file in files:
            yield from _records(file, since)


def follow(path: str, since: float, pause: Callable[[float], None] = time.sleep) -> Iterator[Record]:
    """The records of the trail as `records` gives them, and then each that is added, for ever.

    Args:
        path: as for `records`.
        since: as for `records`.
        pause: waits so many seconds.

    Raises:
        OSError: a file that is there cannot be read.
    """
    with _Opened(path) as files:
        current = files.pop() if files and _is(files[-1], path) else None
        for file in files:
            yield from _records(file, since)
        while True:
            while current is None:
                try:
                    current = opened(path)
                except FileNotFoundError:
                    pause(PAUSE)
            try:
                while _is(current, path):  # asked before the file is read: once rotated it grows no more
                    yield from _records(current, since)
                    pause(PAUSE)
                yield from _records(current, since)
            finally:
                current.close()
            current = None


def opened(path: str) -> BinaryIO:
    """One file of the trail, to be read.

    Raises:
        FileNotFoundError: there is none, or a pipe or a device (`/dev/null`), which keeps nothing and may have no end.
        OSError: it cannot be read.
    """
    at_once = getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for who writes to it
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | at_once))  # noqa: SIM115  it is returned
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileNotFoundError(errno.ENOENT, "is no file that keeps anything", path)
    return file


def _is(file: BinaryIO, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _records(file: BinaryIO, since: float) -> Iterator[Record]:
    """What is left in a file. A last line without its end is left for the next time."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        record = _parsed(line)
        if record is not None and moment(record) >= since:
            yield record


def newest(path: str, size: int, holding: bytes = b"") -> list[Record]:
    """The records in the last bytes of the trail's newest file, oldest first; none where it cannot be read.

    Args:
        path: the file.
        size: how many bytes.
        holding: what a record's line must have in it.
    """
    try:
        with opened(path) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - size, 0))
            lines = file.read().splitlines()
    except OSError:
        return []
    found = (_parsed(line) for line in lines if holding in line)
    return [record for record in found if record is not None]


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _finite(text: str) -> float | None:
    """The number, or None for one that `--json` could not print: JSON has no infinity."""
    value = float(text)
    return value if math.isfinite(value) else None


def number(record: Record, key: str) -> float | None:
    """The finite number that a record has under a key, or None."""
    value = record.get(key)
    try:
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
    except OverflowError:  # an integer that no float holds
        return None


def moment(record: Record) -> float:
    """The Unix time of a record in seconds; 0.0 where it has none."""
    return number(record, "time") or 0.0


class _Opened:
    """The trail's files, oldest first, opened together: a rotation meanwhile gives them other names alone."""

    def __init__(self, path: str) -> None:
        self.paths = [f"{path}.{number}" for number in range(KEPT, 0, -1)] + [path]
        self.files: list[BinaryIO] = []

    def __enter__(self) -> list[BinaryIO]:
        known: set[tuple[int, int]] = set()
        for path in reversed(self.paths):  # the newest first: what is rotated meanwhile is met again, not missed
            try:
                file = opened(path)  # closed by __exit__
            except FileNotFoundError:
                continue
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) in known:
                file.close()
                continue
            known.add((found.st_dev, found.st_ino))
            self.files.insert(0, file)
        return self.files

    def __exit__(self, *what: object) -> None:
        for file in self.files:
            file.close()
