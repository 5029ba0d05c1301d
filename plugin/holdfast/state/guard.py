"""The lock that guards the state: a kernel lock on a file that is never unlinked.

A kernel lock dies with its holder, however it dies, so there are no stale locks and no guessing by process id. The file
stays: unlinking a locked file splits those who wait across two inodes, and both get in.
"""

from time import monotonic

from holdfast import deadline
from holdfast.lean import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import fcntl
    import sys
    from typing import Any

    if sys.platform == "win32":
        import msvcrt
else:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        fcntl = None

TAKEN = (BlockingIOError, PermissionError)  # EWOULDBLOCK of flock, EACCES of msvcrt.locking
KERNEL_WAIT = 0.65  # seconds: waiting in the kernel served two to three times as many as polling, and 0.25 spooled more

SOFT: "dict[int, Any]" = {}  # the soft locks that stand in for such locks, by the descriptors of `acquire`


class Busy(Exception):
    """Somebody else held the lock for the whole budget."""


def _try(fd: int) -> bool:
    try:
        if fcntl is None:
            os.lseek(fd, 0, 0)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[name-defined,unused-ignore]
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except TAKEN:
        return False
    return True


def _wait_in_kernel(fd: int, seconds: float) -> bool:
    """Sleep until the kernel hands the lock over, at most `seconds`. Needs the deadline's timer to be ended."""
    deadline.limit(seconds)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except deadline.Expired:
        if deadline.left() <= 0:
            raise
        return False
    except InterruptedError:
        return False
    finally:
        deadline.restore()
    return True


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def absent(error: BaseException) -> bool:
    """Whether it is what a file system without kernel locks answers."""
    import errno  # 0.05 ms

    # ENOTSUP is EOPNOTSUPP on Linux and another number elsewhere
    answers = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, getattr(errno, "ENOTSUP", errno.ENOSYS))
    return isinstance(error, OSError) and error.errno in answers


def _in_line(path: str, budget: float, guarded: str) -> bool:
    """Whether who comes is to wait its turn: a command or a program that updates, and can wait, not a hook."""
    return budget > 0 and fcntl is not None and guarded != path and not deadline.running()


def _behind_others(path: str) -> bool:
    from holdfast.state import line

    return line.somebody(path)


def acquire(path: str, budget: float, guarded: str) -> "tuple[int, float]":
    """Take the lock at `path`: at once, else by waiting in the kernel, else by tenacity's backoff.

    Where the lock went from hand to hand all the while, there is no point in waiting on: importing tenacity would take
    more of the processor than the update, from those whose turn it is. Commands and programs wait in line.

    Args:
        path: the lock file; made with mode 0600 where it is missing.
        budget: seconds that all of it may take; 0 = one try.
        guarded: the file that the holders replace; `path` itself where there is none.

    Returns:
        A file descriptor that holds the lock until `release`, and the seconds waited.

    Raises:
        Busy: it was taken for the whole budget.
        OSError: the file cannot be opened, or the file system has no locks and `path` stands for itself.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    fd = os.open(path, flags, 0o600)
    try:
        in_line = _in_line(path, budget, guarded)
        if not (in_line and _behind_others(path)) and _try(fd):
            return fd, 0.0
        start = monotonic()
        moving = False
        if budget > 0 and fcntl is not None and deadline.running():
            before = _changed(guarded)
            if _wait_in_kernel(fd, min(KERNEL_WAIT, budget)):
                return fd, monotonic() - start
            moving = _changed(guarded) != before
        rest = budget - (monotonic() - start)
        if rest > 0 and not moving and _wait(fd, path, rest, in_line=in_line):
            return fd, monotonic() - start
        raise Busy(path)  # noqa: TRY301  the descriptor is closed below
    except BaseException as error:
        os.close(fd)
        if guarded == path or not absent(error):
            raise
    from holdfast.state import soft

    return soft.acquire(path, budget, flags)


def _wait(fd: int, path: str, seconds: float, *, in_line: bool) -> bool:
    if in_line:
        from holdfast.state import line

        return line.wait(lambda: _try(fd), path, seconds)
    from holdfast.state import backoff

    return backoff.until(lambda: _try(fd), seconds)


def release(fd: int) -> None:
    """Let go. Closing the only descriptor of the open file releases its lock."""
    if fcntl is None:
        os.lseek(fd, 0, 0)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)  # type: ignore[name-defined,unused-ignore]
    os.close(fd)
    if SOFT and (soft := SOFT.pop(fd, None)):
        soft.release()
