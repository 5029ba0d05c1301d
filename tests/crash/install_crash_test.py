"""A crash while hooks are registered or taken back leaves each settings file as it was or as it shall be.

A second run completes what was begun, and one that takes all back gives the user's bytes back.
"""

import os
import shutil
import stat
import sys
from typing import NamedTuple

import pytest
from disk import Recording, crashes

from firing import PLUGIN, make_project
from holdfast import bytecode, start
from holdfast.install import files, installer, record, releases, trial
from holdfast.install import install as register
from holdfast.install import uninstall as take_back
from holdfast.lean import os as lean_os
from install_test import FILES, MINE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="models a POSIX file system")
KEPT = {"install.json", "workflow.yaml", ".gitignore", "index.json", "index.lock", "install.lock", "settings.json"}
CUT = "settings are neither as before nor as after"
LOST = "the user's bytes are not given back"
KEPT |= {os.path.basename(path) for path in FILES.values()}


class Work(NamedTuple):
    """What is recorded: `install` or `uninstall` of these hosts in `folder`; files: {host: (bytes before, after)}."""

    folder: object
    recording: object
    files: dict


def install(folder, hosts, scope="project"):
    register(str(folder), hosts, scope, dry_run=False, echo=lambda _line: None)


def uninstall(folder, scope="project"):
    take_back(str(folder), None, scope, purge=False, dry_run=False, echo=lambda _line: None)


def settings(folder, host):
    return folder / FILES[host]


def content(folder, hosts):
    """{host: the bytes of its settings, or None}."""
    return {host: settings(folder, host).read_bytes() if settings(folder, host).exists() else None for host in hosts}


def recorded(folder, what, hosts, mine, spoil):
    """Record an operation on a project, whose hosts in `mine` have settings of the user's."""
    make_project(folder)
    for host in mine:
        settings(folder, host).parent.mkdir(exist_ok=True)
        settings(folder, host).write_bytes(MINE[host].encode())
    original = content(folder, hosts)
    if what == "uninstall":
        install(folder, hosts)
    before = content(folder, hosts)
    recording = Recording(folder)
    with recording, pytest.MonkeyPatch.context() as patch:
        spoil(patch)
        install(folder, hosts) if what == "install" else uninstall(folder)
        recording.mark("done")
    after = content(folder, hosts)
    return Work(folder, recording, {host: (original[host], before[host], after[host]) for host in hosts})


def torn(work, due):
    """Whether a settings file is neither old nor new, or old though the operation was acknowledged."""
    found = content(work.folder, work.files)
    return any(
        found[host] != after and (due or found[host] != before) for host, (_, before, after) in work.files.items()
    )


def fault(work, due, what):
    """What is wrong with the project as a crash left it, or ""."""
    hosts = list(work.files)
    if torn(work, due):
        return CUT
    again = install if what == "install" else lambda folder, _hosts: uninstall(folder)
    again(work.folder, hosts)
    if (work.folder / ".holdfast" / "install.json.unreadable").exists():
        return "the record cannot be read"
    if content(work.folder, hosts) != {host: after for host, (_original, _before, after) in work.files.items()}:
        return "a second run does not complete it"
    left = [path.name for path in work.folder.rglob("*") if path.is_file() and path.name not in KEPT]
    if left:
        return f"left over: {sorted({name.split('.')[-1] for name in left})}"
    if what == "install":
        uninstall(work.folder)
    if content(work.folder, hosts) != {host: original for host, (original, _before, _after) in work.files.items()}:
        return LOST
    kept = work.folder / ".holdfast" / "install.json"
    return "the record stays" if kept.exists() else ""


