"""The named locks as a library: who may hold what together, who comes first, what is stale."""

import errno
import json
import os
import re
import signal
import stat
import string
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commanding import environment
from holdfast.errors import HoldfastError, LockTimeout, PermissionDenied, ResourcesExhausted, ValidationFailed
from holdfast.locks import Locks, names, owner, records
from holdfast.state import backoff, guard

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes")

NOW = 1_800_000_000.0
# Holds a lock until its stdin ends, and says when it has it.
HOLDER = """
import sys
from holdfast.locks import Locks
folder, name, shared = sys.argv[1:]
with Locks(folder).hold(name, shared=shared == "shared", timeout=60, command="the holder", meta={"job": 7}):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / ".holdfast"
    made.mkdir(mode=0o700)
    return str(made)


@pytest.fixture
def locks(folder):
    return Locks(folder)


@pytest.fixture
def processes():
    """Starts processes that end with the test."""
    with ExitStack() as running:

        def start(*words):
            made = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
            running.enter_context(made)
            running.callback(made.kill)
            return made

        yield start


def holder(processes, locks, name, shared=""):
    """A process that wants the lock; its stdout says "held" when it has it."""
    return processes(sys.executable, "-c", HOLDER, os.path.dirname(locks.folder), name, shared)


def has_it(process):
    return process.stdout.readline() == b"held\n"


def somebody(processes):
    """A process that lives until the test ends, as an owner."""
    return owner.of(processes("cat").pid)


def waits(locks, name):
    """Wait until somebody stands in line for the lock."""
    assert backoff.until(lambda: any(other.status == "waiting" for other in locks.holders(name)), 60)


def statuses(locks, name=""):
    return [found.status for found in locks.holders(name)]


def files(locks):
    return sorted(name for name in os.listdir(locks.folder) if name != "~mutex")


@contextmanager
def edited(locks, name):
    """The record of the only holder, as a dict to alter."""
    (entry,) = [entry for entry in os.listdir(locks.folder) if entry.startswith(f"{name}~") and entry.endswith(".json")]
    path = os.path.join(locks.folder, entry)
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    yield record
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file)


# -- names


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../state", "a/b", "/etc/passwd", "a\\b", "-x", ".hidden", "a b", "a\n", "é", "a" * 65, "a~b"],
)
def test_a_name_that_could_be_a_path_is_refused_and_nothing_is_made(locks, name):
    with pytest.raises(ValidationFailed, match="is no name for a lock"), locks.hold(name):
        pass
    with pytest.raises(ValidationFailed):
        locks.release(name, owner.of(os.getpid()))
    assert not os.path.exists(locks.folder)


@given(st.text(max_size=70) | st.text(alphabet=string.ascii_letters + "._-/~\\", max_size=70))
def test_every_name_is_refused_or_stays_in_the_folder(name):
    try:
        names.check(name)
    except ValidationFailed:
        return
    place = records.path("/x/locks", name, "0123456789ab", ".json")
    assert os.path.dirname(os.path.normpath(place)) == "/x/locks"
    assert not os.path.basename(place).startswith((".", "~", "-"))


def test_names_that_differ_in_case_alone_are_one_lock(locks):
    with locks.hold("Build"), pytest.raises(HoldfastError, match="already"), locks.hold("build"):
        pass
    assert names.number("STATE") == 1


# -- shared and exclusive, between processes


def test_an_exclusive_holder_keeps_all_others_out_and_is_named(locks, processes):
    other = holder(processes, locks, "build")
    assert has_it(other)
    for shared in (False, True):
        with pytest.raises(LockTimeout) as told, locks.hold("build", shared=shared, timeout=0):
            pass
        assert f"pid {other.pid} (the holder), exclusive, since 20" in str(told.value)
        assert '{"job":7}' in str(told.value)
    other.communicate()
    with locks.hold("build", timeout=0):
        pass
    assert files(locks) == []


def test_readers_share_and_keep_writers_out(locks, processes):
    other = holder(processes, locks, "build", "shared")
    assert has_it(other)
    with locks.hold("build", shared=True, timeout=0):
        assert statuses(locks) == ["held", "held"]
    with pytest.raises(LockTimeout), locks.hold("build", timeout=0):
        pass


def test_a_writer_that_waits_comes_before_later_readers(locks, processes):
    reader = holder(processes, locks, "build", "shared")
    assert has_it(reader)
    writer = holder(processes, locks, "build")
    waits(locks, "build")
    with pytest.raises(LockTimeout, match=f"waiting: pid {writer.pid}"), locks.hold("build", shared=True, timeout=0):
        pass
    reader.communicate()
    assert has_it(writer)


def test_readers_that_wait_come_before_later_writers(locks, processes):
    first = holder(processes, locks, "build")
    assert has_it(first)
    reader = holder(processes, locks, "build", "shared")
    waits(locks, "build")
    later = holder(processes, locks, "build")
    assert backoff.until(lambda: statuses(locks).count("waiting") == 2, 60)
    first.communicate()
    assert has_it(reader)
    assert statuses(locks) == ["held", "waiting"]
    reader.communicate()
    assert has_it(later)


def test_a_killed_waiter_leaves_the_line(locks, processes):
    reader = holder(processes, locks, "build", "shared")
    assert has_it(reader)
    writer = holder(processes, locks, "build")
    waits(locks, "build")
    writer.kill()
    writer.wait()
    with locks.hold("build", shared=True, timeout=0):
        assert statuses(locks) == ["held", "held"]


def test_a_stopped_waiter_is_passed_over_and_comes_later(locks, processes):
    reader = holder(processes, locks, "build", "shared")
    assert has_it(reader)
    writer = holder(processes, locks, "build")
    waits(locks, "build")
    with locks.mutex():  # it must not be stopped while it has the mutex
        os.kill(writer.pid, signal.SIGSTOP)
        (waiting,) = [name for name in files(locks) if name.endswith(".held") and f"~{_id(locks, writer.pid)}" in name]
        os.utime(os.path.join(locks.folder, waiting), (1, 1))
    with locks.hold("build", shared=True, timeout=0):
        pass
    os.kill(writer.pid, signal.SIGCONT)
    reader.communicate()
    assert has_it(writer)


def _id(locks, pid):
    (found,) = [other.id for other in records.load(locks.folder, NOW) if other.pid == pid]
    return found


def test_a_killed_holder_holds_nothing(locks, processes):
    other = holder(processes, locks, "build")
    assert has_it(other)
    other.kill()
    other.wait()
    assert statuses(locks) == ["stale"]
    with locks.hold("build", timeout=0):
        assert statuses(locks) == ["held"]


def test_who_gives_up_leaves_nothing_behind(locks, processes):
    other = holder(processes, locks, "build")
    assert has_it(other)
    before = files(locks)
    with pytest.raises(LockTimeout), locks.hold("build", timeout=0.01):
        pass
    assert files(locks) == before


# -- one process


def test_the_order_holds_within_a_thread_and_both_names_are_told(locks, folder):
    with locks.hold("backup"), pytest.raises(HoldfastError) as told, Locks(folder).hold("state"):
        pass
    assert "lock state (number 1) cannot be taken while backup (number 4) is held" in str(told.value)
    with ExitStack() as held:
        for name in ("state", "config", "signals", "backup", "temp", "user", "mine", "another"):
            held.enter_context(locks.hold(name))
        assert len(locks.holders()) == 8
    with locks.hold("state"):
        pass


def test_another_project_has_an_order_of_its_own(locks, tmp_path):
    (tmp_path / "b").mkdir()
    with locks.hold("user"), Locks(str(tmp_path / "b")).hold("state"):
        pass


def test_a_thread_that_holds_a_lock_cannot_take_it_again(locks):
    with locks.hold("build", shared=True):
        with pytest.raises(HoldfastError, match="this thread holds it already"), locks.hold("build", shared=True):
            pass
        assert statuses(locks) == ["held"]


def test_threads_exclude_each_other_and_have_an_order_each(locks):
    counted, together = [], []

    def work():
        for _ in range(5):
            with locks.hold("state", timeout=60), locks.hold("user", timeout=60):
                counted.append(1)
                together.append(len(counted))
                counted.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1] * 20


def test_a_lock_is_free_after_its_block_raised(locks):
    with pytest.raises(ZeroDivisionError), locks.hold("build"):
        raise ZeroDivisionError
    with locks.hold("build", timeout=0):
        pass


def test_files_are_for_the_owner_alone(locks):
    with locks.hold("build"):
        modes = {stat.S_IMODE(os.stat(os.path.join(locks.folder, name)).st_mode) for name in os.listdir(locks.folder)}
    assert modes == {0o600}
    assert stat.S_IMODE(os.stat(locks.folder).st_mode) == 0o700


def test_a_planted_link_is_not_followed(locks, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("kept")
    os.mkdir(locks.folder)
    os.symlink(victim, os.path.join(locks.folder, "~mutex"))
    with pytest.raises(HoldfastError), locks.hold("build"):
        pass
    assert victim.read_text() == "kept"


@pytest.mark.parametrize("meta", [{"a": "x" * 4096}, {"a": object()}, {"a": float("nan")}])
def test_metadata_is_bounded_json(locks, meta):
    with pytest.raises(ValidationFailed, match="metadata"), locks.hold("build", meta=meta):
        pass


def test_metadata_up_to_4_kib_is_kept(locks):
    meta = {"a": "x" * (4096 - len('{"a":""}'))}
    with locks.hold("build", meta=meta):
        assert locks.holders("build")[0].meta == meta


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    with pytest.raises(HoldfastError, match="locks"), Locks(str(tmp_path / "nowhere")).hold("build"):
        pass


def test_the_mutex_of_a_stopped_process_is_waited_for_and_told(locks, monkeypatch):
    monkeypatch.setattr("holdfast.locks.manager.MUTEX_BUDGET", 0.01)
    with locks.mutex():
        with pytest.raises(LockTimeout, match="is one stopped"):
            locks.clean()
        assert locks.holders() == []


# -- leases


def test_a_lease_belongs_to_its_owner(locks, processes):
    mine, other = somebody(processes), somebody(processes)
    taken, renewed = locks.acquire("build", mine, meta={"job": 1})
    assert (renewed, taken.status) == (False, "held")
    with pytest.raises(LockTimeout, match=f"pid {mine.pid} .cat."):
        locks.acquire("build", other, timeout=0)
    with pytest.raises(PermissionDenied, match=f"not held by pid {other.pid}.*pid {mine.pid}"):
        locks.release("build", other)
    with pytest.raises(LockTimeout), locks.hold("build", timeout=0):
        pass
    assert locks.release("build", mine).id == taken.id
    with pytest.raises(HoldfastError, match="not held"):
        locks.release("build", mine)
    assert files(locks) == []


def test_a_renewal_keeps_when_it_was_taken_and_what_it_does_not_name(folder, processes):
    mine = somebody(processes)
    first, _ = Locks(folder, lambda: NOW).acquire("build", mine, ttl=10, meta={"job": 1})
    again, renewed = Locks(folder, lambda: NOW + 5).acquire("build", mine)
    assert renewed and again.id == first.id
    assert (again.since, again.expires, again.meta) == (NOW, NOW + 15, {"job": 1})
    changed, _ = Locks(folder, lambda: NOW + 6).acquire("build", mine, ttl=100, meta={})
    assert (changed.expires, changed.meta) == (NOW + 106, {})


def test_a_renewal_cannot_turn_shared_into_exclusive(locks, processes):
    mine = somebody(processes)
    locks.acquire("build", mine, shared=True)
    with pytest.raises(HoldfastError, match="holds it shared: release it"):
        locks.acquire("build", mine)


def test_a_lease_runs_out(folder, processes):
    mine, other = somebody(processes), somebody(processes)
    Locks(folder, lambda: NOW).acquire("build", mine, ttl=10)
    assert statuses(Locks(folder, lambda: NOW + 9.9)) == ["held"]
    late = Locks(folder, lambda: NOW + 10)
    assert statuses(late) == ["stale"]
    assert late.acquire("build", other, timeout=0)[0].owner == other
    with pytest.raises(PermissionDenied):
        late.release("build", mine)


def test_a_lease_that_ran_out_is_taken_anew_by_its_owner(folder, processes):
    mine = somebody(processes)
    first, _ = Locks(folder, lambda: NOW).acquire("build", mine, ttl=10)
    again, renewed = Locks(folder, lambda: NOW + 11).acquire("build", mine, timeout=0)
    assert not renewed and again.id != first.id and again.since == NOW + 11


def test_a_lease_that_ran_out_can_still_be_released(folder, processes):
    mine = somebody(processes)
    Locks(folder, lambda: NOW).acquire("build", mine, ttl=10)
    late = Locks(folder, lambda: NOW + 11)
    assert late.release("build", mine).status == "stale"
    assert files(late) == []


@pytest.mark.parametrize("ttl", [0, -1, float("inf"), float("nan")])
def test_a_lease_needs_a_time_that_can_end(locks, processes, ttl):
    with pytest.raises(ValidationFailed, match="cannot last"):
        locks.acquire("build", somebody(processes), ttl=ttl)


def test_the_lease_of_a_killed_owner_is_stale(locks, processes):
    process = processes("cat")
    locks.acquire("build", owner.of(process.pid))
    process.kill()
    assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it
    assert statuses(locks) == ["stale"]
    process.wait()
    assert statuses(locks) == ["stale"]
    locks.acquire("build", somebody(processes), timeout=0)


def test_a_process_with_the_same_id_is_not_taken_for_the_owner(locks, processes):
    mine = somebody(processes)
    locks.acquire("build", mine)
    with edited(locks, "build") as record:
        record["owner"]["start"] = "1"
    assert statuses(locks) == ["stale"]
    assert not locks.acquire("build", mine, timeout=0)[1]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "held"),
        ({"boot": "another"}, "stale"),
        ({"boot": "another", "host": "another"}, "held"),
        ({"space": "pid:[1]", "pid": 2**30}, "held"),
        ({"pid": 2**30}, "stale"),
        ({"start": ""}, "held"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells its boot and its sets of process ids")
def test_only_an_owner_that_is_certainly_gone_is_stale(locks, processes, changes, status):
    locks.acquire("build", somebody(processes))
    with edited(locks, "build") as record:
        record["owner"] |= changes
    assert statuses(locks) == [status]


def test_a_process_that_is_not_there_cannot_own_a_lease(processes):
    gone = processes("true")
    gone.communicate()
    for pid in (gone.pid, 0, -1, 2**40):
        with pytest.raises(ValidationFailed, match="there is no process"):
            owner.of(pid)


def test_the_order_holds_for_the_leases_of_an_owner(locks, processes):
    mine, other = somebody(processes), somebody(processes)
    locks.acquire("temp", mine)
    with pytest.raises(HoldfastError, match=r"state .number 1. cannot be taken while temp .number 5. is held"):
        locks.acquire("state", mine)
    with pytest.raises(HoldfastError, match="while temp"), locks.hold("config", session=mine):
        pass
    locks.acquire("state", other)
    locks.acquire("temp", mine)  # a renewal takes nothing
    locks.release("temp", mine)
    with pytest.raises(LockTimeout):
        locks.acquire("state", mine, timeout=0)


def test_a_lease_that_had_to_wait_is_a_lease_like_any_other(locks, processes):
    first, mine = holder(processes, locks, "build"), somebody(processes)
    assert has_it(first)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(locks.acquire("build", mine, timeout=60)))
    thread.start()
    waits(locks, "build")
    first.communicate()
    thread.join()
    assert taken[0][0].status == "held" and statuses(locks) == ["held"]
    assert [name.rpartition(".")[2] for name in files(locks)] == ["json"]


def test_two_that_wait_for_one_owner_both_get_what_one_of_them_takes(locks, processes):
    first, mine = holder(processes, locks, "build"), somebody(processes)
    assert has_it(first)
    taken = []
    threads = [threading.Thread(target=lambda: taken.append(locks.acquire("build", mine, timeout=60))) for _ in "12"]
    for thread in threads:
        thread.start()
    assert backoff.until(lambda: statuses(locks).count("waiting") == 2, 60)
    first.communicate()
    for thread in threads:
        thread.join()
    assert sorted(renewed for _, renewed in taken) == [False, True]
    assert [name.rpartition(".")[2] for name in files(locks)] == ["json"]


STEPS = st.tuples(st.integers(0, 2), st.sampled_from(["shared", "exclusive", "release"]), st.sampled_from(["a", "b"]))


@settings(max_examples=25)
@given(steps=st.lists(STEPS, max_size=12))
def test_leases_of_three_owners_are_what_a_model_of_them_says(steps, tmp_path_factory):
    locks = Locks(str(tmp_path_factory.mktemp("model")))
    people = [owner.machine()._replace(pid=os.getpid(), start="") for _ in range(3)]
    people = [
        one._replace(space=one.space and f"{one.space}{n}", host=f"h{n}", boot="") for n, one in enumerate(people)
    ]
    model = {"a": {}, "b": {}}
    for who, what, name in steps:
        held = model[name]
        others = {other: how for other, how in held.items() if other != who}
        try:
            if what == "release":
                locks.release(name, people[who])
                assert who in held
                del held[who]
                continue
            locks.acquire(name, people[who], shared=what == "shared", timeout=0)
        except LockTimeout:
            assert others and (what == "exclusive" or "exclusive" in others.values())
        except HoldfastError:
            assert who not in held if what == "release" else held[who] != what
        else:
            assert not others or (what == "shared" and "exclusive" not in others.values())
            held[who] = what
        shown = {(found.name, found.owner.host, found.shared) for found in locks.holders()}
        assert shown == {(n, f"h{w}", how == "shared") for n, h in model.items() for w, how in h.items()}


# -- cleaning


def test_clean_removes_the_stale_and_only_them(folder, locks, processes):
    living = holder(processes, locks, "living")
    killed = holder(processes, locks, "killed")
    assert has_it(living) and has_it(killed)
    gone = processes("cat")
    locks.acquire("gone", owner.of(gone.pid))
    locks.acquire("kept", somebody(processes), ttl=1000)
    Locks(folder, lambda: time.time() - 100).acquire("over", somebody(processes), ttl=10)
    for process in (killed, gone):
        process.kill()
        process.wait()
    for name in ("index.lock", "x~0.held", ".x~0.json.1-2.tmp"):
        with open(os.path.join(locks.folder, name), "wb"):
            pass
    assert sorted(found.name for found in locks.clean()) == ["gone", "killed", "over"]
    assert sorted({name.partition("~")[0] for name in files(locks)}) == ["index.lock", "kept", "living"]
    assert locks.clean() == []


def test_what_a_killed_writer_left_is_gone_when_the_next_takes_a_lock(locks):
    os.mkdir(locks.folder)
    for name in ("x~0.held", ".x~0.json.1-2.tmp"):
        with open(os.path.join(locks.folder, name), "wb"):
            pass
    with locks.hold("build"):
        assert {name.partition("~")[0] for name in files(locks)} == {"build"}


def test_a_lease_that_was_renewed_a_moment_ago_is_never_cleaned_away(folder, locks, processes):
    program = """
