"""`holdfast doctor` without the real CLIs: small programs stand in for them on PATH."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from commanding import edit_state, environment, run, state_file
from firing import ROOT, make_project, start
from firing import fire as hook
from holdfast.doctor import examine, isolation, live, paths, profiles, recorder, recording
from holdfast.doctor import hosts as patients
from holdfast.doctor.hosts import codex
from holdfast.doctor.stage import Stage
from holdfast.hosts import NAMES
from holdfast.install import install as register
from holdfast.install import trial
from holdfast.state import spool

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are scripts")

PROJECT_FILES = {
    "claude": ".claude/settings.local.json",
    "gemini": ".gemini/settings.json",
    "codex": ".codex/hooks.json",
    "opencode": ".opencode/plugins/holdfast.js",
    "copilot": ".github/hooks/holdfast.json",
}
HOSTS = tuple(PROJECT_FILES)
VERSIONS = {"claude": "2.1.328 (Claude Code)", "gemini": "0.61.0", "codex": "codex-cli 0.169.0", "opencode": "1.18.33"}
VERSIONS["copilot"] = "GitHub Copilot CLI 1.0.102.\nRun 'copilot update' to check for updates."
APP_SERVER = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") == "hooks/list":
        cwd = asked["params"]["cwds"][0]
        path = cwd + "/.codex/hooks.json"
        hooks = []
        for event, groups in json.load(open(path))["hooks"].items():
            name = "".join("_" + c.lower() if c.isupper() else c for c in event).strip("_")
            status = os.environ.get("TRUST", open(os.path.dirname(os.path.abspath(sys.argv[0])) + "/trust").read())
            hooks.append({"key": f"{path}:{name}:0:0", "enabled": True, "trustStatus": status, "currentHash": "h"})
        print(json.dumps({"method": "configWarning"}))
        print(json.dumps({"id": asked["id"], "result": {"data": [{"cwd": cwd, "hooks": hooks}]}}), flush=True)
"""


