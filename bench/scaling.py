"""How a hook's cost grows: with skills, with the state, with events so far, with hooks at the same time, with files.

    python -m bench.scaling [--runs 15] [--json FILE] [--svg FILE]

Each figure is the median ratio of a hook, started by its shell line, to the bare interpreter in the same run. For hooks
at the same time it is their throughput as a part of that of bare interpreters started by the same shell.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import world
from bench.hooks import measure
from bench.picture import draw
from bench.timing import FLOOR, about, environment, line, save, seconds

SKILLS = (10, 100, 1000, 3000)
STATES = (1, 25, 100, world.FULL)  # events that filled it: 1 to 30 KB
EVENTS = (10, 1_000, 100_000)
PARALLEL = (1, 4, 16, 64)
FILES = (10, 1_000, 10_000)


def with_events(place: str, count: int) -> str:
    """A project in which `count` events were counted: their trail, and a state at its bounds from 400 on."""
    project = world.build(os.path.join(place, f"events-{count}"), 10, min(count, world.FULL))
    row = b'{"time":1700000000.0,"host":"claude","session":"s","moment":"tool_done","decision":"applied","ms":2.5}\n'
    with open(os.path.join(project, ".holdfast", "audit.jsonl"), "wb") as file:
        file.write(row * min(count, 45_000))  # the trail is rotated at 5 MB
    return project


def with_files(place: str, count: int) -> str:
    """A project of `count` files."""
    project = world.build(os.path.join(place, f"files-{count}"), 10, 0)
    for number in range(count):
        folder = os.path.join(project, "src", str(number % 100))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{number}.py"), "wb"):
            pass
    return project


def throughput(hooks: str, project: str, width: int, count: int) -> float:
    """Hooks a second, as a part of bare interpreters a second, `width` at a time."""
    env = environment(project)
    bare = ["sh", "-c", f"{FLOOR[0]} -I -S -c pass 2>/dev/null || exit 0"]
    hook = ["sh", "-c", line(hooks, "post_tool_use")]
    took = []
    for words, data in ((bare, lambda: b""), (hook, lambda: world.payload("tool", project))):
        given = [data() for _ in range(count)]
        began = time.perf_counter()
        with ThreadPoolExecutor(width) as pool:
            list(pool.map(lambda one, words=words: seconds(words, one, env), given))
        took.append(time.perf_counter() - began)
    return took[0] / took[1]


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    parser.add_argument("--svg", metavar="FILE", help="draw them")
    asked = parser.parse_args()
    found: dict[str, Any] = {**about(), "scales": {}}
    with tempfile.TemporaryDirectory() as place:
        hooks = world.install(os.path.join(place, "prefix"))

        def scale(title: str, sizes: "tuple[int, ...]", figure: Any) -> None:
            found["scales"][title] = {str(size): round(figure(size), 3) for size in sizes}
            print(title)
            for size, value in found["scales"][title].items():
                print(f"  {int(size):8,}  {value:.2f}")

        def ratio(entry: str, kind: str, project: str) -> float:
            return measure(["sh", "-c", line(hooks, entry)], kind, project, asked.runs)["ratio"]

        made = {size: world.build(place, size) for size in SKILLS}
        scale("prompt, by skills", SKILLS, lambda size: ratio("prompt_activation", "prompt", made[size]))
        scale("tool call, by skills", SKILLS, lambda size: ratio("post_tool_use", "tool", made[size]))
        states = {size: world.build(os.path.join(place, "state"), 100, size) for size in STATES}
        scale("tool call, by events in the state", STATES, lambda size: ratio("post_tool_use", "tool", states[size]))
        scale("resume, by events in the state", STATES, lambda size: ratio("session_resume", "start", states[size]))
        scale(
            "tool call, by events so far", EVENTS, lambda size: ratio("post_tool_use", "tool", with_events(place, size))
        )
        scale(
            "tool call, by files of the project",
            FILES,
            lambda size: ratio("post_tool_use", "tool", with_files(place, size)),
        )
        count = 16 * asked.runs
        scale("throughput, by hooks at once", PARALLEL, lambda size: throughput(hooks, made[100], size, count))
    save(asked.json, found)
    if asked.svg:
        with open(asked.svg, "w", encoding="utf-8") as file:
            file.write(draw(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
