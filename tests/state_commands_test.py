"""`holdfast state …` and what `holdfast status` says of the document."""

import json
import os
import stat
import subprocess
import sys

import pytest

from commanding import edit_state, environment, process, run, state_file
from firing import FLOW, fire, make_project, shell_call, start
from holdfast.lean import os as lean_os
from holdfast.project import Project
from holdfast.state import backups, document, holder, recovery, restoring, store


def kept(keep, days):
    return f"{FLOW}backups: {{keep: {keep}, max_age_days: {days}}}\n"


def read(project):
    said = run(project, "state", "read")
    assert said.code == 0, said.err
    return json.loads(said.out)


def listed(project):
    return json.loads(run(project, "state", "backups", "--json").out)


def damage(project, data=b"\0" * 400):
    state_file(project).write_bytes(data)


def test_init_makes_a_state_and_leaves_one_that_is_there(project):
    said = run(project, "state", "init")
    assert said.code == 0
    assert "phase spec" in said.out
    before = state_file(project).read_bytes()
    assert run(project, "state", "init").code == 0
    assert state_file(project).read_bytes() == before
    assert state_file(project).stat().st_mode & 0o777 == 0o600


def test_init_brings_a_damaged_state_back(project):
    assert run(project, "task", "add", "one").code == 0
    assert run(project, "state", "backup").code == 0
    damage(project)
    assert run(project, "state", "init").code == 0
    assert "one" in read(project)["tasks"]


def test_read_writes_the_same_to_a_file_for_the_owner_alone(project, tmp_path):
    run(project, "task", "add", "one")
    out = tmp_path / "snapshot.json"
    said = run(project, "state", "read", "--out", out)
    assert said.code == 0
    assert "revision 1" in said.out
    assert json.loads(out.read_text()) == read(project)
    assert out.stat().st_mode & 0o777 == 0o600
    assert run(project, "state", "read", "--out", tmp_path / "no" / "place.json").code == 1


def test_a_backup_is_named_after_time_revision_and_reason(project):
    run(project, "task", "add", "one")
    said = run(project, "state", "backup", "vor dem Ausrollen / ü")
    assert said.code == 0
    newest = listed(project)[0]
    assert said.out.strip() == newest["file"]
    assert newest["name"].startswith("state-20")
    assert newest["name"].endswith("Z-r1-vor-dem-Ausrollen.json")
    assert (newest["revision"], newest["reason"], newest["valid"]) == (1, "vor-dem-Ausrollen", True)
    assert newest["size"] == os.stat(newest["file"]).st_size


def test_there_is_nothing_to_back_up_before_the_first_save(project):
    said = run(project, "state", "backup")
    assert said.code == 1
    assert "state init" in said.err
    assert run(project, "state", "backups").out.strip() == "there is no backup yet"


def test_backups_are_listed_newest_first_and_damaged_ones_are_marked(project):
    for number in range(3):
        run(project, "task", "add", f"task {number}")
        run(project, "state", "backup", f"b{number}")
    names = [copy["reason"] for copy in listed(project)]
    assert [name for name in names if name.startswith("b")] == ["b2", "b1", "b0"]
    assert "previous" in names
    spoilt = next(copy for copy in listed(project) if copy["reason"] == "b1")
    with open(spoilt["file"], "wb") as file:
        file.write(b"{}")
    assert not next(copy for copy in listed(project) if copy["reason"] == "b1")["valid"]
    assert "damaged" in run(project, "state", "backups").out


