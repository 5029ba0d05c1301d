"""What every test gets: a home of its own, a project to work in, and a guard over the real home."""

import compileall
import itertools
import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

from firing import FLOW, PLUGIN, make_project
from installing import installed  # noqa: F401  a fixture

try:
    import pwd
except ImportError:  # Windows
    pwd = None

# The CLIs' own variables, and ours: a test run may have been started from a shell of one of them.
FOREIGN = ("CLAUDE", "CODEX", "GEMINI", "COPILOT", "OPENCODE", "HOLDFAST", "XDG_", "PLUGIN_", "AI_AGENT")
WATCHED = (
    ".holdfast",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".gemini/settings.json",
    ".codex/hooks.json",
    ".config/opencode/plugins",
    ".copilot/hooks",
    ".local/share/holdfast",
    ".local/bin/holdfast",
    "Library/Application Support/holdfast",
)
TOUCHED = pytest.StashKey()
BEFORE = pytest.StashKey()

hypothesis.settings.register_profile("holdfast", deadline=None, max_examples=100, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=5000)  # --hypothesis-profile thorough
# CI decides whether a change lands: there the examples are the same each time, here they wander
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("holdfast"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "holdfast")


def real_homes():
    """The home that this run was started with, and the one that the system has for the user."""
    homes = {os.path.expanduser("~")}
    if pwd is not None:
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    return homes


REAL_HOMES = frozenset(real_homes())  # before any test has a home of its own


def snapshot(homes=REAL_HOMES):
    """What of the real homes a test could have changed: {path: (mtime in ns, names)}."""
    found = {}
    for path in (os.path.join(home, name) for home in homes for name in WATCHED):
        if os.path.lexists(path):
            names = sorted(os.listdir(path)) if os.path.isdir(path) else []
            found[path] = (os.lstat(path).st_mtime_ns, names)
    return found


def differences(before, after):
    """The paths that appeared, vanished or changed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # xdist's workers share what their controller did
        config.stash[BEFORE] = snapshot()
        compileall.compile_dir(str(PLUGIN), quiet=2)  # the entrypoints write no bytecode: hooks would start cold
        for stale in PLUGIN.glob("holdfast/__pycache__/hooks.*.bytecode"):  # not noticed when a module changes in place
            stale.unlink(missing_ok=True)


def pytest_sessionfinish(session):
    before = session.config.stash.get(BEFORE, None)
    if before is not None:
        session.config.stash[TOUCHED] = differences(before, snapshot())
        if session.config.stash[TOUCHED] and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for path in config.stash.get(TOUCHED, []):
        terminalreporter.write_line(f"FAILED the real home was touched: {path}", red=True)


@pytest.fixture(scope="session")
def homes(tmp_path_factory):
    """A folder for the tests' homes, and the numbers that name them."""
    return tmp_path_factory.mktemp("homes"), itertools.count()


@pytest.fixture(autouse=True)
def home(homes, monkeypatch):
    """An empty home for one test; no variable points into the real one or tells of a CLI."""
    folder, numbers = homes
    place = folder / str(next(numbers))
    place.mkdir()
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(place))
    return Path(place)


@pytest.fixture
def project(tmp_path, request):
    """A project folder; its workflow is `firing.FLOW`, or the test's `parametrize(..., indirect=["project"])`."""
    return make_project(tmp_path / "shop", getattr(request, "param", FLOW))


@pytest.fixture
def place(tmp_path):
    """A folder in memory, where the system has one: thousands of disks are made in it."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)
