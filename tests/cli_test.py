"""The commands that show and alter the state: what they print, what they leave in the state, what they refuse."""

import ast
import json
import re
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import worlds
from commanding import edit_state, environment, process, run, state_file
from firing import audit_of, command_of, fire, make_project, prompt, shell_call, start, state_of
from holdfast import dryrun, spooled
from holdfast.cli import hook as hook_command
from holdfast.cli import merge_patch
from holdfast.cli import workflow as workflow_command
from holdfast.state import spool
from holdfast.workflow import index, templates

FLOW = """
version: 1
name: shop
phases:
  - {id: spec, title: Write the spec, next: SPEC_WRITTEN, guidance: Describe the behaviour first.}
  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}
  - {id: ship}
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  CODE_WRITTEN: {tool: edit, path: "src/**"}
  TESTS_PASSED: {tool: shell, command: pytest, outcome: ok}
  APPROVED: {}
skills:
  payment-rules: {priority: high, keywords: [refund]}
"""


@pytest.fixture
def shop(tmp_path):
    return make_project(tmp_path / "shop", FLOW)


def put_in_spool(project, path="docs/spec/a.md"):
    """Leave an event behind that could not be written in time."""
    event = worlds.event("tool_done", tool=worlds.tool("edit", paths=[path]))
    event.matches = {"signals": [["SPEC_WRITTEN", []]]}
    spool.put(str(project / ".holdfast"), spooled.to_dict(event))


def files_of(project):
    return {path: path.read_bytes() for path in (project / ".holdfast").rglob("*") if path.is_file()}


# -- state


def test_state_read_prints_the_document_without_its_seal(shop):
    run(shop, "phase", "set", "build")
    said = run(shop, "state", "read")
    shown = json.loads(said.out)
    kept = json.loads(state_file(shop).read_text())
    assert said.code == 0 and not said.err
    assert shown == {key: value for key, value in kept.items() if key != "seal"}
    assert said.lines[1].startswith('  "')


def test_state_read_counts_what_waits_in_the_spool_and_leaves_it_there(shop):
    run(shop, "phase", "set", "spec")
    put_in_spool(shop)
    before = files_of(shop)
    shown = json.loads(run(shop, "state", "read").out)
    assert (shown["phase"], shown["stats"]["tool_calls"]) == ("build", 1)
    assert files_of(shop) == before


