"""Times each hook of each host as the host starts it, in pairs with the bare interpreter.

    python -m bench.hooks [--runs 31] [--skills 100] [--hosts] [--json FILE]

Each pair is one run of `python -I -S -c pass` and one of the hook by its shell line, with an event that was never seen
before and a durable update. The figure to quote is the median ratio; memory is the same in each run. For comparison:
`node -e 0`, and the same work done the naive way, with pydantic, filelock, tenacity and yaml imported.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile

from bench import world
from bench.timing import FLOOR, about, environment, line, pairs, peak, save, seconds

CASES = {
    "tool call, durable update": ("tool", "post_tool_use"),
    "prompt, nothing matches": ("prompt", "prompt_activation"),
    "prompt, a pattern fires": ("fires", "prompt_activation"),
    "session resume": ("start", "session_resume"),
    "read that nothing asks for": ("read", "post_tool_use"),
    "project without .holdfast": ("tool", "post_tool_use"),
}
NAIVE = """
import json, sys, filelock, pydantic, tenacity, yaml
given = json.load(sys.stdin)
class State(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    revision: int
path = given["cwd"] + "/.holdfast/state.json"
with filelock.FileLock(path + ".naive"):
    workflow = yaml.safe_load(open(given["cwd"] + "/.holdfast/workflow.yaml"))
    state = State(**json.load(open(path)))
    open(path + ".copy", "w").write(state.model_dump_json())
"""


def measure(words: "list[str]", kind: str, project: str, runs: int, host: str = "claude") -> "dict[str, float]":
    """The floor and a hook, in pairs."""
    env = environment(project)
    return pairs(
        lambda: seconds(FLOOR, b"", env), lambda: seconds(words, world.payload(kind, project, host), env), runs
    )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--skills", type=int, default=100)
    parser.add_argument("--hosts", action="store_true", help="the other hosts too, and the comparisons")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    asked = parser.parse_args()
    found = {**about(), "cases": {}}
    with tempfile.TemporaryDirectory() as place:
        hooks = world.install(os.path.join(place, "prefix"))
        project = world.build(place, asked.skills)
        bare = os.path.join(place, "bare")
        os.mkdir(bare)
        print(f"Python {found['python']}, {asked.skills} skills, a full state, median of {asked.runs} pairs")

        def show(name: str, figures: "dict[str, float]") -> None:
            found["cases"][name] = figures
            both = f"{figures['hook_ms']:.1f} ms over {figures['floor_ms']:.1f} ms"
            print(f"  {name:34} {figures['ratio']:.2f} x   ({both})")

        for name, (kind, entry) in CASES.items():
            where = bare if "without" in name else project
            show(name, measure(["sh", "-c", line(hooks, entry)], kind, where, asked.runs))
        tool = ["/bin/sh", "-c", line(hooks, "post_tool_use")]
        env = environment(project)
        most = peak(tool, world.payload("tool", project), env) / peak(["/bin/sh", "-c", shlex.join(FLOOR)], b"", env)
        print(f"  {'peak memory of a tool call':34} {most:.2f} x")
        found["memory"] = most
        if asked.hosts:
            for host in ("gemini", "codex", "opencode", "copilot"):
                for kind, entry in (("tool", "post_tool_use"), ("prompt", "prompt_activation")):
                    words = ["sh" if host == "codex" else "bash", "-c", line(hooks, entry, host)]
                    if host == "opencode":  # its bridge needs no shell
                        words = shlex.split(line(hooks, entry, host).partition(" 2>")[0])
                    show(f"{host}: {kind}", measure(words, kind, project, asked.runs, host))
            show("the naive way", measure([sys.executable, "-c", NAIVE], "tool", project, asked.runs))
            if shutil.which("node"):
                show("node -e 0", measure(["node", "-e", "0"], "tool", project, asked.runs))
        with open(os.path.join(project, ".holdfast", "audit.jsonl"), encoding="utf-8") as file:
            decisions = {json.loads(text).get("decision") for text in file}
        if decisions != {"applied"}:
            print(f"not all events were applied: {sorted(decisions)}", file=sys.stderr)
            return 1
    save(asked.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
