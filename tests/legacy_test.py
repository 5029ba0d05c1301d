"""States of other tools, as their documents show them (tests/legacy), through the real commands."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commanding import edit_state, run, state_file
from firing import audit_of, fire, make_project, start
from holdfast.cli import takeover
from holdfast.install import record
from holdfast.state import document, legacy, schema
from holdfast.state.legacy import keeping, merging, original
from worlds import index_of

EXAMPLES = Path(__file__).parent / "legacy"
PLACES = {  # where each tool has its files: in the project
    "claude-dev-pipeline": {
        "workflow-state.json": ".claude/.workflow-state.json",
        "signals": ".claude/.signals",
    },
    "palingenesis": {"state.json": ".palingenesis/state.json"},
    "gsd-multi": {
        "STATE.md": ".planning/STATE.md",
        "session.json": ".planning/.session.json",
        "config.json": ".planning/config.json",
    },
    "hydraflow": {"state.json": ".hydraflow/state.json"},
    "harness-sync": {"state.json": ".harnesssync/state.json"},
}


def lay(name, project):
    """Put a tool's example files into a project; the path of its state."""
    for source, place in PLACES[name].items():
        target = project / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if (EXAMPLES / name / source).is_dir():
            shutil.copytree(EXAMPLES / name / source, target)
        else:
            shutil.copyfile(EXAMPLES / name / source, target)
    return project / next(iter(PLACES[name].values()))


def read(project):
    said = run(project, "state", "read")
    assert said.code == 0, said.err
    return json.loads(said.out)


def imported(project, name):
    """What a tool's example becomes in a new project."""
    path = lay(name, project)
    said = run(project, "state", "import", path)
    assert said.code == 0, said.err
    assert run(project, "state", "validate").code == 0
    return read(project), said


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".holdfast" not in path.parts
    }


def test_the_command_names_every_importer():
    assert tuple(legacy.IMPORTERS) == takeover.NAMES
    assert tuple(PLACES) == takeover.NAMES


def test_a_pipelines_state_brings_phase_tasks_signals_activation_and_degraded_mode(project):
    state, said = imported(project, "claude-dev-pipeline")
    assert state["phase"] == "build"
    assert state["completed_tasks"] == ["write-prd", "2-1"]
    assert state["tasks"]["2-1"]["title"] == "2.1"
    assert state["signals"]["PHASE1_START"] == 1635789123.456
    assert state["signals"]["PHASE1_COMPLETE"] == 1635789456.789
    assert state["signals"]["COUPLING_ANALYZED"] == 1698834780.0, "from the signal's own file"
    assert {"PHASE2_START", "tasks-generated"} <= set(state["signals"]), "files without a time count from their own"
    assert state["last_activation"] == {"skills": ["SPEC_GEN_V1"], "at": 1698834900.0, "session": None}
    assert state["degraded_mode"] == {
        "enabled": True,
        "reason": "database-unavailable",
        "timestamp": 1698834840.0,
        "disabled_features": ["real-time-updates", "notifications"],
    }
    assert state["metadata"]["created"] == 1698834600.0
    rest = state["imported"]["claude-dev-pipeline"]["rest"]
    assert rest["signals"] == {"deployment": None}
    assert rest["lastSignal"] == "PHASE1_COMPLETE"
    assert rest[".signals"]["COUPLING_ANALYZED.json"]["metadata"] == {"pairs": 3}
    assert "phase" not in rest
    assert "2 tasks, 5 signals" in said.out


def test_what_another_tool_switched_off_does_not_switch_off_our_backups(project):
    path = lay("claude-dev-pipeline", project)
    path.write_text(path.read_text().replace("notifications", "backups"))
    assert run(project, "state", "import", path).code == 0
    state = read(project)
    assert state["degraded_mode"]["disabled_features"] == ["real-time-updates"]
    kept = state["imported"]["claude-dev-pipeline"]["rest"]["degradedMode"]["disabledFeatures"]
    assert kept == ["real-time-updates", "backups"]


