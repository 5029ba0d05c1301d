"""Installing into other people's settings, trying what was registered, and going away without a trace."""

import ast
import base64
import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from commanding import run
from firing import ROOT, payload
from holdfast.errors import HoldfastError, LockTimeout, PermissionDenied, ValidationFailed
from holdfast.install import bootstrap, environment, files, locking, record, registration, targets, trial
from holdfast.install import install as register
from holdfast.install import uninstall as take_back
from installing import install_py, run_py

HOSTS = ["claude", "gemini", "codex", "copilot"]  # those with settings; OpenCode is in install_script_test.py
FILES = {"claude": ".claude/settings.local.json", "gemini": ".gemini/settings.json", "codex": ".codex/hooks.json"}
FILES["copilot"] = ".github/hooks/holdfast.json"
MINE = {
    "claude": '{\n    "permissions": {"allow": ["Bash(ls:*)"]},\n    "hooks": {"PostToolUse": [{"matcher": "Bash", '
    '"hooks": [{"type": "command", "command": "echo mine"}]}]}\n}\n',
    "gemini": '{\r\n\t// my own comment\r\n\t"ui": {"theme": "GitHub",},\r\n\t"hooks": {"AfterTool": []}\r\n}',
    "codex": '\ufeff{"description":"mine","hooks":{"Stop":[{"hooks":[{"type":"command","command":"echo mine"}]}]}}',
    "copilot": '{"version": 1, "hooks": {"Stop": [{"type": "command", "bash": "echo mine"}], "PreCompact": []}}',
}
EVENTS = {
    "claude": "SessionStart UserPromptSubmit PostToolUse PostToolUseFailure PreCompact Stop SessionEnd",
    "gemini": "SessionStart BeforeAgent AfterTool PreCompress AfterAgent SessionEnd",
    "codex": "SessionStart UserPromptSubmit PostToolUse PreCompact Stop SessionEnd",
    "copilot": "SessionStart UserPromptSubmit PostToolUse PostToolUseFailure PreCompact Stop SessionEnd",
}


@pytest.fixture
def app(tmp_path):
    """A project that knows nothing of holdfast yet."""
    folder = tmp_path / "my app"
    folder.mkdir()
    return folder


def install(app, *hosts, scope="project", dry_run=False):
    """Install; what was printed."""
    lines = []
    register(str(app), list(hosts) or HOSTS, scope, dry_run=dry_run, echo=lines.append)
    return "\n".join(lines)


def uninstall(app, *hosts, scope="project", dry_run=False):
    lines = []
    take_back(str(app), list(hosts) or None, scope, purge=False, dry_run=dry_run, echo=lines.append)
    return "\n".join(lines)


def put(app, host, said=None):
    path = app / FILES[host]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((MINE[host] if said is None else said).encode())
    return path


def tree(folder):
    """Every path under a folder, with what tells whether it changed."""
    return {
        p: (p.lstat().st_mtime_ns, p.lstat().st_mode, p.is_file() and p.read_bytes()) for p in Path(folder).rglob("*")
    }


def commands(app, host):
    said = json.loads((app / FILES[host]).read_text("utf-8"))
    if host == "copilot":
        return {event: handlers[-1]["bash"] for event, handlers in said["hooks"].items()}
    return {event: groups[-1]["hooks"][0]["command"] for event, groups in said["hooks"].items()}


# -- what comes of where it is registered


def told(said, host, word):
    """The lines of an installation that say `word` of a host."""
    return [line.strip() for line in said.splitlines() if line.strip().startswith(f"{host}: ") and word in line]


def test_copilot_below_the_root_of_a_repository_is_told_what_to_do(app):
    above = app.parent
    assert not told(install(app, "copilot"), "copilot", "repository's root")
    (above / ".git").mkdir()
    for said in (install(app, "copilot"), install(app, "copilot", dry_run=True)):
        (line,) = told(said, "copilot", f"only in the repository's root, {above}: ")
        assert str(app / FILES["copilot"]) in line and "--scope user" in line
    uninstall(app)
    for scope, folder in (("user", app), ("project", above)):
        assert not told(install(folder, "copilot", scope=scope), "copilot", "repository's root")
    assert not told(install(app, "claude"), "claude", "repository's root")


@pytest.mark.parametrize("first", targets.SCOPES)
def test_a_second_scope_is_told_with_what_comes_of_it_and_how_to_take_one_away(app, first):
    second = "project" if first == "user" else "user"
    assert "as well" not in install(app, *targets.HOSTS, scope=first)
    said = install(app, *targets.HOSTS, scope=second)
    assert install(app, *targets.HOSTS, scope=second, dry_run=True).count("as well") == len(targets.HOSTS)
    for name, host in targets.HOSTS.items():
        (line,) = told(said, name, "registers our hooks as well")
        assert targets.settings_file(host, first, str(app)) in line
        assert f"`holdfast uninstall --scope {first} --host {name}`" in line
        assert ("runs them once" in line) == (name in ("claude", "gemini"))
        assert ("a session's start is told twice" in line) == (name == "codex")
        uninstall(app, name, scope=first)
    assert "as well" not in install(app, *targets.HOSTS, scope=second)


