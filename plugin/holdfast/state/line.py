"""A line before the state's lock, for commands and programs: who came first is served first.

Who tries again now and then is passed over by whoever asks at the right moment: of 16 programs that update without
a pause, by tenacity's backoff alone, some waited for 900 ms. The kernel does not help: it wakes all who wait for a
file's lock at once. So each locks one byte of a file that stays empty, the byte that the time names, and is at the head
when nobody has an earlier one. The line is for fairness alone: a place in it dies with its process, and what fails
here costs the place and nothing else. Hooks do not stand in it. Cold.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from holdfast.state import backoff

NEAR, FAR = 0.0003, 0.002  # seconds between tries, at the head and behind it; an update takes longer
GROWTH = 8.0  # by how many times these grow with each second of waiting
LONGEST = 0.1  # seconds
PATIENCE = 0.3  # seconds after which one tries out of turn: who is before may be stopped


def somebody(lock: str) -> bool:
    """Whether others wait for the lock at `lock`, so that who comes has to stand behind them."""
    try:
        fd = os.open(_file(lock), os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # nobody ever had to wait
        return False
    try:
        return not _locked(fd, fcntl.LOCK_EX, 0, 0)
    finally:
        os.close(fd)


def wait(attempt: Callable[[], bool], lock: str, seconds: float) -> bool:
    """Try, once it is this process's turn, until `attempt` answers True, at most `seconds`; whether it did.

    Args:
        attempt: tries for the lock.
        lock: the path of its file; the line's is beside it.
        seconds: how long to wait.
    """
    came = time.monotonic()
    with _place(lock) as at_head:

        def due() -> bool:
            return at_head() or time.monotonic() - came > PATIENCE

        def pause(waited: float) -> float:
            return min((NEAR if at_head() else FAR) * (1 + GROWTH * waited), LONGEST)

        # once more at the end: who is before may be stopped, and the lock free
        return backoff.until(lambda: due() and attempt(), seconds, pause) or attempt()


def _file(lock: str) -> str:
    return f"{lock}.line"


@contextlib.contextmanager
def _place(lock: str) -> "Iterator[Callable[[], bool]]":
    """A place in the line; tells whether it is the head."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        fd = os.open(_file(lock), flags, 0o600)
    except OSError:
        yield lambda: True
        return
    try:
        place = time.monotonic_ns()
        _locked(fd, fcntl.LOCK_EX, 1, place)

        def at_head() -> bool:
            free = _locked(fd, fcntl.LOCK_SH, place, 0)
            if free:
                fcntl.lockf(fd, fcntl.LOCK_UN, place, 0)
            return free

        yield at_head
    finally:
        os.close(fd)


def _locked(fd: int, kind: int, count: int, start: int) -> bool:
    """Lock `count` bytes from `start` on, all for 0, at once or not at all; whether they are locked."""
    try:
        fcntl.lockf(fd, kind | fcntl.LOCK_NB, count, start)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # without such locks there is no line, and nobody in it
    return True
