"""What the end-to-end tests share: the CLIs, an installation made by install.py, and sessions that several tests look at."""

import itertools
import os
import subprocess
import sys

import pytest
from clis import CLIS, ENVIRONMENT, ROOT, Stage, missing

FLOW = """
version: 1
name: shop
phases:
  - {id: spec, title: Write the spec, next: SPEC_WRITTEN, guidance: Describe the behaviour first.}
  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}
  - {id: ship, title: Ship it, next: DEPLOYED}
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  CODE_WRITTEN: {tool: edit, path: "src/**"}
  TESTS_PASSED: {tool: shell, command: pytest, outcome: ok}
  LINT_PASSED: {tool: shell, command: ruff, outcome: ok}
  DEPLOYED: {tool: shell, command: deploy, outcome: ok, after: TESTS_PASSED}
skills:
  payment-rules: {priority: high, keywords: [refund], patterns: ["charge.{0,20}card"]}
  release-notes: {priority: low, keywords: [changelog]}
"""


THEIRS = (
    ".claude",
    ".claude.json",
    ".gemini",
    ".codex",
    ".config/opencode",
    ".local/share/opencode",
    ".copilot",
)  # what the CLIs make in a home


def pytest_generate_tests(metafunc):
    if "host" in metafunc.fixturenames:
        metafunc.parametrize("host", getattr(metafunc.module, "HOSTS", list(CLIS)))


@pytest.fixture(scope="session")
def ready():
    reason = missing()
    if reason:
        pytest.skip(reason)
    before = made_in_real_home()
    yield
    assert made_in_real_home() == before, "a CLI wrote to the real home"


def made_in_real_home():
    home = os.path.expanduser("~")  # a session's fixtures begin and end outside the tests' own homes
    return [name for name in THEIRS if os.path.lexists(os.path.join(home, name))]


@pytest.fixture(scope="session")
def prefix(ready, tmp_path_factory):  # noqa: ARG001  asked for what it skips and checks
    """Holdfast, installed by install.py into an empty home: its private environment."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("home", "first"):
        (folder / name).mkdir()
    words = [
        sys.executable,
        str(ROOT / "install.py"),
        "--project",
        str(folder / "first"),
        "--prefix",
        str(folder / "prefix"),
    ]
    env = {**ENVIRONMENT, "HOME": str(folder / "home")}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "prefix"


@pytest.fixture(scope="session")
def new_stage(prefix, tmp_path_factory):
    """Makes a project and an empty home: `new_stage(workflow=FLOW)`."""
    numbers = itertools.count()
    folder = tmp_path_factory.mktemp("stages")
    return lambda workflow=FLOW: Stage(folder / str(next(numbers)), prefix, workflow)
