"""Puts the bytecode of the hooks' modules into one file, once an install has brought them: see `start.py`. Cold."""

import importlib.util
import marshal
import os

from holdfast import start

HOT = (
    "deadline",
    "events",
    "hook",
    "hosts",
    "hosts.claude",
    "hosts.codex",
    "hosts.gemini",
    "lean",
    "moments",
    "moments.activation",
    "moments.resume",
    "moments.tasks",
    "moments.tracking",
    "state",
    "state.audit",
    "state.backups",
    "state.document",
    "state.guard",
    "state.spool",
    "state.store",
    "workflow",
    "workflow.index",
    "workflow.patterns",
)


def bundle(folder: str) -> str:
    """Write the file for the package at `folder`, unless it is there already; its path.

    Raises:
        OSError: it cannot be read or written. Hooks then start from the modules.
    """
    target = start.file_name(folder)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    made_from = (os.stat(folder).st_mtime_ns, folder)
    if _made_from(target) == made_from:
        return target
    modules = {}
    for name in HOT:
        path = os.path.join(folder, *name.split("."))
        package = os.path.isdir(path)
        path = os.path.join(path, "__init__.py") if package else f"{path}.py"
        with open(path, "rb") as file:
            source = file.read()
        code = compile(importlib.util.decode_source(source), path, "exec", dont_inherit=True, optimize=2)
        modules[f"holdfast.{name}"] = (package, marshal.dumps(code), path)
    temporary = f"{target}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(marshal.dumps((made_from, modules)))
    os.replace(temporary, target)
    return target


def _made_from(target: str) -> object:
    try:
        with open(target, "rb") as file:
            return marshal.load(file)[0]  # noqa: S302  an install of ours wrote it, where modules are
    except (OSError, ValueError, EOFError, TypeError, IndexError):
        return None
