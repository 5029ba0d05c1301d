"""Every command that writes: whatever a crash leaves is the state before or after it, and the command can be given again.

What it keeps for itself (copies, checkpoints, another tool's files, locks' records, the reserve, the index) is whole or
not there.
"""

import contextlib
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from disk import Recording, crashes

from commanding import run, state_file
from firing import FLOW, make_project
from holdfast import spooled
from holdfast.events import Event
from holdfast.hook import open_store
from holdfast.lean import os as lean_os
from holdfast.locks import Locks
from holdfast.project import Project
from holdfast.state import document, migrations, recovery, reserve, spool
from holdfast.workflow import index
from legacy_test import lay
from worlds import index_of

INDEX = index_of(FLOW)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="models a POSIX file system")


def cut(project):
    os.truncate(state_file(project), 100)


def with_a_mode(project):
    run(project, "recovery", "degrade", "a try", "--disable", "backups")


def without_a_state(project):
    for name in ("backups", "checkpoints"):
        shutil.rmtree(project / ".holdfast" / name)
    state_file(project).unlink()


def with_a_stale_lock(project):
    assert run(project, "lock", "acquire", "build", "--owner", os.getpid(), "--ttl", "1e-6").code == 0


def with_a_lock(project):
    assert run(project, "lock", "acquire", "build", "--owner", os.getpid()).code == 0


def of_an_older_release(_project):
    def count_a_failure(state):
        state["stats"]["failures"] += 1
        return state

    document.SCHEMA_VERSION = 2
    migrations.MIGRATIONS = (migrations.Migration("count-a-failure", 2, count_a_failure),)


def with_another_workflow(project):
    (project / ".holdfast" / "workflow.yaml").write_text(FLOW.replace("Ship it", "Send it"))


def with_another_tools_state(project):
    lay("palingenesis", project)


def with_an_event(project):
    event = Event("claude", "tool_done", "PostToolUse", "s")
    event.key, event.at, event.tool = "k", 5.0, None
    spool.put(str(project / ".holdfast"), spooled.to_dict(event))


def without_a_reserve(project):
    (project / ".holdfast" / "reserve").unlink()


def nothing(_project):
    pass


# The words of the command, and what is done to the project before it.
COMMANDS = {
    "state init": (("state", "init"), without_a_state),
    "state patch": (("state", "patch", '{"mode": "paused"}'), nothing),
    "state backup": (("state", "backup", "by hand"), nothing),
    "state recover, damaged": (("state", "recover"), cut),
    "state recover, a copy": (("state", "recover", "early", "--force"), nothing),
    "state reset": (("state", "reset"), nothing),
    "state migrate": (("state", "migrate"), of_an_older_release),
    "state import": (("state", "import", "."), with_another_tools_state),
    "recovery checkpoint": (("recovery", "checkpoint", "release"), nothing),
    "recovery restore": (("recovery", "restore", "latest"), nothing),
    "recovery degrade": (("recovery", "degrade", "a try", "--disable", "backups"), nothing),
    "recovery recover-mode": (("recovery", "recover-mode"), with_a_mode),
    "recovery cleanup": (("recovery", "cleanup", "--days", "0"), nothing),
    "lock acquire": (("lock", "acquire", "build", "--owner", os.getpid()), nothing),
    "lock release": (("lock", "release", "build", "--owner", os.getpid()), with_a_lock),
    "lock clean": (("lock", "clean"), with_a_stale_lock),
    "lock run": (("lock", "run", "build", "--", "true"), nothing),
    "signal emit": (("signal", "emit", "BY_HAND"), nothing),
    "phase set": (("phase", "set", "ship"), with_an_event),
    "task add": (("task", "add", "A task"), nothing),
    "mode": (("mode", "paused"), nothing),
    "workflow check": (("workflow", "check"), with_another_workflow),
    "target record": (("target", "record", "gemini", "--failed", "1"), nothing),
    "the reserve": (("task", "add", "A task"), without_a_reserve),
}


