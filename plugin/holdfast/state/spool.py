"""Events that could not be folded into the state in time: one file each, taken in by the next writer.

A file's name begins with its time in nanoseconds, so that names sort as events came. An empty `….lost` stands for an
event whose content found no room: it says that something was lost where nothing more can be said. Other empty files
are marks of `degraded.py`.
"""

from time import time_ns

from holdfast.lean import dumps, join, loads, os, read, sync, write
from holdfast.state.store import SPOOL as FOLDER
from holdfast.state.store import TEMPORARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FOLDER", "LOST", "MANY", "RECORD", "TEMPORARY", "load", "put", "waiting"]

RECORD = ".json"
LOST = ".lost"
MARKS = ("lost", "degraded-", "recovered-")  # how their names go on behind the process id
TRIES = 8  # on a full disk, where others may take the room that was made
MANY = 3  # files after which who could not fold them looks whether updates fail for good


def _name() -> str:
    return f"{time_ns():020d}-{os.getpid()}"


def put(folder: str, record: "dict[str, Any]") -> None:
    """Keep `record` until a writer folds it. On the disk when this returns.

    Args:
        folder: the project's `.holdfast`.
        record: a JSON object: what `spooled.to_dict` gave.

    Raises:
        OSError: it could not be kept; where only the room was missing, a mark says that an event was lost.
    """
    spool = join(folder, FOLDER)
    name = join(spool, _name())
    data = dumps(record).encode("ascii")
    for left in range(TRIES, 0, -1):
        try:
            _keep(folder, name, data)
            break
        except BaseException as error:
            if left > 1 and isinstance(error, OSError) and (_gives_way(folder, error) or left == TRIES):
                _forget(name + TEMPORARY)  # what fails once may not fail twice, and only who gives up speaks of a loss
                continue
            try:
                os.replace(name + TEMPORARY, name + LOST)
                os.truncate(name + LOST, 0)
            except OSError:
                _forget(name + TEMPORARY)
            raise
    sync(spool)


def _gives_way(folder: str, error: OSError) -> bool:
    """Whether there is room for another try: the reserve is given up. Only who failed pays for the import."""
    from holdfast.state import reserve

    return reserve.gives_way(folder, error)


def _keep(folder: str, name: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(name + TEMPORARY, flags, 0o600)
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, NotADirectoryError):  # something stands in the folder's place
            os.rename(join(folder, FOLDER), join(folder, f"{FOLDER}.aside-{time_ns()}"))
        try:
            os.mkdir(join(folder, FOLDER), 0o700)
        except FileExistsError:  # another hook was faster, and may not have come to sync
            pass
        sync(folder)
        fd = os.open(name + TEMPORARY, flags, 0o600)
    try:
        write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(name + TEMPORARY, name + RECORD)


def waiting(folder: str) -> "list[str]":
    """The paths of what waits to be folded, oldest first."""
    spool = join(folder, FOLDER)
    try:
        with os.scandir(spool) as found:
            names = [entry.name for entry in found if _ours(entry.name) and entry.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [join(spool, name) for name in sorted(names)]


def _ours(name: str) -> bool:
    """Whether a file of this name is a record or a mark; what others have put there stays, and holds up nothing.

    A file of another name may be a record too: one that is none is put aside, which tells the user.
    """
    at, _, rest = name.partition("-")
    writer, _, sort = rest.partition(".")
    return name.endswith(RECORD) or (at.isdecimal() and writer.isdecimal() and sort.startswith(MARKS))


def load(path: str) -> "dict[str, Any] | None":
    """The record in a file of the spool; None for a mark: an event that was lost, or what `degraded.py` notes.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no record.
    """
    if not path.endswith(RECORD):
        return None
    record = loads(read(path))
    if not isinstance(record, dict):
        raise ValueError("no record")  # noqa: TRY004  what is wrong is the file's content
    return record


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
