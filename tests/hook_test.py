"""What every hook promises its host, whatever the project is like."""

import fcntl
import json
import os
import sys

import pytest
from filelock import FileLock

from commanding import run
from firing import HOSTS, audit_of, edit_call, fire, make_project, payload, prompt, shell_call, start, state_of
from holdfast import deadline, failing, hook, hosts, lean

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX locks and modes")


def test_a_project_without_holdfast_is_left_alone(tmp_path):
    for host in HOSTS:
        answer = fire(host, edit_call(host, tmp_path, "src/a.py"), tmp_path)
        assert answer[:3] == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_disabled_hooks_do_nothing(project):
    before = sorted(os.listdir(project / ".holdfast"))
    answer = fire("claude", start("claude", project), project, env={"HOLDFAST_DISABLE": "1"})
    assert answer[:3] == (0, "", "")
    assert sorted(os.listdir(project / ".holdfast")) == before


def test_the_project_is_found_upwards_from_the_hosts_own_variable_or_the_working_directory(project):
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    fire("claude", edit_call("claude", project, "src/a.py", cwd="/"), deep)
    fire("codex", edit_call("codex", project, "src/a.py", cwd=str(deep)), deep)
    assert state_of(project)["stats"]["tool_calls"] == 2


def test_a_codex_in_a_shell_of_claude_code_works_in_its_own_project(tmp_path, project):
    other = make_project(tmp_path / "other")
    given = edit_call("codex", project, "src/a.py")
    fire("codex", given, project, env={"CLAUDE_PROJECT_DIR": str(other), "CLAUDECODE": "1"})
    assert state_of(project)["stats"]["tool_calls"] == 1
    assert not (other / ".holdfast" / "state.json").exists()


def test_stopped_does_nothing_and_paused_records_sessions(project):
    from holdfast.project import Project

    fire("claude", start("claude", project), project)
    holdfast = Project(str(project / ".holdfast"))
    holdfast.update(lambda state: state.update(mode="stopped"))
    before = (project / ".holdfast" / "state.json").read_bytes()
    assert fire("claude", prompt("claude", project, "refund"), project).text == ""
    assert (project / ".holdfast" / "state.json").read_bytes() == before
    holdfast.update(lambda state: state.update(mode="paused"))
    fire("gemini", start("gemini", project), project)
    fire("gemini", edit_call("gemini", project, "docs/spec/a.md"), project)
    state = state_of(project)
    assert state["current_session"]["host"] == "gemini"
    assert (state["phase"], state["stats"]["tool_calls"]) == ("spec", 0)


