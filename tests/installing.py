"""install.py run as a user would: `run_py` runs it, `installed` is a real private environment that it made once."""

import os
import shutil
import subprocess
import sys

import pytest

from firing import ROOT


def run_py(*words, checkout=ROOT, **env):
    """Run install.py as a user would."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    words = [sys.executable, str(checkout / "install.py"), *map(str, words)]
    return subprocess.run(
        words, env={**keep, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A real private environment, made from a copy of this checkout: the folder that holds both, and what was printed."""
    base = tmp_path_factory.mktemp("real")
    for name in ("plugin", "hooks", "manifests"):
        shutil.copytree(ROOT / name, base / "checkout" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("install.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, base / "checkout")
    before = set(base.rglob("*"))
    (base / "home").mkdir()
    (base / "app").mkdir()
    done = install_py(base, PYTHONPATH=str(base), PIP_REQUIRE_VIRTUALENV="1")
    if done.returncode == 8:
        pytest.skip(f"no network: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set((base / "checkout").rglob("*")) <= before, "something was left behind in the checkout"
    return base, done.stdout


def install_py(base, **env):
    words = ("--project", base / "app", "--prefix", base / "pre fix")
    return run_py(*words, checkout=base / "checkout", HOME=str(base / "home"), **env)
