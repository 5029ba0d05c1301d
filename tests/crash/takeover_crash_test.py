"""A crash while another tool's state is taken over leaves the state before or after it, and the next try ends it."""

import os
import shutil

import pytest
from disk import Recording, crashes

from commanding import run
from firing import make_project
from holdfast.lean import os as lean_os
from holdfast.project import Project
from holdfast.state import document
from holdfast.state.legacy import keeping
from legacy_test import lay


@pytest.mark.parametrize("inline", [keeping.INLINE, 0], ids=["what has no place in the state", "beside it"])
def test_a_take_over_is_there_as_a_whole_or_not_at_all(inline, place, monkeypatch):
    monkeypatch.setattr(keeping, "INLINE", inline)
    project = make_project(place / "shop")
    path = lay("palingenesis", project)
    Project.find(str(project)).signal("BEFORE")
    recording = Recording(project / ".holdfast")
    with recording:
        assert run(project, "state", "import", path).code == 0
        recording.mark("taken over")
    expected = content(project)
    assert expected["imported"]
    for module in (lean_os, os):
        monkeypatch.setattr(module, "fsync", lambda _fd: None)
    count = 0
    for left, due in crashes(recording):
        count += 1
        shutil.rmtree(project / ".holdfast")
        (project / ".holdfast").mkdir(mode=0o700)
        left.materialise(project / ".holdfast")
        before = content(project)
        assert "BEFORE" in before["signals"] and before["stats"]["recoveries"] == 0
        assert before["tasks"] == (expected["tasks"] if before.get("imported") else {})
        assert before.get("imported") or not due
        assert run(project, "state", "import", path).code == 0
        after = content(project)
        assert (after["tasks"].keys(), after["imported"].keys()) == (
            expected["tasks"].keys(),
            expected["imported"].keys(),
        )
        for entry in after["imported"].values():
            kept = entry["kept"] and project / ".holdfast" / entry["kept"]
            assert not kept or any(file.read_bytes() == path.read_bytes() for file in kept.rglob("*") if file.is_file())
    assert count >= 8


def content(project):
    return document.whole(Project(str(project / ".holdfast")).read())