@posix
@pytest.mark.parametrize("host", HOSTS)
def test_a_lock_that_somebody_holds_delays_no_more_than_the_budget_and_loses_nothing(host, project):
    fire(host, start(host, project), project)
    with open(project / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        answer = fire(host, edit_call(host, project, "docs/spec/a.md"), project, env={"HOLDFAST_LOCK_TIMEOUT": "0.1"})
        assert (answer.code, answer.stderr) == (0, "")
        assert "phase spec is complete" in answer.text, "the agent is answered from the state as it is"
        told = fire(host, prompt(host, project, "refund"), project).text
        assert "payment-rules" in told
        assert state_of(project)["phase"] == "build", "what is spooled is read at once"
    spooled = [line for line in audit_of(project) if line["decision"] == "spooled"]
    assert len(spooled) == 2
    assert max(line["ms"] for line in spooled) < 2000
    fire(host, edit_call(host, project, "src/b.py"), project)
    state = state_of(project)
    assert (state["stats"]["tool_calls"], state["stats"]["prompts"]) == (2, 1)
    assert os.listdir(project / ".holdfast" / "spool") == []


@posix
def test_no_prompt_and_no_file_content_is_kept_anywhere(project):
    with open(project / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        env = {"HOLDFAST_LOCK_TIMEOUT": "0"}
        fire("claude", prompt("claude", project, "refund the xylophone"), project, env=env)
        fire("claude", edit_call("claude", project, "src/a.py", "the xylophone's content\n"), project, env=env)
        kept = b"".join(path.read_bytes() for path in (project / ".holdfast").rglob("*") if path.is_file())
        assert b"xylophone" not in kept
    fire("claude", prompt("claude", project, "the xylophone again"), project)
    kept = b"".join(path.read_bytes() for path in (project / ".holdfast").rglob("*") if path.is_file())
    assert b"xylophone" not in kept


def test_the_trail_tells_what_was_decided(project):
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    lines = audit_of(project)
    assert [line["moment"] for line in lines] == ["session_start", "tool_done"]
    last = lines[-1]
    assert (last["host"], last["session"], last["decision"], last["phase"]) == (
        "claude",
        "claude-session",
        "applied",
        "build",
    )
    assert {"time", "event", "revision", "wait_ms", "ms"} <= set(last)


def test_a_broken_workflow_leaves_the_last_good_one_in_force_and_is_told(project):
    path = project / ".holdfast" / "workflow.yaml"
    good = path.read_text()
    path.write_text(good + "\nnonsense: [")
    told = fire("claude", start("claude", project), project).text
    assert "workflow.yaml" in told
    assert "phase is complete" not in told
    assert "phase spec is complete" in fire("claude", edit_call("claude", project, "docs/spec/a.md"), project).text
    path.write_text(good.replace("Build it", "Make it so"))
    assert "Make it so" in fire("claude", start("claude", project, "resume"), project).text


def test_a_workflow_that_changed_is_compiled_again_by_the_next_hook(project):
    path = project / ".holdfast" / "workflow.yaml"
    path.write_text(path.read_text().replace("keywords: [changelog]", "keywords: [xylophone]"))
    assert "release-notes" in fire("claude", prompt("claude", project, "a xylophone"), project).text


def test_an_index_of_another_interpreter_or_broken_is_made_again(project):
    path = project / ".holdfast" / "index.json"
    for spoilt in (b"", b"{", path.read_bytes().replace(b'"key":"', b'"key":"other-')):
        path.write_bytes(spoilt)
        assert "Write the spec" in fire("claude", start("claude", project), project).text


def test_a_hook_that_fails_keeps_its_event_and_says_so_at_the_next_start(project):
    """The state's folder is no folder for a while: the update cannot be made, the event goes to the spool."""
    fire("claude", start("claude", project), project)
    state = project / ".holdfast" / "state.json"
    kept = state.read_bytes()
    state.unlink()
    state.mkdir()
    answer = fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert answer[:3] == (0, "", "")
    assert audit_of(project)[-1]["decision"] == "spooled"
    assert "Error" in audit_of(project)[-1]["error"]
    state.rmdir()
    state.write_bytes(kept)
    fire("claude", edit_call("claude", project, "src/b.py"), project)
    assert state_of(project)["stats"]["tool_calls"] == 2


def test_the_trail_is_rotated_and_three_older_ones_are_kept(project):
    trail = project / ".holdfast" / "audit.jsonl"
    for _ in range(5):
        trail.write_bytes(b'{"decision": "old"}\n' * 260_000)
        fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert sorted(path.name for path in trail.parent.glob("audit.jsonl*")) == [
        "audit.jsonl.1",
        "audit.jsonl.2",
        "audit.jsonl.3",
    ]


def test_a_workflow_that_is_gone_for_a_while_takes_no_phase_away(project):
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    path = project / ".holdfast" / "workflow.yaml"
    path.rename(path.with_suffix(".away"))
    told = fire("claude", start("claude", project, "resume"), project).text
    assert "is missing" in told
    assert "Build it" in told
    path.with_suffix(".away").rename(path)
    fire("claude", edit_call("claude", project, "lib/x.py"), project)
    state = state_of(project)
    assert (state["phase"], state["progress"]["completed"]) == ("build", ["spec"])


def test_a_state_file_that_is_a_device_is_left_alone(project, tmp_path):
    device = tmp_path / "device"
    if not hasattr(os, "mkfifo"):
        pytest.skip("makes a pipe")
    os.mkfifo(device)
    keeper = os.open(device, os.O_RDWR)  # so that opening it does not wait
    env = {"HOLDFAST_STATE_FILE": str(device)}
    assert fire("claude", edit_call("claude", project, "src/a.py"), project, env=env)[:3] == (0, "", "")
    os.close(keeper)
    assert device.is_fifo()
    assert "no regular file" in audit_of(project)[-1]["error"]


def test_stopped_leaves_no_line_and_compiles_nothing(project):
    from holdfast.project import Project

    fire("claude", start("claude", project), project)
    Project(str(project / ".holdfast")).update(lambda state: state.update(mode="stopped"))
    workflow = project / ".holdfast" / "workflow.yaml"
    workflow.write_text(workflow.read_text() + "# changed\n")
    before = {path: path.stat().st_mtime_ns for path in (project / ".holdfast").rglob("*") if path.is_file()}
    fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert {path: path.stat().st_mtime_ns for path in (project / ".holdfast").rglob("*") if path.is_file()} == before


def test_a_state_that_cannot_be_written_still_briefs(project):
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    lock = project / ".holdfast" / "state.lock"
    lock.unlink()
    lock.mkdir()
    assert "Build it" in fire("claude", start("claude", project, "resume"), project).text


def test_a_cloned_project_is_closed_to_others_by_its_first_event(tmp_path):
    project = make_project(tmp_path / "clone")
    folder = project / ".holdfast"
    folder.chmod(0o755)
    fire("claude", start("claude", project), project)
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert "*" in (folder / ".gitignore").read_text().splitlines()


def test_what_is_spooled_holds_no_secret(project):
    if sys.platform == "win32":
        pytest.skip("needs POSIX locks")
    with open(project / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        given = shell_call("claude", project, "TOKEN=hunter2 make check", 1)
        fire("claude", given, project, env={"HOLDFAST_LOCK_TIMEOUT": "0"})
        spooled = [path.read_text() for path in (project / ".holdfast" / "spool").iterdir()]
    assert len(spooled) == 1
    assert "hunter2" not in spooled[0]
    fire("claude", shell_call("claude", project, "TOKEN=hunter2 make check", 0), project)
    assert state_of(project)["sessions"]["claude-session"]["last_failure"] is None, "it is the same command"


@posix
@pytest.mark.parametrize("name", ["audit.jsonl", "state.json", "index.json", "spool/00000000000000000001-1.json"])
def test_a_pipe_in_the_place_of_a_file_stops_nobody(name, project):
    fire("claude", edit_call("claude", project, "src/a.py"), project)
    path = project / ".holdfast" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    for given in (edit_call("claude", project, "src/b.py"), start("claude", project)):
        assert fire("claude", given, project)[:1] == (0,), "`fire` gives up after a minute"


def test_a_state_elsewhere_and_the_projects_own_know_nothing_of_each_other(project, tmp_path):
    env = {"HOLDFAST_STATE_FILE": str(tmp_path / "deep" / "other.json")}
    fire("claude", edit_call("claude", project, "lib/own.py"), project)
    for _ in range(3):
        fire("claude", edit_call("claude", project, "docs/spec/a.md"), project, env=env)
    (project / ".holdfast" / "state.json").write_bytes(b"")
    fire("claude", edit_call("claude", project, "lib/own.py"), project)
    state = state_of(project)
    assert (state["phase"], state["stats"]["recoveries"]) == ("spec", 1)
    other = json.loads((tmp_path / "deep" / "other.json").read_text())
    assert (other["stats"]["tool_calls"], other["stats"]["recoveries"], other["notices"]) == (3, 0, [])


def test_commands_tell_of_the_state_that_is_used(project, tmp_path):
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "lib/own.py"), project)
    own = set((project / ".holdfast").rglob("*"))
    env = {"HOLDFAST_STATE_FILE": str(tmp_path / "other.json")}
    assert run(project, "phase", "set", "build", **env).code == 0
    (made,) = run(project, "state", "backup", "wanted", **env).lines
    checkpoint = run(project, "recovery", "checkpoint", "deploy", **env).out.strip()
    with open(tmp_path / "other.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        for _ in range(3):
            fire("claude", edit_call("claude", project, "src/a.py"), project, env={**env, "HOLDFAST_LOCK_TIMEOUT": "0"})
    os.utime(tmp_path / "other.json", (1, 1))
    facts = json.loads(run(project, "status", "--json", **env).out)
    assert facts["spool"] == 3 and facts["last_backup"]["file"] == made
    recovery = json.loads(run(project, "recovery", "status", "--json", **env).out)
    assert recovery["spool"] == recovery["failed_in_a_row"] == 3 and recovery["reserve"]["there"]
    assert recovery["checkpoints"]["newest"] == checkpoint
    names = [copy["name"] for copy in json.loads(run(project, "state", "backups", "--json", **env).out)]
    assert os.path.basename(made) in names and os.path.dirname(made) == str(tmp_path / "other.json.d" / "backups")
    assert run(project, "state", "recover", "wanted", "--force", **env).code == 0
    assert run(project, "recovery", "restore", checkpoint, **env).code == 0
    assert json.loads(run(project, "metrics", "--json", **env).out)["checkpoints"]["count"] >= 1
    assert json.loads(run(project, "status", "--json").out)["spool"] == 0
    assert set((project / ".holdfast").rglob("*")) == own, "the project's own has got nothing of it"


def test_something_in_the_spools_place_is_put_aside(project):
    (project / ".holdfast" / "spool").write_text("not a folder")
    fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert state_of(project)["stats"]["tool_calls"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe and links")
def test_what_others_put_into_the_spool_holds_up_nothing_and_stays(project, tmp_path):
    """A folder, a pipe, a link, and files that are named like nothing of ours."""
    fire("claude", start("claude", project), project)
    folder = project / ".holdfast" / "spool"
    folder.mkdir()
    (tmp_path / "theirs.json").write_text('{"their": "own"}')
    for name in ("x", "y.json", "1-1.lost", "1-1.degraded-7", "2-1.json", "z.tmp", "3-9999999.tmp"):
        (folder / name).mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "link.json").symlink_to(tmp_path / "theirs.json")
    for name in ("README", ".hidden", "notes-9999999.tmp", "README.tmp"):
        (folder / name).write_text("theirs")
    theirs = {*os.listdir(folder)}
    with open(project / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        fire("claude", edit_call("claude", project, "src/a.py"), project, env={"HOLDFAST_LOCK_TIMEOUT": "0"})
    for given in (edit_call("claude", project, "src/b.py"), start("claude", project, "resume")):
        answer = fire("claude", given, project)
        assert (answer.code, answer.stderr) == (0, "")
    assert run(project, "phase", "set", "build").code == 0
    assert run(project, "recovery", "cleanup").code == 0
    state = state_of(project)
    assert (state["stats"]["tool_calls"], state["stats"]["recoveries"], state["notices"]) == (2, 0, [])
    assert {*os.listdir(folder)} == theirs and (folder / "README").read_text() == "theirs"
    facts = json.loads(run(project, "status", "--json").out)
    assert facts["degraded_mode"]["enabled"] is False
    assert [line["decision"] for line in audit_of(project) if line.get("error")] == ["spooled"], "while it was locked"


def test_a_call_while_another_process_compiles_the_first_index_is_kept_and_means_what_it_means(project):
    (project / ".holdfast" / "index.json").unlink()
    (project / ".holdfast" / "locks").mkdir(exist_ok=True)
    with FileLock(project / ".holdfast" / "locks" / "index.lock"):
        assert fire("claude", edit_call("claude", project, "docs/spec/a.md"), project).stdout == ""
        assert [line["decision"] for line in audit_of(project)] == ["spooled"]
    said = fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert said.code == 0
    state = state_of(project)
    assert state["stats"]["tool_calls"] == 2 and "SPEC_WRITTEN" in state["signals"]
    assert state["phase"] == "build"


@pytest.mark.parametrize("host", ["claude", "opencode"])
def test_a_subagent_of_a_session_that_is_not_known_yet_is_that_sessions_and_counts_once(host, project):
    inner = {"claude": "PostToolUse.Bash.in_subagent", "opencode": "tool.execute.after.bash"}[host]
    fire(host, prompt(host, project, "hi"), project)
    given = {**payload(host, inner, project, agent_id="sub"), "session_id": "another"}
    fire(host, given, project)
    fire(host, {**prompt(host, project, "hi"), "session_id": "another"}, project)
    fire(host, given, project)
    state = state_of(project)
    assert list(state["sessions"]) == [f"{host}-session", "another"]
    assert state["stats"]["tool_calls"] == 1


@posix
def test_a_disk_so_slow_that_the_deadline_rings_before_the_payload_is_understood_loses_no_event(project, monkeypatch):
    def slowly(_name):
        monkeypatch.setattr(hosts, "module", real)
        raise deadline.Expired

    fire("claude", start("claude", project), project)
    given, real = json.dumps(edit_call("claude", project, "src/a.py")).encode(), hosts.module
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(project))
    monkeypatch.setattr(lean, "drain", lambda *_what: given)
    monkeypatch.setattr(hosts, "module", slowly)
    try:
        hook.Run("claude").answer()
    finally:
        deadline.stop()
    assert state_of(project)["stats"]["tool_calls"] == 1


@pytest.mark.parametrize("error", [deadline.Expired(), OSError(5, "Input/output error")])
def test_a_disk_that_is_slow_or_fails_is_not_asked_again_before_the_event_is_kept(error):
    class Asked:
        def close(self):
            pass

    assert failing.removed(hook.Run("claude"), Asked(), error) is False
