"""Files of the project that were damaged, or that somebody else wrote: found by `python -m fuzz`, kept from coming back."""

import json
import re

import pytest

from commanding import process, run
from firing import audit_of, edit_call, fire, prompt, start, state_of, transcript_line
from holdfast import spooled
from holdfast.hosts import codex
from holdfast.lean import dumps, loads
from holdfast.locks import Locks
from holdfast.state import document, metrics, recovery, schema, spool, trail
from holdfast.workflow import compiler, index
from worlds import event, tool

HUGE = 10**400  # JSON may hold it, and a float not


def folder_of(project):
    return project / ".holdfast"


def index_of(project):
    return folder_of(project) / "index.json"


def cut(data):
    return data[: len(data) // 3]


def zeroed(data):
    return data[: len(data) // 2].ljust(len(data), b"\0")


def a_rule_without_its_name(data):
    return data.replace(b'"CODE_WRITTEN","paths"', b'"CODE_WRITTEN","baths"')


def a_pattern_of_another_kind(data):
    return data.replace(b'"literals":["src/"]', b'"literals":[123456]')


def a_code_that_sre_refuses(data):
    return re.sub(rb'(?<="code":\[)\d+,\d+', lambda found: b"9" * len(found[0]), data)


DAMAGES = [cut, zeroed, a_rule_without_its_name, a_pattern_of_another_kind, a_code_that_sre_refuses]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_compiled_again_and_no_event_is_lost(damage, project):
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    good = index_of(project).read_bytes()
    assert damage(good) != good
    index_of(project).write_bytes(damage(good))
    answer = fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert (answer.code, answer.stderr) == (0, "")
    said = fire("claude", prompt("claude", project, "a refund"), project).text
    assert "payment-rules" in said
    state = state_of(project)
    assert (state["stats"]["tool_calls"], list(state["signals"])) == (2, ["SPEC_WRITTEN", "CODE_WRITTEN"])
    assert not spool.waiting(str(folder_of(project)))
    assert index.Index(index_of(project).read_bytes()).whole()
    told = "index damaged" in [line["decision"] for line in audit_of(project)]
    assert told == (damage is not cut)  # which is seen before anything fails


def test_a_path_is_the_same_after_the_index_was_compiled_again(project):
    good = index_of(project).read_bytes()
    index_of(project).write_bytes(a_rule_without_its_name(good))
    deep = project / "docs"
    deep.mkdir()
    given = edit_call("codex", project, "../src/a.py", cwd=str(deep))
    fire("codex", given, project)
    assert state_of(project)["sessions"]["codex-session"]["files"] == ["src/a.py"]


def test_an_event_that_waits_is_not_put_aside_for_a_damaged_index(project):
    fire("claude", start("claude", project), project)
    waits = event("tool_done", session="claude-session", tool=tool("edit", paths=["docs/spec/a.md"]))
    waits.matches = {"signals": [["SPEC_WRITTEN", []]]}
    spool.put(str(folder_of(project)), spooled.to_dict(waits))
    data = index_of(project).read_bytes()
    index_of(project).write_bytes(data.replace(b'"workflow":{', b'"workflow":['))
    fire("claude", prompt("claude", project, "hello"), project)
    assert state_of(project)["phase"] == "build"
    assert not list(folder_of(project).glob("backups/unreadable-*"))


def test_a_command_sees_a_damage_that_reads_like_an_index_and_mends_it(project):
    good = index_of(project).read_bytes()
    index_of(project).write_bytes(good.replace(b"Write the spec", b"Write the spam"))
    assert "Write the spec" in run(project, "phase", "show").out
    assert index_of(project).read_bytes() == good


def test_a_damaged_index_is_not_the_last_good_one(project):
    data = index_of(project).read_bytes()
    index_of(project).write_bytes(data.replace(b"Write the spec", b"Write the spam"))
    (folder_of(project) / "workflow.yaml").write_text("version: 2\n")
    assert compiler.refresh(str(folder_of(project))).workflow["phases"] == []


RECORD = {
    "host": "claude",
    "moment": "tool_done",
    "name": "PostToolUse",
    "session": "s",
    "key": "k",
    "at": 5000.0,
    "matches": {"signals": [["CODE_WRITTEN", []]], "armed": ["x"]},
    "tool": {"name": "Bash", "kind": "shell", "outcome": "failed", "exit_code": 1, "todos": [{"title": "t"}]},
}
TOOL = RECORD["tool"]
NOT_EVENTS = {
    "a time that no clock shows": {"at": 1e300},
    "no time": {"at": None},
    "a yes for a time": {"at": True},
    "a time before all": {"at": -1},
    "an exit code without end": {"tool": {**TOOL, "exit_code": HUGE}},
    "half an exit code": {"tool": {**TOOL, "exit_code": 0.5}},
    "numbers for skills": {"matches": {"armed": [1]}},
    "a signal without a name": {"matches": {"signals": [["", []]]}},
    "a signal that is a number": {"matches": {"signals": [7]}},
    "a signal with too long a name": {"matches": {"signals": [["x" * 400, []]]}},
    "half a character": {"session": "\ud800"},
    "a path that is a number": {"tool": {**TOOL, "paths": [3]}},
    "a task that is a number": {"tool": {**TOOL, "todos": [3]}},
    "a title that is a number": {"tool": {**TOOL, "todos": [{"title": 3}]}},
}


@pytest.mark.parametrize("changes", NOT_EVENTS.values(), ids=NOT_EVENTS.keys())
def test_what_is_no_event_in_the_spool_is_put_aside_and_the_state_stays_valid(changes, project):
    spooled.from_dict(loads(dumps(RECORD)))
    waiting = folder_of(project) / "spool" / "00000000000000000001-1.json"
    waiting.parent.mkdir()
    waiting.write_text(json.dumps({**RECORD, **changes}).replace("1e+300", "1e999"))
    fire("claude", start("claude", project), project)
    state = document.decode((folder_of(project) / "state.json").read_bytes())
    schema.validate(state, "state")
    assert list(state["sessions"]) == ["claude-session"]
    assert [path.name for path in folder_of(project).glob("backups/unreadable-*")] == [f"unreadable-{waiting.name}"]


def test_a_number_that_no_float_holds_in_the_trail_stops_nobody(project):
    path = folder_of(project) / "audit.jsonl"
    path.write_text(json.dumps({"time": HUGE, "ms": HUGE, "decision": "applied", "revision": "\x1b[2J"}) + "\n")
    assert metrics.of_trail(trail.records(str(path)))["events"]["applied"] == 1
    for words in (["audit"], ["metrics"], ["status"]):
        said = run(project, *words)
        assert (said.code, said.err) == (0, ""), words
        assert "\x1b" not in said.out


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": HUGE},
        {"since": -HUGE},
        {"ttl": float("inf")},
        {"order": HUGE},
        {"owner": {"pid": HUGE}},
        {"owner": {"pid": float("inf")}},
        {"owner": {"pid": []}},
        {"child": -5},
    ],
    ids=str,
)
def test_a_lock_record_of_impossible_numbers_is_damaged_and_no_more(changes, tmp_path):
    locks = Locks(str(tmp_path))
    with locks.hold("build", command="x") as held:
        record = {**held.holder.record(), "kind": "lease", **changes}
    place = tmp_path / "locks" / "build~0123456789ab.json"
    place.write_text(json.dumps(record).replace("Infinity", "1e999"))
    assert [holder.status for holder in locks.holders()] == ["damaged"]
    assert locks.holders()[0].describe()
    with locks.hold("other", command="x"):
        pass
    assert [holder.id for holder in locks.clean()] == ["0123456789ab"]


