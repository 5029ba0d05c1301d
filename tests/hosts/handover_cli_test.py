"""The relay: Claude Code writes the spec, Codex CLI builds, Gemini CLI ships; each is told where the other stopped."""

import pytest
from clis import CLIS, text

pytestmark = pytest.mark.hosts


def test_three_clis_share_one_workflow(new_stage):
    stage = new_stage().install("claude", "codex", "gemini")
    project = stage.project

    cli = CLIS["claude"]
    first = stage.run(
        "claude",
        "write down how a refund works",
        cli.write(project, "docs/spec/refund.md", "# Refund\n"),
        cli.plan("Refund form"),
        cli.shell("exit 3 # ruff"),
        text("The spec is written."),
    )
    claude = stage.state()["current_session"]["id"]

    cli = CLIS["codex"]
    second = stage.run(
        "codex",
        "build it",
        cli.write(project, "src/refund.py", "x = 1\n"),
        cli.shell("true # pytest"),
        text("It is built."),
    )
    codex = stage.state()["current_session"]["id"]

    cli = CLIS["gemini"]
    third = stage.run("gemini", "ship it", cli.shell("true # ruff"), cli.shell("true # deploy"), text("It is shipped."))
    gemini = stage.state()["current_session"]["id"]

    for run in (first, second, third):
        assert (run.code, run.steps_left) == (0, 0), run.stderr

    assert "Phase 1 of 3, spec: Write the spec." in first.heard(0)
    assert "Worked here before" not in first.heard(0)

    told = second.heard(0)
    assert "Phase 2 of 3, build: Build it. It ends with CODE_WRITTEN, TESTS_PASSED." in told
    assert "Phases complete: spec." in told
    assert "Last failure, not mended yet: `exit 3 # ruff` failed with exit code 3." in told
    assert "Open tasks: Refund form." in told
    assert "Files last touched: docs/spec/refund.md." in told
    assert f"Worked here before: claude, session {claude}." in told

    told = third.heard(0)
    assert "Phase 3 of 3, ship: Ship it. It ends with DEPLOYED." in told
    assert "Phases complete: spec, build." in told
    assert "Files last touched: src/refund.py, docs/spec/refund.md." in told
    assert f"Worked here before: codex, session {codex}." in told
    assert "the phase ship is complete" in third.heard(2)

    state = stage.state()
    assert state["progress"]["finished"]
    assert {name: session["host"] for name, session in state["sessions"].items()} == {
        claude: "claude",
        codex: "codex",
        gemini: "gemini",
    }
    assert (state["stats"]["prompts"], state["stats"]["tool_calls"], state["stats"]["failures"]) == (3, 7, 1)