import os, sys
from holdfast.locks import Locks
locks = Locks(sys.argv[1])
print("ready", flush=True)
while os.getppid() == int(sys.argv[2]):
    locks.clean()
"""
    cleaner = processes(sys.executable, "-c", program, folder, str(os.getpid()))
    assert cleaner.stdout.readline() == b"ready\n"
    mine = somebody(processes)
    past = Locks(folder, lambda: time.time() - 100)
    for _ in range(60):
        past.acquire("build", mine, ttl=10)  # has run out as the cleaner sees it
        locks.acquire("build", mine, ttl=1000, timeout=0)
        assert statuses(locks, "build") == ["held"]
        assert locks.acquire("build", mine, timeout=0)[1], "it is still there to be renewed"
        locks.release("build", mine)
    assert cleaner.poll() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "other"}', b"\xff", b"{}"])
def test_a_record_that_cannot_be_read_keeps_others_out_until_it_is_cleaned(locks, processes, content):
    mine = somebody(processes)
    taken, _ = locks.acquire("build", mine)
    with open(records.path(locks.folder, "build", taken.id, ".json"), "wb") as file:
        file.write(content)
    with pytest.raises(LockTimeout, match=r"cannot be read.*holdfast lock clean"):
        locks.acquire("build", mine, timeout=0)
    assert [found.status for found in locks.clean()] == ["damaged"]
    locks.acquire("build", mine, timeout=0)


def test_a_folder_among_the_records_is_somebody_elses_and_stops_nothing(locks):
    names = {"build~54bf0fd99e17.json", "build~54bf0fd99e18.held", ".build~54bf0fd99e19.json.1.tmp"}
    place = Path(locks.folder)
    for name in names:
        (place / name).mkdir(parents=True)
    (place / "docs~54bf0fd99e17.json").write_text("{")
    assert [found.name for found in locks.clean()] == ["docs"]
    with locks.hold("build", timeout=0):
        pass
    assert set(os.listdir(place)) - {"~mutex"} == names


def test_a_record_with_a_number_that_json_has_not_is_damaged(locks, processes):
    taken, _ = locks.acquire("build", somebody(processes), meta={"a": 1})
    path = records.path(locks.folder, "build", taken.id, ".json")
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(re.sub(rb'"a": ?1', b'"a":1e999', data))
    (found,) = locks.holders()
    assert found.status == "damaged" and "cannot be read" in found.describe()


def test_a_record_that_cannot_be_read_stays_while_its_process_lives(locks):
    with locks.hold("build") as held:
        path = records.path(locks.folder, "build", held.holder.id, ".json")
        with open(path, "wb"):
            pass
        assert locks.clean() == []
        assert os.path.exists(path)


# -- file systems without kernel locks


@pytest.fixture
def no_kernel_locks(monkeypatch):
    def refuse(_fd):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(guard, "_try", refuse)


@pytest.mark.usefixtures("no_kernel_locks")
def test_without_kernel_locks_a_soft_lock_guards_and_owners_are_looked_for(locks, processes):
    with locks.hold("build"):
        assert statuses(locks) == ["held"]
        with pytest.raises(LockTimeout):
            locks.acquire("build", somebody(processes), timeout=0)
        assert not [name for name in files(locks) if name.endswith(".soft")]
    locks.acquire("build", somebody(processes), timeout=0)
    assert [name.rpartition(".")[2] for name in files(locks)] == ["json"]


@pytest.mark.usefixtures("no_kernel_locks")
def test_without_kernel_locks_nobody_stands_in_line(locks, processes, monkeypatch):
    seen = []
    monkeypatch.setattr(backoff, "until", lambda _attempt, _seconds: seen.append(statuses(locks)))
    with locks.hold("build"), pytest.raises(LockTimeout):
        locks.acquire("build", somebody(processes), timeout=1)
    assert seen == [["held"]]


@pytest.mark.usefixtures("no_kernel_locks")
def test_without_kernel_locks_a_holder_that_is_gone_is_stale(locks):
    with locks.hold("build"):
        with edited(locks, "build") as record:
            record["owner"]["pid"] = 2**30
        assert statuses(locks) == ["stale"]
        assert [found.name for found in locks.clean()] == ["build"]


@pytest.mark.usefixtures("no_kernel_locks")
def test_without_kernel_locks_the_soft_lock_of_a_killed_process_is_broken(locks, processes):
    gone = processes("true")
    gone.communicate()
    os.mkdir(locks.folder)
    with open(os.path.join(locks.folder, "~mutex.soft"), "w", encoding="ascii") as file:
        file.write(f"{gone.pid}\n{os.uname().nodename}\n")
    with locks.hold("build", timeout=0):
        pass


def test_what_the_system_refuses_is_told_as_that(locks, monkeypatch):
    def refuse(*_arguments):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(guard, "acquire", refuse)
    with pytest.raises(ResourcesExhausted), locks.hold("build"):
        pass
