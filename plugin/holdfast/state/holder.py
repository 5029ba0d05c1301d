"""Who holds the state's lock, where the system tells. Cold: for `holdfast status`."""

import os
from typing import Any

from holdfast.lean import read

LOCKS = "/proc/locks"  # proc(5): "1: FLOCK  ADVISORY  WRITE 4711 fd:01:131 0 EOF", device in hex, inode in decimal


def find(path: str) -> dict[str, Any] | None:
    """The process that holds the kernel lock on a file as {"pid", "command"}.

    None if nobody does, or if the system does not tell (only Linux does). The command is its program's name, or "".
    """
    try:
        found = os.stat(path)
        table = read(LOCKS).decode("ascii", "replace")
    except OSError:
        return None
    for line in table.splitlines():
        words = line.split()
        if len(words) == 8 and words[1] == "FLOCK" and _same(words[5], found):  # noqa: PLR2004  waiters have "->" more
            return {"pid": int(words[4]), "command": _command(words[4])}
    return None


def _same(place: str, found: os.stat_result) -> bool:
    """Whether a place of the table is that file. A file system of several devices (btrfs) shows another one here."""
    _device, _, inode = place.rpartition(":")
    return inode == str(found.st_ino)


def _command(pid: str) -> str:
    try:
        return read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    except OSError:
        return ""
