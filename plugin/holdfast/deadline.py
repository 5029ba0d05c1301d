"""The hook's own deadline: one interval timer, which costs no import, rings for the whole and for a part of it.

A host waits for its hooks, some for up to 60 s. Waiting in the kernel for a lock and a regex that backtracks for ever
can both be ended by a signal's handler that raises. Windows has no interval timers: there only the lock's budget
holds.
"""

from time import monotonic

try:
    import _signal
except ImportError:  # pragma: no cover  another interpreter
    _signal = None

_POSSIBLE = hasattr(_signal, "setitimer")
_end = 0.0  # monotonic time in seconds; 0 = no deadline, and so no timers: a library must not touch its host's signals


class Expired(BaseException):
    """The deadline, or the part of it that `limit` set, is over."""


def _ring(_number: int, _frame: object) -> None:
    raise Expired


def start(seconds: float) -> None:
    """Raise Expired in the main thread after `seconds`, whatever it does then."""
    global _end  # noqa: PLW0603  there is one timer a process
    if _POSSIBLE:
        _end = monotonic() + seconds
        _signal.signal(_signal.SIGALRM, _ring)
        _signal.setitimer(_signal.ITIMER_REAL, seconds)


def running() -> bool:
    """Whether a deadline was set: whether `limit` will ring."""
    return _end > 0


def left() -> float:
    """Seconds until the deadline; infinite where there is none."""
    return _end - monotonic() if _end else float("inf")


def limit(seconds: float) -> None:
    """Ring after `seconds` at the latest, until `restore`."""
    if _end:
        _signal.setitimer(_signal.ITIMER_REAL, max(min(seconds, left()), 0.001))


def restore() -> None:
    """Ring at the deadline again."""
    if _end:
        _signal.setitimer(_signal.ITIMER_REAL, max(left(), 0.001))


def spend(seconds: float) -> None:
    """Ring once this process has used the processor for `seconds` from now on; 0 calls it off.

    Time on the clock would not do for a regex: among many hooks at the same time, each is halted for longer than that.
    """
    if _end:
        _signal.signal(_signal.SIGVTALRM, _ring)
        _signal.setitimer(_signal.ITIMER_VIRTUAL, seconds)


def stop() -> None:
    """Ring no more: what remains is to answer."""
    global _end  # noqa: PLW0603
    if _end:
        _end = 0.0
        _signal.setitimer(_signal.ITIMER_REAL, 0)
