"""Copies of the state: the previous revision at every update, and a dated copy at what matters.

`backups/previous.json` is the file that the last update replaced, kept by a hard link, which costs nothing. The live
file itself is never linked for longer than the update takes: damage in place would reach its backup. Dated copies are
named `state-<UTC time>-r<revision>[-<reason>].json`. How many are kept, and for how long, is the workflow's
`backups: {keep, max_age_days}`.
"""

from time import gmtime, strftime

from holdfast.lean import join, os, write

FOLDER = "backups"
PREVIOUS = "previous.json"
PREFIX = "state-"
KEPT = 20  # where the workflow says nothing
DAY = 86400  # seconds
EVERY = 60.0  # seconds between copies that nothing else brings about


def keep_previous(folder: str, live: str) -> None:
    """Give the live file, which is about to be replaced, the name of the previous revision as well.

    The name goes from one file to the other in one step: while a damaged live file is put aside, and until the one
    that was recovered stands in its place, the previous revision may be all there is.
    """
    previous = join(join(folder, FOLDER), PREVIOUS)
    spare = previous + ".tmp"
    try:
        try:
            os.link(live, spare)
        except FileNotFoundError:  # there is no folder yet; or no live file: then there is one
            os.mkdir(join(folder, FOLDER), 0o700)
            os.link(live, spare)
        except FileExistsError:  # a killed writer left it
            os.unlink(spare)
            os.link(live, spare)
        try:
            os.replace(spare, previous)
        finally:  # still there if both names are of one file, as a killed writer leaves it: such a rename does nothing
            os.unlink(spare)
    except OSError:  # mostly: it is not there; or a file system without hard links: the dated copies remain
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
    if durable:
        from holdfast.state.spool import sync

        sync(backups)
        sync(folder)  # which may have been given its backups just now
    prune(folder, kept, at)
    return path


def dated(folder: str) -> "list[str]":
    """The dated copies' names, oldest first: by their revisions, which go on when a clock is set back."""
    try:
        names = os.listdir(join(folder, FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((name for name in names if name.startswith(PREFIX) and name.endswith(".json")), key=_age)


def _age(name: str) -> "tuple[int, str, str]":
    at, revision, reason = parts(name)
    return revision, at, reason


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
    most, days = kept
    oldest = "" if days is None else strftime("%Y%m%dT%H%M%SZ", gmtime(max(at - days * DAY, 0)))
    names = dated(folder)
    for place, name in enumerate(names[:-1]):
        if place < len(names) - most or parts(name)[0] < oldest:
            try:
                os.unlink(join(join(folder, FOLDER), name))
            except OSError:
                pass
