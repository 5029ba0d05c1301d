"""GitHub Copilot CLI (facts recorded from 1.0.102)."""

from holdfast.events import ID_LIMIT, Tool, clean
from holdfast.hosts import DIGITS, begin, fingerprint, mapping, paths, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Reply

ROOT_VARIABLE = ""  # COPILOT_PROJECT_DIR is the repository's root, wherever in it the session works

# SubagentStart, PermissionRequest and Notification are not among them: their payloads stay camelCase.
MOMENTS = {
    "SessionStart": "session_start",
    "UserPromptSubmit": "prompt",
    "PostToolUse": "tool_done",
    "PostToolUseFailure": "tool_done",
    "PreCompact": "before_compaction",
    "Stop": "turn_end",
    "SessionEnd": "session_end",
}

TOOLS = {
    "Bash": "shell",
    "PowerShell": "shell",
    "powershell": "shell",
    "Write": "edit",
    "Edit": "edit",
    "Read": "read",
    "Grep": "search",
    "Glob": "search",
    "skill": "skill",
    "Agent": "agent",
    "WebFetch": "web",
    "web_fetch": "web",
    "WebSearch": "web",
    "web_search": "web",
}

HEARD = ("SessionStart", "UserPromptSubmit", "PostToolUse", "PostToolUseFailure")
LONGEST = 9_900  # UTF-16 units: what follows a tool's result is cut at 10,240, the host's own words before it included
NOTIFIED = "<system_notification>"  # a background agent has ended: the host prompts itself
ENDED = ("<shellId: ", " completed with exit code ", ">")


def parse(payload: "dict[str, Any]") -> "Event | None":
    """Read one payload.

    An event's key is its time, which is the same in each delivery: the host has no ids of calls, runs every file that
    registers a hook, and runs a session's start and its first prompt at the same moment.

    Raises:
        ValueError: a field is of a type that the host does not send.
    """
    event = begin("copilot", MOMENTS, payload)
    if event is None:
        return None
    if event.subagent:
        if event.moment not in ("prompt", "tool_done"):
            return None  # a sub-agent's own compaction and end
        parent = text(payload, "parent_agent_id", "")
        event.session = clean(parent, ID_LIMIT) or event.session
    event.key = text(payload, "timestamp", "")
    if event.moment == "prompt":
        event.prompt = text(payload, "prompt", "")
        if event.prompt.startswith(NOTIFIED):
            return None
        _tell_apart(event, event.prompt)
    elif event.moment == "tool_done":
        event.tool = tool = _tool(payload, failed=event.name == "PostToolUseFailure")
        event.recalls = not event.subagent
        _tell_apart(event, tool.name, payload.get("tool_input"), payload.get("tool_result"))
    elif event.moment == "session_start":
        source = text(payload, "source", "new")
        event.source = "startup" if source == "new" else source
    else:
        event.source = text(payload, "trigger", "") or text(payload, "reason", "")
        event.unheard = event.moment == "before_compaction"  # and nothing fires after the compaction
    return event


def _tell_apart(event: "Event", *given: "Any") -> None:
    """Add to the event's identity what calls or prompts of the same millisecond differ in."""
    words = fingerprint(event.subagent, *given)
    event.key, event.source = (event.key + words, "") if event.key else ("", words)


def _tool(payload: "dict[str, Any]", failed: bool) -> Tool:
    name = text(payload, "tool_name")
    tool = Tool(name, TOOLS.get(name) or ("mcp" if "-" in name else "other"))
    patch = payload.get("tool_input") if name == "Edit" else None
    if isinstance(patch, str):  # of a model that writes patches
        from holdfast.hosts.codex import patched

        tool.paths = patched(patch)
        payload = {**payload, "tool_input": None}
    arguments, result = mapping(payload, "tool_input"), mapping(payload, "tool_result")
    tool.paths += paths(arguments, "path")
    tool.skill = text(arguments, "skill", "") if tool.kind == "skill" else ""
    if tool.kind == "shell":
        tool.command = text(arguments, "command", "")
        if not tool.command:  # its arguments did not parse: nothing was run
            tool.kind = "other"
    if failed:
        tool.outcome = "failed"
    elif result.get("result_type") != "success":
        tool.outcome = "failed" if result.get("result_type") == "failure" else "unknown"
    elif tool.kind == "shell":
        from holdfast.jobs import in_background

        tool.exit_code = _exit_code(result.get("text_result_for_llm"))
        if tool.exit_code == 0 and (arguments.get("mode") == "async" or in_background(tool.command)):
            tool.exit_code = None
        tool.outcome = "unknown" if tool.exit_code is None else "failed" if tool.exit_code else "ok"
    elif arguments.get("mode") == "background":  # an agent may be sent there
        tool.outcome = "unknown"
    if name == "sql" and "todos" in (query := text(arguments, "query", "")).lower():
        from holdfast.hosts.todos import changes

        tool.todos = changes(query)
        tool.kind = "plan" if tool.todos else tool.kind
    return tool


def _exit_code(shown: "Any") -> "int | None":
    """How a command ended, which the host writes after its output; output that imitates it stands before that.

    A command that goes on, or was sent to the background, ends with another line.
    """
    line = shown.rstrip().rpartition("\n")[2] if isinstance(shown, str) else ""
    before, _, after = line.partition(ENDED[1])
    digits = after.removesuffix(ENDED[2]).removeprefix("-")
    whole = before.startswith(ENDED[0]) and after.endswith(ENDED[2])
    if not whole or not (digits.isascii() and digits.isdigit() and len(digits) < DIGITS):
        return None
    return int(after.removesuffix(ENDED[2]))


def render(event: "Event", reply: "Reply") -> "dict[str, Any] | None":
    """What stdout may say: the host shows the user nothing, and takes no text in `hookSpecificOutput` from these."""
    return {"additionalContext": _capped(reply.text)} if reply.text and event.name in HEARD else None


def _capped(text: str) -> str:
    """As much of a text as the host shows; its limit counts what is beyond the basic plane twice."""
    if text.isascii() or len(text) * 2 <= LONGEST:
        return text[:LONGEST]
    return text.encode("utf-16-le", "surrogatepass")[: LONGEST * 2].decode("utf-16-le", "ignore")
