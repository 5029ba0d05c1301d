"""What may go wrong around a real CLI: it goes on undisturbed, and nothing is lost or counted twice."""

import fcntl
import os
import re
from contextlib import contextmanager
from dataclasses import replace

import pytest
from clis import CLIS, parallel, text

from holdfast.install import targets
from holdfast.workflow import compiler

pytestmark = pytest.mark.hosts


@contextmanager
def held(path):
    """Somebody else has the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def worked_in(run, stage, path):
    """Whether the run came to its end, and its tools did what the model asked them to."""
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert len(run.turns()) == 2
    return (stage.project / path).read_text(encoding="utf-8") == "# Refund\n"


def test_while_the_lock_is_held_the_model_is_told_and_nothing_is_lost(host, new_stage):
    stage, cli = new_stage().install(host), CLIS[host]
    with held(stage.project / ".holdfast" / "state.lock"):
        written = cli.write(stage.project, "docs/spec/refund.md", "# Refund\n")
        run = stage.run(host, "handle the refund", written, text("Done."))
        assert worked_in(run, stage, "docs/spec/refund.md")
        assert not (stage.project / ".holdfast" / "state.json").exists()
    assert "Phase 1 of 3, spec: Write the spec." in run.heard(0)
    assert "skill for this prompt: payment-rules" in run.heard(0)
    assert "the phase spec is complete" in run.heard(1)
    state = stage.state()
    assert (state["phase"], state["stats"]["prompts"], state["stats"]["tool_calls"]) == ("build", 1, 1)
    assert {line["decision"] for line in stage.trail()} <= {"spooled", "degraded"}, (
        "nothing could be written for a while"
    )


@pytest.mark.parametrize("known", [True, False], ids=["compiled before", "never compiled"])
def test_a_broken_workflow_is_told_in_the_briefing(host, known, new_stage):
    stage, cli = new_stage().install(host), CLIS[host]
    if known:
        assert not compiler.refresh(str(stage.workflow.parent)).header["error"]
    else:
        stage.workflow.with_name("index.json").unlink(missing_ok=True)
    stage.workflow.write_text("version: 1\nname: shop\nphases: [{id: spec, nxt: X}]\n", encoding="utf-8")
    written = cli.write(stage.project, "docs/spec/refund.md", "# Refund\n")
    run = stage.run(host, "handle the refund", written, text("Done."))
    assert worked_in(run, stage, "docs/spec/refund.md")
    told = run.heard(0)
    assert "The workflow cannot be used as it stands" in told
    assert "workflow.yaml" in told
    assert "nxt" in told
    assert ("skill for this prompt: payment-rules" in told) is known
    state = stage.state()
    assert (state["stats"]["prompts"], state["stats"]["tool_calls"]) == (1, 1)
    assert state["phase"] == ("build" if known else None)


@pytest.mark.parametrize("gone", ["/bin/python", "/hooks"])
def test_an_interpreter_or_a_hook_that_has_vanished_does_not_disturb_the_cli(host, gone, new_stage):
    stage, cli = new_stage().install(host), CLIS[host]
    settings = stage.project / targets.HOSTS[host].project_file
    registered = settings.read_text(encoding="utf-8")
    without, times = re.subn(rf"{gone}\b", f"{gone}-gone", registered)
    assert times
    settings.write_text(without, encoding="utf-8")
    written = cli.write(stage.project, "docs/spec/refund.md", "# Refund\n")
    run = stage.run(host, "handle the refund", parallel(written, cli.shell("printf %s- said 2")), text("Done."))
    assert worked_in(run, stage, "docs/spec/refund.md")
    assert "said-2-" in run.heard(1)
    assert "-gone" not in run.heard(1) + run.stdout + run.stderr
    assert not (stage.project / ".holdfast" / "state.json").exists()


def test_hooks_that_are_registered_twice_count_each_event_once(host, new_stage):
    stage, cli = new_stage().install(host), CLIS[host]
    stage.install(host, scope="user")
    settings = stage.home / targets.HOSTS[host].home / targets.HOSTS[host].user_file
    other = stage.folder / "other-prefix"
    other.symlink_to(stage.prefix)  # so that no host takes the two for one
    settings.write_text(settings.read_text(encoding="utf-8").replace(str(stage.prefix), str(other)), encoding="utf-8")
    written = cli.write(stage.project, "docs/spec/refund.md", "# Refund\n")
    run = stage.run(host, "handle the refund", parallel(written, cli.shell("exit 3")), text("Done."))
    assert worked_in(run, stage, "docs/spec/refund.md")
    fired = [line["moment"] for line in stage.trail()]
    for moment, times in {"session_start": 2, "prompt": 2, "tool_done": 4, "turn_end": 2}.items():
        assert fired.count(moment) == times, "both registrations fired"
    stats = stage.state()["stats"]
    assert (stats["prompts"], stats["tool_calls"], stats["failures"]) == (1, 2, 1)
    assert run.heard(0).count("skill for this prompt: payment-rules") == 1
    if host == "opencode":
        assert run.heard(0).count("Holdfast keeps this project's workflow") == 1
    assert run.heard(1).count("the phase spec is complete") == 1


def test_what_is_registered_for_claude_runs_in_copilot_too_and_each_event_counts_once(new_stage):
    stage, cli = new_stage().install("claude", "copilot"), CLIS["copilot"]
    steps = [
        parallel(cli.write(stage.project, "docs/spec/refund.md", "# Refund\n"), cli.shell("exit 3")),
        replace(cli.shell("true # 1"), tokens=990_000),
        *[cli.shell(f"true # {n}") for n in range(2, 6)],
        text("Done."),
    ]
    run = stage.run("copilot", "handle the refund", *steps)
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    fired = [line["moment"] for line in stage.trail()]
    for moment, times in {"session_start": 2, "prompt": 2, "tool_done": 14, "before_compaction": 2}.items():
        assert fired.count(moment) == times, "both registrations fired"
    assert {line["host"] for line in stage.trail()} == {"copilot"}
    state = stage.state()
    assert (state["stats"]["prompts"], state["stats"]["tool_calls"], state["stats"]["failures"]) == (1, 7, 1)
    assert [session["host"] for session in state["sessions"].values()] == ["copilot"]
    briefing = "Holdfast keeps this project's workflow, shop."
    assert run.heard(0).count(briefing) == 1
    assert run.heard(0).count("skill for this prompt: payment-rules") == 1
    assert run.heard(1).count("the phase spec is complete") == 1
    assert "The work goes on." in run.heard(-1)
    assert run.heard(-1).count(briefing) == 1