@pytest.mark.parametrize(
    "words", [["state", "read"], ["status"], ["phase", "set", "ship"], ["task", "done", "nothing"]]
)
def test_a_damaged_state_comes_back_from_a_copy_and_is_told_once(shop, words):
    run(shop, "phase", "set", "build")
    data = state_file(shop).read_bytes()
    state_file(shop).write_bytes(data[: len(data) // 2])
    said = run(shop, *words)
    told = said.err.splitlines()
    assert said.code == (1 if "nothing" in words else 0)
    assert "recovered" in told[0] and len(told) == (2 if said.code else 1)
    assert [path.read_bytes() for path in (shop / ".holdfast").glob("state.json.corrupt-*")] == [data[: len(data) // 2]]
    again = run(shop, "state", "read")
    assert again.err == ""
    assert json.loads(again.out)["phase"] == ("ship" if "ship" in words else "build")


def test_a_state_of_a_newer_release_is_left_alone(shop):
    run(shop, "mode", "paused")
    edit_state(shop, '"schema_version":1', '"schema_version":2')
    before = files_of(shop)
    for words in (["state", "read"], ["state", "validate"], ["status"], ["mode", "stopped"]):
        said = run(shop, *words)
        assert said.code == 3 and "newer" in said.err and len(said.err.splitlines()) == 1
    assert files_of(shop) == before


def cut(data):
    return data[:50]


def without_mode(data):
    return data.replace(b'"mode":"monitoring",', b"").replace(b'"prompts":0', b'"prompts":"x"')


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (lambda data: data, 0, ["valid, revision 1"]),
        (lambda data: data.replace(b"monitoring", b"paused"), 0, ["edited by hand"]),
        (cut, 3, ["damaged", "state read", "state.json"]),
        (lambda data: bytes(len(data)), 3, ["damaged"]),
        (lambda _data: b"", 3, ["damaged"]),
        (without_mode, 4, ["mode: is missing", "stats.prompts: should be a valid integer"]),
        (lambda data: data.replace(b'"tasks":', b'"jobs":'), 4, ["jobs: there is no such key", "tasks: is missing"]),
        (
            lambda data: data.replace(b'"signals":{}', b'"signals":{"A":"x"}', 1),
            4,
            ["signals.A: should be a valid number"],
        ),
        (lambda _data: b"[]", 4, ["object"]),
        (None, 3, ["gone", "copy"]),
    ],
)
def test_state_validate_says_what_is_wrong_and_changes_nothing(shop, spoil, code, told):
    run(shop, "phase", "set", "spec")
    data = state_file(shop).read_bytes()
    state_file(shop).unlink()
    if spoil:
        state_file(shop).write_bytes(spoil(data))
    before = files_of(shop)
    said = run(shop, "state", "validate")
    assert said.code == code
    for words in told:
        assert words in (said.err if code else said.out)
    assert all(line.startswith("holdfast: ") for line in said.err.splitlines())
    assert files_of(shop) == before


def test_state_validate_of_a_project_without_a_state_says_so(shop):
    said = run(shop, "state", "validate")
    assert said.code == 0 and "no state yet" in said.out


def test_state_patch_changes_what_it_names_and_prints_it(shop):
    run(shop, "task", "add", "Write it")
    patch = {"mode": "paused", "tasks": {"write-it": None}, "stats": {"prompts": 7}}
    said = run(shop, "state", "patch", json.dumps(patch))
    assert said.code == 0
    assert said.lines == ['mode: "monitoring" -> "paused"', "stats.prompts: 0 -> 7", "tasks.write-it: removed"]
    state = state_of(shop)
    assert (state["mode"], state["tasks"], state["stats"]["prompts"]) == ("paused", {}, 7)


def test_state_patch_takes_the_patch_from_stdin(shop):
    assert run(shop, "state", "patch", "-", stdin=b'{"mode": "stopped"}').code == 0
    assert state_of(shop)["mode"] == "stopped"


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ('{"stats": {"prompts": NaN}}', "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "object"),
        ('"mode"', "object"),
        ('{"revision": 9}', "revision"),
        ('{"schema_version": 2}', "schema_version"),
        ('{"seal": "00"}', "seal"),
        ('{"mode": "asleep"}', "mode"),
        ('{"phase": "biuld"}', "it has spec, build, ship"),
        ('{"phase": null}', "it has spec, build, ship"),
        ('{"stats": null}', "stats"),
        ('{"stats": {"prompts": -1}}', "stats.prompts"),
        ('{"tasks": {"a": {"title": 5}}, "colour": 1}', "tasks.a.title"),
        ('{"signals": {"A": true}}', "signals.A:"),
    ],
)
def test_state_patch_refuses_what_would_be_no_valid_state_of_the_workflow(shop, patch, told):
    run(shop, "phase", "set", "build")
    before = state_file(shop).read_bytes()
    said = run(shop, "state", "patch", "-", stdin=patch.encode())
    assert said.code == 4 and told in said.err and len(said.err.splitlines()) == 1
    assert state_file(shop).read_bytes() == before


def test_state_patch_that_is_no_text_is_refused(shop):
    assert run(shop, "state", "patch", "-", stdin=b'{"mode": "\xff"}').code == 4


def test_null_stands_as_null_where_the_key_must_stay(shop):
    fire("claude", start("claude", shop), shop)
    assert state_of(shop)["current_session"]
    assert run(shop, "state", "patch", '{"current_session": null}').code == 0
    assert state_of(shop)["current_session"] is None


def test_a_patch_that_changes_nothing_writes_nothing(shop):
    run(shop, "mode", "paused")
    before = state_file(shop).read_bytes()
    said = run(shop, "state", "patch", '{"mode": "paused", "tasks": {}}')
    assert (said.code, said.out) == (0, "nothing changed\n")
    assert state_file(shop).read_bytes() == before


def test_a_patched_phase_is_entered_as_by_phase_set(shop):
    run(shop, "signal", "emit", "TESTS_PASSED")
    run(shop, "state", "patch", '{"phase": "build"}')
    state = state_of(shop)
    assert state["progress"]["completed"] == ["spec"]
    assert state["progress"]["entered"] == state["revision"]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_the_rfc(target, patch, result):
    assert merge_patch.merged(target, patch) == result


DOCUMENTS = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def patch_between(before, after):
    """The merge patch that makes one object of another, neither of which holds null."""
    patch = {key: None for key in before if key not in after}
    for key, value in after.items():
        if isinstance(value, dict):
            old = before.get(key)
            patch[key] = patch_between(old if isinstance(old, dict) else {}, value)
        elif before.get(key) != value:
            patch[key] = value
    return patch


@given(st.dictionaries(st.text("abc", max_size=2), DOCUMENTS), st.dictionaries(st.text("abc", max_size=2), DOCUMENTS))
def test_a_patch_between_two_documents_makes_one_of_the_other(before, after):
    kept = json.dumps(before)
    result = merge_patch.merged(before, patch_between(before, after))
    assert result == after
    assert json.dumps(before) == kept
    assert (merge_patch.differences(before, after) == []) == (before == after)


# -- status


def test_status_tells_where_the_work_stands(shop):
    fire("claude", start("claude", shop), shop)
    fire("claude", shell_call("claude", shop, "make check", code=2), shop)
    run(shop, "task", "add", "Write the refund API")
    run(shop, "signal", "emit", "SPEC_WRITTEN")
    run(shop, "signal", "emit", "TESTS_PASSED")
    put_in_spool(shop)
    said = run(shop, "status")
    assert said.code == 0 and not said.err
    for fact in (
        "shop",
        "2 of 3, build: Build it",
        "CODE_WRITTEN (already there: TESTS_PASSED)",
        "monitoring",
        "`make check` failed with exit code 2",
        "1 open, 0 done",
        "- Write the refund API",
        "SPEC_WRITTEN (",
        "claude claude-session, started",
        "tool calls 2, failures 1",
        "1 events wait",
        str(shop / ".holdfast" / "backups"),
    ):
        assert fact in said.out


def test_status_of_a_project_without_a_state_shows_its_first_phase(shop):
    facts = json.loads(run(shop, "status", "--json").out)
    assert facts["phase"]["id"] == "spec" and facts["phase"]["needs"] == ["SPEC_WRITTEN"]
    assert (facts["session"], facts["last_failure"], facts["last_backup"]) == (None, None, None)
    assert not state_file(shop).exists()


def test_status_as_json_has_the_keys_that_its_help_names(shop):
    fire("claude", start("claude", shop), shop)
    fire("claude", shell_call("claude", shop, "make check", code=2), shop)
    facts = json.loads(run(shop, "status", "--json").out)
    lines = run(shop, "status", "--help").out.partition("Keys of --json")[2].partition("Examples:")[0].splitlines()[1:]
    named = {}
    for line in filter(str.strip, lines):
        keys, _, meaning = line.strip().partition("  ")
        for key in keys.split(", "):
            named[key] = re.findall(r"\{(.*)\}", meaning)
    assert list(facts) == list(named)
    for key, inner in named.items():
        if key not in {"signals", "tasks"} and inner:
            value = facts[key][0] if isinstance(facts[key], list) and facts[key] else facts[key]
            assert not value or list(value) == [re.split(":", name)[0] for name in inner[0].split(", ")], key


def test_status_shows_what_needs_the_users_eye(shop):
    run(shop, "phase", "set", "build")
    (shop / ".holdfast" / "workflow.yaml").write_text(FLOW.replace("version: 1", "version: 7"))
    said = run(shop, "status")
    assert said.code == 0 and "cannot be used" in said.out and "2 of 3, build" in said.out
    assert "version" in json.loads(run(shop, "status", "--json").out)["workflow_error"]
    (shop / ".holdfast" / "workflow.yaml").write_text(FLOW.replace("build", "make"))
    facts = json.loads(run(shop, "status", "--json").out)
    assert facts["workflow_error"] is None and facts["phase"]["id"] == "spec"
    assert [told for told in facts["notices"] if "build" in told["text"]]


def test_status_strips_what_a_terminal_would_obey(shop):
    run(shop, "task", "add", "x")
    edit_state(shop, '"title":"x"', '"title":"\\u001b[31mred\\u0007"')
    assert "\x1b" not in run(shop, "status").out + run(shop, "task", "list").out
    assert json.loads(run(shop, "task", "list", "--json").out)[0]["title"] == "\x1b[31mred\x07"


# -- phase


def test_phase_set_goes_to_a_phase_and_completes_those_before_it(shop):
    fire("claude", start("claude", shop), shop)
    said = run(shop, "phase", "set", "ship")
    assert said.out == "phase: spec -> ship, 3 of 3; no signal ends it\n"
    state = state_of(shop)
    assert (state["phase"], state["progress"]["completed"]) == ("ship", ["spec", "build"])
    assert state["current_session"]["steps_completed"] == [1, 2]
    run(shop, "phase", "set", "spec")
    state = state_of(shop)
    assert (state["phase"], state["progress"]["completed"]) == ("spec", [])
    assert state["current_session"]["steps_completed"] == []


def test_signals_from_before_a_phase_was_set_do_not_end_it(shop):
    run(shop, "phase", "set", "build")
    run(shop, "signal", "emit", "CODE_WRITTEN")
    run(shop, "phase", "set", "build")
    run(shop, "signal", "emit", "TESTS_PASSED")
    assert state_of(shop)["phase"] == "build"
    run(shop, "signal", "emit", "CODE_WRITTEN")
    assert state_of(shop)["phase"] == "ship"


def test_a_finished_workflow_goes_on_from_the_phase_that_is_set(shop):
    (shop / ".holdfast" / "workflow.yaml").write_text(FLOW.replace("{id: ship}", "{id: ship, next: SHIPPED}"))
    run(shop, "phase", "set", "ship")
    assert "with it the workflow" in run(shop, "signal", "emit", "SHIPPED").out
    assert json.loads(run(shop, "status", "--json").out)["finished"] is True
    assert "all phases are complete" in run(shop, "status").out
    run(shop, "phase", "set", "ship")
    assert state_of(shop)["progress"]["finished"] is False


def test_an_unknown_phase_is_refused_with_those_that_there_are(shop):
    said = run(shop, "phase", "set", "biuld")
    assert said.code == 4 and "spec, build, ship" in said.err
    assert not state_file(shop).exists()


def test_phase_show_and_list_tell_the_phase_that_the_work_is_in(shop):
    run(shop, "phase", "set", "build")
    assert "Phase 2 of 3, build: Build it. It ends with CODE_WRITTEN, TESTS_PASSED" in run(shop, "phase", "show").out
    assert run(shop, "phase", "list").lines == ["x spec   Write the spec", "> build  Build it", "  ship   ship"]


# -- task


def test_a_task_is_added_listed_and_done(shop):
    added = run(shop, "task", "add", "Write the refund API")
    assert added.out == "write-the-refund-api\n"
    assert "Write the refund API" in run(shop, "task", "list").out
    assert run(shop, "task", "done", added.out.strip()).out == "write-the-refund-api: done\n"
    assert run(shop, "task", "list").out == "no open tasks\n"
    listed = json.loads(run(shop, "task", "list", "--all", "--json").out)
    assert [(task["id"], task["status"]) for task in listed] == [("write-the-refund-api", "completed")]
    assert state_of(shop)["completed_tasks"] == ["write-the-refund-api"]
    assert run(shop, "task", "done", "write-the-refund-api").code == 0


def test_a_task_is_done_by_its_title_too(shop):
    run(shop, "task", "add", "Überprüfen: alles")
    assert run(shop, "task", "done", "Überprüfen: alles").code == 0
    assert len(state_of(shop)["completed_tasks"]) == 1


def test_the_same_title_is_the_same_task_and_opens_it_again(shop):
    first = run(shop, "task", "add", "Write it").out
    run(shop, "state", "patch", '{"tasks": {"write-it": {"status": "in_progress"}}}')
    assert run(shop, "task", "add", "Write it").out == first
    assert state_of(shop)["tasks"]["write-it"]["status"] == "in_progress"
    run(shop, "task", "done", "write-it")
    assert run(shop, "task", "add", "Write it").out == first
    assert [task["status"] for task in state_of(shop)["tasks"].values()] == ["pending"]


def test_an_unknown_task_is_refused_with_those_that_are_near(shop):
    run(shop, "task", "add", "Write the refund API")
    said = run(shop, "task", "done", "write-refund-api")
    assert said.code == 1 and "did you mean write-the-refund-api" in said.err


@pytest.mark.parametrize("title", ["", "   ", "\x1b\x07", "x" * 161])
def test_a_title_that_is_no_title_is_refused(shop, title):
    assert run(shop, "task", "add", title).code == 4


def test_no_open_task_is_lost_to_a_new_one(shop):
    task = {"title": "t", "status": "pending", "source": "command", "updated_at": 1}
    run(shop, "state", "patch", json.dumps({"tasks": {f"t{number}": task for number in range(100)}}))
    said = run(shop, "task", "add", "One more")
    assert said.code == 1 and "100 tasks are open" in said.err
    run(shop, "task", "done", "t0")
    assert run(shop, "task", "add", "One more").code == 0
    assert sum(entry["status"] == "pending" for entry in state_of(shop)["tasks"].values()) == 100


# -- signal


def test_an_emitted_signal_ends_the_phase_and_says_so(shop):
    said = run(shop, "signal", "emit", "SPEC_WRITTEN")
    assert said.out.startswith("signal SPEC_WRITTEN emitted; the phase spec is complete, now build, 2 of 3")
    assert not said.err
    assert "still needs CODE_WRITTEN" in run(shop, "signal", "emit", "TESTS_PASSED").out
    assert state_of(shop)["phase"] == "build"


@pytest.mark.parametrize(
    ("name", "told"), [("APPROVED", ""), ("TESTS_PASED", "did you mean TESTS_PASSED"), ("ODD", "ODD")]
)
def test_a_signal_that_the_workflow_does_not_know_is_emitted_with_a_note(shop, name, told):
    said = run(shop, "signal", "emit", name)
    assert said.code == 0 and told in said.err and bool(said.err) == bool(told)
    assert name in state_of(shop)["signals"]


@pytest.mark.parametrize("name", ["", "A B", "x" * 65, "é", "A\n"])
def test_a_name_that_no_workflow_could_have_is_refused(shop, name):
    assert run(shop, "signal", "emit", name).code == 4


def test_a_cleared_signal_no_longer_counts(shop):
    run(shop, "phase", "set", "build")
    run(shop, "signal", "emit", "CODE_WRITTEN")
    run(shop, "signal", "clear", "CODE_WRITTEN")
    state = state_of(shop)
    assert state["signals"] == {} and state["progress"]["signals"] == {}
    run(shop, "signal", "emit", "TESTS_PASSED")
    assert state_of(shop)["phase"] == "build"
    said = run(shop, "signal", "clear", "CODE_WRITTEN")
    assert said.code == 1 and "TESTS_PASSED" in said.err


def test_signals_are_listed_the_newest_first(shop):
    assert run(shop, "signal", "list").out == "no signals\n"
    run(shop, "state", "patch", '{"signals": {"OLD": 5, "NEW": 9}}')
    assert [line.split()[0] for line in run(shop, "signal", "list").lines] == ["NEW", "OLD"]
    assert json.loads(run(shop, "signal", "list", "--json").out) == {"NEW": 9, "OLD": 5}


# -- mode


def test_the_mode_is_printed_and_changed_and_the_hooks_heed_it(shop):
    assert run(shop, "mode").out == "monitoring\n"
    assert run(shop, "mode", "stopped").out == "mode: monitoring -> stopped\n"
    before = state_file(shop).read_bytes()
    assert fire("claude", prompt("claude", shop, "a refund"), shop).text == ""
    assert state_file(shop).read_bytes() == before
    assert run(shop, "mode", "stopped").out == "mode: stopped already\n"
    assert run(shop, "mode").out == "stopped\n"


# -- workflow


def test_workflow_init_makes_the_folder_for_the_owner_alone(tmp_path):
    said = run(tmp_path, "workflow", "init", "--template", "bugfix")
    folder = tmp_path / ".holdfast"
    assert said.code == 0 and str(folder / "workflow.yaml") in said.out
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "workflow.yaml").read_text() == templates.text("bugfix")
    assert "*" in (folder / ".gitignore").read_text().splitlines()
    assert json.loads(run(tmp_path, "status", "--json").out)["phase"]["id"] == "reproduce"