def test_a_phase_that_the_workflow_has_not_is_kept_and_the_state_stays_where_it_is(project):
    path = lay("claude-dev-pipeline", project)
    path.write_text(path.read_text().replace('"build"', '"pre-init"'))
    assert run(project, "state", "import", path).code == 0
    state = read(project)
    assert state["phase"] == "spec"
    assert state["imported"]["claude-dev-pipeline"]["rest"]["phase"] == "pre-init"


def test_an_imported_phase_does_not_throw_the_work_back(project):
    assert run(project, "phase", "set", "ship").code == 0
    state, _said = imported(project, "claude-dev-pipeline")
    assert state["phase"] == "ship"
    assert state["imported"]["claude-dev-pipeline"]["rest"]["phase"] == "build"


def test_a_daemons_state_brings_mode_session_and_counters(project):
    state, _said = imported(project, "palingenesis")
    assert state["mode"] == "monitoring"
    session = state["current_session"]
    assert (session["path"], session["steps_completed"]) == ("/path/to/session.md", [1, 2, 3])
    assert (session["last_step"], session["total_steps"]) == (3, 12)
    assert state["stats"]["saves_count"] >= 42
    assert state["stats"]["total_resumes"] == 127
    assert state["stats"]["last_resume"] == 1770287400.0
    rest = state["imported"]["palingenesis"]["rest"]
    assert rest["stats"]["time_saved_seconds"] == 360.5
    assert rest["version"] == 1


@pytest.mark.parametrize(("theirs", "ours"), [("paused", "paused"), ("stopped", "monitoring")])
def test_a_paused_daemon_is_a_paused_mode_and_one_that_was_not_running_is_not(project, theirs, ours):
    path = lay("palingenesis", project)
    path.write_text(path.read_text().replace("monitoring", theirs))
    said = run(project, "state", "import", path)
    assert said.code == 0
    assert read(project)["mode"] == ours
    assert ("holdfast mode monitoring" in said.err) == (theirs == "paused")


def test_a_planning_folder_brings_phase_session_and_checklist(project):
    state, _said = imported(project, "gsd-multi")
    assert state["phase"] == "build", "Build it is that phase's title"
    session = state["current_session"]
    assert (session["host"], session["started_at"]) == ("codex", 1768864255.0)
    assert (session["steps_completed"], session["total_steps"]) == ([1], 3)
    assert [task["status"] for task in state["tasks"].values()] == ["completed", "pending"]
    rest = state["imported"]["gsd-multi"]["rest"]
    assert rest[".session.json"]["context"] == {"note": "half way"}
    assert rest["config.json"]["maxRetries"] == 3
    assert "**Plan:** 4 of 5" in rest["STATE.md"]


def test_a_planning_folder_with_json_alone_is_read_too(project):
    folder = project / ".planning"
    folder.mkdir()
    (folder / "STATE.md").write_text('{"_version": 4, "phase": "build", "decisions": ["one"]}')
    assert run(project, "state", "import", project).code == 0
    state = read(project)
    assert state["phase"] == "build"
    assert state["imported"]["gsd-multi"]["rest"]["STATE.md"]["decisions"] == ["one"]


def test_a_trackers_issues_become_tasks_and_its_branches_stay(project):
    state, _said = imported(project, "hydraflow")
    tasks = {task["title"]: task["status"] for task in state["tasks"].values()}
    assert tasks == {
        "Issue #11": "completed",
        "Issue #25": "pending",
        "Issue #40": "in_progress",
        "Issue #41": "in_progress",
    }
    rest = state["imported"]["hydraflow"]["rest"]
    assert rest["processed_issues"] == {"25": "failed"}
    assert rest["active_branches"] == {"40": "agent/issue-40"}
    assert rest["lifetime_stats"]["prs_merged"] == 6


