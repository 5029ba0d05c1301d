"""Whole files, written durably: after a crash, too, a name stands for all of the old bytes or all of the new. Cold."""

from holdfast.lean import os, parent, sync, write
from holdfast.state.store import TEMPORARY


def put(path: str, data: bytes) -> None:
    """Write `data` to `path` with mode 0600; the folder is made with 0700 where it is missing.

    Raises:
        OSError: it cannot be written; what was there is untouched, and no temporary file is left.
    """
    temporary = f"{path}.{os.getpid()}{TEMPORARY}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_BINARY", 0)
    folder = parent(path)
    try:
        fd = os.open(temporary, flags, 0o600)
    except FileExistsError:  # a killed writer had our process id
        os.unlink(temporary)
        fd = os.open(temporary, flags, 0o600)
    except FileNotFoundError:
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:  # another writer was faster, and may not have come to sync
            pass
        sync(parent(folder))
        fd = os.open(temporary, flags, 0o600)
    try:
        try:
            write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync(folder)
