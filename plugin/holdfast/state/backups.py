"""Dated copies of the state, at what matters: `state-<UTC time>-r<revision>[-<reason>].json`.

How many are kept, and for how long, is the workflow's `backups: {keep, max_age_days}`. The two revisions before the
live one have no dates: see `previous.py`.
"""

from time import gmtime, strftime

from holdfast.lean import join, os, sync, write
from holdfast.state.previous import FOLDER, OLDER, PREVIOUS, fresh

__all__ = [
    "BEFORE",
    "FOLDER",
    "KEPT",
    "OLDER",
    "PREFIX",
    "PREVIOUS",
    "START",
    "UNDATED",
    "copy",
    "dated",
    "parts",
    "prune",
]

UNDATED = (PREVIOUS, OLDER)
START = "start"  # the reason of those at a session's start: the last of a minute stands for all of it
BEFORE = "before-"  # begins the reasons of copies that commands make of what they are about to replace
PREFIX = "state-"
KEPT = 20  # where the workflow says nothing
DAY = 86400  # seconds


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
    """Write a dated copy and let go of the oldest, and of the one that the start before in the same minute made.

    A program that starts a session a second would else let go of all that is older than twenty seconds.

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
    stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(at))
    name = f"{PREFIX}{stamp}-r{revision}{tail}.json"
    path = join(backups, name)
    temporary = f"{path}.{os.getpid()}.tmp"
    names = dated(folder)
    minute = f"{PREFIX}{stamp[:13]}"
    again = [last for last in names[-1:] if reason == START == parts(last)[2] and last.startswith(minute)]
    names = sorted({*names, name}.difference(again), key=_age)
    surplus = [] if reason.startswith(BEFORE) else again + _surplus(names, kept, at)
    # one of those that go is written over, unless it is the only copy; but a command may be about to bring it back
    spare = join(backups, surplus[0]) if (again or (surplus and len(names) > 2)) and not durable else ""  # noqa: PLR2004
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
        sync(backups)
        sync(folder)  # which may have been given its backups just now
    _remove(folder, surplus)
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
    _remove(folder, _surplus(dated(folder), kept, at))


def _surplus(names: "list[str]", kept: "tuple[int, int | None]", at: float) -> "list[str]":
    """Those of the names, oldest first, that are too many or too old."""
    most, days = kept
    if len(names) <= most and days is None:
        return []
    gone = names[: max(len(names) - most, 0)]
    if days is not None:
        oldest = strftime("%Y%m%dT%H%M%SZ", gmtime(max(at - days * DAY, 0)))
        gone = [name for name in names if name in gone or parts(name)[0] < oldest]
    undo = [name for name in names if f"-{BEFORE}" in name][-1:]  # what a command has said is kept
    return [name for name in gone if name not in undo and name != names[-1]]


def _remove(folder: str, names: "list[str]") -> None:
    for name in names:
        try:
            os.unlink(join(join(folder, FOLDER), name))
        except OSError:
            pass
