"""Records anew what a CLI writes to the stdin of our hooks.

    python -m holdfast.doctor.recording HOST FOLDER [PROGRAM]

plays one session of PROGRAM (default: HOST on PATH) against a scripted model and writes each sort of payload to a file
in FOLDER, in the form of `tests/payloads`: the home is `/home/dev` there and the project `/home/dev/shop`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from holdfast.doctor import hosts
from holdfast.doctor.live import play
from holdfast.install import environment, registration, targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.doctor.hosts import Cli
    from holdfast.doctor.live import Played

USAGE = 64
NAMES = {"project": "/home/dev/shop", "home": "/home/dev"}  # a project in the home comes first


def session(cli: Cli, program: str, commands: Mapping[str, str] | None = None) -> Played:
    """Play a session of a CLI in which nothing but our own hooks is registered, and trusted.

    Args:
        cli: which.
        program: its program.
        commands: what stands before our own command, by event.

    Raises:
        HoldfastError: it cannot be run.
    """
    folder = tempfile.mkdtemp(prefix="holdfast-doctor-")
    project = os.path.join(folder, "shop")
    os.mkdir(project)
    try:
        runtime = environment.running(mend=False)
        handlers = registration.handlers(cli.host, runtime)
        for event, before in (commands or {}).items():
            key = hosts.command_key(handlers[event])
            handlers[event][key] = before + handlers[event][key]
        more, env, layers = cli.trusting(project)
        path = targets.settings_file(cli.host, "project", project)
        registered = cli.registering(path, handlers, runtime)
        return play(cli, [registered, *layers], project, program, more=more, env=env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def payloads(played: Played) -> dict[str, dict[str, Any]]:
    """The first payload of each sort: its name in `tests/payloads`, without `.json`, to the payload."""
    found: dict[str, dict[str, Any]] = {}
    for record in played.records:
        text = json.dumps(record["payload"])
        for name, stands_for in NAMES.items():
            text = text.replace(played.stage[name], stands_for)
            text = text.replace(flat(played.stage[name]), flat(stands_for))
        payload = json.loads(text)
        sort = payload.get("tool_name") or payload.get("source") or payload.get("trigger") or payload.get("reason")
        found.setdefault(".".join(filter(None, [payload.get("hook_event_name"), sort])), payload)
    return found


def differences(recorded: Any, seen: Any, place: str) -> list[str]:
    """What of a recorded payload no longer holds: keys that are gone, values of another type. More keys are no matter.

    Args:
        recorded: the payload, or a part of it.
        seen: what the CLI wrote now.
        place: what the part is called.
    """
    if type(recorded) is not type(seen):
        return [f"{place} was {type(recorded).__name__} and is {type(seen).__name__}"]
    if isinstance(recorded, dict):
        found = []
        for key, value in recorded.items():
            inner = f"{place}.{key}"
            found += differences(value, seen[key], inner) if key in seen else [f"{inner} is gone"]
        return found
    if isinstance(recorded, list) and recorded and seen:
        return differences(recorded[0], seen[0], f"{place}[0]")
    return []


def flat(path: str) -> str:
    """A path as Claude Code names a folder after it."""
    return re.sub(r"[^A-Za-z0-9]", "-", path)


def main(words: Sequence[str]) -> int:
    """Record; the exit code."""
    known = hosts.every()
    if len(words) not in (2, 3) or words[0] not in known:
        sys.stderr.write(f"usage: python -m holdfast.doctor.recording {{{','.join(known)}}} FOLDER [PROGRAM]\n")
        return USAGE
    name, folder = words[:2]
    program = words[2] if words[2:] else shutil.which(name)
    if not program:
        sys.stderr.write(f"{name} is not on PATH: name its program\n")
        return 1
    os.makedirs(folder, exist_ok=True)
    for sort, payload in payloads(session(known[name], program)).items():
        with open(os.path.join(folder, f"{sort}.json"), "w", encoding="utf-8") as file:
            file.write(json.dumps(payload, indent=1, sort_keys=True) + "\n")
        sys.stdout.write(f"{sort}.json\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
