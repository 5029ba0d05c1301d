"""Migrations, proven with two that are put in by the tests: from schema 1 to 2, and to 3."""

import json

import pytest

from commanding import edit_state, run, state_file
from firing import audit_of, fire, start, state_of
from holdfast.errors import ValidationFailed
from holdfast.hook import open_store
from holdfast.project import Project
from holdfast.state import document, migrations
from holdfast.state.migrations import Migration


def upper(state):
    state["signals"] = {name.upper(): at for name, at in state["signals"].items()}
    return state


def doubled(state):
    return {**state, "stats": {**state["stats"], "prompts": state["stats"]["prompts"] * 2}}


STEPS = (Migration("upper-case-signals", 2, upper), Migration("double-prompts", 3, doubled))


@pytest.fixture
def old(project, monkeypatch):
    """A project with a state of schema 1, under a release whose schema is 3."""
    assert run(project, "signal", "emit", "done").code == 0
    assert run(project, "state", "patch", '{"stats": {"prompts": 5}}').code == 0
    monkeypatch.setattr(document, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(migrations, "MIGRATIONS", STEPS)
    return project


def backups_of(project, reason):
    return [copy for copy in json.loads(run(project, "state", "backups", "--json").out) if copy["reason"] == reason]


def test_the_release_s_own_migrations_are_ordered_and_named_once():
    versions = [step.version for step in migrations.MIGRATIONS]
    assert versions == sorted(versions)
    assert len({step.name for step in migrations.MIGRATIONS}) == len(versions)
    assert max(versions, default=document.SCHEMA_VERSION) == document.SCHEMA_VERSION


def test_migrate_applies_them_in_order_and_the_state_names_them(old):
    before = document.decode(state_file(old).read_bytes())
    said = run(old, "state", "migrate")
    assert said.code == 0, said.err
    assert "schema 1 to 3: upper-case-signals, double-prompts" in said.out
    state = document.decode(state_file(old).read_bytes())
    assert state["schema_version"] == 3
    assert state["metadata"]["migrations"] == ["upper-case-signals", "double-prompts"]
    assert list(state["signals"]) == ["DONE"]
    assert state["stats"]["prompts"] == 10
    assert state["revision"] == before["revision"] + 1
    assert run(old, "state", "validate").code == 0
    assert "migrated upper-case-signals double-prompts" in [line["decision"] for line in audit_of(old)]
    assert "nothing to migrate" in run(old, "state", "migrate").out


def test_what_it_was_is_backed_up_before(old):
    before = document.decode(state_file(old).read_bytes())
    assert run(old, "state", "migrate").code == 0
    [copy] = backups_of(old, "before-migration")
    with open(copy["file"], "rb") as file:
        assert document.decode(file.read()) == before
    assert copy["revision"] == before["revision"]


def test_a_dry_run_shows_what_would_change_and_writes_nothing(old):
    files = {path: path.read_bytes() for path in (old / ".holdfast").rglob("*") if path.is_file()}
    said = run(old, "state", "migrate", "--dry-run")
    assert said.code == 0
    assert "stats.prompts: 5 -> 10" in said.lines
    assert "schema_version: 1 -> 3" in said.lines
    two = run(old, "state", "migrate", "--dry-run", "--to", "2")
    assert "schema_version: 1 -> 2" in two.lines
    assert "double" not in two.out
    assert {path: path.read_bytes() for path in (old / ".holdfast").rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("to", ["0", "2", "4"])
def test_no_state_is_left_in_a_schema_that_this_release_does_not_work_with(old, to):
    before = state_file(old).read_bytes()
    assert run(old, "state", "migrate", "--to", to).code == 4
    assert state_file(old).read_bytes() == before
    assert run(old, "state", "migrate", "--to", "3").code == 0


def test_any_update_migrates_first(old):
    assert run(old, "task", "add", "one").code == 0
    state = state_of(old)
    assert state["schema_version"] == 3
    assert list(state["signals"]) == ["DONE"]
    assert "one" in state["tasks"]
    assert len(backups_of(old, "before-migration")) == 1


def test_a_hooks_store_migrates_too_and_folds_what_waited(old):
    found = Project(str(old / ".holdfast"))
    store = open_store(found.folder, found.index, "claude:s")
    store.update(lambda state: state.update(revision=state["revision"] + 1), 1.0)
    assert document.decode(state_file(old).read_bytes())["schema_version"] == 3


def test_a_reader_sees_the_migrated_state_and_writes_nothing(old):
    before = state_file(old).read_bytes()
    assert list(state_of(old)["signals"]) == ["DONE"]
    assert state_file(old).read_bytes() == before


def test_a_document_of_old_that_is_nested_too_deeply_gives_way_to_a_copy(project):
    run(project, "signal", "emit", "done")
    state_file(project).write_text('{"schema_version": 0, "phase": %s}' % ("[" * 600 + "]" * 600))
    fired = fire("claude", start("claude", project), project)
    assert (fired.code, fired.stderr) == (0, "") and "DONE" not in fired.text
    assert list(state_of(project)["signals"]) == ["done"], "a copy came back"


def test_a_state_that_a_person_edited_is_migrated_as_well(old):
    edit_state(old, '"prompts":5', '"prompts":7')
    assert run(old, "state", "migrate").code == 0
    assert state_of(old)["stats"]["prompts"] == 14


def test_a_backup_of_an_older_release_is_migrated_when_it_is_put_back(old):
    assert run(old, "state", "migrate").code == 0
    assert run(old, "state", "recover", "before-migration", "--force").code == 0
    state = state_of(old)
    assert (state["schema_version"], state["stats"]["prompts"]) == (3, 10)
    state_file(old).write_bytes(b"")
    assert run(old, "state", "recover", "before-migration").code == 0
    assert state_of(old)["stats"]["prompts"] == 10


def broken(state):
    state["signals"].clear()
    raise KeyError("what")


def invalid(state):
    state["mode"] = "asleep"
    return state


@pytest.mark.parametrize(("step", "says"), [(broken, "upside-down failed"), (invalid, "mode")])
def test_one_that_fails_leaves_the_state_as_it_was(old, monkeypatch, step, says):
    monkeypatch.setattr(migrations, "MIGRATIONS", (*STEPS[:1], Migration("upside-down", 3, step)))
    before = state_file(old).read_bytes()
    for words in (("state", "migrate"), ("task", "add", "one"), ("state", "migrate", "--dry-run")):
        said = run(old, *words)
        assert said.code == 4
        assert says in said.err
    assert state_file(old).read_bytes() == before
    assert not backups_of(old, "before-migration")


@pytest.mark.usefixtures("old")
def test_a_gap_between_versions_is_told(monkeypatch):
    monkeypatch.setattr(migrations, "MIGRATIONS", STEPS[:1])
    with pytest.raises(ValidationFailed, match="from schema 1 to 3"):
        migrations.rehearse({**document.new(0), "schema_version": 1})


@pytest.mark.usefixtures("old")
def test_one_that_was_applied_is_not_applied_again():
    state = {**document.new(0), "schema_version": 1, "signals": {"a": 1.0}}
    state["stats"]["prompts"] = 3
    state["metadata"]["migrations"] = ["upper-case-signals"]
    assert [step.name for step in migrations.pending(state)] == ["double-prompts"]
    found = migrations.rehearse(state)
    assert (found["signals"], found["stats"]["prompts"]) == ({"a": 1.0}, 6)
    assert state["schema_version"] == 1
    assert state["stats"]["prompts"] == 3, "rehearsed on a copy"


def test_a_damaged_state_is_not_migrated_but_recovered_from_a_migrated_copy(old):
    state_file(old).write_bytes(state_file(old).read_bytes()[:200])
    assert run(old, "state", "read").code == 0
    state = state_of(old)
    assert state["schema_version"] == 3
    assert state["metadata"]["migrations"] == ["upper-case-signals", "double-prompts"]
