"""What is done about each way to fail: one remedy for each exit code of the command. Cold.

`recover` applies the remedy of an error. A command's update does so by itself where nothing can be lost by it
(`automatic`), and then tries once more. Each remedy that did something is in the audit trail, and counted in
`stats.recoveries` by the next update, whoever makes it: where one failed, the state is not to be written.
"""

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from holdfast import errors
from holdfast.errors import HoldfastError
from holdfast.lean import join
from holdfast.state import audit, backups, checkpoints, degraded, recovery, reserve, spool, sweeping
from holdfast.workflow import index

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.project import Project
    from holdfast.state.document import State

WAIT = 0.5  # seconds, for memory, processes or file descriptors that somebody else may let go of


class Remedy(NamedTuple):
    """The remedy of one sort of error.

    Attributes:
        code: the exit code.
        error: the class of the errors that end with it.
        title: what happened, in two words.
        what: what is done about it, or what the user can do where nothing can be done.
        automatic: whether a command's update does it by itself, and tries again.
        plan: tells what it would do now; "" where there is nothing.
        apply: does it, and tells what it did; "" where that was nothing.
    """

    code: int
    error: type[HoldfastError]
    title: str
    what: str
    automatic: bool
    plan: "Callable[[Project], str]"
    apply: "Callable[[Project], str]"


def recover(project: "Project", error: BaseException) -> str:
    """Do what helps against `error`.

    Args:
        project: where it happened.
        error: a HoldfastError, or an OSError.

    Returns:
        What was done, after which it may be worth another try; "" where nothing was.

    Raises:
        HoldfastError: the remedy failed.
    """
    if isinstance(error, OSError):
        error = errors.from_os(error, project.folder)
    remedy = of(error)
    if remedy is None:
        return ""
    try:
        done = remedy.apply(project)
    except OSError as second:
        raise errors.from_os(second, project.folder) from second
    if done:
        count(project, remedy.code, f"{remedy.title}: {done}")
    return done


def of(error: BaseException) -> Remedy | None:
    """The remedy of an error; None for what the command does not know either."""
    code = error.exit_code if isinstance(error, HoldfastError) else 0
    return next((remedy for remedy in REMEDIES if remedy.code == code), None)


def helps(project: "Project", error: HoldfastError) -> bool:
    """Apply the remedy of `error` if it is automatic; whether it did anything, so that another try is worth it."""
    remedy = of(error)
    if remedy is None or not remedy.automatic or remedy.code in DONE_BY_THE_STORE:
        return False
    try:
        return bool(recover(project, error))
    except HoldfastError:  # what went wrong first is what the user has to know
        return False


def count(project: "Project", code: int, text: str) -> None:
    """Note a recovery in the audit trail, and in the spool, for `stats.recoveries`.

    Args:
        project: where it was.
        code: the exit code of what it was a remedy for.
        text: what was done.
    """
    line = {"time": round(time.time(), 3), "host": "command", "decision": "recovered", "code": code}
    audit.append(project.store.trail, {**line, "what": text})
    if code in DONE_BY_THE_STORE or code in COUNTED_AT_ONCE:
        return
    try:
        degraded.mark(project.store.folder, f"{degraded.RECOVERED}{code}")
    except OSError:  # it is in the trail, if that could be written
        pass


# -- the remedies


def _nothing(_project: "Project") -> str:
    return ""


def _locks_to_clean(_project: "Project") -> str:
    return "remove the named locks whose owner is gone or whose time has run out, if there are any"


def _clean_locks(project: "Project") -> str:
    """Remove stale named locks. The state's own lock is the kernel's, and ends with its holder."""
    from holdfast.locks import Locks

    gone = Locks(project.folder).clean()
    return f"{len(gone)} stale locks were removed" if gone else ""


def _copy_to_restore(project: "Project") -> str:
    found = recovery.newest_copy(project.store.folder)
    return f"restore the backup of revision {found['revision']}" if found else "begin anew: there is no valid backup"


def _restore_backup(project: "Project") -> str:
    """Bring the newest valid copy back, if the state is damaged: the store does it, and counts it."""
    before = _recoveries(project)
    state = project.recovered()
    return f"revision {state['revision']} was restored from a backup" if _counted(state) != before else ""


