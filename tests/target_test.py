"""`holdfast target`: what was carried to which target, what came of it, and what has changed since."""

import json
from hashlib import sha256

import pytest

from commanding import run
from legacy_test import lay


@pytest.fixture
def carried(project):
    """A project from which three files were carried to gemini."""
    for name in ("a.md", "b.md", "c.md"):
        (project / name).write_text(name)
    assert run(project, "target", "record", "gemini", "a.md", "b.md", "c.md").code == 0
    return project


@pytest.mark.parametrize("content", ["", "{", "\0" * 40])
def test_a_record_that_cannot_be_read_is_told_and_not_taken_for_none(carried, content):
    (carried / ".holdfast" / "install.json").write_text(content)
    said = run(carried, "target", "status")
    assert said.code == 4 and "install.json cannot be used" in said.err and len(said.err.splitlines()) == 1


def noted(project, name):
    return json.loads(run(project, "target", "status", name, "--json").out)[name]


def test_what_was_carried_is_kept_with_its_hashes_and_how(carried):
    found = noted(carried, "gemini")
    assert list(found["file_hashes"]) == ["a.md", "b.md", "c.md"]
    assert {len(digest) for digest in found["file_hashes"].values()} == {64}
    assert set(found["sync_method"].values()) == {"copy"}
    assert (found["items_synced"], found["items_skipped"], found["items_failed"]) == (3, 0, 0)


@pytest.mark.parametrize(
    ("files", "failed", "expected"), [(["a.md"], 0, "success"), (["a.md"], 2, "partial"), ([], 2, "failed")]
)
def test_the_status_follows_from_the_counts(carried, files, failed, expected):
    said = run(carried, "target", "record", "codex", *files, "--method", "symlink", "--failed", failed, "--skipped", 1)
    assert said.lines == [f"target codex: {expected}, {len(files)} carried, 1 skipped, {failed} failed"]
    assert noted(carried, "codex")["status"] == expected


def test_drift_names_what_changed_is_new_and_was_removed(carried):
    assert run(carried, "target", "drift", "gemini", "a.md").lines == ["target gemini: as it was carried"]
    (carried / "a.md").write_text("another")
    (carried / "b.md").unlink()
    (carried / "d.md").write_text("d")
    said = run(carried, "target", "drift", "gemini", "a.md", "c.md", "d.md")
    assert (said.code, said.lines) == (1, ["changed  a.md", "new  d.md", "removed  b.md"])


def test_a_target_is_cleared_alone(carried):
    run(carried, "target", "record", "codex", "a.md")
    assert run(carried, "target", "clear", "gemini").code == 0
    assert [line.split()[0] for line in run(carried, "target", "status").lines] == ["codex"]
    said = run(carried, "target", "clear", "gemini")
    assert (said.code, said.err) == (1, "holdfast: there is no target 'gemini': there are codex\n")
    run(carried, "target", "clear", "codex")
    assert run(carried, "target", "status").lines == ["no targets"]
    assert not (carried / ".holdfast" / "install.json").exists()


def test_what_another_tool_carried_is_shown_and_looked_after(project, tmp_path):
    agents = tmp_path / "AGENTS.md"
    agents.write_text("mine")
    path = lay("harness-sync", project)
    digest = sha256(b"mine").hexdigest()[:16]  # other tools keep a part of it
    path.write_text(path.read_text().replace("/home/dev/.codex/AGENTS.md", str(agents)).replace("abc123", digest))
    assert run(project, "state", "import", path).code == 0
    assert run(project, "target", "status", "codex").lines == [
        "codex partial, 5 synced, 2 skipped, 1 failed, 2026-02-13T07:43:20"
    ]
    assert run(project, "target", "drift", "codex").lines == ["target codex: as it was carried"]
    agents.write_text("another")
    assert run(project, "target", "drift", "codex").lines == [f"changed  {agents}"]


def test_installing_leaves_targets_alone_and_they_the_installation(carried):
    before = noted(carried, "gemini")
    assert run(carried, "install", "--host", "claude").code == 0
    assert noted(carried, "gemini") == before
    run(carried, "target", "clear", "gemini")
    assert json.loads((carried / ".holdfast" / "install.json").read_text())["targets"]
    assert run(carried, "uninstall").code == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["record", "gemini", "none.md"], 4, "none.md: there is no such file"),
        (["record", "a\nb", "a.md"], 4, "is no name for a target"),
        (["record", "gemini", "a.md", "--failed", "-1"], 64, "--failed"),
        (["drift", "gemnii"], 1, "did you mean gemini?"),
        (["status", "other"], 1, "there are gemini"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(carried, words, code, told):
    said = run(carried, "target", *words)
    assert (said.code, said.out) == (code, "")
    assert told in said.err and len(said.err.splitlines()) == 1
    assert noted(carried, "gemini")["items_synced"] == 3