def test_workflow_init_replaces_a_workflow_only_by_force_and_keeps_it(shop):
    path = shop / ".holdfast" / "workflow.yaml"
    said = run(shop, "workflow", "init")
    assert said.code == 1 and "--force" in said.err and path.read_text() == FLOW
    assert run(shop, "workflow", "init", "--force").code == 0
    assert path.read_text() == templates.text("feature")
    assert [kept.read_text() for kept in path.parent.glob("workflow.yaml.bak-*")] == [FLOW]
    assert run(shop, "workflow", "init").code == 0


def test_workflow_init_below_a_project_is_for_that_project(shop):
    below = shop / "src"
    below.mkdir()
    assert run(below, "workflow", "init").code == 1
    assert not (below / ".holdfast").exists()


def test_workflow_check_counts_what_is_right_and_compiles_it(shop):
    (shop / ".holdfast" / "index.json").unlink()
    said = run(shop, "workflow", "check")
    assert (said.code, said.out, said.err) == (0, "workflow.yaml: ok: 3 phases, 4 signals, 1 skill\n", "")
    assert index.load(str(shop / ".holdfast")).workflow["name"] == "shop"


def test_workflow_check_names_every_problem_on_a_line_of_its_own(shop):
    path = shop / ".holdfast" / "workflow.yaml"
    path.write_text(FLOW.replace("version: 1", "version: 2").replace("outcome: ok", "outcome: good"))
    said = run(shop, "workflow", "check")
    problems = said.err.splitlines()
    assert said.code == 4 and said.out == ""
    assert [line.split(": ")[0] for line in problems] == ["workflow.yaml:2", "workflow.yaml:11"]
    assert "version" in problems[0] and "signals.TESTS_PASSED.outcome" in problems[1]
    last_good = index.load(str(shop / ".holdfast"))
    assert last_good.workflow["name"] == "shop" and last_good.header["error"]


