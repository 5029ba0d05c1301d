"""An upgrade of the private environment that stops while pip is at work, or that finds its folder behind a link."""

import json
import os
import signal
import subprocess
import sys

import pytest

from firing import ROOT
from holdfast.errors import LockTimeout, NetworkError
from holdfast.install import bootstrap, environment, locking
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


@pytest.mark.parametrize("there", [True, False], ids=["another release is there", "an empty folder"])
def test_an_environment_behind_a_link_is_made_there_and_keeps_the_name_that_was_asked_for(
    tmp_path, app, monkeypatch, there
):
    prefix, big = tmp_path / "prefix", tmp_path / "big"
    big.mkdir()
    prefix.symlink_to(big)
    if there:
        older(prefix, "exit 1")
        (big / "pyvenv.cfg").unlink()
    step = bootstrap._step

    def venv_alone(words, *more, **options):
        if "ensurepip" in words:
            raise NetworkError("no network")
        step(words, *more, **options)

    monkeypatch.setattr(bootstrap, "_step", venv_alone)
    words = ["--project", str(app), "--prefix", str(prefix), "--host", "claude"]
    assert bootstrap.main(words, str(ROOT)) == NetworkError.exit_code
    asked = [str(prefix / "bin" / "python"), "-I", "-c", "import sys; print(sys.prefix, sys.executable)"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert told == f"{prefix} {asked[0]}\n", "pip writes it into the command"
    assert json.loads((big / environment.MARKER).read_text())["prefix"] == str(prefix)


def test_a_prefix_that_is_a_link_to_nothing_is_refused_with_what_to_do(tmp_path, app):
    prefix = tmp_path / "prefix"
    prefix.symlink_to(tmp_path / "gone")
    for more in ((), ("--dry-run",)):
        done = run_py("--project", app, "--prefix", prefix, "--host", "claude", *more)
        assert done.returncode == 4 and len(done.stderr.splitlines()) == 1
        assert f"{prefix} is a link to {tmp_path / 'gone'}, which is not there: make that folder" in done.stderr
    assert list(app.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_who_installs_after_one_that_was_killed_alone_waits_for_its_pip(tmp_path, app, number):
    prefix, pipe = tmp_path / "prefix", tmp_path / "pipe"
    os.mkfifo(pipe)
    older(prefix, f"exec cat '{pipe}'")
    words = [sys.executable, ROOT / "install.py", "--project", app, "--prefix", prefix, "--host", "claude"]
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    with pipe.open("wb"):  # opens when pip is at work, and keeps it there
        killed.send_signal(number)
        assert killed.wait() == -number
        with pytest.raises(LockTimeout), locking.locked(str(prefix / environment.LOCK), lambda: None, budget=0):
            pass
    with locking.locked(str(prefix / environment.LOCK), lambda: None):
        pass
