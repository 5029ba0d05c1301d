"""Events that could not be folded into the state in time: one file each, taken in by the next writer.

A file's name begins with its time in nanoseconds, so that names sort as events came. An empty `….lost` stands for an
event whose content found no room: it says that something was lost where nothing more can be said. Other empty files
are marks of `degraded.py`.
"""

from time import time_ns

from holdfast.lean import FILE_TYPE, REGULAR, dumps, getenv, join, loads, os, read, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "spool"
AT_ONCE = 200  # files that one update folds; fewer than the identities that the state remembers
RECORD = ".json"
LOST = ".lost"
TEMPORARY = ".tmp"
MARKS = ("lost", "degraded-", "recovered-")  # how their names go on behind the process id
AT_LOCKS = (".", "installing.")  # begin the names of temporary files in `locks/`
TRIES = 8  # on a full disk, where others may take the room that was made
MANY = 3  # files after which who could not fold them looks whether updates fail for good


def _name() -> str:
    return f"{time_ns():020d}-{os.getpid()}"


def put(folder: str, record: "dict[str, Any]") -> None:
    """Keep `record` until a writer folds it. On the disk when this returns.

    Args:
        folder: the project's `.holdfast`.
        record: what `Event.to_dict` gave.

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


def sync(folder: str) -> None:
    """Make the names in a folder durable. Windows cannot open folders, and keeps them so by itself."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:
        if getenv("OS") == "Windows_NT":
            return
        raise
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def waiting(folder: str) -> "list[str]":
    """The paths of what waits to be folded, oldest first."""
    spool = join(folder, FOLDER)
    try:
        names = os.listdir(spool)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [join(spool, name) for name in sorted(names) if _ours(spool, name)]


def _ours(spool: str, name: str) -> bool:
    """Whether it is a record or a mark; what others have put there stays, and holds up nothing.

    A file of another name may be a record too: one that is none is put aside, which tells the user.
    """
    at, _, rest = name.partition("-")
    writer, _, sort = rest.partition(".")
    named = at.isdecimal() and writer.isdecimal()
    if named and sort == "json":  # all that thousands of them pay
        return True
    return (name.endswith(RECORD) or (named and sort.startswith(MARKS))) and _regular(join(spool, name))


def _regular(path: str) -> bool:
    try:
        return os.lstat(path).st_mode & FILE_TYPE == REGULAR
    except OSError:
        return False


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


def sweep(folder: str, starts: "tuple[str, ...]", *, lock_held: bool, names: "list[str] | None" = None) -> "list[str]":
    """Remove the temporary files of writers that died. Their names end with the writer's process id and `.tmp`.

    Args:
        folder: where they are.
        starts: the names of the files that they were to become; "" for those of any record or copy. Those that begin
            with a dot are `install.files.replace`'s, with eight random digits before the process id.
        lock_held: whether the caller holds the lock that their writers need: then none of them lives.
        names: what is in the folder, if that is known.

    Returns:
        The names of what was in the folder.
    """
    try:
        names = os.listdir(folder) if names is None else names
    except OSError:
        return []
    for name in names:
        if not name.endswith(TEMPORARY):
            continue
        for start in starts:
            if not name.startswith(start):
                continue
            between, _, writer = name[len(start) : -len(TEMPORARY)].replace("-", ".").rpartition(".")
            if start:
                named = len(between) == (9 if start[0] == "." else 0)
            else:
                named = between.isdecimal() or between.endswith(RECORD) or name.startswith(AT_LOCKS)
            if not named or not writer.isdecimal():
                continue  # somebody else's file beside ours
            if lock_held or not _alive(writer):
                _forget(join(folder, name))
    return names


def _alive(number: str) -> bool:
    """Whether a process with this id runs. Ours does not count: what it has begun, it has ended."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:
        return True
    if int(number) == os.getpid():
        return False
    try:  # a container's first process may not reap: what was killed there still has a process id
        return b") Z " not in read(f"/proc/{number}/stat", 4096)
    except OSError:
        return True


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
