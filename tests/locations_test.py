"""Unusual places for a project: each has a defined answer, which docs/state.md tells."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import injecting
from commanding import environment, process, run
from faults_test import inside, needs_mounts
from firing import PLUGIN, audit_of, command_of, edit_call, fire, host_env, make_project, prompt, start, state_of
from holdfast.project import Project
from holdfast.state import checkpoints, spool

NOBODY = 65534


# -- links, and projects near each other


def test_a_holdfast_that_is_a_link_is_followed(tmp_path):
    there = make_project(tmp_path / "there")
    here = tmp_path / "here"
    here.mkdir()
    (here / ".holdfast").symlink_to(there / ".holdfast")
    fire("claude", start("claude", here), here)
    fire("claude", edit_call("claude", here, "docs/spec/a.md"), here)
    assert (here / ".holdfast").is_symlink() and not (there / ".holdfast" / "state.json").is_symlink()
    assert state_of(there)["phase"] == "build", "one state, by both names"
    assert run(here, "phase", "set", "ship").code == 0
    assert run(there, "phase", "show").out.startswith("Phase 3 of 3")


def test_a_holdfast_that_is_a_link_to_nowhere_is_none(tmp_path):
    (tmp_path / ".holdfast").symlink_to(tmp_path / "gone")
    answer = fire("claude", start("claude", tmp_path), tmp_path)
    assert (answer.code, answer.stdout, answer.stderr) == (0, "", "")
    said = run(tmp_path, "status")
    assert said.code == 1 and len(said.err.splitlines()) == 1
    assert os.listdir(tmp_path) == [".holdfast"]


def test_of_a_project_inside_another_the_inner_one_is_meant(tmp_path):
    outer = make_project(tmp_path / "outer")
    inner = make_project(outer / "lib" / "inner")
    (inner / "src").mkdir()
    fire("claude", start("claude", outer), outer)
    fire("claude", edit_call("claude", inner, "docs/spec/a.md"), inner / "src")
    assert run(inner / "src", "task", "add", "Of the inner one").code == 0
    assert (state_of(inner)["phase"], state_of(outer)["phase"]) == ("build", "spec")
    assert state_of(inner)["tasks"] and not state_of(outer)["tasks"]
    assert run(outer / "lib", "phase", "show").out.startswith("Phase 1 of 3"), "beside it the outer one"


def test_a_git_worktree_has_a_state_of_its_own(tmp_path):
    shop = make_project(tmp_path / "shop")
    assert run(shop, "state", "init").code == 0
    fire("claude", edit_call("claude", shop, "docs/spec/a.md"), shop)
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"],
        ["worktree", "add", "-q", str(tmp_path / "tree")],
    ):
        subprocess.run(["git", "-C", str(shop), *words], check=True, capture_output=True)
    tree = tmp_path / "tree"
    assert sorted(path.name for path in (tree / ".holdfast").iterdir()) == [".gitignore", "workflow.yaml"]
    fire("claude", start("claude", tree), tree)
    assert (state_of(tree)["phase"], state_of(shop)["phase"]) == ("spec", "build")
    status = subprocess.run(["git", "-C", str(tree), "status", "--porcelain"], check=True, capture_output=True)
    assert status.stdout == b""


# -- folders that this user may not write


READING = (["status"], ["state", "read"], ["phase", "show"], ["recovery", "status"], ["lock", "list"])
WRITING = (["phase", "set", "ship"], ["task", "add", "x"], ["state", "backup"], ["lock", "acquire", "x"])
READ_ONLY = """
from commanding import process
from locations_test import READING, WRITING
subprocess.run(["mount", "--bind", str(PROJECT), str(PROJECT)], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", str(PROJECT)], check=True)
for given in (start("claude", PROJECT), edit_call("claude", PROJECT, "src/a.py"), prompt("claude", PROJECT, "refund")):
    answer = fire("claude", given, PROJECT)
    assert answer[:3] == (0, "", ""), answer
for words in READING:
    said = process(PROJECT, *words)
    assert (said.code, said.err) == (0, ""), (words, said)
assert process(PROJECT, "phase", "show").out.startswith(PHASE), process(PROJECT, "phase", "show")
for words in WRITING:
    said = process(PROJECT, *words)
    assert said.code == 6 and "read-only" in said.err and len(said.err.splitlines()) == 1, (words, said)
"""


@needs_mounts
def test_in_a_read_only_checkout_hooks_are_silent_and_commands_say_so(project):
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    inside('PHASE = "Phase 2 of 3, build"\n' + READ_ONLY, project)


@needs_mounts
def test_a_read_only_clone_has_its_workflow_though_nothing_was_compiled(project):
    (project / ".holdfast" / "index.json").unlink()
    shutil.rmtree(project / ".holdfast" / "locks")
    script = READ_ONLY.replace("in WRITING", "in WRITING[:2]")  # there is nothing to back up yet
    inside('PHASE = "Phase 1 of 3, spec"\n' + script, project)


@needs_mounts
def test_a_state_that_is_a_mount_of_its_own_is_told_and_no_event_is_lost(project):
    fire("claude", start("claude", project), project)
    script = """
from commanding import process
subprocess.run(["mount", "--bind", str(FOLDER / "state.json"), str(FOLDER / "state.json")], check=True)
answer = fire("claude", edit_call("claude", PROJECT, "src/a.py"), PROJECT)
assert answer[:3] == (0, "", ""), answer
said = process(PROJECT, "mode", "paused")
assert said.code == 1 and "a mount of its own" in said.err and len(said.err.splitlines()) == 1, said
assert state_of(PROJECT)["stats"]["tool_calls"] == 1 and not list(FOLDER.rglob("*.tmp"))
"""
    inside(script, project)


# Runs a hook or a command as another user. Its modules are loaded before: that user may not read where they are.
AS_ANOTHER = f"""
import importlib, io, json, os, pkgutil, sys
sys.path.insert(0, {str(PLUGIN)!r})
import holdfast, pydantic, yaml, filelock, tenacity, click, encodings.idna
for found in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
from holdfast.cli import main
from holdfast.state import schema
os.setgid({NOBODY})
os.setuid({NOBODY})
if sys.argv[1] == "hook":
    sys.argv[1:] = ["--host", "claude"]
    from holdfast import hook
    hook.main()
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def other_users(place):
    """A project of root's that another user can reach."""
    if os.name == "nt" or os.geteuid() != 0 or not str(place).startswith("/dev/shm"):
        pytest.skip("needs root, and a place that other users can reach")
    place.chmod(0o755)
    shop = make_project(place / "shop")
    fire("claude", start("claude", shop), shop)
    shop.chmod(0o755)
    return shop


def as_another(shop, *words, given=b""):
    command = [sys.executable, "-c", AS_ANOTHER, *words]
    env = {**host_env("claude", shop), "HOME": str(shop)}
    return subprocess.run(command, input=given, cwd=shop, env=env, capture_output=True, text=False, check=False)


def test_another_users_holdfast_is_left_alone_by_hooks_and_commands_say_so(other_users):
    shop = other_users
    files = sorted((path, path.stat().st_mtime_ns) for path in (shop / ".holdfast").rglob("*"))
    for given in (start("claude", shop), edit_call("claude", shop, "src/a.py"), prompt("claude", shop, "refund")):
        done = as_another(shop, "hook", given=json.dumps(given).encode())
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for words in (["status"], ["state", "read"], ["phase", "set", "ship"], ["lock", "list"]):
        done = as_another(shop, *words)
        assert done.returncode == 6 and len(done.stderr.splitlines()) == 1, (words, done)
        assert b"this user may not" in done.stderr
    assert sorted((path, path.stat().st_mtime_ns) for path in (shop / ".holdfast").rglob("*")) == files


def test_another_users_holdfast_that_is_shared_is_used_together(other_users):
    shop = other_users
    folder = shop / ".holdfast"
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    given = edit_call("claude", shop, "docs/spec/a.md")
    done = as_another(shop, "hook", given=json.dumps(given).encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert state_of(shop)["phase"] == "build"
    assert (folder / "state.json").stat().st_uid == NOBODY


# -- file systems without locks


def without_locks(words, log, error="ENOLCK"):
    """The words that run a process on a file system without kernel locks."""
    return ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=flock", "-e", f"inject=flock:error={error}", *words]


@injecting.needs_strace
@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_without_kernel_locks_a_soft_lock_guards_the_state(error, project, tmp_path):
    def hook(number):
        given = json.dumps(edit_call("claude", project, f"src/{number}.py")).encode()
        words = without_locks(command_of("claude", "post_tool_use"), tmp_path / f"log{number}", error)
        env = host_env("claude", project)
        return subprocess.run(words, input=given, cwd=project, env=env, capture_output=True, check=False)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(hook, range(8)))
    assert {(done.returncode, done.stdout, done.stderr) for done in answers} == {(0, b"", b"")}
    words = without_locks([sys.executable, "-m", "holdfast", "phase", "set", "build"], tmp_path / "log", error)
    done = subprocess.run(words, cwd=project, env=environment(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "(INJECTED)" in (tmp_path / "log").read_text()
    state = state_of(project)
    assert (state["stats"]["tool_calls"], state["phase"]) == (8, "build")
    assert not spool.waiting(str(project / ".holdfast"))
    assert not list((project / ".holdfast").glob("*.soft"))
    assert "applied" in {line["decision"] for line in audit_of(project)}


@injecting.needs_strace
def test_without_kernel_locks_a_hook_spools_while_another_holds_the_soft_lock_and_one_that_is_gone_holds_nothing(
    project, tmp_path
):
    def hook():
        given = json.dumps(edit_call("claude", project, "src/a.py")).encode()
        words = without_locks(command_of("claude", "post_tool_use"), tmp_path / "log")
        env = {**host_env("claude", project), "HOLDFAST_LOCK_TIMEOUT": "0.05"}
        return subprocess.run(words, input=given, cwd=project, env=env, capture_output=True, check=False)

    holder = project / ".holdfast" / "state.lock.soft"
    living = subprocess.Popen(["sleep", "60"])
    try:
        holder.write_text(f"{living.pid}\n{os.uname().nodename}\n")
        assert (hook().returncode, len(spool.waiting(str(project / ".holdfast")))) == (0, 1)
    finally:
        living.kill()
        living.wait()
    assert hook().returncode == 0
    assert not holder.exists() and not spool.waiting(str(project / ".holdfast"))
    holder.touch()
    os.utime(holder, (1e9, 1e9))  # who made it was killed before it wrote its name
    assert hook().returncode == 0
    assert not holder.exists() and not spool.waiting(str(project / ".holdfast"))
    assert state_of(project)["stats"]["tool_calls"] == 3


@injecting.needs_strace
def test_without_kernel_locks_a_workflow_is_compiled_all_the_same(project, tmp_path):
    source = project / ".holdfast" / "workflow.yaml"
    source.write_text(source.read_text().replace("title: Build it", "title: Build it well"))
    words = without_locks(command_of("claude", "session_resume"), tmp_path / "log")
    given = json.dumps(start("claude", project)).encode()
    subprocess.run(words, input=given, cwd=project, env=host_env("claude", project), check=True, capture_output=True)
    assert b"Build it well" in (project / ".holdfast" / "index.json").read_bytes()


# -- file systems that do not tell names by case


def test_two_checkpoints_of_one_second_differ_in_more_than_case(tmp_path, monkeypatch):
    shop = make_project(tmp_path / "shop")
    monkeypatch.setattr(checkpoints.time, "time", lambda: 1_800_000_000.0)
    project = Project.find(str(shop))
    made = [project.checkpoint(name) for name in ("Deploy", "deploy", "DEPLOY")]
    assert len({name.lower() for name in made}) == 3


def test_no_two_files_of_a_project_differ_in_case_alone(project):
    for host in ("claude", "gemini"):
        fire(host, start(host, project), project)
        fire(host, prompt(host, project, "refund"), project)
        fire(host, edit_call(host, project, "docs/spec/A.md"), project)
        fire(host, edit_call(host, project, "docs/spec/a.md"), project)
    for words in (
        ["recovery", "checkpoint", "Deploy"],
        ["recovery", "checkpoint", "deploy"],
        ["state", "backup", "Before"],
        ["lock", "acquire", "Build", "--owner", os.getpid()],
        ["task", "add", "Title"],
    ):
        assert process(project, *words).code == 0
    paths = [path.relative_to(project).as_posix() for path in Path(project).rglob("*")]
    assert len({path.lower() for path in paths}) == len(paths)
    assert run(project, "lock", "release", "BUILD", "--owner", os.getpid()).code == 0