@pytest.fixture(autouse=True)
def release(monkeypatch):
    """What a case may change of this release."""
    monkeypatch.setattr(document, "SCHEMA_VERSION", 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", ())
    monkeypatch.setattr(recovery, "PAUSE", 0)


def recorded(project, name, spoil):
    words, before = COMMANDS[name]
    make_project(project)
    run(project, "state", "init")
    run(project, "task", "add", "There before")
    run(project, "state", "backup", "early")
    run(project, "recovery", "checkpoint", "early")
    Project.find(str(project)).signal("BEFORE")
    before(project)
    recording = Recording(project / ".holdfast")
    was = told(project)
    with recording, pytest.MonkeyPatch.context() as patch:
        spoil(patch)
        said = run(project, *words)
        recording.mark("done")
    assert said.code == 0, said.err
    return recording, was, told(project)


VOLATILE = ("revision", "notices", "recent", "metadata")


def told(project):
    """What the state says, but for what each writer says anew; None where it cannot be trusted."""
    try:
        state = document.whole(open_store(str(project / ".holdfast"), INDEX, "").read())
    except Exception:  # noqa: BLE001  whatever the reader says of it
        return None
    found = {key: value for key, value in state.items() if key not in VOLATILE}
    found["stats"] = {**found["stats"], "saves_count": 0, "recoveries": 0}
    found["degraded_mode"] = {**found["degraded_mode"], "timestamp": None}
    found["tasks"] = {name: {**task, "updated_at": 0} for name, task in found["tasks"].items()}
    found["signals"] = sorted(found["signals"])
    found["imported"] = sorted(found.get("imported", ()))
    found["progress"] = {**found["progress"], "entered": 0, "signals": sorted(found["progress"]["signals"])}
    return found


def broken(folder):
    """What of the project's own files is not whole."""
    asked_for = [
        path for reason in ("early", "by-hand", "before-*") for path in folder.glob(f"backups/state-*-{reason}.json")
    ]
    kept = [*asked_for, *folder.glob("backups/previous.json"), *folder.glob("checkpoints/*.json")]
    yield from (path for path in kept if not sealed(path))
    yield from (holder for holder in Locks(str(folder)).holders() if holder.status == "damaged")
    yield from (path for path in folder.glob("reserve") if path.stat().st_size != reserve.SIZE)
    yield from (path for path in folder.glob("install.json") if not is_json(path))
    with contextlib.suppress(ValueError):  # that is seen at once
        if not index.Index((folder / "index.json").read_bytes()).whole():
            yield "index.json"


def is_json(path):
    with contextlib.suppress(ValueError):
        return isinstance(json.loads(path.read_bytes()), dict)
    return False


def sealed(path):
    return document.decode(path.read_bytes()) is not None


def fault(project, due, words, was, becomes):
    """What is wrong with the project as a crash left it, or ""."""
    folder = project / ".holdfast"
    wrong = sorted({Path(str(getattr(what, "name", what))).name.partition("-")[0] for what in broken(folder)})
    if wrong:
        return f"not whole: {wrong}"
    found = told(project)
    if found != becomes and (due or found != was):
        return "the state is neither as before nor as after"
    again = run(project, *words)
    if "internal error" in again.err or again.code not in (0, 1):
        return f"it cannot be given again: {again.err}"
    run(project, "lock", "clean")
    Project(str(folder)).store.update(lambda _state: Project(str(folder)).store.sweep(), 0)  # as a session's start
    left = [path.name for path in folder.rglob("*.tmp")]
    return f"left over: {left}" if left else ""


def faults(place, name, spoil=lambda _patch: None, enough=None):
    project = place / "shop"
    recording, was, becomes = recorded(project, name, spoil)
    found, count = {}, 0
    with pytest.MonkeyPatch.context() as patch:
        for module in (lean_os, os):
            patch.setattr(module, "fsync", lambda _fd: None)
        for left, due in crashes(recording):
            count += 1
            shutil.rmtree(project / ".holdfast")
            (project / ".holdfast").mkdir(mode=0o700)
            left.materialise(project / ".holdfast")
            wrong = fault(project, due, COMMANDS[name][0], was, becomes)
            if wrong:
                found.setdefault(wrong, sorted(left.files))
                if enough and enough in wrong:
                    break
    return found, count


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_in_any_command_leaves_the_state_before_or_after_it(name, place):
    found, count = faults(place, name)
    assert not found
    assert count >= 2


# Without a protection the model must find what can be lost.


def no_fsync_of_files(patch):
    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            real(fd)

    real = os.fsync
    for module in (lean_os, os):
        patch.setattr(module, "fsync", fsync)


def no_fsync_of_folders(patch):
    def fsync(fd):
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            real(fd)

    real = lean_os.fsync
    patch.setattr(lean_os, "fsync", fsync)


def replaced_in_place(patch):
    def replace(source, target):
        with open(source, "rb") as file, open(target, "wb") as other:
            other.write(file.read())
            other.flush()
            os.fsync(other.fileno())
        os.unlink(source)

    for module in (lean_os, os):
        patch.setattr(module, "replace", replace)


TORN, NOT_WHOLE = "neither as before nor as after", "not whole: "


@pytest.mark.parametrize(
    ("spoil", "name", "expected"),
    [
        (no_fsync_of_files, "state patch", TORN),
        (no_fsync_of_files, "state backup", NOT_WHOLE + "['state']"),
        (no_fsync_of_files, "state recover, a copy", TORN),
        (no_fsync_of_files, "state reset", TORN),
        (no_fsync_of_files, "state migrate", TORN),
        (no_fsync_of_files, "state import", TORN),
        (no_fsync_of_files, "recovery checkpoint", NOT_WHOLE + "['checkpoint']"),
        (no_fsync_of_files, "recovery restore", NOT_WHOLE),
        (no_fsync_of_files, "lock acquire", NOT_WHOLE + "['build']"),
        (no_fsync_of_files, "workflow check", NOT_WHOLE + "['index.json']"),
        (no_fsync_of_files, "target record", NOT_WHOLE + "['install.json']"),
        (no_fsync_of_files, "the reserve", NOT_WHOLE + "['reserve']"),
        (no_fsync_of_folders, "state patch", TORN),
        (no_fsync_of_folders, "state recover, damaged", TORN),
        (no_fsync_of_folders, "mode", TORN),
        (replaced_in_place, "task add", TORN),
        (replaced_in_place, "recovery checkpoint", NOT_WHOLE + "['checkpoint']"),
        (replaced_in_place, "lock acquire", NOT_WHOLE + "['build']"),
    ],
)
def test_the_model_finds_what_a_missing_protection_can_lose_of_a_command(spoil, name, expected, place):
    found, _count = faults(place, name, spoil, expected)
    assert any(expected in wrong for wrong in found), found
