"""Programs that update at the same time: all that they do is there, once, and who came first is served first."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from commanding import environment, run
from firing import make_project
from holdfast.project import Project
from holdfast.state import line

WRITERS, UPDATES, SEEDS = 16, 25, 100
WRITER = """
import sys
from holdfast import Project
project, me, count = Project.find(), int(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(count):
    def change(state):
        task = state["tasks"][f"seed-{(me * count + turn) % 100}"]
        task["title"] += f" {me}.{turn}"
        state["stats"]["prompts"] += 1
    project.update(change)
"""
# Waits for the lock, and says so when it stands in the line.
WAITER = """
import sys
from holdfast import Project
from holdfast.state import backoff, line
line.PATIENCE = 60.0
until = backoff.until
def tell(*given):
    print("in line", flush=True)
    return until(*given)
backoff.until = tell
Project.find().update(lambda state: state["completed_tasks"].append(sys.argv[1]))
"""


@pytest.fixture
def shop(tmp_path):
    made = make_project(tmp_path / "shop")
    assert run(made, "phase", "set", "build").code == 0
    return made


@pytest.fixture
def programs(shop):
    """Starts Python programs in the project, which end with the test."""
    with ExitStack() as running:

        def start(program, *words):
            made = subprocess.Popen(
                [sys.executable, "-c", program, *map(str, words)],
                cwd=shop,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            running.enter_context(made)
            running.callback(made.kill)
            return made

        yield start


def test_sixteen_programs_lose_none_of_their_updates(shop, programs):
    def seed(state):
        for number in range(SEEDS):
            state["tasks"][f"seed-{number}"] = {
                "title": f"seed {number}",
                "status": "pending",
                "source": "user",
                "updated_at": 1.0,
            }

    project = Project.find(str(shop))
    project.update(seed)
    before = project.read()
    writers = [programs(WRITER, number, UPDATES) for number in range(WRITERS)]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.communicate(b"go\n")
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    state = project.read()
    assert state["stats"]["prompts"] == WRITERS * UPDATES
    assert state["revision"] == before["revision"] + WRITERS * UPDATES
    seeds = {name: task["title"].split()[:2] for name, task in state["tasks"].items()}
    assert seeds == {f"seed-{number}": ["seed", str(number)] for number in range(SEEDS)}
    marks = [mark for task in state["tasks"].values() for mark in task["title"].split()[2:]]
    assert sorted(marks) == sorted(f"{writer}.{turn}" for writer in range(WRITERS) for turn in range(UPDATES))
    assert not list((shop / ".holdfast").rglob("*.tmp"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX locks")
def test_who_came_first_is_served_first(shop, programs):
    with open(shop / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        waiters = []
        for name in "edcba":
            waiters.append(programs(WAITER, name))
            assert waiters[-1].stdout.readline() == b"in line\n"
        assert line.somebody(str(shop / ".holdfast" / "state.lock"))
    assert [waiter.wait() for waiter in waiters] == [0] * 5
    assert Project.find(str(shop)).read()["completed_tasks"][-5:] == list("edcba")
    assert not line.somebody(str(shop / ".holdfast" / "state.lock"))
    assert (shop / ".holdfast" / "state.lock.line").stat().st_size == 0


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process")
def test_one_that_was_stopped_or_killed_in_the_line_keeps_nobody_out(shop, programs):
    lock = str(shop / ".holdfast" / "state.lock")
    with open(lock, "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        first, second = programs(WAITER, "first"), programs(WAITER, "second")
        for waiter in (first, second):
            assert waiter.stdout.readline() == b"in line\n"
        first.kill()
        first.wait()
        second.send_signal(signal.SIGSTOP)
        assert os.waitid(os.P_PID, second.pid, os.WSTOPPED | os.WNOWAIT)
    assert line.somebody(lock)
    assert run(shop, "mode", "paused", HOLDFAST_LOCK_TIMEOUT="20").code == 0
    assert run(shop, "mode", "monitoring", HOLDFAST_LOCK_TIMEOUT="0.1").code == 0, "the lock is free"
    second.send_signal(signal.SIGCONT)
    assert second.wait() == 0
    assert json.loads(run(shop, "state", "read").out)["completed_tasks"][-1:] == ["second"]


def test_where_the_line_cannot_be_had_the_lock_is_taken_without(shop, programs):
    (shop / ".holdfast" / "state.lock.line").mkdir()
    with open(shop / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        waiter = programs(WAITER, "alone")
        assert waiter.stdout.readline() == b"in line\n"
    assert waiter.wait() == 0