ODD = [
    b"\xff",
    b"[]",
    b"{",
    b"3",
    b'{"hooks": []}',
    b'{"hooks": {"A": 1, "B": [1, {"hooks": 1}, {"hooks": [1, {"command": 3}, {"type": "http"}]}]}}',
    b'{"hooksConfig": {"disabled": 3}, "security": {"folderTrust": 1}, "enabledPlugins": 1, "projects": 1}',
    b'{"hooksConfig": {"disabled": [3, []]}, "security": 1, "projects": {"/": 1}, "plugins": {"holdfast": [1, {}]}}',
    b"hooks = 1\nprojects = 1\nfeatures = 1",
    b'[hooks]\nstate = 1\nStop = [1]\n[projects]\n"/" = 1',
    b'[hooks.state]\n"/a" = 1\n[[hooks.Stop]]\nhooks = [{type = 1, command = 2}]\n',
]


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """A folder that is all of PATH, with what the system has and none of the real CLIs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "bash", "cat", "sleep", "true", "unshare", "git", "python3"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def stand_in(folder, host, version="", trust="trusted"):
    """A program that tells a version, and as codex what it trusts."""
    (folder / "trust").write_text(trust)
    (folder / "server.py").write_text(APP_SERVER)
    said = version or VERSIONS[host]
    script = f'#!/bin/sh\ncase "$1" in app-server) exec {sys.executable} "{folder}/server.py";; esac\necho "{said}"\n'
    (folder / host).write_text(script)
    (folder / host).chmod(0o755)


@pytest.fixture
def app(project, bin_folder, home, monkeypatch):
    """A project in which all hosts are there, registered and trusted."""
    if not (bin_folder / "bash").exists():
        pytest.skip("Gemini CLI runs its hooks with bash, which is not installed")
    monkeypatch.setattr(trial, "run", lambda *_: [])  # a second each time
    register(str(project), list(HOSTS), "project", dry_run=False, echo=lambda _line: None)
    for host in HOSTS:
        stand_in(bin_folder, host)
    (home / ".gemini").mkdir()
    (home / ".gemini" / "trustedFolders.json").write_text(json.dumps({str(project): "TRUST_FOLDER"}))
    (home / ".copilot").mkdir()
    (home / ".copilot" / "config.json").write_text(f"// managed\n{json.dumps({'trustedFolders': [str(project)]})}")
    return project


@pytest.fixture
def lone(project, bin_folder):
    """A project in which Claude Code alone is there and registered."""
    register(str(project), ["claude"], "project", dry_run=False, echo=lambda _line: None)
    stand_in(bin_folder, "claude")
    return project


def doctor(project, *words, **env):
    """Exit code, and the findings by host and check; problems apart."""
    said = run(project, "doctor", "--json", *words, **env)
    told = json.loads(said.out)
    assert all(set(found) == {"host", "check", "level", "finding", "remedy"} for found in told["findings"])
    assert (said.code == 0) is told["well"]
    return said, told["findings"]


def problems(project, *words, **env):
    """(host, check) of each problem, and the lines, joined."""
    found = [one for one in doctor(project, *words, **env)[1] if one["level"] == "problem"]
    return [(one["host"], one["check"]) for one in found], "\n".join(one["finding"] for one in found)


def change(project, host, old, new):
    path = project / PROJECT_FILES[host]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def settings(project, host, **keys):
    path = project / PROJECT_FILES[host]
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def tree(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


# -- well and not


def test_all_is_well_where_it_is(app, home):
    before = tree(home), tree(app)
    said = run(app, "doctor")
    assert said.code == 0, said.out
    assert said.lines[-1] == "all is well"
    for host in HOSTS:
        assert any(line.split()[:2] == ["ok", host] and "hooks answered" in line for line in said.lines)
    assert (tree(home), tree(app)) == before


def test_every_host_has_its_module():
    assert [cli.name for cli in patients.every().values()] == list(NAMES)


def test_the_readme_shows_what_the_doctor_says(project, bin_folder):
    register(str(project), ["codex"], "project", dry_run=False, echo=lambda _line: None)
    stand_in(bin_folder, "codex", trust="untrusted")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- doctor -->\n```console\n\$ (holdfast doctor)\n(.*?)```", readme, re.DOTALL)
    said = run(project, *shown[1].split()[1:]).out.replace(str(bin_folder), "/usr/local/bin")
    assert re.sub(r"in \d+ ms", "in 35 ms", said) == shown[2]


def test_a_project_without_a_folder_of_ours_is_told_in_one_line(tmp_path, bin_folder):
    del bin_folder
    found, _said = problems(tmp_path)
    assert found == [(None, "folder"), (None, "registration")]


def test_a_host_that_is_asked_for_and_not_there_is_a_problem(lone, bin_folder):
    (bin_folder / "claude").unlink()
    assert problems(lone)[0] == []
    assert problems(lone, "claude")[0] == [("claude", "program")]


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [
        ("2.1.328", "ok", "2.1.328 at"),
        ("2.1.400", "note", "newer than the recorded 2.1.328"),
        ("3.0.0-beta.1", "note", "newer than the recorded"),
        ("2.1.300", "ok", "a little older"),
        ("2.0.14", "problem", "too old"),
        ("none", "note", "does not tell its version"),
        ("2.1.328\u00b2", "ok", "2.1.328 at"),
        (f"2.1.{'9' * 5000}", "note", "does not tell its version"),
        (f"2.1.328.{'9' * 5000}", "note", "newer"),
    ],
)
def test_a_version_is_known_newer_or_too_old(lone, bin_folder, version, level, said):
    stand_in(bin_folder, "claude", version)
    found = [one for one in doctor(lone, "claude")[1] if one["check"] == "version"]
    assert [one["level"] for one in found] == [level]
    assert said in found[0]["finding"]


# -- registrations, and mending them


@pytest.mark.parametrize("host", HOSTS)
def test_a_missing_interpreter_is_found_and_mended(app, host):
    end = '"' if host == "opencode" else " "
    change(app, host, f"{sys.executable}{end}", f"{sys.executable}-gone{end}")
    found, said = problems(app)
    assert (host, "paths") in found
    assert f"{sys.executable}-gone: No such file or directory" in said
    assert (host, "stale") in found
    assert run(app, "doctor", "--fix").lines[-1] == "all is well"


def test_a_file_that_cannot_be_executed_is_found(lone, tmp_path):
    other = tmp_path / "python"
    other.write_text("")
    other.chmod(0o644)
    change(lone, "claude", f"{sys.executable} ", f"{other} ")
    assert f"{other} may not be executed by you" in problems(lone)[1]


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800"])
def test_a_command_that_cannot_be_run_is_found_and_mended(lone, odd):
    change(lone, "claude", f"{sys.executable} ", f"{sys.executable}{odd} ")
    found, said = problems(lone)
    assert found == [("claude", "stale"), ("claude", "paths")]
    assert f"{odd.replace('u0000', 'x00')}" in said.splitlines()[1]
    assert run(lone, "doctor", "--fix").lines[-1] == "all is well"


def test_registrations_of_another_installation_are_found_and_mended(lone, tmp_path):
    other = tmp_path / "other"
    other.symlink_to(Path(sys.executable).parent)
    change(lone, "claude", f"{sys.executable} ", f"{other}/{Path(sys.executable).name} ")
    found, said = problems(lone)
    assert found == [("claude", "stale")]
    assert "of another or an older installation" in said
    fixed = run(lone, "doctor", "--fix")
    assert fixed.code == 0
    assert "hooks registered" in fixed.err


def test_a_registration_that_is_not_whole_is_found_and_mended(lone):
    path = lone / PROJECT_FILES["claude"]
    known = json.loads(path.read_text())
    del known["hooks"]["PostToolUse"]
    path.write_text(json.dumps(known))
    found, said = problems(lone)
    assert found == [("claude", "registration")]
    assert "registers 6 of 7 hooks: PostToolUse missing" in said
    assert run(lone, "doctor", "--fix").code == 0


def test_stale_hooks_in_a_file_that_no_installation_writes_are_taken_out(lone):
    mine = {"PreToolUse": [{"hooks": [{"type": "command", "command": "true"}]}]}
    theirs = json.loads((lone / PROJECT_FILES["claude"]).read_text())["hooks"]
    for groups in theirs.values():
        groups[0]["hooks"][0]["command"] = groups[0]["hooks"][0]["command"].replace(sys.executable, "/old/python")
    shared = lone / ".claude" / "settings.json"
    shared.write_text(json.dumps({"hooks": {**mine, **theirs}}))
    found, said = problems(lone)
    assert {("claude", "stale"), ("claude", "twice"), ("claude", "paths")} == set(found)
    assert "take" not in said
    assert run(lone, "doctor", "--fix").code == 0
    assert json.loads(shared.read_text())["hooks"] == mine


def test_stale_hooks_in_copilots_own_settings_are_taken_out(app, home):
    hooks = json.loads((app / PROJECT_FILES["copilot"]).read_text().replace(sys.executable, "/old/python"))["hooks"]
    path = home / ".copilot" / "settings.json"
    path.write_text("// mine\n" + json.dumps({"hooks": {"PreToolUse": [{"type": "command", "bash": "true"}], **hooks}}))
    assert {("copilot", "stale"), ("copilot", "twice"), ("copilot", "paths")} == set(problems(app)[0])
    assert run(app, "doctor", "--fix").lines[-1] == "all is well"
    assert path.read_text() == '// mine\n{"hooks": {"PreToolUse": [{"type": "command", "bash": "true"}]}}'


def test_a_second_registration_is_found(app):
    register(str(app), list(HOSTS), "user", dry_run=False, echo=lambda _line: None)
    found = [one for one in doctor(app)[1] if one["check"] == "twice"]
    # Claude Code and Gemini CLI run identical hooks once, the others do not; Copilot CLI runs Claude Code's besides
    assert [(one["host"], one["level"]) for one in found] == [
        ("claude", "note"),
        ("gemini", "note"),
        ("codex", "problem"),
        ("opencode", "problem"),
        ("copilot", "note"),
        ("copilot", "problem"),
    ]
    change(app, "claude", "2>/dev/null", "2> /dev/null")
    assert ("claude", "twice") in problems(app)[0]


@pytest.mark.parametrize("linked", [False, True])
def test_a_project_that_is_the_home_registers_once(app, tmp_path, monkeypatch, linked):
    place = tmp_path / "link" if linked else app
    if linked:
        place.symlink_to(app)
    monkeypatch.setenv("HOME", str(place))
    (app / ".gemini" / "trustedFolders.json").write_text(json.dumps({str(app): "TRUST_FOLDER"}))
    found = doctor(app)[1]
    assert [(one["host"], one["level"]) for one in found if one["check"] == "twice"] == [("copilot", "note")]
    registered = [one["host"] for one in found if one["check"] == "registration"]
    assert registered == list(HOSTS)


def test_a_plugin_beside_the_settings_is_a_second_registration(lone, home):
    plugin = home / "plugin"
    (plugin / "hooks").mkdir(parents=True)
    known = json.loads((lone / PROJECT_FILES["claude"]).read_text())["hooks"]
    (plugin / "hooks" / "hooks.json").write_text(json.dumps({"hooks": known}).replace("exit 0", "exit 0 #"))
    installed = home / ".claude" / "plugins" / "installed_plugins.json"
    installed.parent.mkdir(parents=True)
    installed.write_text(json.dumps({"plugins": {"holdfast@here": [{"installPath": str(plugin)}]}}))
    assert problems(lone)[0] == [("claude", "twice")]
    (home / ".claude" / "settings.json").write_text('{"enabledPlugins": {"holdfast@here": false}}')
    assert problems(lone)[0] == []


@pytest.mark.parametrize("host", ["claude", "gemini", "codex", "copilot"])
def test_a_native_package_is_a_registration_and_one_too_many_beside_the_settings(app, home, host):
    """As its host's own command leaves it behind."""
    package = {
        "claude": home / "elsewhere",
        "gemini": home / ".gemini" / "extensions" / "holdfast",
        "codex": home / ".codex" / "plugins" / "cache" / "holdfast" / "holdfast" / "0.1.0",
        "copilot": home / ".copilot" / "installed-plugins" / "_direct" / "plugin",
    }[host]
    shutil.copytree(ROOT if host == "gemini" else ROOT / "plugin", package, ignore=only_package)
    if host == "claude":
        told = home / ".claude" / "plugins" / "installed_plugins.json"
        told.parent.mkdir(parents=True)
        told.write_text(json.dumps({"plugins": {"holdfast@holdfast": [{"installPath": str(package)}]}}))
    if host == "copilot":
        installed = [{"name": "holdfast", "cache_path": str(package), "enabled": True}]
        told = {"trustedFolders": [str(app)], "installedPlugins": installed}
        (home / ".copilot" / "config.json").write_text(json.dumps(told))
    assert problems(app)[0] == [(host, "twice")]
    (app / PROJECT_FILES[host]).unlink()
    found = [one for one in doctor(app, host)[1] if one["check"] == "registration"]
    assert [one["level"] for one in found] == ["ok"]
    assert "(plugin) registers" in found[0]["finding"]