def test_workflow_check_of_the_projects_own_file_by_its_path_compiles_it_too(shop, tmp_path):
    path = shop / ".holdfast" / "workflow.yaml"
    path.write_text(FLOW.replace("name: shop", "name: market"))
    assert run(tmp_path, "workflow", "check", path).code == 0
    assert index.load(str(path.parent)).workflow["name"] == "market"
    path.write_text("version: 1\n")
    assert run(path.parent, "workflow", "check", "workflow.yaml").code == 4
    assert index.load(str(path.parent)).header["error"]


def test_workflow_check_tells_what_is_odd_and_passes_it(shop):
    (shop / ".holdfast" / "workflow.yaml").write_text(FLOW.replace("CODE_WRITTEN, TESTS", "CODE_WRITEN, TESTS"))
    said = run(shop, "workflow", "check")
    assert said.code == 0 and said.out.startswith("workflow.yaml: ok")
    assert len(said.err.splitlines()) == 1 and "CODE_WRITEN" in said.err


def test_workflow_check_looks_at_any_file_without_a_project(tmp_path):
    (tmp_path / "draft.yaml").write_text(FLOW)
    assert run(tmp_path, "workflow", "check", "draft.yaml").out.startswith("draft.yaml: ok")
    said = run(tmp_path, "workflow", "check", "none.yaml")
    assert said.code == 4 and "none.yaml" in said.err
    assert list(tmp_path.iterdir()) == [tmp_path / "draft.yaml"]


