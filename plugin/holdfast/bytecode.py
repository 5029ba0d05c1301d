"""Puts the bytecode of the hooks' modules into one file, once an install has brought them: see `start.py`. Cold."""

import importlib.util
import marshal
import os
from _imp import source_hash
from types import CodeType

from holdfast import start

# Each group in an order in which every module comes after those that it imports when it is loaded.
ALWAYS = ("", "lean", "deadline", "hook", "events", "hosts", "workflow", "workflow.patterns", "workflow.index")
PROJECT = (
    "state",
    "state.document",
    "moments",
    "state.audit",
    "state.backups",
    "state.guard",
    "state.spool",
    "state.store",
)
OTHERS = (
    "hosts.claude",
    "hosts.codex",
    "hosts.copilot",
    "hosts.gemini",
    "hosts.opencode",
    "moments.tracking",
    "moments.activation",
    "moments.resume",
    "moments.tasks",
)
HOT = (*ALWAYS, *PROJECT, *OTHERS)
GROUPS = (ALWAYS, PROJECT, *((name,) for name in OTHERS))
HASH = 8  # bytes
NATIVE = ("_json", "_blake2", "fcntl")  # some builds have them built in


def bundle(folder: str, data: str = "") -> str:
    """Write the file for the package at `folder`, unless it is there already; its path.

    Args:
        folder: the package's.
        data: where the file shall be, if not beside the modules.

    Raises:
        OSError: it cannot be read or written. Hooks then start from the modules.
    """
    target = start.file_name(folder, data)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mtime = os.stat(folder).st_mtime_ns
    if _made_from(target) == (mtime, folder, start.interpreter()):
        return target
    places: dict[str, tuple[int, int, bytes]] = {}
    groups, size = [], start.HEAD
    for names in GROUPS:
        entries = [_entry(folder, name) for name in names]
        groups.append(marshal.dumps(entries))
        found_at = (size, len(groups[-1]), source_hash(start.KEY, groups[-1]))
        places |= {entry[0]: found_at for entry in entries}
        size += len(groups[-1])
    found = {name: importlib.util.find_spec(name) for name in NATIVE}
    native = {name: spec.origin for name, spec in found.items() if spec and spec.has_location}
    code = _entry(folder, "start")[3]
    head = marshal.dumps((code, (mtime, folder, size), places, start.interpreter(), native))
    if len(head) > start.HEAD - HASH:
        raise AssertionError(f"the head has {len(head)} bytes")
    head = head.ljust(start.HEAD - HASH, b"\0")
    temporary = f"{target}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(source_hash(start.KEY, head) + head + b"".join(groups))
        file.flush()
        os.fsync(file.fileno())  # a file that a crash has cut would keep every hook from starting
    os.replace(temporary, target)
    return target


def _entry(folder: str, name: str) -> tuple[str, bool, str, CodeType]:
    """A module's name, whether it is a package, its path, and its code without docstrings."""
    path = os.path.join(folder, *name.split("."))
    package = os.path.isdir(path)
    path = os.path.join(path.rstrip(os.sep), "__init__.py") if package else f"{path}.py"
    with open(path, "rb") as file:
        source = importlib.util.decode_source(file.read())
    code = compile(source, path, "exec", dont_inherit=True, optimize=2)
    return f"holdfast.{name}".rstrip("."), package, path, code


def _made_from(target: str) -> object:
    """The folder's mtime, the folder and the interpreter that a whole file was made for, or None."""
    try:
        with open(target, "rb") as file:
            data = file.read()
        head = data[HASH : start.HEAD]
        if source_hash(start.KEY, head) != data[:HASH]:
            return None
        _code, (mtime, folder, size), places, built, _native = marshal.loads(head)  # noqa: S302  its hash is right
    except (OSError, ValueError, EOFError, TypeError):
        return None
    groups = {(begin, begin + length, known) for begin, length, known in places.values()}
    whole = len(data) == size and all(source_hash(start.KEY, data[a:z]) == known for a, z, known in groups)
    return (mtime, folder, built) if whole else None