def test_hooks_in_the_other_scope_that_are_not_the_same_run_twice(app, home):
    install(app, "claude", scope="user")
    path = home / ".claude" / "settings.json"
    path.write_text(path.read_text().replace("2>/dev/null", "2> /dev/null"))
    (line,) = told(install(app, "claude"), "claude", "as well")
    assert "starts two hooks" in line and "told twice" in line


@pytest.mark.parametrize("text", ["{", '{"hooks": 5}', "[]"])
def test_settings_of_the_other_scope_that_do_not_read_are_no_matter(app, home, text):
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text(text)
    assert "as well" not in install(app, "claude")


# -- other people's settings


def test_settings_of_others_survive_three_installations_and_an_uninstallation_to_the_byte(app):
    paths = {host: put(app, host) for host in HOSTS}
    install(app)
    first = {host: path.read_bytes() for host, path in paths.items()}
    kept = (app / ".holdfast" / "install.json").read_bytes()
    assert "registered already" in install(app)
    install(app)
    assert {host: path.read_bytes() for host, path in paths.items()} == first
    assert (app / ".holdfast" / "install.json").read_bytes() == kept
    assert b"// my own comment\r\n" in first["gemini"] and b"echo mine" in first["claude"]
    uninstall(app)
    assert {host: path.read_bytes().decode() for host, path in paths.items()} == MINE
    assert not (app / ".holdfast" / "install.json").exists()


@pytest.mark.parametrize("host", HOSTS[:3])
def test_each_host_gets_its_events_in_the_form_that_it_accepts(app, host):
    install(app, host)
    said = json.loads((app / FILES[host]).read_text("utf-8"))
    assert list(said) == ["hooks"]
    assert sorted(said["hooks"]) == sorted(EVENTS[host].split())
    known = {"claude": set(), "gemini": {"name"}, "codex": {"commandWindows"}}[host]
    for event, groups in said["hooks"].items():
        [group] = groups
        assert list(group) == ["hooks"], "a matcher would hide tools from us"
        [handler] = group["hooks"]
        assert set(handler) == {"type", "command", "timeout"} | known
        limit = 3 if (host, event) == ("codex", "SessionEnd") else 10
        assert handler["timeout"] == limit * (1000 if host == "gemini" else 1)
        assert handler["command"].endswith(f" --host {host} 2>/dev/null || exit 0")
    if host == "gemini":  # it runs a name and command that stand twice only once
        assert len({groups[0]["hooks"][0]["name"] for groups in said["hooks"].values()}) == len(said["hooks"])


def test_copilot_gets_a_file_of_our_own_in_the_form_that_it_documents(app):
    install(app, "copilot")
    said = json.loads((app / FILES["copilot"]).read_text("utf-8"))
    assert list(said) == ["version", "hooks"] and said["version"] == 1
    assert sorted(said["hooks"]) == sorted(EVENTS["copilot"].split())
    for [handler] in said["hooks"].values():
        assert handler["bash"].endswith(" --host copilot 2>/dev/null || exit 0")
        assert handler["powershell"].startswith("& ") and handler["powershell"].endswith(
            "--host copilot 2>$null; exit 0"
        )
        assert (handler["type"], handler["timeoutSec"], len(handler)) == ("command", 10, 4)


@pytest.mark.parametrize("above", [True, False], ids=["their .github", "no .github"])
@pytest.mark.parametrize("lost", [True, False], ids=["record lost", "recorded"])
def test_a_file_of_our_own_goes_with_the_folders_that_were_made_for_it(app, above, lost):
    if above:
        (app / ".github").mkdir()
    install(app, "copilot")
    install(app, "copilot")
    if lost:
        (app / ".holdfast" / "install.json").unlink()
    uninstall(app)
    assert not (app / FILES["copilot"]).exists()
    if not lost:  # else nobody knows any more whose the folders are
        assert (app / ".github").exists() == above
        assert not (app / ".github" / "hooks").exists()