def test_workflow_show_tells_what_the_file_says(shop):
    said = run(shop, "workflow", "show")
    for fact in ("3 phases", "ends with CODE_WRITTEN, TESTS_PASSED", "tool shell; command pytest; outcome ok", "high"):
        assert fact in said.out
    shown = json.loads(run(shop, "workflow", "show", "--json").out)
    assert [phase["id"] for phase in shown["phases"]] == ["spec", "build", "ship"]
    (shop / ".holdfast" / "workflow.yaml").write_text("version: 1\n")
    assert run(shop, "workflow", "show").code == 4


# -- install and hook


def test_install_registers_and_uninstall_takes_it_back(shop):
    settings = shop / ".claude" / "settings.local.json"
    words = ["--project", shop, "--host", "claude"]
    assert "nothing was written" in run("/", "install", *words, "--dry-run").out
    assert not settings.exists()
    installed = run("/", "install", *words)
    assert installed.code == 0, installed.err
    assert "holdfast" in settings.read_text() or "hooks" in settings.read_text()
    assert run("/", "uninstall", *words, "--dry-run").code == 0
    assert settings.exists()
    assert run("/", "uninstall", *words).code == 0
    assert not settings.exists()
    assert (shop / ".holdfast" / "workflow.yaml").exists()


def test_install_and_uninstall_hand_their_options_on(shop, monkeypatch):
    given = []
    for name in ("install", "uninstall"):
        monkeypatch.setattr(f"holdfast.install.{name}", lambda *words, **options: given.append((words, options)))
    run(shop, "install")
    run(shop, "uninstall")
    run(shop, "uninstall", "--host", "codex", "--host", "claude", "--scope", "user", "--purge", "--dry-run")
    for _words, options in given:
        options.pop("echo")
    assert given == [
        ((".", None, "project"), {"dry_run": False}),
        ((".", None, "project"), {"purge": False, "dry_run": False}),
        ((".", ["codex", "claude"], "user"), {"purge": True, "dry_run": True}),
    ]