def reads_while_an_update_writes(project, monkeypatch, name):
    """Let who reads the file `name` next open it, and find what an update has half written over it meanwhile."""
    real, write, seen = recovery.read, store.write, []

    def slowly(path):
        if seen or os.path.basename(path) != name:
            return real(path)
        with open(path, "rb", buffering=0) as file:
            opened = os.fstat(file.fileno()).st_ino

            def by_halves(fd, data):
                write(fd, data[: len(data) // 2])
                if os.fstat(fd).st_ino == opened:
                    seen.append(file.read())
                write(fd, data[len(data) // 2 :])

            with monkeypatch.context() as patch:
                patch.setattr(store, "write", by_halves)
                while not seen:
                    Project.find(str(project)).update(lambda state: state["completed_tasks"].append("x"))
        return seen[0]

    monkeypatch.setattr(recovery, "read", slowly)
    return seen


@pytest.fixture
def updated(project):
    for number in range(3):
        run(project, "task", "add", f"task {number}")
    return project


def test_a_copy_that_an_update_is_writing_over_is_not_called_damaged(updated, monkeypatch):
    seen = reads_while_an_update_writes(updated, monkeypatch, backups.OLDER)
    copies = {copy["reason"]: copy for copy in listed(updated)}
    assert seen and document.decode(seen[0]) is None
    assert copies["older"]["valid"] and copies["previous"]["valid"]


def test_a_state_that_updates_write_over_once_it_was_opened_is_not_called_damaged(updated, monkeypatch):
    seen = reads_while_an_update_writes(updated, monkeypatch, "state.json")
    said = run(updated, "state", "validate")
    assert seen and (said.code, said.err) == (0, ""), said
    assert "edited" not in said.out
    seen = reads_while_an_update_writes(updated, monkeypatch, "state.json")
    found = {one["check"]: one for one in json.loads(run(updated, "doctor", "--json").out)["findings"]}
    assert seen and found["state"]["level"] == "ok"


def test_a_valid_state_is_not_replaced_without_force(project):
    run(project, "task", "add", "one")
    run(project, "state", "backup", "good")
    before = state_file(project).read_bytes()
    said = run(project, "state", "recover", "good")
    assert said.code == 1
    assert "--force" in said.err
    assert state_file(project).read_bytes() == before


def test_recover_puts_back_the_copy_that_is_named_and_keeps_what_was(project):
    run(project, "task", "add", "one")
    run(project, "state", "backup", "good")
    run(project, "task", "add", "two")
    run(project, "task", "add", "three")
    said = run(project, "state", "recover", "good", "--force")
    assert said.code == 0, said.err
    state = read(project)
    assert list(state["tasks"]) == ["one"]
    assert state["revision"] == 4, "revisions never run backwards"
    assert state["stats"]["recoveries"] == 1
    assert "put back to the copy" in state["notices"][-1]["text"]
    kept = [copy["revision"] for copy in listed(project) if copy["reason"] == "before-recover"]
    assert kept == [3], "the state as it was, not as it was about to become"
    again = run(project, "state", "recover", "before-recover", "--force")
    assert again.code == 0
    assert list(read(project)["tasks"]) == ["one", "two", "three"], "it can be undone"
    assert run(project, "state", "validate").code == 0


def test_what_the_user_is_to_be_told_and_the_degraded_mode_outlive_a_recovery(project):
    run(project, "task", "add", "one")
    run(project, "state", "backup", "good")
    notice = {"at": 1.0, "text": "look here", "told": False}
    mode = {"enabled": True, "reason": "database", "timestamp": 1.0, "disabled_features": ["x"]}
    run(project, "state", "patch", json.dumps({"notices": [notice], "degraded_mode": mode}))
    assert run(project, "state", "recover", "good", "--force").code == 0
    state = read(project)
    assert notice in state["notices"]
    assert state["degraded_mode"] == mode


def test_recover_with_force_takes_the_newest_copy_of_another_revision(project):
    run(project, "task", "add", "one")
    run(project, "state", "backup", "good")
    run(project, "task", "add", "two")
    run(project, "state", "backup", "same")
    assert run(project, "state", "recover", "--force").code == 0
    assert list(read(project)["tasks"]) == ["one"]


def test_recover_brings_a_damaged_state_back_and_keeps_the_broken_file(project):
    run(project, "task", "add", "one")
    run(project, "task", "add", "two")
    run(project, "state", "backup", "good")
    damage(project)
    said = run(project, "state", "recover")
    assert said.code == 0, said.err
    assert "good" in said.out
    assert list(read(project)["tasks"]) == ["one", "two"]
    assert list((project / ".holdfast").glob("state.json.corrupt-*"))


def test_recover_brings_back_a_state_that_is_gone(project):
    run(project, "task", "add", "one")
    run(project, "state", "backup", "good")
    state_file(project).unlink()
    assert run(project, "state", "recover").code == 0
    assert state_file(project).exists()
    assert list(read(project)["tasks"]) == ["one"]


def test_a_damaged_state_can_be_put_back_to_an_older_copy(project):
    run(project, "task", "add", "one")
    run(project, "state", "backup", "old")
    run(project, "task", "add", "two")
    run(project, "state", "backup", "new")
    damage(project, b"")
    assert run(project, "state", "recover", "*-old.json").code == 0
    assert list(read(project)["tasks"]) == ["one"]


def test_recover_without_any_valid_copy_changes_nothing(project):
    run(project, "task", "add", "one")
    for path in (project / ".holdfast" / "backups").iterdir():
        path.write_bytes(b"noise")
    damage(project)
    said = run(project, "state", "recover")
    assert said.code == 3
    assert "state reset" in said.err
    assert state_file(project).read_bytes() == b"\0" * 400
    assert run(project, "state", "reset").code == 0
    assert run(project, "state", "validate").code == 0


def test_a_pattern_that_fits_no_copy_is_refused(project):
    run(project, "task", "add", "one")
    said = run(project, "state", "recover", "nothing", "--force")
    assert said.code == 1
    assert "holdfast state backups" in said.err


def test_reset_begins_anew_and_can_be_taken_back(project):
    run(project, "task", "add", "one")
    run(project, "phase", "set", "build")
    fire("claude", start("claude", project), project)
    said = run(project, "state", "reset")
    assert said.code == 0
    state = read(project)
    assert (state["tasks"], state["sessions"], state["phase"]) == ({}, {}, "spec")
    assert state["revision"] == 4
    assert "before-reset" in said.out
    assert run(project, "state", "recover", "before-reset", "--force").code == 0
    assert (list(read(project)["tasks"]), read(project)["phase"]) == (["one"], "build")


def test_an_event_that_was_counted_before_a_reset_does_not_count_again(project):
    call = shell_call("claude", project, "ls")
    fire("claude", call, project)
    assert read(project)["stats"]["tool_calls"] == 1
    run(project, "state", "reset")
    fire("claude", call, project)
    assert read(project)["stats"]["tool_calls"] == 0


@pytest.mark.parametrize(
    "words",
    [("state", "recover", "--force"), ("state", "reset"), ("state", "migrate"), ("state", "backup"), ("state", "init")],
)
def test_a_newer_state_is_left_untouched_and_events_wait(project, words):
    run(project, "task", "add", "one")
    edit_state(project, '"schema_version":1', '"schema_version":2')
    before = state_file(project).read_bytes()
    said = run(project, *words)
    assert said.code == 3
    assert "newer" in said.err
    answer = fire("claude", shell_call("claude", project, "ls"), project)
    assert answer.code == 0
    assert state_file(project).read_bytes() == before
    assert list((project / ".holdfast" / "spool").glob("*.json"))
    state_file(project).write_bytes(before.replace(b'"schema_version":2', b'"schema_version":1'))
    assert read(project)["stats"]["tool_calls"] == 1


def test_status_says_how_the_document_fares(project):
    run(project, "task", "add", "one")
    fire("claude", start("claude", project), project)
    run(project, "state", "backup", "good")
    facts = json.loads(run(project, "state", "status", "--json").out)
    assert facts["state_file"] == str(state_file(project))
    assert (facts["schema_version"], facts["revision"], facts["mode"]) == (1, 2, "monitoring")
    assert facts["size"] == state_file(project).stat().st_size
    assert facts["phase"]["id"] == "spec"
    assert facts["degraded_mode"]["enabled"] is False
    assert facts["last_backup"]["file"].endswith(backups.dated(str(project / ".holdfast"))[-1])
    assert facts["backups"] == len(backups.dated(str(project / ".holdfast"))) == 3
    assert (facts["spool"], facts["lock"], facts["errors"]["count"]) == (0, None, 0)
    whole = json.loads(run(project, "status", "--json").out)
    assert {key: whole[key] for key in facts} == facts
    said = run(project, "state", "status").out
    for word in ("Schema", "Revision", "Size", "Phase", "Mode", "Degraded", "Backups", "Spool", "Lock", "Errors"):
        assert f"\n{word}" in said


def test_status_counts_the_errors_since_the_session_started(project):
    fire("claude", start("claude", project), project)
    trail = project / ".holdfast" / "audit.jsonl"
    old = {"time": 5.0, "decision": "spooled", "error": "long ago"}
    new = {"time": read(project)["current_session"]["started_at"] + 60, "decision": "lost", "error": "no room"}
    trail.write_text("".join(json.dumps(line) + "\n" for line in (old, new)) + trail.read_text() + '{"cut')
    errors = json.loads(run(project, "status", "--json").out)["errors"]
    assert (errors["count"], errors["last"]) == (1, [new])
    assert "no room" in run(project, "status").out
    assert "no room" in run(project, "state", "status").out


@pytest.mark.skipif(not os.path.exists(holder.LOCKS), reason="only Linux tells who holds a lock")
def test_status_names_who_holds_the_lock(project):
    run(project, "state", "init")
    lock = project / ".holdfast" / "state.lock"
    script = "import fcntl, sys\nfile = open(sys.argv[1], 'r+')\nfcntl.flock(file, fcntl.LOCK_EX)\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as other:
        other.stdout.readline()
        found = json.loads(run(project, "status", "--json").out)["lock"]
        told = run(project, "state", "status").out
        other.communicate(b"\n")
    assert found["pid"] == other.pid
    assert str(other.pid) in told
    assert json.loads(run(project, "status", "--json").out)["lock"] is None


def test_a_word_for_a_name_holds_nothing_that_a_file_system_minds():
    assert restoring.word("a/b c") == "a-b-c"
    assert restoring.word("../..") == "manual"
    assert restoring.word("") == "manual"
    assert restoring.word("ü") == "manual"
    assert len(restoring.word("x" * 300)) == restoring.WORD
    assert backups.parts(f"state-20261120T101112Z-r7-{restoring.word('re-r3-x')}.json") == (
        "20261120T101112Z",
        7,
        "re-r3-x",
    )


# How many copies are kept, and for how long.


def test_what_is_no_file_is_written_to_and_not_replaced(project, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run(project, "state", "read", "--out", str(tmp_path / "pipe")).code == 0
    assert json.loads(os.read(reader, 1 << 16))["schema_version"] == 1
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_pipe_that_nobody_reads_is_not_waited_for(project, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = process(project, "state", "read", "--out", tmp_path / "pipe")
    assert said.code == 1 and "nobody reads this pipe" in said.err and len(said.err.splitlines()) == 1


@pytest.mark.parametrize("project", [kept(1, "null"), kept(2, "null")], indirect=True)
def test_what_a_command_has_said_is_kept_is_kept(project):
    run(project, "task", "add", "to be kept")
    run(project, "phase", "set", "build")
    assert run(project, "state", "reset").code == 0
    assert run(project, "state", "recover", "before-reset", "--force").code == 0
    assert "to be kept" in run(project, "task", "list").out


@pytest.mark.parametrize("project", [kept(3, "null")], indirect=True)
def test_the_copy_that_is_brought_back_stays_until_it_is_back(project, monkeypatch):
    from holdfast.state.store import Store

    run(project, "task", "add", "the first")  # whose copy is the oldest: a fresh state's phase
    for path in (project / ".holdfast" / "backups").glob("state-*"):
        path.unlink()
    run(project, "state", "backup", "golden")
    for number in range(2):
        run(project, "task", "add", f"task {number}")
        run(project, "state", "backup", f"b{number}")

    def killed(*_given):
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "replace", killed)
        run(project, "state", "recover", "golden", "--force")
    assert "golden" in [copy["reason"] for copy in listed(project)]
    assert run(project, "state", "recover", "golden", "--force").code == 0


@pytest.mark.parametrize("project", [kept(3, "null")], indirect=True)
def test_the_workflow_says_how_many_copies_are_kept(project):
    for number in range(6):
        run(project, "task", "add", f"task {number}")
        run(project, "state", "backup", f"b{number}")
    reasons = [copy["reason"] for copy in listed(project) if copy["reason"] not in ("previous", "older")]
    assert reasons == ["b5", "b4", "b3"]
    fire("claude", start("claude", project), project)
    reasons = [copy["reason"] for copy in listed(project) if copy["reason"] not in ("previous", "older")]
    assert reasons == ["start", "b5", "b4"], "hooks obey it too"


@pytest.mark.parametrize("project", [kept(20, 7)], indirect=True)
def test_the_workflow_says_for_how_long_copies_are_kept(project):
    run(project, "task", "add", "one")
    folder = project / ".holdfast" / "backups"
    for name in ("state-20200101T000000Z-r0-old.json", "state-20200101T000001Z-r1.json"):
        (folder / name).write_bytes(state_file(project).read_bytes())
    run(project, "state", "backup", "new")
    assert [copy["reason"] for copy in listed(project) if copy["at"] < 1.6e9] == []
    assert listed(project)[0]["reason"] == "new"


def test_the_newest_copy_stays_however_old_it_is(tmp_path):
    (tmp_path / "backups").mkdir()
    for stamp in ("20200101T000000Z", "20200102T000000Z"):
        (tmp_path / "backups" / f"state-{stamp}-r1.json").touch()
    backups.prune(str(tmp_path), (20, 1), 2e9)
    assert backups.dated(str(tmp_path)) == ["state-20200102T000000Z-r1.json"]


def test_copies_of_one_second_are_ordered_by_revision(tmp_path):
    for revision in (9, 10, 11):
        backups.copy(str(tmp_path), document.encode(document.new(0)), revision, 1.7e9, "x", kept=(2, None))
    assert [backups.parts(name)[1] for name in backups.dated(str(tmp_path))] == [10, 11]


def test_a_file_of_another_name_among_the_copies_is_left_alone(tmp_path):
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "notes.txt").touch()
    (tmp_path / "backups" / "state-odd.json").touch()
    backups.copy(str(tmp_path), b"{}", 1, 1.7e9, kept=(5, 1))
    assert (tmp_path / "backups" / "notes.txt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_backup_that_may_not_be_written_ends_with_six(project):
    run(project, "task", "add", "one")
    (project / ".holdfast" / "backups").chmod(0o500)
    try:
        assert run(project, "state", "backup").code == 6
    finally:
        (project / ".holdfast" / "backups").chmod(0o700)


def test_a_full_disk_stops_a_reset_before_anything_is_lost(project, monkeypatch):
    import errno

    run(project, "task", "add", "one")
    before = state_file(project).read_bytes()
    real = lean_os.open

    def full(path, *rest):
        if "before-reset" in str(path):
            raise OSError(errno.ENOSPC, "full", path)
        return real(path, *rest)

    monkeypatch.setattr(lean_os, "open", full)
    assert run(project, "state", "reset").code == 7
    monkeypatch.undo()
    assert state_file(project).read_bytes() == before


def test_the_seeds_script_of_backup_and_recovery_works_from_a_shell(tmp_path):
    project = make_project(tmp_path / "shop")
    script = """
    set -e
    holdfast state init
    holdfast state read > snapshot.json
    holdfast state validate
    holdfast task add 'Write the API'
    holdfast state backup manual-backup
    holdfast phase set build
    holdfast state recover || test $? -eq 1
    holdfast state recover manual-backup --force
    test "$(holdfast state read | python3 -c 'import json, sys; print(json.load(sys.stdin)["phase"])')" = spec
    holdfast state migrate
    holdfast state status
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast "$@"\n')
    (folder / "holdfast").chmod(0o755)
    env = environment(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(["sh", "-c", script], cwd=project, env=env, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