def faults(folder, what, hosts, mine, spoil=lambda _patch: None, enough=None):
    """The faults that crashes bring about, and how many states there are; with one fault more would tell no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "run", lambda *_what: [])  # processes, in a project of their own
        work = recorded(folder / "shop", what, hosts, mine, spoil)
        for module in (lean_os, os):
            patch.setattr(module, "fsync", lambda _fd: None)
        found, count = set(), 0
        for left, due in crashes(work.recording):
            count += 1
            shutil.rmtree(work.folder)
            work.folder.mkdir()
            left.materialise(work.folder)
            if enough != CUT or torn(work, due):  # else the rest would take its time for nothing
                found.add(fault(work, due, what))
            if enough in found:
                break
    return found - {""}, count


@pytest.mark.parametrize("what", ["install", "uninstall"])
@pytest.mark.parametrize(
    ("hosts", "mine"), [(["claude"], []), (["claude", "codex"], ["claude", "codex"]), (["gemini", "codex"], ["gemini"])]
)
def test_a_crash_leaves_each_settings_file_old_or_new_and_the_next_run_completes_it(what, hosts, mine, place):
    found, count = faults(place, what, hosts, mine)
    assert not found
    assert count >= 7


def no_fsync_of_files(patch):
    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            real(fd)

    real = os.fsync
    patch.setattr(os, "fsync", fsync)


def replaced_in_place(patch):
    def replace(source, target):
        with open(source, "rb") as file, open(target, "wb") as other:
            other.write(file.read())
            other.flush()
            os.fsync(other.fileno())
        os.unlink(source)

    patch.setattr(os, "replace", replace)


def no_fsync_of_folders(patch):
    patch.setattr(files, "sync_folder", lambda _folder: None)


def recorded_last(patch):
    """The settings are written before it is kept what they were."""
    save = record.save
    later = []
    patch.setattr(record, "save", lambda *what: later.append(what))
    original = installer._register

    def registered(*what):
        original(*what)
        for each in later:
            save(*each)

    patch.setattr(installer, "_register", registered)


@pytest.mark.parametrize(
    ("spoil", "what", "expected"),
    [
        (no_fsync_of_files, "install", CUT),
        (no_fsync_of_files, "uninstall", CUT),
        (replaced_in_place, "install", CUT),
        (no_fsync_of_folders, "install", CUT),  # that was acknowledged
        (no_fsync_of_folders, "uninstall", CUT),
        (no_fsync_of_folders, "install", LOST),
        (recorded_last, "install", LOST),
    ],
)
def test_the_model_finds_what_a_missing_protection_can_lose_of_settings(spoil, what, expected, place):
    assert expected in faults(place, what, ["gemini"], ["gemini"], spoil, expected)[0]


def test_a_crash_leaves_no_file_of_bytecode_that_is_cut(place):
    """It would keep every hook from starting. The model finds it where the file is not synced."""
    package = place / "holdfast"
    shutil.copytree(PLUGIN / "holdfast", package, ignore=shutil.ignore_patterns("__pycache__", "cli", "install"))
    (package / "__pycache__").mkdir()

    def cut(spoil):
        recording = Recording(package / "__pycache__")
        with recording, pytest.MonkeyPatch.context() as patch:
            spoil(patch)
            made = bytecode.bundle(str(package))
        with open(made, "rb") as file:
            good = file.read()
        os.unlink(made)
        name = os.path.basename(made)
        states = [left.contents[left.files[name]] for left, _due in crashes(recording) if name in left.files]
        return [data for data in states if data != good]

    assert start.file_name(str(package)).startswith(str(package))
    assert cut(lambda _patch: None) == []
    assert cut(no_fsync_of_files)


OLD, NEW = "1.0", "2.0"


def version(folder, name):
    """The smallest package with its hooks; the two folders."""
    hook = f'VERSION = "{name}"\nPLUGIN = __file__.rpartition("hooks")[0] + "plugin"\n'
    for path, text in (("hooks/turn_end.py", hook), ("holdfast/__init__.py", f'__version__ = "{name}"\n')):
        (folder / name / path).parent.mkdir(parents=True)
        (folder / name / path).write_text(text)
    return str(folder / name / "hooks"), str(folder / name / "holdfast")


def prefix_of(folder, how, old):
    """A prefix without hooks, with those of a release, or with links into a package."""
    prefix = folder / "prefix"
    prefix.mkdir()
    if how == "release":
        releases.put_live(str(prefix), *old, bundled=False)
    elif how == "links":
        shutil.copytree(old[0], prefix / "lib" / "hooks")
        shutil.copytree(old[1], prefix / "lib" / "holdfast")
        (prefix / "hooks").symlink_to("lib/hooks")
        (prefix / "plugin").symlink_to("lib")
    return prefix


def what_runs(prefix):
    """The versions of the hook and of the module that it finds; None where there is no hook."""
    scope = {"__file__": str(prefix / "hooks" / "turn_end.py")}
    if not os.path.exists(scope["__file__"]):
        return None
    try:
        with open(scope["__file__"]) as file:
            exec(file.read(), scope)
        with open(os.path.join(scope["PLUGIN"], "holdfast", "__init__.py")) as file:
            exec(file.read(), scope)
        return scope["VERSION"], scope["__version__"]
    except (OSError, KeyError, NameError, ValueError, SyntaxError) as error:
        return repr(error)


def switched(folder, how, spoil=lambda _patch: None):
    """What is wrong with the hooks as a crash left them while they were switched, or moved out of a package."""
    old, new = version(folder, OLD), version(folder, NEW)
    prefix = prefix_of(folder, how, old)
    recording = Recording(prefix)
    with recording, pytest.MonkeyPatch.context() as patch:
        spoil(patch)
        if how == "links":
            releases.keep(str(prefix))
        else:
            releases.put_live(str(prefix), *new, bundled=False)
        recording.mark("done")
    before = None if how == "nothing" else (OLD, OLD)
    after = (OLD, OLD) if how == "links" else (NEW, NEW)
    found, count = set(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _fd: None)
        for left, due in crashes(recording):
            count += 1
            shutil.rmtree(prefix)
            prefix.mkdir()
            left.materialise(prefix)
            runs = what_runs(prefix)
            if runs != after and (due or runs != before):
                found.add(CUT)
            releases.put_live(str(prefix), *new, bundled=False)
            names = [path.name for path in prefix.rglob("*.tmp")]
            if what_runs(prefix) != (NEW, NEW) or not releases.live(str(prefix)) or names:
                found.add("a second run does not mend it")
    return found, count


@pytest.mark.parametrize("how", ["release", "links", "nothing"])
def test_a_crash_while_releases_are_switched_leaves_hooks_that_run(how, place):
    found, count = switched(place, how)
    assert not found
    assert count > 20, count


@pytest.mark.parametrize("spoil", [no_fsync_of_files, no_fsync_of_folders])
def test_the_model_finds_what_a_missing_protection_can_lose_of_a_release(spoil, place):
    assert CUT in switched(place, "release", spoil)[0]
