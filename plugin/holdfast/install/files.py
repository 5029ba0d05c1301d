"""Write other people's files so that they are never half written, and say in one line why a file cannot be written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

from holdfast import lean
from holdfast.errors import HoldfastError, PermissionDenied, from_os
from holdfast.state import sweeping


def explain(error: OSError, doing: str) -> HoldfastError:
    """Turn what the system answered into the line that the user sees. `doing` says what was tried, and where."""
    return from_os(OSError(error.errno, error.strerror or str(error)), doing)


def read(path: str) -> bytes | None:
    """The file's bytes, or None if there is none.

    Raises:
        HoldfastError: it cannot be read, or is no file.
    """
    try:
        return lean.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, f"cannot read {path}") from None


def check_writable(path: str) -> None:
    """Refuse a file that could not be replaced, before anything else is changed.

    Raises:
        PermissionDenied: the file, or the nearest folder above that exists, cannot be written.
        HoldfastError: something on the way is no folder.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionDenied(f"cannot write {path}: it is read-only")
    folder = os.path.dirname(target)
    if os.path.islink(path) and not os.path.isdir(folder):
        raise HoldfastError(f"cannot write {path}: it is a link into {folder}, which is not there")
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise HoldfastError(f"cannot write {path}: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionDenied(f"cannot write {path}: {folder} is read-only")


def make_folder(path: str, mode: int = 0o777) -> bool:
    """Make a folder and those above it, on the disk when this returns; whether it had to be made.

    The umask narrows `mode`.

    Raises:
        HoldfastError: it cannot be made.
    """
    try:
        if os.path.isdir(path):
            return False
        above = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(above):
            make_folder(above)
        os.mkdir(path, mode)
        sync_folder(above)
    except FileExistsError:
        if os.path.isdir(path):  # somebody else made it just now
            return False
        raise HoldfastError(f"cannot make the folder {path}: a file is in its place") from None
    except OSError as error:
        raise explain(error, f"cannot make the folder {path}") from None
    return True


def replace(path: str, data: bytes, mode: int = 0o666, *, follow: bool = True) -> None:
    """Put `data` in the place of a file, whole or not at all.

    A link stays a link: what it leads to is replaced (dotfile managers link settings into the home). The file's mode
    stays, and its owner where the system allows it; a new file gets `mode`, narrowed by the umask. Without `follow` a
    link is replaced by the file: nobody but us writes there.

    Raises:
        HoldfastError: it cannot be written; the file is as it was.
    """
    target = os.path.realpath(path) if follow else os.path.abspath(path)
    temporary = os.path.join(
        os.path.dirname(target), f".{os.path.basename(target)}.{secrets.token_hex(4)}-{os.getpid()}.tmp"
    )
    try:
        try:
            old = os.stat(target, follow_symlinks=follow)
        except FileNotFoundError:
            old = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            fd = os.open(
                temporary, flags, mode if old is None or not follow else stat.S_IMODE(old.st_mode) & 0o700 | 0o600
            )
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if old is not None and follow:
                with contextlib.suppress(OSError, AttributeError):
                    os.chown(temporary, old.st_uid, old.st_gid)
                os.chmod(temporary, stat.S_IMODE(old.st_mode))
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(os.path.dirname(target))
    except OSError as error:
        raise explain(error, f"cannot write {path}") from None


def sync_folder(folder: str) -> None:
    """Make a rename in `folder` outlive a crash of the machine, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders; some file systems sync none
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def remove(path: str, *, follow: bool = True) -> None:
    """Delete a file, or with `follow` what a link leads to; one that is gone already is no error.

    Raises:
        HoldfastError: it cannot be deleted.
    """
    target = os.path.realpath(path) if follow else os.path.abspath(path)
    try:
        os.unlink(target)
    except FileNotFoundError:
        return
    except OSError as error:
        raise explain(error, f"cannot delete {path}") from None
    sync_folder(os.path.dirname(target))


def sweep(path: str, *, follow: bool = True) -> None:
    """Remove what `replace` left beside a file when its process was killed. What a living process writes stays."""
    folder, name = os.path.split(os.path.realpath(path) if follow else os.path.abspath(path))
    sweeping.sweep(folder, (f".{name}",), lock_held=False)
