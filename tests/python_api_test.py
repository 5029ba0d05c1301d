"""`from holdfast import Project`: what docs/python.md shows is what happens, and what it promises holds."""

import doctest
import errno
import subprocess
import sys
import threading

import pytest

import holdfast
from commanding import run
from firing import PLUGIN, ROOT, audit_of, edit_call, fire, start
from holdfast import Project
from holdfast.errors import HoldfastError, LockTimeout, ValidationFailed
from holdfast.state import spool


@pytest.fixture
def api(project):
    return Project.find(str(project))


def test_the_examples_are_what_happens(project, monkeypatch):
    monkeypatch.chdir(project)
    fire("claude", start("claude", project), project)
    found = doctest.testfile(
        str(ROOT / "docs" / "python.md"), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    assert found.failed == 0
    assert found.attempted >= 10


def test_the_package_alone_imports_nothing():
    program = "import sys; before = set(sys.modules); import holdfast; print(sorted(set(sys.modules) - before))"
    words = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(PLUGIN)!r}); {program}"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "['holdfast']\n"
    with pytest.raises(AttributeError, match="Projekt"):
        holdfast.Projekt  # noqa: B018


def test_an_update_in_a_block_is_one_update(api):
    before = api.update(lambda state: state["revision"])
    with api.editing() as state:
        state["completed_tasks"].append("a")
        state["completed_tasks"].append("b")
    assert api.read()["completed_tasks"] == ["a", "b"]
    assert api.read()["revision"] == before + 1


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "of the block's own")])
def test_an_error_in_a_block_comes_out_and_leaves_the_state(api, error):
    before = api.update(lambda state: state["revision"])

    def fail():
        with api.editing() as state:
            state["mode"] = "paused"
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert (api.read()["mode"], api.read()["revision"]) == ("monitoring", before)
    api.update(lambda state: state)


def test_what_is_spooled_while_a_block_lasts_is_kept(project, api):
    fire("claude", start("claude", project), project)
    with api.editing() as state:
        state["completed_tasks"].append("a")
        fire("claude", edit_call("claude", project, "src/a.py"), project, env={"HOLDFAST_LOCK_TIMEOUT": "0"})
        assert len(spool.waiting(api.folder)) == 1
    assert not spool.waiting(api.folder)
    state = api.read()
    assert (state["completed_tasks"], state["stats"]["tool_calls"]) == (["a"], 1)


def test_nobody_else_updates_while_a_block_lasts(api, monkeypatch):
    monkeypatch.setenv("HOLDFAST_LOCK_TIMEOUT", "0")
    with api.editing(), pytest.raises(LockTimeout):
        Project(api.folder).update(lambda state: state)
    with api.editing(), pytest.raises(LockTimeout), Project(api.folder).editing():
        pass


def test_a_signal_is_what_the_command_does(project, api):
    assert api.signal("SPEC_WRITTEN") == "spec"
    assert run(project, "phase", "show").out.startswith("Phase 2 of 3, build")
    assert api.signal("CODE_WRITTEN") == ""
    assert audit_of(project)[-1]["decision"] == "signal emit CODE_WRITTEN"
    with pytest.raises(ValidationFailed, match="no name for a signal"):
        api.signal("no name")


def test_a_named_lock_is_held_for_the_block(project, api):
    with api.lock("deploy", meta={"why": "x"}):
        assert run(project, "lock", "check", "deploy").code == 0
        taken = []

        def other():
            try:
                with api.lock("deploy", timeout=0):
                    pass
            except LockTimeout as error:
                taken.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert taken
    assert run(project, "lock", "check", "deploy").code == 1


def test_a_checkpoint_can_be_gone_back_to(project, api):
    api.signal("SPEC_WRITTEN")
    name = api.checkpoint("release", phase="build", metadata={"n": 1})
    api.update(lambda state: state.update(mode="paused"))
    assert run(project, "recovery", "restore", name).code == 0
    assert api.read()["mode"] == "monitoring"
    with pytest.raises(HoldfastError, match="letter or a digit"):
        api.checkpoint("--")
