"""`holdfast audit` and `holdfast metrics`, and the trail and the figures behind them."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commanding import process, run, state_file
from firing import audit_of, edit_call, fire, start
from holdfast.cli.audit import moment
from holdfast.errors import ValidationFailed
from holdfast.state import audit, metrics, spool, trail


def trail_of(project):
    return project / ".holdfast" / "audit.jsonl"


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def figures(project, *words):
    said = run(project, "metrics", "--json", *words)
    assert said.code == 0, said.err
    return json.loads(said.out)


# the trail


def test_the_trail_is_shown_from_its_oldest_file_on_and_torn_lines_are_passed_over(project):
    path = trail_of(project)
    path.write_text('{"time": 5, "decision": "to' + "\n" + lines({"time": 6, "decision": "six"}) + '{"time": 7, "deci')
    (path.parent / "audit.jsonl.1").write_text(lines({"time": 3, "decision": "three"}) + "[]\nnoise\n")
    (path.parent / "audit.jsonl.3").write_text(lines({"time": 1, "decision": "one"}))
    said = run(project, "audit", "--json")
    assert [json.loads(line)["decision"] for line in said.lines] == ["one", "three", "six"]
    assert [line.split()[-1] for line in run(project, "audit").lines] == ["one", "three", "six"]


def test_a_project_without_a_trail_shows_nothing(project):
    assert run(project, "audit") == (0, "", "")


@pytest.mark.parametrize("kind", ["/dev/null", "/dev/zero", "a pipe"])
@pytest.mark.parametrize("words", [["audit"], ["metrics"], ["status"], ["recovery", "status"]], ids=" ".join)
def test_a_trail_that_is_no_file_is_neither_waited_for_nor_read_without_end(project, tmp_path, kind, words):
    path = tmp_path / "trail"
    os.mkfifo(path) if kind == "a pipe" else path.symlink_to(kind)
    said = process(project, *words, HOLDFAST_AUDIT_LOG=str(path))
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize("at", ['"abc"', "null", "1e400", "-1e400", "NaN", "[]", "1" + "0" * 400])
@pytest.mark.parametrize("words", [["audit"], ["metrics"], ["status"], ["recovery", "status"]], ids=" ".join)
def test_a_record_with_an_odd_time_stops_nothing_and_is_printed_as_json(project, at, words):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    record = f'{{"error":"x","time":{at},"decision":"recovered","ms":{at},"what":{at}}}\n'
    trail_of(project).write_text(record)
    said = run(project, *words)
    assert (said.code, said.err) == (0, "")
    said = run(project, *words, "--json")
    assert (said.code, said.err) == (0, "")
    json.loads(said.out, parse_constant=refuse)


def test_what_a_hook_did_is_one_line_for_people(project):
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    line = run(project, "audit").lines[-1]
    for part in ("claude tool_done", "applied", "r 2", "phase build", " ms"):
        assert part in line


def test_a_terminal_is_sent_no_orders_by_the_trail(project):
    trail_of(project).write_text(lines({"time": 1, "host": "\x1b[2J", "decision": "a\x1b]0;x\x07", "error": "\x9b31m"}))
    assert not any(c in run(project, "audit").out for c in "\x1b\x07\x9b")


def test_since_leaves_out_what_is_older(project):
    now = time.time()
    trail_of(project).write_text(lines({"time": now - 7200, "decision": "old"}, {"time": now - 60, "decision": "new"}))
    assert len(run(project, "audit", "--since", "1h").lines) == 1
    assert len(run(project, "audit", "--since", "3h").lines) == 2
    assert figures(project, "--since", "1h")["since"] == pytest.approx(now - 60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 970), ("1.5min", 910), ("10m", 400), ("1970-01-01T00:10:00Z", 600), ("1970-01-01T01:00:00+01:00", 0)],
)
def test_a_time_may_be_a_span_or_a_date(text, expected):
    assert moment(text, 1000) == expected


@pytest.mark.parametrize("text", ["", "h", "-2h", "2 weeks", "1e3s", "\u0663h", "2026-13-01", "a\nb"])
def test_any_other_text_is_refused_in_one_line(text):
    with pytest.raises(ValidationFailed) as caught:
        moment(text, 1000)
    assert "\n" not in str(caught.value)


def test_a_time_that_is_none_ends_with_code_4(project):
    said = run(project, "audit", "--since", "yesterday")
    assert said.code == 4
    assert "yesterday" in said.err


def test_following_survives_rotation_and_waits_for_whole_lines(tmp_path, monkeypatch):
    path = str(tmp_path / "audit.jsonl")
    monkeypatch.setattr(audit, "LIMIT", 200)
    numbers = iter(range(1, 100))

    def add():
        audit.append(path, {"time": 1, "number": next(numbers)})

    def torn():
        with open(path, "ab") as file:
            file.write(b'{"time": 1, "number"')

    def mended():
        with open(path, "ab") as file:
            file.write(f": {next(numbers)}".encode() + b"}\n")

    steps = iter([add, *[add] * 30, torn, mended, *[add] * 10])

    class Over(Exception):
        pass

    def pause(_seconds):
        step = next(steps, None)
        if step is None:
            raise Over
        step()

    found = []
    add()
    with pytest.raises(Over):
        found.extend(record["number"] for record in following(path, pause, found))
    assert found == list(range(1, next(numbers)))
    assert os.path.exists(f"{path}.2"), "it was rotated more than once"


def following(path, pause, found):
    for record in trail.follow(path, 0, pause):
        found.append(record["number"])
    yield from ()


def test_following_begins_before_there_is_a_trail(tmp_path):
    path = str(tmp_path / "audit.jsonl")
    found = trail.follow(path, 0, lambda _seconds: audit.append(path, {"time": 1, "decision": "first"}))
    assert next(found)["decision"] == "first"


# the figures


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values, percent):
    found = metrics.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_the_figures_of_a_trail():
    hook = {"host": "claude", "moment": "tool_done", "time": 10}
    records = [
        *({**hook, "decision": "applied", "wait_ms": wait, "ms": 10 * wait} for wait in range(1, 101)),
        {**hook, "decision": "spooled", "error": "the lock was taken", "ms": 5},
        {**hook, "decision": "spooled", "error": "OSError: full", "ms": 5},
        {**hook, "decision": "lost", "error": "x", "ms": 5, "time": 99},
        {**hook, "decision": "applied", "folded": 3, "ms": 5},
        {"time": 1, "decision": "recovered", "revision": 3},
        {"time": "never", "decision": 7, "ms": "x", "wait_ms": None, "folded": "many"},
    ]
    found = metrics.of_trail(records)
    assert (found["since"], found["until"]) == (1, 99)
    assert found["lock_wait_ms"] == {"count": 100, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert found["hooks"]["claude"]["tool_done"]["count"] == 104
    assert found["events"] == {"applied": 101, "spooled": 2, "passed_over": 0, "rejected": 0, "lost": 1}
    assert (found["folded"], found["recoveries"], found["errors"]) == (3, 1, 2)
    assert found["error_rate"] == round(2 / 104, 4)


def test_a_project_in_which_nothing_happened_has_figures_too(project):
    found = figures(project)
    assert found["lock_wait_ms"] == {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}
    assert (found["error_rate"], found["state"]["bytes"], found["backups"]["count"]) == (0, None, 0)
    assert "no records" in run(project, "metrics").out


def test_the_figures_of_a_project(project):
    folder = project / ".holdfast"
    fire("claude", start("claude", project), project)
    spool.put(str(folder), {})  # no event: it waits until a writer puts it aside
    assert figures(project)["spool"] == 1
    for path in (folder / "spool").iterdir():
        path.unlink()
    for turn in range(3):
        fire("gemini", edit_call("gemini", project, f"src/{turn}.py"), project)
    assert run(project, "state", "backup", "x").code == 0
    assert run(project, "recovery", "checkpoint", "x").code == 0
    found = figures(project)
    assert found["hooks"]["gemini"]["tool_done"]["count"] == 3
    assert 0 < found["hooks"]["gemini"]["tool_done"]["p50"] < 60_000
    assert found["state"]["bytes"] == state_file(project).stat().st_size
    assert found["state"]["growth_bytes"] > 0
    assert found["backups"]["count"] >= 2
    assert found["checkpoints"]["count"] == 1
    assert found["audit_bytes"] == trail_of(project).stat().st_size
    said = run(project, "metrics")
    assert said.code == 0
    assert "gemini tool_done" in said.out


def test_what_an_update_folded_is_counted(project):
    fire("claude", start("claude", project), project)
    with open(project / ".holdfast" / "state.lock", "a") as holder:
        import fcntl

        fcntl.flock(holder, fcntl.LOCK_EX)
        fire("claude", edit_call("claude", project, "src/a.py"), project, env={"HOLDFAST_LOCK_TIMEOUT": "0"})
    fire("claude", edit_call("claude", project, "src/b.py"), project)
    assert audit_of(project)[-1]["folded"] == 1
    found = figures(project)
    assert (found["folded"], found["events"]["spooled"], found["errors"]) == (1, 1, 0)
    assert run(project, "metrics").code == 0
