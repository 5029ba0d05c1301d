"""What to do with a state that cannot be trusted: validate it, or put it aside and bring back the newest valid copy.

Cold: no hook's common path comes here.
"""

import os
import time
from typing import TYPE_CHECKING, Any

from holdfast.errors import StateCorrupt, ValidationFailed
from holdfast.lean import join, loads, read
from holdfast.state import audit, backups, document, migrations

if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store

READS = 3
PAUSE = 0.05  # seconds between reads of a state that does not parse
SETTLING = 10  # reads of a file that updates write over
KEPT = 10  # broken files put aside


def newer(state: "dict[str, Any]") -> bool:
    """Whether a newer release wrote this state."""
    version = state.get("schema_version")
    return isinstance(version, int) and version > document.SCHEMA_VERSION


def refuse_newer(path: str, state: "dict[str, Any]") -> None:
    """Leave a state alone that a newer release wrote.

    Raises:
        StateCorrupt: it is one.
    """
    if newer(state):
        raise StateCorrupt(
            f"{path}: written by a newer Holdfast (schema {state['schema_version']}, this one knows "
            f"{document.SCHEMA_VERSION}): upgrade; nothing was changed"
        )


def validated(data: bytes) -> "State | None":
    """The document in `data` if it is valid though its seal is wrong or missing: a person edited it. Else None.

    One of an older release comes back migrated.
    """
    found = parsed(data)
    if found is None or newer(found):
        return None
    found.pop("seal", None)
    return _rehearsed(found) if migrations.older(found) else _accepted(found)


def _accepted(found: "dict[str, Any]") -> "State | None":
    """The document that `found` is, or None."""
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
    """The state of a store whose file is missing, unsealed, broken or of an older release; whether it was made anew.

    Made anew is what was brought back from a copy, and what was migrated.

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
        if state is None and not backups.dated(store.folder):
            _close_to_others(store.project)
            return document.new(now), False
        text = "The workflow state was restored from a backup: state.json was gone."
        if state is None:
            text = "The workflow state was gone, and no backup was valid to recover it from, so it begins anew."
            state = _anew(store, now)
    else:
        found = parsed(data)
        if found is not None:
            refuse_newer(store.path, found)
            if migrations.older(found) and (migrated := _migrated(store, found, data, now)):
                return migrated, True
        state = validated(data)
        if state is not None:
            return state, False
        aside = _put_state_aside(store.path, now)
        text = "The workflow state was damaged and was recovered from a backup; "
        state = newest_copy(store.folder)
        if state is None:
            text = "The workflow state was damaged, and no backup was valid to recover it from, so it begins anew; "
            state = _anew(store, now)
        text += f"the broken file is kept as {os.path.basename(aside)}."
        state["revision"] = max(state["revision"], _revision_in(data))
    state["revision"] += 1
    state["stats"]["recoveries"] += 1
    document.notice(state, now, text)
    audit.append(store.trail, {"time": now, "decision": "recovered", "revision": state["revision"], "error": text})
    return state, True


def _anew(store: "Store", now: float) -> "State":
    """A new state whose revisions go on where those of the copies end, or new copies would count as the oldest."""
    state = document.new(now)
    state["revision"] = max((backups.parts(name)[1] for name in backups.dated(store.folder)), default=0)
    return state


def parsed(data: bytes) -> "State | None":
    """The object in `data`, sealed or not; None where it holds none."""
    try:
        found = loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _migrated(store: "Store", found: "State", data: bytes, at: float) -> "State | None":
    """What an older release's document becomes, once it was backed up; None where it is damaged besides.

    Raises:
        ValidationFailed: its seal is right, and it cannot be migrated.
        OSError: it cannot be backed up.
    """
    try:
        state = migrations.rehearse(found)
    except ValidationFailed:
        if document.decode(data) is None:
            return None
        raise
    old = {key: value for key, value in found.items() if key != "seal"}
    store.back_up({"revision": state["revision"], **old}, at, "before-migration")
    state["revision"] += 1
    names = " ".join(step.name for step in migrations.pending(found))
    audit.append(store.trail, {"time": at, "decision": f"migrated {names}", "revision": state["revision"]})
    return state


def _close_to_others(folder: str) -> None:
    """Make a folder that came with a clone what `install` makes it: for its owner alone, and out of git."""
    path = os.path.join(folder, ".gitignore")
    try:
        os.chmod(folder, 0o700)
        with open(path, "x", encoding="utf-8") as file:
            file.write("*\n!.gitignore\n!workflow.yaml\n")
    except OSError:  # it is there, or another's
        pass


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
    """The valid copy of the highest revision among the two previous revisions and the dated copies, or None.

    Where all of them are spoilt, the newest checkpoint that is whole is better than nothing.
    """
    best: State | None = None
    for name in [*backups.UNDATED, *backups.dated(folder)]:
        try:
            state = read_copy(join(join(folder, backups.FOLDER), name))
        except FileNotFoundError:  # let go of, or not made yet
            continue
        if state is not None and (best is None or state["revision"] > best["revision"]):
            best = state
    if best is None:
        from holdfast.state import checkpoints

        best = next((_usable(kept.state) for kept in checkpoints.found(folder) if not kept.fault), None)
    return best


def read_copy(path: str) -> "State | None":
    """What a copy holds, migrated where an older release made it; None where it is damaged or a newer one's.

    Raises:
        FileNotFoundError: it is not there, or no longer.
    """
    try:
        state = settled(path)[1]
    except FileNotFoundError:
        raise
    except OSError:
        return None
    return _usable(state) if state is not None else None


def settled(path: str) -> "tuple[bytes, State | None]":
    """The bytes of a file, and the document in them if its seal is right, else None.

    Updates write into the file of an old revision, and then give it another name: who opened it before and reads it
    now finds parts of two. So what is no document is read again for as long as another file has the name each time.

    Raises:
        OSError: it cannot be read.
    """
    for _ in range(SETTLING):
        before = _mark(path)
        data = read(path)
        state = document.decode(data)
        if state is not None or _mark(path) == before:
            break
    return data, state


def _mark(path: str) -> "tuple[int, int, int]":
    """What differs between two files of one name, and between a file and what is written into it."""
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _usable(state: "State") -> "State | None":
    if newer(state):
        return None
    return _rehearsed(state) if migrations.older(state) else _accepted(state)  # another sealed file may stand there


def _rehearsed(found: "State") -> "State | None":
    try:
        return migrations.rehearse(found)
    except ValidationFailed:
        return None


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
            refuse_newer(store.path, state)
            return migrations.rehearse(state) if migrations.older(state) else state
        if turn < READS - 1:
            time.sleep(PAUSE)
    state = validated(data)
    if state is None:
        refuse_newer(store.path, parsed(data) or {})
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
