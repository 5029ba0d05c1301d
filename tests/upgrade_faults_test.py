"""An upgrade of the private environment that stops while pip is at work, or that finds its folder behind a link."""

import json
import sys

import pytest

from holdfast.install import environment
from installing import run_py

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is a script here")
PYTHON = "{}.{}".format(*sys.version_info)


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    return folder


def older(prefix, pip):
    """An environment of another release at `prefix`, whose pip is that shell script; what its marker holds."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "pyvenv.cfg").touch()
    (prefix / "bin" / "python").write_text(f'#!/bin/sh\ncase "$*" in *"-m pip install"*) {pip};; esac\n')
    (prefix / "bin" / "python").chmod(0o755)
    marker = {"holdfast": "0.0.1", "prefix": str(prefix), "python": PYTHON, "fingerprint": "", "complete": True}
    environment.mark(str(prefix), environment.MARKER, marker)
    return marker


@pytest.mark.parametrize("begun", [True, False], ids=["while it installs", "before"])
def test_a_disk_that_is_full_while_pip_installs_leaves_an_environment_that_is_made_again(tmp_path, app, begun):
    prefix = tmp_path / "prefix"
    said = [
        "Processing x",
        *["Installing collected packages: click, holdfast"] * begun,
        "ERROR: No space left on device",
    ]
    marker = older(prefix, f"printf '%s\\n' {' '.join(map(repr, said))}; exit 1")
    done = run_py("--project", app, "--prefix", prefix, "--host", "claude")
    assert done.returncode == 7, done.stderr
    left = json.loads((prefix / environment.MARKER).read_text())
    if begun:
        assert left["complete"] is False, "what pip brought back may be half"
    else:
        assert left == marker, "the old release stands as it did"
