"""Codex CLI: exit codes from the transcript, whatever it looks like, and the paths of a patch."""

import json
import os
import random

import pytest

from firing import edit_call, fire, make_project, recorded, shell_call, state_of, transcript_line
from holdfast.hosts import codex

CALL = "call_7"
LONG = "".join(random.Random(7).choices('abcdefghij é😀\n\t"\\\x1b', k=codex.TAIL))


def outcome(path, output="", call=CALL, command="pytest"):
    """How a shell call ended, told from the transcript at `path`."""
    changes = {"transcript_path": path and str(path), "tool_use_id": call, "tool_input": {"command": command}}
    tool = codex.parse({**recorded("codex", "PostToolUse.Bash"), **changes, "tool_response": output}).tool
    return tool.outcome, tool.exit_code


UNKNOWN = ("unknown", None)


@pytest.fixture
def transcript(tmp_path):
    path = tmp_path / "rollout-x.jsonl"

    def write(*lines):
        path.write_bytes(b"".join(lines))
        return path

    return write


def other(text="x"):
    """A line of the transcript that is no command's."""
    return json.dumps({"type": "response_item", "payload": {"type": "message", "text": text}}).encode() + b"\n"


@pytest.mark.parametrize(
    ("code", "expected"), [(0, ("ok", 0)), (3, ("failed", 3)), (-1, ("failed", -1)), (255, ("failed", 255))]
)
def test_the_code_of_the_call(transcript, code, expected):
    assert outcome(transcript(other(), transcript_line(CALL, code, "hi"), other())) == expected


@pytest.mark.parametrize("code", [None, "3", 3.5, [], {}])
def test_a_code_that_is_none_is_unknown(transcript, code):
    assert outcome(transcript(transcript_line(CALL, code))) == UNKNOWN


def test_the_last_of_two_lines_about_a_call_counts(transcript):
    assert outcome(transcript(transcript_line(CALL, None), transcript_line(CALL, 2))) == ("failed", 2)
    assert outcome(transcript(transcript_line(CALL, 2), transcript_line(CALL, 0))) == ("ok", 0)


def test_parallel_calls_have_each_their_own_code(transcript):
    path = transcript(*(transcript_line(f"call_{number}", number, "same output") for number in range(9)))
    assert [outcome(path, "same output", f"call_{number}")[1] for number in range(9)] == list(range(9))


def test_another_calls_line_is_not_taken(transcript):
    path = transcript(transcript_line("call_70", 1), transcript_line("call_", 1), transcript_line("xcall_7", 1))
    assert outcome(path) == UNKNOWN


def test_a_call_that_other_lines_speak_of_has_no_code_of_theirs(transcript):
    speaking = f'{{"id":"{CALL}","exit_code":5}}'
    path = transcript(
        transcript_line("call_1", 1, speaking),
        transcript_line("call_2", 1, "x", command=speaking),
        other(speaking),
        json.dumps(
            {"payload": {"type": "function_call_output", "call_id": CALL, "output": '"CommandExecution"'}}
        ).encode(),
        b'\n{"payload":{"item":{"type":"CommandExecution","id":"call_3","exit_code":1,"note":{"id":"call_7"}}}}\n',
    )
    assert outcome(path) == UNKNOWN


def test_a_long_output_stands_between_the_id_and_the_code(transcript):
    output = "x" * 110_000
    assert outcome(transcript(other(), transcript_line(CALL, 3, output)), output) == ("failed", 3)


def test_an_output_that_names_the_call_over_and_over_is_read_within_the_hooks_time(project):
    given = shell_call("codex", project, "make", 4, tool_use_id="c")
    line = transcript_line("call_1", 1).replace(b'"cwd":', b'"x":[' + b'"c",' * 60_000 + b'0],"cwd":')
    with open(given["transcript_path"], "ab") as file:
        file.write(line)
    assert fire("codex", given, project).code == 0
    assert state_of(project)["stats"] | {"tool_calls": 1, "failures": 1} == state_of(project)["stats"]


@pytest.mark.parametrize("code", [0, 3])
def test_a_line_longer_than_the_tail_is_told_by_the_end_of_its_output(transcript, code):
    path = transcript(other(), transcript_line(CALL, code, LONG), other())
    assert path.stat().st_size > codex.TAIL
    assert outcome(path, LONG) == ("failed" if code else "ok", code)
    assert outcome(path, "cut by the host\n" + LONG[-5000:]) == ("failed" if code else "ok", code)
    assert outcome(path, LONG + "\n  ") == ("failed" if code else "ok", code)


