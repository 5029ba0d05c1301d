"""Faults put by strace between a process and the kernel: one system call fails, or the process dies before it.

`record` lets a process run and tells its steps: the system calls that touch a folder. `run` lets it run again with a
fault at one of them. A step is a call's name and its number among the calls of that name, so what is run must do the
same each time: hooks do, whose bytecode is there.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

CALLS = (
    *("openat", "read", "write", "fsync", "ftruncate", "truncate", "flock", "close", "getdents64", "newfstatat"),
    *("link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat"),
)
LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)")


class Step(NamedTuple):
    """A system call. number: its place among the calls of its name, from 1. what: its arguments, for people."""

    call: str
    number: int
    what: str


class Ran(NamedTuple):
    """How a process ended; code is negative for a signal. hit: whether the fault struck."""

    code: int
    stdout: str
    stderr: str
    hit: bool


@functools.cache
def possible():
    """Whether strace is there and may inject here."""
    tracer = shutil.which("strace")
    if sys.platform != "linux" or tracer is None:
        return False
    words = [tracer, "-o", os.devnull, "-e", "trace=mkdir", "-e", "inject=mkdir:error=EIO", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not possible(), reason="needs strace, and the right to trace")


def record(words, folder, **options):
    """Run a process to its end; its steps in `folder`, and how it ended."""
    ran, lines = _traced(words, [], **options)
    steps, numbers = [], {}
    for line in lines:
        found = LINE.match(line)
        if found is None:
            continue
        call, rest = found.groups()
        numbers[call] = numbers.get(call, 0) + 1
        if str(folder) in rest:
            steps.append(Step(call, numbers[call], rest.replace(str(folder), "~")))
    return steps, ran


def run(words, step, fault, *, lasting=False, **options):
    """Run a process with a fault at a step: `error=EIO`, `signal=KILL`.

    Args:
        words: the program and its arguments.
        step: from `record`.
        fault: in strace's own words.
        lasting: at all later calls of the name, too.
        options: of `subprocess.run`.
    """
    when = f"{step.number}{'+' if lasting else ''}"
    return _traced(words, ["-e", f"inject={step.call}:{fault}:when={when}"], **options)[0]


def _traced(words, faults, **options):
    known = ",".join(f"?{name}" for name in CALLS)  # not every kind of machine has them all
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        tracing = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", str(log), "-e", f"trace={known}", *faults]
        done = subprocess.run([*tracing, *words], capture_output=True, timeout=60, check=False, **options)
        lines = log.read_text(errors="replace").splitlines()
    hit = any("(INJECTED)" in line or "+++ killed" in line for line in lines)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode(), hit), lines
