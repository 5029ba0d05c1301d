"""A command in a process of its own: signals are passed on, and its exit code is ours."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.errors import DependencyMissing, HoldfastError, PermissionDenied, from_os

PASSED = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")
TYPED = ("SIGINT", "SIGQUIT")  # a terminal sends these to the command by itself
TIMED_OUT = 9  # the exit code that stands for a command that was ended because it took too long
GRACE = 5.0  # seconds that such a command has after SIGTERM
BY_SIGNAL = 128  # a shell's exit code for a command that a signal ended is this and the signal's number


def run(  # noqa: PLR0913, PLR0917  what a process needs to run under another
    words: Sequence[str],
    env: Mapping[str, str],
    inherited: Sequence[int] = (),
    started: Callable[[int], None] = lambda _pid: None,
    seen: Callable[[int], None] = lambda _number: None,
    limit: float | None = None,
) -> int:
    """Run a command to its end.

    Args:
        words: the program and its arguments.
        env: its environment.
        inherited: file descriptors that it gets. Windows passes on none.
        started: called with its process id.
        seen: called with the number of each signal that comes while it runs.
        limit: seconds after which it is ended, by SIGTERM and 5 s later by SIGKILL, with all that it started: it gets a
            session of its own for that, without a terminal; None for none.

    Returns:
        Its exit code; 128 and the signal's number if a signal ended it; 9 if it took longer than `limit`.

    Raises:
        DependencyMissing: there is no such program.
        PermissionDenied: this user may not run it.
        HoldfastError: it cannot be started.
    """
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        seen(number)
        if child is None:
            early.append(number)
        elif sys.platform != "win32" and not (limit is None and signal.Signals(number).name in TYPED and _typed()):
            child.send_signal(number)

    before = _handle(pass_on)
    try:
        child = _spawn(words, env, inherited, apart=limit is not None)
        for number in early:
            pass_on(number, None)
        started(child.pid)
        code = child.wait(limit)
    except subprocess.TimeoutExpired:
        code = _ended(child)
    except BaseException:
        if child is not None:
            child.kill()  # whatever broke is ours: the lock must not be let go of while the command runs
            child.wait()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else BY_SIGNAL - code


def _ended(child: "subprocess.Popen[bytes] | None") -> int:
    """End a command that took too long; the exit code for that."""
    if child is not None:
        _signal(child, "SIGTERM")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
        _signal(child, "SIGKILL")
        child.wait()
    return TIMED_OUT


def _signal(child: "subprocess.Popen[bytes]", name: str) -> None:
    """Signal a command that runs apart, and what it started."""
    if sys.platform == "win32":
        child.terminate()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: what is left are zombies
            os.killpg(child.pid, getattr(signal, name))


def _spawn(
    words: Sequence[str], env: Mapping[str, str], inherited: Sequence[int], *, apart: bool
) -> "subprocess.Popen[bytes]":
    passed = {"pass_fds": tuple(inherited), "start_new_session": apart} if sys.platform != "win32" else {}
    try:
        return subprocess.Popen(words, env=dict(env), **passed)  # type: ignore[call-overload,no-any-return]  # noqa: S603
    except FileNotFoundError:
        raise DependencyMissing(f"{words[0]}: there is no such program") from None
    except PermissionError:
        raise PermissionDenied(f"{words[0]}: this user may not run it") from None
    except OSError as error:
        raise from_os(error, words[0]) from None
    except ValueError as error:  # a null byte among the words
        raise HoldfastError(f"{words[0]!r} cannot be run: {error}") from None


def _handle(handler: Callable[[int, object], None]) -> dict[int, Any]:
    """Handle the signals that are passed on, but for those that are ignored; what was there before."""
    before: dict[int, Any] = {}
    for name in PASSED:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else its exit code is lost
    return before


def _typed() -> bool:
    """Whether the terminal sends its keys' signals to us, and so to the command, which is of the same group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
