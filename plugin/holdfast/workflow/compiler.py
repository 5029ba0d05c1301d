"""Compiles workflow.yaml to the index.

Cold: pyyaml and pydantic are imported here, once after each change of the workflow.
"""

import os
from typing import TYPE_CHECKING, Any

from holdfast import dependencies
from holdfast.errors import HoldfastError
from holdfast.lean import dumps, join, read
from holdfast.state import guard
from holdfast.workflow import index, patterns
from holdfast.workflow.commands import resolve
from holdfast.workflow.skills import joins, split

if TYPE_CHECKING:
    from holdfast.workflow.definition import Skill, Workflow
    from holdfast.workflow.patterns import Pattern

PRIORITIES = ("critical", "high", "medium", "low")
WAIT = 1.0  # seconds that a hook waits for another that compiles
EMPTY: dict[str, Any] = {
    "name": "",
    "phases": [],
    "max_chars": 2000,
    "plan": [],
    "backups": {"keep": 20, "max_age_days": None},
}


def refresh(folder: str) -> index.Index:
    """Compile the project's workflow and keep the index; one process at a time, the others take what it made.

    Without the libraries, or with a folder that cannot be written, the last good index, or an empty one, serves.
    """
    dependencies.enable()
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        return last_good(folder, f"{error.name} is not installed: {dependencies.remedy()}")
    locks = join(folder, "locks")
    try:
        os.makedirs(locks, mode=0o700, exist_ok=True)
        with FileLock(join(locks, "index.lock"), timeout=WAIT, mode=0o600):
            return index.load(folder) or _compile(folder)
    except (Timeout, OSError, NotImplementedError) as error:
        found = index.load(folder)
        if found is None and (isinstance(error, NotImplementedError) or guard.absent(error)):
            return _compile(folder)  # a file system without locks: they only save work
        return found or last_good(folder, "")


def unwritten(folder: str) -> index.Index:
    """The project's workflow as it is, where the index cannot be written; for commands, which can wait for it.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        return index.Index(compiled(folder, index.fingerprint(folder)))
    except HoldfastError as error:
        return last_good(folder, str(error).split("\n", 1)[0])


def _compile(folder: str) -> index.Index:
    source = index.fingerprint(folder)
    if source[0] < 0:
        if os.path.exists(join(folder, index.NAME)):  # a branch that does not have it, an editor that moves files
            return last_good(folder, f".holdfast/{index.SOURCE}: is missing: bring it back, or begin another", source)
        data = render(EMPTY, {}, source, "")
    else:
        try:
            data = compiled(folder, source)
        except HoldfastError as error:
            return last_good(folder, str(error).split("\n", 1)[0], source)
        except ImportError as error:
            return last_good(folder, f"{error.name} is not installed: {dependencies.remedy()}")
    _write(join(folder, index.NAME), data)
    return index.Index(data)


def sound(folder: str) -> index.Index:
    """The project's index, which was looked at as a whole: one that was damaged is made again.

    Raises:
        OSError: the folder cannot be read, or the damaged one not removed.
    """
    found = index.load(folder)
    if found is not None and not found.whole():
        try:
            os.unlink(join(folder, index.NAME))
        except FileNotFoundError:  # another process was faster
            pass
        found = None
    return found or index.refresh(folder)


def last_good(folder: str, error: str, source: "list[int] | None" = None) -> index.Index:
    """The index that is there, however old, marked with what is wrong with its sources; else an empty one.

    Args:
        folder: the project's `.holdfast`.
        error: what is wrong, or "".
        source: the sources' fingerprint, to write the mark down; None writes nothing.
    """
    try:
        data = read(join(folder, index.NAME))
        found = index.Index(data)
        if not found.whole():
            raise ValueError("damaged")  # noqa: TRY301
        if found.header["key"] != patterns.key():
            data = _for_this_interpreter(found, source or found.header["source"], error)
            found = index.Index(data)
    except (OSError, ValueError, KeyError, TypeError):
        data = render(EMPTY, {}, source or index.NEVER, error)
        found = index.Index(data)
    if error:
        found.header["error"] = error
    if source is not None:
        found.header["source"] = source
        data = b'{"header":' + dumps(found.header).encode("ascii") + data[data.index(b"\n") - 1 :]
        _write(join(folder, index.NAME), data)
    return found


def _for_this_interpreter(found: index.Index, source: "list[int]", error: str) -> bytes:
    """The same index without the compiled patterns of another interpreter: the hook imports re instead."""

    def strip(value: "Any") -> None:
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            strip(part)
        if isinstance(value, dict) and "literals" in value:
            value["code"] = None

    parts = {name: found.section(name) for name in index.SECTIONS}
    strip(parts)
    return render(found.workflow, parts, source, error)


def _write(path: str, data: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def compiled(folder: str, source: "list[int]") -> bytes:
    """The index's bytes for the workflow in `folder`.

    Raises:
        HoldfastError: the workflow is broken; the message names file, line and key.
    """
    from holdfast.workflow import loader

    workflow, _problems = loader.read(join(folder, index.SOURCE), f".holdfast/{index.SOURCE}")
    return compile_workflow(workflow, source)


def compile_workflow(workflow: "Workflow", source: "list[int]") -> bytes:
    """The index's bytes for a validated workflow."""
    head = {
        "name": workflow.name,
        "phases": [
            {"id": phase.id, "title": phase.title or phase.id, "next": list(phase.next), "guidance": phase.guidance}
            for phase in workflow.phases
        ],
        "max_chars": workflow.briefing.max_chars,
        "plan": list(workflow.plan),
        "backups": workflow.backups.model_dump(),
    }
    return render(head, {"signals": _signals(workflow), **_skills(workflow)}, source, "")


