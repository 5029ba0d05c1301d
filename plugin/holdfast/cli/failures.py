"""Every error as one line on stderr and an exit code; a defect of ours leaves its details in a log file."""

import errno
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from holdfast import dependencies
from holdfast.cli import output
from holdfast.errors import DependencyMissing, HoldfastError, ResourcesExhausted, ValidationFailed, from_os

USAGE = 64  # click's own 2 stands for a lock that was not free
INTERRUPTED = 130
LONGEST, END = 1500, 500  # characters of a line, and of its end
LIBRARIES = ("click", "filelock", "platformdirs", "pydantic", "pyyaml", "rich", "tenacity")
# What a file system answers for reasons that are not ours.
REASONS = (
    errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),  # Windows has none
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ETIMEDOUT,
)
# And where something else stands in a file's or folder's place. All of them name it.
PLACES = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)


def guarded(action: Callable[[], int]) -> int:
    """Do `action`; its exit code, or that of what it raised, of which the user is told."""
    try:
        return action()
    except BaseException as error:  # noqa: BLE001  nothing may reach the user as a traceback
        line, code = _explain(error)
        if line and os.environ.get("HOLDFAST_DEBUG"):
            import traceback

            traceback.print_exception(error)
        for part in error.lines if isinstance(error, ValidationFailed) else filter(None, [line]):
            output.note(f"holdfast: {_shortened(part)}")
        output.settle()
        return code


def _shortened(line: str) -> str:
    """A line of bounded length that shows its end, which says what to do: what was given may have line ends."""
    whole = line.replace("\n", "\\n")
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - END]} … {whole[-END:]}"


def _explain(error: BaseException) -> tuple[str, int]:
    """The line for the user, without one where there is nothing to say, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return "", INTERRUPTED
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else 0
    if isinstance(error, BrokenPipeError):  # click's help, and dry runs, print by themselves
        output.drop()
        return "", 0
    known = error if isinstance(error, HoldfastError) else _known(error)
    if known is not None:
        return str(known), known.exit_code
    return _of_click(error) or (_defect(error), HoldfastError.exit_code)


def _known(error: BaseException) -> HoldfastError | None:
    """What the surroundings are to blame for, as an error that users may see."""
    if isinstance(error, MemoryError):
        return ResourcesExhausted("there is not enough memory: close something and try again")
    if isinstance(error, ImportError) and error.name and not error.name.startswith("holdfast"):
        return DependencyMissing(f"{error.name.partition('.')[0]} cannot be imported: {dependencies.remedy()}")
    if isinstance(error, OSError):
        if error.errno in REASONS + PLACES:
            return from_os(error, "the command")
        try:
            os.getcwd()
        except OSError:
            return HoldfastError("the working directory is gone: change to the project's folder")
    return None


def _of_click(error: BaseException) -> tuple[str, int] | None:
    click: Any = sys.modules.get("click")
    if click is None:
        return None
    if isinstance(error, click.exceptions.Exit):
        return "", error.exit_code
    if isinstance(error, click.Abort):
        return "", INTERRUPTED
    if not isinstance(error, click.ClickException):
        return None
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is not None:
        message += f" (`{context.command_path} --help` tells more)"
    return message[:1].lower() + message[1:], USAGE if isinstance(error, click.UsageError) else 1


def _defect(error: BaseException) -> str:
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    try:
        return f"internal error: {what}; details in {_keep(error)}"
    except Exception as second:  # noqa: BLE001  there is nothing left to try
        return f"internal error: {what}; its details could not be kept: {second}"


def _keep(error: BaseException) -> str:
    """Write down what a report of the defect needs; the file's path.

    Raises:
        OSError: it can be written nowhere.
    """
    text = _report(error)
    try:
        from platformdirs import user_log_dir

        path = os.path.join(user_log_dir("holdfast", appauthor=False), "command.log")
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        fd = os.open(path, flags, 0o600)
    except (OSError, ImportError):
        import tempfile

        fd, path = tempfile.mkstemp(prefix="holdfast-", suffix=".log")
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path


def _report(error: BaseException) -> str:
    import platform
    import traceback
    from importlib import metadata

    import holdfast
    from holdfast.masking import mask

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "missing"

    lines = [
        f"time:      {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
        f"command:   {mask(' '.join(sys.argv))[:2000]}",
        f"holdfast:  {holdfast.__version__}",
        f"python:    {sys.version} at {sys.executable}",
        f"platform:  {platform.platform()}",
        f"libraries: {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}",
    ]
    return "\n".join(lines) + "\n\n" + "".join(traceback.format_exception(error))
