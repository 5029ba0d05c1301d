"""Which recorded fact of a host's contract no longer holds.

Looked at is the recorded release, or another one that HOLDFAST_WATCH_CLAUDE, _GEMINI, _CODEX, _OPENCODE or _COPILOT names
by its number on npm or by the path of its program:

    HOLDFAST_WATCH_CODEX=0.170.0 python -m pytest -m hosts tests/hosts/contract_watch_test.py -k codex
"""

import copy
import functools
import os

import pytest
from clis import CLIS, ENVIRONMENT

from firing import PAYLOADS, recorded
from holdfast.doctor import hosts as patients
from holdfast.doctor import isolation, recording
from holdfast.doctor.findings import PROBLEM
from holdfast.doctor.live import Judgement
from holdfast.install import environment, registration

pytestmark = [pytest.mark.hosts, pytest.mark.usefixtures("ready")]

TOOL = {**dict.fromkeys(CLIS, "PostToolUse"), "gemini": "AfterTool", "opencode": "tool.execute.after"}
# What a hook that ended 3 wrote to stderr reaches the model, in the place of what the tool came to.
BLOCKED_BY_EXIT_3 = {**dict.fromkeys(CLIS, False), "gemini": True}
RECORDED_AS = {"SessionStart.new": "SessionStart.startup"}  # other hosts' word for Copilot CLI's
CHOSEN = ".tool_input.description is gone"  # by the model, which may leave it out


PATIENTS = patients.every()


def program(host):
    asked = ENVIRONMENT.get(f"HOLDFAST_WATCH_{host.upper()}", "")
    if os.sep in asked:
        return asked
    watched = copy.copy(CLIS[host])
    watched.version = asked or watched.version
    return watched.installed()


@functools.cache
def played(host):
    return recording.session(PATIENTS[host], program(host))


def test_every_registered_event_fires_and_what_is_said_reaches_the_model(host):
    cli = PATIENTS[host]
    runtime = environment.running(mend=False)
    layer = cli.registering("", registration.handlers(cli.host, runtime), runtime)
    found = Judgement(cli, cli.entries([layer]), played(host), []).moments()
    assert [line.finding for line in found if line.level == PROBLEM] == []
    assert sum("reached the model" in line.finding for line in found) == 3


def test_payloads_have_the_recorded_keys_and_types(host):
    broken, compared = [], 0
    for name, seen in recording.payloads(played(host)).items():
        names = (name, seen["hook_event_name"], RECORDED_AS.get(name, name))
        known = next((one for one in names if (PAYLOADS / host / f"{one}.json").exists()), None)
        assert known, f"{name} was never recorded"
        broken += recording.differences(recorded(host, known), seen, name)
        compared += 1
    assert [line for line in broken if not line.endswith(CHOSEN)] == []
    assert compared >= 7


def test_exit_codes_of_commands_can_be_told(host):
    state = played(host).state
    more = len(PATIENTS[host].failing(""))
    assert (state["stats"]["tool_calls"], state["stats"]["failures"]) == (3 + more, 1 + more)
    assert [one["last_failure"]["exit_code"] for one in state["sessions"].values()] == [3]


def test_a_hook_that_ends_3_is_treated_as_recorded(host):
    cli = PATIENTS[host]
    run = recording.session(cli, program(host), {TOOL[host]: "echo not wanted >&2; exit 3; "}).report
    heard = "\n".join(isolation.shown(body) for body in run.turns())
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert ("not wanted" in heard) is BLOCKED_BY_EXIT_3[host]
