"""claude-dev-pipeline's `.workflow-state.json`, with the folder `.signals/` beside it.

The keys are those of its docs/STATE-MANAGEMENT.md, and of config/workflow-state.template.json, where signals that were
never emitted stand as null. Its hooks keep the file under `.claude/`, its library in the project's root. A signal's
file is named after it and holds signal, phase, timestamp and metadata; those of its commands hold what each likes.
"""

import os
from typing import Any

from holdfast.errors import ValidationFailed
from holdfast.state.legacy.original import (
    Item,
    Legacy,
    Original,
    first,
    load,
    load_object,
    moment,
    parse,
    refuse,
    texts,
)

NAME = "claude-dev-pipeline"
FILE = ".workflow-state.json"
SIGNALS = ".signals"
MOST = 2000  # files of signals


def find(root: str) -> str | None:
    """Its hooks' state, else its library's."""
    return first(os.path.join(root, *place, FILE) for place in ((".claude",), ()))


def read(path: str) -> Original:
    """The state and its signals' files.

    Raises:
        ValidationFailed: it is none, or has more than 2,000 signals.
        HoldfastError: a file cannot be read.
    """
    found = load_object(path)
    if "phase" not in found.data or not {"completedTasks", "lastActivation", "degradedMode"} & found.data.keys():
        raise refuse(path, NAME, "phase, completedTasks or lastActivation")
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), SIGNALS)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [name for name in names if os.path.isfile(os.path.join(folder, name)) and not name.endswith(".tmp")]
    if len(names) > MOST:
        raise ValidationFailed(f"{folder}: {len(names)} files: more than the {MOST} signals that can be taken over")
    signals = {}
    for name in names:
        place = os.path.join(folder, name)
        data, modified = load(place)
        found.files[f"{SIGNALS}/{name}"] = data
        try:
            content = parse(data, place)
        except ValidationFailed:  # `touch` makes an empty one
            content = data.decode("utf-8", "replace")
        signals[name] = {"content": content, "modified": modified}
    return found._replace(data={**found.data, SIGNALS: signals})


def convert(original: Original) -> Legacy:
    """Phase, completed tasks, signals, last activation and degraded mode have a place."""
    rest = dict(original.data)
    legacy = Legacy(rest, items_key="completedTasks")
    if isinstance(rest.get("phase"), str) and rest["phase"]:
        legacy.phases = [rest["phase"]]
    if isinstance(rest.get("completedTasks"), list):
        legacy.items = [_item(task) for task in rest.pop("completedTasks")]
    _take_signals(legacy, rest)
    metadata = rest["metadata"] if isinstance(rest.get("metadata"), dict) else {}
    if isinstance(rest.get("lastActivation"), str):
        changed = moment(metadata.get("lastModified", metadata.get("lastUpdated")))
        if skill := rest.pop("lastActivation"):
            legacy.skill = (skill, changed)
    legacy.created = moment(metadata.get("created", metadata.get("createdAt", rest.get("created"))))
    legacy.degraded = _degraded(rest)
    return legacy


def _item(task: Any) -> Item:
    title = task
    if isinstance(task, dict):
        title = next((task[key] for key in ("title", "name", "id") if task.get(key)), "")
    return Item(str(title) if isinstance(title, (str, int)) else "", "completed", task)


def _take_signals(legacy: Legacy, rest: dict[str, Any]) -> None:
    if isinstance(rest.get("signals"), dict):
        for name, value in list(rest["signals"].items()):
            at = moment(value)
            if at is not None:
                legacy.signals[name] = at
        rest["signals"] = {name: value for name, value in rest["signals"].items() if name not in legacy.signals}
        if not rest["signals"]:
            del rest["signals"]
    files = rest.pop(SIGNALS)
    kept = {}
    for file, found in files.items():
        content = found["content"]
        named = content if isinstance(content, dict) else {}
        name = named["signal"] if isinstance(named.get("signal"), str) else file.removesuffix(".json")
        at = moment(named.get("timestamp"))
        legacy.signals[name] = max(legacy.signals.get(name, 0.0), round(found["modified"], 3) if at is None else at)
        if content not in ("", {}):
            kept[file] = content
    if kept:
        rest[SIGNALS] = kept


def _degraded(rest: dict[str, Any]) -> dict[str, Any] | None:
    found = rest.get("degradedMode")
    if not isinstance(found, dict):
        return None
    if found.get("enabled") is True:
        return {
            "enabled": True,
            "reason": str(found.get("reason") or ""),
            "timestamp": moment(found.get("timestamp")),
            "disabled_features": texts(found.get("disabledFeatures")),
        }
    if found.get("enabled") is False and not any(found.get(key) for key in found if key != "enabled"):
        del rest["degradedMode"]
    return None