def test_what_somebody_put_into_the_file_of_our_own_stays_theirs(app):
    install(app, "copilot")
    path = app / FILES["copilot"]
    said = json.loads(path.read_text())
    said["hooks"]["Stop"].insert(0, {"type": "command", "bash": "echo mine"})
    path.write_text(json.dumps(said))
    assert "registered already" in install(app, "copilot")
    uninstall(app)
    assert json.loads(path.read_text()) == {
        "version": 1,
        "hooks": {"Stop": [{"type": "command", "bash": "echo mine"}]},
    }


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("gone", ["interpreter", "hook", "package"])
def test_a_registered_command_ends_well_and_without_a_word_when_what_it_runs_is_gone(tmp_path, host, gone):
    place = tmp_path / "it's gone"
    (place / "hooks").mkdir(parents=True)
    if gone == "package":
        shutil.copytree(ROOT / "hooks", place / "hooks", dirs_exist_ok=True)
    python = str(place / "bin" / "python") if gone == "interpreter" else sys.executable
    runtime = environment.Runtime(python, str(place / "hooks"), str(ROOT / "manifests"))
    for handler in registration.handlers(targets.HOSTS[host], runtime).values():
        words = [*targets.HOSTS[host].runs, handler.get("command") or handler["bash"]]
        done = subprocess.run(words, input=b"{}", capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_windows_forms_are_quoted_for_their_shells():
    runtime = environment.Runtime("C:\\it's x\\python.exe", "C:\\it's x\\hooks", str(ROOT / "manifests"))
    fill = registration.fill
    assert fill("& ${PYTHON} ${HOOKS}/a.py 2>$null; exit 0", runtime).startswith(
        "& 'C:\\it''s x\\python.exe' 'C:\\it''s x\\hooks/a.py' 2>$null"
    )
    assert fill("${PYTHON} ${HOOKS}/a.py 2>nul || exit 0", runtime).startswith(
        '"C:\\it\'s x\\python.exe" "C:\\it\'s x\\hooks/a.py" 2>nul'
    )


@pytest.mark.parametrize("broken", HOSTS)
def test_settings_that_do_not_parse_are_refused_by_name_before_anything_is_written(app, broken):
    for host in HOSTS:
        put(app, host)
    path = put(app, broken, '{"hooks": [}')
    before = tree(app)
    with pytest.raises(ValidationFailed) as refused:
        install(app)
    assert str(path) in str(refused.value) and "line 1, column 12" in str(refused.value)
    assert "\n" not in str(refused.value) and refused.value.exit_code == 4
    assert tree(app) == before


def test_settings_that_cannot_be_written_are_refused_before_anything_is_written(app, monkeypatch):
    path = put(app, "codex")
    before = tree(app)
    may = os.access
    monkeypatch.setattr(files.os, "access", lambda p, mode: str(p) != str(path) and may(p, mode))  # root may write all
    with pytest.raises(PermissionDenied, match=re.escape(str(path))):
        install(app)
    assert tree(app) == before


def test_a_file_where_a_folder_must_be_is_refused_before_anything_is_written(app):
    (app / ".codex").write_text("mine")
    before = tree(app)
    with pytest.raises(HoldfastError, match=r"\.codex is no folder"):
        install(app)
    assert tree(app) == before


def test_a_link_stays_a_link_and_modes_stay(app, tmp_path):
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    real = dotfiles / "claude.json"
    real.write_text("{}\n")
    real.chmod(0o640)
    (app / ".claude").mkdir()
    link = app / FILES["claude"]
    link.symlink_to(os.path.relpath(real, link.parent))
    install(app, "claude")
    assert link.is_symlink() and "hooks" in json.loads(real.read_text())
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    uninstall(app)
    assert link.is_symlink() and real.read_text() == "{}\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert os.listdir(dotfiles) == ["claude.json"]


def test_a_link_that_leads_nowhere_is_refused_before_anything_is_written(app):
    (app / ".claude").mkdir()
    (app / FILES["claude"]).symlink_to("../gone/settings.json")
    before = tree(app)
    with pytest.raises(HoldfastError, match="which is not there"):
        install(app)
    assert tree(app) == before


def test_what_the_user_changed_after_the_installation_stays_when_we_go(app):
    path = put(app, "claude")
    install(app)
    said = json.loads(path.read_text())
    said["env"] = {"MINE": "1"}
    said["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "echo mine too"}]})
    path.write_text(json.dumps(said, indent=4))
    uninstall(app)
    mine = json.loads(MINE["claude"])
    mine["env"] = {"MINE": "1"}
    mine["hooks"]["Stop"] = [{"hooks": [{"type": "command", "command": "echo mine too"}]}]
    assert json.loads(path.read_text()) == mine


@pytest.mark.parametrize("before", [None, "{}\n", '{"model": "x"}\n'])
def test_an_edit_between_two_installations_is_no_more_lost_than_one_after_them(app, before):
    path = put(app, "claude", before) if before else app / FILES["claude"]
    install(app, "claude")
    path.write_text(path.read_text().replace("{", '{"env": {"MINE": "1"},', 1))
    install(app, "claude")
    uninstall(app)
    assert json.loads(path.read_text()) == {"env": {"MINE": "1"}, **json.loads(before or "{}")}


def test_what_we_made_is_taken_away_and_what_the_user_put_beside_it_is_not(app):
    (app / ".holdfast").mkdir()
    (app / ".holdfast" / "state.json").write_text("kept")
    install(app)
    (app / ".gemini" / "GEMINI.md").write_text("mine")
    uninstall(app)
    assert sorted(os.listdir(app)) == [".gemini", ".holdfast"]
    assert os.listdir(app / ".gemini") == ["GEMINI.md"]
    assert (app / ".holdfast" / "state.json").read_text() == "kept"


def test_one_host_can_go_and_the_others_stay(app):
    install(app)
    assert "gemini" in uninstall(app, "gemini")
    assert not (app / ".gemini").exists()
    assert len(commands(app, "claude")) == 7
    assert [t.host for t in record.load(str(app / ".holdfast"), print)] == ["claude", "codex", "copilot"]


def test_an_environment_elsewhere_takes_the_place_of_the_old_and_leaves_no_trace_of_it(app, monkeypatch):
    path = put(app, "claude")
    install(app, "claude")
    before = commands(app, "claude")
    other = environment.Runtime(sys.executable, str(ROOT / "tests" / ".." / "hooks"), str(ROOT / "manifests"))
    monkeypatch.setattr(environment, "running", lambda **_: other)
    install(app, "claude")
    after = commands(app, "claude")
    assert list(after) == list(before) and all("tests/.." in command for command in after.values())
    assert path.read_text().count("turn_end.py") == 1
    uninstall(app)
    assert path.read_text() == MINE["claude"]


def test_our_entries_go_even_if_the_record_is_lost(app):
    path = put(app, "claude")
    install(app)
    (app / ".holdfast" / "install.json").unlink()
    install(app)
    (app / ".holdfast" / "install.json").unlink()
    uninstall(app)
    assert path.read_text() == MINE["claude"]
    assert json.loads((app / FILES["codex"]).read_text()) == {}, "nobody knows any more that the file was ours"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 99, "targets": []}', b'{"version": 1, "targets": [{"host": 7}]}']
)
def test_a_record_that_cannot_be_read_is_put_aside_and_said(app, damage):
    path = put(app, "claude")
    install(app, "claude")
    (app / ".holdfast" / "install.json").write_bytes(damage)
    assert "install.json.unreadable" in uninstall(app)
    assert path.read_text() == MINE["claude"]
    assert (app / ".holdfast" / "install.json.unreadable").read_bytes() == damage


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("again", [True, False], ids=["installed again", "left alone"])
def test_a_record_of_an_earlier_release_tells_whose_the_folder_is(app, made, again):
    install(app, "claude")
    path = app / ".holdfast" / "install.json"
    content = json.loads(path.read_text())
    [target] = content["targets"]
    assert target.pop("folders_made") == 1
    path.write_text(json.dumps({**content, "targets": [{**target, "folder_made": made}]}))
    if again:
        install(app, "claude")
    assert ".unreadable" not in uninstall(app)
    assert (app / ".claude").exists() != made
    assert not (app / FILES["claude"]).exists() and os.listdir(app / ".holdfast") != []


