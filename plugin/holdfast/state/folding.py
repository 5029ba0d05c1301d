"""Takes what waits in the spool into the state."""

from holdfast.state import document, spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.state.document import State
    from holdfast.state.store import Store

NOT_ITS_FAULT = (OSError, MemoryError, ImportError)  # whatever fails so may succeed with the same record
AT_ONCE = 200  # files that one update folds; fewer than the identities that the state remembers


def fold(store: "Store", state: "State", files: "list[str]") -> "State":
    """Apply the records in `files`, as many as one update may; the list is then what was taken in.

    One that cannot be read stays. One that cannot be applied is put aside, not tried again for ever, and the others are
    applied without it.

    Args:
        store: whose lock is held.
        state: as its file has it.
        files: paths in the spool, oldest first.
    """
    records: list[tuple[str, dict[str, Any] | None]] = []
    broken: list[tuple[str, Exception]] = []
    taken: list[str] = []
    for path in files:
        if len(taken) == AT_ONCE:
            break
        try:
            records.append((path, spool.load(path)))
        except OSError:
            continue
        except ValueError as error:
            broken.append((path, error))
        taken.append(path)
    files[:] = taken
    while failed := _all(store, state, records):
        if isinstance(failed[1], NOT_ITS_FAULT):  # then the next update takes all of them in
            files.clear()
            return store.load()[0]
        broken.append(failed)
        records = [pair for pair in records if pair[0] != failed[0]]
        state, _ = store.load()
    marks = [path for path, record in records if record is None]
    if marks:  # only after an update that failed, or a loss
        from holdfast.state import degraded

        degraded.fold(store, state, marks)
    if broken:
        from holdfast.state import recovery

        for path, why in broken:
            recovery.put_aside(store, state, path, why)
            files.remove(path)
    return state


def _all(
    store: "Store", state: "State", records: "list[tuple[str, dict[str, Any] | None]]"
) -> "tuple[str, Exception] | None":
    for path, record in records:
        if record is not None:
            try:
                store.fold(state, record)
            except Exception as error:  # noqa: BLE001  whatever a record makes the fold do
                return path, error
    return None


def read(store: "Store") -> "State":
    """The state as it is now, with what waits in the spool folded in; takes no lock and writes nothing.

    Raises:
        StateCorrupt: it cannot be trusted, or a newer release wrote it.
        OSError: it cannot be read.
    """
    state = store.glance()
    files = spool.waiting(store.folder)
    for path in files:
        kept = document.encode(state)
        try:
            record = spool.load(path)
            if record is not None:
                store.fold(state, record)
        except Exception:  # noqa: BLE001  the writer that folds it puts it aside and says so
            state = document.decode(kept) or state
    if any(not path.endswith(spool.RECORD) for path in files):  # hooks use `glance`
        from holdfast.state import degraded

        degraded.show(state, files)
    return state
