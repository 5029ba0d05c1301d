"""A host whose registration is a program of ours: written whole, known by its first line, taken away whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firing import ROOT
from holdfast.errors import HoldfastError, ValidationFailed
from holdfast.install import environment, registration, targets
from holdfast.install import install as register
from holdfast.install import uninstall as take_back

FILE = ".opencode/plugins/holdfast.js"
OPENCODE = targets.HOSTS["opencode"]


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "my app"
    folder.mkdir()
    return folder


def install(app, *hosts, scope="project", dry_run=False):
    lines = []
    register(str(app), list(hosts) or ["opencode"], scope, dry_run=dry_run, echo=lines.append)
    return "\n".join(lines)


def uninstall(app, scope="project", dry_run=False):
    lines = []
    take_back(str(app), None, scope, purge=False, dry_run=dry_run, echo=lines.append)
    return "\n".join(lines)


def tree(folder):
    """Every path under a folder, with what tells whether it changed."""
    return {p: (p.lstat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in Path(folder).rglob("*")}


def paths_in(path):
    """The interpreter and the folder of the hooks that a script names."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line.partition(" = ")[2]) for line in lines if line.startswith(("const PYTHON", "const HOOKS"))]


def test_it_is_written_tried_left_alone_by_a_second_installation_and_taken_away_with_its_folders(app):
    said = install(app)
    assert f"opencode: {FILE}: 7 hooks registered" in said
    for part in ("a prompt (chat.message)", "a tool call (tool.execute.after)", "the session resumes (session.start)"):
        assert f"{part}, " in said
    assert said.count(" ms: said\n") == 3
    assert "start `opencode` anew" in said
    assert paths_in(app / FILE) == [sys.executable, str(ROOT / "hooks")]
    before = tree(app / ".opencode"), (app / ".holdfast" / "install.json").read_bytes()
    assert "7 hooks are registered already" in install(app)
    assert (tree(app / ".opencode"), (app / ".holdfast" / "install.json").read_bytes()) == before
    assert f"opencode: {FILE}: deleted, for it was made by us" in uninstall(app)
    assert os.listdir(app) == [".holdfast"]
    assert not (app / ".holdfast" / "install.json").exists()
    assert "nothing is registered" in uninstall(app)


@pytest.mark.parametrize("mine", [".opencode/opencode.json", ".opencode/plugins/mine.js", ".opencode/plugins"])
@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_what_others_put_beside_it_stays(app, mine, first):
    def put():
        path = app / mine
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine") if path.suffix else path.mkdir(exist_ok=True)

    if first == "theirs":
        put()
    install(app)
    if first == "ours":
        put()
    install(app)
    uninstall(app)
    assert not (app / FILE).exists()
    if mine.endswith("plugins"):
        assert (app / mine).exists() == (first == "theirs")
    else:
        assert (app / mine).read_text() == "mine"


def test_a_file_of_that_name_that_is_not_ours_is_refused_before_anything_is_written_and_never_deleted(app):
    (app / FILE).parent.mkdir(parents=True)
    (app / FILE).write_text("export const Mine = async () => ({})\n")
    before = tree(app)
    with pytest.raises(ValidationFailed, match=r"holdfast\.js was not written by holdfast"):
        install(app, "claude", "opencode")
    assert tree(app) == before
    assert "nothing is registered" in uninstall(app)
    assert tree(app) == before


@pytest.mark.parametrize("lost", [True, False], ids=["record lost", "record kept"])
def test_one_that_another_release_wrote_or_somebody_changed_is_replaced_and_taken_away(app, lost):
    install(app)
    written = (app / FILE).read_bytes()
    (app / FILE).write_bytes(written + b"// changed\n")
    if lost:
        (app / ".holdfast" / "install.json").unlink()
    install(app)
    assert (app / FILE).read_bytes() == written
    (app / FILE).write_bytes(written + b"// changed\n")
    if lost:
        (app / ".holdfast" / "install.json").unlink()
    uninstall(app)
    assert not (app / FILE).exists()
    assert (app / ".opencode").exists() == lost, "nobody knows any more whose the folders were"


def test_an_environment_elsewhere_takes_the_place_of_the_old(app, monkeypatch):
    install(app)
    other = environment.Runtime(sys.executable, str(ROOT / "tests" / ".." / "hooks"), str(ROOT / "manifests"))
    monkeypatch.setattr(environment, "running", lambda **_: other)
    install(app)
    assert paths_in(app / FILE)[1] == other.hooks
    uninstall(app)
    assert not (app / ".opencode").exists()


def test_the_users_scope_is_the_folder_that_opencode_reads(app, home, tmp_path, monkeypatch):
    install(app, scope="user")
    assert (home / ".config" / "opencode" / "plugins" / "holdfast.js").exists()
    assert os.listdir(app) == [".holdfast"]
    uninstall(app, scope="user")
    assert not (home / ".config" / "opencode").exists()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    install(app, scope="user")
    assert (tmp_path / "config" / "opencode" / "plugins" / "holdfast.js").exists()
    monkeypatch.delenv("XDG_CONFIG_HOME")
    uninstall(app, scope="user")
    assert not (tmp_path / "config").exists()


def test_a_dry_run_shows_it_and_writes_nothing(app):
    assert f"+++ {app}/{FILE}" in install(app, dry_run=True)
    assert os.listdir(app) == []
    install(app)
    before = tree(app)
    assert f"opencode: {FILE}: nothing to change" in install(app, dry_run=True)
    assert f"--- {app}/{FILE}\n+++ /dev/null" in uninstall(app, dry_run=True)
    assert tree(app) == before


@pytest.mark.parametrize("odd", ['it\'s "x"', "a\\b ${HOOKS} `c`", "漢 é 😀"])
def test_any_path_can_stand_in_it(tmp_path, odd):
    runtime = environment.Runtime(str(tmp_path / odd / "python"), str(tmp_path / odd), str(ROOT / "manifests"))
    path = tmp_path / "holdfast.mjs"
    path.write_bytes(registration.script(OPENCODE, runtime))
    assert paths_in(path) == [runtime.python, runtime.hooks]
    if shutil.which("node"):
        subprocess.run(["node", "--check", str(path)], check=True)


def test_a_path_that_is_no_text_and_a_manifest_that_is_gone_are_refused(tmp_path):
    with pytest.raises(ValidationFailed, match="no UTF-8"):
        registration.script(OPENCODE, environment.Runtime("/x\udcff/python", "/x", str(ROOT / "manifests")))
    with pytest.raises(HoldfastError, match="install holdfast again"):
        registration.script(OPENCODE, environment.Runtime("/x/python", "/x", str(tmp_path)))