def test_a_record_that_came_with_a_clone_cannot_name_a_file_to_overwrite(app, tmp_path):
    victim = tmp_path / "victim.json"
    victim.write_text('{"mine": 1}')
    install(app, "claude")
    path = app / ".holdfast" / "install.json"
    content = json.loads(path.read_text())
    [target] = content["targets"]
    target["original"] = base64.b64encode(b"stolen").decode()
    for name in ("../victim.json", str(victim)):
        target.update(file=name, sha256_after=record.seal(victim.read_bytes()), folders_made=9)
        path.write_text(json.dumps(content))
        uninstall(app)
        assert victim.read_text() == '{"mine": 1}'


def test_the_original_bytes_are_kept_before_the_settings_change_and_nobody_else_may_read_them(app, monkeypatch):
    path = put(app, "claude")
    replace = files.replace

    def dies(where, *args, **kwargs):
        if Path(where) == path:
            raise KeyboardInterrupt
        replace(where, *args, **kwargs)

    monkeypatch.setattr(files, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        install(app, "claude")
    kept = app / ".holdfast" / "install.json"
    assert base64.b64decode(json.loads(kept.read_text())["targets"][0]["original"]).decode() == MINE["claude"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(app.parent))
    install(app, "claude")
    uninstall(app)
    assert path.read_text() == MINE["claude"]


def test_a_project_that_was_moved_is_restored_where_it_is_now(app):
    put(app, "claude")
    install(app, "claude")
    moved = app.rename(app.parent / "moved")
    uninstall(moved)
    assert (moved / FILES["claude"]).read_text() == MINE["claude"]


def test_settings_that_were_broken_since_are_named_and_the_other_hosts_are_served(app):
    install(app)
    (app / FILES["codex"]).write_text("{ --host")
    with pytest.raises(ValidationFailed, match=r"hooks\.json: line 1, column 3"):
        uninstall(app)
    assert (app / FILES["codex"]).read_text() == "{ --host"
    assert not (app / FILES["claude"]).exists() and not (app / FILES["gemini"]).exists()


def test_settings_of_others_that_do_not_parse_do_not_stop_us_from_going(app):
    install(app, "claude")
    broken = put(app, "codex", "not ours {")
    uninstall(app)
    assert broken.read_text() == "not ours {" and not (app / FILES["claude"]).exists()


def test_where_nothing_is_registered_it_is_said(app):
    assert uninstall(app) == f"nothing is registered in {app}"
    assert os.listdir(app) == []


def test_a_dry_run_shows_every_change_and_writes_nothing(app, home):
    put(app, "gemini")
    before = tree(app.parent), tree(home)
    said = install(app, dry_run=True)
    assert "+version: 1" in said and f"+++ {app}/.claude/settings.local.json" in said
    assert '-\t"hooks": {"AfterTool": []}' in said and "my own comment" in said
    assert (tree(app.parent), tree(home)) == before
    install(app)
    before = tree(app.parent), tree(home)
    assert "nothing to change" in install(app, dry_run=True)
    said = uninstall(app, dry_run=True)
    assert f"--- {app}/.claude/settings.local.json\n+++ /dev/null" in said
    assert (tree(app.parent), tree(home)) == before


def test_settings_that_keep_hooks_from_running_are_said(app):
    put(app, "claude", '{"disableAllHooks": true}')
    put(app, "gemini", '{"hooksConfig": {"enabled": false}}')
    put(app, "codex", '{"$schema": "x"}')
    put(app, "copilot", '{"version": 1, "disableAllHooks": true}')
    said = install(app)
    assert said.count("disableAllHooks is set") == 2
    assert "hooksConfig.enabled is false" in said
    assert "rejects the whole file for the key '$schema'" in said


# -- scopes and hosts


def test_the_users_scope_registers_in_the_home_and_its_record_is_in_the_data_folder(app, home, tmp_path, monkeypatch):
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text('{"model": "x"}')
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.setenv("GEMINI_CLI_HOME", str(tmp_path / "gemini"))
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "copilot"))
    install(app, scope="user")
    assert len(json.loads((home / ".claude" / "settings.json").read_text())["hooks"]) == 7
    assert (tmp_path / "codex" / "hooks.json").exists()
    assert (tmp_path / "gemini" / ".gemini" / "settings.json").exists()
    assert (tmp_path / "copilot" / "hooks" / "holdfast.json").exists()
    assert os.listdir(app) == [".holdfast"]
    kept = home / ".local" / "share" / "holdfast" / "install.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "nothing is registered in" in uninstall(app)
    monkeypatch.delenv("CODEX_HOME")
    uninstall(app, scope="user")
    assert (home / ".claude" / "settings.json").read_text() == '{"model": "x"}'
    assert not (tmp_path / "codex").exists() and not (tmp_path / "copilot").exists() and not kept.parent.exists(), (
        "nothing of ours is left"
    )