def only_package(folder, names):
    """What of a checkout a package's copy need not have."""
    kept = ("hooks", "plugin", "plugin.json", "gemini-extension.json", ".claude-plugin", ".codex-plugin")
    return [name for name in names if Path(folder) in (ROOT, ROOT / "plugin") and name not in kept]


@pytest.mark.parametrize("way", ["gemini", "copilot"])
def test_packages_that_stay_where_they_are_are_found(app, home, way):
    """An extension that is linked, and a plugin of a local marketplace."""
    if way == "gemini":
        path = home / ".gemini" / "extensions" / "holdfast" / ".gemini-extension-install.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"type": "link", "source": str(ROOT)}))
    else:
        market = {"holdfast": {"source": {"source": "directory", "path": str(ROOT)}}}
        said = {"extraKnownMarketplaces": market, "enabledPlugins": {"holdfast@holdfast": True}}
        (home / ".copilot" / "settings.json").write_text(json.dumps(said))
    found, said = problems(app)
    assert found == [(way, "twice")]
    assert str(ROOT) in said


def test_files_and_hooks_of_others_that_are_broken_are_found(app):
    settings(app, "gemini", hooks={"AfterTool": [{"hooks": [{"type": "command", "command": "/gone/lint --fix"}]}]})
    (app / ".claude" / "settings.json").write_text('{"hooks": ')
    found = {(one["host"], one["check"]): one for one in doctor(app)[1]}
    assert "another's hook of AfterTool runs /gone/lint" in found["gemini", "foreign"]["finding"]
    assert found["claude", "foreign"]["level"] == "problem"


# -- silenced


