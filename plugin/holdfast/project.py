"""A project with a `.holdfast` folder, as commands use it: the workflow and the state behind one name. Cold."""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import HoldfastError, LockTimeout, ValidationFailed, from_os
from holdfast.hook import FOLDER, locate, open_store
from holdfast.limits import MOST
from holdfast.state import backoff, document, folding
from holdfast.state.guard import Busy
from holdfast.workflow import compiler
from holdfast.workflow import index as compiled

if TYPE_CHECKING:
    from holdfast.locks.manager import Held
    from holdfast.state.document import State
    from holdfast.state.store import Outcome

Result = TypeVar("Result")
BUDGET = 30.0  # seconds that a command waits for the state's lock
SIGNAL = 64  # characters of a signal's name


class Project:
    """The project whose `.holdfast` folder is given.

    Args:
        folder: the `.holdfast` folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.root = os.path.dirname(folder)
        self.index = self._reading(lambda: self._compiled(folder))
        try:
            self.store = open_store(folder, self.index, "command")
        except OSError as error:  # of a state that is kept elsewhere
            raise from_os(error, folder) from error
        self.outcome: Outcome | None = None  # of the last update

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

    @staticmethod
    def _compiled(folder: str) -> "compiled.Index":
        found = compiler.sound(folder)
        if found.header["error"] or found.header["source"] == compiled.fingerprint(folder):
            return found
        return compiler.unwritten(folder)  # it cannot be written: a read-only checkout, another's folder

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
            state.update(schema.validate(state, self.store.path))  # keys that a person left out are there now
            return result

        return self._updating(guarded, keep)

    def _updating(self, change: "Callable[[State], Result]", keep: str = "") -> Result:
        budget = self.budget()
        try:
            result = self._once(change, keep, budget)
        except HoldfastError as error:
            from holdfast.state import remedies

            if not remedies.helps(self, error):
                raise
            result = self._once(change, keep, 0 if isinstance(error, LockTimeout) else budget)
        from holdfast.state import reserve

        reserve.make(self.store.folder)
        return result

    def _once(self, change: "Callable[[State], Result]", keep: str, budget: float) -> Result:
        try:
            outcome = backoff.retry(lambda: self.store.update(change, budget, keep))
        except Busy:
            raise self._taken(budget) from None
        except OSError as error:
            raise from_os(error, self.store.path) from error
        self.outcome = outcome
        folded = outcome.folded
        while folded >= folding.AT_ONCE:  # a spool that nobody emptied for long: who can wait does it, not the hooks
            folded = self._reading(self.store.fold_late)
        result: Result = outcome.result
        return result

    def _taken(self, budget: float) -> LockTimeout:
        return LockTimeout(
            f"{self.store.lock}: another process held the lock for {budget:g} s: try again when it has ended"
        )

    @contextlib.contextmanager
    def editing(self, keep: str = "") -> "Iterator[State]":
        """The state to be altered in place: one guarded atomic update, which happens when the block ends.

        The lock is held all the while, so the block should be short. An error in it leaves the state as it was.

        Args:
            keep: why a dated copy is due, or "".

        Raises:
            HoldfastError: as `update`.
        """
        from holdfast.state.editing import editing

        budget = self.budget()
        own: OSError | None = None
        try:
            with editing(self.store, budget, keep) as state:
                try:
                    yield state
                except OSError as error:
                    own = error
                    raise
        except Busy:
            raise self._taken(budget) from None
        except OSError as error:
            if error is own:
                raise
            raise from_os(error, self.store.path) from error

    def emit(self, state: "State", name: str) -> str:
        """Emit a signal in a state that is being altered; the id of the phase that this ended, or "".

        Raises:
            ValidationFailed: this is no name for a signal.
        """
        from holdfast.moments import tracking

        if not (0 < len(name) <= SIGNAL and all((c.isascii() and c.isalnum()) or c in "_.-" for c in name)):
            raise ValidationFailed(
                f"{name!r} is no name for a signal: 1 to {SIGNAL} letters, digits, dots, dashes and underscores"
            )
        tracking.emit(state, name, now())
        return tracking.end_phase(state, self.index)

    def signal(self, name: str) -> str:
        """Emit a signal, as if a tool call had; the id of the phase that this ended, or "".

        Raises:
            ValidationFailed: this is no name for a signal.
            HoldfastError: as `update`.
        """
        from holdfast import moments

        def change(state: "State") -> tuple[str, int]:
            moments.align(state, now(), self.index)
            return self.emit(state, name), state["revision"]

        ended, revision = self.update(change)
        self.record(f"signal emit {name}", revision)
        return ended

    @contextlib.contextmanager
    def lock(
        self,
        name: str,
        *,
        shared: bool = False,
        timeout: "float | None" = None,
        meta: "Mapping[str, Any] | None" = None,
    ) -> "Iterator[Held]":
        """Hold a named lock while the block runs; it ends with the process, however that ends.

        Args:
            name: the lock; see `holdfast lock --help` for the order in which locks may be taken.
            shared: with others that share it.
            timeout: seconds to wait; None for HOLDFAST_LOCK_TIMEOUT, else 30; 0 for one try.
            meta: what others may know of the holder, at most 4 KiB as JSON.

        Raises:
            LockTimeout: it was not free in time; the message names who holds it.
            ValidationFailed: the name or `meta` is not as it must be.
            HoldfastError: this thread holds it, or a lock that comes after it.
        """
        from holdfast.locks import Locks

        with Locks(self.folder).hold(name, shared=shared, timeout=timeout, meta=meta) as held:
            yield held

    def checkpoint(
        self, operation: str, *, phase: "str | None" = None, metadata: "Mapping[str, Any] | None" = None
    ) -> str:
        """Keep a copy of the state, to which `holdfast recovery restore ID` goes back; its id.

        Args:
            operation: what it is made before; it is part of the id.
            phase: the phase to note with it; None for the state's own.
            metadata: anything else that JSON can hold, up to 16 KiB.

        Raises:
            ValidationFailed: the operation has no letter or digit, or the metadata are too large.
            HoldfastError: the state cannot be read, or the checkpoint cannot be written.
        """
        from holdfast.state import checkpoints, remedies, reserve

        def create() -> str:
            try:
                return checkpoints.create(self.store.folder, state, operation, phase, dict(metadata or {}))
            except OSError as error:
                raise from_os(error, self.store.folder) from error

        state = self.read()
        try:
            made = create()
        except HoldfastError as error:
            if not remedies.helps(self, error):
                raise
            made = create()
        self.record(f"recovery checkpoint {made}", state["revision"])
        reserve.make(self.store.folder)
        return made

    def record(self, decision: str, revision: "int | None" = None) -> None:
        """Write down in the audit trail what was done, which holds no texts."""
        from holdfast.state import audit

        line = {"time": now(), "host": "command", "decision": decision, "revision": revision}
        if self.outcome is not None and self.outcome.revision == revision:
            line |= {"wait_ms": round(self.outcome.waited * 1000, 1), "folded": self.outcome.folded or None}
        audit.append(self.store.trail, line)

    @staticmethod
    def budget() -> float:
        """Seconds to wait for the state's lock.

        Raises:
            ValidationFailed: HOLDFAST_LOCK_TIMEOUT is no number of seconds, or one that `--timeout` refuses too.
        """
        asked = os.environ.get("HOLDFAST_LOCK_TIMEOUT")
        if not asked:
            return BUDGET
        try:
            seconds = float(asked)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= MOST:
            raise ValidationFailed(f"HOLDFAST_LOCK_TIMEOUT={asked}: not a number of seconds from 0 to {MOST}")
        return seconds

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
