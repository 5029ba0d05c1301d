"""Copilot CLI: how a call really ended, one event from two registrations, its plan, and what a compaction takes."""

import fcntl
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firing import (
    audit_of,
    command_of,
    copilot_result,
    edit_call,
    fire,
    payload,
    prompt,
    recorded,
    shell_call,
    start,
    state_of,
)
from holdfast.hosts import copilot, todos

OK, UNKNOWN = ("ok", 0), ("unknown", None)
BRIEFING = "Holdfast keeps this project's workflow, shop."


def tool_of(name="PostToolUse.Bash", **changes):
    return copilot.parse({**recorded("copilot", name), **changes}).tool


def outcome(shown, command="pytest", kind="success", **more):
    result = {"result_type": kind, "text_result_for_llm": shown}
    tool = tool_of(tool_input={"command": command, **more}, tool_result=result)
    return tool.outcome, tool.exit_code


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (copilot_result("hi"), OK),
        (copilot_result("hi", 3), ("failed", 3)),
        (copilot_result("", 127), ("failed", 127)),
        (copilot_result("hi", -1), ("failed", -1)),
        (copilot_result("hi", shell="my tests"), OK),
        (copilot_result("hi") + "\n", OK),
        # output that imitates the line, before the real one
        (copilot_result(copilot_result("hi"), 4), ("failed", 4)),
        (copilot_result(copilot_result("hi", 4)), OK),
        # it goes on: another line ends the text, whatever the output said
        ("<command started in background with shellId: s1>", UNKNOWN),
        (copilot_result("hi") + "\n<command with shellId: 3 is still running after 30 seconds.>", UNKNOWN),
        ("<command with id: 3 stopped>", UNKNOWN),
        # what is no such line
        ("hi", UNKNOWN),
        ("see <shellId: 0 completed with exit code 0>", UNKNOWN),
        ("<shellId: 0 completed with exit code 0> they say", UNKNOWN),
        ("<shellId: 0 completed with exit code >", UNKNOWN),
        ("<shellId: 0 completed with exit code --1>", UNKNOWN),
        ("<shellId: 0 completed with exit code \u00b2>", UNKNOWN),
        (f"<shellId: 0 completed with exit code {'9' * 5000}>", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
        ([copilot_result()], UNKNOWN),
    ],
)
def test_how_a_command_ended(shown, expected):
    assert outcome(shown) == expected


@given(output=st.text(alphabet="<shelId: 0completwxdr3>\n", max_size=80), code=st.integers(1, 255))
def test_no_output_hides_the_code_of_a_command_that_failed(output, code):
    assert outcome(copilot_result(output, code)) == ("failed", code)


@pytest.mark.parametrize(("command", "more"), [("pytest", {"mode": "async"}), ("pytest &", {}), ("nohup x & ", {})])
def test_a_command_that_was_sent_to_the_background_is_unknown(command, more):
    assert outcome(copilot_result(), command, **more) == UNKNOWN
    assert outcome(copilot_result("", 2), command, **more) == ("failed", 2)


@pytest.mark.parametrize(("kind", "expected"), [("failure", "failed"), ("denied", "unknown"), (None, "unknown")])
def test_a_call_that_did_not_succeed_is_never_ok(kind, expected):
    assert outcome(copilot_result(), kind=kind)[0] == expected
    assert tool_of("PostToolUse.Write", tool_result={"result_type": kind}).outcome == expected


@pytest.mark.parametrize(
    ("name", "given_input", "kind", "paths"),
    [
        ("Write", {"path": "/home/dev/shop/a.py", "file_text": "x"}, "edit", ["/home/dev/shop/a.py"]),
        ("Grep", {"pattern": "x", "path": "src"}, "search", ["src"]),
        ("WebFetch", {"url": "https://x"}, "web", []),
        ("github-mcp-server-get_file", {"path": "a.py"}, "mcp", ["a.py"]),
        ("list_agents", {}, "other", []),
        ("something_new", {"command": "pytest"}, "other", []),
    ],
)
def test_a_tools_kind_and_paths(name, given_input, kind, paths):
    tool = tool_of("PostToolUse.Write", tool_name=name, tool_input=given_input)
    assert (tool.kind, tool.paths, tool.command, tool.outcome) == (kind, paths, "", "ok")