@pytest.mark.parametrize("scope", ["project", "user"])
def test_a_project_that_is_not_there_is_told_and_not_made(tmp_path, home, scope):
    done = run_py("--project", tmp_path / "ap", "--prefix", tmp_path / "prefix", "--scope", scope)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    assert f"{tmp_path / 'ap'}: there is no such folder" in done.stderr
    said = run(tmp_path, "install", "--project", "ap", "--scope", scope)
    assert said.code == 4 and "there is no such folder" in said.err and len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [] and list(home.iterdir()) == []


def test_the_hosts_are_those_that_are_found_and_all_if_none_is(home, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [host.name for host in targets.choose(None)] == list(targets.HOSTS)
    (home / ".codex").mkdir()
    assert [host.name for host in targets.choose(None)] == ["codex"]
    (tmp_path / "gemini").touch(mode=0o755)
    assert [host.name for host in targets.choose(None)] == ["gemini", "codex"]
    assert [host.name for host in targets.choose(["codex", "claude"])] == ["claude", "codex"]
    with pytest.raises(ValidationFailed, match=f"no host is called 'vim': choose from {', '.join(targets.HOSTS)}"):
        targets.choose(["vim"])


def test_the_data_folder_is_that_of_platformdirs(monkeypatch, tmp_path):
    platformdirs = pytest.importorskip("platformdirs")
    assert targets.data_folder() == platformdirs.user_data_dir("holdfast", appauthor=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert targets.data_folder() == platformdirs.user_data_dir("holdfast", appauthor=False)


# -- the project's folder, and the trial run


def test_a_project_gets_a_private_folder_with_a_workflow_that_alone_is_for_git(app):
    subprocess.run(["git", "init", "-q", str(app)], check=True)
    install(app, "claude")
    folder = app / ".holdfast"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "index.json").exists(), "the first hook would have to compile"
    (folder / "state.json").touch()
    words = ["git", "-C", str(app), "status", "--porcelain", "-uall", ".holdfast"]
    seen = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert seen.split() == ["??", ".holdfast/.gitignore", "??", ".holdfast/workflow.yaml"]


def test_a_workflow_that_is_there_stays(app):
    (app / ".holdfast").mkdir()
    (app / ".holdfast" / "workflow.yaml").write_text("version: 1\nname: mine\nphases: [{id: only}]\n")
    install(app, "claude")
    assert "name: mine" in (app / ".holdfast" / "workflow.yaml").read_text()


def test_a_workflow_with_a_mistake_is_said_and_the_hooks_are_registered_all_the_same(app):
    (app / ".holdfast").mkdir()
    (app / ".holdfast" / "workflow.yaml").write_text("version: 1\nname: mine\nphasen: []\n")
    with pytest.raises(ValidationFailed, match=r"the workflow needs mending: .*phases"):
        install(app, "claude")
    assert len(commands(app, "claude")) == 7


def test_the_trial_runs_what_was_registered_and_counts_nowhere(app, tmp_path, monkeypatch):
    scratches = tmp_path / "scratches"
    scratches.mkdir()
    monkeypatch.setattr(trial.tempfile, "tempdir", str(scratches))
    monkeypatch.setenv("HOLDFAST_STATE_FILE", str(tmp_path / "elsewhere.json"))
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(tmp_path))
    said = install(app)
    for host in HOSTS:
        assert f"trial run as {host}:" in said
    assert len(re.findall(r"the session resumes \(SessionStart\), \d+ ms: said\n      .*spec", said)) == len(HOSTS)
    assert len(re.findall(r"a prompt \(\w+\), \d+ ms: said", said)) == len(HOSTS)
    assert len(re.findall(r"a tool call \(\w+\), \d+ ms: said", said)) == len(HOSTS)
    assert os.listdir(scratches) == []
    assert not (app / ".holdfast" / "state.json").exists() and not (tmp_path / "elsewhere.json").exists()


