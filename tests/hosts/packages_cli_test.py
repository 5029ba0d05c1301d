"""Each native package, installed by its host's own command alone: it fires, and writes nothing where it is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clis import CLIS, ENVIRONMENT, ROOT, Stage, call, text

from conftest import FLOW
from holdfast.hosts import NAMES
from holdfast.native import WHOLE
from holdfast.workflow import compiler

pytestmark = pytest.mark.hosts

NOT_OURS = (".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "build", "dist")
# What a user types; {root} is a checkout and {package} its folder `plugin`.
INSTALLING = {
    ("claude", "root"): ["plugin marketplace add {root}", "plugin install holdfast@holdfast --scope user"],
    ("claude", "package"): ["plugin marketplace add {package}", "plugin install holdfast@holdfast --scope user"],
    ("codex", "root"): ["plugin marketplace add {root}", "plugin add holdfast@holdfast"],
    ("codex", "package"): ["plugin marketplace add {package}", "plugin add holdfast@holdfast"],
    ("gemini", "root"): ["extensions install {root} --consent --skip-settings"],
    ("gemini", "link"): ["extensions link {root} --consent"],
    ("copilot", "root"): ["plugin marketplace add {root}", "plugin install holdfast@holdfast"],
    ("copilot", "direct"): ["plugin install {root}"],
    ("copilot", "package"): ["plugin install {package}"],
}
DATA = {
    "claude": ".claude/plugins/data/holdfast-holdfast",
    "codex": ".codex/plugins/data/holdfast-holdfast",
    "copilot": ".copilot/plugin-data/holdfast/holdfast",
    "gemini": ".local/share/holdfast-gemini",
}
NO_PACKAGES = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}  # so that the set-up fails wherever this is run
ENDS = 120  # seconds in which the set-up must come to its end


class Packaged(Stage):
    """A stage without install.py: a checkout of its own, from which packages are installed."""

    def __init__(self, folder, workflow=FLOW):
        super().__init__(folder, Path(sys.prefix), workflow)
        self.checkout = self.folder / "check out"
        shutil.copytree(ROOT, self.checkout, ignore=shutil.ignore_patterns(*NOT_OURS))
        config = self.home / ".codex" / "config.toml"
        said = config.read_text(encoding="utf-8").replace('"plugins" = false', '"plugins" = true')
        config.write_text(said, encoding="utf-8")

    def add(self, host, way):
        """Install the package as a user would."""
        for line in INSTALLING[host, way]:
            words = [word.format(root=self.checkout, package=self.checkout / "plugin") for word in line.split()]
            done = self.start(host, words, asks_its_maker=host == "gemini")  # it reports what is installed
            assert done.code == 0, done.stdout + done.stderr
        return self

    def packaged(self):
        """Every file of the checkout, and of its copies in the home, that belongs to a package: {path: mtime}."""
        tops = [self.checkout, *self.home.glob(".*/plugins/cache"), *self.home.glob(".*/extensions")]
        tops += self.home.glob(".copilot/installed-plugins")
        return {path: path.stat().st_mtime_ns for top in tops for path in top.rglob("*") if path.is_file()}

    def data(self, host):
        """The folder of the package's data."""
        found = self.home / DATA[host]
        direct = self.home / ".copilot/plugin-data/_direct"
        return next(direct.iterdir()) if host == "copilot" and direct.exists() else found

    def ready(self, host):
        """The private environment is there: another one, which has the same libraries."""
        data = self.data(host)
        data.mkdir(parents=True, exist_ok=True)
        (data / "environment").symlink_to(sys.prefix)
        (data / "ready").write_text(WHOLE)
        return self

    def doctor(self, host, check):
        """Levels and findings of one check."""
        path = os.pathsep.join([os.path.dirname(CLIS[host].installed()), ENVIRONMENT["PATH"]])
        words = [str(self.prefix / "bin" / "holdfast"), "doctor", host, "--json"]
        env = {"HOME": str(self.home), "PATH": path}
        done = subprocess.run(words, cwd=self.project, env=env, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)["findings"]
        return [(one["level"], one["finding"]) for one in found if (one["host"], one["check"]) == (host, check)]

    def compiled(self):
        """The workflow is compiled, as `holdfast workflow check` or another machine's hooks would."""
        assert not compiler.refresh(str(self.workflow.parent)).header["error"]
        return self


@pytest.fixture
def new_package(ready, tmp_path):  # noqa: ARG001  asked for what it skips and checks
    """Installs one host's package in one way: `new_package("codex", "root")`."""

    def make(host, way):
        if host not in NAMES or host not in CLIS:
            pytest.skip(f"holdfast does not know {host} yet")
        return Packaged(tmp_path / "stage").compiled().add(host, way)

    return make


