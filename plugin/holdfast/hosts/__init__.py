"""One module a host, each with the same names: how its payloads read and what it accepts back.

    ROOT_VARIABLE   the environment variable that holds the project's folder, or ""
    MOMENTS         {the host's name of an event: our moment}
    parse(payload)  -> Event, or None for an event that says nothing to us
    render(event, reply) -> the object that the host accepts, or None for silence

A new host is one module here, a row in `tell` and a folder in `manifests/`.
"""

from holdfast.events import ID_LIMIT, Event, clean
from holdfast.lean import digest, dumps, getenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

NAMES = ("claude", "gemini", "codex", "opencode", "copilot")

GEMINI_EVENTS = (
    "BeforeAgent",
    "AfterAgent",
    "BeforeTool",
    "AfterTool",
    "PreCompress",
    "BeforeModel",
    "AfterModel",
    "BeforeToolSelection",
)

OPENCODE_EVENTS = (
    "session.start",
    "chat.message",
    "tool.execute.after",
    "message.part.updated",
    "experimental.session.compacting",
    "session.idle",
    "session.end",
)

DIGITS = 12  # an exit code has at most ten and a sign


def module(name: str) -> "ModuleType":
    """The host's module."""
    if name == "claude":
        from holdfast.hosts import claude

        return claude
    if name == "gemini":
        from holdfast.hosts import gemini

        return gemini
    if name == "codex":
        from holdfast.hosts import codex

        return codex
    if name == "opencode":
        from holdfast.hosts import opencode

        return opencode
    if name == "copilot":
        from holdfast.hosts import copilot

        return copilot
    raise ValueError(f"no host is called {name!r}")


def tell(payload: "dict[str, Any]", registered: str) -> str:  # noqa: PLR0911  one a rule
    """Which host wrote `payload`: told by its shape, then by the registered argument, last by the environment.

    The environment comes last because it is inherited: a Codex that was started from a shell of Claude Code sees
    CLAUDECODE and CLAUDE_PROJECT_DIR. What only one host sends was recorded from Claude Code 2.1.328, Gemini CLI
    0.61.0, Codex CLI 0.169.0 and Copilot CLI 1.0.102, which runs what is registered for Claude Code too; what
    OpenCode's bridge sends has names of its own.
    """
    name = payload.get("hook_event_name")
    transcript = payload.get("transcript_path")
    transcript = transcript.replace("\\", "/") if isinstance(transcript, str) else ""
    if name in GEMINI_EVENTS:
        return "gemini"
    if name in OPENCODE_EVENTS:
        return "opencode"
    if "prompt_id" in payload or "/.claude/projects/" in transcript:
        return "claude"  # before the next: Claude Code's MessageDisplay has a turn_id too
    nameless = payload.get("transcript_path", "") is None  # codex --ephemeral
    if nameless or "turn_id" in payload or transcript.rpartition("/")[2].startswith("rollout-"):
        return "codex"
    if "timestamp" in payload:  # of what is left, only these two send it, and Gemini a transcript's path with it
        shared = name in ("SessionStart", "SessionEnd", "Notification")
        return "gemini" if shared and ("transcript_path" in payload or registered == "gemini") else "copilot"
    if name == "PostToolUseFailure":
        return "claude"
    if registered in NAMES:
        return registered
    if getenv("GEMINI_PROJECT_DIR"):
        return "gemini"
    if getenv("COPILOT_CLI"):
        return "copilot"
    return "claude" if getenv("CLAUDECODE") else "codex"


def begin(host: str, moments: "dict[str, str]", payload: "dict[str, Any]") -> "Event | None":
    """The part of an event that every host sends under the same names, or None for an event that is not ours.

    Raises:
        ValueError: a field that every event has is missing or of another type.
    """
    name = text(payload, "hook_event_name")
    if name not in moments:
        return None
    session = text(payload, "session_id")
    event = Event(host, moments[name], name, clean(session, ID_LIMIT) or digest(session))
    event.cwd = text(payload, "cwd", "")
    event.transcript = text(payload, "transcript_path", "")
    event.subagent = clean(text(payload, "agent_id", ""), ID_LIMIT)
    return event


def call_of(payload: "dict[str, Any]") -> "tuple[str, str]":
    """What tells a finished call from others: the host's id, or else what it was, told apart by what lies between.

    Raises:
        ValueError: a field is of another type than hosts send.
    """
    key = text(payload, "tool_use_id", "")
    told = (text(payload, "tool_name"), mapping(payload, "tool_input"), payload.get("tool_response"))
    return key, "" if key else fingerprint(*told)


def text(holder: "dict[str, Any]", key: str, default: "str | None" = None) -> str:
    """The string under `key`; `default` stands for a missing one and for null.

    Raises:
        ValueError: it is no string, or empty where there is no default.
    """
    value = holder.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value):
        raise ValueError(f"{key} is {type(value).__name__ if value else 'empty'}, not text")
    return value


def mapping(holder: "dict[str, Any]", key: str) -> "dict[str, Any]":
    """The object under `key`, or an empty one where there is none.

    Raises:
        ValueError: it is something else.
    """
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} is {type(value).__name__}, not an object")  # noqa: TRY004  one error for bad payloads
    return value


def listed(value: "Any") -> "list[dict[str, Any]]":
    """The objects in a list; anything else in their place is passed over."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def paths(arguments: "dict[str, Any]", *keys: str) -> "list[str]":
    """The paths that a tool was given under any of `keys`."""
    return [value for key in keys if isinstance(value := arguments.get(key), str) and value]


def fingerprint(*parts: "Any") -> str:
    """What stands for the input of an event that its host gives no id."""
    return digest(*[part if isinstance(part, str) else dumps(part) for part in parts])


def exit_code(line: str) -> "int | None":
    """The number after the colon or the words of `Exit code 3`, `Exit Code: 1`."""
    number = line[len("Exit code") :].lstrip(": ").split("\n", 1)[0].strip()
    digits = number.removeprefix("-")
    return int(number) if digits.isascii() and digits.isdigit() and len(digits) < DIGITS else None
