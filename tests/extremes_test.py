"""What nobody should have and somebody will: a spool that nobody emptied, a state of 50 MB, a clock that jumps back."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from commanding import environment, run, state_file
from firing import audit_of, edit_call, fire, make_project, prompt, start, state_of
from holdfast import hosts, spooled
from holdfast.project import Project
from holdfast.state import backups, checkpoints, document, spool

HOLDER = """
import sys
from holdfast import Project, spooled
with Project.find().editing() as state:
    state["completed_tasks"].append("of the holder")
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def begun(project):
    fire("claude", start("claude", project), project)
    return project


def waiting(project):
    return len(spool.waiting(str(project / ".holdfast")))


def spoiled(state, **changes):
    """A state whose seal is right, and which no writer of ours would have left."""
    return document.encode({**state, **changes})


# -- 10,000 files in the spool


def test_a_hook_folds_a_part_of_a_large_spool_and_a_command_all_of_it(place):
    shop = make_project(place / "shop")
    fire("claude", start("claude", shop), shop)
    folder = shop / ".holdfast" / "spool"
    folder.mkdir()
    event = hosts.module("claude").parse(edit_call("claude", shop, "src/a.py"))
    now = time.time_ns()
    for number in range(10_000):
        event.key, event.at = f"call-{number}", time.time()
        (folder / f"{now + number:020d}-1.json").write_text(json.dumps(spooled.to_dict(event)))
    for turn in range(3):
        answer = fire("claude", edit_call("claude", shop, f"src/{turn}.py"), shop)
        assert (answer.code, answer.stderr) == (0, "")
    folded = [line["folded"] for line in audit_of(shop) if line.get("folded")]
    assert len(folded) == 3 and max(folded) <= 1000, "no hook does the work of all"
    assert waiting(shop) == 10_000 - sum(folded)
    assert state_of(shop)["stats"]["tool_calls"] == 10_003
    assert run(shop, "task", "add", "A task").code == 0
    assert waiting(shop) == 0
    assert state_of(shop)["stats"]["tool_calls"] == 10_003


# -- a state of 50 MB


@pytest.fixture
def huge(place):
    """A project whose state has 50 MB and is valid."""
    shop = make_project(place / "shop")
    fire("claude", start("claude", shop), shop)
    tasks = {
        f"t{number}": {"title": "x" * 1_000_000, "status": "completed", "source": "user", "updated_at": 1.0}
        for number in range(50)
    }
    state_file(shop).write_bytes(spoiled(document.decode(state_file(shop).read_bytes()), tasks=tasks))
    return shop


def test_a_state_of_50_mb_holds_up_no_hook_and_loses_nothing(huge):
    before = os.stat(state_file(huge)).st_size
    answer = fire("claude", edit_call("claude", huge, "src/a.py"), huge)
    assert (answer.code, answer.stderr) == (0, "")
    (line,) = [line for line in audit_of(huge) if line.get("moment") == "tool_done"]
    assert line["decision"] == "applied" or (line["decision"], waiting(huge)) == ("spooled", 1)
    assert run(huge, "phase", "set", "build").code == 0
    state = state_of(huge)
    assert (state["phase"], state["stats"]["tool_calls"], waiting(huge)) == ("build", 1, 0)
    assert os.stat(state_file(huge)).st_size > before // 2


def test_where_the_time_is_over_a_large_state_is_not_read_again(huge):
    """The lock is a folder, so that the update fails on every machine, however fast."""
    lock = huge / ".holdfast" / "state.lock"
    lock.unlink()
    lock.mkdir()
    told = fire("claude", start("claude", huge, "resume"), huge)
    assert "47 MB" in told.text and "holdfast status" in told.reply["systemMessage"]


def test_50_mb_of_what_is_no_state_are_put_aside(place):
    shop = make_project(place / "shop")
    fire("claude", edit_call("claude", shop, "docs/spec/a.md"), shop)
    state_file(shop).write_bytes(b"[" * 50_000_000)
    answer = fire("claude", edit_call("claude", shop, "src/a.py"), shop)
    assert (answer.code, answer.stderr) == (0, "")
    assert run(shop, "state", "read").code == 0
    state = state_of(shop)
    assert (state["phase"], state["stats"]["tool_calls"], state["stats"]["recoveries"] >= 1) == ("build", 2, True)
    (kept,) = (shop / ".holdfast").glob("state.json.corrupt-*")
    assert kept.stat().st_size == 50_000_000


