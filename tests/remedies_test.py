"""What is done about each way to fail: real causes, what was done, and that it is told and counted."""

import fcntl
import json
import os
import subprocess
import sys

import pytest

from commanding import run, state_file
from firing import audit_of, make_project, state_of
from holdfast import errors
from holdfast.project import Project
from holdfast.state import remedies

CODES = {
    kind.exit_code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
}


@pytest.fixture
def shop(tmp_path):
    shop = make_project(tmp_path / "shop")
    run(shop, "phase", "set", "build")
    return shop


def recover(shop, error):
    return remedies.recover(Project.find(str(shop)), error)


def recovered(shop):
    """The audit lines of recoveries, which are as many as are counted once the next update was made."""
    run(shop, "task", "add", "one more update")
    lines = [line for line in audit_of(shop) if line["decision"].startswith("recovered")]
    assert state_of(shop)["stats"]["recoveries"] == len(lines)
    return [line.get("what") or line["error"] for line in lines]


def stale_lock(shop, name="deploy"):
    """A lease whose owner has ended."""
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    said = run(shop, "lock", "acquire", name, "--owner", owner.pid)
    assert said.code == 0, said.err
    owner.communicate(b"\n")


def locks(shop):
    return json.loads(run(shop, "lock", "list", "--json").out)


def test_each_exit_code_has_its_remedy():
    assert [remedy.code for remedy in remedies.REMEDIES] == list(range(1, 11)) == sorted(CODES)
    for remedy in remedies.REMEDIES:
        assert remedy.error is CODES[remedy.code]
        assert remedies.of(remedy.error("x")) is remedy


def test_a_lock_timeout_cleans_stale_locks_and_only_them(shop):
    stale_lock(shop)
    run(shop, "lock", "acquire", "live", "--owner", os.getpid())
    assert "1 stale lock" in recover(shop, errors.LockTimeout("x"))
    assert [lock["name"] for lock in locks(shop)] == ["live"]
    assert len(recovered(shop)) == 1
    assert recover(shop, errors.LockTimeout("x")) == "", "there is nothing to do"
    assert len(recovered(shop)) == 1


