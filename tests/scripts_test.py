"""The page on scripts: each block runs, and prints what stands below it."""

import doctest
import os
import re
import subprocess
import sys

import pytest

from commanding import environment
from firing import ROOT, make_project

PAGE = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs sh")


@pytest.fixture
def env(tmp_path):
    """An environment in which `holdfast` is the command that is tested."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "holdfast"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m holdfast "$@"\n')
    command.chmod(0o755)
    return environment(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", LC_ALL="C")


def test_every_block_prints_what_the_page_shows(tmp_path, env):
    assert len(BLOCKS) == PAGE.count("```sh") == PAGE.count("```text")
    project = make_project(tmp_path / "shop")
    for script, shown in BLOCKS:
        done = subprocess.run(
            ["sh", "-eu", "-c", script], cwd=project, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        same = doctest.OutputChecker().check_output(shown, done.stdout, doctest.ELLIPSIS)
        assert same, f"{script}\nprinted\n{done.stdout}\nnot\n{shown}\n{done.stderr}"
        assert "Traceback" not in done.stderr and "internal error" not in done.stderr