def test_settings_that_switch_hooks_off_are_found(app, home):
    (app / ".claude" / "settings.json").write_text('{"disableAllHooks": true}')
    settings(app, "gemini", hooksConfig={"disabled": ["holdfast-session-start", "somebody-elses"]})
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text("[features]\nhooks = false\n")
    found, said = problems(app)
    assert found == [("claude", "off"), ("gemini", "off"), ("codex", "off"), ("copilot", "off")]
    assert "hooksConfig.disabled names our hooks of SessionStart" in said
    assert ("claude", "off") in problems(app, "claude", HOLDFAST_DISABLE="1")[0]


def test_a_key_that_voids_codexs_file_is_found(app):
    settings(app, "codex", **{"$schema": "x"})
    assert ("codex", "off") in problems(app)[0]


@pytest.mark.parametrize(
    ("rules", "trusted"),
    [
        ({}, False),
        ({"{app}": "TRUST_FOLDER"}, True),
        ({"{app}/": "TRUST_FOLDER"}, True),
        ({"{above}": "TRUST_FOLDER"}, True),
        ({"{above}/sibling": "TRUST_PARENT"}, True),
        ({"{above}/sibling": "TRUST_FOLDER"}, False),
        ({"{app}": "TRUST_FOLDER", "{above}": "DO_NOT_TRUST"}, True),  # the longest rule counts
        ({"{app}": "DO_NOT_TRUST", "{above}": "TRUST_FOLDER"}, False),
        ({"{app}-other": "TRUST_FOLDER"}, False),
    ],
)
def test_the_trust_of_gemini_goes_by_its_own_rules(app, home, rules, trusted):
    given = {rule.format(app=app, above=app.parent): level for rule, level in rules.items()}
    (home / ".gemini" / "trustedFolders.json").write_text("// mine\n" + json.dumps(given))
    assert problems(app, "gemini")[0] == ([] if trusted else [("gemini", "trust")])


def test_geminis_trust_may_be_switched_off_or_given_by_the_environment(app, home):
    (home / ".gemini" / "trustedFolders.json").unlink()
    assert problems(app, "gemini", GEMINI_CLI_TRUST_WORKSPACE="true")[0] == []
    assert problems(app, "gemini", GEMINI_CLI_TRUST_WORKSPACE="false")[0] == [("gemini", "trust")]
    (home / ".gemini" / "settings.json").write_text('{"security": {"folderTrust": {"enabled": false}}}')
    assert problems(app, "gemini")[0] == []


@pytest.mark.parametrize(
    ("config", "trusted"),
    [
        ({}, False),
        ({"trustedFolders": ["{app}"]}, True),
        ({"trusted_folders": ["{app}/"]}, True),
        ({"trustedFolders": ["{above}"]}, True),
        ({"trustedFolders": ["{app}-other", "{app}/inner", "relative"]}, False),
    ],
)
def test_the_trust_of_copilot_goes_by_its_own_rules(app, home, config, trusted):
    given = json.dumps(config).replace("{app}", str(app)).replace("{above}", str(app.parent))
    (home / ".copilot" / "config.json").write_text(given)
    assert problems(app, "copilot")[0] == ([] if trusted else [("copilot", "trust")])
    assert problems(app, "copilot", COPILOT_ALLOW_ALL="true")[0] == []


def test_an_untrusted_folder_is_a_note_where_copilots_hooks_stand_in_the_home(app, home):
    (home / ".copilot" / "config.json").unlink()
    (app / PROJECT_FILES["copilot"]).rename(home / ".copilot" / "settings.json")
    assert problems(app, "copilot")[0] == []
    (home / ".copilot" / "settings.json").rename(app / PROJECT_FILES["copilot"])
    register(str(app), ["copilot"], "user", dry_run=False, echo=lambda _line: None)
    found = {one["check"]: one["level"] for one in doctor(app, "copilot")[1]}
    assert found["trust"] == "note"


@pytest.mark.parametrize(
    ("switches", "off"),
    [
        ({".github/copilot/settings.json": True}, True),
        ({".claude/settings.local.json": True}, True),
        ({".claude/settings.json": True, ".github/copilot/settings.json": False}, False),
        ({".claude/settings.json": False, ".github/copilot/settings.local.json": True}, True),
        ({".github/hooks/other.json": True}, False),
        ({PROJECT_FILES["copilot"]: True}, True),
    ],
)
def test_what_switches_copilots_hooks_off_goes_by_its_own_rules(app, switches, off):
    for name, switch in switches.items():
        path = app / name
        path.parent.mkdir(exist_ok=True)
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, "disableAllHooks": switch}))
    assert problems(app, "copilot")[0] == ([("copilot", "off")] if off else [])


def test_copilot_hooks_below_the_root_of_a_repository_are_not_read(app):
    (app.parent / ".git").mkdir()
    found, said = problems(app, "copilot")
    assert ("copilot", "registration") in found
    register(str(app.parent), ["copilot"], "project", dry_run=False, echo=lambda _line: None)
    found, said = problems(app, "copilot")
    assert found == [("copilot", "off")]
    assert f"looks for hooks only in the repository's root, {app.parent}" in said


def test_what_is_registered_for_claude_runs_in_copilot_too_and_is_a_note(app):
    (app / PROJECT_FILES["copilot"]).unlink()
    found = [one for one in doctor(app, "copilot")[1] if one["check"] == "registration"]
    assert [one["level"] for one in found] == ["note"]
    assert f"what {app / PROJECT_FILES['claude']} registers for another CLI runs here too" in found[0]["finding"]


def test_an_edited_bridge_of_opencode_is_found_and_mended(app):
    change(app, "opencode", "const LIMIT = 10_000", "const LIMIT = 20_000")
    found, said = problems(app)
    assert found == [("opencode", "stale")]
    assert "7 hooks are changed since they were registered" in said
    assert run(app, "doctor", "--fix").lines[-1] == "all is well"
    change(app, "opencode", "const PYTHON", "const PITHON")
    assert ("opencode", "stale") in problems(app)[0]
    assert run(app, "doctor", "--fix").lines[-1] == "all is well"


