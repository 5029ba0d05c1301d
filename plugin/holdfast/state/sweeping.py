"""What writers that died left behind: their temporary files are removed at a session's start."""

from holdfast.lean import join, os, read
from holdfast.state.previous import FOLDER
from holdfast.state.store import SPOOL, TEMPORARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.state.store import Store

WRITTEN = ("reserve", "index.json", ".install.json", ".workflow.yaml", ".gitignore")  # see `sweep`
INSTALLING = "installing."  # what begins so in `locks/` stands there while an installation writes


def everywhere(store: "Store") -> bool:
    """What `Store.sweep` does."""
    folder, _, name = store.path.rpartition("/")
    beside = sweep(folder, (name,), lock_held=True)
    sweep(join(store.folder, FOLDER), ("",), lock_held=False)  # commands copy without the lock
    sweep(join(store.folder, SPOOL), ("",), lock_held=False)
    sweep(join(store.folder, "checkpoints"), ("",), lock_held=False)
    if store.folder != store.project:
        sweep(store.folder, ("reserve",), lock_held=False)
    sweep(store.project, WRITTEN, lock_held=False, names=beside if folder == store.project else None)
    there = sweep(join(store.project, "locks"), ("",), lock_held=False)
    return any(name.startswith(INSTALLING) for name in there)


def sweep(folder: str, starts: "tuple[str, ...]", *, lock_held: bool, names: "list[str] | None" = None) -> "list[str]":
    """Remove the temporary files of writers that died. Their names end with the writer's process id and `.tmp`.

    Args:
        folder: where they are.
        starts: the names of the files that they were to become; "" for those of any record or copy. Those that begin
            with a dot are `install.files.replace`'s, with eight random digits before the process id.
        lock_held: whether the caller holds the lock that their writers need: then none of them lives.
        names: what is in the folder, if that is known.

    Returns:
        The names of what was in the folder.
    """
    try:
        names = os.listdir(folder) if names is None else names
    except OSError:
        return []
    for name in names:
        if not name.endswith(TEMPORARY):
            continue
        for start in starts:
            if not name.startswith(start):
                continue
            between, _, writer = name[len(start) : -len(TEMPORARY)].replace("-", ".").rpartition(".")
            if start:
                named = len(between) == (9 if start[0] == "." else 0)
            else:
                named = between.isdecimal() or between.endswith(".json") or name.startswith((".", INSTALLING))
            if not named or not writer.isdecimal():
                continue  # somebody else's file beside ours
            if lock_held or not _alive(writer):
                try:
                    os.unlink(join(folder, name))
                except OSError:
                    pass
    return names


def _alive(number: str) -> bool:
    """Whether a process with this id runs. Ours does not count: what it has begun, it has ended."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:
        return True
    if int(number) == os.getpid():
        return False
    try:  # a container's first process may not reap: what was killed there still has a process id
        return b") Z " not in read(f"/proc/{number}/stat", 4096)
    except OSError:
        return True
