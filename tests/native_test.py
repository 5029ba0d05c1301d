"""A native package, run as its host runs it, without install.py: on any python3, and with what there is."""

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import holdfast
import packaging
from firing import ROOT, audit_of, edit_call, host_env, payload, prompt, shell_call, start, state_of
from holdfast import native
from holdfast.workflow import compiler

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="the packages need a POSIX shell")

BLANK = "Holdfast keeps what happens here, and can say nothing of the workflow yet: filelock is not installed"
SETTING_UP = "Holdfast is setting up its private environment in the background"


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """A folder for PATH with a `python3` that has no libraries."""
    made = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    return made / "bin"


@pytest.fixture
def package(tmp_path, bare):
    """The package as a host has copied it, and runs it: `package.run("claude", payload)`."""
    root, data = tmp_path / "pack age", tmp_path / "da ta"
    shutil.copytree(ROOT / "plugin", root, ignore=shutil.ignore_patterns("__pycache__"))

    def run(host, given, project, *, path=f"{bare}:{os.environ['PATH']}", **env):
        variables = {**host_env(host, project), "PATH": path, "CLAUDE_PLUGIN_DATA": str(data), **env}
        words = [shutil.which("sh"), "-c", command(host, given["hook_event_name"], root)]
        done = subprocess.run(
            words, input=json.dumps(given).encode(), cwd=project, env=variables, capture_output=True, check=False
        )
        reply = json.loads(done.stdout) if done.stdout.strip() else {}
        told = reply.get("hookSpecificOutput", {}).get("additionalContext", "")
        return SimpleNamespace(code=done.returncode, reply=reply, told=told, stdout=done.stdout.decode())

    return SimpleNamespace(root=root, data=data, run=run)


def command(host, event, root):
    """What a host runs for its event, once it has put the package's folder into it."""
    handler = json.loads((ROOT / packaging.FILES[host]).read_text(encoding="utf-8"))["hooks"][event][0]["hooks"][0]
    return (handler.get("bash") or handler["command"]).replace(packaging.ROOTS[host], str(root))


def blocked(data):
    """No environment can be made here, which takes no time to find out."""
    data.mkdir(exist_ok=True)
    (data / "environment").write_text("in the way")


def broken(data, code):
    """An environment whose interpreter was taken away, and which cannot be made again."""
    interpreter = data / "environment" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f"#!/bin/sh\n{code}\n")
    interpreter.chmod(0o755)
    (data / "ready").write_text(native.WHOLE)