def test_a_patch_in_the_place_of_an_edits_arguments_names_its_files(project):
    call = {**recorded("copilot", "PreToolUse.Edit.patch"), "hook_event_name": "PostToolUse"}
    done = {"result_type": "success", "text_result_for_llm": "Done."}
    patch = call["tool_input"].replace("n.txt", "docs/spec/n.md")
    made = {**payload("copilot", "PostToolUse.Edit", project), "tool_input": patch, "tool_result": done}
    assert "phase spec is complete" in fire("copilot", made, project).text
    assert state_of(project)["sessions"]["copilot-session"]["files"] == ["docs/spec/n.md", "b.txt"]


@pytest.mark.parametrize("moment", ["start", "prompt", "edit", "failure", "compaction", "turn", "end"])
def test_one_event_from_two_registrations_counts_once_and_is_answered_once(moment, project):
    """The other is Claude's: Copilot runs what is in `.claude/settings.local.json` with a payload of its own."""
    made = {
        "start": lambda: start("copilot", project),
        "prompt": lambda: prompt("copilot", project, "the refund"),
        "edit": lambda: edit_call("copilot", project, "docs/spec/a.md"),
        "failure": lambda: payload("copilot", "PostToolUseFailure.Edit", project),
        "compaction": lambda: payload("copilot", "PreCompact.auto", project),
        "turn": lambda: payload("copilot", "Stop", project),
        "end": lambda: payload("copilot", "SessionEnd.complete", project),
    }[moment]()
    first = fire("copilot", made, project)
    once = state_of(project)
    second = fire("claude", made, project)
    assert bool(first.text) == (moment in ("start", "prompt", "edit"))
    assert (second.code, second.stdout, second.stderr) == (0, "", "")
    assert state_of(project) == once
    assert [line["host"] for line in audit_of(project)] == ["copilot", "copilot"]


def test_a_start_and_its_first_prompt_run_at_the_same_moment_and_count_once_in_any_order(project):
    begun, asked = start("copilot", project), prompt("copilot", project, "the refund")
    said = [fire("copilot", made, project).text for made in (begun, asked, asked, begun)]
    assert [bool(text) for text in said] == [True, True, False, False]
    state = state_of(project)
    assert (state["stats"]["prompts"], state["stats"]["total_resumes"], state["revision"]) == (1, 0, 2)


def test_the_same_session_started_anew_is_briefed_again(project):
    for _ in range(2):
        assert BRIEFING in fire("copilot", start("copilot", project, "resume"), project).text


def test_two_calls_of_one_millisecond_are_two_events(project):
    made = shell_call("copilot", project, "make", output="a")
    other = json.loads(json.dumps(made).replace("shellId: 0", "shellId: 1"))
    for call in (made, other, made):
        fire("copilot", call, project)
    assert state_of(project)["stats"]["tool_calls"] == 2


def test_what_a_subagent_does_counts_for_its_parent_and_its_end_for_nobody(project):
    fire("copilot", start("copilot", project), project)
    before = state_of(project)
    for name in ("UserPromptSubmit.in_subagent", "PostToolUse.Bash.in_subagent"):
        fire("copilot", payload("copilot", name, project), project)
    for name, more in (("Stop.in_subagent", {}), ("PreCompact.auto", {"agent_id": "x", "parent_agent_id": "y"})):
        answer = fire("copilot", {**payload("copilot", name, project), **more}, project)
        assert (answer.code, answer.stdout, answer.stderr) == (0, "", "")
    state = state_of(project)
    assert list(state["sessions"]) == ["copilot-session"]
    assert state["revision"] == before["revision"] + 2
    assert state["stats"]["tool_calls"] == 1
    assert not state["sessions"]["copilot-session"]["unheard"]


def test_a_subagent_of_a_subagent_which_is_its_parent_counts_for_the_session_that_is_open(project):
    fire("copilot", start("copilot", project), project)
    for _ in range(2):
        nested = {"session_id": "inner", "agent_id": "inner", "parent_agent_id": "outer"}
        fire("copilot", {**payload("copilot", "PostToolUse.Bash.in_subagent", project), **nested}, project)
    state = state_of(project)
    assert list(state["sessions"]) == ["copilot-session"]
    assert state["stats"]["tool_calls"] == 2


