"""What a hook does on its common path, counted, not timed: files, bytes, system calls, processes.

Each budget is what is done now and a little room. A change that needs more has to say why here.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from bench import world

from firing import HOSTS, ROOT, edit_call, fire, host_env, prompt, start
from holdfast.workflow import index

# (files opened, files written to, bytes read beyond the bytecode's, system calls) beyond the bare interpreter's
BUDGETS = {"tool": (11, 4, 40_000, 130), "prompt": (11, 4, 40_000, 130), "start": (13, 5, 40_000, 165)}
ENTRY = {"tool": "post_tool_use", "prompt": "prompt_activation", "start": "session_resume"}

WATCH = """
import sys
seen = []
sys.addaudithook(lambda name, given: seen.append((name, given)))
import posix
def leave(code):
    kept = [(name, str(given[0]), given[2] if len(given) > 2 else None) for name, given in seen if name == "open"]
    others = sorted({name for name, _ in seen if name.split(".")[0] in ("subprocess", "socket", "os", "shutil", "ctypes")})
    posix.write(2, repr((kept, others)).encode())
    exit(code)
exit = posix._exit
posix._exit = leave
path = sys.argv.pop(1)
exec(compile(open(path).read(), path, "exec"), {"__name__": "__main__", "__file__": path})
"""


@pytest.fixture(scope="module")
def hooks(tmp_path_factory):
    """The folder of the hooks, laid out as by an install."""
    return world.install(str(tmp_path_factory.mktemp("installed") / "prefix"))


def given(kind, host, project):
    made = {"tool": lambda: edit_call(host, project, "src/a.py"), "prompt": lambda: prompt(host, project, "the refund")}
    return made[kind]() if kind in made else start(host, project, "resume")


@pytest.fixture
def lived_in(project):
    """A project in which the first events, which make files, are over."""
    for host in HOSTS:
        fire(host, start(host, project), project)
    return project


@pytest.mark.skipif(sys.platform == "win32", reason="watches posix")
@pytest.mark.parametrize("kind", BUDGETS)
@pytest.mark.parametrize("host", HOSTS)
def test_a_hook_opens_few_files_and_starts_nothing(kind, host, hooks, lived_in):
    words = [sys.executable, "-I", "-S", "-c", WATCH, f"{hooks}/{ENTRY[kind]}.py", "--host", host]
    payload = json.dumps(given(kind, host, lived_in)).encode()
    run = subprocess.run(words, input=payload, env=host_env(host, lived_in), capture_output=True, check=True)
    opened, others = eval(run.stderr)
    ours = [path for _, path, _ in opened if "lib/python" not in path and "lib-dynload" not in path]
    assert len(ours) <= BUDGETS[kind][0], ours
    assert sum(str(lived_in) in path for path in ours) >= 4, "the state was opened, so the hook did run"
    assert set(others) <= {"os.listdir", "os.rename", "os.remove", "os.link", "os.truncate", "os.mkdir"}, others


strace = shutil.which("strace")


def traced(words, data, env, place):
    """The lines that strace writes of a process and its children."""
    out = place / "trace"
    done = subprocess.run([strace, "-f", "-o", str(out), *words], input=data, env=env, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"strace does not work here: {done.stderr.decode()[:80]}")
    return [line for line in out.read_text(errors="replace").splitlines() if "(" in line]


@pytest.mark.skipif(strace is None, reason="needs strace")
@pytest.mark.parametrize("kind", BUDGETS)
def test_a_hook_makes_few_system_calls_and_syncs_twice(kind, hooks, lived_in, tmp_path):
    env = host_env("claude", lived_in)
    bare = len(traced([sys.executable, "-I", "-S", "-c", "pass"], b"", env, tmp_path))
    words = [sys.executable, "-I", "-S", f"{hooks}/{ENTRY[kind]}.py", "--host", "claude"]
    lines = traced(words, json.dumps(given(kind, "claude", lived_in)).encode(), env, tmp_path)
    _, written, read, calls = BUDGETS[kind]
    assert len(lines) - bare <= calls
    assert sum("fsync(" in line for line in lines) == 2, "the file's and the folder's, no more and no less"
    assert sum(bool(re.search(r"open\w*\(.*O_(WRONLY|RDWR)", line)) for line in lines) <= written
    assert not [line for line in lines if re.search(r"\b(v?fork|clone3?|execve)\(", line)][1:], "no child process"
    assert 1000 < read_below(str(lived_in), lines) <= read


def read_below(place, lines):
    """How many bytes were read from files whose paths begin so."""
    fds, total = set(), 0
    for line in lines:
        if found := re.search(r"open\w*\(.*\"(.*?)\".* = (\d+)$", line):
            (fds.add if found[1].startswith(place) else fds.discard)(found[2])
        elif (found := re.search(r" p?read(?:64)?\((\d+),.* = (\d+)$", line)) and found[1] in fds:
            total += int(found[2])
    return total


@pytest.mark.skipif(strace is None, reason="needs strace")
@pytest.mark.parametrize(("kind", "part"), [("tool", 0.04), ("prompt", 0.3), ("fires", 1)])
def test_of_a_thousand_skills_a_hook_reads_what_its_event_can_match(kind, part, hooks, tmp_path):
    project = world.build(str(tmp_path), 1000, 25)
    entry = "post_tool_use" if kind == "tool" else "prompt_activation"
    words = [sys.executable, "-I", "-S", f"{hooks}/{entry}.py", "--host", "claude"]
    lines = traced(words, world.payload(kind, project), host_env("claude", project), tmp_path)
    place = f"{project}/.holdfast/index.json"
    assert index.FIRST <= read_below(place, lines) <= part * os.path.getsize(place)


def test_the_bench_is_importable_from_the_checkout():
    assert str(ROOT) == world.CHECKOUT
