"""Degraded mode: begun by failures of real hooks, ended by the first update that succeeds, set and left by hand."""

import fcntl
import json
import os
import time

import pytest

from commanding import run, state_file
from firing import audit_of, edit_call, fire, make_project, start, state_of
from holdfast.state import degraded, spool
from holdfast.state.guard import Busy

OFF = {"enabled": False, "reason": "", "timestamp": None, "disabled_features": []}


def fire_edits(project, count, **options):
    for number in range(count):
        answer = fire("claude", edit_call("claude", project, f"src/{number}.py"), project, **options)
        assert (answer.code, answer.stderr) == (0, "")


def break_state(project):
    """Put a folder where the state is: it can be neither read nor replaced, by root neither."""
    path = state_file(project)
    path.rename(path.with_name("kept"))
    path.mkdir()


def mend_state(project):
    path = state_file(project)
    path.rmdir()
    path.with_name("kept").rename(path)


def status(project):
    return json.loads(run(project, "recovery", "status", "--json").out)


@pytest.fixture
def begun(project):
    fire("claude", start("claude", project), project)
    return project


def test_three_failed_updates_in_a_row_begin_it_and_one_that_succeeds_ends_it(begun):
    break_state(begun)
    fire_edits(begun, 2)
    assert status(begun)["degraded_mode"] == OFF
    fire_edits(begun, 1)
    mode = status(begun)["degraded_mode"]
    assert mode["enabled"] and mode["timestamp"] and "state-updates" in mode["disabled_features"]
    assert [line["error"] for line in audit_of(begun) if line["decision"] == "degraded"] == [mode["reason"]]
    fire_edits(begun, 4)
    assert status(begun)["failed_in_a_row"] == 7, "hooks keep spooling in it"
    mend_state(begun)
    assert state_of(begun)["degraded_mode"]["enabled"], "until an update succeeds"
    fire_edits(begun, 1)
    state = state_of(begun)
    assert (state["degraded_mode"], state["stats"]["tool_calls"]) == (OFF, 8)
    assert state["stats"]["recoveries"] == 1
    assert [line["decision"] for line in audit_of(begun)].count("recovered") == 1
    assert not spool.waiting(str(begun / ".holdfast"))
    assert mode["reason"] in fire("claude", start("claude", begun, "resume"), begun).text


def test_a_success_between_failures_begins_the_count_again(begun):
    for _ in range(3):
        break_state(begun)
        fire_edits(begun, 2)
        mend_state(begun)
        fire_edits(begun, 1)
    assert not [line for line in audit_of(begun) if line["decision"] in ("degraded", "recovered")]
    assert state_of(begun)["stats"]["recoveries"] == 0