def test_what_was_synchronised_goes_to_the_record_of_the_install(project):
    state, said = imported(project, "harness-sync")
    path = project / ".holdfast" / "install.json"
    kept = json.loads(path.read_text())
    assert kept["synced"]["codex"]["file_hashes"] == {"/home/dev/.codex/AGENTS.md": "abc123"}
    assert kept["synced"]["codex"]["status"] == "partial"
    assert kept["migrated_from"] == json.loads((EXAMPLES / "harness-sync" / "state.json").read_text())
    assert kept["targets"] == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert state["imported"]["harness-sync"]["kept"] == "install.json"
    assert "install.json" in said.out


def test_the_older_state_stays_below_the_newer_one(project):
    old = json.loads((EXAMPLES / "harness-sync" / "sync-state.json").read_text())
    assert run(project, "state", "import", EXAMPLES / "harness-sync" / "sync-state.json").code == 0
    kept = project / ".holdfast" / "install.json"
    assert json.loads(kept.read_text())["migrated_from"] == old
    imported(project, "harness-sync")
    content = json.loads(kept.read_text())
    assert content["migrated_from"]["migrated_from"] == old
    assert list(content["synced"]) == ["codex"]


def test_the_record_keeps_what_was_synchronised_when_targets_come_and_go(project):
    imported(project, "harness-sync")
    folder = str(project / ".holdfast")
    target = record.Target("claude", "project", "x", False, True, None, None, None)
    record.save(folder, [target])
    record.save(folder, [])
    content = json.loads((project / ".holdfast" / "install.json").read_text())
    assert content["targets"] == []
    assert "codex" in content["synced"]
    assert content["migrated_from"]["version"] == 1


@pytest.mark.parametrize("name", PLACES)
def test_an_import_changes_nothing_of_the_original_and_a_second_one_nothing_at_all(project, name):
    path = lay(name, project)
    before = contents(project)
    times = {file: file.stat().st_mtime_ns for file in project.rglob("*") if ".holdfast" not in file.parts}
    assert run(project, "state", "import", path).code == 0
    assert contents(project) == before
    assert {file: file.stat().st_mtime_ns for file in times} == times
    kept = {file: file.read_bytes() for file in (project / ".holdfast").rglob("*") if file.is_file()}
    said = run(project, "state", "import", path)
    assert said.code == 0
    assert "nothing changed" in said.out
    assert {file: file.read_bytes() for file in (project / ".holdfast").rglob("*") if file.is_file()} == kept


@pytest.mark.parametrize("name", PLACES)
def test_init_finds_each_by_itself(tmp_path, name):
    lay(name, tmp_path)
    said = run(tmp_path, "init")
    assert said.code == 0, said.err
    assert f"taken over from {name}" in said.out
    assert (tmp_path / ".holdfast" / "workflow.yaml").exists()
    assert name in read(tmp_path)["imported"]
    again = run(tmp_path, "init")
    assert again.code == 0
    assert "nothing changed" in again.out
    assert f"state import {name}" in [line["decision"] for line in audit_of(tmp_path)]


def test_init_finds_what_lies_in_the_home(tmp_path, home):
    shutil.copytree(EXAMPLES / "palingenesis", home / ".local" / "state" / "palingenesis")
    (home / ".cc2all").mkdir()
    shutil.copy(EXAMPLES / "harness-sync" / "sync-state.json", home / ".cc2all")
    project = tmp_path / "shop"
    project.mkdir()
    moved = {"PALINGENESIS_STATE": str(home / ".local" / "state" / "palingenesis")}  # macOS has another place
    assert run(project, "init", **moved).code == 0
    assert set(read(project)["imported"]) == {"palingenesis", "harness-sync"}