def test_what_a_lock_record_says_reaches_a_terminal_without_control_characters(tmp_path):
    locks = Locks(str(tmp_path))
    with locks.hold("build", command="\x1b[2J\ud800"):
        assert locks.holders()[0].describe().isprintable()


def test_a_temporary_file_of_a_process_that_no_system_has_is_swept(project):
    left = folder_of(project) / "spool" / f"00000000000000000001-{'9' * 30}.tmp"
    left.parent.mkdir()
    left.write_bytes(b"x")
    fire("claude", start("claude", project), project)
    assert not left.exists()


def test_another_sealed_file_among_the_copies_is_not_taken_for_a_state(project):
    fire("claude", start("claude", project), project)
    assert run(project, "recovery", "checkpoint", "release").code == 0
    checkpoint = next((folder_of(project) / "checkpoints").glob("*.json"))
    (folder_of(project) / "backups" / "state-20991120T000000Z-r99999.json").write_bytes(checkpoint.read_bytes())
    (folder_of(project) / "state.json").write_bytes(b"damaged")
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    state = state_of(project)
    assert (state["phase"], state["stats"]["recoveries"]) == ("build", 1)
    assert run(project, "state", "backups").code == 0


def test_a_number_that_other_programs_would_round_is_no_valid_state(project):
    fire("claude", start("claude", project), project)
    path = folder_of(project) / "state.json"
    found = json.loads(path.read_bytes())
    found["metadata"]["created"] = HUGE
    assert recovery.validated(json.dumps(found).encode()) is None


def test_a_patch_with_half_a_character_in_a_key_is_refused(project):
    said = process(project, "state", "patch", "-", stdin=b'{"\\ud800": 1}')
    assert (said.code, said.err.count("\n")) == (4, 1)
    assert "a key" in said.err


@pytest.mark.parametrize("code", ["true", "1" * 40, "1.5", '"1"', "null"])
def test_an_exit_code_in_a_transcript_is_a_number_of_usual_size_or_unknown(code, tmp_path):
    path = tmp_path / "rollout.jsonl"
    line = transcript_line("call-1", 1).replace(b'"exit_code":1', b'"exit_code":' + code.encode())
    path.write_bytes(line)
    assert codex.recorded_exit(str(path), "call-1", "") is None
    path.write_bytes(b"x" * codex.TAIL + b'passed passed passed passed","exit_code":' + code.encode() + b"}")
    assert codex.recorded_exit(str(path), "call-1", "passed passed passed passed") is None
