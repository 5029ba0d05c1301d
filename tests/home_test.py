"""No test reaches the home of whoever runs it: what `conftest.py` promises."""

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from conftest import FOREIGN, REAL_HOMES, WATCHED, differences, snapshot
from firing import PLUGIN, host_env


def test_a_test_has_a_home_of_its_own(home):
    assert list(home.iterdir()) == []
    assert str(home) not in REAL_HOMES
    for found in (os.path.expanduser("~"), Path.home(), os.environ["HOME"]):
        assert str(found) == str(home)
    assert home in Path(platformdirs.user_data_dir("holdfast")).parents
    assert host_env("claude", home)["HOME"] == str(home)


@pytest.mark.parametrize("number", [1, 2])
def test_the_home_of_one_test_is_not_that_of_another(home, number):
    assert not (home / "mine").exists()
    (home / "mine").write_text(str(number))


def test_no_variable_tells_of_a_cli_or_of_the_real_home():
    assert [name for name in os.environ if name.startswith(FOREIGN)] == []
    named = {name: value for name, value in os.environ.items() if name.endswith("HOME")}
    assert not REAL_HOMES & set(named.values())


@pytest.mark.parametrize("name", WATCHED)
def test_the_guard_sees_what_appears_changes_and_goes(name, tmp_path):
    path = tmp_path / name
    nothing = snapshot([str(tmp_path)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    made = snapshot([str(tmp_path)])
    os.utime(path, ns=(1, 1))
    changed = snapshot([str(tmp_path)])
    path.unlink()
    gone = snapshot([str(tmp_path)])
    assert (nothing, gone) == ({}, {})
    for before, after in ((nothing, made), (made, changed), (changed, gone)):
        assert differences(before, after) == [str(path)]
        assert differences(after, after) == []


@pytest.mark.parametrize(("touch", "expected"), [("", 0), ("open(TARGET, 'w').close()", 1)])
def test_a_run_that_touches_the_real_home_fails(touch, expected, tmp_path):
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    run.mkdir()
    (run / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (run / "one_test.py").write_text(
        f"TARGET = {str(home / '.holdfast')!r}\n\n\ndef test_one():\n    assert True\n    {touch}\n"
    )
    (run / "pytest.ini").write_text("[pytest]\npython_files = *_test.py\n")
    path = os.pathsep.join([str(Path(__file__).parent), str(PLUGIN)])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(run)]
    done = subprocess.run(
        words,
        cwd=run,
        env={**os.environ, "HOME": str(home), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    assert ("the real home was touched" in done.stdout) == bool(expected)
