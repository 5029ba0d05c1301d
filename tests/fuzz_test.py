"""`python -m fuzz` runs, and finds nothing in the inputs that are the same each time."""

import subprocess
import sys

from commanding import environment
from firing import ROOT


def fuzz(folder, *words):
    command = [sys.executable, "-m", "fuzz", *words, "--finds", str(folder / "finds")]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )


def test_each_target_keeps_its_promises(tmp_path):
    done = fuzz(tmp_path, "--inputs", "40")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "patch: 43 inputs by chance" in done.stdout


def test_a_promise_that_is_broken_is_found_and_kept(tmp_path):
    command = (
        "import fuzz.targets as t; t.OUTCOMES = ('ok',)\nfrom fuzz import hunt; hunt.hunt('payload', 1, 5, 'finds')"
    )
    words = [sys.executable, "-c", command]
    environ = environment()
    environ["PYTHONPATH"] += f":{ROOT}"
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "kind or outcome" in done.stdout
    kept = next((tmp_path / "finds").glob("*.txt"))
    assert b"hook_event_name" in kept.with_suffix("").read_bytes()