def test_a_session_that_starts_in_it_is_briefed_of_what_is_off(begun):
    os.utime(state_file(begun), (1, 1))
    with open(begun / ".holdfast" / "state.json", "rb"), open(begun / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        fire_edits(begun, 3, env={"HOLDFAST_LOCK_TIMEOUT": "0.01"})
    run(begun, "recovery", "degrade", "database-unavailable", "--disable", "mail")
    told = fire("claude", start("claude", begun, "resume"), begun).text
    assert "degraded mode: database-unavailable; off: mail." in told
    run(begun, "recovery", "recover-mode")
    assert "degraded" not in fire("claude", start("claude", begun, "resume"), begun).text


def test_a_lock_that_is_not_let_go_of_begins_it(begun):
    os.utime(state_file(begun), (1, 1))  # no update has succeeded for long
    with open(begun / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        fire_edits(begun, 3, env={"HOLDFAST_LOCK_TIMEOUT": "0.01"})
        mode = state_of(begun)["degraded_mode"]
        assert mode["enabled"] and "lock" in mode["reason"]
        shown = json.loads(run(begun, "status", "--json").out)
        assert shown["degraded_mode"] == mode and shown["spool"] == 3
    fire_edits(begun, 1)
    state = state_of(begun)
    assert (state["degraded_mode"], state["stats"]["tool_calls"]) == (OFF, 4)


def test_a_lock_that_goes_from_hand_to_hand_does_not(begun, monkeypatch):
    folder = str(begun / ".holdfast")
    monkeypatch.setattr(degraded, "STUCK", 1e9)  # every update there ever was succeeded a moment ago
    for number in range(5):
        spool.put(folder, {"id": number})
    assert not degraded.failed(folder, Busy())
    assert degraded.failed(folder, PermissionError(13, "no")), "what fails for another reason does not wait"
    assert not degraded.failed(folder, PermissionError(13, "no")), "it is on"


def test_events_that_wait_since_before_the_last_success_are_no_failures(begun):
    """One update folds 200 events, so some may wait though updates succeed."""
    folder = str(begun / ".holdfast")
    for number in range(5):
        spool.put(folder, {"id": number})
    later = time.time() + 60
    os.utime(state_file(begun), (later, later))
    assert not degraded.failed(folder, PermissionError(13, "no"))


def test_a_state_of_a_newer_release_begins_it_and_is_left_untouched(begun):
    path = state_file(begun)
    found = json.loads(path.read_bytes())
    newer = json.dumps(found | {"schema_version": 99}).encode()
    path.write_bytes(newer)
    fire_edits(begun, 3)
    facts = status(begun)
    assert "newer" in facts["degraded_mode"]["reason"] and "newer" in facts["error"]
    assert path.read_bytes() == newer
    path.write_text(json.dumps(found))
    fire_edits(begun, 1)
    assert state_of(begun)["stats"]["tool_calls"] == 4


def test_a_mode_set_by_hand_ends_by_hand_alone(begun):
    said = run(begun, "recovery", "degrade", "database-unavailable", "--disable", "live", "mail", "--disable", "a,b")
    assert said.code == 0 and "live, mail" in said.out.replace("a, b, ", "")
    fire_edits(begun, 2)
    mode = state_of(begun)["degraded_mode"]
    assert (mode["enabled"], mode["reason"]) == (True, "database-unavailable")
    assert sorted(mode["disabled_features"]) == ["a", "b", "live", "mail"]
    assert "database-unavailable" in run(begun, "recovery", "status").out
    assert run(begun, "recovery", "recover-mode").code == 0
    state = state_of(begun)
    assert (state["degraded_mode"], state["stats"]["recoveries"]) == (OFF, 1)
    assert run(begun, "recovery", "recover-mode").out == "not in degraded mode\n"
    assert state_of(begun)["stats"]["recoveries"] == 1


def test_recover_mode_ends_one_that_began_by_itself(begun):
    break_state(begun)
    fire_edits(begun, 3)
    mend_state(begun)
    assert run(begun, "recovery", "recover-mode").code == 0
    state = state_of(begun)
    assert (state["degraded_mode"], state["stats"]["tool_calls"], state["stats"]["recoveries"]) == (OFF, 3, 1)


def test_without_the_feature_backups_no_copies_are_made(begun):
    def copies():
        return sorted(path.name for path in (begun / ".holdfast" / "backups").glob("state-*"))

    run(begun, "recovery", "degrade", "small-disk", "--disable", "backups")
    before = copies()
    run(begun, "phase", "set", "ship")
    assert copies() == before
    run(begun, "recovery", "recover-mode")
    run(begun, "phase", "set", "build")
    assert copies() != before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["two", "words"], 64, "words"),
        ([" "], 4, "empty"),
        (["many", "--disable", ",".join(f"f{number}" for number in range(51))], 4, "51"),
    ],
)
def test_a_mode_that_cannot_be_set_is_refused(begun, words, code, told):
    said = run(begun, "recovery", "degrade", *words)
    assert said.code == code and told in said.err
    assert state_of(begun)["degraded_mode"] == OFF


def test_what_a_hook_failed_of_is_named_by_the_commands_exit_codes():
    assert degraded.code_of(PermissionError(13, "no")) == 6
    assert degraded.code_of(OSError(28, "full")) == 7
    assert degraded.code_of(MemoryError()) == 10
    assert degraded.code_of(ValueError()) == 1
    assert set(degraded.REASONS) <= set(range(11))


def test_a_folder_that_is_called_like_a_mark_is_none(tmp_path):
    shop = make_project(tmp_path / "shop.degraded-7" / "shop.recovered-2")
    spool.put(str(shop / ".holdfast"), {"id": "waits"})
    degraded.mark(str(shop / ".holdfast"), spool.LOST)
    assert json.loads(run(shop, "state", "read").out)["degraded_mode"]["enabled"] is False
    assert degraded.enter(str(shop / ".holdfast"), 2)
    assert run(shop, "phase", "set", "build").code == 0
    assert state_of(shop)["stats"]["recoveries"] == 1


def test_marks_of_another_release_do_no_harm(tmp_path):
    shop = make_project(tmp_path / "shop")
    (shop / ".holdfast" / "spool").mkdir()
    for name in ("1-1.degraded-77", "2-1.degraded-", "3-1.recovered-x", "4-1.something", "x.degraded-7"):
        (shop / ".holdfast" / "spool" / name).write_bytes(b"")
    assert run(shop, "state", "read").code == 0
    assert run(shop, "phase", "set", "build").code == 0
    assert not spool.waiting(str(shop / ".holdfast"))
    assert "Degraded    no\n" in run(shop, "recovery", "status").out
