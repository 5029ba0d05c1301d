"""The store as a library: what an update leaves on the disk, whatever happens to it."""

import errno
import fcntl
import os
import stat

import pytest

from holdfast.errors import StateCorrupt
from holdfast.lean import os as lean_os
from holdfast.state import backups, document, folding, recovery, restoring, spool
from holdfast.state.guard import Busy
from holdfast.state.store import Store


def fold(state, record):
    """Count a record once: what `moments.apply` does, without a workflow."""
    if record.get("poison"):
        raise RuntimeError("cannot be applied")
    if record["id"] not in state["recent"]:
        state["revision"] += 1
        state["recent"].append(record["id"])
        state["stats"]["tool_calls"] += 1


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / ".holdfast"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture
def store(folder):
    return Store(str(folder), fold)


def bump(state):
    state["revision"] += 1
    state["stats"]["prompts"] += 1
    return state["stats"]["prompts"]


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_update_returns_what_the_change_returns_and_is_there_afterwards(store):
    assert store.update(bump, 0).result == 1
    outcome = store.update(bump, 0)
    assert (outcome.result, outcome.revision) == (2, 2)
    assert store.read()["stats"]["prompts"] == 2


def test_files_are_for_the_owner_alone(store, folder):
    old = os.umask(0)
    try:
        store.update(bump, 0)
        spool.put(str(folder), {"id": "a"})
        for path in folder.rglob("*"):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600) or path.name == ".gitignore", (path, oct(mode))
    finally:
        os.umask(old)


def test_a_change_that_leaves_the_revision_writes_nothing(store, folder):
    store.update(bump, 0)
    before = (folder / "state.json").stat()
    store.update(lambda _: None, 0)
    assert (folder / "state.json").stat().st_mtime_ns == before.st_mtime_ns


def test_a_change_that_raises_leaves_the_state_and_the_lock_free(store, folder):
    store.update(bump, 0)
    before = (folder / "state.json").read_bytes()

    def broken(state):
        state["phase"] = "half"
        state["revision"] += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.update(broken, 0)
    assert (folder / "state.json").read_bytes() == before
    assert store.update(bump, 0).result == 2


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), OSError(errno.EXDEV, "elsewhere"), KeyboardInterrupt()]
)
def test_a_failure_at_any_step_leaves_the_old_state_and_no_temporary_file(store, folder, monkeypatch, step, error):
    store.update(bump, 0)
    before = (folder / "state.json").read_bytes()
    from holdfast.lean import os as lean_os

    real = getattr(lean_os, step)

    def fail(first, *rest):
        aimed = ".tmp" in str(first) if step in ("open", "replace") else True
        if aimed and not (step == "write" and rest == (b"",)):
            raise error
        return real(first, *rest)

    monkeypatch.setattr(lean_os, step, fail)
    with pytest.raises(type(error)):
        store.update(bump, 0)
    monkeypatch.undo()
    assert (folder / "state.json").read_bytes() == before
    assert not [name for name in names(folder) if name.endswith(".tmp")]
    assert store.update(bump, 0).result == 2


def test_a_temporary_file_of_a_dead_writer_with_our_process_id_is_no_obstacle(store, folder):
    (folder / f"state.json.{os.getpid()}.tmp").write_text("left")
    assert store.update(bump, 0).result == 1
    assert not [name for name in names(folder) if name.endswith(".tmp")]


def test_the_sweep_takes_what_dead_writers_left_and_nothing_else(store, folder):
    store.update(bump, 0)
    store.update(bump, 0)  # which makes the folder of the copies
    spool.put(str(folder), {"id": "a"})
    dead = 2**22 + 1  # above the largest process id
    for name in (
        f"state.json.{dead}.tmp",
        f"index.json.{dead}.tmp",
        f"backups/state-x.json.{dead}.tmp",
        f"spool/1-{dead}.tmp",
    ):
        (folder / name).write_text("left")
    (folder / f"spool/2-{os.getppid()}.tmp").write_text("of a living writer")
    before = names(folder)
    store.sweep()
    assert set(before) - set(names(folder)) == {name for name in before if str(dead) in name}


