"""Each host's recorded payloads read as the events that they are, and any payload is an event, nothing or a ValueError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firing import HOSTS, PAYLOADS, PROMPT, SHELL, STARTED, WRITTEN, recorded
from holdfast import hosts, spooled
from holdfast.events import ID_LIMIT, KINDS, MOMENTS, OUTCOMES
from holdfast.lean import dumps, loads

SHOP = "/home/dev/shop"
NAMES = {host: sorted(path.stem for path in (PAYLOADS / host).glob("*.json")) for host in HOSTS}
EVERY = [(host, name) for host in HOSTS for name in NAMES[host]]

# What of the event differs from a plain one of its moment; what of the tool differs from a plain one that ended well.
# {host: {payload: (moment, {of the event}, {of the tool} or None)}}. What is not named here is nothing to us.
START, DONE, END = "session_start", "tool_done", "session_end"
CLAUDE = {
    "SessionStart.startup": (START, {"source": "startup"}, None),
    "SessionStart.resume": (START, {"source": "resume"}, None),
    "SessionStart.clear": (START, {"source": "clear"}, None),
    "SessionStart.compact": (START, {"source": "compact"}, None),
    "UserPromptSubmit": ("prompt", {"prompt": "go [[main]]"}, None),
    "PostToolUse.Agent": (DONE, {}, {"kind": "agent"}),
    "PostToolUse.AskUserQuestion": (DONE, {}, {"kind": "other"}),
    "PostToolUse.Bash": (DONE, {}, {"kind": "shell", "command": "echo A", "exit_code": 0}),
    "PostToolUse.Bash.in_subagent": (
        DONE,
        {"subagent": "aa2d194d7b7eb7cb7"},
        {"kind": "shell", "name": "Bash", "command": "echo insub", "exit_code": 0},
    ),
    "PostToolUse.Edit": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "PostToolUse.ExitPlanMode": (DONE, {}, {"kind": "plan"}),
    "PostToolUse.Grep": (DONE, {"cwd": f"{SHOP}/sub"}, {"kind": "search"}),
    "PostToolUse.Read": (DONE, {}, {"kind": "read", "paths": [f"{SHOP}/a.txt"]}),
    "PostToolUse.Skill": (DONE, {}, {"kind": "skill", "skill": "p1:s1"}),
    "PostToolUse.TaskCreate": (
        DONE,
        {},
        {"kind": "plan", "todos": [{"title": "Task one", "status": "pending", "ref": "1"}]},
    ),
    "PostToolUse.TaskList": (DONE, {"cwd": f"{SHOP}/sub"}, {"kind": "plan"}),
    "PostToolUse.TaskUpdate": (
        DONE,
        {},
        {"kind": "plan", "todos": [{"title": "", "status": "in_progress", "ref": "1"}]},
    ),
    "PostToolUse.TodoWrite": (
        DONE,
        {},
        {
            "kind": "plan",
            "todos": [{"title": "Do x", "status": "in_progress"}, {"title": "Do y", "status": "pending"}],
            "whole_list": True,
        },
    ),
    "PostToolUse.ToolSearch": (DONE, {"cwd": f"{SHOP}/sub"}, {"kind": "search"}),
    "PostToolUse.Write": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "PostToolUse.mcp__tiny__add": (DONE, {}, {"kind": "mcp"}),
    "PostToolUseFailure.Bash": (
        DONE,
        {},
        {"kind": "shell", "command": "false; exit 3", "outcome": "failed", "exit_code": 3},
    ),
    "PreCompact.auto": ("before_compaction", {"source": "auto"}, None),
    "PreCompact.manual": ("before_compaction", {"source": "manual"}, None),
    "Stop": ("turn_end", {}, None),
    "SessionEnd.clear": (END, {"source": "clear"}, None),
    "SessionEnd.other": (END, {"source": "other"}, None),
    "SessionEnd.prompt_input_exit": (END, {"source": "prompt_input_exit"}, None),
}
GEMINI = {
    "SessionStart.startup": (START, {"source": "startup"}, None),
    "SessionStart.resume": (START, {"source": "resume"}, None),
    "SessionStart.clear": (START, {"source": "clear", "unheard": True}, None),
    "BeforeAgent": ("prompt", {"prompt": "do the thing"}, None),
    "AfterTool.invoke_agent": (DONE, {}, {"kind": "agent"}),
    "AfterTool.list_directory": (DONE, {}, {"kind": "search", "paths": ["."]}),
    "AfterTool.mcp_echo-srv_say_it": (DONE, {}, {"kind": "mcp"}),
    "AfterTool.read_file": (DONE, {}, {"kind": "read", "paths": [f"{SHOP}/a.txt"]}),
    "AfterTool.replace": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "AfterTool.run_shell_command": (
        DONE,
        {},
        {"kind": "shell", "command": "echo hi; false", "outcome": "failed", "exit_code": 1},
    ),
    "AfterTool.write_file": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "AfterTool.write_todos": (
        DONE,
        {},
        {"kind": "plan", "todos": [{"title": "do x", "status": "in_progress"}], "whole_list": True},
    ),
    "PreCompress.manual": ("before_compaction", {"source": "manual", "unheard": True}, None),
    "AfterAgent": ("turn_end", {}, None),
    "AfterAgent.active": ("turn_end", {}, None),
    "SessionEnd.exit": (END, {"source": "exit"}, None),
}
SUBAGENT = {"subagent": "01a1f82b-2403-7d70-87d7-94356c7b9639"}
CODEX = {
    "SessionStart.startup": (START, {"source": "startup"}, None),
    "SessionStart.startup.ephemeral": (START, {"source": "startup", "transcript": ""}, None),
    "SessionStart.resume": (START, {"source": "resume"}, None),
    "SessionStart.clear": (START, {"source": "clear"}, None),
    "SessionStart.compact": (START, {"source": "compact"}, None),
    "UserPromptSubmit": ("prompt", {"prompt": "do the thing"}, None),
    "UserPromptSubmit.in_subagent": ("prompt", {"prompt": "explore stuff", **SUBAGENT}, None),
    # the transcript is not on this machine
    "PostToolUse.Bash": (DONE, {}, {"kind": "shell", "command": "echo hi; exit 3", "outcome": "unknown"}),
    "PostToolUse.Bash.in_subagent": (
        DONE,
        SUBAGENT,
        {"kind": "shell", "name": "Bash", "command": "sleep 1; echo B", "outcome": "unknown"},
    ),
    "PostToolUse.apply_patch": (DONE, {}, {"kind": "edit", "paths": ["a.txt"]}),
    "PostToolUse.mcp__echo_srv__say_it": (DONE, {}, {"kind": "mcp"}),
    "PostToolUse.spawn_agent": (DONE, {}, {"kind": "agent"}),
    "PreCompact.auto": ("before_compaction", {"source": "auto"}, None),
    "PreCompact.manual": ("before_compaction", {"source": "manual"}, None),
    "Stop": ("turn_end", {}, None),
    "Stop.active": ("turn_end", {}, None),
    "SessionEnd": (END, {"source": "other"}, None),
}
CHILD = {"subagent": "ses_e06c3edbbffel0rJKY9w4nXWTp"}
FAILED = {"outcome": "failed"}
OPENCODE = {
    "session.start.startup": (START, {"source": "startup"}, None),
    "session.start.resume": (START, {"source": "resume"}, None),
    "session.start.fork": (START, {"source": "fork"}, None),
    "session.start.compact": (START, {"source": "compact"}, None),
    "chat.message": ("prompt", {"prompt": '"handle the refund"'}, None),
    "chat.message.in_subagent": ("prompt", {"prompt": "do it SUBTASK", **CHILD}, None),
    "tool.execute.after.bash": (DONE, {}, {"kind": "shell", "command": "echo hi", "exit_code": 0}),
    "tool.execute.after.bash.failed": (
        DONE,
        {},
        {"kind": "shell", "command": "echo hi; exit 3", "exit_code": 3, **FAILED},
    ),
    "tool.execute.after.bash.timed_out": (DONE, {}, {"kind": "shell", "command": "sleep 5", "outcome": "unknown"}),
    "tool.execute.after.bash.in_subagent": (
        DONE,
        CHILD,
        {"kind": "shell", "command": "exit 2", "exit_code": 2, **FAILED},
    ),
    "tool.execute.after.write": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "tool.execute.after.edit": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "tool.execute.after.apply_patch": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/src/n.txt", f"{SHOP}/b.txt"]}),
    "tool.execute.after.apply_patch.delete": (DONE, {}, {"kind": "edit"}),
    "tool.execute.after.read": (DONE, {}, {"kind": "read", "paths": [f"{SHOP}/a.txt"]}),
    "tool.execute.after.todowrite": (
        DONE,
        {},
        {
            "kind": "plan",
            "todos": [
                {"title": "Refund form", "status": "pending"},
                {"title": "Refund mail", "status": "in_progress"},
            ],
            "whole_list": True,
        },
    ),
    "tool.execute.after.task": (DONE, {}, {"kind": "agent"}),
    "tool.execute.after.x_echo": (DONE, {}, {"kind": "mcp"}),
    "tool.execute.after.invalid": (DONE, {}, {"kind": "other", **FAILED}),
    "message.part.updated.apply_patch": (DONE, {}, {"kind": "edit", **FAILED}),
    "message.part.updated.edit": (DONE, {}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"], **FAILED}),
    "message.part.updated.read": (DONE, {}, {"kind": "read", "paths": [f"{SHOP}/nope.txt"], **FAILED}),
    "message.part.updated.skill": (DONE, {}, {"kind": "skill", "skill": "spec-writer", **FAILED}),
    "message.part.updated.x_bad": (DONE, {}, {"kind": "mcp", **FAILED}),
    "message.part.updated.bash.forbidden": (
        DONE,
        {},
        {"kind": "shell", "command": "rm -rf x", "outcome": "unknown"},
    ),
    "message.part.updated.bash.rejected": (DONE, {}, {"kind": "shell", "command": "curl x", "outcome": "unknown"}),
    "experimental.session.compacting": ("before_compaction", {}, None),
    "session.idle": ("turn_end", {}, None),
    "session.end": (END, {"source": "dispose"}, None),
}
IN_SUBAGENT = {"subagent": "ffa6c700-31ea-4625-8bab-3a0257f0fbc7", "session": "7aa41d02-0563-42ba-8950-f40e8b9ebf85"}
COPILOT = {
    "SessionStart.startup": (START, {"source": "startup"}, None),
    "SessionStart.resume": (START, {"source": "resume"}, None),
    "UserPromptSubmit": ("prompt", {"prompt": "hello [[A]]"}, None),
    "UserPromptSubmit.in_subagent": ("prompt", {"prompt": "do it [[SUB]]", **IN_SUBAGENT}, None),
    "PostToolUse.Agent": (DONE, {"recalls": True}, {"kind": "agent"}),
    "PostToolUse.Agent.background": (
        DONE,
        {"recalls": True, "cwd": f"{SHOP}/sub"},
        {"kind": "agent", "outcome": "unknown"},
    ),
    "PostToolUse.Bash": (
        DONE,
        {"recalls": True},
        {"kind": "shell", "command": "echo hi; echo err >&2; exit 3", "outcome": "failed", "exit_code": 3},
    ),
    "PostToolUse.Bash.async": (
        DONE,
        {"recalls": True},
        {"kind": "shell", "command": "sleep 1; echo late", "outcome": "unknown"},
    ),
    "PostToolUse.Bash.in_subagent": (DONE, IN_SUBAGENT, {"kind": "shell", "command": "echo in sub", "exit_code": 0}),
    "PostToolUse.Edit": (DONE, {"recalls": True}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "PostToolUse.Glob": (DONE, {"recalls": True}, {"kind": "search"}),
    "PostToolUse.Grep": (DONE, {"recalls": True}, {"kind": "search"}),
    "PostToolUse.Read": (DONE, {"recalls": True}, {"kind": "read", "paths": [f"{SHOP}/a.txt"]}),
    "PostToolUse.Write": (DONE, {"recalls": True}, {"kind": "edit", "paths": [f"{SHOP}/a.txt"]}),
    "PostToolUse.list_bash": (DONE, {"recalls": True, "cwd": f"{SHOP}/sub"}, {"kind": "other"}),
    "PostToolUse.skill": (DONE, {"recalls": True}, {"kind": "skill", "skill": "claudeskill"}),
    "PostToolUse.sql": (
        DONE,
        {"recalls": True},
        {"kind": "plan", "todos": [{"title": "do x", "status": "pending", "ref": "a"}]},
    ),
    "PostToolUse.sql.update": (
        DONE,
        {"recalls": True},
        {"kind": "plan", "todos": [{"title": "", "status": "completed", "ref": "a"}]},
    ),
    "PostToolUse.sql.select": (DONE, {"recalls": True}, {"kind": "other"}),
    "PostToolUse.x-echo": (DONE, {"recalls": True}, {"kind": "mcp"}),
    "PostToolUseFailure.Bash": (DONE, {"recalls": True}, {"kind": "other", "outcome": "failed"}),
    "PostToolUseFailure.Edit": (
        DONE,
        {"recalls": True},
        {"kind": "edit", "paths": [f"{SHOP}/a.txt"], "outcome": "failed"},
    ),
    "PostToolUseFailure.x-bad": (DONE, {"recalls": True}, {"kind": "mcp", "outcome": "failed"}),
    "PreCompact.auto": ("before_compaction", {"source": "auto", "unheard": True}, None),
    "PreCompact.manual": ("before_compaction", {"source": "manual", "unheard": True}, None),
    "Stop": ("turn_end", {}, None),
    "SessionEnd.complete": (END, {"source": "complete"}, None),
    "SessionEnd.user_exit": (END, {"source": "user_exit"}, None),
}
EXPECTED = {"claude": CLAUDE, "gemini": GEMINI, "codex": CODEX, "opencode": OPENCODE, "copilot": COPILOT}
OURS = [(host, name) for host in HOSTS for name in EXPECTED[host]]


def parse(host, payload):
    return hosts.module(host).parse(payload)


def test_every_payload_in_the_table_was_recorded():
    assert [pair for pair in OURS if pair not in EVERY] == []


@pytest.mark.parametrize(("host", "name"), OURS)
def test_a_recorded_payload_reads_as_the_event_that_it_is(host, name):
    payload = recorded(host, name)
    moment, of_event, of_tool = EXPECTED[host][name]
    event = parse(host, payload)
    plain = {
        "host": host,
        "moment": moment,
        "name": payload["hook_event_name"],
        "session": payload["session_id"],
        "cwd": SHOP,
        "source": "",
        "transcript": payload.get("transcript_path", ""),
        "subagent": "",
        "unheard": False,
        "recalls": False,
        "at": 0.0,
        "matches": {},
    }
    found = spooled.to_dict(event)
    key, tool = found.pop("key"), found.pop("tool", None)
    prompt = of_event.get("prompt", "")
    assert event.prompt == prompt
    assert found == {**plain, **{name: value for name, value in of_event.items() if name != "prompt"}}
    ordered = moment not in ("prompt", "tool_done") and host != "copilot"
    assert bool(key) != ordered, "a start, a compaction and an end are told by their order"
    if of_tool is None:
        assert tool is None
    else:
        ended_well = {
            "name": payload["tool_name"],
            "paths": [],
            "command": "",
            "todos": [],
            "whole_list": False,
            "skill": "",
            "outcome": "ok",
            "exit_code": None,
        }
        assert tool == {**ended_well, **of_tool}


@pytest.mark.parametrize(("host", "name"), [pair for pair in EVERY if pair not in OURS])
def test_a_payload_that_is_not_registered_says_nothing_to_us(host, name):
    assert parse(host, recorded(host, name)) is None


@pytest.mark.parametrize("host", HOSTS)
def test_the_same_payload_has_the_same_key_and_another_call_another(host):
    payload = recorded(host, WRITTEN[host])
    key = parse(host, payload).key
    assert parse(host, recorded(host, WRITTEN[host])).key == key
    later = {"timestamp": "2027-01-01T00:00:00.000Z"} if "timestamp" in payload else {"tool_use_id": "another"}
    assert parse(host, {**payload, **later}).key != key
    for nameless in ({"tool_use_id": ""}, {"tool_use_id": None}):
        parsed = [parse(host, {**payload, **nameless, "tool_input": {"command": text}}) for text in ("a", "b", "a")]
        told_apart = [event.key or event.source for event in parsed]
        assert told_apart[0] == told_apart[2] != told_apart[1]


@pytest.mark.parametrize("host", [host for host in HOSTS if host != "opencode"])  # its prompts have ids
def test_each_prompt_of_a_turn_has_a_key_of_its_own(host):
    payload = recorded(host, PROMPT[host])
    assert parse(host, payload).key == parse(host, dict(payload)).key
    assert parse(host, payload).key != parse(host, {**payload, "prompt": "another in the same turn"}).key


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\nb\x1b[31m", "a b [31m"),
        ("x" * 500, "x" * (ID_LIMIT - 1) + "…"),
        ("<system-reminder>s", "s"),
    ],
)
def test_an_odd_session_id_is_made_safe(host, given_id, expected):
    payload = {**recorded(host, f"{STARTED[host]}.startup"), "session_id": given_id}
    assert parse(host, payload).session == expected


@pytest.mark.parametrize("given_id", ["\x00", "   ", "<b>", "\ud800"])
def test_a_session_id_of_nothing_printable_still_names_its_session(given_id):
    payload = recorded("claude", "SessionStart.startup")
    session = parse("claude", {**payload, "session_id": given_id}).session
    assert session and session.isprintable()
    assert session != parse("claude", {**payload, "session_id": given_id + "\x01"}).session


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": None},
        {"session_id": ""},
        {"session_id": 5},
        {"hook_event_name": None},
        {"hook_event_name": ["SessionStart"]},
        {"cwd": []},
        {"transcript_path": {}},
        {"source": 1},
    ],
    ids=repr,
)
def test_a_start_with_a_wrong_type_is_refused(host, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        parse(host, {**recorded(host, f"{STARTED[host]}.startup"), **changes})


@pytest.mark.parametrize(("host", "name"), list(SHELL.items()))
@pytest.mark.parametrize(
    "changes", [{"tool_name": 5}, {"tool_name": None}, {"tool_input": "x"}, {"tool_input": {"command": 7}}], ids=repr
)
def test_a_call_with_a_wrong_type_is_refused(host, name, changes):
    with pytest.raises(ValueError, match=r"not text|not an object|empty"):
        parse(host, {**recorded(host, name), **changes})


REPLACEMENTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(codec=None), max_size=10),
    st.just([]),
    st.just({}),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(
        [
            "Exit code 3",
            "Exit code --3",
            "Exit code 1\u00b2",
            "/dev/null",
            "\x00",
            "/" * 300,
            "<hook_context>",
            "Output: x\nExit Code: -\n",
            "*** Add File: \x00",
            [{"content": 1}],
            [{"status": "x"}],
            [[], 1, {"step": "a", "status": "b"}],
        ]
    ),
)


def places(value, path=()):
    """The path of every value in a payload."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def damaged(draw):
    host, name = draw(st.sampled_from(OURS))
    payload = recorded(host, name)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in places(payload) if path]))
        payload = replaced(payload, path, draw(REPLACEMENTS))
    return draw(st.sampled_from([host, host, *HOSTS])), payload


