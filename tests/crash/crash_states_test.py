"""Every state that a crash could leave on the disk loads, keeps what was acknowledged, and takes the next update."""

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from disk import Recording, crashes

from holdfast.errors import StateCorrupt
from holdfast.lean import os as lean_os
from holdfast.state import backups, checkpoints, document, migrations, previous, recovery, restoring, spool
from holdfast.state.store import Store


def fold(state, record):
    """Count a record once: what `moments.apply` does, without a workflow."""
    if record.get("poison"):
        raise RuntimeError("cannot be applied")
    if record["id"] not in state["recent"]:
        state["revision"] += 1
        state["recent"].append(record["id"])
        state["stats"]["tool_calls"] += 1


def bump(state):
    state["revision"] += 1
    state["stats"]["prompts"] += 1
    return state["stats"]["prompts"]


class Work:
    """What is done while it is recorded. Updates are counted in `stats.prompts`, events in `stats.tool_calls`."""

    def __init__(self, folder, recording):
        self.folder = str(folder)
        self.store = Store(self.folder, fold)
        self.recording = recording
        self.updates = 0

    def update(self, keep=""):
        self.updates += 1
        self.store.update(bump, 0, keep)
        self.recording.mark(("update", self.updates))

    def put(self, name, **more):
        spool.put(self.folder, {"id": name, **more})
        self.recording.mark(("event", name))

    def put_where_another_hook_makes_the_spool(self, name):
        def faster(path, mode):
            real(path, mode)  # and stands before its own sync
            raise FileExistsError(path)

        real = lean_os.mkdir
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lean_os, "mkdir", faster)
            self.put(name)

    def back_up(self):
        state = self.store.read()
        path = backups.copy(self.folder, document.encode(state), state["revision"], time.time(), "wanted")
        self.recording.mark(("copy", os.path.basename(path)))

    def keep_checkpoint(self):
        name = checkpoints.create(self.folder, self.store.read(), "release")
        self.recording.mark(("checkpoint", name))

    def restore_checkpoint(self):
        wanted = checkpoints.load(self.folder, checkpoints.LATEST)

        def change(state):
            document.whole(state)["revision"] += 1
            return checkpoints.restore(self.store, state, wanted)

        undo = self.store.update(change, 0, "restore").result
        self.recording.mark(("checkpoint", undo))

    def restore_copy(self):
        saved = restoring.choose(self.folder, "first", None)

        def change(state):
            self.store.back_up(document.whole(state), 1.8e9, "before-recover")
            state["revision"] += 1
            restoring.put_back(state, saved.state, saved.name, 1.8e9)

        self.store.update(change, 0, "restore")
        self.recording.mark(("restored", saved.name))

    def migrate(self):
        self.store.update(lambda _state: None, 0)
        self.recording.mark(("migrated", "2"))


class Case(NamedTuple):
    """What is done, and what must be there after a crash.

    before: makes what is on the disk at first, of which `kept` updates and `events` must stay. work: is recorded.
    recovers: whether the state is damaged at first. values: (old, new) count of updates, where it may go back.
    setting: patches what both the work and the check need.
    """

    before: object
    work: object
    kept: int = 0
    events: frozenset = frozenset()
    recovers: bool = False
    values: tuple = ()
    setting: object = lambda _patch: None


def nothing(_store):
    pass


def with_a_checkpoint(store):
    updates(1)(store)
    checkpoints.create(store.folder, store.read(), "first")
    updates(2)(store)


def with_a_copy(store):
    updates(1)(store)
    store.back_up(store.read(), 1.7e9, "first")
    updates(2)(store)


def newer_release(patch):
    patch.setattr(document, "SCHEMA_VERSION", 2)
    step = migrations.Migration(
        "count-a-failure", 2, lambda state: {**state, "stats": {**state["stats"], "failures": 1}}
    )
    patch.setattr(migrations, "MIGRATIONS", (step,))


def updates(count, keep=""):
    def before(store):
        for _ in range(count):
            store.update(bump, 0, keep)

    return before


def spooled(*events):
    def before(store):
        store.update(bump, 0)
        for name in events:
            spool.put(store.folder, {"id": name})

    return before