def test_init_leaves_the_daemons_session_of_another_project_alone(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "session.md").touch()
    shutil.copytree(EXAMPLES / "palingenesis", tmp_path / "daemon")
    path = tmp_path / "daemon" / "state.json"
    path.write_text(path.read_text().replace("/path/to/session.md", str(other / "session.md")))
    for name in ("shop", "other"):
        project = tmp_path / name
        project.mkdir(exist_ok=True)
        assert run(project, "init", PALINGENESIS_STATE=str(path.parent)).code == 0
        assert ("imported" in read(project)) == (name == "other")


def test_init_without_imports_leaves_them_alone(tmp_path):
    lay("hydraflow", tmp_path)
    assert run(tmp_path, "init", "--no-import").code == 0
    assert "imported" not in read(tmp_path)


def test_init_names_what_it_cannot_read_and_goes_on(tmp_path):
    lay("hydraflow", tmp_path)
    broken = lay("palingenesis", tmp_path)
    broken.write_text("{")
    said = run(tmp_path, "init")
    assert said.code == 0
    assert str(broken) in said.err
    assert set(read(tmp_path)["imported"]) == {"hydraflow"}


def test_init_keeps_a_workflow_that_is_there(project):
    before = (project / ".holdfast" / "workflow.yaml").read_bytes()
    assert run(project, "init", "--template", "bugfix").code == 0
    assert (project / ".holdfast" / "workflow.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b'{"something": "else"}', 4, "no state of"),
        (b"{", 4, "no JSON"),
        (b"", 4, "no JSON"),
        (b"[1]", 4, "no state of"),
        (b"\xff\xfe\x00", 4, "no JSON"),
        (b"[" * 100_000, 4, "no JSON"),
        (None, 1, "no such file"),
    ],
)
def test_what_is_no_state_of_a_known_tool_is_refused(project, tmp_path, content, code, says):
    path = tmp_path / "state.json"
    if content is not None:
        path.write_bytes(content)
    said = run(project, "state", "import", path)
    assert said.code == code
    assert said.err.count("\n") == 1
    assert says in said.err or "nested too deeply" in said.err
    assert not state_file(project).exists()


def test_a_file_is_held_against_the_tool_that_was_named(project):
    path = lay("hydraflow", project)
    said = run(project, "state", "import", path, "--from", "palingenesis")
    assert said.code == 4
    assert "daemon_state" in said.err
    assert run(project, "state", "import", path, "--from", "hydraflow").code == 0
    assert run(project, "state", "import", path, "--from", "nobody").code == 64


