"""What the command prints: results to stdout, all else to stderr."""

import json
import os
import sys
import time
import warnings
from typing import Any

from holdfast.errors import from_os


def prepare() -> None:
    """Let nothing that is printed fail for its characters, and no library's warning reach the user."""
    if not os.environ.get("HOLDFAST_DEBUG"):
        warnings.resetwarnings()  # PYTHONWARNINGS=error would turn a deprecation in a library into a failure of ours
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # None where the descriptor is closed
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print to stdout, at once. A reader that has gone (`holdfast status | head -1`) does not stop the work.

    Raises:
        HoldfastError: stdout cannot be written.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        drop()
    except OSError as error:
        drop()
        raise from_os(error, "stdout") from None


def say_json(value: Any) -> None:
    """Print `value` as JSON. In ASCII, so that it is the same in every locale and safe on every terminal."""
    say(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Print a line to stderr. What a terminal would take for an order is escaped."""
    if sys.stderr is None:
        return
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
    try:
        sys.stderr.write(f"{shown}\n")
        sys.stderr.flush()
    except OSError:  # nobody listens
        pass


def drop() -> None:
    """Lead stdout to nowhere: what is buffered would fail once more when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def settle() -> None:
    """Let go of what stdout could not take, so that the interpreter does not complain of it when it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):  # ValueError: it is closed
        drop()


def ago(at: float) -> str:
    """How long ago a Unix time in seconds was."""
    seconds = time.time() - at
    for unit, size, least in (("days", 86400, 2), ("h", 3600, 1), ("min", 60, 1), ("s", 1, 1)):
        if seconds >= size * least:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"
