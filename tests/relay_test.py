"""The main job, from the outside: one workflow through all hosts, by the real entrypoints on recorded payloads."""

import pytest

from firing import HOSTS, background_call, edit_call, fire, payload, prompt, shell_call, start, state_of

OTHER = dict(zip(HOSTS, (*HOSTS[1:], HOSTS[0]), strict=True))


@pytest.mark.parametrize("host", HOSTS)
def test_one_workflow_through_one_host_and_handed_over_to_another(host, project):
    def send(given, to=host):
        answer = fire(to, given, project)
        assert (answer.code, answer.stderr) == (0, "")
        return answer.text

    assert "Write the spec" in send(start(host, project))
    told = send(prompt(host, project, "please handle the REFUND of a damaged item"))
    assert "payment-rules" in told
    assert "release-notes" not in told
    assert send(prompt(host, project, "rename the variable x to y")) == ""
    send(shell_call(host, project, "pytest -q", 0, "3 passed"))
    assert state_of(project)["phase"] == "spec"
    assert "phase spec is complete" in send(edit_call(host, project, "docs/spec/a/refund.md"))
    send(edit_call(host, project, "src/refund.py"))
    send(shell_call(host, project, "python -m pytest -q", 1, "1 failed"))
    if host in ("claude", "gemini"):
        send(background_call(host, project, "pytest -q"))
    assert state_of(project)["phase"] == "build"
    brief = send(start(OTHER[host], project), OTHER[host])
    for part in ("Build it", "src/refund.py", "python -m pytest -q", host):
        assert part in brief
    send(shell_call(host, project, "python -m pytest -q", 0, "4 passed"))
    state = state_of(project)
    assert state["phase"] == "ship"
    assert state["stats"]["tool_calls"] == (6 if host in ("claude", "gemini") else 5)
    assert (state["stats"]["prompts"], state["stats"]["failures"]) == (2, 1)
    assert state["current_session"]["host"] == OTHER[host]
    assert len(state["sessions"]) == 2
    assert "python -m pytest" not in send(start(host, project, "resume"))


@pytest.mark.parametrize("host", HOSTS)
def test_the_same_delivery_twice_counts_once(host, project):
    given = edit_call(host, project, "src/a.py")
    fire(host, given, project)
    fire(host, given, project)
    assert state_of(project)["stats"]["tool_calls"] == 1
    fire(host, edit_call(host, project, "src/a.py"), project)
    assert state_of(project)["stats"]["tool_calls"] == 2


@pytest.mark.parametrize("host", HOSTS)
def test_a_resume_and_a_compaction_are_briefed(host, project):
    fire(host, edit_call(host, project, "docs/spec/a.md"), project)
    if host == "copilot":  # nothing fires after its compaction
        fire(host, payload(host, "PreCompact.auto", project), project)
        assert "Build it" in fire(host, payload(host, "PostToolUse.Read", project), project).text
    for source in ("resume", *{"gemini": ["clear"], "copilot": []}.get(host, ["compact"])):
        answer = fire(host, start(host, project, source), project)
        if (host, source) == ("gemini", "clear"):
            assert answer.text == "", "what is said after /clear is dropped by the host"
            answer = fire(host, prompt(host, project, "hello"), project)
        assert "Build it" in answer.text


def test_a_compaction_subagent_changes_nothing(project):
    fire("claude", edit_call("claude", project, "src/a.py"), project)
    before = state_of(project)
    answer = fire("claude", payload("claude", "SubagentStop", project), project, hook="turn_end")
    assert answer.stdout == ""
    assert state_of(project) == before


def test_a_subagents_calls_count_for_its_parent(project):
    fire("claude", start("claude", project), project)
    given = payload("claude", "PostToolUse.Bash.in_subagent", project)
    fire("claude", given, project)
    state = state_of(project)
    assert state["stats"]["tool_calls"] == 1
    assert set(state["sessions"]) == {"claude-session"}
