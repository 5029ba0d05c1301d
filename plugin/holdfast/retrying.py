"""Run a command again until it succeeds: by tenacity, with delays that grow and vary. Cold."""

import os
from collections.abc import Callable, Sequence

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_exponential_jitter

from holdfast.locks import child

ANY = frozenset[int]()  # exit codes after which it is run again: all but 0


def run(  # noqa: PLR0913  by keyword
    words: Sequence[str],
    *,
    attempts: int,
    delay: float,
    most: float,
    codes: frozenset[int] = ANY,
    limit: float | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> tuple[int, int]:
    """Run a command, without a shell, until it ends with 0 or with a code that is not to be retried.

    A signal that comes while it runs is passed on to it, and it is not run again.

    Args:
        words: the program and its arguments.
        attempts: how often it is run at most.
        delay: seconds before the second run; they double from run to run, and up to half of `delay` is added at random.
        most: seconds that no delay exceeds.
        codes: the exit codes that are worth another run; none stands for all but 0.
        limit: seconds after which a run is ended, with the exit code 9; None for none.
        tell: given a line after each run that failed and is followed by another.

    Returns:
        The exit code of the last run, and how often the command was run.

    Raises:
        DependencyMissing: there is no such program.
        PermissionDenied: this user may not run it.
        HoldfastError: it cannot be started.
    """
    signals: list[int] = []
    runs = 0

    def once() -> int:
        nonlocal runs
        runs += 1
        return child.run(words, os.environ, seen=signals.append, limit=limit)

    def again(code: int) -> bool:
        return code != 0 and not signals and (not codes or code in codes)

    def before(state: RetryCallState) -> None:
        code = state.outcome.result() if state.outcome else 0
        pause = state.next_action.sleep if state.next_action else 0.0
        tell(f"run {state.attempt_number} of {attempts} ended with exit code {code}; again in {pause:.1f} s")

    def last(state: RetryCallState) -> int:
        return int(state.outcome.result()) if state.outcome else 1

    retrying = Retrying(
        retry=retry_if_result(again),
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(initial=delay, max=most, jitter=delay / 2),
        before_sleep=before,
        retry_error_callback=last,
    )
    return retrying(once), runs
