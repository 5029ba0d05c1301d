"""Claude Code (facts recorded from 2.1.328)."""

from holdfast.events import Tool
from holdfast.hosts import begin, call_of, exit_code, fingerprint, listed, mapping, paths, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Reply

ROOT_VARIABLE = "CLAUDE_PROJECT_DIR"

# SubagentStop is not among them: compaction fires one too, with an empty agent_type.
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
    "Write": "edit",
    "Edit": "edit",
    "MultiEdit": "edit",
    "NotebookEdit": "edit",
    "Read": "read",
    "NotebookRead": "read",
    "Grep": "search",
    "Glob": "search",
    "LS": "search",
    "ToolSearch": "search",
    "TodoWrite": "plan",
    "TaskCreate": "plan",
    "TaskUpdate": "plan",
    "TaskList": "plan",
    "TaskGet": "plan",
    "ExitPlanMode": "plan",
    "Skill": "skill",
    "Agent": "agent",
    "Task": "agent",
    "WebFetch": "web",
    "WebSearch": "web",
}

HEARD = ("SessionStart", "UserPromptSubmit", "PostToolUse", "PostToolUseFailure")
LONGEST = 9_900  # UTF-16 units: from 10,000 on the text goes to a file and the model sees 2 KB of it


def parse(payload: "dict[str, Any]") -> "Event | None":
    """Read one payload.

    Raises:
        ValueError: a field is of a type that the host does not send.
    """
    event = begin("claude", MOMENTS, payload)
    if event is None:
        return None
    if event.moment == "prompt":
        event.prompt = text(payload, "prompt", "")
        turn, words = text(payload, "prompt_id", ""), fingerprint(event.prompt)
        event.key, event.source = (turn + words, "") if turn else ("", words)  # older releases send none
    elif event.moment == "tool_done":
        event.tool = _tool(payload, failed=event.name == "PostToolUseFailure")
        event.key, event.source = call_of(payload)
    elif event.moment == "session_start":
        event.source = text(payload, "source", "startup")
    else:
        event.source = text(payload, "trigger", "") or text(payload, "reason", "")
    return event


def _tool(payload: "dict[str, Any]", failed: bool) -> Tool:
    name = text(payload, "tool_name")
    tool = Tool(name, TOOLS.get(name) or ("mcp" if name.startswith("mcp__") else "other"))
    arguments = mapping(payload, "tool_input")
    response = payload.get("tool_response")
    response = response if isinstance(response, dict) else {}
    tool.paths = paths(arguments, "file_path", "notebook_path", "path")
    tool.command = text(arguments, "command", "") if tool.kind == "shell" else ""
    tool.skill = text(arguments, "skill", "") if tool.kind == "skill" else ""
    if failed:
        error = text(payload, "error", "")
        tool.exit_code = exit_code(error) if error.startswith("Exit code ") else None
        tool.outcome = "unknown" if payload.get("is_interrupt") is True else "failed"
    elif tool.kind == "shell":
        tool.outcome = _shell_outcome(tool, arguments, response)
        tool.exit_code = 0 if tool.outcome == "ok" else None
    elif response.get("success") is False or response.get("isError") is True:
        tool.outcome = "failed"
    elif arguments.get("run_in_background") is True:  # an agent may be sent there too
        tool.outcome = "unknown"
    tool.todos, tool.whole_list = _todos(name, arguments, response)
    return tool


def _shell_outcome(tool: Tool, arguments: "dict[str, Any]", response: "dict[str, Any]") -> str:
    """A command that went to the background is reported at once: how it ends is never told."""
    if arguments.get("run_in_background") is True or response.get("interrupted") is True:
        return "unknown"
    if any(value for key, value in response.items() if key.startswith("background")):
        return "unknown"
    from holdfast.jobs import in_background

    if tool.name == "Bash" and in_background(tool.command):
        return "unknown"
    # an exit code that the host explains away ("No matches found") is not zero
    return "unknown" if response.get("returnCodeInterpretation") else "ok"


def _todos(name: str, arguments: "dict[str, Any]", response: "dict[str, Any]") -> "tuple[list[dict[str, str]], bool]":
    if name == "TodoWrite":
        items = listed(arguments.get("todos"))
        return [{"title": text(item, "content", ""), "status": text(item, "status", "")} for item in items], True
    if name == "TaskCreate":
        number = mapping(response, "task").get("id")
        return [{"title": text(arguments, "subject", ""), "status": "pending", "ref": str(number or "")}], False
    if name == "TaskUpdate":
        title, status = text(arguments, "subject", ""), text(arguments, "status", "")
        return [{"title": title, "status": status, "ref": str(arguments.get("taskId") or "")}], False
    return [], False


def render(event: "Event", reply: "Reply") -> "dict[str, Any] | None":
    """What stdout may say. Without the event's own name, `additionalContext` is dropped."""
    answer: dict[str, Any] = {}
    if reply.notice and event.moment == "session_start":
        answer["systemMessage"] = reply.notice
    if reply.text and event.name in HEARD:
        answer["hookSpecificOutput"] = {"hookEventName": event.name, "additionalContext": _capped(reply.text)}
    return answer or None


def _capped(text: str) -> str:
    """As much of a text as the host shows; its limit counts what is beyond the basic plane twice."""
    if text.isascii() or len(text) * 2 <= LONGEST:
        return text[:LONGEST]
    return text.encode("utf-16-le", "surrogatepass")[: LONGEST * 2].decode("utf-16-le", "ignore")
