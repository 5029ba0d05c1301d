"""Faults that are really there: broken states, a full disk, a folder that cannot be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firing import edit_call, fire, start, state_of

SPOILS = {
    "cut": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "emptied": lambda _data: b"",
    "noise": lambda data: os.urandom(len(data)),
}


def namespaces():
    """Whether this user may make a mount namespace with a tmpfs in it."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    words = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not namespaces(), reason="needs Linux and the right to mount")


def inside(script, project):
    """Run a Python script in a mount namespace of its own; `PROJECT` is its project, with `firing` at hand."""
    head = f"""
import os, subprocess, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from pathlib import Path
from firing import audit_of, edit_call, fire, prompt, start, state_of
PROJECT = Path({str(project)!r})
FOLDER = PROJECT / ".holdfast"
"""
    words = ["unshare", "-m", sys.executable, "-c", head + script]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
def test_phase_and_history_come_back_and_the_next_briefing_says_so(spoil, project):
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    path = project / ".holdfast" / "state.json"
    broken = spoil(path.read_bytes())
    path.write_bytes(broken)
    answer = fire("claude", edit_call("claude", project, "src/y.py"), project)
    assert (answer.code, answer.stderr) == (0, "")
    state = state_of(project)
    assert (state["phase"], state["stats"]["recoveries"]) == ("build", 1)
    kept = list((project / ".holdfast").glob("state.json.corrupt-*"))
    assert [file.read_bytes() for file in kept] == [broken]
    first = fire("claude", start("claude", project, "resume"), project)
    assert "recovered from a backup" in first.text
    assert "recovered from a backup" in first.reply["systemMessage"]
    fire("claude", edit_call("claude", project, "src/z.py"), project)
    assert "recovered" not in fire("claude", start("claude", project, "resume"), project).text, "it is told once"


@needs_mounts
def test_a_full_disk_keeps_the_old_state_and_the_next_event_counts_when_there_is_room(project):
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    script = """
keep = PROJECT / "keep"
subprocess.run(["cp", "-a", str(FOLDER), str(keep)], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k,mode=700", "tmpfs", str(FOLDER)], check=True)
subprocess.run(f"cp -a {keep}/. {FOLDER}/", shell=True, check=True)
fd = os.open(FOLDER / "ballast", os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(fd, b"x" * 512)
except OSError:
    pass
os.close(fd)
before = (FOLDER / "state.json").read_bytes()
for turn in range(4):
    answer = fire("claude", edit_call("claude", PROJECT, f"src/full{turn}.py"), PROJECT)
    assert answer[:3] == (0, "", ""), answer
    assert turn or (FOLDER / "state.json").read_bytes() == before, "later ones fit into the room of the reserve"
assert not list(FOLDER.rglob("*.tmp"))
os.unlink(FOLDER / "ballast")
fire("claude", edit_call("claude", PROJECT, "src/again.py"), PROJECT)
state = state_of(PROJECT)
assert state["stats"]["tool_calls"] == 6, state["stats"]
assert "lost" not in fire("claude", start("claude", PROJECT, "resume"), PROJECT).text
"""
    inside(script, project)


@needs_mounts
def test_a_folder_that_cannot_be_written_disturbs_nobody(project):
    fire("claude", start("claude", project), project)
    script = """
subprocess.run(["mount", "--bind", str(FOLDER), str(FOLDER)], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", str(FOLDER)], check=True)
for given in (edit_call("claude", PROJECT, "src/a.py"), prompt("claude", PROJECT, "refund"), start("claude", PROJECT)):
    answer = fire("claude", given, PROJECT)
    assert (answer.code, answer.stderr) == (0, ""), answer
"""
    inside(script, project)
