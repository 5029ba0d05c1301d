"""The project's own state looked at: the folder, the workflow, the state, and what waits or holds it up."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from holdfast.doctor.findings import NOTE, OK, PROBLEM, Finding
from holdfast.errors import HoldfastError
from holdfast.hook import FOLDER
from holdfast.install import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.project import Project
    from holdfast.state.document import State

LOOKS = 4  # at who holds the lock
PAUSE = 0.25  # seconds between them: a hook lets go of it in less
STATE_VARIABLES = ("HOLDFAST_STATE_FILE", "HOLDFAST_AUDIT_LOG")


def _said(check: str, level: str, finding: str, remedy: str = "") -> Finding:
    return Finding(None, check, level, finding, remedy)


def findings(folder: str) -> list[Finding]:
    """What is found of the project in `folder`, which is its `.holdfast`, or "" where there is none."""
    if not folder:
        said = f"no {FOLDER} folder here or above: hooks do nothing in such a project"
        return [_said("folder", PROBLEM, said, "`holdfast install` in the project")]
    from holdfast.project import Project

    found = [*_folder(folder), *_environment()]
    try:
        project = Project(folder)
    except HoldfastError as error:
        return [*found, _said("index", PROBLEM, str(error), "mend that")]
    return [*found, *_workflow(project), *_state(project), *_lock(project), *_spool(project)]


def _folder(folder: str) -> Iterator[Finding]:
    mode = os.stat(folder).st_mode
    if not os.access(folder, os.W_OK | os.X_OK):
        yield _said("folder", PROBLEM, f"{folder} cannot be written by you: no event can be kept", "check its owner")
    elif os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        said = f"{folder} is open to others ({stat.S_IMODE(mode):04o})"
        yield _said("folder", PROBLEM, said, f"`chmod 700 {folder}`, or `holdfast doctor --fix`")


def _environment() -> Iterator[Finding]:
    for name in STATE_VARIABLES:
        if os.environ.get(name):
            said = f"{name} is in the environment: hooks that are started without it use another place"
            yield _said("environment", NOTE, said)
    try:
        if environment.out_of_step():
            said = "the hooks are not those of this release: an installation did not end, or they were damaged"
            yield _said("environment", PROBLEM, said, "run install.py again")
    except OSError as error:
        yield _said("environment", PROBLEM, f"this release cannot be read: {error}", "run install.py again")
    from holdfast.project import Project

    try:
        Project.budget()
    except HoldfastError as error:
        yield _said("environment", PROBLEM, f"{error}: commands refuse it, and hooks do not go by it", "unset it")


def _workflow(project: Project) -> Iterator[Finding]:
    error = project.index.header["error"]
    if error:
        said = f"the workflow cannot be used as it stands: {error}"
        yield _said("workflow", PROBLEM, said, "mend it: `holdfast workflow check`")
    else:
        phases = len(project.index.workflow["phases"])
        yield _said("workflow", OK, f"workflow.yaml compiles: {phases} phases")


def _state(project: Project) -> Iterator[Finding]:
    from holdfast.state import recovery

    path = project.store.path
    try:
        data, state = recovery.settled(path)
    except FileNotFoundError:
        yield _said("state", OK, "no event was kept yet")
        return
    except OSError as error:
        yield _said("state", PROBLEM, f"{path}: {error.strerror}", "check owner and mode")
        return
    if os.name == "posix" and (mode := stat.S_IMODE(os.stat(path).st_mode)) & 0o077:
        said = f"{path} is open to others ({mode:04o})"
        yield _said("state", PROBLEM, said, f"`chmod 600 {path}`, or `holdfast doctor --fix`")
    sealed = state is not None
    if state is None:
        state = recovery.validated(data)
    if state is None:
        found = recovery.parsed(data)
        if found is not None and recovery.newer(found):
            yield _said("state", PROBLEM, f"{path}: a newer Holdfast wrote it", "upgrade")
            return
        said = f"{path} is damaged: its seal is wrong, and it is no valid state"
        yield _said("state", PROBLEM, said, "`holdfast state recover`")
        return
    if not sealed:
        yield _said("state", NOTE, f"{path} was edited by hand, and is valid: the next event seals it")
    else:
        yield _said("state", OK, f"the state is sealed and valid, revision {state['revision']}")
    yield from _modes(project.read())


def _modes(state: State) -> Iterator[Finding]:
    if state["mode"] != "monitoring":
        does = "nothing at all" if state["mode"] == "stopped" else "nothing but note sessions"
        yield _said("mode", PROBLEM, f"the mode is {state['mode']}: hooks do {does}", "`holdfast mode monitoring`")
    degraded = state["degraded_mode"]
    if degraded["enabled"]:
        off = ", ".join(degraded["disabled_features"]) or "nothing"
        said = f"degraded mode: {degraded['reason']}; switched off: {off}"
        yield _said("degraded", PROBLEM, said, "mend the reason; `holdfast recovery recover-mode`")


def _lock(project: Project) -> Iterator[Finding]:
    from holdfast.state import holder

    first = held = holder.find(project.store.lock)
    for _look in range(LOOKS):
        if held is None or held != first:
            return
        time.sleep(PAUSE)
        held = holder.find(project.store.lock)
    if held is not None and held == first:
        said = f"process {held['pid']} ({held['command']}) keeps the state's lock: events wait in the spool"
        yield _said("lock", PROBLEM, said, f"see what it does; `kill {held['pid']}` if it hangs")


def _spool(project: Project) -> Iterator[Finding]:
    from holdfast.state import spool
    from holdfast.state.store import home

    waiting = spool.waiting(home(project.folder))
    events = sum(path.endswith(spool.RECORD) for path in waiting)
    lost = sum(path.endswith(spool.LOST) for path in waiting)
    if events:
        level = PROBLEM if events >= spool.MANY else NOTE
        said = f"{events} events wait in the spool for the next writer"
        yield _said("spool", level, said, "`holdfast doctor --fix` takes them in")
    if lost:
        yield _said("spool", PROBLEM, f"{lost} events found no room on the disk and were lost", "make room")
