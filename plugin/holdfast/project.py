"""A project with a `.holdfast` folder, as commands use it: the workflow and the state behind one name. Cold."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import HoldfastError, LockTimeout, ValidationFailed, from_os
from holdfast.hook import FOLDER, locate, open_store
from holdfast.state import backoff, document
from holdfast.state.guard import Busy
from holdfast.workflow import index as compiled

if TYPE_CHECKING:
    from holdfast.state.document import State

Result = TypeVar("Result")
BUDGET = 30.0  # seconds that a command waits for the state's lock


class Project:
    """The project whose `.holdfast` folder is given.

    Args:
        folder: the `.holdfast` folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.root = os.path.dirname(folder)
        self.index = self._reading(lambda: compiled.refresh(folder))
        self.store = open_store(folder, self.index, "command")

    @classmethod
    def find(cls, start: str = "") -> "Project":
        """The project that `start` (default: the working directory) lies in.

        Raises:
            HoldfastError: there is none.
        """
        start = os.path.abspath(start or os.getcwd())
        folder = locate("", start)
        if not folder:
            raise HoldfastError(f"{start}: no {FOLDER} folder here or above: run `holdfast install` in the project")
        return cls(folder)

    def _reading(self, action: Callable[[], Result]) -> Result:
        try:
            return backoff.retry(action)
        except OSError as error:
            raise from_os(error, self.folder) from error

    def read(self) -> "State":
        """The state as it is now, spooled events included.

        Raises:
            StateCorrupt: it cannot be trusted, or a newer release wrote it.
            HoldfastError: it cannot be read.
        """
        return self._reading(self.store.read)

    def update(self, change: "Callable[[State], Result]", keep: str = "") -> Result:
        """Apply `change` to the state in one guarded atomic update; what it returns is returned.

        Args:
            change: alters the state in place. What it raises leaves the state as it was.
            keep: why a dated copy is due, or "".

        Raises:
            LockTimeout: the lock was taken for the whole budget (HOLDFAST_LOCK_TIMEOUT, else 30 s).
            ValidationFailed: the change left something that is no valid state.
            HoldfastError: the state cannot be read or written.
        """
        from holdfast.state import schema

        def guarded(state: "State") -> Result:
            document.whole(state)["revision"] += 1
            result = change(state)
            schema.validate(state, self.store.path)
            return result

        return self._updating(guarded, keep)

    def _updating(self, change: "Callable[[State], Result]", keep: str = "") -> Result:
        budget = self.budget()
        try:
            outcome = backoff.retry(lambda: self.store.update(change, budget, keep))
        except Busy:
            raise LockTimeout(
                f"{self.store.lock}: another process held the lock for {budget:g} s: try again when it has ended"
            ) from None
        except OSError as error:
            raise from_os(error, self.store.path) from error
        result: Result = outcome.result
        return result

    @staticmethod
    def budget() -> float:
        """Seconds to wait for the state's lock.

        Raises:
            ValidationFailed: HOLDFAST_LOCK_TIMEOUT is no number of seconds.
        """
        asked = os.environ.get("HOLDFAST_LOCK_TIMEOUT")
        if not asked:
            return BUDGET
        try:
            return max(0.0, float(asked))
        except ValueError:
            raise ValidationFailed(f"HOLDFAST_LOCK_TIMEOUT={asked}: not a number of seconds") from None

    def recovered(self) -> "State":
        """The state, brought back from a copy first if it is damaged.

        Raises:
            HoldfastError: as `read` and `update`.
        """
        return self._updating(document.whole)


def now() -> float:
    """The time as the state keeps it: Unix time in seconds, to the millisecond."""
    return round(time.time(), 3)


__all__ = ["Project", "document", "now"]
