"""The store: guarded atomic updates of one state document, and what to do when one cannot be had.

An update takes the lock, reads, folds what waits in the spool, changes, writes a temporary file in the same folder,
syncs it, replaces the state and syncs the folder. Whatever happens at any step, the file holds the old or the new
state.
"""

from time import time

from holdfast.lean import getenv, join, os, parent, read, sync, write
from holdfast.state import audit, document, guard, previous

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from holdfast.state.document import State

    Change = Callable[[State], Any]
    Fold = Callable[[State, dict[str, Any]], None]

TEMPORARY = ".tmp"
SPOOL = "spool"
EVERY = 60.0  # seconds between dated copies that nothing else brings about
LOOKS = 3  # how often a writer looks for what was spooled while it wrote


def place(folder: str, variable: str, name: str) -> str:
    """Where a file of the project is: where the environment says, else in `folder`.

    A relative path in the environment is one from the project's root, since a host's working directory moves.
    """
    asked = getenv(variable)
    if not asked:
        return join(folder, name)
    return asked if asked.startswith("/") or asked[1:2] == ":" else join(parent(folder), asked)


def home(folder: str) -> str:
    """The folder of a state's spool and copies: the project's, or one beside a state that is kept elsewhere.

    Two states must not share them: each would be recovered from the other's copies.

    Raises:
        OSError: it cannot be made.
    """
    path = place(folder, "HOLDFAST_STATE_FILE", "state.json")
    if path == join(folder, "state.json"):
        return folder
    _make(f"{path}.d")
    return f"{path}.d"


