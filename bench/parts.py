"""Where a hook's milliseconds go: a tool call with a durable update, taken apart by leaving parts out.

    python -m bench.parts [--runs 31] [--json FILE] [--svg FILE]

Each figure is the difference of two medians of whole processes, run in turn; writing and syncing is timed by itself.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

from bench import world
from bench.timing import FLOOR, WARM, about, environment, line, save, seconds
from holdfast.start import file_name

LEAVE = "import posix; posix._exit(0)"
LOAD = """
import posix, sys
from marshal import loads
def main():
    import holdfast.hook, holdfast.hosts.claude, holdfast.moments.tracking, holdfast.state.store
    posix._exit(0)
sys.path.insert(0, {plugin!r})
sys.argv.append("--start")  # then this module's main runs instead of the hook's
sys.modules["holdfast.native"] = native = type(sys)("holdfast.native")
native.main = main
file = open({bytecode!r}, "rb", 0)
head = file.read(16384)
exec(loads(head[8:]))
"""
COLOURS = ("#b8c4ce", "#7aa6c2", "#1a7f5a", "#d98c3f", "#9a6fb0")


def durable_write(folder: str, size: int, runs: int) -> float:
    """Median seconds to write, sync, link, replace and sync the folder, as the store does."""
    state, data, took = os.path.join(folder, "probe"), b"x" * size, []
    for _ in range(runs + WARM):
        began = time.perf_counter()
        fd = os.open(f"{state}.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        if os.path.exists(state):
            os.link(state, f"{state}.spare")
            os.replace(f"{state}.spare", f"{state}.previous")
        os.replace(f"{state}.tmp", state)
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        took.append(time.perf_counter() - began)
    return statistics.median(took[WARM:])


def measure(place: str, runs: int) -> "dict[str, float]":
    """{part: milliseconds}; together they are the hook."""
    hooks = world.install(os.path.join(place, "prefix"))
    project = world.build(place, 100)
    env = environment(project)
    plugin = os.path.join(place, "prefix", "plugin")
    load = LOAD.format(plugin=plugin, bytecode=file_name(os.path.join(plugin, "holdfast")))
    programs = {
        "floor": [*FLOOR[:-1], "pass"],
        "leave": [*FLOOR[:-1], LEAVE],
        "load": [*FLOOR[:-1], load],
        "hook": [*FLOOR[:-2], f"{hooks}/post_tool_use.py", "--host", "claude"],
        "line": ["sh", "-c", line(hooks, "post_tool_use")],
    }
    took: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(runs + WARM):
        for name, words in programs.items():
            took[name].append(seconds(words, world.payload("tool", project), env))
    median = {name: statistics.median(values[WARM:]) * 1000 for name, values in took.items()}
    size = os.path.getsize(os.path.join(project, ".holdfast", "state.json"))
    write = durable_write(project, size, runs) * 1000
    return {
        "the interpreter's own start": median["leave"],
        "the hook's modules": median["load"] - median["leave"],
        "event, rules, state": median["hook"] - median["load"] - write,
        "write and sync": write,
        "the shell line": median["line"] - median["hook"],
        "(the bare interpreter, with its farewell)": median["floor"],
    }


def draw(found: "dict[str, dict[str, float]]") -> str:
    """A bar of the hook's parts over one of the bare interpreter."""
    parts = dict(found["parts"])
    floor = parts.pop("(the bare interpreter, with its farewell)")
    scale = 620 / sum(parts.values())
    rows = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 190" font-family="sans-serif" font-size="12">']
    rows.append('<rect width="760" height="190" fill="#fff"/>')
    left = 20.0
    for place, ((name, value), colour) in enumerate(zip(parts.items(), COLOURS, strict=True)):
        width = max(value, 0) * scale
        rows.append(f'<rect x="{left:.1f}" y="20" width="{width:.1f}" height="34" fill="{colour}"/>')
        rows.append(
            f'<rect x="{20 + 250 * (place % 3)}" y="{116 + 24 * (place // 3)}" width="12" height="12" fill="{colour}"/>'
        )
        rows.append(f'<text x="{38 + 250 * (place % 3)}" y="{126 + 24 * (place // 3)}">{name}: {value:.1f} ms</text>')
        left += width
    rows.append(f'<rect x="20" y="62" width="{floor * scale:.1f}" height="22" fill="#ddd"/>')
    rows.append(f'<text x="26" y="77">python -I -S -c pass: {floor:.1f} ms</text>')
    rows.append(
        f'<text x="20" y="178" font-size="10" fill="#666">Python {found["python"]}, {found["machine"]}</text></svg>'
    )
    return "\n".join(rows) + "\n"


def main() -> int:
    """Print the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    parser.add_argument("--svg", metavar="FILE", help="draw them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = {**about(), "parts": measure(place, asked.runs)}
    for name, value in found["parts"].items():
        print(f"  {name:44} {value:5.2f} ms")
    save(asked.json, found)
    if asked.svg:
        with open(asked.svg, "w", encoding="utf-8") as file:
            file.write(draw(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
