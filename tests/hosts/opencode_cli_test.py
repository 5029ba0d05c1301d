"""What only OpenCode's bridge has to do, in the real OpenCode: failures that no hook tells, and text that is not kept."""

from dataclasses import replace

import pytest
from clis import CLIS, parallel, text

pytestmark = pytest.mark.hosts

REPRODUCE = """
version: 1
name: shop
phases: [{id: reproduce, next: BROKEN}, {id: mend, title: Mend it}]
signals:
  BROKEN: {tool: edit, path: "src/**", outcome: failed}
"""
MENDING = "Holdfast: the phase reproduce is complete. Phase 2 of 2, mend: Mend it."


def test_a_call_that_failed_is_counted_and_what_there_is_to_say_reaches_the_model(new_stage):
    stage, cli = new_stage(REPRODUCE).install("opencode"), CLIS["opencode"]
    edit = cli.edit(stage.project, "src/gone.py", "a", "b")
    run = stage.run("opencode", "go", parallel(edit, edit), cli.shell("true"), text("Done."))
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert [MENDING in run.heard(number) for number in range(3)] == [False, True, True]
    state = stage.state()
    assert (state["phase"], state["stats"]["failures"], state["stats"]["tool_calls"]) == ("mend", 2, 3)
    run = stage.run("opencode", "go on", text("Done."), resume=True)
    assert stage.state()["stats"]["failures"] == 2
    assert "Phase 2 of 2, mend: Mend it." in run.heard(0)


def test_after_a_compaction_every_call_of_the_turn_is_briefed_once(new_stage):
    stage, cli = new_stage().install("opencode"), CLIS["opencode"]
    cli.configure(stage.home, context=20_000)
    long = replace(cli.shell("true"), tokens=990_000)
    run = stage.run("opencode", "handle the refund", long, cli.shell("true"), cli.shell("true"), text("Done."))
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert len(run.turns("compaction")) == 1
    told = [run.heard(number).count("Holdfast keeps this project's workflow") for number in range(4)]
    assert told == [1, 1, 1, 1]
    again = stage.run("opencode", "and the changelog", text("Done."), resume=True)
    assert again.heard(0).count("Holdfast keeps this project's workflow") == 1
    assert "skill for this prompt: release-notes" in again.heard(0)


def test_a_fork_does_not_count_its_parents_calls_again(new_stage):
    stage, cli = new_stage().install("opencode"), CLIS["opencode"]
    stage.run("opencode", "go", cli.edit(stage.project, "src/gone.py", "a", "b"), cli.shell("exit 3"), text("Done."))
    before = stage.state()["stats"]
    stage.run("opencode", "and otherwise", text("Done."), fork=True)
    after = stage.state()
    assert (
        (after["stats"]["failures"], after["stats"]["tool_calls"])
        == (before["failures"], before["tool_calls"])
        == (2, 2)
    )
    assert (after["current_session"]["source"], after["stats"]["total_resumes"]) == ("fork", 0)