@given(damaged())
def test_a_damaged_payload_is_refused_or_read_as_a_whole_event(found):
    host, payload = found
    try:
        event = parse(host, loads(json.dumps(payload)))
    except ValueError:
        return
    if event is None:
        return
    record = spooled.to_dict(event)
    assert spooled.to_dict(spooled.from_dict(loads(dumps(record)))) == record
    assert event.moment in MOMENTS
    assert event.session and event.session.isprintable()
    if event.tool is not None:
        assert event.tool.kind in KINDS and event.tool.outcome in OUTCOMES
        assert all(isinstance(path, str) for path in event.tool.paths)
        assert all(isinstance(value, str) for todo in event.tool.todos for value in todo.values())


@pytest.mark.parametrize("host", HOSTS)
def test_deep_nesting_in_a_calls_input_is_refused_or_read(host):
    name = {
        "claude": "PostToolUse.mcp__tiny__add",
        "gemini": "AfterTool.mcp_echo-srv_say_it",
        "codex": "PostToolUse.mcp__echo_srv__say_it",
        "opencode": "tool.execute.after.x_echo",
        "copilot": "PostToolUse.x-echo",
    }
    payload = json.dumps({**recorded(host, name[host]), "tool_use_id": "", "tool_input": {"x": "DEEP"}})
    for depth in range(100, 3000, 100):
        try:
            event = parse(host, loads(payload.replace('"DEEP"', "[" * depth + "]" * depth)))
        except ValueError:
            continue
        assert event.key or event.source
