"""Claude Code: how a call really ended, and what its tools say they did."""

import pytest

from firing import recorded
from holdfast.hosts import claude

BASH, FAILED = "PostToolUse.Bash", "PostToolUseFailure.Bash"


def tool_of(name, **changes):
    return claude.parse({**recorded("claude", name), **changes}).tool


def shell(command="pytest", more=None, **response):
    given = recorded("claude", BASH)
    return tool_of(
        BASH, tool_input={"command": command, **(more or {})}, tool_response={**given["tool_response"], **response}
    )


@pytest.mark.parametrize(
    ("error", "interrupted", "expected"),
    [
        ("Exit code 3", False, ("failed", 3)),
        ("Exit code 1\n2 failed, 3 passed", False, ("failed", 1)),
        ("Exit code 143\nCommand timed out after 2m 0s", False, ("failed", 143)),
        ("Exit code -9", False, ("failed", -9)),
        ("Exit code 3 of 4", False, ("failed", None)),
        ("Exit code ", False, ("failed", None)),
        ("Exit code --3", False, ("failed", None)),
        ("Exit code 1\u00b2", False, ("failed", None)),
        ("Exit code " + "9" * 5000, False, ("failed", None)),
        ("the output says Exit code 3", False, ("failed", None)),
        ("File has not been read yet.", False, ("failed", None)),
        ("", False, ("failed", None)),
        (None, False, ("failed", None)),
        ("The user interrupted the command", True, ("unknown", None)),
        ("Exit code 137\n[Request interrupted by user for tool use]", True, ("unknown", 137)),
    ],
)
def test_a_failure_has_the_code_of_its_first_line(error, interrupted, expected):
    tool = tool_of(FAILED, error=error, is_interrupt=interrupted)
    assert (tool.outcome, tool.exit_code) == expected


@pytest.mark.parametrize("is_interrupt", [None, False, "true", 1])
def test_only_a_plain_true_says_that_a_call_was_interrupted(is_interrupt):
    assert tool_of(FAILED, is_interrupt=is_interrupt).outcome == "failed"


def test_a_failed_edit_names_its_file_and_has_no_code():
    tool = tool_of(
        FAILED, tool_name="Edit", tool_input={"file_path": "/home/dev/shop/a.py"}, error="String to replace not found"
    )
    assert (tool.kind, tool.outcome, tool.exit_code, tool.paths) == ("edit", "failed", None, ["/home/dev/shop/a.py"])


def test_a_command_that_ended_has_ended_well_with_code_0():
    tool = shell("pytest -q 2>&1 | tail -5 && make")
    assert (tool.outcome, tool.exit_code) == ("ok", 0)


@pytest.mark.parametrize(
    "tool",
    [
        lambda: shell(more={"run_in_background": True}, backgroundTaskId="b1"),
        lambda: shell(more={"run_in_background": True}),
        lambda: shell(backgroundTaskId="b1"),
        lambda: shell(backgroundTaskId="b1", backgroundedByUser=True),
        lambda: shell(backgroundedByTimeout=True),
        lambda: shell(interrupted=True),
        lambda: shell(returnCodeInterpretation="No matches found"),
        lambda: shell("pytest &"),
        lambda: shell("pytest -q > log 2>&1 & echo started"),
    ],
)
def test_a_command_whose_end_is_not_told_is_unknown(tool):
    assert (tool().outcome, tool().exit_code) == ("unknown", None)


@pytest.mark.parametrize(
    "response", [{"backgroundTaskId": ""}, {"backgroundTaskId": None}, {"backgroundedByUser": False}]
)
def test_a_command_that_was_not_sent_to_the_background_ended_well(response):
    assert shell(more={"run_in_background": False}, **response).outcome == "ok"


@pytest.mark.parametrize("response", [None, "text", [], 5])
def test_a_response_of_another_shape_is_no_failure(response):
    assert tool_of(BASH, tool_response=response).outcome == "ok"


