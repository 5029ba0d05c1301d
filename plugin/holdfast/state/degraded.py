"""Degraded mode: what is off while updates of the state fail, noted where the state itself cannot be written. Cold.

Each failed update leaves its event in the spool, so three in a row are three names there that are younger than the
state. From then on an empty file in the spool, `….degraded-<exit code>`, stands for the mode: an empty file can be made
on a full disk, and the writer of the next update that succeeds finds it among what it folds. Nobody else pays for it.

Only want of room outlasts that update, in the state's own `degraded_mode`: the update fitted into the room that the
reserve had, and copies must not take that too. It ends with the update that finds room for a reserve again.
A mode that a person set by `holdfast recovery degrade` ends by `recover-mode` alone.
"""

from time import time, time_ns

from holdfast.lean import join, os
from holdfast.state import audit, document, reserve, spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.state.document import State
    from holdfast.state.store import Store

IN_A_ROW = 3  # failed updates
STUCK = 1.0  # seconds without an update: a lock that goes from hand to hand is no failure
MARK = ".degraded-"
RECOVERED = ".recovered-"
REASONS = {
    1: "updates of the state fail",
    2: "another process does not let go of the state's lock",
    3: "the state cannot be trusted, or a newer Holdfast wrote it",
    6: "the state must not be written by this user",
    7: document.NO_ROOM,
    9: "updates of the state take too long",
    10: "memory or file descriptors ran out",
}
OFF = ["state-updates", "phase-transitions", "backups"]  # while nothing can be written; events are kept
OFF_WITHOUT_ROOM = ["backups"]


def failed(folder: str, error: BaseException) -> bool:
    """Enter degraded mode if `error` ended the third update in a row, or if it says that the disk is full.

    Args:
        folder: the project's `.holdfast`, whose spool holds the failed updates' events.
        error: why the last one failed.

    Returns:
        Whether the mode was entered now.
    """
    code = code_of(error)
    if code != 7:  # noqa: PLR2004  a full disk
        if in_a_row(folder) < IN_A_ROW:
            return False
        if code == 2 and time() - _last_success(folder) < STUCK:  # noqa: PLR2004  a lock timeout
            return False
    return enter(folder, code)


def code_of(error: BaseException) -> int:
    """The exit code that a command would end with on what a hook met."""
    from holdfast.deadline import Expired
    from holdfast.errors import HoldfastError, from_os
    from holdfast.state.guard import Busy

    if isinstance(error, Busy):
        return 2
    if isinstance(error, Expired):
        return 9
    if isinstance(error, OSError):
        return from_os(error, "").exit_code
    if isinstance(error, MemoryError):
        return 10
    return error.exit_code if isinstance(error, HoldfastError) else 1


def enter(folder: str, code: int) -> bool:
    """Enter degraded mode for what `code` stands for; whether it was not on before and could be noted."""
    try:
        if any(MARK in _name(path) for path in spool.waiting(folder)):
            return False
        mark(folder, f"{MARK}{code}")
    except OSError:  # not even a name finds room, or the folder is read-only: the event comes first
        return False
    from holdfast.state.store import place

    line = {"time": round(time(), 3), "decision": "degraded", "error": REASONS.get(code, REASONS[1])}
    audit.append(place(folder, "HOLDFAST_AUDIT_LOG", "audit.jsonl"), line)
    return True


def mark(folder: str, sort: str) -> None:
    """Leave an empty file in the spool whose name tells the next writer what happened.

    Raises:
        OSError: not even that can be made.
    """
    path = join(join(folder, spool.FOLDER), f"{time_ns():020d}-{os.getpid()}{sort}")
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        try:
            os.mkdir(join(folder, spool.FOLDER), 0o700)
        except FileExistsError:
            pass
        fd = os.open(path, flags, 0o600)
    os.close(fd)


def fold(store: "Store", state: "State", marks: list[str]) -> None:
    """Take the marks of the spool into the state: an update is about to succeed."""
    from holdfast.state import recovery

    recovery.tell_of_loss(state, sum(path.endswith(spool.LOST) for path in marks))
    for path in marks:
        _at, found, code = _name(path).rpartition(RECOVERED)
        if not found:
            _at, found, code = _name(path).rpartition(MARK)
        if not found:
            continue
        state["revision"] += 1
        state["stats"]["recoveries"] += 1
        if found == MARK:
            _come_back(store, state, _time_of(path), int(code) if code.isdigit() else 1)


def _come_back(store: "Store", state: "State", since: float, code: int) -> None:
    now = time()
    reason = REASONS.get(code, REASONS[1])
    if reason == document.NO_ROOM and not _room(store):
        if not state["degraded_mode"]["enabled"]:
            switch_on(state, reason, OFF_WITHOUT_ROOM, round(since, 3))
        document.notice(
            state, now, "There is no room on the disk: Holdfast lives on its reserve and makes no copies; make room."
        )
        return
    text = f"The workflow state could not be updated for a while: {reason}. Its events were kept, and count now."
    document.notice(state, now, text)
    audit.append(store.trail, {"time": round(now, 3), "decision": "recovered", "code": code, "what": text})


def settle(store: "Store", state: "State", now: float) -> None:
    """Leave the mode that a full disk brought about if there is room again, for a reserve too. An update succeeds."""
    if _room(store):
        switch_off(state)
        text = "There is room on the disk again: Holdfast has its reserve back and makes copies."
        document.notice(state, now, text)
        audit.append(store.trail, {"time": round(now, 3), "decision": "recovered", "code": 7, "what": text})


def _room(store: "Store") -> bool:
    """Whether the reserve is there or could be made, and the state could be written beside it."""
    try:
        size = os.stat(store.path).st_size
    except OSError:
        size = 0
    return reserve.make(store.folder, reserve.SPARE + 2 * size)


def switch_on(state: "State", reason: str, off: list[str], at: float) -> None:
    """Note in the state that what `off` names is off, and why."""
    state["degraded_mode"] = {"enabled": True, "reason": reason, "timestamp": at, "disabled_features": list(off)}


def switch_off(state: "State") -> None:
    """Note in the state that nothing is off."""
    state["degraded_mode"] = {"enabled": False, "reason": "", "timestamp": None, "disabled_features": []}


def show(state: "State", marks: list[str]) -> None:
    """Let a state that was read tell of what is noted in the spool alone."""
    for path in marks:
        name = _name(path)
        state["stats"]["recoveries"] += MARK in name or RECOVERED in name
        _at, found, code = name.rpartition(MARK)
        if found:
            reason = REASONS.get(int(code), REASONS[1]) if code.isdigit() else REASONS[1]
            switch_on(state, reason, OFF, round(_time_of(path), 3))


def in_a_row(folder: str) -> int:
    """How many updates failed since the last that succeeded."""
    last = _last_success(folder)
    return sum(_time_of(path) > last for path in spool.waiting(folder) if path.endswith(".json"))


def _last_success(folder: str) -> float:
    from holdfast.state.store import state_of

    try:
        return os.stat(state_of(folder)).st_mtime
    except OSError:
        return 0.0


def _name(path: str) -> str:
    """A file's name: a folder above it may be called like a mark."""
    return path.rpartition("/")[2]


def _time_of(path: str) -> float:
    """When what a file of the spool stands for happened: its name begins with it, in nanoseconds."""
    digits = _name(path).partition("-")[0]
    return int(digits) / 1e9 if digits.isdigit() and len(digits) <= 20 else 0.0  # noqa: PLR2004  what names have