def work(stage, host):
    cli = CLIS[host]
    steps = (cli.write(stage.project, "docs/spec/refund.md", "# Refund\n"), cli.shell("exit 3"), text("Done."))
    words = cli.argv("handle the refund", "", [], fork=False)
    asks = host == "codex"  # with plugins it looks for its maker's
    run = stage.start(host, words, *steps, patience=ENDS, asks_its_maker=asks, **NO_PACKAGES)
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    return run


@pytest.mark.parametrize(("name", "way"), list(INSTALLING))
def test_a_package_that_its_host_installed_fires_at_once_and_writes_nothing_where_it_is(name, way, new_package):
    stage = new_package(name, way)
    before = stage.packaged()
    run = work(stage, name)
    told = run.heard(0)
    assert told.count("Holdfast keeps this project's workflow, shop.") == 1
    assert "Phase 1 of 3, spec: Write the spec." in told
    assert "Holdfast is setting up its private environment in the background" in told
    assert "skill for this prompt: payment-rules" in told
    assert "the phase spec is complete" in run.heard(1)
    stats = stage.state()["stats"]
    assert (stats["prompts"], stats["tool_calls"], stats["failures"]) == (1, 2, 1)
    assert stage.packaged() == before
    assert [path for path in before if path.suffix == ".pyc"] == []
    kept = json.loads((stage.data(name) / "setup.json").read_text(encoding="utf-8"))
    assert kept["tries"] == 1 and "a package cannot be had" in kept["error"]
    assert not (stage.data(name) / "ready").exists()
    ((level, found),) = stage.doctor(name, "registration")
    assert level == "ok" and "(plugin) registers" in found


def test_a_set_up_that_failed_is_told_at_the_next_start_and_tried_again(new_package):
    stage = new_package("claude", "root")
    work(stage, "claude")
    told = work(stage, "claude").heard(0)
    assert "Holdfast's private environment could not be set up: installing holdfast's libraries: a package" in told
    assert "it is tried again in the background." in told
    assert json.loads((stage.data("claude") / "setup.json").read_text(encoding="utf-8"))["tries"] == 2


def test_claude_code_finds_nothing_to_say_against_its_plugin(new_package):
    stage = new_package("claude", "root")
    for path in (stage.checkout / "plugin", stage.checkout / ".claude-plugin" / "marketplace.json"):
        done = stage.start("claude", ["plugin", "validate", "--strict", str(path)])
        assert (done.code, "Validation passed" in done.stdout) == (0, True), done.stdout


def test_claude_code_has_the_command_on_its_path_the_skill_and_the_slash_command(new_package):
    stage = new_package("claude", "root").ready("claude")
    cli = CLIS["claude"]
    words = cli.argv("go on", "", ["--allowedTools", "Bash Skill"], fork=False)
    steps = (
        cli.shell("holdfast task add 'Find out when'"),
        call("Skill", {"skill": "holdfast:holdfast"}),
        text("Done."),
    )
    run = stage.start("claude", words, *steps)
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert "find-out-when" in run.heard(1)
    assert "# The command `holdfast`" in run.heard(2) and "holdfast signal emit NAME" in run.heard(2)
    assert [task["title"] for task in stage.state()["tasks"].values()] == ["Find out when"]
    run = stage.start("claude", cli.argv("/holdfast:status", "", [], fork=False), text("It is in spec."))
    assert (run.code, run.steps_left) == (0, 0), run.stderr
    assert "What `holdfast status` says:" in run.heard(0) and "1 of 3, spec: Write the spec" in run.heard(0)


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "copilot"])
def test_a_package_beside_what_install_py_registered_counts_each_event_once(name, new_package, prefix):
    stage = new_package(name, "root")
    stage.prefix = prefix
    stage.install(name)
    run = work(stage, name)
    fired = [line["moment"] for line in stage.trail()]
    for moment, times in {"session_start": 2, "prompt": 2, "tool_done": 4, "turn_end": 2}.items():
        assert fired.count(moment) == times, "both fired"
    stats = stage.state()["stats"]
    assert (stats["prompts"], stats["tool_calls"], stats["failures"]) == (1, 2, 1)
    assert run.heard(0).count("skill for this prompt: payment-rules") == 1
    assert run.heard(1).count("the phase spec is complete") == 1
    ((level, found),) = stage.doctor(name, "twice")
    assert level == "problem" and "each event starts two hooks and is counted once" in found