def test_a_hook_by_hand_does_what_a_hosts_hook_does(shop):
    said = process(shop, "hook", "session-resume", "--host", "claude", stdin=json.dumps(start("claude", shop)).encode())
    assert said.code == 0 and said.err == ""
    assert "Phase 1 of 3, spec" in json.loads(said.out)["hookSpecificOutput"]["additionalContext"]
    assert state_of(shop)["current_session"]["id"] == "claude-session"


@pytest.mark.parametrize("data", [b"", b"{", b"null", b'{"hook_event_name": 5}'])
def test_a_hook_by_hand_never_fails(shop, data):
    said = process(shop, "hook", "post-tool-use", "--host", "gemini", stdin=data)
    assert said == (0, "", "")
    assert not state_file(shop).exists()


def test_a_disabled_hook_does_nothing(shop):
    given = json.dumps(start("claude", shop)).encode()
    said = process(shop, "hook", "session-resume", "--host", "claude", stdin=given, HOLDFAST_DISABLE="1")
    assert said == (0, "", "")
    assert not state_file(shop).exists()


def test_a_dry_run_shows_event_change_and_reply_and_writes_nothing(shop):
    run(shop, "phase", "set", "spec")
    before = files_of(shop)
    given = json.dumps(prompt("claude", shop, "do the refund")).encode()
    said = process(shop, "hook", "prompt-activation", "--host", "claude", "--dry-run", stdin=given)
    assert said.code == 0 and said.err == ""
    for part in ("event:", '+  "prompts": 1', "payment-rules"):
        assert part in said.out
    assert files_of(shop) == before