def test_a_trial_that_fails_is_said_with_the_reason_and_undoes_nothing(app, tmp_path, monkeypatch):
    hooks = tmp_path / "hooks"
    shutil.copytree(ROOT / "hooks", hooks)  # without the package beside it
    runtime = environment.Runtime(sys.executable, str(hooks), str(ROOT / "manifests"))
    monkeypatch.setattr(environment, "running", lambda **_: runtime)
    lines = []
    with pytest.raises(HoldfastError, match="trial run failed for claude") as failed:
        register(str(app), ["claude"], "project", dry_run=False, echo=lines.append)
    assert failed.value.exit_code == 1
    assert "No module named 'holdfast'" in "\n".join(lines)
    assert len(commands(app, "claude")) == 7


def test_the_registered_commands_keep_the_projects_state(app):
    install(app)
    for host in HOSTS:
        given = payload(host, "SessionStart.startup", app)
        env = {**trial.environment(targets.HOSTS[host], str(app))}
        words = [*targets.HOSTS[host].runs, commands(app, host)["SessionStart"]]
        done = subprocess.run(
            words, input=json.dumps(given).encode(), env=env, cwd=app, capture_output=True, check=True
        )
        reply = json.loads(done.stdout)
        assert reply.get("hookSpecificOutput", reply)["additionalContext"]
    state = (app / ".holdfast" / "state.json").read_text()
    assert all(f"{host}-session" in state for host in HOSTS)


# -- the private environment


def test_a_prefix_with_something_else_in_it_is_refused(tmp_path):
    environment.check_place(str(tmp_path / "new"))
    environment.check_place(str(tmp_path))
    (tmp_path / "install.json").touch()
    environment.check_place(str(tmp_path))
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValidationFailed, match="holds something else than holdfast"):
        environment.check_place(str(tmp_path))
    with pytest.raises(ValidationFailed, match="is no folder"):
        environment.check_place(str(tmp_path / "install.json"))
    with pytest.raises(ValidationFailed, match="without ':'"):
        environment.check_place(str(tmp_path / "a:b"))


def test_only_the_parts_of_an_environment_are_ever_deleted(tmp_path, home):
    prefix = tmp_path / "prefix"
    others = {"mine", "lib.tmp", "bin.tmp", "share.tmp", "releases.tmp"}
    for name in ("bin", "lib", "releases", *others):
        (prefix / name).mkdir(parents=True)
    (prefix / "current.tmp").symlink_to("gone")
    (prefix / "bin" / "holdfast").touch()
    (prefix / "hooks").symlink_to("mine")
    with pytest.raises(HoldfastError, match="was not made by"):
        environment.purge(str(prefix), print, dry_run=False)
    environment.mark(str(prefix), environment.MARKER, {})
    (home / ".local" / "bin").mkdir(parents=True)
    environment.link_command(str(prefix), print)
    environment.purge(str(prefix), print, dry_run=False)
    assert set(os.listdir(prefix)) == others
    assert os.listdir(home / ".local" / "bin") == []