def test_who_cannot_have_the_lock_is_told_after_its_budget(store, folder):
    store.update(bump, 0)
    with open(folder / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(Busy):
            store.update(bump, 0)
        with pytest.raises(Busy):
            store.update(bump, 0.05)
        assert store.read()["stats"]["prompts"] == 1, "readers take no lock"
    assert store.update(bump, 0).result == 2


def test_the_lock_file_is_never_unlinked(store, folder):
    store.update(bump, 0)
    inode = (folder / "state.lock").stat().st_ino
    store.update(bump, 0)
    assert (folder / "state.lock").stat().st_ino == inode


def test_a_lock_that_is_a_link_is_not_followed(store, folder, tmp_path):
    (folder / "state.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"."):
        store.update(bump, 0)
    assert not (tmp_path / "elsewhere").exists()


# the spool


def test_what_waits_in_the_spool_is_read_at_once_and_folded_by_the_next_writer(store, folder):
    for number in range(5):
        spool.put(str(folder), {"id": f"e{number}"})
    assert store.read()["stats"]["tool_calls"] == 5
    assert len(spool.waiting(str(folder))) == 5
    store.update(bump, 0)
    assert not spool.waiting(str(folder))
    assert store.read()["stats"]["tool_calls"] == 5


def test_a_fold_that_was_killed_before_it_unlinked_is_not_folded_twice(store, folder):
    for number in range(3):
        spool.put(str(folder), {"id": f"e{number}"})
    kept = {name: (folder / "spool" / name).read_bytes() for name in os.listdir(folder / "spool")}
    store.update(bump, 0)
    for name, data in kept.items():
        (folder / "spool" / name).write_bytes(data)
    store.update(bump, 0)
    assert store.read()["stats"]["tool_calls"] == 3
    assert not spool.waiting(str(folder))


def test_what_others_put_into_the_spool_holds_up_nothing_and_waits_for_nobody(store, folder, monkeypatch):
    monkeypatch.setattr(folding, "AT_ONCE", 4)
    for number in range(5):
        (folder / "spool" / f"{number}-1.json").mkdir(parents=True)
    spool.put(str(folder), {"id": "a"})
    assert store.update(bump, 0).folded == 1
    assert spool.waiting(str(folder)) == []
    assert len(list((folder / "spool").iterdir())) == 5, "they stay"


def test_what_cannot_be_read_at_the_head_of_the_spool_holds_up_nothing(store, folder, monkeypatch):
    def load(path):
        if unreadable(path):
            raise PermissionError(path)
        return real(path)

    for name in "abcdef":
        spool.put(str(folder), {"id": name})
    unreadable, real = set(spool.waiting(str(folder))[:5]).__contains__, spool.load
    monkeypatch.setattr(folding, "AT_ONCE", 4)
    monkeypatch.setattr(spool, "load", load)
    assert store.update(bump, 0).folded == 1
    assert len(spool.waiting(str(folder))) == 5


@pytest.mark.parametrize("error", [OSError, MemoryError, ImportError])
def test_what_fails_through_no_fault_of_a_record_leaves_it_and_all_others_in_the_spool(folder, error):
    def failing(state, record):
        fold(state, record)
        if record["id"] == "b":
            raise error

    for name in "abc":
        spool.put(str(folder), {"id": name})
    assert Store(str(folder), failing).update(bump, 0).folded == 0
    assert len(spool.waiting(str(folder))) == 3
    assert Store(str(folder), fold).update(bump, 0).folded == 3
    assert Store(str(folder), fold).read()["stats"]["tool_calls"] == 3, "the one that was half folded counts once"


def test_a_copy_that_a_command_made_is_not_written_over_by_those_of_hooks(folder):
    for number in range(9):
        reason, durable = ("before-reset", True) if not number else ("", False)
        backups.copy(str(folder), b"%d" % number, number, 1e9 + number, reason, durable=durable, kept=(5, None))
    names = backups.dated(str(folder))
    assert names[0].endswith("r0-before-reset.json") and (folder / "backups" / names[0]).read_bytes() == b"0"
    assert [backups.parts(name)[1] for name in names] == [0, 4, 5, 6, 7, 8]


def test_the_last_start_of_a_minute_stands_for_all_of_it(folder):
    for number, (second, reason) in enumerate(
        [(0, "phase"), (1, "start"), (2, "start"), (3, "phase"), (4, "start"), (61, "start")]
    ):
        backups.copy(str(folder), b"%d" % number, number, 6e8 + second, reason, durable=False)
    names = backups.dated(str(folder))
    assert [backups.parts(name)[1:] for name in names] == [
        (0, "phase"),
        (2, "start"),
        (3, "phase"),
        (4, "start"),
        (5, "start"),
    ]
    assert [(folder / "backups" / name).read_bytes() for name in names] == [b"0", b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize("reason", ["start", "my-start", "before-start"])
def test_a_start_takes_no_copy_that_somebody_asked_for(folder, reason):
    word = restoring.word(reason)
    backups.copy(str(folder), b"asked", 1, 6e8, word)
    backups.copy(str(folder), b"hook", 2, 6e8 + 1, "start", durable=False)
    assert [backups.parts(name)[1:] for name in backups.dated(str(folder))] == [(1, word), (2, "start")]


def test_a_full_spool_is_folded_in_parts_and_all_of_it(store, folder, monkeypatch):
    monkeypatch.setattr(folding, "AT_ONCE", 4)
    for number in range(11):
        spool.put(str(folder), {"id": f"e{number:02}"})
    store.update(bump, 0)
    assert store.read()["stats"]["tool_calls"] == 11
    assert not spool.waiting(str(folder))


def test_no_more_is_folded_at_once_than_is_remembered():
    assert folding.AT_ONCE < document.RECENT


def test_a_record_that_cannot_be_applied_is_kept_aside_and_told(store, folder):
    spool.put(str(folder), {"id": "a"})
    spool.put(str(folder), {"id": "b", "poison": True})
    spool.put(str(folder), {"id": "c"})
    (folder / "spool" / "00-broken.json").write_bytes(b"{")
    store.update(bump, 0)
    state = store.read()
    assert state["stats"]["tool_calls"] == 2
    assert not spool.waiting(str(folder))
    assert len([name for name in names(folder) if name.startswith("backups/unreadable-")]) == 2
    assert sum("could not be applied" in kept["text"] for kept in state["notices"]) == 2


def test_events_that_found_no_room_are_told(store, folder):
    spool.put(str(folder), {"id": "a"})
    for number in range(2):
        (folder / "spool" / f"{number}-1.lost").write_bytes(b"")
    store.update(bump, 0)
    assert "2 events were lost" in store.read()["notices"][0]["text"]
    assert not spool.waiting(str(folder))


# recovery


SPOILS = {
    "cut": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "emptied": lambda _: b"",
    "noise": lambda data: os.urandom(len(data)),
    "another value": lambda data: data.replace(b'"prompts":5', b'"prompts":-5'),
    "not an object": lambda _: b"[1,2,3]",
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
def test_a_broken_state_comes_back_from_the_newest_valid_copy(store, folder, spoil):
    for _ in range(5):
        store.update(bump, 0)
    path = folder / "state.json"
    broken = spoil(path.read_bytes())
    path.write_bytes(broken)
    assert store.update(bump, 0).result == 5, "the copy holds the revision before the last"
    state = store.read()
    assert state["revision"] > 5
    assert state["stats"]["recoveries"] == 1
    assert "recovered from a backup" in state["notices"][0]["text"]
    kept = [name for name in names(folder) if name.startswith("state.json.corrupt-")]
    assert len(kept) == 1
    assert (folder / kept[0]).read_bytes() == broken


def test_what_was_recovered_is_kept_even_if_the_change_is_refused(store, folder):
    store.update(bump, 0)
    store.update(bump, 0)  # which makes the folder of the copies
    for path in [folder / "state.json", *(folder / "backups").iterdir()]:
        path.write_bytes(b"noise")

    def refuse(_state):
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        store.update(refuse, 0)
    assert "begins anew" in store.read()["notices"][0]["text"]


def test_a_state_that_is_gone_comes_back(store, folder):
    for _ in range(3):
        store.update(bump, 0)
    (folder / "state.json").unlink()
    assert store.update(bump, 0).result == 3
    assert store.read()["stats"]["recoveries"] == 1


def test_with_every_copy_spoilt_the_state_begins_anew_and_says_so(store, folder):
    for _ in range(3):
        store.update(bump, 0)
    for path in [folder / "state.json", *(folder / "backups").iterdir()]:
        path.write_bytes(b"noise")
    assert store.update(bump, 0).result == 1
    assert "begins anew" in store.read()["notices"][0]["text"]


def test_damage_in_place_does_not_reach_the_previous_revision(store, folder):
    store.update(bump, 0)
    store.update(bump, 0)
    live, previous = (folder / "state.json").stat(), (folder / "backups" / backups.PREVIOUS).stat()
    assert live.st_ino != previous.st_ino
    assert live.st_nlink == 1


def test_the_revision_before_the_previous_is_kept_and_its_file_is_written_over(store, folder):
    for _ in range(3):
        store.update(bump, 0)
    older = (folder / "backups" / backups.OLDER).stat().st_ino
    store.update(bump, 0)
    assert (folder / "state.json").stat().st_ino == older
    found = [document.decode((folder / "backups" / name).read_bytes()) for name in backups.UNDATED]
    assert [state["stats"]["prompts"] for state in found] == [3, 2]


def test_what_somebody_gave_another_name_is_not_written_over(store, folder, tmp_path):
    for _ in range(3):
        store.update(bump, 0)
    os.link(folder / "backups" / backups.OLDER, tmp_path / "snapshot")
    kept = (tmp_path / "snapshot").read_bytes()
    store.update(bump, 0)
    assert (tmp_path / "snapshot").read_bytes() == kept
    assert store.read()["stats"]["prompts"] == 4


def test_a_loose_mode_is_not_handed_on(store, folder):
    for _ in range(3):
        store.update(bump, 0)
    (folder / "state.json").chmod(0o666)
    for _ in range(4):
        store.update(bump, 0)
        assert stat.S_IMODE((folder / "state.json").stat().st_mode) == 0o600


def test_the_two_revisions_before_may_be_one_file_and_part_again(store, folder):
    for _ in range(3):
        store.update(bump, 0)
    (folder / "backups" / backups.OLDER).unlink()
    os.link(folder / "backups" / backups.PREVIOUS, folder / "backups" / backups.OLDER)
    for _ in range(2):
        store.update(bump, 0)
    found = [document.decode((folder / "backups" / name).read_bytes()) for name in backups.UNDATED]
    assert [state["stats"]["prompts"] for state in found] == [4, 3]


def test_without_a_descriptor_the_older_revision_keeps_its_name(store, folder, monkeypatch):
    for _ in range(3):
        store.update(bump, 0)

    def none_left(path, flags, *mode):
        if str(path).endswith(".tmp"):
            raise OSError(errno.EMFILE, "Too many open files", path)
        return real(path, flags, *mode)

    real = lean_os.open
    monkeypatch.setattr(lean_os, "open", none_left)
    before = names(folder)
    with pytest.raises(OSError, match="Too many"):
        store.update(bump, 0)
    assert names(folder) == before


def test_a_state_may_be_kept_many_folders_deep(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_STATE_FILE", str(tmp_path / "a" / "b" / "c" / "s.json"))
    assert Store(str(folder), fold).update(bump, 0).result == 1


def test_the_sweep_leaves_what_a_living_command_copies(store, folder):
    for _ in range(2):
        store.update(bump, 0)
    living = folder / "backups" / f"state-x.json.{os.getppid()}.tmp"
    living.write_text("half")
    store.sweep()
    assert living.exists()


@pytest.mark.parametrize("how", ["folder", "link", "pipe", "the live state"])
def test_what_stands_in_the_older_revisions_place_is_no_obstacle(store, folder, how, tmp_path):
    for _ in range(3):
        store.update(bump, 0)
    older = folder / "backups" / backups.OLDER
    older.unlink()
    if how == "folder":
        older.mkdir()
    elif how == "link":
        (tmp_path / "victim").write_text("somebody's")
        older.symlink_to(tmp_path / "victim")
    elif how == "pipe":
        os.mkfifo(older)
    else:
        os.link(folder / "state.json", older)
    for number in (4, 5, 6):
        assert store.update(bump, 0).result == number
    assert how != "link" or (tmp_path / "victim").read_text() == "somebody's"


def test_an_edit_by_hand_that_is_valid_goes_on(store, folder):
    import json

    store.update(bump, 0)
    path = folder / "state.json"
    edited = json.loads(path.read_bytes())
    edited["stats"]["prompts"] = 40
    path.write_text(json.dumps(edited, indent=2))
    assert store.read()["stats"]["prompts"] == 40
    assert store.update(bump, 0).result == 41
    assert store.read()["stats"]["recoveries"] == 0


def test_a_state_of_a_newer_release_is_refused_and_left_as_it_is(store, folder):
    store.update(bump, 0)
    state = store.read()
    state["schema_version"] = 2
    state["something_new"] = 1
    data = document.encode(state)
    path = folder / "state.json"
    for form in (data, data.replace(b'"prompts":1', b'"prompts":2')):
        path.write_bytes(form)
        with pytest.raises(StateCorrupt, match="newer"):
            store.update(bump, 0)
        with pytest.raises(StateCorrupt, match="newer"):
            store.read()
        assert path.read_bytes() == form


def test_a_damaged_state_cannot_be_read_without_the_lock_and_says_so(store, folder):
    store.update(bump, 0)
    (folder / "state.json").write_bytes(b"{")
    with pytest.raises(StateCorrupt, match="damaged"):
        store.read()


def test_only_the_newest_dated_copies_are_kept(store, folder):
    for number in range(25):
        store.update(bump, 0, keep="early")
        assert number < 30
    assert len(backups.dated(str(folder))) == backups.KEPT
    newest = recovery.newest_copy(str(folder))
    assert newest is not None
    assert newest["revision"] == 25


def test_a_copy_is_made_at_a_phases_change(store, folder):
    store.update(bump, 0)
    store.update(lambda state: state.update(phase="build", revision=state["revision"] + 1), 0)
    assert any(name.endswith("-r2-phase.json") for name in backups.dated(str(folder)))


# places


def test_the_environment_says_where_state_and_trail_are(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_STATE_FILE", str(tmp_path / "other.json"))
    monkeypatch.setenv("HOLDFAST_AUDIT_LOG", "log/trail.jsonl")
    store = Store(str(folder), fold)
    store.update(bump, 0)
    assert (tmp_path / "other.json").exists()
    assert (tmp_path / "other.lock").exists()
    assert not (folder / "state.json").exists()
    assert store.trail == str(tmp_path / "log/trail.jsonl")


def test_a_copy_that_cannot_be_written_does_not_undo_the_update(store, folder):
    store.update(bump, 0)
    store.update(bump, 0)  # which makes the folder of the copies
    import shutil

    shutil.rmtree(folder / "backups")
    (folder / "backups").write_text("a file where the folder should be")
    assert store.update(bump, 0, keep="start").result == 3
    assert store.read()["stats"]["prompts"] == 3


def test_the_sweep_leaves_other_peoples_files_alone(store, folder):
    store.update(bump, 0)
    others = ["notes.tmp", "state.json.tmp", "state.json.mine.tmp", ".install.json.4194305-deadbeef.tmp"]
    for name in others:
        (folder / name).write_text("somebody's")
    store.sweep()
    assert set(others) <= set(names(folder))
