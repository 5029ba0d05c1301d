"""A fault at every step of what a hook and a command do: what is there afterwards is whole, and nothing is lost.

A step is a system call that touches the project's folder. Each fault meets a project that is the same each time.
"""

import contextlib
import fcntl
import json
import shutil
import sys

import pytest

import injecting
from commanding import environment
from firing import audit_of, command_of, edit_call, fire, host_env, make_project, prompt, start, state_of
from holdfast.state import document, spool

pytestmark = injecting.needs_strace

ALTERING = {"openat", "write", "fsync", "ftruncate", "truncate", "mkdir", "mkdirat"}
ALTERING |= {"link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat"}
# fault: (at which calls, whether the step must be one that makes or changes something)
FAULTS = {
    "error=EIO": (set(injecting.CALLS), False),
    "error=EINTR": (set(injecting.CALLS) - {"close"}, False),
    "error=EMFILE": ({"openat"}, False),
    "error=ENOSPC": (ALTERING, True),
    "error=EACCES": (ALTERING | {"flock"}, True),
    "signal=KILL": (ALTERING | {"flock"}, False),
    "signal=TERM": (ALTERING | {"flock"}, False),
}


def of_a_start(shop):
    (shop / ".holdfast" / "reserve").unlink()  # it makes one
    return "session_resume", start("claude", shop, "resume")


def of_an_update(shop):
    return "post_tool_use", edit_call("claude", shop, "src/a.py")


def of_an_update_that_folds(shop):
    for _ in range(2):
        with taken(shop):
            fire("claude", edit_call("claude", shop, "src/b.py"), shop, env={"HOLDFAST_LOCK_TIMEOUT": "0"})
    return of_an_update(shop)