def test_a_dry_run_of_the_entrypoint_against_a_damaged_state_says_so(shop):
    run(shop, "phase", "set", "spec")
    state_file(shop).write_bytes(b"{")
    given = json.dumps(prompt("claude", shop, "do the refund"))
    words = [*command_of("claude", "prompt_activation"), "--dry-run"]
    done = subprocess.run(words, input=given, cwd=shop, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "damaged" in done.stderr and len(done.stderr.splitlines()) == 1


# -- all of them


def test_every_change_leaves_one_audit_line_without_texts(shop):
    steps = [
        ["task", "add", "Secret plan"],
        ["task", "done", "Secret plan"],
        ["signal", "emit", "APPROVED"],
        ["signal", "clear", "APPROVED"],
        ["phase", "set", "build"],
        ["mode", "paused"],
        ["state", "patch", '{"degraded_mode": {"reason": "Secret"}}'],
    ]
    for number, words in enumerate(steps, 1):
        assert run(shop, *words).code == 0
        trail = audit_of(shop)
        assert len(trail) == number
        assert trail[-1]["host"] == "command" and trail[-1]["revision"] == number and trail[-1]["time"] > 0
        assert trail[-1]["decision"].startswith(" ".join(words[:2]))
    assert "Secret" not in json.dumps(audit_of(shop))
    for words in (
        ["status"],
        ["state", "read"],
        ["mode", "paused"],
        ["phase", "set", "nowhere"],
        ["signal", "clear", "X"],
    ):
        run(shop, *words)
    assert len(audit_of(shop)) == len(steps)


def test_names_that_are_kept_twice_agree():
    assert templates.NAMES == workflow_command.TEMPLATES
    assert tuple(dryrun.HOOKS) == hook_command.HOOKS


def test_commands_import_what_is_slow_only_where_they_need_it(shop):
    run(shop, "task", "add", "x")
    script = (
        "import sys; from holdfast.cli import main\n"
        "for words in (['task', 'list'], ['status'], ['phase', 'list'], ['mode'], ['state', 'read']): main(words)\n"
        "print([name for name in ('rich', 'pydantic', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=shop, env=environment(), capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == []


def test_the_state_file_may_be_elsewhere(shop, tmp_path):
    place = tmp_path / "elsewhere.json"
    assert run(shop, "mode", "paused", HOLDFAST_STATE_FILE=str(place)).code == 0
    assert json.loads(place.read_text())["mode"] == "paused"
    assert not state_file(shop).exists()
