"""Copies of the state: the previous revision at every update, and a dated copy at what matters.

`backups/previous.json` is the file that the last update replaced, kept by a hard link, which costs nothing. The live
file itself is never linked for longer than the update takes: damage in place would reach its backup. Dated copies are
named `state-<UTC time>-r<revision>[-<reason>].json`; the newest 20 are kept.
"""

from time import gmtime, strftime

from holdfast.lean import join, os, write

FOLDER = "backups"
PREVIOUS = "previous.json"
PREFIX = "state-"
KEPT = 20
EVERY = 60.0  # seconds between copies that nothing else brings about


def keep_previous(folder: str, live: str) -> None:
    """Give the live file, which is about to be replaced, the name of the previous revision as well."""
    previous = join(join(folder, FOLDER), PREVIOUS)
    try:
        os.unlink(previous)
    except FileNotFoundError:
        pass
    except OSError:
        return
    try:
        os.link(live, previous)
    except FileNotFoundError:
        try:
            os.mkdir(join(folder, FOLDER), 0o700)
            os.link(live, previous)
        except OSError:  # there is no live file yet
            pass
    except OSError:  # a file system without hard links: the dated copies remain
        pass


def copy(  # noqa: PLR0913  what is copied, and all that its name says
    folder: str, data: bytes, revision: int, at: float, reason: str = "", *, durable: bool = True
) -> str:
    """Write a dated copy and let go of the oldest.

    Args:
        folder: the project's `.holdfast`.
        data: the document's bytes.
        revision: its revision.
        at: Unix time in seconds.
        reason: a word for the name.
        durable: whether it has to be on the disk when this returns.

    Returns:
        The copy's path.

    Raises:
        OSError: it cannot be written.
    """
    backups = join(folder, FOLDER)
    tail = f"-{reason}" if reason else ""
    name = f"{PREFIX}{strftime('%Y%m%dT%H%M%SZ', gmtime(at))}-r{revision}{tail}.json"
    path = join(backups, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, flags, 0o600)
    except FileNotFoundError:
        os.mkdir(backups, 0o700)
        fd = os.open(temporary, flags, 0o600)
    try:
        try:
            write(fd, data)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    prune(folder)
    return path


def dated(folder: str) -> "list[str]":
    """The dated copies' names, oldest first."""
    try:
        names = os.listdir(join(folder, FOLDER))
    except FileNotFoundError:
        return []
    return sorted(name for name in names if name.startswith(PREFIX) and name.endswith(".json"))


def prune(folder: str) -> None:
    """Let go of the oldest copies beyond those that are kept."""
    for name in dated(folder)[:-KEPT]:
        try:
            os.unlink(join(join(folder, FOLDER), name))
        except OSError:
            pass