def test_what_keeps_opencodes_plugins_out_is_found(app):
    assert problems(app, "opencode", OPENCODE_PURE="1")[0] == [("opencode", "off")]
    assert problems(app, "opencode", OPENCODE_DISABLE_PROJECT_CONFIG="true")[0] == [("opencode", "registration")]


def test_a_second_bridge_above_the_project_is_found(app):
    other = app.parent / ".opencode" / "plugin" / "mine.js"
    other.parent.mkdir(parents=True)
    shutil.copy(app / PROJECT_FILES["opencode"], other)
    found, said = problems(app, "opencode")
    assert found == [("opencode", "twice")]
    assert str(other) in said
    (app.parent / ".git").mkdir()
    assert problems(app, "opencode")[0] == found
    (app / ".git").mkdir()  # what is above the repository is not read
    assert problems(app, "opencode")[0] == []


@pytest.mark.parametrize("status", ["untrusted", "modified"])
def test_codex_itself_is_asked_what_it_trusts(app, bin_folder, status):
    stand_in(bin_folder, "codex", trust=status)
    found, said = problems(app, "codex")
    assert found == [("codex", "trust")]
    assert said == f"6 hooks are {status} (`codex app-server` says) and will not run"


def test_codexs_trust_follows_the_recorded_rule_where_it_cannot_be_asked(app, bin_folder, home, monkeypatch):
    config = home / ".codex" / "config.toml"
    config.parent.mkdir()
    cli = patients.every()["codex"]
    entries = cli.entries(cli.layers(str(app)))
    states = {codex.key(entry): {"trusted_hash": codex.digest(entry)} for entry in entries}
    trusted = {"projects": {str(app): {"trust_level": "trusted"}}, "hooks": {"state": states}}
    config.write_text(codex.toml(trusted))
    (bin_folder / "codex").unlink()
    assert problems(app)[0] == []
    config.write_text(codex.toml({**trusted, "projects": {}}))
    assert "not read, for the project is not trusted" in problems(app)[1]
    first = next(iter(states))
    config.write_text(codex.toml({**trusted, "hooks": {"state": {**states, first: {"trusted_hash": "sha256:0"}}}}))
    assert "1 hook is modified since they were trusted" in problems(app)[1]
    config.write_text(codex.toml({**trusted, "hooks": {"state": {first: {"enabled": False, **states[first]}}}}))
    assert "1 hook is disabled" in problems(app)[1]
    assert "5 hooks are untrusted" in problems(app)[1]
    (bin_folder / "codex").write_text("#!/bin/sh\n[ $1 = app-server ] && exec sleep 60\necho 0.169.0\n")
    (bin_folder / "codex").chmod(0o755)
    monkeypatch.setattr(codex, "PATIENCE", 0.5)
    assert "5 hooks are untrusted (by the recorded rule" in problems(app, "codex")[1]


@pytest.mark.parametrize("odd", [("key", 7), ("trustStatus", ["x"]), ("currentHash", None)])
def test_an_app_server_that_speaks_otherwise_is_no_defect(app, bin_folder, odd):
    server = bin_folder / "server.py"
    said = server.read_text()
    server.write_text(
        said.replace(
            '        print(json.dumps({"method',
            f'        hooks[0][{odd[0]!r}] = {odd[1]!r}\n        print(json.dumps({{"method',
        )
    )
    found, said = problems(app, "codex")
    assert found == [("codex", "trust")]
    assert "`codex app-server` does not list hooks: TypeError" in said


def test_the_hash_of_the_recorded_rule_is_codexs_own():
    """Told by `hooks/list` of 0.169.0."""
    handler = {"type": "command", "command": "true --host codex", "timeout": 10}
    layer = patients.Layer("project", "/shop/.codex/hooks.json", {})
    entry = patients.Entry(layer, "PostToolUse", 0, 0, handler, None, ours=True)
    assert codex.digest(entry) == "sha256:d1f29aad76c6f291b8a384601141b7f2ba9db678e6ca2dc0b56edf9ce05ec54e"
    assert codex.key(entry) == "/shop/.codex/hooks.json:post_tool_use:0:0"


