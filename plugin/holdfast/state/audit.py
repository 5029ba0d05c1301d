"""The audit trail: one JSON line for what a hook or a command decided. Never a prompt, never a file's content.

The file is rotated at 5 MB, and three older ones are kept: `audit.jsonl.1` is the newest of them.
"""

from holdfast.lean import dumps, os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 5_000_000  # bytes
KEPT = 3


def append(path: str, record: "dict[str, Any]") -> None:
    """Add one line. A trail that cannot be written stops nobody: the error is dropped."""
    line = {name: value for name, value in record.items() if value not in (None, "")}
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for who reads from it
        fd = os.open(path, flags, 0o600)
        try:
            data = dumps(line).encode("ascii") + b"\n"
            done = os.write(fd, data)
            if done < len(data):  # a full disk took a part of it, from which the next line would run on
                os.ftruncate(fd, os.fstat(fd).st_size - done)
            full = os.fstat(fd).st_size > LIMIT
        finally:
            os.close(fd)
        if full:
            rotate(path)
    except Exception:  # noqa: BLE001, S110  what it tells of has happened
        pass


def rotate(path: str) -> None:
    """Move the trail aside. Two that rotate at once may leave one older file less, never a line of the newest."""
    if os.stat(path).st_size <= LIMIT:
        return
    for number in range(KEPT - 1, 0, -1):
        try:
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        except FileNotFoundError:
            pass
    os.replace(path, f"{path}.1")
