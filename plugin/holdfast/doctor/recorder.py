"""Stands between a host and one hook of a copied registration, and notes what went in and what came out.

    python -I -S recorder.py FOLDER SHELL [OPTION…] COMMAND

runs the command as the host does, `SHELL OPTION… COMMAND`, with the host's own stdin, and passes on stdout, stderr and
the exit code. A file `<time in ns>-<pid>.json` in FOLDER then says
{"command", "began", "ended" (Unix times), "ms", "code", "payload", "stdout", "stderr"}; while the hook runs, and where
the host killed it, only the first two and the payload. Texts are cut; only the standard library is imported.
"""

import json
import os
import subprocess
import sys
import time

LIMIT = 1 << 20  # characters of stdout and stderr that are noted


def main(folder: str, words: "list[str]") -> int:
    """Run the hook; its exit code."""
    given = sys.stdin.buffer.read()
    path = os.path.join(folder, f"{time.time_ns()}-{os.getpid()}.json")
    noted = {"command": words[-1], "began": time.time(), "payload": given.decode("utf-8", "replace")}
    note(path, noted)
    start = time.perf_counter()
    done = subprocess.run(words, input=given, capture_output=True, check=False)  # noqa: S603  what was registered
    taken = (time.perf_counter() - start) * 1000
    said = {name: getattr(done, name).decode("utf-8", "replace")[:LIMIT] for name in ("stdout", "stderr")}
    note(path, {**noted, "ended": time.time(), "ms": round(taken, 1), "code": done.returncode, **said})
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def note(path: str, noted: "dict[str, object]") -> None:
    """Write a note whole or not at all."""
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        json.dump(noted, file)
    os.replace(f"{path}.tmp", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
