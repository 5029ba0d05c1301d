"""Any interleaving of what is done to a store, and of what may befall it, keeps what was promised.

Done are updates, events, copies, checkpoints, restorations of both, resets and migrations. What befalls it are kills and
failing calls at any system call, power cuts with any state of the disk that they may leave, and damage.

Everything that is done has an id, which the state keeps in `recent`: updates put theirs there themselves.
"""

import errno
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from disk import Recording, crashes
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.errors import StateCorrupt
from holdfast.state import backups, checkpoints, document, migrations, recovery, restoring, spool
from holdfast.state.store import Store
from systemcalls import ALTERING, led_through

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where the system has one: it spares the disk
DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "emptied": lambda _data: b"",
    "noise": lambda data: bytes(byte ^ 0x5A for byte in data),
}


class Killed(BaseException):
    """The process is no more: nothing that it does from here on reaches the disk."""


class Fate:
    """Lets a number of altering system calls pass; then the process is killed, or one call fails."""

    def __init__(self, calls, error):
        self.left = calls
        self.error = error

    def __call__(self, name, real, *given, **more):
        if name in ALTERING and (name != "open" or given[1] & os.O_CREAT):
            self.left -= 1
            if self.left == 0 and name == "write":
                real(given[0], given[1][: len(given[1]) // 2])
            if self.left < 0 and not self.error:
                raise Killed
            if self.left == 0:
                raise OSError(self.error, os.strerror(self.error)) if self.error else Killed
        return real(*given, **more)


def fold(state, record):
    """Count a record once: what `moments.apply` does, without a workflow."""
    if record.get("poison"):
        raise RuntimeError("cannot be applied")
    if record["id"] not in state["recent"]:
        state["revision"] += 1
        state["recent"].append(record["id"])
        state["stats"]["tool_calls"] += 1


FATES = st.one_of(
    st.none(),
    st.tuples(st.integers(1, 30), st.sampled_from([0, 0, errno.ENOSPC, errno.EIO])),
)


class Machine(RuleBasedStateMachine):
    """One project. kept: the ids that must be there. tried: those that may. floor: those that a copy must hold."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.kept, self.tried, self.floor = set(), set(), set()
        self.revision = 0
        self.damaged = self.went_back = False
        self.number = 0

    def teardown(self):
        shutil.rmtree(self.folder)
        document.SCHEMA_VERSION, migrations.MIGRATIONS = 1, ()

    @property
    def store(self):
        return Store(str(self.folder), fold)

    @property
    def live(self):
        return self.folder / "state.json"

    def ids_in(self, path):
        """The ids in a file that holds a whole state, else None."""
        state = document.decode(path.read_bytes()) if path.exists() else None
        return None if state is None else (state["revision"], set(state["recent"]))

    def copies(self):
        """The best of the copies: its revision and its ids."""
        found = [self.ids_in(path) for path in (self.folder / backups.FOLDER).glob("*.json")]
        if any(found):
            return max((copy for copy in found if copy), key=lambda copy: copy[0])
        last = next((kept.state for kept in checkpoints.found(str(self.folder)) if not kept.fault), None)
        return (last["revision"], set(last["recent"])) if last else (0, set())

    def do(self, action, fate):
        """Do it, as far as fate lets it; whether it came to its end."""
        try:
            with led_through(Fate(*fate) if fate else lambda _name, real, *given, **more: real(*given, **more)):
                action()
        except (Killed, OSError):
            return False
        return True

    def fresh(self):
        self.number += 1
        name = f"id{self.number}"
        self.tried.add(name)
        return name

    @rule(fate=FATES, keep=st.booleans(), start=st.booleans())
    def update(self, fate, keep, start):
        name = self.fresh()
        store = self.store
        there = self.ids_in(self.live)

        def change(state):
            if start:
                store.sweep()
            fold(state, {"id": name})

        waiting = {path.name for path in (self.folder / "spool").glob("*.json")}
        done = self.do(lambda: store.update(change, 0, "start" if keep else ""), fate)
        if done:
            self.kept.add(name)
            assert not waiting & {path.name for path in (self.folder / "spool").glob("*.json")}, "it was not folded"
        if self.ids_in(self.live) not in (None, there):
            self.floor = there[1] if there else self.floor
            self.damaged = False
        if start and done and not (fate and fate[1]):  # else it may have been the sweep's own call that failed
            assert not list(self.folder.rglob("*.tmp"))

    @rule(fate=FATES, poison=st.booleans())
    def put(self, fate, poison):
        name = self.fresh()
        record = {"id": name, "poison": True} if poison else {"id": name}
        if self.do(lambda: spool.put(str(self.folder), record), fate) and not poison:
            self.kept.add(name)

    @precondition(lambda self: not self.damaged and self.live.exists())
    @rule(fate=FATES)
    def back_up(self, fate):
        data = self.live.read_bytes()
        revision = document.decode(data)["revision"]
        if self.do(lambda: backups.copy(str(self.folder), data, revision, 4e9 + self.number, "wanted"), fate):
            assert self.copies()[0] >= revision

    @precondition(lambda self: not self.damaged)
    @rule(fate=FATES)
    def keep_checkpoint(self, fate):
        before = checkpoints.names(str(self.folder))
        state = self.store.read()
        if self.do(lambda: checkpoints.create(str(self.folder), state, "op"), fate):
            assert len(checkpoints.names(str(self.folder))) == len(before) + 1

    @precondition(lambda self: checkpoints.latest(str(self.folder)))
    @rule(fate=FATES)
    def restore_checkpoint(self, fate):
        """What was done is undone, but for what is known to have happened."""
        store = self.store
        wanted = checkpoints.load(str(self.folder), checkpoints.LATEST)
        there = self.ids_in(self.live)

        def change(state):
            document.whole(state)["revision"] += 1
            checkpoints.restore(store, state, wanted)

        self.do(lambda: store.update(change, 0, "restore"), fate)
        if self.ids_in(self.live) not in (None, there):
            self.floor = there[1] if there else self.floor
            self.damaged = False
            self.went_back = True

    def replace_state(self, change, fate):
        """An update after which the state may be one of long ago, but for what is known to have happened."""
        there = self.ids_in(self.live)
        store = self.store

        def changed(state):
            document.whole(state)["revision"] += 1
            change(store, state)

        self.do(lambda: store.update(changed, 0, "replaced"), fate)
        if self.ids_in(self.live) not in (None, there):
            self.floor = there[1] if there else self.floor
            self.damaged = False
            self.went_back = True

    @precondition(lambda self: any(copy.state for copy in restoring.listed(str(self.folder))))
    @rule(fate=FATES, which=st.integers(0, 40))
    def restore_copy(self, fate, which):
        copies = [copy for copy in restoring.listed(str(self.folder)) if copy.state]
        chosen = copies[which % len(copies)]

        def change(store, state):
            store.back_up({**state, "revision": state["revision"] - 1}, 5e9 + self.number, "before-recover")
            restoring.put_back(state, chosen.state, chosen.name, 5e9)

        self.replace_state(change, fate)

    @rule(fate=FATES)
    def reset(self, fate):
        def change(store, state):
            store.back_up({**state, "revision": state["revision"] - 1}, 6e9 + self.number, "before-reset")
            revision, recent = state["revision"], state["recent"]
            state.clear()
            state.update(document.new(6e9), revision=revision, recent=recent)

        self.replace_state(change, fate)

    @precondition(lambda _self: document.SCHEMA_VERSION < 4)
    @rule()
    def upgrade(self):
        """Another release: what is there is migrated by whichever update comes next."""
        version = document.SCHEMA_VERSION + 1
        step = migrations.Migration(f"to-{version}", version, lambda state: {**state, "mode": "paused"})
        document.SCHEMA_VERSION, migrations.MIGRATIONS = version, (*migrations.MIGRATIONS, step)

    @precondition(lambda self: not self.damaged and self.live.exists())
    @rule()
    def an_older_release_tries(self):
        """A state that a newer release wrote is left alone; events are kept all the same."""
        found = document.decode(self.live.read_bytes())
        if found["schema_version"] < 2:
            return
        data = self.live.read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(document, "SCHEMA_VERSION", 1)
            patch.setattr(migrations, "MIGRATIONS", ())
            with pytest.raises(StateCorrupt):
                self.store.update(lambda state: state.update(revision=0), 0)
        assert self.live.read_bytes() == data

    @precondition(lambda self: not self.damaged)
    @rule(keep=st.booleans(), event=st.booleans(), which=st.integers(0, 10_000))
    def power_cut(self, keep, event, which):
        """Any state that the disk may be in if the machine stops in the middle of an update, or of keeping an event."""
        name = self.fresh()
        recording = Recording(self.folder)
        with recording:
            if event:
                spool.put(str(self.folder), {"id": name})
            else:
                self.store.update(lambda state: fold(state, {"id": name}), 0, "start" if keep else "")
            recording.mark(name)
        states = list(itertools.islice(crashes(recording), 200))
        left, due = states[which % len(states)]
        shutil.rmtree(self.folder)
        self.folder.mkdir(mode=0o700)
        left.materialise(self.folder)
        self.kept |= due
        self.floor &= self.copies()[1]  # automatic copies are not synced: what they are copies of is

    @precondition(lambda self: not self.damaged and self.live.exists())
    @rule(how=st.sampled_from([*DAMAGE, "gone"]))
    def damage(self, how):
        """Another file stands in the state's place, or none."""
        data = self.live.read_bytes()
        self.live.unlink()
        if how != "gone":
            self.live.write_bytes(DAMAGE[how](data))
        self.lose()
        assert self.floor <= self.copies()[1], "more is lost than the last update"

    @precondition(lambda self: not self.damaged and self.live.exists())
    @rule(how=st.sampled_from(sorted(DAMAGE)))
    def damage_with_copies(self, how):
        """The state is damaged in place, and so is the newest copy."""
        newest = max(
            (self.folder / backups.FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime_ns, default=None
        )
        for path in filter(None, (self.live, newest)):
            path.write_bytes(DAMAGE[how](path.read_bytes()))
        self.lose()

    def lose(self):
        """What neither a copy nor the spool holds is gone: that is what damage may do, and no more."""
        self.damaged = True
        self.revision, left = self.copies()
        waiting = [spool.load(path) for path in spool.waiting(str(self.folder))]
        self.kept &= left | {record["id"] for record in waiting if record}
        self.floor &= left

    @invariant()
    def what_was_acknowledged_is_there_once(self):
        try:
            state = self.store.read()
        except StateCorrupt:
            assert self.damaged
            return
        recent = state["recent"]
        assert self.kept <= set(recent) <= self.tried
        assert len(recent) == len(set(recent))
        assert self.went_back or len(recent) == state["stats"]["tool_calls"]
        assert state["revision"] >= self.revision
        self.revision = max(self.revision, state["revision"] if self.live.exists() else 0)

    @invariant()
    def the_state_is_sealed(self):
        if not self.damaged and self.live.exists():
            assert self.ids_in(self.live) is not None

    @invariant()
    def nothing_grows_without_bound(self):
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()]
        copies = [name for name in names if name.startswith("backups/state-") and name.endswith(".json")]
        # what commands copy before they replace the state goes with the next update's copy, not with another command's
        assert sum(backups.BEFORE not in name for name in copies) <= backups.KEPT + 1
        assert sum(".corrupt-" in name for name in names) <= recovery.KEPT + 1
        assert len(checkpoints.names(str(self.folder))) <= checkpoints.KEPT + 1
        assert not self.live.exists() or self.live.stat().st_size < 100_000


@pytest.fixture(autouse=True, scope="module")
def no_pause():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "PAUSE", 0)
        yield


class TestStore(Machine.TestCase):
    settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
