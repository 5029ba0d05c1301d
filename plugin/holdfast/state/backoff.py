"""Waiting by tenacity: exponential with jitter.

Cold: importing tenacity costs a hook 30 ms, so only who must wait pays.
"""

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from holdfast.dependencies import enable

enable()

from tenacity import (  # noqa: E402  after enable(): a hook starts without site-packages
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

Result = TypeVar("Result")

# What a file system answers now and not a moment later. 32 and 33 are Windows' sharing and lock violations.
PASSING = (errno.EINTR, errno.EBUSY, errno.EAGAIN, getattr(errno, "ESTALE", errno.EINTR))
PASSING_WINDOWS = (32, 33)


def until(attempt: Callable[[], bool], seconds: float, pause: "Callable[[float], float] | None" = None) -> bool:
    """Try until `attempt` answers True, at most `seconds`; whether it did.

    Args:
        attempt: tries.
        seconds: how long.
        pause: seconds until the next try, given those that were waited; by default exponential with jitter.
    """
    retrying = Retrying(
        retry=retry_if_result(lambda done: not done),
        stop=stop_after_delay(seconds),
        wait=(lambda state: pause(state.seconds_since_start or 0.0))
        if pause
        else wait_random_exponential(multiplier=0.005, max=0.1),
        retry_error_callback=lambda _: False,
    )
    return bool(retrying(attempt))


def passing(error: BaseException) -> bool:
    """Whether an error of the file system may be gone at the next try."""
    return isinstance(error, OSError) and (
        error.errno in PASSING or (os.name == "nt" and getattr(error, "winerror", None) in PASSING_WINDOWS)
    )


def retry(action: Callable[[], Result], attempts: int = 5) -> Result:
    """Do `action`, again after errors that pass; what it raises last is raised."""
    retrying = Retrying(
        retry=retry_if_exception(passing),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.01, max=0.2),
        reraise=True,
    )
    return retrying(action)