def test_a_command_that_waited_in_vain_cleans_stale_locks_by_itself(shop):
    stale_lock(shop)
    with open(shop / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert run(shop, "phase", "set", "ship", HOLDFAST_LOCK_TIMEOUT="0.01").code == 2
    assert locks(shop) == []
    assert len(recovered(shop)) == 1


@pytest.mark.parametrize("data", [b"", b"noise", bytes(500)])
def test_a_corrupt_state_is_restored_from_a_backup(shop, data):
    state_file(shop).write_bytes(data)
    assert "restored from a backup" in recover(shop, errors.StateCorrupt("x"))
    state = state_of(shop)
    assert (state["phase"], state["stats"]["recoveries"]) == ("build", 1)
    assert recover(shop, errors.StateCorrupt("x")) == "", "there is nothing to do"


def test_a_state_of_a_newer_release_is_not_restored_over(shop):
    newer = json.dumps(json.loads(state_file(shop).read_bytes()) | {"schema_version": 99}).encode()
    state_file(shop).write_bytes(newer)
    with pytest.raises(errors.StateCorrupt, match="newer"):
        recover(shop, errors.StateCorrupt("x"))
    assert state_file(shop).read_bytes() == newer


def test_a_failed_validation_restores_the_last_checkpoint(shop):
    assert recover(shop, errors.ValidationFailed("x")) == "", "there is none yet"
    name = run(shop, "recovery", "checkpoint", "deploy").out.strip()
    run(shop, "phase", "set", "ship")
    assert name in recover(shop, errors.ValidationFailed("x"))
    assert state_of(shop)["phase"] == "build"
    assert len(recovered(shop)) == 1


def test_a_refused_patch_restores_nothing_by_itself(shop):
    run(shop, "recovery", "checkpoint", "deploy")
    run(shop, "phase", "set", "ship")
    assert run(shop, "state", "patch", '{"mode": "asleep"}').code == 4
    assert state_of(shop)["phase"] == "ship"
    assert recovered(shop) == []


def test_a_full_disk_costs_old_copies_and_what_dead_writers_left_the_oldest_first(shop):
    backups = shop / ".holdfast" / "backups"
    for day in range(10, 20):
        (backups / f"state-202001{day}T000000Z-r1.json").write_bytes(state_file(shop).read_bytes())
    dead = [f"state.json.{2**22 + 1}.tmp", f"spool/1-{2**22 + 1}.tmp", f"checkpoints/checkpoint-x.json.{2**22 + 1}.tmp"]
    for name in dead:
        (shop / ".holdfast" / name).parent.mkdir(exist_ok=True)
        (shop / ".holdfast" / name).write_text("left")
    living = shop / ".holdfast" / f"state.json.{os.getppid()}.tmp"
    living.write_text("of a living writer")
    there = sorted(path.name for path in backups.glob("state-*"))
    done = recover(shop, OSError(28, "No space left on device"))
    assert done == f"3 temporary files and {len(there) - 3} old backups were removed"
    assert sorted(path.name for path in backups.glob("state-*")) == there[-3:]
    assert living.exists() and not any((shop / ".holdfast" / name).exists() for name in dead)
    assert len(recovered(shop)) == 1


@pytest.mark.parametrize("kind", [errors.TimedOut, errors.ResourcesExhausted, errors.NetworkError])
def test_what_passes_by_itself_is_worth_another_try(shop, kind, monkeypatch):
    monkeypatch.setattr(remedies, "WAIT", 0)
    assert recover(shop, kind("x"))
    assert len(recovered(shop)) == 1


@pytest.mark.parametrize("error", [errors.HoldfastError("x"), errors.DependencyMissing("x"), PermissionError(13, "x")])
def test_what_only_the_user_can_mend_is_left_to_him(shop, error):
    assert recover(shop, error) == ""
    assert recovered(shop) == []


def test_an_update_that_lacks_resources_waits_and_tries_again(shop, monkeypatch):
    monkeypatch.setattr(remedies, "WAIT", 0)
    project = Project.find(str(shop))
    tries = []

    def change(state):
        tries.append(1)
        if len(tries) == 1:
            raise errors.ResourcesExhausted("too many open files")
        state["stats"]["prompts"] += 1

    project.update(change)
    state = state_of(shop)
    assert (len(tries), state["stats"]["prompts"], state["stats"]["recoveries"]) == (2, 1, 1)


def test_status_says_what_would_be_done(shop):
    name = run(shop, "recovery", "checkpoint", "deploy").out.strip()
    facts = json.loads(run(shop, "recovery", "status", "--json").out)
    by_code = {remedy["code"]: remedy for remedy in facts["remedies"]}
    assert sorted(by_code) == list(range(1, 11))
    assert name in by_code[4]["now"] and "revision" in by_code[3]["now"] and "reserve" in by_code[7]["now"]
    assert facts["checkpoints"] == {"count": 1, "newest": name}
    assert facts["reserve"]["there"] and facts["reserve"]["free"] > 0
    shown = run(shop, "recovery", "status").out
    assert all(f"Exit {code} " in shown for code in by_code)


def test_status_tells_of_a_damaged_state_and_leaves_it_as_it_is(shop):
    state_file(shop).write_bytes(b"noise")
    facts = json.loads(run(shop, "recovery", "status", "--json").out)
    assert "damaged" in facts["error"] and facts["recoveries"] is None
    assert state_file(shop).read_bytes() == b"noise"


def test_status_shows_the_last_recoveries(shop):
    for number in range(7):
        remedies.count(Project.find(str(shop)), 9, f"number {number}")
    with (shop / ".holdfast" / "audit.jsonl").open("a") as trail:
        trail.write('{"decision":"recovered, cut')
    facts = json.loads(run(shop, "recovery", "status", "--json").out)
    assert [told["what"] for told in facts["recent"]] == [f"number {number}" for number in range(2, 7)]
    assert facts["recoveries"] == 7, "those that wait to be counted, too"
