"""What an import costs, over the bare interpreter: why the hooks' path imports what it does, and no more.

python -m bench.import_cost [--runs 15] [--json FILE]
"""

import argparse
import os
import sys

from bench.timing import about, pairs, save, seconds

MODULES = (
    "_json, _signal, fcntl",
    "os",
    "re",
    "json",
    "typing",
    "dataclasses",
    "pathlib",
    "argparse",
    "tempfile",
    "logging",
    "filelock",
    "tenacity",
    "yaml",
    "pydantic",
)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    asked = parser.parse_args()
    found = {**about(), "cases": {}}
    path = os.pathsep.join(sys.path)
    env = {"PATH": os.environ["PATH"]}
    bare = f"import sys; sys.path += {path.split(os.pathsep)!r}"
    for name in MODULES:
        figures = pairs(
            lambda: seconds([sys.executable, "-I", "-S", "-c", bare], b"", env),
            lambda name=name: seconds([sys.executable, "-I", "-S", "-c", f"{bare}; import {name}"], b"", env),
            asked.runs,
        )
        found["cases"][name] = figures
        print(f"  {name:24} +{figures['hook_ms'] - figures['floor_ms']:5.1f} ms   {figures['ratio']:.2f} x")
    save(asked.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
