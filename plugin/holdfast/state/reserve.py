"""The reserve: 64 KiB of disk that are given up when it is full, so that events can still be spooled. Cold.

The file holds random bytes: a file system that compresses, and a copy that leaves out zeros, would keep nothing of it.
"""

import errno

from holdfast.lean import join, os
from holdfast.state import backups, durable

NAME = "reserve"
SIZE = 64 << 10  # bytes
SPARE = 32 << 10  # bytes that stay free beside a new reserve: else the next write would cost it again
ENOUGH = 16 << 10  # bytes free for events and the audit trail: where they are, somebody else has made room
COPIES = 3  # dated copies of the state that are never given up
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no EDQUOT


def there(folder: str) -> bool:
    """Whether the project whose `.holdfast` is `folder` has its reserve, whole."""
    try:
        return os.lstat(join(folder, NAME)).st_size == SIZE
    except OSError:
        return False


def free(folder: str) -> int:
    """Bytes that this user may still write where `folder` is; Windows is not asked, and has room."""
    if not hasattr(os, "statvfs"):
        return 1 << 62
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def make(folder: str, spare: int = SPARE) -> bool:
    """Make the reserve if it is missing and there is room for it; whether it is there.

    Args:
        folder: the project's `.holdfast`.
        spare: bytes that must stay free beside it.
    """
    if there(folder):
        return True
    try:
        if free(folder) < SIZE + spare:
            return False
        durable.put(join(folder, NAME), os.urandom(SIZE))
    except OSError:  # a quota, a read-only folder: whoever must write says so
        return False
    return True


def gives_way(folder: str, error: OSError) -> bool:
    """Make room for an event after `error`: the reserve goes first, then the oldest dated copies.

    Args:
        folder: the project's `.holdfast`.
        error: why the event could not be written.

    Returns:
        Whether it is worth another try: there was something to give, or somebody else gave.
    """
    if error.errno not in FULL:
        return False
    gave = give_up(folder)
    if not gave and error.errno == errno.ENOSPC and free(folder) >= ENOUGH:
        return True  # another hook gave up the reserve a moment ago
    gave = gave or _prune_for_an_update(folder)
    if gave:
        from holdfast.state import degraded

        degraded.enter(folder, 7)
    return gave


def _prune_for_an_update(folder: str) -> bool:
    """Remove old copies until the next update fits beside the event, not only the event: updates empty the spool."""
    from holdfast.state.store import state_of

    try:
        size = os.stat(state_of(folder)).st_size
    except OSError:
        size = 0
    gave = prune(folder, most=1) > 0
    while gave and free(folder) < ENOUGH + 2 * size and prune(folder, most=1):
        pass
    return gave


def give_up(folder: str) -> bool:
    """Let go of the reserve; whether there was one."""
    return _unlink(join(folder, NAME))


def prune(folder: str, most: int | None = None) -> int:
    """Remove the oldest dated copies of the state, all or up to `most`, the newest three never; how many went."""
    return sum(_unlink(path) for path in spendable(folder)[:most])


def spendable(folder: str) -> list[str]:
    """The paths of the dated copies that a full disk may cost, oldest first."""
    kept = join(folder, backups.FOLDER)
    return [join(kept, name) for name in backups.dated(folder)[:-COPIES]]


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
