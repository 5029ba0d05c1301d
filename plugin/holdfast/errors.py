"""The errors that people may see: one line each, with the exit code of the command that ends on it.

Everything else that is raised is a defect, and the command turns it into one line and a log file.
"""


class HoldfastError(Exception):
    """What went wrong, where, and what to do about it, in one line. Exit code 1."""

    exit_code = 1


class LockTimeout(HoldfastError):
    """A lock was not free within its budget. Exit code 2."""

    exit_code = 2


class StateCorrupt(HoldfastError):
    """The state can be neither trusted nor recovered, or a newer release wrote it. Exit code 3."""

    exit_code = 3


class ValidationFailed(HoldfastError):
    """A workflow, a patch or a settings file says something it must not, or several things. Exit code 4."""

    exit_code = 4

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class DependencyMissing(HoldfastError):
    """A library or a program that is needed is not there. Exit code 5."""

    exit_code = 5


class PermissionDenied(HoldfastError):
    """A file or folder cannot be read or written by this user. Exit code 6."""

    exit_code = 6


class DiskFull(HoldfastError):
    """There is no room for what must be written. Exit code 7."""

    exit_code = 7


class NetworkError(HoldfastError):
    """A package registry cannot be reached. Exit code 8."""

    exit_code = 8


class TimedOut(HoldfastError):
    """Something took longer than it may. Exit code 9."""

    exit_code = 9


class ResourcesExhausted(HoldfastError):
    """Memory, processes or file descriptors ran out. Exit code 10."""

    exit_code = 10


def from_os(error: OSError, where: str) -> HoldfastError:
    """The error that a person sees for what the file system answered: what, where, and what to do."""
    import errno

    cause = error.strerror or str(error)
    answers: tuple[tuple[type[HoldfastError], tuple[int, ...], str], ...] = (
        (
            DiskFull,
            (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)),  # Windows has no EDQUOT
            "no room on the disk: make room and try again; what was there is untouched",
        ),
        (PermissionDenied, (errno.EACCES, errno.EPERM), "this user may not do that: check owner and mode"),
        (PermissionDenied, (errno.EROFS,), "the file system is read-only"),
        (
            HoldfastError,
            (errno.EXDEV,),
            "another file system lies between it and its folder: a state cannot be a mount of its own",
        ),
        (HoldfastError, (errno.EBUSY,), "in use, or a mount of its own: what is replaced by renaming can be neither"),
        (TimedOut, (errno.ETIMEDOUT,), "the file system did not answer in time: try again when it does"),
        (
            ResourcesExhausted,
            (errno.EMFILE, errno.ENFILE, errno.ENOMEM),
            f"{cause}: close something and try again",
        ),
    )
    place = error.filename or where
    for kind, reasons, told in answers:
        if error.errno in reasons:
            return kind(f"{place}: {told}")
    return HoldfastError(f"{place}: {cause}")