def poisoned(store):
    spooled("a")(store)
    spool.put(store.folder, {"id": "b", "poison": True})
    spool.put(store.folder, {"id": "c"})


def spoil(store, how):
    updates(5)(store)
    how(store.path)


def cut(path):
    os.truncate(path, os.stat(path).st_size // 2)


def without_dated_copies(store):
    spoil(store, cut)
    for name in backups.dated(store.folder):
        os.unlink(os.path.join(store.folder, backups.FOLDER, name))


def with_the_older_revision_alone(store):
    without_dated_copies(store)
    cut(os.path.join(store.folder, backups.FOLDER, backups.PREVIOUS))


def several(work):
    work.put("a")
    work.update()
    work.put("b")
    work.put("c")
    work.update()
    work.update()


CASES = {
    "the first update": Case(nothing, lambda work: work.update()),
    "an update": Case(updates(2), lambda work: work.update(), 2),
    "an update that folds the spool": Case(spooled("a", "b"), lambda work: work.update(), 1, frozenset("ab")),
    "a record that cannot be applied": Case(poisoned, lambda work: work.update(), 1, frozenset("ac")),
    "the first event that is spooled": Case(updates(1), lambda work: work.put("a"), 1),
    "two hooks make the spool at once": Case(updates(1), lambda w: w.put_where_another_hook_makes_the_spool("a"), 1),
    "an event that is spooled": Case(spooled("a"), lambda work: work.put("b"), 1, frozenset("a")),
    "events and updates in turn": Case(updates(1), several, 1),
    "an update with a dated copy": Case(updates(2), lambda work: work.update("start"), 2),
    "the oldest dated copy is let go of": Case(updates(backups.KEPT, "early"), lambda work: work.update("early"), 20),
    "the copy of a start in the same minute": Case(updates(2, "start"), lambda work: work.update("start"), 2),
    "the first copy, one that was asked for": Case(updates(1), lambda work: work.back_up(), 1),
    "a copy that was asked for": Case(updates(3), lambda work: work.back_up(), 3),
    "a checkpoint": Case(updates(2), lambda work: work.keep_checkpoint(), 2),
    "back to a checkpoint": Case(with_a_checkpoint, lambda work: work.restore_checkpoint(), values=(3, 1)),
    "back to a copy": Case(with_a_copy, lambda work: work.restore_copy(), values=(3, 1)),
    "a migration": Case(updates(3), lambda work: work.migrate(), 3, setting=newer_release),
    "a damaged state comes back": Case(lambda store: spoil(store, cut), lambda work: work.update(), 4, recovers=True),
    "it comes back from the previous revision": Case(
        without_dated_copies, lambda work: work.update(), 4, recovers=True
    ),
    "it comes back from the older revision": Case(
        with_the_older_revision_alone, lambda work: work.update(), 3, recovers=True
    ),
    "a state that is gone comes back": Case(
        lambda s: spoil(s, os.unlink), lambda work: work.update(), 4, recovers=True
    ),
}


def recorded(case, folder, spoil=lambda _patch: None):
    """Do what a case does, after `spoil` has taken a protection away; the recording, and how many updates it tried."""
    os.mkdir(folder, 0o700)
    case.before(Store(str(folder), fold))
    recording = Recording(folder)
    work = Work(folder, recording)
    with recording, pytest.MonkeyPatch.context() as patch:
        case.setting(patch)
        spoil(patch)
        case.work(work)
    return recording, work.updates


def leftovers(folder):
    """The files of a project's folder that should not be there."""
    found = []
    for above, _folders, names in os.walk(folder):
        place = os.path.relpath(above, folder)
        for name in names:
            kept = name.startswith(("state.json.corrupt-", "unreadable-", "state-", "checkpoint-")) or name in (
                "state.json",
                "state.lock",
                ".gitignore",
                "audit.jsonl",
                *backups.UNDATED,
            )
            if not kept or name.endswith(".tmp") or place == spool.FOLDER:
                found.append(os.path.join(place, name))
    return found


def fault(folder, due, case, tried):
    """What is wrong with a folder that a crash left, or ""."""
    store = Store(str(folder), fold)
    least = case.kept + sum(kind == "update" for kind, _ in due)
    right = range(least, case.kept + tried + 1)
    if case.values:
        right = case.values[bool(due) :]
    lost = [name for kind, name in due if kind == "copy" and not sealed(folder / backups.FOLDER / name)]
    lost += [
        name for kind, name in due if kind == "checkpoint" and not sealed(Path(checkpoints.path_of(str(folder), name)))
    ]
    try:
        state = store.read()
    except StateCorrupt:
        if due or not case.recovers:
            return "the state cannot be read"
        state = {"revision": 0, "stats": {"prompts": least}}
    outcome = store.update(lambda state: (store.sweep(), bump(state))[1], 0)  # as at a session's start
    after = sealed(folder / "state.json")
    events = case.events | {name for kind, name in due if kind == "event"}
    for _ in range(2):
        store.update(bump, 0)
    before = folder / backups.FOLDER / backups.PREVIOUS
    copied = [(sealed(folder / backups.FOLDER / name) or {"revision": 0})["revision"] for name in backups.UNDATED]
    left = leftovers(folder)
    restored = bool(case.values) and state["stats"]["prompts"] == case.values[1]
    wrong = {
        f"lost: {lost}": lost,
        f"{state['stats']['prompts']} updates, not {list(right)}": state["stats"]["prompts"] not in right,
        f"the next update is number {outcome.result}": not after or outcome.result - 1 not in right,
        f"revision {outcome.revision} after {state['revision']}": outcome.revision <= state["revision"],
        "a recovery": after and after["stats"]["recoveries"] > case.recovers + restored,
        "an acknowledged event is lost": after and not events <= set(after["recent"]),
        "an event counts twice": after and after["stats"]["tool_calls"] != len(set(after["recent"])),
        "nothing to go back to": restored and not any(kept(folder, case.values[0])),
        "the previous revision is broken": before.exists() and not sealed(before),
        f"the revisions before {outcome.revision + 2} are {copied}": copied[0] != outcome.revision + 1,
        f"left over: {left}": left,
    }
    return ", ".join(text for text, so in wrong.items() if so)


def kept(folder, value):
    """Whether each copy and checkpoint holds the state after `value` updates."""
    for path in [*folder.glob("backups/*.json"), *folder.glob("checkpoints/*.json")]:
        state = sealed(path)
        yield state is not None and state.get("state", state)["stats"]["prompts"] == value


def sealed(path):
    """The document in a file whose seal is right, else None."""
    return document.decode(path.read_bytes()) if path.exists() else None


def faults(case, folder, spoil=lambda _patch: None):
    """What is wrong with the states that crashes leave, each fault once, and how many states there are."""
    recording, tried = recorded(case, folder / "recorded", spoil)
    found, count = {}, 0
    with pytest.MonkeyPatch.context() as patch:
        case.setting(patch)
        for module in (lean_os, os):
            patch.setattr(module, "fsync", lambda _fd: None)  # nobody lets the check itself crash
        patch.setattr(recovery, "PAUSE", 0)
        for left, due in crashes(recording):
            count += 1
            place = folder / "left"
            place.mkdir(mode=0o700)
            left.materialise(place)
            wrong = fault(place, due, case, tried)
            if wrong:
                found.setdefault(wrong, sorted(left.files))
            shutil.rmtree(place)
    return found, count


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_whatever_a_crash_leaves_is_the_old_or_the_new_state(case, place):
    found, count = faults(case, place)
    assert not found
    assert count >= 8


# The model itself: without one of the code's protections it must find what can be lost.


def no_fsync_of_files(patch):
    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            real(fd)

    real = lean_os.fsync
    patch.setattr(lean_os, "fsync", fsync)


def no_fsync_of_folders(patch):
    def fsync(fd):
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            real(fd)

    real = lean_os.fsync
    patch.setattr(lean_os, "fsync", fsync)


def replaced_in_place(patch):
    def replace(source, target):
        with open(source, "rb") as file:
            data = file.read()
        with open(target, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.unlink(source)

    patch.setattr(lean_os, "replace", replace)


def folded_before_it_is_saved(patch):
    def load(path):
        record = real(path)
        os.unlink(path)
        return record

    real = spool.load
    patch.setattr(spool, "load", load)
    unlink = lean_os.unlink
    patch.setattr(lean_os, "unlink", lambda path: unlink(path) if os.path.exists(path) else None)


def previous_revision_unlinked_first(patch):
    def keep_previous(folder, live):
        kept = os.path.join(folder, backups.FOLDER, backups.PREVIOUS)
        if os.path.exists(kept):
            os.unlink(kept)
        if os.path.exists(live):
            os.link(live, kept)

    patch.setattr(previous, "keep_previous", keep_previous)


def spare_taken_where_the_state_is_gone(patch):
    def fresh(temporary, spare, size, _live=""):
        return real(temporary, spare, size)

    real = previous.fresh
    patch.setattr(previous, "fresh", fresh)


MISSING = [
    (no_fsync_of_files, "an update", "cannot be read"),
    (no_fsync_of_files, "an event that is spooled", "an acknowledged event is lost"),
    (no_fsync_of_files, "a copy that was asked for", "lost: "),
    (no_fsync_of_folders, "an update", "updates, not"),
    (no_fsync_of_folders, "the first event that is spooled", "an acknowledged event is lost"),
    (no_fsync_of_folders, "an update that folds the spool", "an acknowledged event is lost"),
    (no_fsync_of_files, "a checkpoint", "lost: "),
    (replaced_in_place, "an update", "cannot be read"),
    (folded_before_it_is_saved, "an update that folds the spool", "an acknowledged event is lost"),
    (previous_revision_unlinked_first, "a damaged state comes back", "the next update is number 4"),
    (spare_taken_where_the_state_is_gone, "it comes back from the older revision", "the next update is number 1"),
]


@pytest.mark.parametrize(("spoil", "case", "expected"), MISSING)
def test_the_model_finds_what_a_missing_protection_can_lose(spoil, case, expected, place):
    found, _count = faults(CASES[case], place, spoil)
    assert any(expected in wrong for wrong in found), found


# The recording: it must miss nothing.

TRACED = {
    "openat": "open",
    "write": "write",
    "pwrite64": "write",
    "writev": "write",
    "fsync": "fsync",
    "fdatasync": "fsync",
    "ftruncate": "ftruncate",
    "truncate": "truncate",
    "link": "link",
    "linkat": "link",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "rmdir": "rmdir",
    "sendfile": "sendfile",
    "copy_file_range": "copy_file_range",
}
TRACER = shutil.which("strace")


def traced(words, folder):
    """The names of the system calls with which a process altered or synced what is in a folder."""
    known = ",".join(f"?{name}" for name in TRACED)  # not every kind of machine has them all
    log = folder.with_suffix(".strace")
    command = [TRACER, "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={known}", *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if not log.exists() or "PTRACE" in run.stderr:
        pytest.skip("strace may not trace here")
    assert run.returncode == 0, run.stderr
    found = []
    for line in log.read_text().splitlines():
        name, _, given = line.split(maxsplit=1)[1].partition("(")
        if (
            name in TRACED
            and str(folder) in given
            and " = -1 " not in given
            and (name != "openat" or "O_CREAT" in given)
        ):
            found.append(TRACED[name])
    return found


@pytest.mark.skipif(TRACER is None, reason="needs strace")
@pytest.mark.parametrize(
    "case", ["events and updates in turn", "a record that cannot be applied", "a damaged state comes back"]
)
def test_the_recording_misses_no_system_call(case, place):
    recording, _tried = recorded(CASES[case], place / "recorded")
    folder = place / "traced"
    folder.mkdir(mode=0o700)
    CASES[case].before(Store(str(folder), fold))
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent), *sys.path]!r}
from crash_states_test import CASES, Work
from disk import Recording
CASES[{case!r}].work(Work({str(folder)!r}, Recording({str(folder)!r})))
"""
    assert traced([sys.executable, "-c", program], folder) == recording.calls
