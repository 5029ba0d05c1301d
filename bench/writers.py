"""How long an update takes where many programs update at the same time, through the Python API.

    python -m bench.writers [--writers 16] [--updates 25] [--runs 3] [--place DIR] [--json FILE]

Each program has made an update before the clock runs, as one that lives for long has, and then updates without a pause,
over 100 tasks. When all ask at once, the last must wait for as many updates as there are programs: that is the floor,
from the median of a program alone in the same run. The figures to quote are the 99th percentile and its ratio to the
floor, of the best run: what else the machine does makes others worse, and none better.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from bench import world
from bench.timing import about, save
from holdfast import Project
from holdfast.state.metrics import percentile

TASKS = 100
WRITER = """
import json, sys, time
from holdfast import Project
project, me, count = Project.find(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def change(state):
    state["tasks"][f"t{(me * count + turn) % 100}"]["title"] += "."
    state["stats"]["prompts"] += 1
def timed():
    began = time.perf_counter()
    project.update(change)
    return time.perf_counter() - began
turn = 0
timed()
print("ready", flush=True)
sys.stdin.readline()
took = []
for turn in range(count):
    took.append(timed())
print(json.dumps(took), flush=True)
sys.stdin.readline()
"""


def seed(place: str) -> str:
    """Make a project with as many tasks as a state holds; its path."""
    path = world.build(place, 10, 0)

    def change(state: "dict[str, Any]") -> None:
        for number in range(TASKS):
            entry = {"title": f"Task number {number}", "status": "pending", "source": "user", "updated_at": 1.0}
            state["tasks"][f"t{number}"] = entry

    Project.find(path).update(change)
    return path


def measure(place: str, writers: int, updates: int) -> "dict[str, float]":
    """Let the programs update; milliseconds, and what is there at the end.

    Raises:
        ValueError: an update was lost.
    """
    project = seed(place)
    floor = writers * statistics.median(updating(project, 1, updates))
    took = updating(project, writers, updates)
    counted = Project.find(project).read()["stats"]["prompts"]
    if counted != (writers + 1) * (updates + 1):
        raise ValueError(f"{counted} of {(writers + 1) * (updates + 1)} updates are there")
    found = {f"p{percent}_ms": percentile(took, percent) for percent in (50, 95, 99)}
    return {**found, "floor_ms": floor, "ratio": found["p99_ms"] / floor}


def updating(project: str, writers: int, updates: int) -> "list[float]":
    """Let as many programs update at the same time; the milliseconds that each update took."""
    env = {**os.environ, "PYTHONPATH": os.path.join(world.CHECKOUT, "plugin")}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, project, str(number), str(updates)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    tell(running, "")
    answers = tell(running, "go\n")
    for process in running:  # all at the end: nobody's farewell takes the processor from those who still update
        process.communicate()
    return [seconds * 1000 for answer in answers for seconds in json.loads(answer)]


def tell(running: "list[subprocess.Popen[str]]", message: str) -> "list[str]":
    """Send all programs a message; the line that each says then."""
    for process in running:
        if process.stdin:
            process.stdin.write(message)
            process.stdin.flush()
    return [process.stdout.readline() if process.stdout else "" for process in running]


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--updates", type=int, default=25)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--place", help="a folder on the file system that is to be measured")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    asked = parser.parse_args()
    print(f"{asked.writers} programs, {asked.updates} updates each, {TASKS} tasks; all updates are there")
    runs = []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory(dir=asked.place) as place:
            runs.append(measure(place, asked.writers, asked.updates))
        shown = ", ".join(f"{name.removesuffix('_ms')} {value:.1f}" for name, value in runs[-1].items())
        print(f"  milliseconds: {shown}")
    best = min(runs, key=lambda run: run["p99_ms"])
    save(asked.json, {**about(), "cases": {"an update through the API, p99": best}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