@contextlib.contextmanager
def taken(shop):
    """Somebody else holds the state's lock."""
    with open(shop / ".holdfast" / "state.lock", "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield


CASES = {
    "an update": (of_an_update, contextlib.nullcontext),
    "an update that folds the spool": (of_an_update_that_folds, contextlib.nullcontext),
    "an event that is spooled": (of_an_update, taken),
    "a session's start": (of_a_start, contextlib.nullcontext),
}


class Project:
    """A project that can be put back to what it was."""

    def __init__(self, folder, prepare):
        self.shop = make_project(folder / "shop")
        fire("claude", start("claude", self.shop), self.shop)
        fire("claude", edit_call("claude", self.shop, "docs/spec/a.md"), self.shop)
        self.hook, self.given = prepare(self.shop)
        self.kept = folder / "kept"
        shutil.copytree(self.shop, self.kept)
        self.calls = state_of(self.shop)["stats"]["tool_calls"]

    def put_back(self):
        shutil.rmtree(self.shop)
        shutil.copytree(self.kept, self.shop)

    def state(self):
        """What is on the disk as the state, sealed."""
        return document.decode((self.shop / ".holdfast" / "state.json").read_bytes())

    def options(self):
        env = {**host_env("claude", self.shop), "HOLDFAST_LOCK_TIMEOUT": "0.05"}
        return {"input": json.dumps(self.given).encode(), "env": env, "cwd": self.shop}


def steps_of(project, around, fault):
    """The steps that a fault can meet, from when the project's folder was found on: before, there is no event."""
    words = command_of("claude", project.hook)
    with around(project.shop) if around is taken else around():
        steps, ran = injecting.record(words, project.shop / ".holdfast", **project.options())
    assert ran.code == 0
    calls, alters = FAULTS[fault]
    changing = ("O_CREAT", "write", "fsync", "mkdir", "rename", "link", "truncate")
    found = [step for step in steps[1:] if step.call in calls]
    if project.hook != "post_tool_use" or spool.waiting(str(project.shop / ".holdfast")):
        found = [step for step in found if step.call not in ("close", "newfstatat")]  # as in the other cases
    return words, [step for step in found if not alters or any(word in f"{step.call} {step.what}" for word in changing)]


PAIRS = [("an update", fault) for fault in FAULTS]
PAIRS += [("an event that is spooled", fault) for fault in ("error=EIO", "error=EMFILE", "error=ENOSPC", "signal=KILL")]
PAIRS += [("an update that folds the spool", fault) for fault in ("error=EIO", "error=ENOSPC", "signal=KILL")]
PAIRS += [("a session's start", fault) for fault in ("error=EIO", "signal=KILL")]


@pytest.mark.parametrize(("case", "fault"), PAIRS)
def test_a_fault_at_any_step_of_a_hook_loses_nothing_and_disturbs_nobody(case, fault, place):
    prepare, around = CASES[case]
    project = Project(place, prepare)
    words, steps = steps_of(project, around, fault)
    assert len(steps) >= 3
    more = project.hook == "post_tool_use"
    for step in steps:
        project.put_back()
        before = project.state()
        with around(project.shop) if around is taken else around():
            ran = injecting.run(words, step, fault, **project.options())
        assert ran.hit, step
        after = project.state()
        assert after is not None and after["revision"] >= before["revision"], f"neither old nor new: {step}"
        counted = state_of(project.shop)["stats"]["tool_calls"] - project.calls
        if fault.startswith("error"):
            assert (ran.code, ran.stderr) == (0, ""), step
            assert not ran.stdout or isinstance(json.loads(ran.stdout), dict), step
            assert counted == more, f"the event is lost, or there twice: {step}"
            assert not list(project.shop.rglob("*.tmp")), step
        else:
            assert ran.code < 0 and counted in (0, more), step
        assert_goes_on(project, counted, step)


def assert_goes_on(project, counted, step):
    """The next session and its first event find all as it should be."""
    told = fire("claude", start("claude", project.shop, "resume"), project.shop)
    fire("claude", edit_call("claude", project.shop, "src/next.py"), project.shop)
    state = state_of(project.shop)
    assert state["stats"]["tool_calls"] == project.calls + counted + 1, step
    assert "lost" not in told.text, step
    assert project.state()["phase"] == "build", step
    assert not list(project.shop.rglob("*.tmp")) and not spool.waiting(str(project.shop / ".holdfast")), step
    assert not list((project.shop / ".holdfast").glob("*.corrupt-*")), step


def test_where_nothing_can_be_opened_any_more_the_host_is_not_disturbed_and_the_state_stays(place):
    project = Project(place, of_an_update)
    words, steps = steps_of(project, contextlib.nullcontext, "error=EMFILE")
    for step in steps:
        project.put_back()
        ran = injecting.run(words, step, "error=EMFILE", lasting=True, **project.options())
        assert (ran.code, ran.stdout, ran.stderr, ran.hit) == (0, "", "", True)
        assert project.state() is not None
        assert_goes_on(project, state_of(project.shop)["stats"]["tool_calls"] - project.calls, step)


# -- commands

COMMAND = """
import sys
from holdfast.cli import main
sys.exit(main(sys.argv[1:]))
"""
# fault: the steps of an update that it can meet, and what the command may end with
TOLD = {
    "error=EIO": (("openat", "read", "write", "fsync", "rename", "flock"), {0, 1}),
    "error=EXDEV": (("rename",), {1}),
    "error=EMFILE": (("openat",), {0, 10}),
    "error=ENOSPC": (("write", "fsync"), {0, 7}),
    "error=ETIMEDOUT": (("fsync",), {0}),  # it is tried again
    "error=EBUSY": (("rename",), {0}),
    "signal=KILL": (("rename",), {-9}),
}


def guarded(steps):
    """The steps from taking the state's lock to letting go of it."""
    first = next(place for place, step in enumerate(steps) if "state.lock" in step.what)
    last = max(place for place, step in enumerate(steps) if "state.lock" in step.what)
    return [step for step in steps[first:last] if "backups" not in step.what]


def settle(shop):
    """Let there be the two revisions before: where the older one is missing, an update takes other steps."""
    for _ in range(3):
        fire("claude", prompt("claude", shop, "well"), shop)


@pytest.mark.parametrize("fault", TOLD)
def test_a_fault_at_any_step_of_a_commands_update_is_told_in_a_line_and_the_state_is_whole(fault, place):
    shop = make_project(place / "shop")
    fire("claude", start("claude", shop), shop)
    words = [sys.executable, "-c", COMMAND, "phase", "set"]
    options = {"env": environment(HOLDFAST_LOCK_TIMEOUT="5"), "cwd": shop}
    settle(shop)
    steps, ran = injecting.record([*words, "build"], shop / ".holdfast", **options)
    assert (ran.code, ran.stderr) == (0, "")
    calls, codes = TOLD[fault]
    met = [step for step in guarded(steps) if step.call in calls]
    met = met[:2] if fault == "error=EMFILE" else met  # it is waited for before it is tried again
    assert met
    phases = ["build", "ship"]
    for step in met:
        phases.reverse()
        settle(shop)
        ran = injecting.run([*words, phases[1]], step, fault, **options)
        assert ran.hit and ran.code in codes, (step, ran)
        assert len(ran.stderr.splitlines()) == (ran.code > 0), (step, ran.stderr)
        state = document.decode((shop / ".holdfast" / "state.json").read_bytes())
        assert state["phase"] in (phases if ran.code else phases[1:]), step
        phases = ["build", "ship"] if state["phase"] == "ship" else ["ship", "build"]
        assert ran.code < 0 or not list(shop.rglob("*.tmp")), step


def test_a_file_system_that_does_not_answer_in_time_ends_9(place):
    shop = make_project(place / "shop")
    words = [sys.executable, "-c", COMMAND, "phase", "set"]
    steps, _ran = injecting.record([*words, "build"], shop / ".holdfast", env=environment(), cwd=shop)
    sync = next(step for step in guarded(steps) if step.call == "fsync")
    before = (shop / ".holdfast" / "state.json").read_bytes()
    ran = injecting.run([*words, "ship"], sync, "error=ETIMEDOUT", lasting=True, env=environment(), cwd=shop)
    assert ran.code == 9 and "state.json" in ran.stderr and "in time" in ran.stderr, ran
    assert len(ran.stderr.splitlines()) == 1
    assert (shop / ".holdfast" / "state.json").read_bytes() == before and not list(shop.rglob("*.tmp"))
    what = [line["what"] for line in audit_of(shop) if line["decision"] == "recovered"]
    assert what == ["timeout: tried again"]
