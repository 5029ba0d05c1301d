"""get-shit-done-multi's `.planning/`: state, session, configuration and usage, which several CLIs share.

The files are those of its lib-ghcc/ at 31c2f18. StateManager keeps JSON with `_version` in STATE.json, or in STATE.md,
which mostly is the Markdown that agents write: `**Phase:** 5 of 6 (State Management)`. SessionManager's `.session.json`
holds cli, timestamp in milliseconds, currentPhase, currentPlan, context and `_version`.
"""

import os
import re
from typing import Any

from holdfast.errors import ValidationFailed
from holdfast.state.legacy.original import Item, Legacy, Original, count, first, load, moment, parse, refuse

NAME = "gsd-multi"
FOLDER = ".planning"
STATES = ("STATE.json", "STATE.md")
SESSION = ".session.json"
OTHERS = (".meta.json", "config.json", "usage.json")
HOSTS = {"claude-code": "claude", "codex-cli": "codex", "copilot-cli": "copilot", "github-copilot-cli": "copilot"}
STEPS = 500

_PHASE = re.compile(
    r"^[*_\s]*(?:Current )?Phase:?[*_]*:?\s*(\d{1,4})(?:\s*(?:of|/)\s*(\d{1,4}))?(?:\s*\(([^)\n]*)\))?", re.MULTILINE
)
_BOX = re.compile(r"^\s*[-*] \[([ xX])\]\s+(\S.*)$", re.MULTILINE)


def find(root: str) -> str | None:
    """Its state, else its session."""
    return first(os.path.join(root, FOLDER, name) for name in (*STATES, SESSION))


def read(path: str) -> Original:
    """The named file, and what belongs to it in a folder `.planning`.

    Raises:
        ValidationFailed: it is none.
        HoldfastError: a file cannot be read.
    """
    folder, name = os.path.split(os.path.abspath(path))
    content = _content(path)
    if not _ours(content, name):
        raise refuse(path, NAME, "_version, a session's cli and currentPhase, or a line with the phase")
    names = [name]
    if os.path.basename(folder) == FOLDER:
        beside = [other for other in (*STATES, SESSION, *OTHERS) if other != name]
        names += [other for other in beside if os.path.isfile(os.path.join(folder, other))]
    data, files, newest = {}, {}, 0.0
    for other in names:
        place = os.path.join(folder, other)
        files[other], modified = load(place)
        data[other] = _content(place)
        newest = max(newest, modified)
    return Original(path, data, files, newest)


def _content(path: str) -> Any:
    """JSON as what it holds, all else as text."""
    data, _modified = load(path)
    try:
        return parse(data, path)
    except ValidationFailed:
        if path.endswith(".json"):
            raise
        return data.decode("utf-8", "replace")


def _ours(content: Any, name: str) -> bool:
    if isinstance(content, dict):
        return "_version" in content or {"cli", "currentPhase"} <= content.keys()
    return isinstance(content, str) and name.endswith(".md") and bool(_PHASE.search(content))


def convert(original: Original) -> Legacy:
    """The phase, the session and checklists have a place; the files stay with the rest, whole."""
    rest = dict(original.data)
    legacy = Legacy(rest)
    step = total = 0
    for name, content in original.data.items():
        if name in OTHERS:
            continue
        if isinstance(content, str):
            step, total = _take_text(legacy, content)
        elif isinstance(content, dict):
            keys = ("currentPhase", "current_phase", "phase")
            legacy.phases += [str(content[key]) for key in keys if isinstance(content.get(key), (str, int))]
    session = next((part for part in original.data.values() if isinstance(part, dict) and "cli" in part), None)
    if session is not None or total:
        cli = (session or {}).get("cli")
        started = moment((session or {}).get("timestamp"))
        legacy.session = {
            "host": HOSTS.get(cli, cli) if isinstance(cli, str) and cli else NAME,
            "path": "",
            "steps_completed": list(range(1, min(step, STEPS))),
            "last_step": max(step - 1, 0),
            "total_steps": count(total) or 0,
            "started_at": round(original.modified, 3) if started is None else started,
        }
    return legacy


def _take_text(legacy: Legacy, text: str) -> tuple[int, int]:
    """Take the phase and the checklist of a STATE.md; the phase's number and how many there are."""
    legacy.items = [
        Item(found[2], "completed" if found[1] in "xX" else "pending", found[0].strip())
        for found in _BOX.finditer(text)
    ]
    phase = _PHASE.search(text)
    if phase is None:
        return 0, 0
    number, total, title = phase.groups()
    legacy.phases += [name for name in (title, number) if name]
    return int(number), int(total or 0)
