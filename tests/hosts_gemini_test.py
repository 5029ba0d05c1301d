"""Gemini CLI: how a call really ended, told from what the model is shown, and the user's own words of a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firing import fire, gemini_result, prompt, recorded, state_of
from holdfast.hosts import gemini

SHELL = "AfterTool.run_shell_command"


def tool_of(name=SHELL, **changes):
    return gemini.parse({**recorded("gemini", name), **changes}).tool


def outcome(shown, command="pytest", more=None, **response):
    tool = tool_of(tool_input={"command": command, **(more or {})}, tool_response={"llmContent": shown, **response})
    return tool.outcome, tool.exit_code


OK, UNKNOWN = ("ok", 0), ("unknown", None)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (gemini_result("hi"), OK),
        (gemini_result("hi", 1), ("failed", 1)),
        (gemini_result("", 127), ("failed", 127)),
        (gemini_result(""), OK),
        (gemini_result("a\nb\nc", 2), ("failed", 2)),
        (gemini_result("a\n\n\n"), OK),
        ("Output: hi\nProcess Group PGID: 1", OK),
        ("Output: hi", OK),
        ("Output: hi\nExit Code: 1", ("failed", 1)),
        # killed, jobs that went on
        (gemini_result("hi", 0, "Signal: 15"), ("failed", None)),
        (gemini_result("hi", 0, "Background PIDs: 77, 78"), UNKNOWN),
        ("Output: hi\nExit Code: 3\nBackground PIDs: 77\nProcess Group PGID: 1", ("failed", 3)),
        ("Output: hi\nSignal: 9\nBackground PIDs: 77\nProcess Group PGID: 1", ("failed", None)),
        ("Output: hi\nExit Code: 137\nSignal: 9\nProcess Group PGID: 1", ("failed", 137)),
        # an error of the shell itself, whose text may have lines of its own
        (gemini_result("hi", 0, "Error: spawn bash ENOENT"), ("failed", None)),
        (gemini_result("hi", 1, "Error: first line\nsecond line\nProcess Group PGID: 9"), ("failed", 1)),
        (gemini_result("hi", 1, "Error: a\nExit Code: 0"), ("failed", 1)),
        # output that looks like a trailer, before a real one
        (gemini_result("Exit Code: 0\nProcess Group PGID: 1", 1), ("failed", 1)),
        (gemini_result("all fine\nExit Code: 0", 2), ("failed", 2)),
        (gemini_result("Exit Code: 1\nthat was another run"), OK),
        (gemini_result("Exit Code: 1"), OK),
        (gemini_result("the summary\nExit Code: 0"), OK),
        (gemini_result("the summary\nExit Code: see below"), OK),
        (gemini_result("Error: one\nError: two\nin the log"), OK),
        (gemini_result("</untrusted_context>\nOutput: x", 1), ("failed", 1)),
        # output whose last line cannot be told from a trailer: never ok
        (gemini_result("the summary\nExit Code: 1"), ("failed", 1)),
        # not ended, or not told
        (
            "<untrusted_context>\nCommand moved to background (PID: 77). Output hidden. Press Ctrl+B to view.\n</untrusted_context>",
            UNKNOWN,
        ),
        ("Command was cancelled by user before it could complete.", UNKNOWN),
        (
            "Command was cancelled by user before it could complete. Below is the output before it was cancelled:\nOutput: hi",
            UNKNOWN,
        ),
        ("Command timed out after 5 minutes without output.", UNKNOWN),
        ("The tests passed.", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
        (5, UNKNOWN),
        ({"text": "Output: hi"}, UNKNOWN),
        # a list of parts
        ([{"text": gemini_result("hi")}], OK),
        ([{"text": "Output: hi\n"}, {"text": "Exit Code: 4"}], ("failed", 4)),
        ([{"inlineData": {}}, {"text": gemini_result("hi", 1)}], ("failed", 1)),
        ([{"text": 5}, "x"], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_how_a_command_ended(shown, expected):
    assert outcome(shown) == expected


@given(output=st.text(alphabet="aE \nrxit Code:10SgnalOupPID", max_size=60), code=st.integers(1, 255))
def test_no_output_hides_the_code_of_a_command_that_failed(output, code):
    assert outcome(gemini_result(output, code)) == ("failed", code)


@pytest.mark.parametrize("error", [{"message": "x", "type": "SHELL_EXECUTE_ERROR"}, "x"])
def test_an_error_beside_the_result_is_a_failure_of_any_tool(error):
    assert outcome(gemini_result("hi"), error=error)[0] == "failed"
    for name in ("AfterTool.write_file", "AfterTool.mcp_echo-srv_say_it", "AfterTool.read_file"):
        assert tool_of(name, tool_response={"llmContent": "x", "error": error}).outcome == "failed"
        assert tool_of(name, tool_response={"llmContent": "x", "error": None}).outcome == "ok"


@pytest.mark.parametrize(
    ("command", "more"),
    [("pytest", {"is_background": True}), ("pytest &", {}), ("(pytest -q > log 2>&1 &)", {"is_background": False})],
)
def test_a_command_that_was_sent_to_the_background_is_unknown(command, more):
    assert outcome(gemini_result(), command, more) == UNKNOWN
    assert outcome(gemini_result("", 2), command, more) == ("failed", 2)


@pytest.mark.parametrize(
    ("name", "given_input", "kind", "paths", "skill"),
    [
        ("replace", {"file_path": "/home/dev/shop/a.py"}, "edit", ["/home/dev/shop/a.py"], ""),
        ("read_many_files", {"include": ["**/*.py"]}, "read", [], ""),
        ("glob", {"pattern": "*.py", "dir_path": "src"}, "search", ["src"], ""),
        ("grep_search", {"pattern": "x", "path": "src"}, "search", ["src"], ""),
        ("activate_skill", {"name": "spec-writer"}, "skill", [], "spec-writer"),
        ("activate_skill", {"skill": "spec-writer"}, "skill", [], "spec-writer"),
        ("web_fetch", {"prompt": "x"}, "web", [], ""),
        ("google_web_search", {"query": "x"}, "web", [], ""),
        ("something_new", {"command": "pytest", "name": "x"}, "other", [], ""),
    ],
)
def test_a_tools_kind_paths_and_skill(name, given_input, kind, paths, skill):
    tool = tool_of("AfterTool.write_file", tool_name=name, tool_input=given_input, tool_response={"llmContent": "done"})
    assert (tool.kind, tool.paths, tool.skill, tool.command, tool.outcome) == (kind, paths, skill, "", "ok")


CONTEXT = "<hook_context>Phase 1 of 3, &lt;b&gt;</hook_context>"


@pytest.mark.parametrize(
    ("given_prompt", "own"),
    [
        ("write it", "write it"),
        (f"{CONTEXT}\n\nwrite it", "write it"),
        (f"{CONTEXT}write it", "write it"),
        (f"\n {CONTEXT}\n\nwrite it", "write it"),
        (f"{CONTEXT}\n\n{CONTEXT}\n\nwrite it", "write it"),
        (f"{CONTEXT}{CONTEXT}{CONTEXT}write it", "write it"),
        (f"{CONTEXT}\n\n  indented\n", "  indented\n"),
        (CONTEXT, ""),
        (f"write it\n{CONTEXT}", f"write it\n{CONTEXT}"),
        (f"{CONTEXT}\n\nexplain {CONTEXT} to me", f"explain {CONTEXT} to me"),
        ("<hook_context>never closed, write it", "<hook_context>never closed, write it"),
        (f"{CONTEXT}\n\n<hook_context>never closed", "<hook_context>never closed"),
        ("<hook_contexts>x</hook_context>y", "<hook_contexts>x</hook_context>y"),
        ("</hook_context>write it", "</hook_context>write it"),
        ("", ""),
        ("\n\nwrite it", "\n\nwrite it"),
    ],
)
def test_a_prompt_is_the_users_own_words(given_prompt, own):
    assert gemini.parse({**recorded("gemini", "BeforeAgent"), "prompt": given_prompt}).prompt == own


def test_a_prompt_of_many_contexts_is_read_within_the_hooks_time(project):
    text = "<hook_context></hook_context>\n" * 150_000 + "the refund"
    assert "payment-rules" in fire("gemini", prompt("gemini", project, text), project).text
    assert state_of(project)["stats"]["prompts"] == 1


def test_an_automatic_compression_is_no_event_and_a_manual_one_tells_nothing_to_the_model():
    assert gemini.parse(recorded("gemini", "PreCompress.auto")) is None
    assert gemini.parse({**recorded("gemini", "PreCompress.manual"), "trigger": "new"}) is None
    assert gemini.parse(recorded("gemini", "PreCompress.manual")).unheard


@pytest.mark.parametrize(
    "shown",
    [
        "<untrusted_context>\nOutput: x\nExit Code: 1\nProcess Group PGID: 1\n</untrusted_context>\n\na note",
        "<untrusted_context>\nOutput: x\nExit Code: 1\n\nProcess Group PGID: 1\n</untrusted_context>",
    ],
)
def test_only_what_stands_inside_the_tag_tells_how_it_ended(shown):
    assert gemini._shell_outcome(shown) == ("failed", 1)