def _recoveries(project: "Project") -> int | None:
    try:
        return _counted(project.read())
    except HoldfastError:
        return None


def _counted(state: "State") -> int:
    count: int = state["stats"]["recoveries"]
    return count


def _checkpoint_to_restore(project: "Project") -> str:
    name = checkpoints.latest(project.store.folder)
    return f"restore {name}" if name else ""


def _restore_checkpoint(project: "Project") -> str:
    """Go back to the newest checkpoint that is whole."""
    name = checkpoints.latest(project.store.folder)
    if not name:
        return ""
    checkpoint = checkpoints.load(project.store.folder, name)
    undo = project.update(lambda state: checkpoints.restore(project.store, state, checkpoint), keep="restore")
    return f"{name} was restored; {undo} undoes it"


def _room_to_make(project: "Project") -> str:
    copies = reserve.spendable(project.store.folder)
    left = len(_temporary(project))
    parts = [f"remove what dead writers left ({left} temporary files) and {len(copies)} old backups"]
    if reserve.there(project.store.folder):
        parts.append("give up the reserve where events need it")
    return ", ".join(parts)


def _make_room(project: "Project") -> str:
    """Remove what dead writers left and the dated copies but for the newest three, oldest first."""
    gone = sweep(project)
    copies = reserve.prune(project.store.folder)
    if not gone and not copies:
        return ""
    return f"{gone} temporary files and {copies} old backups were removed"


def sweep(project: "Project") -> int:
    """Remove the temporary files that dead writers left; how many."""
    before = len(_temporary(project))
    for place, start in _writing(project):
        sweeping.sweep(place, (start,), lock_held=False)
    return before - len(_temporary(project))


def _writing(project: "Project") -> list[tuple[str, str]]:
    """Where temporary files are made, and what their names start with there; "" where all in the folder is ours."""
    kept = project.store.folder
    inner = [(join(kept, name), "") for name in (backups.FOLDER, spool.FOLDER, checkpoints.FOLDER)]
    return [os.path.split(project.store.path), (project.folder, index.NAME), (kept, reserve.NAME), *inner]


def _temporary(project: "Project") -> set[str]:
    """The temporary files in the project's folders, those of living writers too."""
    found = set()
    for place, start in _writing(project):
        try:
            names = os.listdir(place)
        except OSError:
            continue
        found |= {join(place, name) for name in names if name.startswith(start) and name.endswith(spool.TEMPORARY)}
    return found


def _retry(_project: "Project") -> str:
    return "tried again"


def _to_wait(_project: "Project") -> str:
    return f"wait {WAIT:g} s and try again"


def _wait(_project: "Project") -> str:
    time.sleep(WAIT)
    return f"waited {WAIT:g} s"


AGAIN = "run install.py again; a native package mends itself when a session starts"
REMEDIES = (
    Remedy(1, HoldfastError, "refused or failed", "the message says what to do", False, _nothing, _nothing),
    Remedy(2, errors.LockTimeout, "lock timeout", "clean stale locks", True, _locks_to_clean, _clean_locks),
    Remedy(3, errors.StateCorrupt, "state corrupt", "restore from a backup", True, _copy_to_restore, _restore_backup),
    Remedy(
        4,
        errors.ValidationFailed,
        "validation failed",
        "restore the last checkpoint",
        False,  # what was refused changed nothing, and a checkpoint may be old: only when it is asked for
        _checkpoint_to_restore,
        _restore_checkpoint,
    ),
    Remedy(5, errors.DependencyMissing, "dependency missing", AGAIN, False, _nothing, _nothing),
    Remedy(6, errors.PermissionDenied, "permission denied", "check owner and mode", False, _nothing, _nothing),
    Remedy(
        7,
        errors.DiskFull,
        "disk full",
        "remove temporary files and old backups, oldest first",
        True,
        _room_to_make,
        _make_room,
    ),
    Remedy(8, errors.NetworkError, "no network", "try again", False, _nothing, _retry),
    Remedy(9, errors.TimedOut, "timeout", "try again", True, _nothing, _retry),
    Remedy(10, errors.ResourcesExhausted, "resources exhausted", "wait and try again", True, _to_wait, _wait),
)
DONE_BY_THE_STORE = (3,)  # under its lock, as soon as it meets a damaged state
COUNTED_AT_ONCE = (4,)  # with the restored state
