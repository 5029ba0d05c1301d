"""What to do with a state that cannot be trusted: validate it, or put it aside and bring back the newest valid copy.

Cold: no hook's common path comes here.
"""

import os
import time
from typing import TYPE_CHECKING, Any

from holdfast.errors import StateCorrupt
from holdfast.lean import join, loads, read
from holdfast.state import audit, backups, document

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store

READS = 3
PAUSE = 0.05  # seconds between reads of a state that does not parse
KEPT = 10  # broken files put aside


def newer(state: "dict[str, Any]") -> bool:
    """Whether a newer release wrote this state."""
    version = state.get("schema_version")
    return isinstance(version, int) and version > document.SCHEMA_VERSION


def _refuse_newer(path: str, state: "dict[str, Any]") -> None:
    if newer(state):
        raise StateCorrupt(
            f"{path}: written by a newer Holdfast (schema {state['schema_version']}, this one knows "
            f"{document.SCHEMA_VERSION}): upgrade; nothing was changed"
        )


def validated(data: bytes) -> "State | None":
    """The document in `data` if it is valid though its seal is wrong or missing: a person edited it. Else None."""
    try:
        found = loads(data)
    except ValueError:
        return None
    if not isinstance(found, dict) or newer(found):
        return None
    found.pop("seal", None)
    from holdfast.dependencies import enable

    enable()
    try:
        from holdfast.state import schema
    except ImportError:  # a plugin without its private environment: the shape at least
        example = document.new(0)
        return (
            found if all(isinstance(found.get(key), type(value)) for key, value in example.items() if value) else None
        )
    return schema.accept(found)


def load(store: "Store") -> "tuple[State, bool]":
    """The state of a store whose file is missing, unsealed or broken, and whether it was brought back from a copy.

    The lock must be held. A broken file is renamed to `state.json.corrupt-<UTC time>`.

    Raises:
        StateCorrupt: a newer release wrote it.
        OSError: it cannot be read or put aside.
    """
    now = time.time()
    try:
        data = read(store.path)
    except FileNotFoundError:
        state = newest_copy(store.folder)
        if state is None:
            return document.new(now), False
        text = "The workflow state was restored from a backup: state.json was gone."
    else:
        sealed = document.decode(data)
        if sealed is not None:
            _refuse_newer(store.path, sealed)
        else:
            try:
                found = loads(data)
            except ValueError:
                found = None
            if isinstance(found, dict):
                _refuse_newer(store.path, found)
        state = validated(data)
        if state is not None:
            return state, False
        aside = _put_state_aside(store.path, now)
        text = "The workflow state was damaged and was recovered from a backup; "
        state = newest_copy(store.folder)
        if state is None:
            text = "The workflow state was damaged, and no backup was valid to recover it from, so it begins anew; "
            state = document.new(now)
        text += f"the broken file is kept as {os.path.basename(aside)}."
        state["revision"] = max(state["revision"], _revision_in(data))
    state["revision"] += 1
    state["stats"]["recoveries"] += 1
    document.notice(state, now, text)
    audit.append(store.trail, {"time": now, "decision": "recovered", "revision": state["revision"], "error": text})
    return state, True


def _revision_in(data: bytes) -> int:
    """The revision that a broken file still tells, so that revisions never run backwards; else 0."""
    digits = data.partition(b'"revision":')[2][:16].split(b",")[0].strip()
    return int(digits) if digits.isdigit() and len(digits) < 16 else 0  # noqa: PLR2004  what a double holds exactly


def _put_state_aside(path: str, at: float) -> str:
    stem = f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}"
    name, number = stem, 1
    while os.path.exists(name):
        number += 1
        name = f"{stem}-{number}"
    os.replace(path, name)
    folder = os.path.dirname(path)
    mark = os.path.basename(path) + ".corrupt-"
    for old in sorted(found for found in os.listdir(folder) if found.startswith(mark))[:-KEPT]:
        os.unlink(os.path.join(folder, old))
    return name


def newest_copy(folder: str) -> "State | None":
    """The valid copy of the highest revision among the previous revision and the dated copies, or None."""
    best: State | None = None
    for name in [backups.PREVIOUS, *backups.dated(folder)]:
        try:
            state = document.decode(read(join(join(folder, backups.FOLDER), name)))
        except OSError:
            continue
        if state is None or state["schema_version"] != document.SCHEMA_VERSION:
            continue
        if best is None or state["revision"] > best["revision"]:
            best = state
    return best


def peek(store: "Store") -> "State":
    """The state, read without the lock; a missing file is a new state.

    Raises:
        StateCorrupt: it cannot be trusted, or a newer release wrote it.
        OSError: it cannot be read.
    """
    for turn in range(READS):
        try:
            data = read(store.path)
        except FileNotFoundError:
            return newest_copy(store.folder) or document.new(time.time())
        state = document.decode(data)
        if state is not None:
            _refuse_newer(store.path, state)
            return state
        if turn < READS - 1:
            time.sleep(PAUSE)
    state = validated(data)
    if state is None:
        raise StateCorrupt(f"{store.path}: damaged; the next update brings back the newest valid copy")
    return state


def tell_of_loss(state: "State", count: int) -> None:
    """Note for the user that events could not be kept."""
    if not count:
        return
    state["revision"] += 1
    what = "An event was" if count == 1 else f"{count} events were"
    document.notice(state, time.time(), f"{what} lost: there was no room on the disk to keep them.")


def put_aside(store: "Store", state: "State", path: str, error: BaseException) -> None:
    """Take a record that cannot be applied out of the spool, keep it beside the backups, and say so."""
    name = "unreadable-" + os.path.basename(path)
    target = os.path.join(store.folder, backups.FOLDER, name)
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    os.replace(path, target)
    state["revision"] += 1
    document.notice(state, time.time(), f"An event could not be applied; it is kept as backups/{name}.")
    audit.append(store.trail, {"time": time.time(), "decision": "put aside", "error": f"{name}: {error!r}"[:300]})
