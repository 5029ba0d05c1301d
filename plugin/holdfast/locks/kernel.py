"""Kernel locks on files: they end with their holder, and with whoever inherited them from it.

A file system without them (some that lie across a network) is served by filelock's soft lock, which is broken when its
holder is gone.
"""

import contextlib
import os
from collections.abc import Iterator

from holdfast.errors import LockTimeout
from holdfast.state import guard

NONE = -1  # stands for the descriptor of a lock that the file system does not have


@contextlib.contextmanager
def exclusive(path: str, budget: float) -> Iterator[None]:
    """Hold the lock on a file, which stays, for the time of a few file operations.

    Args:
        path: the lock file; made where it is missing.
        budget: seconds to wait.

    Raises:
        LockTimeout: somebody held it for the whole budget.
        OSError: the file cannot be opened.
    """
    with contextlib.ExitStack() as held:
        try:
            fd = seize(path, budget)
            if fd == NONE:
                held.enter_context(_soft(f"{path}.soft", budget))
            else:
                held.callback(guard.release, fd)
        except guard.Busy:
            raise LockTimeout(
                f"{path}: another process held it for {budget:g} s, which should take milliseconds: is one stopped?"
            ) from None
        yield


def seize(path: str, budget: float = 0.0) -> int:
    """Take the lock on a file until the descriptor that is returned is closed, or NONE.

    Raises:
        Busy: somebody held it for the whole budget.
        OSError: the file cannot be opened.
    """
    try:
        return guard.acquire(path, budget, path)[0]
    except OSError as error:
        if guard.absent(error):
            return NONE
        raise


def seized(path: str) -> "bool | None":
    """Whether somebody holds the lock on a file; None if that cannot be told.

    It is tried for, so two that ask at once would see each other: who asks, holds the mutex.
    """
    if not os.path.lexists(path):
        return False
    try:
        fd = seize(path)
    except guard.Busy:
        return True
    except OSError:  # a read-only checkout, another user's file
        return None
    if fd == NONE:
        return None
    guard.release(fd)
    return False


@contextlib.contextmanager
def _soft(path: str, budget: float) -> Iterator[None]:
    from filelock import SoftFileLock, Timeout

    from holdfast.state import soft

    soft.clear_torn(path)
    lock = SoftFileLock(path, timeout=budget, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise guard.Busy(path) from None
    try:
        yield
    finally:
        lock.release()
