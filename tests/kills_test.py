"""Writers of every kind that are killed at any moment: what they leave is whole, and goes by itself.

`HOLDFAST_KILLS=200` kills each that often; by default it is a few times, to spare time. The writers are forked from a
process that has all modules, so that the time of a kill lies in what they write and not in what they import.
"""

import importlib
import io
import json
import os
import pkgutil
import random
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import holdfast
from commanding import environment
from firing import edit_call, fire, make_project, start
from holdfast.cli import main as command
from holdfast.install import installer, trial
from holdfast.locks import Locks
from holdfast.locks import owner as owners
from holdfast.project import Project
from holdfast.state import document, guard, migrations, spool

KILLS = int(os.environ.get("HOLDFAST_KILLS", "12"))
MINE = '{"permissions": {"allow": ["Bash(ls:*)"]}}\n'


def hook(shop, given):
    """Run a hook in this process, which ends with it."""
    from holdfast.hook import main

    reader, writer = os.pipe()
    os.write(writer, json.dumps(given).encode())
    os.close(writer)
    os.dup2(reader, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["CLAUDE_PROJECT_DIR"] = str(shop)
    sys.argv[1:] = ["--host", "claude"]
    main()


def run(shop, *words):
    os.chdir(shop)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as told:
        code = command(list(words))
    assert code == 0, told.getvalue()


def count(state):
    state["stats"]["prompts"] += 1


def installed(shop, turn):
    scope = "project" if turn % 4 < 2 else "user"
    if turn % 2:
        installer.uninstall(str(shop), None, scope, purge=False, dry_run=False, echo=lambda _line: None)
    else:
        installer.install(str(shop), ["claude", "gemini"], scope, dry_run=False, echo=lambda _line: None)


def held(shop, _turn):
    with Locks(str(shop / ".holdfast")).hold("deploy", timeout=5):
        pass


def leased(shop, _turn):
    Locks(str(shop / ".holdfast")).acquire("deploy", owners.of(os.getpid()), timeout=5)


def migrated(shop, _turn):
    Project.find(str(shop)).update(count)


WRITERS = {
    "a hook": lambda shop, turn: hook(shop, edit_call("claude", shop, f"src/{turn}.py")),
    "a session's start": lambda shop, _turn: hook(shop, start("claude", shop, "resume")),
    "a command": lambda shop, turn: run(shop, "phase", "set", ("spec", "build")[turn % 2]),
    "a program": lambda shop, _turn: Project.find(str(shop)).update(count),
    "a backup": lambda shop, _turn: run(shop, "state", "backup", "wanted"),
    "a recovery": lambda shop, _turn: run(shop, "state", "recover", "--force"),
    "a checkpoint": lambda shop, _turn: run(shop, "recovery", "checkpoint", "deploy"),
    "a restoration": lambda shop, _turn: run(shop, "recovery", "restore", "latest"),
    "a migration": migrated,
    "a lease": leased,
    "a lock": held,
    "a command under a lock": lambda shop, _turn: run(shop, "lock", "run", "deploy", "--", "true"),
    "an installation": installed,
}


def forked(action, *given):
    """Do it in a process of its own; the process's id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        action(*given)
    except BaseException:  # noqa: BLE001  whatever it is, this process must not go on as the test
        os._exit(1)
    os._exit(0)


def seconds_of(action, *given):
    """How long it takes when nobody kills it."""
    began = time.perf_counter()
    _pid, status = os.waitpid(forked(action, *given), 0)
    assert status == 0, action
    return time.perf_counter() - began


def prepare(name, shop):
    run(shop, "phase", "set", "build")
    run(shop, "state", "backup", "first")
    run(shop, "recovery", "checkpoint", "first")
    run(shop, "phase", "set", "ship")
    (shop / ".claude").mkdir()
    (shop / ".claude" / "settings.local.json").write_text(MINE)
    if name == "a migration":
        document.SCHEMA_VERSION = 2
        migrations.MIGRATIONS = (migrations.Migration("nothing-new", 2, lambda state: {**state}),)


def kill_many(name, place, kills):
    """Kill a writer that often, look at what it left each time; how many were killed before they ended."""
    for found in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    shop = make_project(Path(place) / "shop")
    trial.run = lambda *_given: []  # the trial runs hooks in a place of its own, and is most of an installation
    old = None
    prepare(name, shop)
    state = shop / ".holdfast" / "state.json"
    if name == "a migration":
        old = state.read_bytes()
    took = min(seconds_of(WRITERS[name], shop, turn) for turn in range(6))
    chosen = random.Random(5)
    killed = 0
    for turn in range(4 * kills):  # some have ended a moment before
        if old:
            state.write_bytes(old)
        pid = forked(WRITERS[name], shop, turn)
        time.sleep(chosen.uniform(0, took))
        os.kill(pid, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        look_at(shop)
        if turn % 10 == 9 or killed == kills:
            _pid, status = os.waitpid(forked(hook, shop, start("claude", shop, "resume")), 0)
            assert status == 0
            left = [str(path) for path in Path(place).rglob("*") if path.name.endswith((".tmp", ".soft"))]
            assert not left, left
        if killed == kills:
            break
    if name == "an installation":
        for turn in range(4):
            installed(shop, turn)
        assert (shop / ".claude" / "settings.local.json").read_text() == MINE
        assert not (shop / ".gemini").exists()
    return killed


def killed_before_it_replaces(settings, shop):
    """Install, and be killed when the settings are to be replaced."""
    real = os.replace

    def replace(source, target):
        if target == str(settings):
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)

    os.replace = replace
    installer.install(str(shop), ["claude"], "project", dry_run=False, echo=lambda _line: None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_a_killed_installation_left_beside_the_settings_goes_at_the_next_start(project):
    settings = project / ".claude" / "settings.local.json"
    settings.parent.mkdir()
    settings.write_text(MINE)
    script = f"import kills_test, pathlib; kills_test.killed_before_it_replaces(*map(pathlib.Path, {[str(settings), str(project)]}))"
    done = subprocess.run([sys.executable, "-c", script], env=beside(), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = settings.parent.glob(".*.tmp")
    mine = settings.with_name(".settings.local.json.tmp")
    mine.write_text("an editor's")
    living = settings.with_name(f".settings.local.json.12345678-{os.getpid()}.tmp")
    living.write_text("of an installation that is at work")
    fire("claude", start("claude", project), project)
    assert not left.exists() and mine.exists() and living.exists()
    assert settings.read_text() == MINE
    assert not list((project / ".holdfast" / "locks").glob("installing.*"))


def beside(**env):
    """The environment in which this module can be imported."""
    made = environment(**env)
    return {**made, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), made["PYTHONPATH"]])}


def look_at(shop):
    """The state reads, nobody holds a lock, and the next update works."""
    folder = shop / ".holdfast"
    assert document.decode((folder / "state.json").read_bytes()) is not None
    os.close(guard.acquire(str(folder / "state.lock"), 0, str(folder / "state.json"))[0])
    for path in [*folder.glob("backups/state-*.json"), *folder.glob("checkpoints/*.json")]:
        assert document.decode(path.read_bytes()) is not None, path
    project = Project(str(folder))
    before = project.read()
    assert before["stats"]["recoveries"] <= before["revision"] and not list(folder.glob("*.corrupt-*"))
    project.update(count)
    assert project.read()["revision"] > before["revision"] and not spool.waiting(str(folder))
    with Locks(str(folder)).hold("deploy", timeout=5):  # a command that ran under the lock may end a moment later
        assert [other.status for other in Locks(str(folder)).holders("deploy")] == ["held"]
    for path in shop.glob(".*/settings*.json"):
        assert isinstance(json.loads(path.read_text()), dict), path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("name", WRITERS)
def test_what_a_killed_writer_leaves_is_whole_and_goes_by_itself(name, place, home):
    script = f"import kills_test; print(kills_test.kill_many({name!r}, {str(place)!r}, {KILLS}))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=beside(HOME=str(home)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) >= KILLS // 2, "most ended before they were killed"