def _make(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        if parent(folder) in ("", folder):
            raise
        _make(parent(folder))
        os.mkdir(folder, 0o700)


def state_of(folder: str) -> str:
    """The path of the state whose spool and copies are in `folder`, which `home` gave."""
    elsewhere = getenv("HOLDFAST_STATE_FILE") and folder.endswith(".d")
    return folder.removesuffix(".d") if elsewhere else join(folder, "state.json")


class Outcome:
    """What an update came to: the change's own result, the revision, seconds waited, events folded."""

    __slots__ = ("folded", "result", "revision", "waited")

    def __init__(self) -> None:
        self.result: Any = None
        self.revision = 0
        self.waited = 0.0
        self.folded = 0


class Store:
    """The state of one project.

    Args:
        folder: the project's `.holdfast`; afterwards `project`, while `folder` is that of the spool and the copies.
        fold: applies one spooled record to a state in place.
        writer: who writes, for `metadata.last_writer`.
        kept: tells how many dated copies stay, and for how many days; asked when one is made.
    """

    def __init__(
        self,
        folder: str,
        fold: "Fold",
        writer: str = "command",
        kept: "Callable[[], tuple[int, int | None]] | None" = None,
    ) -> None:
        self.project = folder
        self.kept = kept
        self.fold = fold
        self.writer = writer
        self.path = place(folder, "HOLDFAST_STATE_FILE", "state.json")
        self.folder = home(folder)
        self.trail = place(folder, "HOLDFAST_AUDIT_LOG", "audit.jsonl")
        self.lock = self.path.removesuffix(".json") + ".lock"

    def update(self, change: "Change", budget: float, keep: str = "") -> Outcome:
        """Apply `change` to the state, in place; a change that leaves `revision` as it was writes nothing.

        Args:
            change: given the state, alters it and returns what the caller wants back.
            budget: seconds to wait for the lock.
            keep: why a dated copy is due, or "".

        Raises:
            guard.Busy: the lock was taken for the whole budget.
            StateCorrupt: a newer release wrote the state.
            OSError: the state cannot be read or written; it is what it was.
        """
        fd, waited = guard.acquire(self.lock, budget, self.path)
        try:
            outcome = self._locked(change, keep)
        finally:
            guard.release(fd)
        outcome.waited = waited
        try:
            outcome.folded += self.fold_late()
        except OSError:  # the update is saved, and the next one folds
            pass
        return outcome

    def fold_late(self) -> int:
        """Fold what was spooled while somebody held the lock, so that nothing waits while the lock is free.

        Who spools looks after it has written its file, who writes after it has let go of the lock: one of the two
        sees it. Returns how many were folded.
        """
        folded = 0
        for _ in range(LOOKS):
            if not waiting(self.folder):
                break
            try:
                fd, _waited = guard.acquire(self.lock, 0, self.path)
            except guard.Busy:
                break
            try:
                taken = self._locked(lambda _state: None, "").folded
            finally:
                guard.release(fd)
            if not taken:  # what waits cannot be read
                break
            folded += taken
        return folded

    def fold_waiting(self) -> "State":
        """The state with what waits in the spool, which is saved in it. Only for who holds the lock."""
        state: State = self._locked(lambda state: state, "").result
        return state

    def _locked(self, change: "Change", keep: str) -> Outcome:
        state, recovered = self.load()
        if recovered:  # kept at once: the change may raise, and the broken file was put aside
            document.stamp(state, time(), self.writer)
            self.replace(document.encode(state))
        before = state["revision"]
        phase = state["phase"]
        files = waiting(self.folder)
        if files:  # mostly there are none
            from holdfast.state import folding

            state = folding.fold(self, state, files)
        outcome = Outcome()
        outcome.folded = len(files)
        outcome.result = change(state)
        if state["revision"] != before:
            self.save(state, phase, keep, recovered=recovered)
        for path in files:
            os.unlink(path)
        outcome.revision = state["revision"]
        return outcome

    def save(self, state: "State", phase: "str | None", keep: str = "", *, recovered: bool = False) -> None:
        """Put an altered state in the live one's place, with a dated copy where one is due. Only under the lock.

        Args:
            state: what is saved; it is bounded and stamped before.
            phase: the phase that it stood in before.
            keep: why a dated copy is due, or "".
            recovered: whether it was brought back from a copy.

        Raises:
            OSError: it cannot be written.
        """
        now = time()
        if state["degraded_mode"]["reason"] == document.NO_ROOM:  # a comparison is all that other states pay
            from holdfast.state import degraded

            degraded.settle(self, state, now)
        last = state["metadata"]["last_modified"]
        document.bound(state)
        document.stamp(state, now, self.writer)
        data = document.encode(state)
        self.replace(data)
        due = keep or recovered or state["phase"] != phase or now // EVERY != last // EVERY
        if due and "backups" not in state["degraded_mode"]["disabled_features"]:
            reason = keep or ("recovery" if recovered else "phase" if state["phase"] != phase else "")
            try:  # what it is a copy of is on the disk
                self._copy(data, state["revision"], now, reason, durable=False)
            except OSError as error:  # the state itself is safe
                audit.append(self.trail, {"time": now, "decision": "backup failed", "error": str(error)})

    def back_up(self, state: "State", at: float, reason: str) -> str:
        """Keep a dated copy of a state, on the disk when this returns; its path.

        Args:
            state: what is kept.
            at: Unix time in seconds.
            reason: a word for the name.

        Raises:
            OSError: it cannot be written.
        """
        return self._copy(document.encode(state), state["revision"], at, reason, durable=True)

    def _copy(self, data: bytes, revision: int, at: float, reason: str, *, durable: bool) -> str:
        from holdfast.state import backups  # once a minute

        kept = self.kept() if self.kept is not None else (backups.KEPT, None)
        return backups.copy(self.folder, data, revision, at, reason, durable=durable, kept=kept)

    def load(self) -> "tuple[State, bool]":
        """The state, and whether it had to be recovered. Only for who holds the lock.

        Raises:
            StateCorrupt: a newer release wrote it.
            OSError: it cannot be read.
        """
        try:
            state = document.decode(read(self.path), lazily=True)
        except FileNotFoundError:
            state = None
        if state is not None and state["schema_version"] == document.SCHEMA_VERSION:
            return state, False
        from holdfast.state import recovery

        return recovery.load(self)

    def read(self) -> "State":
        """The state as it is now, with what waits in the spool folded in; takes no lock and writes nothing.

        Raises:
            StateCorrupt: it cannot be trusted, or a newer release wrote it.
            OSError: it cannot be read.
        """
        from holdfast.state import folding

        return folding.read(self)

    def glance(self, *, lazily: bool = False) -> "State":
        """The state as it was last written; cheaper than `read`, and may lack what waits in the spool.

        Args:
            lazily: whether it may be a Lazy one.

        Raises:
            StateCorrupt, OSError: as `read`.
        """
        try:
            state = document.decode(read(self.path), lazily=lazily)
            if state is not None and state["schema_version"] == document.SCHEMA_VERSION:
                return state
        except OSError:
            pass
        from holdfast.state import recovery

        return recovery.peek(self)

    def replace(self, data: bytes) -> None:
        """Put `data` in the state's place, durably.

        Raises:
            OSError: it cannot be written; the old state is untouched and no temporary file is left.
        """
        temporary = f"{self.path}.{os.getpid()}{TEMPORARY}"
        older = join(join(self.folder, previous.FOLDER), previous.OLDER)
        fd = previous.fresh(temporary, older, len(data), self.path)
        try:
            try:
                write(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            previous.keep_previous(self.folder, self.path)
            os.replace(temporary, self.path)
        except BaseException:
            try:
                os.unlink(temporary)
            except FileNotFoundError:
                pass
            raise
        sync(parent(self.path))

    def sweep(self) -> bool:
        """Remove the temporary files that dead writers left; whether an installation was killed, which leaves others.

        Only for who holds the lock: then all writers of the state are dead.
        """
        from holdfast.state import sweeping

        return sweeping.everywhere(self)


def waiting(folder: str) -> "list[str]":
    """What `spool.waiting` finds, without its import where there is nothing, as mostly."""
    try:
        if not os.listdir(join(folder, SPOOL)):
            return []
    except (FileNotFoundError, NotADirectoryError):
        return []
    from holdfast.state import spool

    return spool.waiting(folder)
