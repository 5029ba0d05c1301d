"""OpenCode: how a call really ended, told from what its bridge writes."""

import pytest

from firing import fire, payload, recorded, state_of
from holdfast.hosts import opencode

AFTER, ERROR = "tool.execute.after.bash", "message.part.updated.edit"


def tool_of(name=AFTER, **changes):
    return opencode.parse({**recorded("opencode", name), **changes}).tool


@pytest.mark.parametrize(
    ("code", "command", "expected"),
    [
        (0, "pytest", ("ok", 0)),
        (1, "pytest", ("failed", 1)),
        (127, "pytest", ("failed", 127)),
        (-9, "pytest", ("failed", -9)),
        (None, "pytest", ("unknown", None)),
        ("0", "pytest", ("unknown", None)),
        (True, "pytest", ("unknown", None)),
        (0.0, "pytest", ("unknown", None)),
        (0, "pytest &", ("unknown", None)),
        (0, "(pytest -q > log 2>&1 &)", ("unknown", None)),
        (2, "pytest &", ("failed", 2)),
        (10**300, "pytest", ("unknown", None)),
    ],
)
def test_how_a_command_ended(code, command, expected):
    tool = tool_of(tool_input={"command": command}, tool_response={"exit": code})
    assert (tool.outcome, tool.exit_code) == expected


def test_a_command_without_a_word_on_how_it_ended_is_unknown():
    for response in ({}, None):
        assert tool_of(tool_response=response).outcome == "unknown"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"error": "Could not find oldString in the file."}, "failed"),
        ({}, "failed"),
        ({"error": "Tool execution aborted", "interrupted": True}, "unknown"),
        ({"error": "Tool execution aborted"}, "unknown"),
        ({"error": "x", "interrupted": True}, "unknown"),
        ({"error": "The user rejected permission to use this specific tool call."}, "unknown"),
        ({"error": "The user has specified a rule which prevents you from using this"}, "unknown"),
        ({"error": "cat: The user rejected permission"}, "failed"),
    ],
)
def test_what_was_aborted_or_refused_did_not_fail(response, expected):
    assert tool_of(ERROR, tool_response=response).outcome == expected


@pytest.mark.parametrize(
    ("name", "given", "kind", "paths", "skill"),
    [
        ("edit", {"filePath": "/home/dev/shop/a.py"}, "edit", ["/home/dev/shop/a.py"], ""),
        ("write", {}, "edit", [], ""),
        ("glob", {"pattern": "*.py", "path": "src"}, "search", ["src"], ""),
        ("grep", {"pattern": "x"}, "search", [], ""),
        ("list", {"path": "src"}, "search", ["src"], ""),
        ("skill", {"name": "spec-writer"}, "skill", [], "spec-writer"),
        ("todoread", {}, "plan", [], ""),
        ("webfetch", {"url": "x"}, "web", [], ""),
        ("websearch", {"query": "x"}, "web", [], ""),
        ("task", {"prompt": "x", "subagent_type": "general"}, "agent", [], ""),
        ("question", {"name": "x", "command": "pytest"}, "other", [], ""),
        ("my_tool", {"name": "x"}, "other", [], ""),
    ],
)
def test_a_tools_kind_paths_and_skill(name, given, kind, paths, skill):
    tool = tool_of(tool_name=name, tool_input=given, tool_response={})
    assert (tool.kind, tool.paths, tool.skill, tool.command, tool.outcome) == (kind, paths, skill, "", "ok")


@pytest.mark.parametrize(("error", "outcome"), [(False, "ok"), (True, "failed")])
def test_an_mcp_servers_tool_is_told_by_its_result(error, outcome):
    tool = tool_of(tool_name="my_tool", tool_input={}, tool_response={"isError": error})
    assert (tool.kind, tool.outcome) == ("mcp", outcome)


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ([{"filePath": "/a", "type": "add"}, {"filePath": "/b", "type": "update"}], ["/a", "/b"]),
        ([{"filePath": "/a", "movePath": "/b", "type": "move"}], ["/b"]),
        ([{"filePath": "/a", "type": "delete"}], []),
        ([{"relativePath": "a", "type": "add"}], ["a"]),
        ([{"filePath": 5}, "x", {}, []], []),
        ("x", []),
        (None, []),
    ],
)
def test_the_files_of_a_patch_are_those_that_it_wrote(files, paths):
    assert tool_of(tool_name="apply_patch", tool_input={}, tool_response={"files": files}).paths == paths


def test_the_list_of_a_subagent_does_not_wipe_its_parents(project):
    todos = payload("opencode", "tool.execute.after.todowrite", project)
    fire("opencode", todos, project)
    todos["tool_input"]["todos"] = [{"content": "Look closer", "status": "pending", "priority": "low"}]
    inner = payload("opencode", "tool.execute.after.todowrite", project, agent_id="ses_child")
    inner["tool_input"] = todos["tool_input"]
    fire("opencode", inner, project)
    titles = {task["title"] for task in state_of(project)["tasks"].values()}
    assert titles == {"Refund form", "Refund mail", "Look closer"}
    fire("opencode", {**todos, "tool_use_id": "prt_another"}, project)
    assert {task["title"] for task in state_of(project)["tasks"].values()} == {"Look closer"}


def test_a_subagents_calls_and_prompts_count_for_its_parent(project):
    fire("opencode", payload("opencode", "session.start.startup", project), project)
    inner = payload("opencode", "chat.message.in_subagent", project, prompt="look at the refund")
    assert "payment-rules" in fire("opencode", inner, project).text
    fire("opencode", payload("opencode", "tool.execute.after.bash.in_subagent", project), project)
    state = state_of(project)
    assert list(state["sessions"]) == ["opencode-session"]
    assert (state["stats"]["prompts"], state["stats"]["failures"]) == (1, 1)
    own = payload("opencode", "chat.message", project, prompt="handle the refund")
    assert "payment-rules" in fire("opencode", own, project).text, "what a subagent was told its parent was not"


def test_a_fork_is_briefed_and_is_no_resume(project):
    assert "Phase 1 of 3" in fire("opencode", payload("opencode", "session.start.fork", project), project).text
    assert state_of(project)["stats"]["total_resumes"] == 0
