"""An installed hook starts from one file of bytecode, and from its modules where that file does not fit."""

import _imp
import io
import marshal
import os
import shutil
import subprocess
import sys

import pytest

import holdfast
from firing import ROOT, fire, host_env, start
from holdfast import bytecode
from holdfast import start as starting


@pytest.fixture
def installed(tmp_path):
    """A copy of hooks and package as an install lays them out, with the file."""
    place = tmp_path / "prefix"
    shutil.copytree(ROOT / "hooks", place / "hooks")
    shutil.copytree(ROOT / "plugin", place / "plugin", ignore=shutil.ignore_patterns("__pycache__"))
    bytecode.bundle(str(place / "plugin" / "holdfast"))
    return place


def run(installed, project, program="session_resume", *more):
    import json

    words = [sys.executable, "-I", "-S", *more, str(installed / "hooks" / f"{program}.py"), "--host", "claude"]
    given = json.dumps(start("claude", project)).encode()
    return subprocess.run(words, input=given, env=host_env("claude", project), capture_output=True, check=True)


def break_modules(installed):
    """Every module raises from now on; in place, so that the folder's mtime stays."""
    for name in bytecode.HOT:
        path = installed / "plugin" / "holdfast" / (name.replace(".", "/") + ".py")
        if path.exists():
            path.write_text("raise RuntimeError\n")


def test_a_hook_runs_from_the_file_alone_and_says_the_same(installed, project):
    expected = fire("claude", start("claude", project), project).stdout
    shutil.rmtree(project / ".holdfast" / "backups")
    (project / ".holdfast" / "state.json").unlink()
    break_modules(installed)
    assert run(installed, project).stdout.decode() == expected != ""


def test_every_module_of_a_hook_is_in_the_file(installed, project):
    run(installed, project)  # compiles the workflow's index, which is cold
    for program in ("session_resume", "prompt_activation", "post_tool_use"):
        told = run(installed, project, program, "-v").stderr.decode()
        assert "import 'holdfast.state" in told, "it did run"
        assert not [line for line in told.splitlines() if "code object from" in line and "holdfast" in line]


def test_the_groups_come_in_the_order_of_their_imports():
    names = [f"holdfast.{name}".rstrip(".") for name in bytecode.HOT]
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'plugin')!r})"]
    for place, name in enumerate(names):
        script = (
            f"{words[2]}; import {', '.join(names[: place + 1])}; print(*[n for n in sys.modules if n in {names!r}])"
        )
        said = subprocess.run([*words[:2], script], capture_output=True, text=True, check=True).stdout.split()
        assert set(said) == set(names[: place + 1]), f"{name} imports what comes after it"


def test_another_release_in_the_same_folder_is_not_mixed_with_the_file(installed, project):
    break_modules(installed)
    (installed / "plugin" / "holdfast" / "new_module.py").touch()
    assert run(installed, project).stdout == b"", "the modules count, and they are broken"


@pytest.mark.parametrize(
    "spoil", [lambda _: b"", lambda data: data[: len(data) // 2], lambda _: b"N", lambda data: b"\xff" + data]
)
def test_a_file_that_is_broken_is_passed_over(installed, project, spoil):
    path = starting.file_name(str(installed / "plugin" / "holdfast"))
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(spoil(data))
    assert b"Write the spec" in run(installed, project).stdout


def test_an_extension_that_has_gone_from_where_the_file_says_is_searched_for(installed, project, monkeypatch):
    folder = str(installed / "plugin" / "holdfast")
    os.unlink(starting.file_name(folder))
    monkeypatch.setattr(bytecode, "_extension", lambda name: (name, False, f"/nowhere/{name}.so", None))
    bytecode.bundle(folder)
    break_modules(installed)
    assert b"Write the spec" in run(installed, project).stdout


@pytest.mark.parametrize("place", [0, 100, 5_000, 20_000, 60_000, 120_000, -20_000, -5_000])
def test_damage_at_any_place_is_seen_and_mended_by_the_next_install(installed, project, place):
    folder = str(installed / "plugin" / "holdfast")
    path = starting.file_name(folder)
    with open(path, "rb") as file:
        whole = bytearray(file.read())
    damaged = whole[:]
    at = place % len(whole)
    damaged[at : at + 512] = bytes(512)
    with open(path, "wb") as file:
        file.write(damaged)
    assert b"Write the spec" in run(installed, project).stdout, "the modules serve"
    bytecode.bundle(folder)
    with open(path, "rb") as file:
        assert file.read() == whole


def test_a_module_that_the_deadline_stopped_half_way_is_loaded_anew():
    source = """
import holdfast
holdfast.tries.append(__name__)
if holdfast.tries == ["holdfast.first", __name__]:
    raise KeyboardInterrupt
"""
    code = compile(source, "x", "exec")
    names = ("holdfast.first", "holdfast.second")
    data = marshal.dumps([(name, False, "x", code) for name in names])
    place = (0, len(data), _imp.source_hash(starting.KEY, data))
    finder = starting.Bytecode(io.BytesIO(data), dict.fromkeys(names, place), native=False)
    try:
        holdfast.tries = []
        with pytest.raises(KeyboardInterrupt):
            finder.load("holdfast.second")
        assert "holdfast.first" in sys.modules and "holdfast.second" not in sys.modules
        finder.load("holdfast.second")
        assert holdfast.tries == ["holdfast.first", "holdfast.second", "holdfast.second"], "each ran once to its end"
    finally:
        for name in names:
            sys.modules.pop(name, None)
            holdfast.__dict__.pop(name.rpartition(".")[2], None)
        del holdfast.tries


@pytest.mark.parametrize("path", [*sorted((ROOT / "hooks").glob("*.py")), ROOT / "plugin" / "hooks" / "run.py"])
def test_an_entrypoint_reads_the_whole_head(path):
    assert f"file.read({starting.HEAD})" in path.read_text()