def test_what_a_nested_subagent_does_is_counted_once_whatever_session_is_open_by_then(project):
    fire("copilot", start("copilot", project), project)
    nested = {"session_id": "inner", "agent_id": "inner", "parent_agent_id": "outer"}
    given = {**payload("copilot", "PostToolUse.Bash.in_subagent", project), **nested}
    fire("copilot", given, project)
    fire("copilot", {**start("copilot", project), "session_id": "another"}, project)
    fire("copilot", given, project)
    assert state_of(project)["stats"]["tool_calls"] == 1


def test_a_prompt_that_the_host_gives_itself_is_none(project):
    answer = fire("copilot", payload("copilot", "UserPromptSubmit.notification", project), project)
    assert (answer.code, answer.stdout) == (0, "")
    assert state_of(project)["revision"] == 0


@pytest.mark.parametrize(
    "name", ["PostToolUse.Read", "PostToolUse.Bash", "PostToolUseFailure.Edit", "UserPromptSubmit"]
)
def test_after_a_compaction_the_next_prompt_or_call_brings_the_briefing_once(name, project):
    fire("copilot", start("copilot", project), project)
    fire("copilot", payload("copilot", "PreCompact.auto", project), project)
    fire("copilot", payload("copilot", "PostToolUse.Bash.in_subagent", project), project)  # it forgot nothing
    made = payload("copilot", name, project)
    assert BRIEFING in fire("copilot", made, project).text
    assert fire("claude", made, project).stdout == "", "the same from the other registration"
    assert BRIEFING not in fire("copilot", payload("copilot", name, project), project).text


