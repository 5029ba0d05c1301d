"""The command as a user gives it: `run` in this process, `process` in one of its own, where that makes a difference."""

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from firing import PLUGIN
from holdfast.cli import main


class Said(NamedTuple):
    """What a command said. lines: of stdout."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()


def run(folder, *words, stdin=b"", **env):
    """Give a command in `folder`, with `env` besides the test's environment."""
    streams = {"stdin": io.TextIOWrapper(io.BytesIO(stdin), "utf-8")}
    streams |= {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        for name, value in env.items():
            patch.setenv(name, value)
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        code = main([str(word) for word in words])
    told = []
    for name in ("stdout", "stderr"):
        streams[name].flush()
        told.append(streams[name].buffer.getvalue().decode())
    return Said(code, *told)


def process(folder, *words, stdin=b"", stdout=subprocess.PIPE, options=(), **env):
    """Give a command in a process of its own. options: of the interpreter."""
    done = subprocess.run(
        [sys.executable, *options, "-m", "holdfast", *map(str, words)],
        cwd=folder,
        env=environment(**env),
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


def environment(**env):
    """The test's environment and `env`, in which `holdfast` can be imported."""
    path = os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **env}


def state_file(project):
    return Path(project) / ".holdfast" / "state.json"


def edit_state(project, old, new):
    """Do what a person with an editor does to the state; its seal is then wrong."""
    path = state_file(project)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
