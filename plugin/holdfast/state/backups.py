"""Copies of the state: the two revisions before it, and a dated copy at what matters.

`backups/previous.json` is the file that the last update replaced, kept by a hard link, which costs nothing. The live
file itself is never linked for longer than the update takes: damage in place would reach its backup. `older.json` is
the revision before that, and the file that the next update writes into: a file that is made, and another that is
removed, cost ten times as much (0.4 ms on ext4). Dated copies are named
`state-<UTC time>-r<revision>[-<reason>].json`. How many are kept, and for how long, is the workflow's
`backups: {keep, max_age_days}`.
"""

from time import gmtime, strftime

from holdfast.lean import FILE_TYPE, REGULAR, join, os, write

FOLDER = "backups"
PREVIOUS = "previous.json"
OLDER = "older.json"
UNDATED = (PREVIOUS, OLDER)
BEFORE = "before-"  # begins the reasons of copies that commands make of what they are about to replace
MODE = FILE_TYPE | 0o777
PREFIX = "state-"
KEPT = 20  # where the workflow says nothing
DAY = 86400  # seconds
EVERY = 60.0  # seconds between copies that nothing else brings about


def fresh(temporary: str, spare: str, size: int, live: str = "") -> int:
    """Open a temporary file to be written from its beginning; its descriptor.

    Args:
        temporary: its path.
        spare: a file that may be written over, which then has the new name.
        size: how many bytes it will hold.
        live: the state's file; where it is gone, the spare one may be all there is, and stays.

    Raises:
        OSError: it cannot be made.
    """
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.stat(live).st_ino if live else 0
        found = os.lstat(spare)
        # one name: `cp -l` may have given it another, and so may a crash of the machine, the live state's own
        if found.st_mode & MODE == REGULAR | 0o600 and found.st_nlink == 1 and found.st_ino != number:
            os.rename(spare, temporary)
            try:
                fd = os.open(temporary, flags)
            except OSError:  # no descriptor is left: nor will there be one for a new file
                os.rename(temporary, spare)
                raise
            if found.st_size > size:
                os.ftruncate(fd, size)
            return fd
    except OSError:
        pass
    try:
        return os.open(temporary, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # a killed writer had our process id, or the spare file would not do
        os.unlink(temporary)
        return os.open(temporary, flags | os.O_CREAT | os.O_EXCL, 0o600)


def keep_previous(folder: str, live: str) -> None:
    """Give the live file, which is about to be replaced, the name of the previous revision as well.

    While a damaged live file is put aside, and until the one that was recovered stands in its place, these may be all
    there is: then they stay as they are.
    """
    backups = join(folder, FOLDER)
    previous = join(backups, PREVIOUS)
    try:
        number = os.stat(live).st_ino
        try:
            if os.lstat(previous).st_ino == number:  # who linked it was killed before it came to replace the live file
                return
            os.replace(previous, join(backups, OLDER))
        except FileNotFoundError:  # there is none yet, and perhaps no folder
            try:
                os.mkdir(backups, 0o700)
            except FileExistsError:
                pass
        try:
            os.link(live, previous)
        except FileExistsError:  # it was one file with the older one: then such a rename does nothing
            os.unlink(previous)
            os.link(live, previous)
    except OSError:  # mostly: there is no live file; or a file system without hard links: the dated copies remain
        pass


def copy(  # noqa: PLR0913  what is copied, and all that its name says
    folder: str,
    data: bytes,
    revision: int,
    at: float,
    reason: str = "",
    *,
    durable: bool = True,
    kept: "tuple[int, int | None]" = (KEPT, None),
) -> str:
    """Write a dated copy and let go of the oldest.

    Args:
        folder: the project's `.holdfast`.
        data: the document's bytes.
        revision: its revision.
        at: Unix time in seconds.
        reason: a word for the name.
        durable: whether it has to be on the disk when this returns.
        kept: how many copies stay, and for how many days; None for any age.

    Returns:
        The copy's path.

    Raises:
        OSError: it cannot be written.
    """
    backups = join(folder, FOLDER)
    tail = f"-{reason}" if reason else ""
    name = f"{PREFIX}{strftime('%Y%m%dT%H%M%SZ', gmtime(at))}-r{revision}{tail}.json"
    path = join(backups, name)
    temporary = f"{path}.{os.getpid()}.tmp"
    names = dated(folder)
    # it would be removed below; but a command may be about to bring the oldest back
    spare = join(backups, names[0]) if len(names) >= max(kept[0], 2) and not durable else ""
    try:
        fd = fresh(temporary, spare, len(data))
    except FileNotFoundError:
        os.mkdir(backups, 0o700)
        fd = fresh(temporary, "", len(data))
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
    if durable:
        from holdfast.state.spool import sync

        sync(backups)
        sync(folder)  # which may have been given its backups just now
    if not reason.startswith(BEFORE):
        _prune(folder, sorted({*names, name}, key=_age), kept, at)
    return path


def dated(folder: str) -> "list[str]":
    """The dated copies' names, oldest first: by their revisions, which go on when a clock is set back."""
    try:
        names = os.listdir(join(folder, FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((name for name in names if name.startswith(PREFIX) and name.endswith(".json")), key=_age)


def _age(name: str) -> "tuple[int, str, bool, str]":
    at, revision, reason = parts(name)
    return revision, at, reason.startswith(BEFORE), reason


def parts(name: str) -> "tuple[str, int, str]":
    """The UTC time, the revision and the reason in a dated copy's name."""
    at, _, rest = name[len(PREFIX) : -len(".json")].partition("-r")
    revision, _, reason = rest.partition("-")
    return at, int(revision) if revision.isdecimal() else 0, reason


def prune(folder: str, kept: "tuple[int, int | None]", at: float) -> None:
    """Let go of the copies that are too many or too old. The newest stays, however old it is.

    Args:
        folder: the project's `.holdfast`.
        kept: how many stay, and for how many days; None for any age.
        at: Unix time in seconds.
    """
    _prune(folder, dated(folder), kept, at)


def _prune(folder: str, names: "list[str]", kept: "tuple[int, int | None]", at: float) -> None:
    most, days = kept
    oldest = "" if days is None else strftime("%Y%m%dT%H%M%SZ", gmtime(max(at - days * DAY, 0)))
    undo = [name for name in names if parts(name)[2].startswith(BEFORE)][-1:]  # what a command has said is kept
    for place, name in enumerate(names[:-1]):
        if (place < len(names) - most or parts(name)[0] < oldest) and name not in undo:
            try:
                os.unlink(join(join(folder, FOLDER), name))
            except OSError:
                pass