def test_the_ampersand_of_powershell_calls_a_program_and_waits():
    tool = tool_of(BASH, tool_name="PowerShell", tool_input={"command": "& 'C:/x/pytest.exe'"})
    assert (tool.kind, tool.outcome) == ("shell", "ok")


@pytest.mark.parametrize(
    ("name", "response", "expected"),
    [
        ("PostToolUse.mcp__tiny__add", '{"sum":3}', "ok"),
        ("PostToolUse.mcp__tiny__add", {"isError": True, "content": []}, "failed"),
        ("PostToolUse.mcp__tiny__add", {"isError": False}, "ok"),
        ("PostToolUse.mcp__tiny__add", [{"type": "text", "text": "3"}], "ok"),
        ("PostToolUse.Skill", {"success": False, "commandName": "x"}, "failed"),
        ("PostToolUse.TaskUpdate", {"success": False, "taskId": "9", "error": "Task not found"}, "failed"),
    ],
)
def test_a_result_that_calls_itself_an_error_failed(name, response, expected):
    assert tool_of(name, tool_response=response).outcome == expected


def test_an_agent_in_the_background_has_not_ended():
    assert tool_of("PostToolUse.Agent").outcome == "ok"
    started = {"prompt": "x", "subagent_type": "Explore", "run_in_background": True}
    assert (
        tool_of("PostToolUse.Agent", tool_input=started, tool_response={"status": "async_launched"}).outcome
        == "unknown"
    )


@pytest.mark.parametrize(
    ("name", "given", "kind", "paths"),
    [
        (
            "NotebookEdit",
            {"notebook_path": "/home/dev/shop/nb.ipynb", "new_source": "1"},
            "edit",
            ["/home/dev/shop/nb.ipynb"],
        ),
        ("MultiEdit", {"file_path": "/home/dev/shop/a.py", "edits": []}, "edit", ["/home/dev/shop/a.py"]),
        ("Glob", {"pattern": "**/*.py", "path": "src"}, "search", ["src"]),
        ("Write", {"file_path": ""}, "edit", []),
        ("Write", {"file_path": 5}, "edit", []),
        ("WebFetch", {"url": "https://shop.test"}, "web", []),
        ("WebSearch", {"query": "x"}, "web", []),
        ("Task", {"prompt": "x"}, "agent", []),
        ("SomethingNew", {"command": "pytest", "skill": "x"}, "other", []),
    ],
)
def test_a_tools_kind_and_paths(name, given, kind, paths):
    tool = tool_of("PostToolUse.Write", tool_name=name, tool_input=given, tool_response={})
    assert (tool.kind, tool.paths, tool.command, tool.skill, tool.outcome) == (kind, paths, "", "", "ok")


@pytest.mark.parametrize(
    ("name", "given", "response", "todos", "whole"),
    [
        ("TodoWrite", {"todos": []}, {}, [], True),
        ("TodoWrite", {"todos": "x"}, {}, [], True),
        ("TodoWrite", {"todos": [1, {"content": "a"}]}, {}, [{"title": "a", "status": ""}], True),
        ("TaskCreate", {"subject": "a"}, "created", [{"title": "a", "status": "pending", "ref": ""}], False),
        ("TaskCreate", {"subject": "a"}, {"task": {"id": 7}}, [{"title": "a", "status": "pending", "ref": "7"}], False),
        ("TaskUpdate", {"taskId": 7, "subject": "b"}, {}, [{"title": "b", "status": "", "ref": "7"}], False),
        (
            "TaskUpdate",
            {"taskId": "7", "status": "deleted"},
            {},
            [{"title": "", "status": "deleted", "ref": "7"}],
            False,
        ),
        ("TaskGet", {"taskId": "7"}, {}, [], False),
    ],
)
def test_the_todos_of_a_plan_tool(name, given, response, todos, whole):
    tool = tool_of("PostToolUse.TodoWrite", tool_name=name, tool_input=given, tool_response=response)
    assert (tool.kind, tool.todos, tool.whole_list) == ("plan", todos, whole)