@pytest.mark.parametrize("said", ODD)
def test_a_config_of_any_shape_is_looked_at_beside_sound_hooks(app, home, said):
    for path in (app / ".codex" / "config.toml", home / ".codex" / "config.toml", home / ".claude.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(said)
    doctor(app, "claude", "codex")


@pytest.mark.parametrize("said", ODD)
def test_settings_of_any_shape_are_looked_at(app, home, said):
    files = [app / name for name in (*PROJECT_FILES.values(), ".claude/settings.json", ".codex/config.toml")]
    files += [home / ".gemini" / name for name in ("settings.json", "trustedFolders.json")]
    files += [home / ".claude.json", home / ".claude" / "plugins" / "installed_plugins.json"]
    files += [home / ".codex" / name for name in ("config.toml", "hooks.json")]
    files += [app / ".github" / "copilot" / "settings.json", app / ".opencode" / "plugin" / "other.ts"]
    files += [home / ".copilot" / name for name in ("config.json", "settings.json", "hooks/a.json")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(said)
    doctor(app, *HOSTS)
    doctor(app, *HOSTS, "--fix")
    assert all(path.read_bytes() == said for path in files if path.name != "hooks.json")


def test_what_is_no_regular_file_is_refused_in_one_line_and_never_waited_for(app, home):
    """Opening a pipe waits for who writes to it, and a device may have no end."""
    pipes = [app / name for name in (".claude/settings.json", ".codex/config.toml", ".opencode/plugin/other.js")]
    pipes += [home / ".gemini" / "settings.json", home / ".claude" / "plugins" / "installed_plugins.json"]
    devices = [home / ".claude.json", home / ".claude" / "settings.json", home / ".codex" / "config.toml"]
    for path in (*pipes, *devices):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path) if path in pipes else path.symlink_to("/dev/zero")
    words = [sys.executable, "-m", "holdfast"]
    said = subprocess.run(
        [*words, "doctor"], cwd=app, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )
    assert said.returncode == 1, said.stderr
    for path in (pipes[0], pipes[1], pipes[3], devices[0], devices[1]):
        short = str(path).replace(str(home), "~").replace(str(app), "")
        assert any(short in line and "is no regular file" in line for line in said.stdout.splitlines()), short
    tried = subprocess.run(
        [*words, "install", "--scope", "user", "--host", "gemini"],
        cwd=app,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert tried.returncode == 1
    assert tried.stderr.count("\n") == 1
    assert f"{pipes[3]}: is no regular file" in tried.stderr


@pytest.mark.parametrize("name", [".claude.json", ".claude/plugins/installed_plugins.json", ".codex/config.toml"])
def test_what_is_nested_too_deeply_is_no_defect(lone, home, name):
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"a = {'[' * 3000}" if name.endswith("toml") else '{"a":' * 200_000)
    found = [one["finding"] for one in doctor(lone, "claude", "codex")[1]]
    assert any("nested too deeply" in one for one in found) is ("installed" not in name)


# -- the judgement of a run


def judged(project, host, records):
    """What is said of a run in which the recorder noted (event, command)."""
    cli = patients.every()[host]
    entries = [entry for entry in cli.entries(cli.layers(str(project))) if entry.ours]
    known = {"began": 1.0, "ended": 1.1, "ms": 9.0, "code": 0, "stdout": "{}", "stderr": ""}
    made = [{**known, "command": command, "payload": {"hook_event_name": event}} for event, command in records(entries)]
    played = live.Played(isolation.Report(0, 1.0, "", "", [], 0, 0, []), made, [], {}, {}, [])
    return [found.finding for found in live.Judgement(cli, entries, played, []).moments()]


def test_an_event_that_comes_twice_is_no_second_registration_where_identical_hooks_run_once(app):
    register(str(app), ["gemini"], "user", dry_run=False, echo=lambda _line: None)

    def twice(entries):
        return [(entry.event, entry.command) for entry in entries if entry.event == "PreCompress"]

    assert len(twice(patients.every()["gemini"].entries(patients.every()["gemini"].layers(str(app))))) == 2
    assert "PreCompress: fired in 9 ms, 2 times, had nothing to say, and was counted" in judged(app, "gemini", twice)
    change(app, "gemini", "2>/dev/null", "2> /dev/null")
    assert any("PreCompress: fired once for each of 2" in line for line in judged(app, "gemini", twice))


def test_why_a_cli_failed_is_told_whatever_else_is_wrong(lone, bin_folder, home):
    said = '#!/bin/sh\n[ "$1" = -p ] && { echo first; echo no model >&2; exit 7; }\necho 2.1.328\n'
    (bin_folder / "claude").write_text(said)
    (home / ".zshenv").write_text("true && export MY_TOKEN=1")
    known = json.loads((lone / PROJECT_FILES["claude"]).read_text())
    del known["hooks"]["PostToolUse"]
    settings(lone, "claude", hooks=known["hooks"])
    told = "the CLI ended with exit code 7 after 0 turns, and said: no model"
    assert told in problems(lone, "--live")[1]
    assert any(f"{home}/.zshenv may hold a secret" in one["finding"] for one in doctor(lone, "--live")[1])
    settings(lone, "claude", disableAllHooks=True)
    assert told in [one["finding"] for one in doctor(lone, "--live")[1]]


# -- the dry run


def test_a_line_before_our_json_is_found(lone):
    change(lone, "claude", '"command": "', '"command": "echo hook started; ')
    found, said = problems(lone, "claude")
    assert ("claude", "dry-run") in found
    assert "hook started" in said


def test_a_slow_hook_is_found(lone, monkeypatch):
    monkeypatch.setattr(examine, "SLOW", 0.0)
    found, said = problems(lone, "claude")
    assert set(found) == {("claude", "dry-run")}
    assert "for which the host waits each time" in said


# -- the state


def test_a_state_that_others_can_read_is_found_and_closed(lone):
    hook("claude", start("claude", lone), lone)
    (lone / ".holdfast").chmod(0o755)
    state_file(lone).chmod(0o644)
    assert problems(lone)[0] == [(None, "folder"), (None, "state")]
    assert run(lone, "doctor", "--fix").code == 0
    assert state_file(lone).stat().st_mode & 0o077 == 0


def test_a_damaged_state_is_found_and_brought_back(lone):
    hook("claude", start("claude", lone), lone)
    hook("claude", start("claude", lone, source="resume"), lone)
    edit_state(lone, '"mode":"monitoring"', '"mode":"no such mode"')
    found, said = problems(lone)
    assert found == [(None, "state")]
    assert "damaged" in said
    fixed = run(lone, "doctor", "--fix")
    assert fixed.code == 0
    assert "the state is whole again" in fixed.err


def test_a_state_edited_by_hand_is_a_note(lone):
    hook("claude", start("claude", lone), lone)
    edit_state(lone, '"prompts":0', '"prompts":7')
    found = {one["check"]: one for one in doctor(lone)[1] if one["host"] is None}
    assert found["state"]["level"] == "note"


def test_modes_that_keep_hooks_from_working_are_found(lone):
    hook("claude", start("claude", lone), lone)
    run(lone, "mode", "stopped")
    run(lone, "recovery", "degrade", "maintenance")
    found, said = problems(lone)
    assert found == [(None, "mode"), (None, "degraded")]
    assert "maintenance" in said


def test_events_that_wait_are_found_and_taken_in(lone):
    hook("claude", start("claude", lone), lone)
    for number in range(spool.MANY):
        record = {"host": "claude", "moment": "prompt", "name": "UserPromptSubmit", "session": "s", "key": str(number)}
        spool.put(str(lone / ".holdfast"), {**record, "at": 1.0})
    assert problems(lone)[0] == [(None, "spool")]
    assert run(lone, "doctor", "--fix").code == 0
    assert spool.waiting(str(lone / ".holdfast")) == []


def test_who_keeps_the_lock_is_named(lone):
    if not os.path.exists("/proc/locks"):
        pytest.skip("only Linux tells who holds a lock")
    program = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held', flush=True); input()"
    words = [sys.executable, "-c", program, str(lone / ".holdfast" / "state.lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        found, said = problems(lone)
        holder.stdin.close()
    assert found == [(None, "lock")]
    assert f"process {holder.pid}" in said


def test_a_workflow_that_does_not_read_is_found(lone):
    (lone / ".holdfast" / "workflow.yaml").write_text("version: 1\nphases: [{nxt: x}]\n")
    assert problems(lone)[0] == [(None, "workflow")]


def test_a_folder_of_ours_is_not_made_by_mending(tmp_path, bin_folder):
    del bin_folder
    assert run(tmp_path, "doctor", "--fix").code == 1
    assert not (tmp_path / ".holdfast").exists()


# -- the copy


GUARDED = """if [ -n "$NO_SUCH_TOKEN" ]; then
  export MY_API_KEY='two S3CRET words'
  exec false
fi
# GITHUB_PAT=S3CRET
GITHUB_PAT=S3CRET
export A=1 DATABASE_URL="postgres://app:S3CRET@db/shop" ; # mine
export SENTRY_DSN=https://S3CRET@o1.ingest.test/2
HOOK=https://hooks.slack.test/services/S3CRET
alias deploy='curl -u me:S3CRET https://shop.test'
f() {
  local token="$1"
  MY_PASS=$(cat S3CRET)
}
f
export KEPT="$HOME/x"
echo "welcome $KEPT"
"""


def test_a_profile_without_its_secrets_does_what_it_did():
    made = profiles.harmless(GUARDED)
    assert "S3CRET" not in made
    assert len(made.splitlines()) == len(GUARDED.splitlines())
    done = subprocess.run(["sh", "-c", made], env={"HOME": "/h"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "welcome /h/x\n", "")
    untouched = 'autoload -U compinit\nif [ -n "$AUTH" ]; then\n  . "$HOME/.cargo/env"\nfi\nexport key=$1\n'
    assert profiles.harmless(untouched) == untouched
    assert (
        profiles.harmless("set -gx MY_TOKEN S3CRET\nset -g fish_greeting hello\n") == ":\nset -g fish_greeting hello\n"
    )


@pytest.mark.parametrize(
    "profile",
    [
        "[ -t 0 ] && export MY_TOKEN=S3CRET",
        "if true; then export MY_TOKEN=S3CRET; fi",
        "export \\\n  MY_TOKEN=S3CRET",
        'KEY="-----BEGIN PRIVATE KEY-----\nS3CRET\n-----END PRIVATE KEY-----"',
        "MY_TOKEN='S3CRET\nmore'",
        "# -----BEGIN RSA PRIVATE KEY-----\n# S3CRET",
        "curl -s https://me:S3CRET@shop.test/motd",
        "if true; set -gx MY_TOKEN S3CRET; end",
    ],
)
def test_a_profile_whose_secret_cannot_be_taken_out_by_itself_is_not_copied_and_that_is_said(lone, home, profile):
    (home / ".zshenv").write_text(profile)
    with Stage(str(lone)) as stage:
        stage.furnish()
        assert not [path for path, content in tree(stage.root).items() if b"S3CRET" in content]
        assert not Path(stage.home, ".zshenv").exists()
        assert stage.left_out == [str(home / ".zshenv")]


@pytest.mark.parametrize("host", [host for host in HOSTS if host != "opencode"])
def test_no_secret_and_no_hook_of_others_goes_into_the_copy(app, home, bin_folder, host):
    cli = patients.every()[host]
    other = {"PreToolUse": [{"hooks": [{"type": "command", "command": "curl -H 'SECRET: x'", "env": {"A": "SECRET"}}]}]}
    known = json.loads((app / PROJECT_FILES[host]).read_text())
    settings(app, host, hooks={**known["hooks"], **other})
    if host != "codex":
        settings(
            app, host, env={"API_KEY": "SECRET"}, mcpServers={"a": {"env": {"B": "SECRET"}}}, apiKeyHelper="SECRET"
        )
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text('model_provider = "SECRET"\n[mcp_servers.a.env]\nKEY = "SECRET"\n')
    (home / ".codex" / "auth.json").write_text('"SECRET"')
    (home / ".zshenv").write_text("export MY_TOKEN=SECRET\nalias ll=ls\n")
    (app / ".env").write_text("KEY=SECRET")
    with Stage(str(app)) as stage:
        stage.furnish()
        cli.carry(stage, cli.layers(str(app)), str(bin_folder / host), lambda command: f"recorded {command}")
        copied = tree(stage.root)
        assert not [path for path, content in copied.items() if b"SECRET" in content]
        assert b"alias ll=ls" in copied[Path(stage.home, ".zshenv")]
        made = json.loads(Path(stage.project, *PROJECT_FILES[host].split("/")).read_text())
        handlers = {event: groups[0].get("hooks", groups)[0] for event, groups in made["hooks"].items()}
        commands = {event: handler[patients.command_key(handler)] for event, handler in handlers.items()}
        assert commands.pop("PreToolUse") == "true"
        assert all(command.startswith("recorded ") and "--host" in command for command in commands.values())
    assert not os.path.exists(stage.root)


def test_of_opencodes_plugins_the_copy_has_our_bridge_alone(app, home, bin_folder):
    cli = patients.every()["opencode"]
    (app / ".opencode" / "plugins" / "other.js").write_text("export const SECRET = 1")
    (app / ".opencode" / "opencode.json").write_text('{"provider": "SECRET"}')
    (home / ".config" / "opencode").mkdir(parents=True)
    (home / ".config" / "opencode" / "opencode.json").write_text('{"provider": "SECRET"}')
    with Stage(str(app)) as stage:
        stage.furnish()
        cli.carry(stage, cli.layers(str(app)), str(bin_folder / "opencode"), lambda command: f"recorded {command}")
        assert not [path for path, content in tree(stage.root).items() if b"SECRET" in content]
        made = Path(stage.project, PROJECT_FILES["opencode"]).read_text()
        starter = Path(re.search(r'^const PYTHON = "(.*)"$', made, re.MULTILINE)[1])
        assert made.replace(str(starter), sys.executable) == (app / PROJECT_FILES["opencode"]).read_text()
        assert starter.read_text().count(f"recorded {sys.executable} -I -S ") == 6
        lock = json.loads(Path(stage.project, ".opencode", "package-lock.json").read_text())
        assert lock["packages"][""]["dependencies"] == {"@opencode-ai/plugin": "1.18.33"}


def test_the_recorder_passes_on_what_it_notes(tmp_path):
    words = [sys.executable, "-I", "-S", recorder.__file__, str(tmp_path), "sh", "-c", "cat; echo no >&2; exit 3"]
    done = subprocess.run(words, input=b'{"a": 1}', capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, b'{"a": 1}', b"no\n")
    (note,) = tmp_path.iterdir()
    told = json.loads(note.read_text())
    assert (told["payload"], told["stdout"], told["stderr"], told["code"]) == ('{"a": 1}', '{"a": 1}', "no\n", 3)
    assert told["command"] == "cat; echo no >&2; exit 3"


def test_what_no_longer_holds_of_a_payload_is_named():
    recorded = {"a": "x", "b": {"c": 1, "d": None}, "e": [{"f": True}], "g": 1}
    seen = {"a": "y", "b": {"c": "1", "d": None, "more": 1}, "e": [{"f": 0}], "more": 1}
    assert recording.differences(recorded, recorded, "it") == []
    assert recording.differences(recorded, seen, "it") == [
        "it.b.c was int and is str",
        "it.e[0].f was bool and is int",
        "it.g is gone",
    ]


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    ("ending", "when"),
    [(signal.SIGTERM, "-p"), (signal.SIGHUP, "-p"), (signal.SIGINT, "-p"), (signal.SIGTERM, "--version")],
)
def test_a_doctor_that_is_ended_leaves_nothing_behind(lone, bin_folder, tmp_path, ending, when, apart):
    told, long = tmp_path / "pid", f"987.{os.getpid()}"
    (bin_folder / "claude").write_text(
        f'#!/bin/sh\n[ "$1" = {when} ] && {{ sleep {long} & echo begun > {told}; wait; }}\necho 2.1.328\n'
    )
    if not apart:
        (bin_folder / "unshare").unlink(missing_ok=True)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words = [sys.executable, "-m", "holdfast", "doctor", "--live"]
    with subprocess.Popen(
        words,
        cwd=lone,
        env=environment(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(ending, signal.SIG_DFL),  # noqa: PLW1509  a run in the background ignores SIGINT
    ) as running:
        while not told.exists():
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(ending)
        assert running.wait(60) == 128 + ending
    assert list(temporary.iterdir()) == []
    if os.path.isdir("/proc/self"):
        until = time.monotonic() + 20  # a process that was killed is there for a moment
        while long in command_lines() and time.monotonic() < until:
            time.sleep(0.05)
        assert long not in command_lines()


def command_lines():
    """The last words of all command lines."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(path.read_text(errors="replace").rstrip("\0").rpartition("\0")[2])
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("shell", "used"), [("/bin/zsh", "/bin/zsh"), ("/usr/sbin/nologin", "/bin/sh"), ("", "/bin/sh")]
)
def test_codexs_hooks_are_run_by_the_login_shell_if_there_is_one(monkeypatch, shell, used):
    import pwd

    monkeypatch.setattr(pwd, "getpwuid", lambda _number: SimpleNamespace(pw_shell=shell))
    assert patients.every()["codex"].shell_words() == (used, "-c")


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("/p/python -I -S '/my hooks/a.py' --host x 2>/dev/null || exit 0", ["/p/python", "/my hooks/a.py"]),
        ("echo a; /p/python x</dev/null", ["/p/python"]),
        ("sleep 5;/p/python", ["/p/python"]),
        ("/it's", ["/it's"]),
    ],
)
def test_the_paths_of_a_command_are_found(command, named):
    assert paths.named(command) == named


def test_a_project_in_a_repository_is_copied_as_one(tmp_path):
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    shop = make_project(tmp_path / "repo" / "shop")
    with Stage(str(shop)) as stage:
        assert Path(stage.project).parent.joinpath(".git", "HEAD").is_file()
        done = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=stage.project, capture_output=True, check=True
        )
        assert done.stdout.decode().strip() == str(Path(stage.project).parent)
