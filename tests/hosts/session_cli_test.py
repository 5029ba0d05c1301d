"""One session of each real CLI: what was injected reached the model, and what the CLI did was counted."""

import functools
from typing import NamedTuple

import pytest
from clis import CLIS, Run, Stage, parallel, text

pytestmark = pytest.mark.hosts


class Worked(NamedTuple):
    """A session: its first run, the run that resumed it, and the state between them."""

    stage: Stage
    first: Run
    second: Run
    between: dict


@pytest.fixture(scope="session")
def worked(new_stage):
    """Each CLI's session, run once however many tests look at it."""

    @functools.cache
    def work(host):
        stage, cli = new_stage().install(host), CLIS[host]
        first = stage.run(host, "rename the variable x to y", text("It is renamed."))
        between = stage.state()
        second = stage.run(
            host,
            "please handle the REFUND of a damaged item",
            parallel(*[cli.shell(f"{what} # {n}") for n, what in enumerate(["exit 3 # ruff", "true", "true", "true"])]),
            cli.write(stage.project, "docs/spec/refund.md", "# Refund\n"),
            cli.plan("Refund form", "Refund mail"),
            parallel(cli.shell("true # pytest"), cli.write(stage.project, "src/refund.py", "x = 1\n")),
            cli.edit(stage.project, "src/refund.py", "x = 1", "x = 2"),
            text("All is done."),
            resume=True,
        )
        return Worked(stage, first, second, between)

    return work


def test_the_cli_does_what_the_script_says_and_ends_well(host, worked):
    for run in (worked(host).first, worked(host).second):
        assert run.code == 0, run.stderr
        assert run.steps_left == 0
        assert not [request for request in run.requests if request["sort"] == "beyond"]


def test_the_briefing_reaches_the_model_at_the_start(host, worked):
    told = worked(host).first.heard(0)
    assert told.count("Holdfast keeps this project's workflow, shop.") == 1
    assert "Phase 1 of 3, spec: Write the spec. It ends with SPEC_WRITTEN. Describe the behaviour first." in told


def test_a_prompt_that_matches_no_skill_names_none(host, worked):
    told = worked(host).first.heard(-1)
    assert "skill for this prompt" not in told
    assert "payment-rules" not in told


def test_a_prompt_that_matches_a_skill_names_that_one(host, worked):
    told = worked(host).second.heard(0)
    assert "skill for this prompt: payment-rules (priority high, suggested)." in told
    assert "release-notes" not in told
    assert worked(host).stage.state()["last_activation"]["skills"] == ["payment-rules"]


def test_the_resumed_session_is_the_same_one(host, worked):
    before, after = worked(host).between, worked(host).stage.state()
    assert before["current_session"]["id"] == after["current_session"]["id"]
    assert before["current_session"]["source"] == "startup"
    assert after["current_session"]["source"] == "resume"
    assert list(after["sessions"]) == [after["current_session"]["id"]]
    assert after["current_session"]["host"] == host
    assert after["sessions"][after["current_session"]["id"]]["ended_at"] is not None
    assert (before["stats"]["total_resumes"], after["stats"]["total_resumes"]) == (0, 1)
    assert after["stats"]["prompts"] == 2


def test_outcomes_are_what_the_commands_came_to(host, worked):
    state = worked(host).stage.state()
    assert "TESTS_PASSED" in state["signals"]
    assert "LINT_PASSED" not in state["signals"]
    assert state["stats"]["failures"] == 1
    failure = state["sessions"][state["current_session"]["id"]]["last_failure"]
    assert (failure["command"], failure["exit_code"]) == ("exit 3 # ruff # 0", 3)


def test_a_written_file_ends_the_phase_and_the_model_is_told(host, worked):
    second = worked(host).second
    told = "Holdfast: the phase spec is complete. Phase 2 of 3, build: Build it."
    assert told not in second.heard(1)
    assert told in second.heard(2)
    assert "Holdfast: the phase build is complete. Phase 3 of 3, ship: Ship it." in second.heard(4)
    state = worked(host).stage.state()
    assert state["phase"] == "ship"
    assert state["current_session"]["steps_completed"] == [1, 2]
    assert state["sessions"][state["current_session"]["id"]]["files"] == ["docs/spec/refund.md", "src/refund.py"]


def test_the_agents_own_list_becomes_tasks(host, worked):
    tasks = worked(host).stage.state()["tasks"].values()
    assert sorted(task["title"] for task in tasks) == ["Refund form", "Refund mail"]
    assert {task["status"] for task in tasks} == {"pending"}


def test_every_call_is_counted_once_also_of_those_in_parallel(host, worked):
    planned = 2 if host == "claude" else 1  # calls that the list took
    assert worked(host).stage.state()["stats"]["tool_calls"] == 4 + 1 + planned + 2 + 1
    decisions = {line["decision"] for line in worked(host).stage.trail()}
    assert decisions <= {"applied", "spooled", "passed over", "degraded"}
