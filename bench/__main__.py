"""Compares two runs of a bench: `python -m bench compare OLD NEW`, both written by `--json`."""

import json
import sys

SLOWER = 1.05  # from here on a row is marked


def flat(found: "dict[str, object]", above: str = "") -> "dict[str, float]":
    """{path: figure} for each ratio in a file."""
    rows: dict[str, float] = {}
    for name, value in found.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            rows |= flat(value, f"{path} / ")
        elif isinstance(value, float) and not name.endswith("_ms"):
            rows[path] = value
    return rows


def main(words: "list[str]") -> int:
    """Print old, new and their quotient; 1 if a figure got worse by more than 5 %."""
    if len(words) != 3 or words[0] != "compare":
        print(__doc__, file=sys.stderr)
        return 64
    old, new = (flat(json.load(open(path, encoding="utf-8"))) for path in words[1:])  # noqa: SIM115
    worse = 0
    for name in old.keys() & new.keys():
        quotient = new[name] / old[name]
        if "throughput" in name:
            quotient = 1 / quotient
        worse += quotient > SLOWER
        print(f"  {name:52} {old[name]:.2f} -> {new[name]:.2f}{'   slower' if quotient > SLOWER else ''}")
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
