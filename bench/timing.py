"""Runs whole processes and times them: in pairs, so that a machine whose speed drifts does not favour either."""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from typing import Any

FLOOR = [sys.executable, "-I", "-S", "-c", "pass"]
# A process counts its parent's memory at the time it was started as its own peak: this parent has the least.
PEAK = """
import posix, sys
quiet = (posix.POSIX_SPAWN_OPEN, 1, "/dev/null", posix.O_WRONLY, 0)
pid = posix.posix_spawn(sys.argv[1], sys.argv[1:], posix.environ, file_actions=[quiet])
print(posix.wait4(pid, 0)[2].ru_maxrss)
"""
WARM = 3  # pairs that are not counted: they warm the file cache


def line(hooks: str, entry: str, host: str = "claude") -> str:
    """The shell line that is registered for an entrypoint in the folder `hooks`."""
    hook = os.path.join(hooks, f"{entry}.py")
    return f"{shlex.quote(sys.executable)} -I -S {shlex.quote(hook)} --host {host} 2>/dev/null || exit 0"


def environment(project: str) -> "dict[str, str]":
    """What a host hands its hooks, as far as it matters."""
    return {"PATH": os.environ["PATH"], "HOME": project, "CLAUDE_PROJECT_DIR": project, "GEMINI_PROJECT_DIR": project}


def seconds(words: "list[str]", data: bytes, env: "dict[str, str]") -> float:
    """How long a process takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(words, input=data, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def pairs(first: Any, second: Any, runs: int) -> "dict[str, float]":
    """Median milliseconds of two timed actions, done in turn, and the median of the pairs' ratios."""
    found = [(first(), second()) for _ in range(runs + WARM)][WARM:]
    return {
        "floor_ms": statistics.median(a for a, _ in found) * 1000,
        "hook_ms": statistics.median(b for _, b in found) * 1000,
        "ratio": statistics.median(b / a for a, b in found),
    }


def peak(words: "list[str]", data: bytes, env: "dict[str, str]") -> int:
    """The most memory that a process or one of its children has at a time, in KB (macOS: bytes)."""
    run = subprocess.run([*FLOOR[:-1], PEAK, *words], input=data, env=env, stdout=subprocess.PIPE, check=True)
    return int(run.stdout)


def about() -> "dict[str, str]":
    """The machine and the interpreter that figures were measured on."""
    return {"machine": f"{platform.platform()}, {os.cpu_count()} cores", "python": platform.python_version()}


def save(path: "str | None", found: "dict[str, Any]") -> None:
    """Write figures to a file, where one is asked for."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
