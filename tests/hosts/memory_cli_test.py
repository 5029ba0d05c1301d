"""What a real CLI forgets, and what begins beside it: compaction, a fork, a sub-agent."""

import json
from dataclasses import replace

import pytest
from clis import CLIS, text

pytestmark = pytest.mark.hosts

BRIEFING = "Holdfast keeps this project's workflow, shop. Phase 2 of 3, build: Build it."


def test_after_a_compaction_the_model_is_briefed_again(host, new_stage):
    stage, cli = new_stage().install(host), CLIS[host]
    spec = cli.write(stage.project, "docs/spec/refund.md", "# Refund\n")
    if host == "gemini":  # it compacts at a prompt alone, and only what has some length
        settings = stage.home / ".gemini" / "settings.json"
        known = json.loads(settings.read_text(encoding="utf-8"))
        settings.write_text(json.dumps({**known, "model": {"compressionThreshold": 0.02}}), encoding="utf-8")
        stage.run(host, "handle the refund", spec, *[cli.shell(f"seq 1 4000 # {n}") for n in range(4)], text("Done."))
        run = stage.run(host, "go on", text("Done."), resume=True)
    else:
        limit = ["-c", "model_auto_compact_token_limit=5000"] if host == "codex" else []
        if host == "opencode":
            cli.configure(stage.home, context=20_000)
        long = replace(spec, tokens=990_000)
        calls = 4 if host == "copilot" else 1  # it goes on while the summary is made
        steps = [long, *[cli.shell(f"true # {n}") for n in range(calls)], text("Done.")]
        run = stage.run(host, "handle the refund", *steps, more=limit)
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    sorts = [request["sort"] for request in run.requests]
    assert "compaction" in sorts
    after = run.requests[len(sorts) - sorts[::-1].index("compaction")]["body"]
    number = -1 if host == "copilot" else run.turns().index(after)
    assert "The work goes on." in run.heard(number), "the summary stands for what was said before"
    assert run.heard(number).count(BRIEFING) == 1
    if host in ("claude", "codex"):
        assert stage.state()["current_session"]["source"] == "compact"


def test_a_fork_is_a_session_of_its_own_and_is_briefed(host, new_stage):
    if host in ("gemini", "copilot"):
        pytest.skip(f"{CLIS[host].package} {CLIS[host].version} has no fork")
    stage, cli = new_stage().install(host), CLIS[host]
    stage.run(host, "handle the refund", cli.write(stage.project, "docs/spec/refund.md", "# Refund\n"), text("Done."))
    before = stage.state()["current_session"]["id"]
    run = stage.run(host, "and now otherwise", text("Done."), fork=True)
    assert run.code == 0, run.stderr
    state = stage.state()
    assert set(state["sessions"]) == {before, state["current_session"]["id"]}
    assert state["current_session"]["id"] != before
    assert BRIEFING in run.heard(0)
    assert (state["stats"]["prompts"], state["stats"]["tool_calls"]) == (2, 1)


def test_what_a_sub_agent_does_counts_for_its_parent(host, new_stage):
    stage, cli = new_stage().install(host), CLIS[host]
    spec = cli.write(stage.project, "docs/spec/refund.md", "# Refund\n")
    agents = cli.agents("Look at the SUBTASK please", cli.shell("exit 3 # ruff"), spec)
    run = stage.run(host, "handle the refund", *agents, text("Done."))
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert len(run.turns("agent")) == 3
    state = stage.state()
    assert list(state["sessions"]) == [state["current_session"]["id"]]
    assert state["phase"] == "build"
    assert state["stats"]["failures"] == 1
    ended = 1 if host == "gemini" else 0  # its sub-agents end by a tool call of their own
    assert state["stats"]["tool_calls"] == 2 + len(agents) + ended
    assert state["sessions"][state["current_session"]["id"]]["files"] == ["docs/spec/refund.md"]
