"""Many hooks at the same instant, and hooks that are killed: every event is counted once, none is lost."""

import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from firing import HOSTS, command_of, edit_call, fire, host_env, prompt, start, state_of

LEFT = (
    "workflow.yaml",
    "state.json",
    "state.lock",
    "index.json",
    "audit.jsonl",
    "backups",
    "spool",
    "locks",
    "reserve",
    ".gitignore",
)


def files(project):
    return sorted(path.relative_to(project / ".holdfast").as_posix() for path in (project / ".holdfast").rglob("*"))


def test_events_of_all_hosts_at_the_same_time_are_all_counted_once(project):
    for host in HOSTS:
        fire(host, start(host, project), project)
    given = [(host, edit_call(host, project, f"src/f{turn % 40}.py")) for turn in range(48) for host in HOSTS]
    # two registrations deliver each seventh, so each host's, at the same instant
    delivered = [pair for number, pair in enumerate(given) for _ in range(1 if number % 7 else 2)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda pair: fire(pair[0], pair[1], project), delivered))
    assert {(answer.code, answer.stderr) for answer in answers} == {(0, "")}
    fire("claude", prompt("claude", project, "go on"), project)
    assert state_of(project)["stats"]["tool_calls"] == len(given)
    assert not [name for name in files(project) if name.startswith("spool/") or name.endswith(".tmp")]


@pytest.mark.skipif(sys.platform == "win32", reason="kills process groups")
def test_hooks_killed_at_any_moment_leave_a_state_that_reads_and_no_event_half_done(project):
    fire("claude", start("claude", project), project)
    chosen = random.Random(7)
    acknowledged = 0
    started = 60
    for turn in range(started):
        given = json.dumps(edit_call("claude", project, f"src/f{turn}.py")).encode()
        run = subprocess.Popen(
            command_of("claude", "post_tool_use"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=host_env("claude", project),
            cwd=project,
            start_new_session=True,
        )
        try:
            run.communicate(given, timeout=chosen.uniform(0.002, 0.04))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
        acknowledged += run.returncode == 0
        if turn % 10 == 9:
            assert acknowledged <= state_of(project)["stats"]["tool_calls"] <= turn + 1
    fire("claude", start("claude", project, "resume"), project)
    state = state_of(project)
    assert acknowledged <= state["stats"]["tool_calls"] <= started
    assert state["stats"]["recoveries"] == 0
    assert not [name for name in files(project) if name.endswith(".tmp") or name.startswith("spool/")]
    assert {name.split("/")[0] for name in files(project)} <= set(LEFT)