def test_a_pipe_is_not_waited_for(project, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert run(project, "state", "import", tmp_path / "pipe").code == 1


def test_a_large_rest_is_copied_beside_the_state(project):
    path = lay("hydraflow", project)
    content = json.loads(path.read_text())
    content["convergence_ledgers"] = {str(number): "x" * 100 for number in range(1000)}
    path.write_text(json.dumps(content))
    assert run(project, "state", "import", path).code == 0
    entry = read(project)["imported"]["hydraflow"]
    assert entry["rest"] == {}
    assert (project / ".holdfast" / entry["kept"] / "state.json").read_bytes() == path.read_bytes()
    assert state_file(project).stat().st_size < 10_000
    assert (project / ".holdfast" / entry["kept"]).stat().st_mode & 0o777 == 0o700


def test_a_large_rest_of_several_files_is_copied_whole(project):
    path = lay("claude-dev-pipeline", project)
    (path.parent / ".signals" / "BIG.json").write_text(json.dumps({"log": "y" * 40_000}))
    assert run(project, "state", "import", path).code == 0
    kept = project / ".holdfast" / read(project)["imported"]["claude-dev-pipeline"]["kept"]
    copied = {file.relative_to(kept).as_posix(): file.read_bytes() for file in kept.rglob("*") if file.is_file()}
    there = {
        file.relative_to(path.parent).as_posix(): file.read_bytes() for file in path.parent.rglob("*") if file.is_file()
    }
    assert copied == there


def test_a_changed_original_is_taken_over_again_and_the_earlier_rest_stays(project):
    path = lay("hydraflow", project)
    assert run(project, "state", "import", path).code == 0
    content = json.loads(path.read_text())
    content["processed_issues"]["40"] = "success"
    content["current_batch"] = 4
    path.write_text(json.dumps(content))
    assert run(project, "state", "import", path).code == 0
    state = read(project)
    assert state["tasks"]["issue-40"]["status"] == "completed"
    assert state["imported"]["hydraflow"]["rest"]["current_batch"] == 3
    assert state["imported"]["hydraflow-2"]["rest"]["current_batch"] == 4
    names = [copy["reason"] for copy in json.loads(run(project, "state", "backups", "--json").out)]
    assert "before-import" in names


def test_what_is_there_is_not_overwritten(project):
    assert run(project, "task", "add", "Issue #11").code == 0
    assert run(project, "signal", "emit", "PHASE1_START").code == 0
    fire("claude", start("claude", project), project)
    for name in ("hydraflow", "claude-dev-pipeline", "palingenesis"):
        lay(name, project)
        assert run(project, "state", "import", project, "--from", name).code == 0
    state = read(project)
    assert state["tasks"]["issue-11"]["status"] == "pending"
    assert state["signals"]["PHASE1_START"] > 1635789123.456
    assert state["current_session"]["host"] == "claude"


def test_more_than_there_is_room_for_goes_to_the_rest(project):
    path = lay("claude-dev-pipeline", project)
    content = json.loads(path.read_text())
    content["completedTasks"] = [f"task {number}" for number in range(150)]
    content["signals"] = {f"S{number}": 1.0 + number for number in range(400)}
    path.write_text(json.dumps(content))
    assert run(project, "state", "import", path).code == 0
    state = read(project)
    rest = state["imported"]["claude-dev-pipeline"]["rest"]
    assert len(state["tasks"]) == document.TASKS
    assert {task["title"] for task in state["tasks"].values()} | set(rest["completedTasks"]) == set(
        content["completedTasks"]
    )
    assert len(state["signals"]) == document.SIGNALS
    assert set(content["signals"]) <= set(state["signals"]) | set(rest["signals"])
    assert "S399" in state["signals"]


def test_imports_are_bounded_in_number(project):
    path = lay("hydraflow", project)
    for number in range(schema.IMPORTS + 1):
        content = json.loads(path.read_text())
        content["current_batch"] = number
        path.write_text(json.dumps(content))
        said = run(project, "state", "import", path)
    assert said.code == 1
    assert "state reset" in said.err
    assert len(read(project)["imported"]) == schema.IMPORTS


def test_hooks_go_on_from_an_imported_state(project):
    imported(project, "claude-dev-pipeline")
    answer = fire("claude", start("claude", project), project)
    assert answer.code == 0
    state = read(project)
    assert state["phase"] == "build"
    assert state["imported"]["claude-dev-pipeline"]["rest"]["lastSignal"] == "PHASE1_COMPLETE"


def test_an_imported_key_that_is_none_is_refused_by_the_schema(project):
    imported(project, "hydraflow")
    edit_state(project, '"current_batch"', '"current_batch":0,"x"')
    assert run(project, "state", "validate").code == 0, "the rest is anybody's"
    said = run(project, "state", "patch", json.dumps({"imported": {"hydraflow": {"rest": {"x": "y" * 70_000}}}}))
    assert said.code == 4


def test_a_newer_state_is_not_imported_into(project):
    assert run(project, "state", "init").code == 0
    edit_state(project, '"schema_version":1', '"schema_version":9')
    before = state_file(project).read_bytes()
    assert run(project, "state", "import", lay("hydraflow", project)).code == 3
    assert state_file(project).read_bytes() == before


# Whatever stands in such a file: the schema accepts what becomes of it, and no text is lost.

INDEX = index_of()
KEYS = {
    "claude-dev-pipeline": [
        "schemaVersion", "phase", "completedTasks", "signals", "lastActivation", "metadata", "degradedMode", "created",
    ],
    "palingenesis": ["version", "daemon_state", "current_session", "stats"],
    "gsd-multi": ["_version", "cli", "timestamp", "currentPhase", "currentPlan", "context", "phase"],
    "hydraflow": ["processed_issues", "active_branches", "reviewed_prs", "active_issue_numbers", "lifetime_stats"],
    "harness-sync": ["version", "targets", "accounts", "last_sync", "scope"],
}  # fmt: skip
INNER = [
    "created", "createdAt", "lastModified", "enabled", "reason", "timestamp", "disabledFeatures", "path", "last_step",
    "steps_completed", "total_steps", "saves_count", "total_resumes", "last_resume", "title", "targets", "default",
]  # fmt: skip
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.sampled_from(
        ["build", "Ship it", "2026-02-05T10:30:00.123456789Z", "2026-99-99T10:30:00Z", "<b>x</b>", "success"]
    ),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(INNER) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def texts_of(value):
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)
    elif isinstance(value, str):
        yield value


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(list(PLACES)))
def test_every_import_yields_a_state_that_the_schema_accepts_and_no_text_is_lost(tmp_path, data, name):
    example = json.loads(next(iter((EXAMPLES / name).glob("*s*.json"))).read_text())
    given_keys = data.draw(st.dictionaries(st.sampled_from(KEYS[name]), values))
    content = {**{key: value for key, value in example.items() if data.draw(st.booleans())}, **given_keys}
    path = tmp_path / "state.json"
    path.write_text(json.dumps(content))
    importer = legacy.IMPORTERS[name]
    try:
        found = importer.read(str(path))
    except legacy.ValidationFailed:
        return
    facts = importer.convert(found)
    state = document.new(1000.0)
    state["phase"] = "spec"
    merging.merge(state, facts, name, INDEX, 1000.0, lambda phase: state.update(phase=phase))
    keeping.keep(str(tmp_path), state, name, found, facts.rest, 1000.0, None)
    document.bound(state)
    given_back = schema.validate(json.loads(document.encode(state)), "state")
    assert document.decode(document.encode(state)) == state
    assert document.encode(given_back) == document.encode(state)
    if facts.targets is None:
        kept = "\0".join([*texts_of(state), "build", "Ship it"])  # phases that the workflow has became its own
        read_again = original.load_object(str(path)).data
        placed = {"signals", "stats", "metadata", "degradedMode", "completedTasks", "processed_issues"}
        missing = {text for text in texts_of(read_again) if text not in kept and text not in KEYS[name]}
        times = {text for text in missing if original.moment(text) is not None}
        assert missing - times - placed - {"success", "completed", "monitoring", "paused", ""} - set(INNER) == set()


def test_a_digest_names_the_content():
    one = original.Original("a", {}, {"f": b"12", "g": b""}, 0.0)
    two = original.Original("b", {}, {"f": b"1", "g": b"2"}, 9.0)
    assert one.digest("x") != two.digest("x")
    assert one.digest("x") != one.digest("y")
    assert one.digest("x") == one._replace(path="c", modified=3.0).digest("x")
    assert len(one.digest("x")) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-02-05T10:30:00Z", 1770287400.0),
        ("2026-02-05T11:30:00.123456789+01:00", 1770287400.123),
        ("2026-02-05T11:30:00+0100", 1770287400.0),
        (1770287400, 1770287400.0),
        (1770287400123, 1770287400.123),
        ("never", None),
        (-1, None),
        (10**400, None),
        (True, None),
        (None, None),
        ("9999-99-99T00:00:00Z", None),
    ],
)
def test_times_of_every_form_are_read(value, seconds):
    assert original.moment(value) == seconds


def test_a_project_without_a_folder_says_what_to_do(tmp_path):
    said = run(tmp_path, "state", "import", make_project(tmp_path / "other"))
    assert said.code == 1
