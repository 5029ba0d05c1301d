"""What is registered with a host: the manifest's entries, filled in for this installation and known by their command.

A registered command must not block its host when the interpreter or the hook is gone: Gemini blocks the tool on 127,
and Python ends with 2, which blocks everywhere, for a missing file. So every command ends 0 and keeps stderr quiet.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, ValidationFailed

if TYPE_CHECKING:
    from holdfast.install.environment import Runtime
    from holdfast.install.settings_edit import Ours
    from holdfast.install.targets import Host

SCRIPTS = ("session_resume", "prompt_activation", "post_tool_use", "before_compaction", "turn_end", "session_end")


SCRIPT = "holdfast.js"


def ours(host: Host) -> Ours:
    """What tells our commands of a host from other people's, wherever they lead and whatever release wrote them."""
    pattern = re.compile(rf"[/\\]hooks[/\\](?:{'|'.join(SCRIPTS)})\.py['\"]* --host {host.name}(?!\S)")
    return lambda command: pattern.search(command) is not None


def _quote_posix(word: str) -> str:
    return shlex.quote(word.replace("\\", "/") if sys.platform == "win32" else word)


def _quote_powershell(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _quote_cmd(word: str) -> str:
    return f'"{word}"' if " " in word else word


def fill(template: str, runtime: Runtime) -> str:
    """Put the installation's paths into a command, each word quoted for the shell that the command is written for."""
    quote = _quote_posix
    if template.startswith("& "):
        quote = _quote_powershell
    elif "2>nul" in template:
        quote = _quote_cmd
    words = [
        quote(word.replace("${PYTHON}", runtime.python).replace("${HOOKS}", runtime.hooks)) if "${" in word else word
        for word in template.split(" ")
    ]
    command = " ".join(words)
    if not command.isprintable():
        raise ValidationFailed(
            f"a hook's path cannot stand in a settings file: {command!r}; install to another --prefix"
        )
    return command


def handlers(host: Host, runtime: Runtime) -> dict[str, dict[str, Any]]:
    """Give what is registered with a host: event to handler.

    Raises:
        HoldfastError: the manifest is missing or damaged.
        ValidationFailed: a path holds what no settings file can.
    """
    path = os.path.join(runtime.manifests, host.name, "hooks.json")
    try:
        with open(path, encoding="utf-8") as file:
            manifest: dict[str, list[dict[str, Any]]] = json.load(file)["hooks"]
        filled = {}
        for event, groups in manifest.items():
            handler = dict(groups[0]["hooks"][0] if host.grouped else groups[0])
            for key in ("command", "commandWindows", "bash", "powershell"):
                if key in handler:
                    handler[key] = fill(handler[key], runtime)
            if "command" in handler and not host.windows_command:
                for_windows = handler.pop("commandWindows", handler["command"])
                handler["command"] = for_windows if sys.platform == "win32" else handler["command"]
            filled[event] = handler
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise HoldfastError(f"{path}: this manifest cannot be used ({error}): install holdfast again") from None
    return filled


def script(host: Host, runtime: Runtime) -> bytes:
    """Give the program that a host runs inside itself, which starts our hooks.

    Raises:
        HoldfastError: it is missing from the manifests.
        ValidationFailed: a path is no UTF-8.
    """
    path = os.path.join(runtime.manifests, host.name, SCRIPT)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        raise HoldfastError(f"{path}: this manifest cannot be used ({error}): install holdfast again") from None
    for name, value in (("PYTHON", runtime.python), ("HOOKS", runtime.hooks)):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValidationFailed(f"{value!r} is no UTF-8, so no program can hold this path") from None
        text = text.replace(f'"${{{name}}}"', json.dumps(value))
    return text.encode()
