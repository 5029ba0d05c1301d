"""One installation at a time in one place. Standard library only: install.py runs before anything is installed.

The kernel holds the lock, so it ends with its holder. `holdfast.state.guard` is the state's lock: it is built for hooks
and waits with tenacity.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from typing import TYPE_CHECKING

from holdfast.errors import LockTimeout
from holdfast.install.files import explain
from holdfast.state.guard import absent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET = 900.0  # seconds: a first installation over a slow network takes minutes
POLL = 0.1
TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    def _try(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _still_there(fd: int, path: str) -> bool:
    """Whether `path` is the open file: `--purge` deletes it, and who waited for it then holds nothing."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


@contextlib.contextmanager
def locked(path: str, waiting: Callable[[], None], budget: float = BUDGET) -> Iterator[int]:
    """Hold the lock file `path`, which stays. Where the file system has no locks, nobody is kept out.

    Args:
        path: the lock file; made where it is missing.
        waiting: called once if somebody else holds it.
        budget: seconds to wait.

    Yields:
        The descriptor that holds it. A process that inherits it (never on Windows) holds on after this one's end.

    Raises:
        LockTimeout: somebody else held it all the time.
        HoldfastError: it cannot be opened.
    """
    end = time.monotonic() + budget
    told = False
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise explain(error, f"cannot write {path}") from None
        try:
            _try(fd)
            if _still_there(fd, path):
                break
            os.close(fd)
        except OSError as error:
            if absent(error):  # all that is written is replaced as a whole: the lock only keeps the order
                break
            os.close(fd)
            if error.errno not in TAKEN:
                raise explain(error, f"cannot lock {path}") from None
            if time.monotonic() > end:
                raise LockTimeout(f"{path}: another installation has not ended in {budget:.0f} s") from None
            if not told:
                waiting()
                told = True
            time.sleep(POLL)
    try:
        yield fd
    finally:
        os.close(fd)