# -- a process that was stopped while it held the lock


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process")
@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
def test_a_stopped_holder_of_the_lock_delays_hooks_by_their_budget_and_loses_nothing(begun, end):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=begun, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(holder)
        stack.callback(holder.kill)
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
        answers = [fire("claude", edit_call("claude", begun, f"src/{turn}.py"), begun) for turn in range(2)]
        answers.append(fire("claude", prompt("claude", begun, "refund"), begun))
        assert {(answer.code, answer.stderr) for answer in answers} == {(0, "")}
        assert "payment-rules" in answers[-1].text, "it is answered from the state as it is"
        spooled = [line for line in audit_of(begun) if line["decision"] == "spooled"]
        assert len(spooled) == 3 and max(line["ms"] for line in spooled) < 2000
        said = run(begun, "mode", "paused", HOLDFAST_LOCK_TIMEOUT="0.1")
        assert said.code == 2 and len(said.err.splitlines()) == 1
        facts = json.loads(run(begun, "status", "--json").out)
        assert facts["spool"] == 3
        assert sys.platform != "linux" or facts["lock"]["pid"] == holder.pid
        holder.send_signal(end)
        if end == signal.SIGCONT:
            holder.stdin.write(b"\n")
            holder.stdin.flush()
        holder.wait()
    fire("claude", edit_call("claude", begun, "src/last.py"), begun)
    state = state_of(begun)
    assert (state["stats"]["tool_calls"], state["stats"]["prompts"], waiting(begun)) == (3, 1, 0)
    assert state["completed_tasks"] == (["of the holder"] if end == signal.SIGCONT else [])


# -- a clock that jumps back

AHEAD = 30 * 86400  # seconds by which the clock was wrong


def test_a_clock_that_was_set_back_loses_nothing_and_tells_no_negative_ages(begun, monkeypatch):
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + AHEAD)
    monkeypatch.setattr("holdfast.state.store.time", lambda: real() + AHEAD)
    assert run(begun, "phase", "set", "build").code == 0
    assert run(begun, "state", "backup", "ahead").code == 0
    assert run(begun, "task", "add", "Of tomorrow").code == 0
    checkpoint = run(begun, "recovery", "checkpoint", "ahead").out.strip()
    monkeypatch.undo()
    before = state_of(begun)
    assert before["metadata"]["last_modified"] > time.time() + AHEAD / 2
    fire("claude", start("claude", begun, "resume"), begun)
    fire("claude", edit_call("claude", begun, "src/a.py"), begun)
    assert run(begun, "task", "add", "Of today").code == 0
    state = state_of(begun)
    assert state["revision"] > before["revision"] and state["phase"] == "build"
    assert (state["stats"]["tool_calls"], sorted(state["tasks"])) == (1, ["of-today", "of-tomorrow"])
    for words in (["status"], ["state", "backups"], ["recovery", "list"], ["recovery", "status"], ["state", "status"]):
        said = run(begun, *words)
        assert said.code == 0 and " -" not in said.out.replace(" - ", " ").replace("\n- ", "\n"), said.out
    assert checkpoint in run(begun, "recovery", "list").out
    assert run(begun, "recovery", "cleanup", "--days", "1").code == 0
    assert checkpoint in run(begun, "recovery", "list").out


def test_retention_keeps_the_newest_though_older_copies_are_dated_later(begun, monkeypatch):
    real = time.time
    for name in ("time.time", "holdfast.state.store.time"):
        monkeypatch.setattr(name, lambda: real() + AHEAD)
    project = Project.find(str(begun))
    for number in range(55):
        project.update(lambda state: state["completed_tasks"].append("x"), keep="ahead")
        checkpoints.create(project.store.folder, project.read(), f"ahead {number}")
    monkeypatch.undo()
    (kept,) = run(begun, "state", "backup", "now").lines
    made = run(begun, "recovery", "checkpoint", "now").out.strip()
    run(begun, "phase", "set", "build")
    assert os.path.exists(kept) and len(backups.dated(project.store.folder)) == backups.KEPT
    assert run(begun, "recovery", "restore", made).code == 0
    for path in (state_file(begun), begun / ".holdfast" / "backups" / backups.PREVIOUS):
        path.write_bytes(b"noise")
    recovered = json.loads(run(begun, "state", "read").out)
    assert recovered["completed_tasks"] and recovered["stats"]["recoveries"] == 2


def test_events_of_an_earlier_clock_count_and_wait_in_their_order(begun):
    os.utime(state_file(begun), (time.time() + AHEAD, time.time() + AHEAD))
    with open(begun / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        for turn in range(3):
            fire("claude", edit_call("claude", begun, f"src/{turn}.py"), begun, env={"HOLDFAST_LOCK_TIMEOUT": "0"})
    assert state_of(begun)["stats"]["tool_calls"] == 3
    fire("claude", edit_call("claude", begun, "src/last.py"), begun)
    assert (state_of(begun)["stats"]["tool_calls"], waiting(begun)) == (4, 0)
