"""`python -m fuzz [TARGET…] [--seconds N]`: N seconds in all, shared by the targets, one process at a time.

Guided by coverage where `atheris` is installed (`pip install atheris`), else by chance. What breaks a promise is written
to the folder of the finds, once for each place in the code, with the traceback beside it; `--run FILE` tries one again.
Exit code 1 if there was any.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / part) for part in ("plugin", "tests")]

FOREIGN = ("HOLDFAST", "CLAUDE", "GEMINI", "CODEX", "XDG_")
SLACK = 60  # seconds that a target may take longer than it was given before it counts as hanging


def main() -> int:
    """Give each target its share of the time."""
    options = argparse.ArgumentParser("python -m fuzz", description=__doc__)
    options.add_argument("targets", nargs="*", metavar="TARGET")
    options.add_argument("--seconds", type=float, default=60, help="for all targets together (60)")
    options.add_argument("--inputs", type=int, default=0, help="so many for each target, the same each time, instead")
    options.add_argument("--finds", default="fuzz-finds", help="where finds are kept, and what to go on from")
    options.add_argument("--list", action="store_true", help="name the targets")
    options.add_argument("--run", metavar="FILE", help="feed one file to the one TARGET")
    options.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    finds = os.path.abspath(given.finds)
    if given.alone and not given.run:  # it is to see the imports
        from fuzz import hunt

        return hunt.hunt(given.targets[0], given.seconds, given.inputs, finds)
    from fuzz.targets import TARGETS

    if given.alone:
        TARGETS[given.targets[0]]().run(Path(given.run).read_bytes())
        return 0
    if given.run:
        return _child(given.targets[0], given.seconds, "--run", given.run)
    if given.list:
        print("\n".join(f"{name:10} {(target.__doc__ or '').strip()}" for name, target in TARGETS.items()))
        return 0
    chosen = given.targets or list(TARGETS)
    share = given.seconds / len(chosen)
    for name in chosen:
        limits = ("--seconds", str(share), "--inputs", str(given.inputs))
        _child(name, max(share, given.inputs), *limits, "--finds", finds, finds=finds)
    found = sorted(Path(finds).glob("*.txt"))
    for path in found:
        print(f"{path.stem}: {path.read_text(encoding='utf-8').splitlines()[-1][:160]}")
    return bool(found)


def _child(name: str, seconds: float, *words: str, finds: str = "") -> int:
    """A process for a target, with a home of its own; its exit code. What ends it is a find."""
    home = tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    command = [sys.executable, "-m", "fuzz", name, "--alone", *words]
    try:
        environment = {**kept, "HOME": home, "TMPDIR": home}
        code = subprocess.run(command, env=environment, timeout=seconds + SLACK, check=False).returncode
    except subprocess.TimeoutExpired:
        code = 9
    current = os.path.join(home, "current")
    if code and os.path.exists(current):
        os.makedirs(finds, exist_ok=True)
        shutil.copy(current, os.path.join(finds, f"{name}-ended"))
        Path(finds, f"{name}-ended.txt").write_text(f"ended with {code}\n", encoding="utf-8")
    shutil.rmtree(home, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
