"""Times each hook as a host starts it, in pairs with the bare interpreter.

    python -m bench.hooks [--runs 31] [--skills 100] [--json FILE]

Each pair is one run of `python -I -S -c pass` and one of the hook by its shell line, so that a machine whose speed
drifts
does not favour either. The figure to quote is the median ratio.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

from bench import world

CASES = {
    "tool call, durable update": ("tool", "post_tool_use"),
    "prompt, nothing matches": ("prompt", "prompt_activation"),
    "prompt, a pattern fires": ("fires", "prompt_activation"),
    "session resume": ("start", "session_resume"),
    "read that nothing asks for": ("read", "post_tool_use"),
    "project without .holdfast": ("tool", "post_tool_use"),
}


def line(hooks: str, entry: str) -> str:
    """The shell line that is registered for an entrypoint in the folder `hooks`."""
    hook = os.path.join(hooks, f"{entry}.py")
    return f"{shlex.quote(sys.executable)} -I -S {shlex.quote(hook)} --host claude 2>/dev/null || exit 0"


def seconds(words: list[str], data: bytes, env: dict[str, str]) -> float:
    """How long a process takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(words, input=data, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def measure(kind: str, command: str, project: str, runs: int) -> dict[str, float]:
    """Median milliseconds of the floor and of the hook, and the median of the pairs' ratios."""
    env = {"PATH": os.environ["PATH"], "HOME": project, "CLAUDE_PROJECT_DIR": project}
    floor = [sys.executable, "-I", "-S", "-c", "pass"]
    hook = ["sh", "-c", command]
    pairs = []
    for turn in range(runs + 3):
        pair = seconds(floor, b"", env), seconds(hook, world.payload(kind, project), env)
        if turn >= 3:  # the first runs warm the file cache
            pairs.append(pair)
    return {
        "floor_ms": statistics.median(a for a, _ in pairs) * 1000,
        "hook_ms": statistics.median(b for _, b in pairs) * 1000,
        "ratio": statistics.median(b / a for a, b in pairs),
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--skills", type=int, default=100)
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    asked = parser.parse_args()
    found = {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "cases": {},
    }
    with tempfile.TemporaryDirectory() as place:
        hooks = world.install(os.path.join(place, "prefix"))
        project = world.build(place, asked.skills, full=True)
        bare = os.path.join(place, "bare")
        os.mkdir(bare)
        print(f"Python {found['python']}, {asked.skills} skills, a full state, median of {asked.runs} pairs")
        for name, (kind, entry) in CASES.items():
            where = bare if "without" in name else project
            figures = measure(kind, line(hooks, entry), where, asked.runs)
            found["cases"][name] = figures
            both = f"{figures['hook_ms']:.1f} ms over {figures['floor_ms']:.1f} ms"
            print(f"  {name:28} {figures['ratio']:.2f} x   ({both})")
        trail = os.path.join(project, ".holdfast", "audit.jsonl")
        with open(trail, encoding="utf-8") as file:
            decisions = [json.loads(text).get("decision") for text in file]
        if set(decisions) != {"applied"}:
            print(f"not all events were applied: {sorted(set(decisions))}", file=sys.stderr)
            return 1
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