@pytest.mark.parametrize("shift", range(14))
def test_a_cut_inside_an_escape_does_not_hide_the_code(transcript, shift):
    output = "x" * codex.TAIL + '\x1b\u2028\\"' * 200 + "y" * shift
    assert outcome(transcript(transcript_line(CALL, 6, output)), output) == ("failed", 6)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "short",
        LONG[:-1] + "?",
        LONG + "more",
        "another output, long enough to be told apart",
        LONG[: len(LONG) // 2],
    ],
    ids=["empty", "short", "another end", "more", "another", "beginning"],
)
def test_a_cut_line_whose_output_differs_is_not_taken(transcript, output):
    assert outcome(transcript(transcript_line(CALL, 3, LONG)), output) == UNKNOWN


def test_a_cut_line_whose_output_is_too_short_to_tell_is_not_taken(transcript):
    line = transcript_line(CALL, 3, "passed").replace(b'"parsed_cmd":[', b'"parsed_cmd":["' + b"x" * codex.TAIL + b'",')
    assert outcome(transcript(line), "passed") == UNKNOWN


def test_a_cut_line_that_ends_in_blanks_is_not_taken(transcript):
    path = transcript(transcript_line(CALL, 3, "x" * codex.TAIL + "\n" * 500))
    assert outcome(path, "another output, long enough to be told apart") == UNKNOWN


def test_a_cut_line_without_a_code_is_unknown(transcript):
    assert outcome(transcript(transcript_line(CALL, None, LONG)), LONG) == UNKNOWN


def test_the_calls_own_line_goes_before_a_cut_one(transcript):
    path = transcript(transcript_line("call_1", 3, LONG), transcript_line(CALL, None, LONG[-500:]))
    assert outcome(path, LONG) == UNKNOWN


def test_what_lies_before_the_tail_is_not_read(transcript):
    assert outcome(transcript(transcript_line(CALL, 3, "hi"), other("y" * codex.TAIL)), "hi") == UNKNOWN


def test_a_line_that_is_being_written_has_no_code(transcript):
    line = transcript_line(CALL, 3, "hi")
    for kept in (len(line) - 1, len(line) - 2, len(line) // 2, 150):
        expected = ("failed", 3) if kept == len(line) - 1 else UNKNOWN
        assert outcome(transcript(other(), line[:kept])) == expected


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\n\n",
        b"\xff\xfe",
        b"[" * 100_000,
        b'"call_7" "CommandExecution"\n',
        b'[]"call_7""CommandExecution"',
        b'{"payload":[],"CommandExecution":"call_7"}\n',
        b'{"payload":{"item":[{"type":"CommandExecution","id":"call_7"}]}}\n',
    ],
)
def test_a_transcript_of_junk_tells_nothing(transcript, junk):
    assert outcome(transcript(junk)) == UNKNOWN


def test_no_transcript_tells_nothing(tmp_path):
    assert outcome(None) == UNKNOWN
    assert outcome("") == UNKNOWN
    assert outcome(tmp_path / "absent") == UNKNOWN
    assert outcome(tmp_path) == UNKNOWN
    assert outcome("a\x00b") == UNKNOWN
    assert outcome("/dev/zero") == UNKNOWN


def test_a_call_without_an_id_has_no_code(transcript):
    assert outcome(transcript(transcript_line("", 3)), call="") == UNKNOWN
    assert outcome(transcript(transcript_line(CALL, 3)), call="\ud800") == UNKNOWN


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_a_transcript_that_nobody_writes_does_not_hold_the_hook_up(tmp_path):
    project = make_project(tmp_path / "shop")
    os.mkfifo(tmp_path / "fifo")
    answer = fire(
        "codex", shell_call("codex", project, "pytest") | {"transcript_path": str(tmp_path / "fifo")}, project
    )
    assert (answer.code, answer.stderr) == (0, "")
    assert state_of(project)["stats"]["tool_calls"] == 1, "the event counts, as one whose outcome is unknown"


@pytest.mark.parametrize("command", ["pytest &", "pytest & echo started"])
def test_a_command_that_a_shell_sent_to_the_background_is_unknown(transcript, command):
    assert outcome(transcript(transcript_line(CALL, 0)), command=command) == UNKNOWN
    assert outcome(transcript(transcript_line(CALL, 2)), command=command) == ("failed", 2)


