"""The two revisions before the live one, kept at each update.

`backups/previous.json` is the file that the last update replaced, kept by a hard link, which costs nothing. The live
file itself is never linked for longer than the update takes: damage in place would reach its backup. `older.json` is
the revision before that, and the file that the next update writes into: a file that is made, and another that is
removed, cost ten times as much (0.4 ms on ext4).
"""

from holdfast.lean import FILE_TYPE, REGULAR, join, os

FOLDER = "backups"
PREVIOUS = "previous.json"
OLDER = "older.json"
MODE = FILE_TYPE | 0o777


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
