"""Checkpoints through the command: made, listed, restored, undone, let go of."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

from commanding import environment, process, run, state_file
from firing import audit_of, edit_call, fire, make_project, start, state_of
from holdfast.state import checkpoints


@pytest.fixture
def shop(tmp_path):
    return make_project(tmp_path / "shop")


def checkpoint(shop, *words):
    said = run(shop, "recovery", "checkpoint", *words)
    assert said.code == 0, said.err
    return said.out.strip()


def listed(shop):
    return json.loads(run(shop, "recovery", "list", "--json").out)


def folder_of(shop):
    return shop / ".holdfast" / "checkpoints"


def test_a_checkpoint_prints_its_id_and_keeps_what_it_was_given(shop):
    run(shop, "phase", "set", "build")
    name = checkpoint(shop, "deploy prod", "--phase", "phase6", "--meta", '{"version": "1.2.3"}')
    assert re.fullmatch(r"checkpoint-\d{8}-\d{6}-deploy-prod", name)
    (found,) = listed(shop)
    assert (found["id"], found["operation"], found["phase"]) == (name, "deploy prod", "phase6")
    assert (found["metadata"], found["fault"]) == ({"version": "1.2.3"}, None)
    assert name in run(shop, "recovery", "list").out
    assert any(name in line["decision"] for line in audit_of(shop))


def test_a_checkpoint_without_a_phase_notes_the_states_own(shop):
    run(shop, "phase", "set", "build")
    checkpoint(shop, "deploy")
    assert listed(shop)[0]["phase"] == "build"


def test_checkpoints_are_for_the_owner_alone(shop):
    old = os.umask(0)
    try:
        name = checkpoint(shop, "deploy")
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder_of(shop).stat().st_mode) == 0o700
    assert stat.S_IMODE((folder_of(shop) / f"{name}.json").stat().st_mode) == 0o600


def test_two_of_one_operation_have_two_ids(shop):
    names = [checkpoint(shop, "deploy") for _ in range(4)]
    assert len(set(names)) == 4
    assert [found["id"] for found in listed(shop)] == names[::-1], "the newest first"


def test_a_restored_checkpoint_brings_the_state_back_and_can_be_undone(shop):
    run(shop, "phase", "set", "build")
    run(shop, "task", "add", "kept")
    name = checkpoint(shop, "deploy")
    before = state_of(shop)
    run(shop, "task", "add", "later")
    run(shop, "phase", "set", "ship")
    later = state_of(shop)
    said = run(shop, "recovery", "restore", name)
    assert said.code == 0, said.err
    restored = state_of(shop)
    assert (restored["phase"], restored["tasks"]) == ("build", before["tasks"])
    assert restored["revision"] > later["revision"]
    assert restored["stats"]["recoveries"] == later["stats"]["recoveries"] + 1
    assert any(name in line.get("what", "") for line in audit_of(shop) if line["decision"] == "recovered")
    assert list((shop / ".holdfast" / "backups").glob(f"state-*-r{later['revision']}-before-restore.json"))
    undo = said.lines[-1].split()[-1]
    assert run(shop, "recovery", "restore", undo).code == 0
    undone = state_of(shop)
    assert (undone["phase"], undone["tasks"]) == ("ship", later["tasks"])
    assert undone["revision"] > restored["revision"]
    assert undone["stats"]["recoveries"] == restored["stats"]["recoveries"] + 1


def test_latest_is_the_newest_that_somebody_made_not_the_one_that_undoes(shop):
    run(shop, "phase", "set", "build")
    checkpoint(shop, "deploy")
    run(shop, "phase", "set", "ship")
    for _ in range(2):
        assert run(shop, "recovery", "restore", "latest").code == 0
        assert state_of(shop)["phase"] == "build"


def test_what_a_host_delivers_again_after_a_restoration_is_not_counted_again(project):
    fire("claude", start("claude", project), project)
    name = checkpoint(project, "deploy")
    given = edit_call("claude", project, "src/a.py")
    fire("claude", given, project)
    run(project, "recovery", "restore", name)
    fire("claude", given, project)
    assert state_of(project)["stats"]["tool_calls"] == 0


def test_the_next_session_is_told_of_a_restoration(project):
    fire("claude", start("claude", project), project)
    name = checkpoint(project, "deploy")
    run(project, "recovery", "restore", name)
    assert name in fire("claude", start("claude", project, "resume"), project).text


def test_a_checkpoint_of_a_phase_that_the_workflow_lost_is_restored_into_one_that_it_has(shop):
    run(shop, "phase", "set", "build")
    name = checkpoint(shop, "deploy")
    workflow = shop / ".holdfast" / "workflow.yaml"
    workflow.write_text(workflow.read_text().replace("id: build", "id: make"))
    assert run(shop, "recovery", "restore", name).code == 0
    assert state_of(shop)["phase"] == "spec"


@pytest.mark.parametrize("spoil", [b"", b"noise", b'{"seal":"x"}', None])
def test_a_damaged_checkpoint_is_listed_and_refused_and_the_state_stays(shop, spoil):
    run(shop, "phase", "set", "build")
    name = checkpoint(shop, "deploy")
    path = folder_of(shop) / f"{name}.json"
    path.write_bytes(path.read_bytes().replace(b'"phase":"build"', b'"phase":"ship"') if spoil is None else spoil)
    before = state_file(shop).read_bytes()
    assert listed(shop)[0]["fault"] == "damaged"
    said = run(shop, "recovery", "restore", name)
    assert said.code == 3 and len(said.err.splitlines()) == 1
    assert state_file(shop).read_bytes() == before


def test_a_checkpoint_of_a_newer_release_is_refused(shop):
    state = state_of(shop)
    name = checkpoints.create(str(shop / ".holdfast"), {**state, "schema_version": 99}, "deploy")
    said = run(shop, "recovery", "restore", name)
    assert said.code == 3 and "newer" in said.err


@pytest.mark.parametrize("name", ["checkpoint-x", "../../workflow", "latest", "checkpoint-20260101-000000-x"])
def test_an_id_that_is_none_is_refused(shop, name):
    said = run(shop, "recovery", "restore", name)
    assert said.code == 1 and "holdfast recovery list" in said.err and len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["///"], "letter or a digit"),
        (["deploy", "--meta", "{"], "--meta"),
        (["deploy", "--meta", "[1]"], "object"),
        (["deploy", "--meta", '{"a": NaN}'], "NaN"),
        (["deploy", "--meta", json.dumps({"a": "x" * 20_000})], "16 KiB"),
    ],
)
def test_what_cannot_be_kept_with_a_checkpoint_is_refused(shop, words, told):
    said = run(shop, "recovery", "checkpoint", *words)
    assert said.code == 4 and told in said.err and len(said.err.splitlines()) == 1
    assert listed(shop) == []


def test_an_operations_odd_characters_stay_out_of_the_file_name(shop):
    name = checkpoint(shop, "../../x\n\x1b[31m é")
    assert (folder_of(shop) / f"{name}.json").exists()
    assert "\x1b" not in run(shop, "recovery", "list").out
    assert listed(shop)[0]["operation"] == "../../x\n\x1b[31m é"


def test_the_oldest_go_when_there_are_too_many(shop, monkeypatch):
    monkeypatch.setattr(checkpoints, "KEPT", 3)
    names = [checkpoint(shop, f"n{number}") for number in range(5)]
    assert [found["id"] for found in listed(shop)] == names[:1:-1]


def test_cleanup_takes_the_old_ones_and_nothing_else(shop):
    name = checkpoint(shop, "deploy")
    old = "checkpoint-20200101-000000-old"
    (folder_of(shop) / f"{old}.json").write_bytes((folder_of(shop) / f"{name}.json").read_bytes())
    (folder_of(shop) / "mine.txt").write_text("x")
    (folder_of(shop) / f"{name}.json.{2**22 + 1}.tmp").write_text("of a dead writer")
    said = run(shop, "recovery", "cleanup", "--days", "7")
    assert said.code == 0 and said.out.startswith("1 checkpoint removed, 1 kept")
    assert sorted(path.name for path in folder_of(shop).iterdir()) == [f"{name}.json", "mine.txt"]
    assert run(shop, "recovery", "cleanup", "--days", "0").out.startswith("1 checkpoint removed, 0 kept")


def test_a_start_sweeps_what_killed_writers_of_checkpoints_left(project):
    checkpoint(project, "deploy")
    left = folder_of(project) / f"checkpoint-20260101-000000-x.json.{2**22 + 1}.tmp"
    left.write_text("left")
    fire("claude", start("claude", project), project)
    assert not left.exists()


def test_where_every_backup_is_spoilt_the_newest_checkpoint_brings_the_state_back(shop):
    run(shop, "phase", "set", "build")
    checkpoint(shop, "deploy")
    run(shop, "phase", "set", "ship")
    for path in [state_file(shop), *(shop / ".holdfast" / "backups").iterdir()]:
        path.write_bytes(b"noise")
    assert run(shop, "task", "add", "go on").code == 0
    state = state_of(shop)
    assert (state["phase"], state["stats"]["recoveries"]) == ("build", 1)


def test_the_seeds_script_works_with_these_commands(shop):
    """A checkpoint before a risky command, restored because it fails however often it is tried."""
    run(shop, "phase", "set", "build")
    script = """
id=$("$@" recovery checkpoint risky-operation --phase current-phase) || exit 1
"$@" phase set ship >/dev/null
if "$@" recovery retry --attempts 2 --delay 0 -- sh -c 'exit 9'; then exit 1; fi
"$@" recovery restore "$id"
"""
    words = ["sh", "-c", script, "sh", sys.executable, "-m", "holdfast"]
    done = subprocess.run(words, cwd=shop, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert state_of(shop)["phase"] == "build"
    assert process(shop, "recovery", "list").lines[0].startswith("checkpoint-")