def ended(data, tries=1):
    """Wait until the background set-up has come to its end, by so many tries; what it wrote down."""

    def whole():
        return (data / "ready").exists() and (data / "ready").read_text() == native.WHOLE

    until = time.monotonic() + 120
    while not whole() and not ((known := native.record(str(data))).get("error") and native.tries(known) >= tries):
        assert time.monotonic() < until
        time.sleep(0.02)
    fd = os.open(data / "setup.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)  # freed by its end
    os.close(fd)
    return native.record(str(data))


def files(folder):
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


# -- what the packages are made of


@pytest.mark.parametrize("host", packaging.FILES)
def test_a_package_registers_what_install_py_registers(host):
    made = json.loads((ROOT / packaging.FILES[host]).read_text(encoding="utf-8"))
    assert made == packaging.hooks(host), "run `python tests/packaging.py`"


@pytest.mark.parametrize("host", packaging.FILES)
def test_a_package_tells_the_start_of_a_session_from_the_rest(host):
    made = packaging.hooks(host)["hooks"]
    lines = {event: json.dumps(groups) for event, groups in made.items()}
    assert [event for event, line in lines.items() if "--start" in line] == ["SessionStart"]
    assert all(f"host={host} " in line and "2>/dev/null || exit 0" in line for line in lines.values())


def test_every_manifest_names_this_release_and_files_that_are_there():
    names = ["plugin/.claude-plugin/plugin.json", "plugin/.codex-plugin/plugin.json", "plugin/plugin.json"]
    for name in [*names, "plugin.json", "gemini-extension.json"]:
        made = json.loads((ROOT / name).read_text(encoding="utf-8"))
        assert (made["name"], made["version"]) == ("holdfast", holdfast.__version__), name
        top = ROOT / "plugin" if name in names else ROOT
        assert all((top / made[key]).exists() for key in ("hooks", "skills") if key in made), name
    for top in (ROOT, ROOT / "plugin"):
        market = json.loads((top / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))
        assert (top / market["plugins"][0]["source"] / ".claude-plugin" / "plugin.json").exists()


def test_the_packages_need_what_the_distribution_needs():
    assert list(native.REQUIREMENTS) == packaging.dependencies()


# -- hooks before the private environment is there


def test_hooks_work_at_once_with_a_compiled_workflow_and_write_nothing_where_the_package_is(package, project):
    blocked(package.data)
    before = files(package.root)
    began = package.run("claude", start("claude", project), project)
    assert "Phase 1 of 3, spec" in began.told
    assert began.told.count(SETTING_UP) == 1 and SETTING_UP in began.reply["systemMessage"]
    assert "payment-rules" in package.run("claude", prompt("claude", project, "the refund"), project).told
    assert (
        "the phase spec is complete"
        in package.run("claude", edit_call("claude", project, "docs/spec/a.md"), project).told
    )
    ended(package.data)
    assert state_of(project)["stats"]["tool_calls"] == 1
    assert files(package.root) == before
    assert list((package.data / "pycache").rglob("hook.*.pyc")), "the interpreter's cache is in the data folder"


def test_without_an_index_events_are_kept_and_what_they_mean_is_found_later(package, project):
    (project / ".holdfast" / "index.json").unlink()
    blocked(package.data)
    began = package.run("claude", start("claude", project), project)
    assert began.told.startswith(BLANK) and SETTING_UP in began.told
    assert package.run("claude", prompt("claude", project, "the refund"), project).stdout == ""
    assert package.run("claude", edit_call("claude", project, "docs/spec/a.md"), project).stdout == ""
    assert package.run("claude", payload("claude", "PostToolUse.Read", project), project).stdout == ""
    assert package.run("claude", shell_call("claude", project, "pytest -q"), project).stdout == ""
    ended(package.data)
    assert not (project / ".holdfast" / "state.json").exists()
    assert {line["decision"] for line in audit_of(project)} == {"spooled"}
    assert not compiler.refresh(str(project / ".holdfast")).header["error"]
    state = state_of(project)
    assert (state["stats"]["prompts"], state["stats"]["tool_calls"]) == (1, 2), "the read is nobody's business"
    assert set(state["signals"]) == {"SPEC_WRITTEN", "TESTS_PASSED"} and state["phase"] == "build"


def test_a_folder_without_a_workflow_is_left_alone_and_the_user_is_told_of_the_set_up(package, tmp_path):
    blocked(package.data)
    (tmp_path / "other").mkdir()
    began = package.run("claude", start("claude", tmp_path / "other"), tmp_path / "other")
    assert list(began.reply) == ["systemMessage"] and SETTING_UP in began.reply["systemMessage"]
    assert package.run("claude", prompt("claude", tmp_path / "other", "the refund"), tmp_path / "other").stdout == ""
    assert list((tmp_path / "other").iterdir()) == []
    ended(package.data)


def test_a_stopped_project_hears_nothing_of_the_set_up(package, project):
    subprocess.run([sys.executable, "-m", "holdfast", "mode", "stopped"], cwd=project, check=True, capture_output=True)
    blocked(package.data)
    assert package.run("claude", start("claude", project), project).stdout == ""
    ended(package.data)


def test_holdfast_disable_keeps_a_package_from_doing_anything(package, project):
    for given in (start("claude", project), edit_call("claude", project, "docs/spec/a.md")):
        done = package.run("claude", given, project, HOLDFAST_DISABLE="1")
        assert (done.code, done.stdout) == (0, "")
    assert not package.data.exists()


def test_a_data_folder_that_cannot_be_made_is_told_and_the_hooks_work(package, project):
    package.data.write_text("in the way")
    began = package.run("claude", start("claude", project), project)
    assert "Phase 1 of 3, spec" in began.told and "private environment cannot be set up" in began.told
    assert (
        "the phase spec is complete"
        in package.run("claude", edit_call("claude", project, "docs/spec/a.md"), project).told
    )


def test_a_data_folder_in_which_nothing_can_be_written_is_told_with_the_reason_each_time(package, project):
    (package.data / "setup.lock").mkdir(parents=True)
    for source in ("startup", "resume"):
        told = package.run("claude", start("claude", project, source), project).told
        assert "Phase 1 of 3, spec" in told and SETTING_UP not in told
        assert "private environment cannot be set up" in told and "Is a directory" in told


@pytest.mark.parametrize("home", [{}, {"HOME": ""}], ids=["unset", "empty"])
def test_without_a_home_the_hooks_work_and_no_place_for_an_environment_is_made_up(home, package, project, bare):
    def fire(given):
        words = [shutil.which("sh"), "-c", command("gemini", given["hook_event_name"], package.root)]
        env = {"PATH": f"{bare}:{os.environ['PATH']}", **home}
        done = subprocess.run(
            words, input=json.dumps(given).encode(), cwd=project, env=env, capture_output=True, check=True
        )
        return json.loads(done.stdout)["hookSpecificOutput"]["additionalContext"]

    told = fire(start("gemini", project))
    assert "Phase 1 of 3, spec" in told and "neither HOME nor XDG_DATA_HOME is set" in told
    assert "payment-rules" in fire(prompt("gemini", project, "the refund"))


# -- the python3 that is there


@pytest.mark.parametrize(
    "there",
    [
        "",
        "#!/bin/sh\necho 'Python was not found; run without arguments to install from the Microsoft Store' >&2\nexit 49\n",
    ],
    ids=["none", "a stub"],
)
@pytest.mark.parametrize("host", packaging.FILES)
def test_without_a_python_the_start_is_one_line_and_all_else_is_silent(there, host, package, tmp_path):
    place = tmp_path / "bin"
    place.mkdir()
    if there:
        (place / "python3").write_text(there)
        (place / "python3").chmod(0o755)
    env = {"PATH": str(place), "HOME": str(tmp_path)}
    (place / "sh").symlink_to(shutil.which("sh"))  # which Codex's line looks for

    def run(event):
        words = [shutil.which("sh"), "-c", command(host, event, package.root)]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    began = run("SessionStart")
    assert (began.returncode, began.stderr, began.stdout.count("\n")) == (0, "", 1)
    ((key, told),) = json.loads(began.stdout).items()
    assert key == ("additionalContext" if host == "copilot" else "systemMessage")
    assert "no python3 (3.10 or newer) can be run" in told
    for event in set(packaging.hooks(host)["hooks"]) - {"SessionStart"}:
        done = run(event)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
@pytest.mark.parametrize("gone", ["hooks/run.sh", "hooks/run.py", "holdfast/start.py"])
@pytest.mark.parametrize("host", packaging.FILES)
def test_a_package_that_is_half_gone_disturbs_nobody(host, gone, shell, package, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    (package.root / gone).unlink()
    for event in ("SessionStart", "SessionEnd"):
        words = [shutil.which(shell), "-c", command(host, event, package.root)]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLAUDE_PLUGIN_DATA": str(package.data)}
        done = subprocess.run(words, input=b"{}", env=env, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") <= (event == "SessionStart")


def test_an_old_python_is_known_by_the_file_that_it_is_given():
    path = ROOT / "plugin" / "hooks" / "run.py"
    source = path.read_bytes()
    source.decode("ascii")  # Python 2 takes nothing else without a declaration
    ast.parse(source, feature_version=(3, 4))
    code = "import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path(sys.argv[1])"
    for starts, expected in (([], 0), (["--start"], 1)):
        words = [sys.executable, "-B", "-c", code, str(path), "--host", "claude", "--data", "/nowhere", *starts]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (expected, "", "")


# -- the private environment


@pytest.mark.parametrize("code", ["exit 127", "kill -SEGV $$", "exit 1"])
def test_where_the_environments_interpreter_does_not_run_hooks_take_python3_and_a_start_makes_it_again(
    code, package, project, home
):
    broken(package.data, code)
    call = edit_call("claude", project, "docs/spec/a.md")
    assert "the phase spec is complete" in package.run("claude", call, project).told
    assert (package.data / "ready").exists()
    (home / ".claude" / "plugins" / "data").mkdir(parents=True)
    (home / ".claude" / "plugins" / "data" / "holdfast-holdfast").symlink_to(package.data)
    words, env = [str(package.root / "bin" / "holdfast"), "status"], {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 5 and "the private environment is not ready" in done.stderr
    assert done.stderr.count("\n") == 1
    assert SETTING_UP in package.run("claude", start("claude", project), project).told
    assert "holds something else" in ended(package.data)["error"], "it was tried"
    assert not (package.data / "ready").exists()


def made(data, bare):
    """An environment that is whole by its record, and has no library."""
    (data / "environment").mkdir(parents=True)
    (data / "environment" / "strange").touch()  # which keeps it from being made again
    (data / "environment" / "bin").symlink_to(bare)
    (data / "ready").write_text(native.WHOLE)


def test_an_environment_that_was_made_for_another_python_is_made_again(package, project, bare):
    made(package.data, bare)
    (package.data / "ready").write_text(native.WHOLE.replace("Python 3.", "Python 3.1"))
    assert SETTING_UP in package.run("claude", start("claude", project), project, path="/nowhere").told
    assert "holds something else" in ended(package.data)["error"]


def test_an_environment_that_lacks_a_library_is_made_again(package, project, bare, home):
    made(package.data, bare)
    kept = home / ".claude" / "plugins" / "data"
    kept.mkdir(parents=True)
    (kept / "holdfast-holdfast").symlink_to(package.data)
    words, env = [str(package.root / "bin" / "holdfast"), "status"], {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert "cannot be imported: the private environment is not whole" in done.stderr
    assert not (package.data / "ready").exists()
    (package.data / "ready").write_text(native.WHOLE)
    (project / ".holdfast" / "index.json").unlink()
    told = package.run("claude", start("claude", project), project).told
    assert "filelock is not installed: the private environment is not whole" in told and SETTING_UP in told
    assert "holds something else" in ended(package.data)["error"]


def test_a_set_up_that_fails_is_told_at_the_next_start_and_tried_again_with_a_bound(package, project):
    blocked(package.data)
    package.run("claude", start("claude", project), project)
    known = ended(package.data)
    assert known["tries"] == 1 and "is no folder" in known["error"]
    told = package.run("claude", start("claude", project), project).told
    assert "private environment could not be set up" in told and "is no folder" in told and "tried again" in told
    ended(package.data, tries=2)
    tried = {**known, "tries": native.TRIES, "at": time.time()}
    (package.data / "setup.json").write_text(json.dumps(tried))
    told = package.run("claude", start("claude", project), project).told
    assert "is no folder" in told and "it is tried once a day now" in told
    assert native.record(str(package.data)) == tried, "not tried again"
    (package.data / "setup.json").write_text(json.dumps({**tried, "at": time.time() - native.DAY - 1, "error": ""}))
    package.run("claude", start("claude", project), project)
    assert ended(package.data, native.TRIES + 1)["tries"] == native.TRIES + 1


@pytest.mark.parametrize("damage", ["", "[1]", '{"tries": "x", "at": null}', '{"tries": 9, "at": "soon"}', "\x00"])
def test_a_record_that_cannot_be_used_is_passed_over(damage, package, project):
    blocked(package.data)
    (package.data / "setup.json").write_text(damage)
    assert SETTING_UP in package.run("claude", start("claude", project), project).told
    assert ended(package.data)["tries"] in (1, 10)


def test_one_set_up_at_a_time(package):
    blocked(package.data)
    fd = os.open(package.data / "setup.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    words = [sys.executable, "-I", "-B", "-c", native.SET_UP, str(package.root), str(package.data)]
    subprocess.run(words, check=True, timeout=30)
    assert not (package.data / "setup.json").exists(), "somebody else is at it"
    os.close(fd)
    subprocess.run(words, check=True)
    assert native.record(str(package.data))["tries"] == 1


def test_the_command_says_that_its_environment_is_not_ready(package, home):
    words = [str(package.root / "bin" / "holdfast"), "status"]
    done = subprocess.run(
        words, env={"HOME": str(home), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "the private environment is not ready" in done.stderr


def test_the_command_runs_through_links_and_a_copy_of_it_says_that_it_is_none(package, tmp_path, home):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "one").symlink_to(f"../{package.root.name}/bin/holdfast")
    (tmp_path / "two").symlink_to(tmp_path / "a b" / "one")
    shutil.copy(package.root / "bin" / "holdfast", tmp_path / "a b" / "copy")
    data = home / ".local" / "share" / "holdfast-gemini"
    data.mkdir(parents=True)
    (data / "environment").symlink_to(sys.prefix)
    (data / "ready").touch()
    said = []
    for name in ("a b/one", "two", "a b/copy"):
        words, env = [str(tmp_path / name), "--version"], {"HOME": str(home), "PATH": os.environ["PATH"]}
        done = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, check=False)
        said.append((done.returncode, done.stdout.count(holdfast.__version__), done.stderr.count("\n")))
    assert said == [(0, 1, 0), (0, 1, 0), (1, 0, 1)]


def test_the_environment_is_made_in_the_background_and_serves_hooks_and_the_command(package, project, home):
    (project / ".holdfast" / "index.json").unlink()
    began = package.run("claude", start("claude", project), project)
    assert began.told.startswith(BLANK)
    failed = ended(package.data).get("error")
    if failed:
        pytest.skip(f"no network: {failed}")
    assert not (package.data / "setup.json").exists()
    (bundle,) = package.data.glob("hooks.*.bytecode")
    before = files(package.root)
    went_on = package.run("claude", edit_call("claude", project, "docs/spec/a.md"), project, path="/nowhere")
    assert "the phase spec is complete" in went_on.told, "by the environment's own interpreter and libraries"
    again = package.run("claude", start("claude", project, "resume"), project, path="/nowhere")
    assert "Phase 2 of 3, build" in again.told and "environment" not in again.told
    kept = home / ".claude" / "plugins" / "data"
    kept.mkdir(parents=True)
    (kept / "holdfast-holdfast").symlink_to(package.data)
    words = [str(package.root / "bin" / "holdfast"), "phase", "show"]
    done = subprocess.run(
        words,
        cwd=project,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "") and "Phase 2 of 3, build" in done.stdout
    assert files(package.root) == before
    was = bundle.stat().st_mtime_ns
    (package.root / "holdfast" / "state" / "new_module.py").touch()  # the folder that the host uses was updated
    package.run("claude", start("claude", project, "resume"), project, path="/nowhere")
    until = time.monotonic() + 60
    while not bundle.exists() or bundle.stat().st_mtime_ns == was:
        assert time.monotonic() < until
        time.sleep(0.02)
    (package.root / "holdfast" / "moments" / "resume.py").write_text(
        "raise RuntimeError\n"
    )  # in place: the file counts
    assert "Phase 2 of 3" in package.run("claude", start("claude", project, "clear"), project, path="/nowhere").told
    (library,) = (package.data / "environment").glob("lib/python*/site-packages/filelock/__init__.py")
    library.write_text("raise ImportError")
    (package.data / "ready").write_text("what an older release needed")
    assert SETTING_UP in package.run("claude", start("claude", project, "resume"), project, path="/nowhere").told
    ended(package.data)
    assert (package.data / "ready").read_text() == native.WHOLE
    assert library.read_text() != "raise ImportError", "what is damaged is made anew"
