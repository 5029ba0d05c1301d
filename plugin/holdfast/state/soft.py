"""The state's lock where the file system has no kernel locks: filelock's soft lock, a file that is there or not. Cold.

Some file systems that lie across a network have none. A soft lock whose holder is gone is broken by whoever comes next,
by its process id, if that is on the same machine.
"""

import fcntl
import os
from time import monotonic, time

from holdfast.dependencies import enable
from holdfast.state import guard

enable()

from filelock import SoftFileLock, Timeout  # noqa: E402  after enable(): a hook starts without site-packages

TORN = 2.0  # seconds in which a soft lock's holder writes its name, which takes a millisecond


def acquire(path: str, budget: float, flags: int) -> "tuple[int, float]":
    """Take the soft lock beside `path`, and the kernel's after all where it can be had by now.

    Args:
        path: the lock file.
        budget: seconds that it may take; 0 = one try.
        flags: to open that with.

    Returns:
        A file descriptor for `guard.release`, and the seconds waited.

    Raises:
        Busy: it was taken for the whole budget.
        OSError: it cannot be made.
    """
    began = monotonic()
    clear_torn(f"{path}.soft")
    lock = SoftFileLock(f"{path}.soft", timeout=budget, mode=0o600, poll_interval=0.01)
    try:
        lock.acquire()
    except Timeout:
        raise guard.Busy(path) from None
    try:
        fd = os.open(path, flags, 0o600)
        try:
            if not _free(fd):
                raise guard.Busy(path)  # noqa: TRY301  both are let go of below
        except BaseException:
            os.close(fd)
            raise
    except BaseException:
        lock.release()
        raise
    guard.SOFT[fd] = lock
    return fd, monotonic() - began


def clear_torn(path: str) -> None:
    """Remove a soft lock without a holder's name: its writer was killed before it wrote that, or the machine stopped.

    filelock takes such a one for held, since its writer may be about to.
    """
    try:
        found = os.stat(path)
        if not found.st_size and abs(time() - found.st_mtime) > TORN:
            os.unlink(path)
    except OSError:
        pass


def _free(fd: int) -> bool:
    """Whether nobody has the kernel's lock, who met a server that gave out locks a moment ago."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return guard.absent(error)
    return True
