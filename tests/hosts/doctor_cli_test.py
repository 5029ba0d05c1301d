"""`holdfast doctor --live` on the real CLIs: well where all is well, and one clear line for each fault that is planted."""

import json
import os
import shutil
import subprocess

import pytest
from clis import CLIS, ENVIRONMENT

from holdfast.doctor import isolation
from holdfast.doctor.hosts import command_key
from holdfast.doctor.hosts.codex import digest, key, toml
from holdfast.install import targets

pytestmark = pytest.mark.hosts

# Which events say something to the model: a start, a prompt, a call that ended.
SAYING = {
    **dict.fromkeys(CLIS, ("SessionStart", "UserPromptSubmit", "PostToolUse")),
    "gemini": ("SessionStart", "BeforeAgent", "AfterTool"),
    "opencode": ("session.start", "chat.message", "tool.execute.after"),
}


class Patient:
    """A stage on which a host is installed and trusted, and what the doctor says of it."""

    def __init__(self, stage, host, *, installs=True):
        self.stage, self.host, self.cli = stage, host, CLIS[host]
        if installs:
            stage.install(host)
        self.settings = stage.project / targets.HOSTS[host].project_file
        self.trust()

    def trust(self):
        """What the user's own trust leaves behind."""
        if self.host == "gemini":
            trusted = {str(self.stage.project): "TRUST_FOLDER"}
            (self.stage.home / ".gemini" / "trustedFolders.json").write_text(json.dumps(trusted), encoding="utf-8")
        if self.host == "codex":
            files = {"project": self.settings, "user": self.stage.home / ".codex" / "hooks.json"}
            layers = [layer for scope, path in files.items() if (layer := self.cli.layer(scope, str(path)))]
            states = {key(entry): {"trusted_hash": digest(entry)} for entry in self.cli.entries(layers)}
            self.configure(hooks={"state": states})

    def configure(self, **tables):
        """Set tables of Codex's config."""
        path = self.stage.home / ".codex" / "config.toml"
        config = self.cli.layer("user", str(path)).settings
        path.write_text(toml({**config, **tables}), encoding="utf-8")

    def change(self, old, new, path=None):
        """Edit the commands that are registered."""
        path = path or self.settings
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")
        self.trust()

    def change_python(self, python):
        """Another interpreter in what is registered."""
        end = '"' if self.host == "opencode" else " "
        self.change(f"{self.stage.prefix}/bin/python{end}", f"{python}{end}")

    def precede(self, before, event=""):
        """Let a shell command run before ours: that of one event, or each. The bridge's commands are its interpreter's."""
        if self.host == "opencode":
            python = self.stage.folder / "python"
            which = {"": "*", "chat.message": "*/prompt_activation.py"}[event]
            real = f"{self.stage.prefix}/bin/python"
            python.write_text(f'#!/bin/sh\ncase $3 in {which}) {before};; esac\nexec {real} "$@"\n', encoding="utf-8")
            python.chmod(0o755)
            self.change_python(python)
            return
        settings = json.loads(self.settings.read_text(encoding="utf-8"))
        for name, (group,) in settings["hooks"].items():
            handler = group["hooks"][0] if "hooks" in group else group
            key = command_key(handler)
            if event in ("", name):
                handler[key] = f"{before}; {handler[key]}"
        self.settings.write_text(json.dumps(settings), encoding="utf-8")
        self.trust()

    def set(self, **keys):
        """Set keys of the settings."""
        known = json.loads(self.settings.read_text(encoding="utf-8"))
        self.settings.write_text(json.dumps({**known, **keys}), encoding="utf-8")

    def doctor(self, *words, **env):
        """Exit code and findings; nothing may be left behind, and nothing changed."""
        temporary = self.stage.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        path = os.pathsep.join([os.path.dirname(self.cli.installed()), ENVIRONMENT["PATH"]])
        variables = {"HOME": str(self.stage.home), "PATH": path, "TMPDIR": str(temporary), "LC_ALL": "C.UTF-8", **env}
        before = tree(self.stage.home), tree(self.stage.project)
        done = subprocess.run(
            [str(self.stage.prefix / "bin" / "holdfast"), "doctor", self.host, "--json", *words],
            cwd=self.stage.project,
            env=variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.stderr == ""
        assert list(temporary.iterdir()) == []
        assert (tree(self.stage.home), tree(self.stage.project)) == before
        told = json.loads(done.stdout)
        problems = [found for found in told["findings"] if found["level"] == "problem"]
        assert (done.returncode, told["well"]) == ((1, False) if problems else (0, True))
        return problems, told["findings"]

    def live(self, **env):
        """The problems that the run showed, as lines."""
        return [found["finding"] for found in self.doctor("--live", **env)[0] if found["check"] == "live"]


def tree(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def patient(new_stage):
    return lambda host: Patient(new_stage(), host)


def test_all_is_well_where_it_is(host, patient):
    problems, found = patient(host).doctor("--live")
    assert problems == []
    live = [line["finding"] for line in found if line["check"] == "live"]
    events = CLIS[host].entries([CLIS[host].layer("project", str(patient(host).settings))])
    assert len(live) == len(events)
    heard = [line.split(":")[0] for line in live if "reached the model" in line]
    assert heard == list(SAYING[host])
    assert all("fired in" in line for line in live)


def test_registrations_of_the_user_are_run_as_well(new_stage):
    stage = new_stage().install("codex", scope="user")
    found = Patient(stage, "codex", installs=False)
    assert found.doctor("--live")[0] == []


def test_without_namespaces_the_cli_is_led_to_a_proxy_that_is_not_there(patient):
    """The test's own namespace holds it back if it is not."""
    found = patient("codex")
    tools = found.stage.folder / "tools"
    tools.mkdir()
    for name in ("sh", "bash", "env", "node", "dirname", "readlink", "uname"):
        if where := shutil.which(name, path=ENVIRONMENT["PATH"]):
            (tools / name).symlink_to(where)
    program = (
        "import os, sys; from holdfast.doctor import inside; inside.loopback_up(); from holdfast.cli import main; "
        "code = main(['doctor', '--live', 'codex']); print(code, inside.unroutable(), inside.left_behind(1))"
    )
    path = os.pathsep.join([os.path.dirname(found.cli.installed()), str(tools)])
    done = subprocess.run(
        [
            shutil.which("unshare"),
            *isolation.namespaces()[0][1:],
            str(found.stage.prefix / "bin" / "python"),
            "-c",
            program,
        ],
        cwd=found.stage.project,
        env={"HOME": str(found.stage.home), "PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert any("without a network of its own (unshare is not installed)" in line for line in lines), done.stderr
    assert lines[-2:] == ["all is well", "0 0 []"]


def test_untrusted_codex_hooks_are_found(patient):
    found = patient("codex")
    found.configure(hooks={})
    assert found.live() == [
        "all hooks: not fired: 6 hooks are untrusted (`codex app-server` says) and will not run",
    ]


def test_codex_hooks_that_changed_since_they_were_trusted_are_found(patient):
    found = patient("codex")
    registered = found.settings.read_text(encoding="utf-8")
    found.settings.write_text(registered.replace("2>/dev/null", "2> /dev/null"), encoding="utf-8")
    assert found.live() == ["all hooks: not fired: 6 hooks are modified (`codex app-server` says) and will not run"]


def test_an_untrusted_gemini_folder_is_found(patient):
    found = patient("gemini")
    (found.stage.home / ".gemini" / "trustedFolders.json").unlink()
    assert found.live() == ["all hooks: not fired: the folder is not trusted, so Gemini CLI drops all hooks in it"]


def test_an_untrusted_copilot_folder_is_found(patient):
    found = patient("copilot")
    (found.stage.home / ".copilot" / "config.json").unlink()
    said = "the folder is not trusted, so Copilot CLI runs only the hooks in your home"
    assert found.live() == [f"all hooks: not fired: {said}"]


def test_copilot_runs_what_is_registered_for_claude_too_and_all_is_well(patient):
    found = patient("copilot")
    found.stage.install("claude")
    problems, said = found.doctor("--live")
    assert problems == []
    assert [line["level"] for line in said if line["check"] == "twice"] == ["note"]
    assert any(line["finding"].startswith("UserPromptSubmit: fired") and "2 times" in line["finding"] for line in said)


def test_copilot_hooks_below_the_root_of_a_repository_are_found(patient):
    found = patient("copilot")
    (found.stage.folder / ".git").mkdir()
    said = f"Copilot CLI looks for hooks only in the repository's root, {found.stage.folder}"
    found.stage.install("copilot", scope="user")
    problems, _found = found.doctor("--live")
    assert [(line["check"], line["finding"]) for line in problems] == [("off", f"{found.settings}: {said}")]


def test_a_missing_interpreter_is_found(host, patient):
    found = patient(host)
    found.change_python(f"{found.stage.prefix}/bin/python-gone")
    gone = f"{found.stage.prefix}/bin/python-gone: No such file or directory"
    assert f"all hooks: ran, and ended without a word: {gone}" in found.live()


def test_a_second_registration_is_found(host, patient):
    found = patient(host)
    found.stage.install(host, scope="user")
    other = found.stage.folder / "other-prefix"
    other.symlink_to(found.stage.prefix)  # so that no host takes the two for one
    user = found.stage.home / targets.HOSTS[host].home / targets.HOSTS[host].user_file
    found.change(str(found.stage.prefix), str(other), user)
    live = found.live()
    assert any(
        line.startswith("all hooks: fired once for each of 2 registrations")
        and str(found.settings) in line
        and str(user) in line
        for line in live
    ), live


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_identical_registrations_that_the_host_runs_once_are_no_problem(name, patient):
    found = patient(name)
    found.stage.install(name, scope="user")
    assert found.live() == []


def test_a_line_before_our_json_is_found(host, patient):
    found = patient(host)
    found.precede("echo hook started")
    live = found.live()
    assert any("what stands before our JSON makes the host drop all: 'hook started'" in line for line in live), live


def test_a_line_that_a_shell_profile_prints_is_found(patient):
    found = patient("gemini")
    profile = found.stage.home / ".noise"
    profile.write_text("export MY_TOKEN=1\necho welcome\n", encoding="utf-8")
    live = found.live(BASH_ENV=str(profile))
    assert any("drop all: 'welcome'" in line for line in live), live


def test_a_hook_that_takes_5_s_is_found(host, patient):
    found = patient(host)
    _start, prompt, _tool = SAYING[host]
    found.precede("sleep 5", prompt)
    live = found.live()
    assert len(live) == 1
    assert live[0].startswith(f"{prompt}: took 5.")


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("claude", {"disableAllHooks": True}, "disableAllHooks is set"),
        ("gemini", {"hooksConfig": {"enabled": False}}, "hooksConfig.enabled is false"),
        ("codex", {"features": {"hooks": False}}, "the feature hooks is false"),
        ("copilot", {"disableAllHooks": True}, "disableAllHooks is set"),
    ],
)
def test_a_setting_that_disables_hooks_is_found(name, keys, said, patient):
    found = patient(name)
    (found.configure if name == "codex" else found.set)(**keys)
    live = found.live()
    assert len(live) == 1
    assert live[0].startswith("all hooks: not fired: ")
    assert said in live[0]


def test_a_setting_of_the_repository_that_disables_copilots_hooks_is_found(patient):
    found = patient("copilot")
    path = found.stage.project / ".github" / "copilot" / "settings.json"
    path.parent.mkdir()
    path.write_text('{"disableAllHooks": true}', encoding="utf-8")
    assert found.live() == [f"all hooks: not fired: {path}: disableAllHooks is set: no hook will run"]


def test_a_variable_that_keeps_opencodes_plugins_out_is_found(patient):
    live = patient("opencode").live(OPENCODE_PURE="1")
    assert live == ["all hooks: not fired: OPENCODE_PURE is in the environment: OpenCode loads no plugin"]


def test_a_gemini_hook_that_is_disabled_by_its_name_is_found(patient):
    found = patient("gemini")
    handler = json.loads(found.settings.read_text(encoding="utf-8"))["hooks"]["BeforeAgent"][0]["hooks"][0]
    found.set(hooksConfig={"disabled": [handler.get("name") or handler["command"]]})
    live = found.live()
    assert len(live) == 1
    assert live[0].startswith("BeforeAgent: not fired: ")
    assert "hooksConfig.disabled names our hooks of BeforeAgent" in live[0]
