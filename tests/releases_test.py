"""Another release is installed where hooks run: each event that they are given is kept, whatever is replaced meanwhile."""

import contextlib
import errno
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import holdfast
from firing import PLUGIN, ROOT, edit_call, host_env, make_project, state_of
from holdfast import bytecode, start
from holdfast.doctor import health
from holdfast.errors import DiskFull, HoldfastError, PermissionDenied
from holdfast.install import bootstrap, environment, releases
from installing import install_py

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="hooks run from copies there")
LIBRARIES = [
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "annotated_types",
    "typing_inspection",
    "yaml",
    "filelock",
]
SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def command(prefix):
    """What is registered for a finished tool call."""
    words = [prefix / "bin" / "python", "-I", "-S", prefix / "hooks" / "post_tool_use.py", "--host", "claude"]
    return f"{shlex.join(map(str, words))} 2>/dev/null || exit 0"


def fire(prefix, project):
    """Give the registered command an event of its own."""
    given = json.dumps(edit_call("claude", project, "src/a.py")).encode()
    subprocess.run(["sh", "-c", command(prefix)], input=given, env=host_env("claude", project), cwd=project, check=True)


def counted(project):
    return state_of(project)["stats"]["tool_calls"]


@contextlib.contextmanager
def storm(prefix, project, writers=2):
    """Events all the time, while the block runs; each must be counted in the end. Yields what tells how many."""
    ended, fired = threading.Event(), []

    def shoot():
        while not ended.is_set():
            fire(prefix, project)
            fired.append(1)

    threads = [threading.Thread(target=shoot) for _ in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield fired
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert counted(project) == len(fired)


def another(folder, version, **more):
    """Hooks and package of that version, which also differ in `more`: {module: source}; the two folders."""
    ignored = shutil.ignore_patterns("__pycache__", "cli", "doctor")
    shutil.copytree(PLUGIN / "holdfast", folder / "holdfast", ignore=ignored)
    shutil.copytree(ROOT / "hooks", folder / "hooks", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "holdfast" / "__init__.py"
    path.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', path.read_text()))
    for name, source in more.items():
        (folder / "holdfast" / name.replace("__", "/")).with_suffix(".py").write_text(source)
    return str(folder / "hooks"), str(folder / "holdfast")


@pytest.fixture
def prefix(tmp_path):
    """A prefix that has an interpreter and nothing else."""
    folder = tmp_path / "it's hooks, é"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    return folder


def give_libraries(prefix, without=""):
    """Let the interpreter of a prefix find what cold paths need, but one."""
    (prefix / SITE).mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text(f"home = {os.path.dirname(bootstrap._interpreter())}\n")
    (prefix / "bin" / "python").unlink()
    (prefix / "bin" / "python").symlink_to(bootstrap._interpreter())
    for name in LIBRARIES:
        found = importlib.util.find_spec(name)
        if found and name != without:
            where = Path(found.origin).parent if found.submodule_search_locations else Path(found.origin)
            (prefix / SITE / where.name).symlink_to(where)


def put(prefix, folders, **more):
    releases.put_live(str(prefix), *folders, **more)
    return releases.live(str(prefix))


def names(prefix):
    return set(os.listdir(prefix / "releases")) - {"lock"}


def link_into_the_package(prefix, package):
    """What releases before this one made: links into what pip fills."""
    for name in ("hooks", "plugin", "current"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(prefix / name)
    shutil.rmtree(prefix / "releases", ignore_errors=True)
    (prefix / "hooks").symlink_to(os.path.relpath(package / "bundle" / "hooks", prefix))
    (prefix / "plugin").symlink_to(os.path.relpath(package.parent, prefix))


# -- a real installation


@pytest.fixture
def copied(installed, tmp_path):
    """A copy of the real environment, with a checkout of the next version beside it."""
    base, _ = installed
    shutil.copytree(base / "checkout", tmp_path / "checkout")
    shutil.copytree(base / "pre fix", tmp_path / "pre fix", symlinks=True)
    shutil.copytree(base / "home", tmp_path / "home")
    prefix = tmp_path / "pre fix"
    known = environment.marker(str(prefix))
    environment.mark(str(prefix), environment.MARKER, {**known, "prefix": str(prefix)})
    path = tmp_path / "checkout" / "plugin" / "holdfast" / "__init__.py"
    path.write_text(re.sub(r'__version__ = ".*"', '__version__ = "77.0"', path.read_text()))
    make_project(tmp_path / "app")
    return tmp_path


def test_no_event_is_lost_while_pip_replaces_the_package_that_hooks_were_linked_into(copied):
    prefix = copied / "pre fix"
    link_into_the_package(prefix, prefix / SITE / "holdfast")
    with storm(prefix, copied / "app") as fired:
        done = install_py(copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(fired) > 20
    assert releases.live(str(prefix)).startswith("77.0-")
    before = counted(copied / "app")
    shutil.rmtree(prefix / SITE / "holdfast")  # as pip does, and nothing of the hooks is there any more
    fire(prefix, copied / "app")
    assert counted(copied / "app") == before + 1


def test_hooks_run_while_the_environment_is_made_anew_for_another_interpreter(copied, monkeypatch):
    prefix = copied / "pre fix"
    put(prefix, (str(ROOT / "hooks"), str(PLUGIN / "holdfast")))
    known = environment.marker(str(prefix))
    environment.mark(str(prefix), environment.MARKER, {**known, "python": "3.1"})
    steps = []
    step, delete = bootstrap._step, environment._delete

    def watched(words, log, doing, *more):
        steps.append(doing)
        if "-m venv" not in " ".join(words):
            raise HoldfastError("no network")
        step(words, log, doing, *more)

    monkeypatch.setattr(bootstrap, "_step", watched)
    with storm(prefix, copied / "app", writers=1) as fired:

        def deleted(path):
            fire(prefix, copied / "app")
            fired.append(path)
            delete(path)

        monkeypatch.setattr(environment, "_delete", deleted)
        with pytest.raises(HoldfastError, match="no network"):
            bootstrap._make(str(prefix), str(copied / "checkout"))
    assert steps == ["making the environment", "putting pip into the environment"]
    assert os.readlink(prefix / "bin" / "python") == bootstrap._interpreter()
    assert not (prefix / SITE / "holdfast").exists()
    fire(prefix, copied / "app")


# -- releases


def test_no_event_is_lost_while_releases_are_switched(prefix, tmp_path, project):
    versions = [another(tmp_path / name, name) for name in ("1.0", "2.0")]
    put(prefix, versions[0])
    with storm(prefix, project) as fired:
        for turn in range(1, 8):
            put(prefix, versions[turn % 2])
    assert fired


def test_a_hook_that_is_running_goes_on_with_the_modules_of_its_own_release(prefix, tmp_path, project):
    give_libraries(prefix)
    put(prefix, another(tmp_path / "1", "1.0"))
    two = another(tmp_path / "2", "2.0", workflow__compiler="raise RuntimeError", state__spool="raise RuntimeError")
    (project / ".holdfast" / "index.json").unlink()  # it compiles the workflow, by modules that it has not loaded yet
    given = json.dumps(edit_call("claude", project, "src/a.py", "x" * 300_000)).encode()
    words = ["sh", "-c", command(prefix)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=host_env("claude", project), cwd=project) as hook:
        hook.stdin.write(given[:250_000])
        hook.stdin.flush()  # more than a pipe holds, so it is reading by now
        put(prefix, two)
        hook.communicate(given[250_000:])
    assert (project / ".holdfast" / "index.json").exists()
    assert not list((project / ".holdfast").glob("spool/*"))
    assert counted(project) == 1


def test_the_hooks_of_a_release_start_from_its_file_of_bytecode(prefix, tmp_path, project):
    name = put(prefix, another(tmp_path / "1", holdfast.__version__))  # as the project's index is
    folder = str(prefix / "releases" / name / "plugin" / "holdfast")
    assert bytecode._made_from(start.file_name(folder)) == (os.stat(folder).st_mtime_ns, folder, start.interpreter())
    fire(prefix, project)  # makes the state, which is cold
    words = [sys.executable, "-I", "-S", "-v", str(prefix / "hooks" / "post_tool_use.py"), "--host", "claude"]
    given = json.dumps(edit_call("claude", project, "src/a.py")).encode()
    done = subprocess.run(words, input=given, env=host_env("claude", project), capture_output=True, check=True)
    told = [line for line in done.stderr.decode().splitlines() if "holdfast" in line]
    assert any("import 'holdfast.state" in line for line in told), "it did run"
    assert not [line for line in told if "code object from" in line or "matches" in line]


def test_what_is_live_is_not_touched_and_needs_no_writing(prefix, tmp_path, monkeypatch):
    folders = another(tmp_path / "1", "1.0")
    name = put(prefix, folders)
    before = {path: path.lstat().st_mtime_ns for path in prefix.rglob("*")}

    def refuse(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    for call in ("mkdir", "symlink", "replace", "rename", "unlink"):
        monkeypatch.setattr(os, call, refuse)
    assert put(prefix, folders) == name
    monkeypatch.undo()
    assert {path: path.lstat().st_mtime_ns for path in prefix.rglob("*")} == before


def test_the_release_before_stays_and_older_ones_go(prefix, tmp_path):
    one, two, three = (another(tmp_path / str(number), f"{number}.0") for number in (1, 2, 3))
    first, second = put(prefix, one), put(prefix, two)
    assert names(prefix) == {first, second}
    assert put(prefix, one) == first, "a downgrade"
    assert names(prefix) == {first, second}
    third = put(prefix, three)
    assert names(prefix) == {first, third}
    assert os.readlink(prefix / "current") == f"releases/{third}"


def test_a_folder_or_a_file_that_stands_in_the_way_goes(prefix, tmp_path, project):
    one, two = (another(tmp_path / str(number), f"{number}.0") for number in (1, 2))
    first = put(prefix, one)
    (prefix / "current.tmp" / "deep").mkdir(parents=True)
    (prefix / "releases" / "stray").touch()
    second = put(prefix, two)
    assert names(prefix) == {first, second}
    assert not (prefix / "current.tmp").exists()
    fire(prefix, project)
    assert counted(project) == 1


@pytest.mark.parametrize("damage", ["holdfast/hook.py", "holdfast/state/recovery.py", "../hooks/turn_end.py"])
def test_a_release_that_was_damaged_is_replaced_by_the_next_installation(prefix, tmp_path, project, damage):
    folders = another(tmp_path / "1", "1.0")
    first = put(prefix, folders)
    (prefix / "plugin" / damage).resolve().unlink()
    second = put(prefix, folders)
    assert second != first and names(prefix) == {first, second}
    assert put(prefix, folders) == second
    fire(prefix, project)
    assert counted(project) == 1


def test_an_environment_that_was_moved_gets_hooks_that_find_their_modules_there(prefix, tmp_path, project):
    folders = another(tmp_path / "1", "1.0")
    put(prefix, folders)
    moved = prefix.rename(tmp_path / "moved")
    put(moved, folders)
    fire(moved, project)
    assert counted(project) == 1


@pytest.mark.parametrize("number", [0, 1, 40])
def test_a_disk_that_is_full_in_the_middle_leaves_what_was_live(prefix, tmp_path, project, monkeypatch, number):
    one, two = another(tmp_path / "1", "1.0"), another(tmp_path / "2", "2.0")
    first = put(prefix, one)
    copy, calls = releases._copy, []

    def full(source, target):
        calls.append(source)
        if len(calls) > number:
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(releases, "_copy", full)
    with pytest.raises(DiskFull, match="cannot make a release of the hooks"):
        put(prefix, two)
    assert releases.live(str(prefix)) == first and names(prefix) == {first}
    fire(prefix, project)
    assert counted(project) == 1


def test_a_package_that_pip_replaces_meanwhile_is_not_put_live(prefix, tmp_path, monkeypatch):
    folders = another(tmp_path / "1", "1.0")
    copy = releases._copy

    def replaced(source, target):
        Path(source).write_text("# of another release\n")
        copy(source, target)

    monkeypatch.setattr(releases, "_copy", replaced)
    with pytest.raises(HoldfastError, match="was changed while it was copied"):
        put(prefix, folders)
    assert releases.live(str(prefix)) == "" and names(prefix) == set()


def test_two_installations_at_once_leave_one_whole_release_live(prefix, tmp_path, project):
    folders = [another(tmp_path / str(number), f"{number}.0") for number in (1, 2)]
    code = "import sys; from holdfast.install import releases; releases.put_live(*sys.argv[1:])"
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PLUGIN)!r}); {code}", str(prefix)]
    at_work = [subprocess.Popen([*words, *folders[turn % 2]]) for turn in range(4)]
    assert [process.wait() for process in at_work] == [0] * 4
    assert releases.live(str(prefix)).split("-")[0] in ("1.0", "2.0")
    assert not [name for name in names(prefix) if name.endswith(".tmp")]
    fire(prefix, project)
    assert counted(project) == 1


@pytest.fixture
def site(prefix, tmp_path, monkeypatch):
    """A package that pip brought into the prefix, whose `holdfast` runs; its folder."""
    hooks, package = another(tmp_path / "site", "1.0")
    (Path(package) / "bundle").mkdir()
    os.rename(hooks, Path(package) / "bundle" / "hooks")
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(environment.holdfast, "__file__", str(Path(package) / "__init__.py"))
    environment.mark(str(prefix), environment.MARKER, {"complete": True})
    return Path(package)


def test_a_package_that_is_gone_or_has_a_folder_that_cannot_be_read_is_not_put_live(prefix, tmp_path, monkeypatch):
    hooks, package = another(tmp_path / "1", "1.0")
    with pytest.raises(HoldfastError):
        put(prefix, (hooks, f"{package}-gone"))
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("state"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everywhere
    with pytest.raises(PermissionDenied):
        put(prefix, (hooks, package))
    assert releases.live(str(prefix)) == ""


def test_links_into_a_package_are_moved_over_with_all_that_is_in_it(prefix, site, project):
    link_into_the_package(prefix, site)
    releases.keep(str(prefix))
    shutil.rmtree(site)
    assert releases.live(str(prefix)).startswith("1.0-")
    fire(prefix, project)
    assert counted(project) == 1


def test_while_pip_is_at_work_the_release_that_is_live_stays(prefix, site):
    environment.running()
    first = releases.live(str(prefix))
    (site / "hook.py").unlink()
    environment.mark(str(prefix), environment.MARKER, {"complete": False})
    assert environment.running().hooks == str(prefix / "hooks")
    assert releases.live(str(prefix)) == first and names(prefix) == {first}


def test_the_doctor_says_when_an_upgrade_stopped_before_its_hooks_were_live(prefix, site, project):
    def said():
        return [found.remedy for found in health.findings(str(project / ".holdfast")) if found.check == "environment"]

    environment.running()
    assert said() == []
    (site / "hook.py").write_text("# of the next release\n")
    assert said() == ["run install.py again"]
    environment.running()
    assert said() == []
    (prefix / "plugin" / "holdfast" / "start.py").unlink()
    assert said() == ["run install.py again"]


def test_what_is_left_out_of_a_release_is_nothing_that_hooks_import():
    wanted = re.compile(rf"holdfast(?:\.| import .*\b)({'|'.join(releases.LEFT_OUT)})\b")
    inside = [path for path in (PLUGIN / "holdfast").rglob("*.py") if not set(path.parts) & set(releases.LEFT_OUT)]
    found = {path.name for path in inside for line in path.read_text().splitlines() if wanted.search(line)}
    assert found <= {"__main__.py", "bootstrap.py"}, "the command, and install.py"


# -- the libraries while pip replaces them


@pytest.mark.parametrize("library", ["pydantic", "yaml", "filelock"])
@pytest.mark.parametrize("left", [None, "raise AttributeError('half')", "from . import gone", "x = ("])
def test_an_event_is_kept_while_a_library_is_replaced(prefix, tmp_path, project, library, left):
    give_libraries(prefix, library)
    if left:
        (prefix / SITE / library).mkdir()
        (prefix / SITE / library / "__init__.py").write_text(left)
    put(prefix, another(tmp_path / "1", "1.0"))
    flow = project / ".holdfast" / "workflow.yaml"
    flow.write_text(flow.read_text() + "# changed\n")
    fire(prefix, project)
    assert counted(project) == 1
    assert not state_of(project)["degraded_mode"]["enabled"]