def render(workflow: "dict[str, Any]", parts: "dict[str, dict[str, Any]]", source: "list[int]", error: str) -> bytes:
    """Lay the index out: see `index.py`."""
    lines = [b'"workflow":' + dumps(workflow).encode("ascii")]
    offset = len(lines[0]) + 2
    places = {}
    for name in index.SECTIONS:
        opening = b'"' + name.encode("ascii") + b'":'
        entries = [
            dumps(key).encode("ascii") + b":" + dumps(value).encode("ascii")
            for key, value in parts.get(name, {}).items()
        ]
        body = b"{" + b"".join(b"\n" + entry + b"," for entry in entries)[: -1 if entries else None] + b"\n}"
        places[name] = [offset + len(opening), offset + len(opening) + len(body)]
        lines.append(opening + body)
        offset += len(opening) + len(body) + 2
    body = b",\n".join(lines) + b"}\n"
    header = {"format": index.FORMAT, "key": patterns.key(), "source": source, "error": error, "sections": places}
    header["seal"] = index.seal(places, body)
    return b'{"header":' + dumps(header).encode("ascii") + b",\n" + body


def _signals(workflow: "Workflow") -> "dict[str, list[dict[str, Any]]]":
    """{tool kind: [rule]}. A rule without a kind stands under each kind that can have what it asks for."""
    from holdfast.events import KINDS
    from holdfast.workflow.regexes import compile_glob, compile_regex

    kinds: dict[str, list[dict[str, Any]]] = {}
    for name, signal in workflow.signals.items():
        asks: list[str] | list[Any] = signal.tool or (
            ["shell"] if signal.command else [*KINDS] if signal.path or signal.outcome else []
        )
        rule = {
            "name": name,
            "paths": [compile_glob(glob) for glob in signal.path],
            "command": compile_regex(resolve(signal.command), fold=False) if signal.command else None,
            "outcome": signal.outcome,
            "after": list(signal.after),
        }
        for kind in asks:
            kinds.setdefault(kind, []).append(rule)
    return kinds


def _skills(workflow: "Workflow") -> "dict[str, dict[str, Any]]":
    from holdfast.workflow.regexes import compile_glob, compile_regex

    parts: dict[str, dict[str, Any]] = {name: {} for name in index.SECTIONS if name != "signals"}
    for order, (name, skill) in enumerate(workflow.skills.items()):
        parts["skills"][name] = {
            "priority": PRIORITIES.index(skill.priority),
            "enforcement": skill.enforcement,
            "phases": list(skill.phases),
            "after": list(skill.after),
            "order": order,
        }
        for keyword in skill.keywords:
            folded = " ".join(keyword.lower().split())
            parts["keywords"].setdefault(first_word(folded), []).append([folded, name])
        _add(parts, "literals", "patterns", name, [compile_regex(source, fold=True) for source in skill.patterns])
        _add(parts, "file_literals", "globs", name, [compile_glob(glob) for glob in skill.files])
        _add_standing(parts["standing"], name, skill)
    return parts


def _add(parts: "dict[str, Any]", section: str, store: str, name: str, found: "list[Pattern]") -> None:
    for pattern in found:
        number = str(len(parts[store]))
        parts[store][number] = pattern
        for literal in pattern["literals"] or [""]:
            parts[section].setdefault(literal if store == "globs" else literal.lower(), []).append([name, number])


def _add_standing(standing: "dict[str, list[str]]", name: str, skill: "Skill") -> None:
    if not (skill.keywords or skill.patterns or skill.files) and (skill.phases or skill.after):
        for phase in skill.phases or ["*"]:
            standing.setdefault(phase, []).append(name)


def first_word(keyword: str) -> str:
    """The word under which a keyword is looked up; "" for one that may stand inside what `split` takes for one word."""
    words = split(keyword)
    if not words or not all(joins(c, c) for c in words[0]):
        return ""
    return words[0]