@pytest.mark.parametrize(
    ("patch", "paths"),
    [
        ("*** Begin Patch\n*** Add File: a.txt\n+one\n*** End Patch\n", ["a.txt"]),
        ("*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+y\n*** End Patch", ["src/a.py"]),
        ("*** Begin Patch\n*** Delete File: old.py\n*** End Patch\n", []),
        ("*** Begin Patch\n*** Update File: a.py\n*** Move to: b/c.py\n@@\n x\n*** End Patch\n", ["b/c.py"]),
        (
            "*** Begin Patch\n*** Add File: a b.md\n+x\n*** Update File: /abs/é.py\n@@\n-x\n*** Delete File: c\n*** End Patch\n",
            ["a b.md", "/abs/é.py"],
        ),
        ("*** Begin Patch\r\n*** Add File: a.txt\r\n+one\r\n*** End Patch\r\n", ["a.txt"]),
        ("*** Begin Patch\n*** Add File: a.md\n+*** Add File: no.md\n+ *** Move to: no.md\n*** End Patch\n", ["a.md"]),
        (
            "*** Begin Patch\n*** Update File: a.md\n@@\n *** Add File: no.md\n-*** Delete File: no.md\n*** End Patch\n",
            ["a.md"],
        ),
        ("", []),
        ("*** Begin Patch\n*** End Patch\n", []),
    ],
)
def test_the_paths_of_a_patch(patch, paths):
    tool = codex.parse({**recorded("codex", "PostToolUse.apply_patch"), "tool_input": {"command": patch}}).tool
    assert (tool.kind, tool.paths, tool.outcome, tool.command) == ("edit", paths, "ok", "")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Exit code: 0\nOutput:\nSuccess.", "ok"),
        ("Exit code: 1\nOutput:\nno", "failed"),
        ("Done", "ok"),
        (None, "ok"),
        ({}, "ok"),
    ],
)
def test_how_a_patch_ended(response, expected):
    assert (
        codex.parse({**recorded("codex", "PostToolUse.apply_patch"), "tool_response": response}).tool.outcome
        == expected
    )


@pytest.mark.parametrize(
    ("name", "given", "response", "expected"),
    [
        ("mcp__echo_srv__say_it", {"text": "x"}, {"content": [], "isError": True}, ("mcp", "failed", [])),
        ("mcp__echo_srv__say_it", {"text": "x"}, {"content": []}, ("mcp", "ok", [])),
        ("view_image", {"path": "/home/dev/shop/a.png"}, "x", ("read", "ok", ["/home/dev/shop/a.png"])),
        ("spawn_agent", {"message": "x"}, '{"agent_id":"x"}', ("agent", "ok", [])),
        ("web_search", {"query": "x"}, "x", ("web", "ok", [])),
        ("something_new", {"command": "pytest"}, "x", ("other", "ok", [])),
    ],
)
def test_a_tools_kind_outcome_and_paths(name, given, response, expected):
    payload = {
        **recorded("codex", "PostToolUse.spawn_agent"),
        "tool_name": name,
        "tool_input": given,
        "tool_response": response,
    }
    tool = codex.parse(payload).tool
    assert (tool.kind, tool.outcome, tool.paths) == expected
    assert tool.command == ""


def test_a_plan_is_the_whole_list_of_todos():
    plan = [{"step": "Read", "status": "completed"}, {"step": "Write", "status": "in_progress"}, 5]
    payload = recorded("codex", "PostToolUse.spawn_agent")
    tool = codex.parse(
        {**payload, "tool_name": "update_plan", "tool_input": {"plan": plan}, "tool_response": "Plan updated"}
    ).tool
    assert tool.todos == [{"title": "Read", "status": "completed"}, {"title": "Write", "status": "in_progress"}]
    assert (tool.kind, tool.whole_list) == ("plan", True)


def test_a_rename_writes_the_new_file_and_not_the_old_one(tmp_path):
    project = make_project(tmp_path / "shop")
    patch = "*** Begin Patch\n*** Update File: docs/spec/a.md\n*** Move to: src/b.md\n@@\n x\n*** End Patch\n"
    fire("codex", edit_call("codex", project, "x") | {"tool_input": {"command": patch}}, project)
    assert state_of(project)["sessions"]["codex-session"]["files"] == ["src/b.md"]
    assert state_of(project)["phase"] == "spec", "moving the spec away does not write it"