def test_the_link_in_the_users_path_is_made_only_where_nobody_else_is(tmp_path, home):
    said = []
    prefix = tmp_path / "one"
    environment.link_command(str(prefix), said.append)
    assert not (home / ".local").exists(), "a folder that is not on PATH helps nobody"
    (home / ".local" / "bin").mkdir(parents=True)
    link = home / ".local" / "bin" / "holdfast"
    link.write_text("mine")
    environment.link_command(str(prefix), said.append)
    assert link.read_text() == "mine" and "somebody else's" in said.pop()
    link.unlink()
    for name in ("one", "two"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "holdfast").touch()
        environment.mark(str(tmp_path / name), environment.MARKER, {})
        environment.link_command(str(tmp_path / name), said.append)
        assert os.readlink(link) == str(tmp_path / name / "bin" / "holdfast")


def test_one_installation_at_a_time(tmp_path):
    lock = str(tmp_path / "lock")
    waited = []
    with (
        locking.locked(lock, lambda: waited.append(1)),
        pytest.raises(LockTimeout),
        locking.locked(lock, lambda: waited.append(2), budget=0),
    ):
        pass
    with locking.locked(lock, lambda: waited.append(3), budget=0):
        pass
    assert waited == []


# -- install.py


def test_on_a_file_system_without_locks_an_installation_goes_on_without(app, monkeypatch):
    def refuse(_fd):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking, "_try", refuse)
    install(app, "claude")
    assert len(commands(app, "claude")) == 7
    uninstall(app)
    assert not (app / ".claude").exists()


def test_an_old_python_can_read_install_py_and_says_so_in_one_line():
    source = (ROOT / "install.py").read_bytes()
    source.decode("ascii")  # Python 2 takes nothing else without a declaration
    ast.parse(source, feature_version=(3, 4))
    code = "import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "install.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1 and "needs Python 3.10 or newer" in done.stderr


def test_wrong_usage_is_one_line(tmp_path):
    done = run_py("--host", "vim", "--project", tmp_path / "app")
    assert done.returncode == 64 and done.stderr.count("\n") == 1 and "vim" in done.stderr