@pytest.mark.parametrize("name", ["PostToolUse.Bash", "UserPromptSubmit"])
def test_a_briefing_that_is_due_outlives_events_that_were_spooled(name, project):
    fire("copilot", start("copilot", project), project)
    with open(project / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        fire("copilot", payload("copilot", "PreCompact.auto", project), project)
        told = fire("copilot", payload("copilot", name, project), project).text
    assert BRIEFING not in told, "the state that it saw knew of no compaction"
    fire("copilot", payload("copilot", "Stop", project), project)
    assert BRIEFING in fire("copilot", payload("copilot", name, project), project).text


def test_a_read_is_counted_neither_before_nor_after_a_compaction(project):
    fire("copilot", payload("copilot", "PostToolUse.Read", project), project)
    assert not (project / ".holdfast" / "state.json").exists()
    fire("copilot", payload("copilot", "PreCompact.auto", project), project)
    assert BRIEFING in fire("copilot", payload("copilot", "PostToolUse.Read", project), project).text
    assert state_of(project)["stats"]["tool_calls"] == 0


def test_a_dry_run_shows_what_a_read_after_a_compaction_brings(project):
    fire("copilot", start("copilot", project), project)
    words = command_of("copilot", "post_tool_use")
    for compacted in (False, True):
        if compacted:
            fire("copilot", payload("copilot", "PreCompact.auto", project), project)
        data = json.dumps(payload("copilot", "PostToolUse.Read", project)).encode()
        done = subprocess.run([*words, "--dry-run"], input=data, cwd=project, capture_output=True, check=True)
        assert (BRIEFING in done.stdout.decode()) == compacted
        assert ("  unchanged" in done.stdout.decode()) != compacted


def test_a_phase_that_ends_at_the_first_call_after_a_compaction_is_told_before_the_briefing(project):
    fire("copilot", payload("copilot", "PreCompact.manual", project), project)
    lines = fire("copilot", edit_call("copilot", project, "docs/spec/a.md"), project).text.splitlines()
    assert lines[0].startswith("Holdfast: the phase spec is complete.")
    assert lines[1].startswith(f"{BRIEFING} Phase 2 of 3")


def plan(project, query):
    return {**payload("copilot", "PostToolUse.sql", project), "tool_input": {"query": query, "description": "x"}}


def test_the_agents_plan_in_its_database_becomes_tasks(project):
    fire(
        "copilot", plan(project, "INSERT INTO todos (id, title) VALUES ('a', 'Refund form'), ('b', 'It''s x')"), project
    )
    fire("copilot", plan(project, "UPDATE TODOS SET status = 'done' WHERE ID = 'a'"), project)
    fire("copilot", plan(project, "INSERT INTO todo_deps VALUES ('b', 'a'); SELECT * FROM todos"), project)
    state = state_of(project)
    assert {task["title"]: task["status"] for task in state["tasks"].values()} == {
        "Refund form": "completed",
        "It's x": "pending",
    }
    fire("copilot", plan(project, "DELETE FROM todos WHERE id IN ('b')"), project)
    assert list(state_of(project)["tasks"]) == ["refund-form"]
    assert state_of(project)["stats"]["tool_calls"] == 4


@pytest.mark.parametrize("name", ["implement-user-authentication-middleware-and-tests", "a  b", "x" * 5000, " "])
def test_a_row_is_found_again_by_whatever_id_the_model_gave_it(name, project):
    other = f"{name}-2"
    fire("copilot", plan(project, f"INSERT INTO todos (id, title) VALUES ('{name}', 'A'), ('{other}', 'B')"), project)
    fire("copilot", plan(project, f"UPDATE todos SET status = 'done', title = 'Done' WHERE id = '{name}'"), project)
    tasks = state_of(project)["tasks"].values()
    assert [(task["title"], task["status"]) for task in tasks] == [("Done", "completed"), ("B", "pending")]
    assert all(len(task["ref"]) <= 40 for task in tasks)


A, B = {"title": "x", "status": "pending", "ref": "a"}, {"title": "y; -- z", "status": "in_progress", "ref": "b"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("INSERT INTO todos (id,title,status) VALUES ('a','x','pending'),('b','y; -- z','in_progress');", [A, B]),
        ('insert or replace into "todos" ([id], `title`) values (\'a\', \'x\') on conflict (id) do nothing', [A]),
        ("REPLACE INTO todos VALUES ('a', 'x', NULL, 'pending')", [A]),
        ("-- first\nINSERT INTO todos (status, id, title) /* ( */ VALUES ('pending', 'a', 'x')", [A]),
        ("INSERT INTO todos (id, title) VALUES (7, 'x')", [{**A, "ref": "7"}]),
        ("UPDATE todos SET status='in_progress', updated_at=CURRENT_TIMESTAMP WHERE id='a'", [
            {"title": "", "status": "in_progress", "ref": "a"}
        ]),
        ("UPDATE todos SET title = 'set, where = x' WHERE id IN ('a', 'b')", [
            {"title": "set, where = x", "status": "", "ref": "a"},
            {"title": "set, where = x", "status": "", "ref": "b"},
        ]),
        ("DELETE FROM todos WHERE id = 'a'", [{"title": "", "status": "deleted", "ref": "a"}]),
        # what the text alone does not tell
        ("UPDATE todos SET status = 'done' WHERE status = 'pending'", []),
        ("UPDATE todos SET status = 'done' WHERE id = 'a' AND status = 'pending'", []),
        ("UPDATE todos SET status = 'done'", []),
        ("UPDATE todos SET description = 'x' WHERE id = 'a'", []),
        ("INSERT INTO todos SELECT * FROM others", []),
        ("INSERT INTO others (todos) VALUES ('x')", []),
        ("SELECT * FROM todos WHERE id = 'a'", []),
        ("CREATE TABLE todos (id)", []),
        ("UPDATE todos SET", []),
        ("UPDATE todos SET status = WHERE", []),
        ("INSERT VALUES INTO", []),
        ("INSERT INTO todos VALUES", []),
        ("INSERT INTO", []),
        ("DELETE FROM todos WHERE id IN (", []),
        ("DELETE FROM todos WHERE id IN", []),
        ("INSERT INTO todos VALUES ('never closed", []),
        ("todos", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_an_sql_text_says_of_the_plan(query, expected):
    assert todos.changes(query) == expected


WORDS = ["todos", "into", "values", "set", "where", "id", "in", "(", ")", ",", "'", '"', ";", "=", "x", "--", "/*"]
BEGUN = ["", "insert into todos", "insert", "update todos set x =", "update", "delete from todos where id"]


@given(st.sampled_from(BEGUN), st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_sql_text_is_read(begun, words):
    for change in todos.changes(" ".join([begun, *words])):
        assert set(change) == {"title", "status", "ref"}
