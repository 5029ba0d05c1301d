"""Puts the bytecode of the hooks' modules into one file, once an install has brought them: see `start.py`. Cold."""

import importlib.util
import marshal
import os
from types import CodeType

from holdfast import start

# Each group in an order in which every module comes after those that it imports when it is loaded.
ALWAYS = ("lean", "deadline", "hook", "events", "hosts", "workflow", "workflow.patterns", "workflow.index")
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
    "hosts.gemini",
    "moments.tracking",
    "moments.activation",
    "moments.resume",
    "moments.tasks",
)
HOT = (*ALWAYS, *PROJECT, *OTHERS)


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
    made_from = (os.stat(folder).st_mtime_ns, folder)
    if _made_from(target) == made_from:
        return target
    content = (
        made_from,
        marshal.dumps([_entry(folder, name) for name in ALWAYS]),
        marshal.dumps([_entry(folder, name) for name in PROJECT]),
        tuple(f"holdfast.{name}" for name in PROJECT),
        {f"holdfast.{name}": marshal.dumps(_entry(folder, name)) for name in OTHERS},
    )
    temporary = f"{target}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(marshal.dumps(content))
    os.replace(temporary, target)
    return target


def _entry(folder: str, name: str) -> tuple[str, bool, str, CodeType]:
    """A module's name, whether it is a package, its path, and its code without docstrings."""
    path = os.path.join(folder, *name.split("."))
    package = os.path.isdir(path)
    path = os.path.join(path, "__init__.py") if package else f"{path}.py"
    with open(path, "rb") as file:
        source = importlib.util.decode_source(file.read())
    return f"holdfast.{name}", package, path, compile(source, path, "exec", dont_inherit=True, optimize=2)


def _made_from(target: str) -> object:
    try:
        with open(target, "rb") as file:
            return marshal.load(file)[0]  # noqa: S302  an install of ours wrote it, where modules are
    except (OSError, ValueError, EOFError, TypeError, IndexError):
        return None