def test_install_py_refuses_broken_settings_before_it_makes_an_environment(app, tmp_path):
    put(app, "claude", '{"hooks": [}')
    done = run_py("--project", app, "--prefix", tmp_path / "prefix")
    assert done.returncode == 4 and done.stderr.count("\n") == 1
    assert "settings.local.json: line 1" in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_install_pys_dry_run_writes_nothing_and_shows_the_paths_of_the_prefix(app, tmp_path):
    before = tree(tmp_path)
    done = run_py("--project", app, "--prefix", tmp_path / "prefix", "--host", "claude", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/prefix/hooks/post_tool_use.py" in done.stdout
    assert tree(tmp_path) == before


def test_install_pys_uninstallation_works_when_the_environment_is_gone(app, tmp_path):
    words = ("--uninstall", "--project", app, "--prefix", tmp_path / "prefix")
    done = run_py(*words)
    assert done.returncode == 0 and "nothing is registered" in done.stdout
    put(app, "claude")
    install(app)
    done = run_py(*words)
    assert done.returncode == 0, done.stderr
    assert (app / FILES["claude"]).read_text() == MINE["claude"]


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_a_python_without_ensurepip_is_one_line_that_names_the_package(app, tmp_path, monkeypatch, capsys, missing):
    find = bootstrap.importlib.util.find_spec
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    assert bootstrap.main(["--project", str(app), "--prefix", str(tmp_path / "prefix")], str(ROOT)) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "apt install python3-venv" in said


@pytest.mark.parametrize(
    ("printed", "code", "told"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", 7, "no room left on the disk"),
        (
            "ERROR: No matching distribution found for click>=8.1\nnote: x",
            8,
            "No matching distribution found for click",
        ),
        ("  ERROR: HTTPSConnectionPool: Max retries exceeded with url", 8, "check the network"),
        ("OSError: [Errno 30] Read-only file system: '/x'", 6, "--prefix"),
        ("ERROR: Could not open: Permission denied", 6, "--prefix"),
        ("No module named ensurepip", 5, "apt install python3-venv"),
        ("ERROR: what nobody knows", 1, "what nobody knows"),
    ],
)
def test_a_step_that_fails_is_told_in_one_line_with_its_exit_code(tmp_path, printed, code, told):
    log = str(tmp_path / "pip.log")
    words = [sys.executable, "-c", "import sys; print(sys.argv[1]); sys.exit(1)", printed]
    with pytest.raises(HoldfastError) as failed:
        bootstrap._step(words, log, "installing")
    assert failed.value.exit_code == code
    assert told in str(failed.value) and "\n" not in str(failed.value)
    assert printed in Path(log).read_text()


def test_a_prefix_that_cannot_be_written_is_one_line(app, tmp_path, monkeypatch, capsys):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(files.os, "mkdir", refuse)  # root may write everywhere
    assert bootstrap.main(["--project", str(app), "--prefix", str(tmp_path / "prefix")], str(ROOT)) == 6
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(tmp_path / "prefix") in said and "--prefix" in said


def test_what_leads_python_or_pip_elsewhere_is_kept_from_the_environment(monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_NO_DEPS", "PIP_PYTHON", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    env = bootstrap._clean_environment()
    assert "/elsewhere" not in env.values()
    assert (env["PIP_REQUIRE_VIRTUALENV"], env["PIP_USER"]) == ("0", "0")
    assert env["PIP_INDEX_URL"] == "https://example.org/simple"


def test_the_environment_is_made_from_the_interpreter_behind_every_virtual_environment():
    found = bootstrap._interpreter()
    assert not (Path(found).parent.parent / "pyvenv.cfg").exists()
    code = "import sys; print(sys.prefix == sys.base_prefix, *sys.version_info[:2])"
    said = subprocess.run([found, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", *map(str, sys.version_info[:2])]


# -- one real installation


def test_install_py_sets_a_new_project_up_and_shows_what_the_hooks_say(installed):
    base, said = installed
    prefix, app = base / "pre fix", base / "app"
    assert (app / ".holdfast" / "workflow.yaml").exists()
    assert "1/3" in said and "2/3" in said and "3/3" in said
    assert len(re.findall(r"SessionStart\), \d+ ms: said", said)) == len(HOSTS)
    command = commands(app, "codex")["PostToolUse"]
    assert f"'{prefix}/bin/python' -I -S '{prefix}/hooks/post_tool_use.py'" in command
    assert not re.search(r"\d\.\d", command.removeprefix(str(prefix))), "a version in the path would cost Codex's trust"
    assert (prefix / "bin" / "python").is_symlink()
    done = subprocess.run(
        [str(prefix / "bin" / "holdfast"), "state", "read"], cwd=app, capture_output=True, check=False
    )
    assert json.loads(done.stdout)["stats"]["tool_calls"] == 0, done.stderr


def test_a_second_run_of_install_py_changes_nothing(installed):
    base, _ = installed
    prefix, app = base / "pre fix", base / "app"
    watched = [prefix, app / ".claude", app / ".gemini", app / ".codex", app / ".github"]
    watched.append(app / ".holdfast" / "install.json")
    before = [tree(path) for path in watched]
    done = install_py(base)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("up to date") == 2
    assert [tree(path) for path in watched] == before


def test_a_half_made_environment_is_known_as_such(installed, tmp_path):
    base, _ = installed
    prefix = base / "pre fix"
    wanted = bootstrap._wanted(str(prefix), str(base / "checkout"))
    assert bootstrap._up_to_date(str(prefix), environment.MARKER, wanted, bootstrap.NEEDED)
    assert not bootstrap._up_to_date(str(prefix), environment.MARKER, {**wanted, "fingerprint": "x"}, bootstrap.NEEDED)
    assert not bootstrap._up_to_date(str(prefix), environment.MARKER, wanted, ["no_such_library"])
    environment.mark(str(tmp_path), environment.MARKER, {**wanted, "complete": False})
    assert not bootstrap._up_to_date(str(tmp_path), environment.MARKER, wanted, [])


def test_links_that_are_gone_are_mended_and_purge_takes_the_whole_environment(installed, tmp_path):
    base, _ = installed
    copy, app = tmp_path / "copy", tmp_path / "app"
    app.mkdir()
    shutil.copytree(base / "pre fix", copy, symlinks=True)
    (copy / "hooks").unlink()
    (copy / "plugin").unlink()
    run = "import sys; from holdfast.cli import main; sys.exit(main(sys.argv[1:]))"

    def holdfast(*words):
        words = [str(copy / "bin" / "python"), "-I", "-c", run, *words, "--project", str(app)]
        done = subprocess.run(
            words, env={**os.environ, "HOME": str(base / "home")}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    holdfast("install", "--host", "gemini")
    assert str(copy) in commands(app, "gemini")["AfterTool"]
    assert (copy / "hooks" / "post_tool_use.py").exists() and (copy / "plugin" / "holdfast").is_dir()
    assert f"deleted {copy}" in holdfast("uninstall", "--purge")
    assert not copy.exists() and not (app / ".gemini").exists()
    assert (app / ".holdfast" / "workflow.yaml").exists()


def test_an_installed_hook_starts_from_the_one_file_of_bytecode(installed):
    base, _ = installed
    prefix = base / "pre fix"
    words = [str(prefix / "bin" / "python"), "-I", "-S", "-v", str(prefix / "hooks" / "turn_end.py")]
    given = json.dumps({"hook_event_name": "Stop", "session_id": "s", "cwd": str(base / "app"), "prompt_id": "p"})
    done = subprocess.run(words, input=given.encode(), capture_output=True, check=True)
    told = [line for line in done.stderr.decode().splitlines() if "holdfast" in line]
    assert any("import 'holdfast.state'" in line for line in told), "it did run"
    hot = ("start", "hook", "events", "store", "index")
    assert not [line for line in told if "matches" in line and any(f"/{name}.py" in line for name in hot)]
