"""One guarded update as a `with` block: the state is the caller's until the block ends. Cold.

The lock is held for as long as the block lasts; hooks spool their events meanwhile.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast.state import document, guard

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store


@contextlib.contextmanager
def editing(store: "Store", budget: float, keep: str = "") -> Iterator["State"]:
    """Give the state out to be altered in place, and save it when the block ends without an error.

    Args:
        store: whose state.
        budget: seconds to wait for the lock.
        keep: why a dated copy is due, or "".

    Raises:
        guard.Busy: the lock was taken for the whole budget.
        ValidationFailed: what the block left is no valid state; it is what it was.
        StateCorrupt, OSError: as `Store.update`.
    """
    from holdfast.state import schema

    fd, _waited = guard.acquire(store.lock, budget, store.path)
    try:
        state = document.whole(store.fold_waiting())
        phase = state["phase"]
        state["revision"] += 1
        yield state
        state.update(schema.validate(state, store.path))
        store.save(state, phase, keep)
    finally:
        guard.release(fd)
    store.fold_late()
