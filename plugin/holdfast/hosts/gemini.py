"""Gemini CLI (facts recorded from 0.61.0)."""

from holdfast.events import Tool
from holdfast.hosts import begin, exit_code, fingerprint, listed, mapping, paths, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Reply

ROOT_VARIABLE = "GEMINI_PROJECT_DIR"

MOMENTS = {
    "SessionStart": "session_start",
    "BeforeAgent": "prompt",
    "AfterTool": "tool_done",
    "PreCompress": "before_compaction",
    "AfterAgent": "turn_end",
    "SessionEnd": "session_end",
}

TOOLS = {
    "run_shell_command": "shell",
    "write_file": "edit",
    "replace": "edit",
    "read_file": "read",
    "read_many_files": "read",
    "list_directory": "search",
    "glob": "search",
    "grep_search": "search",
    "search_file_content": "search",
    "write_todos": "plan",
    "activate_skill": "skill",
    "invoke_agent": "agent",
    "web_fetch": "web",
    "google_web_search": "web",
}

HEARD = ("SessionStart", "BeforeAgent", "AfterTool")
INJECTED = ("<hook_context>", "</hook_context>")
TRAILER = ("Error:", "Exit Code:", "Signal:", "Background PIDs:", "Process Group PGID:")


def parse(payload: "dict[str, Any]") -> "Event | None":
    """Read one payload.

    Raises:
        ValueError: a field is of a type that the host does not send.
    """
    event = begin("gemini", MOMENTS, payload)
    if event is None:
        return None
    stamp = text(payload, "timestamp", "")
    if event.moment == "prompt":
        event.prompt = _own_words(text(payload, "prompt", ""))
        words = fingerprint(event.prompt)
        event.key, event.source = (stamp + words, "") if stamp else ("", words)
    elif event.moment == "tool_done":
        event.tool = _tool(payload)
        given = fingerprint(event.tool.name, mapping(payload, "tool_input"))
        event.key, event.source = (stamp + given, "") if stamp else ("", given)
    elif event.moment == "session_start":
        event.source = text(payload, "source", "startup")
        event.unheard = event.source == "clear"  # what is said after /clear is dropped
    elif event.moment == "before_compaction":
        event.source = text(payload, "trigger", "")
        if event.source != "manual":
            return None  # `auto` fires before every model turn, whether it compacts or not
        event.unheard = True  # and nothing fires after the compaction
    else:
        event.source = text(payload, "reason", "")
    return event


def _own_words(prompt: str) -> str:
    """The prompt without what SessionStart injected: headless, the host puts that in front of it."""
    start = 0
    while True:
        begin = start
        while prompt[begin : begin + 1].isspace():
            begin += 1
        end = prompt.find(INJECTED[1], begin) if prompt.startswith(INJECTED[0], begin) else -1
        if end < 0:
            return prompt[start:].lstrip("\n") if start else prompt
        start = end + len(INJECTED[1])


def _tool(payload: "dict[str, Any]") -> Tool:
    name = text(payload, "tool_name")
    tool = Tool(name, TOOLS.get(name) or ("mcp" if name.startswith("mcp_") else "other"))
    arguments = mapping(payload, "tool_input")
    response = mapping(payload, "tool_response")
    tool.paths = paths(arguments, "file_path", "absolute_path", "dir_path", "path")
    tool.command = text(arguments, "command", "") if tool.kind == "shell" else ""
    tool.skill = (text(arguments, "name", "") or text(arguments, "skill", "")) if tool.kind == "skill" else ""
    if response.get("error"):
        tool.outcome = "failed"
    elif tool.kind == "shell":
        from holdfast.jobs import in_background

        tool.outcome, tool.exit_code = _shell_outcome(_shown(response))
        if tool.outcome == "ok" and (arguments.get("is_background") is True or in_background(tool.command)):
            tool.outcome, tool.exit_code = "unknown", None
    if name == "write_todos":
        items = listed(arguments.get("todos"))
        tool.todos = [{"title": text(item, "description", ""), "status": text(item, "status", "")} for item in items]
        tool.whole_list = True
    return tool


def _shown(response: "dict[str, Any]") -> str:
    """What the model is shown of a tool's result: text, or a list of parts."""
    content = response.get("llmContent")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in listed(content) if isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def _shell_outcome(shown: str) -> "tuple[str, int | None]":
    """How a command ended. Only the lines after its output tell, read from the end, since output can imitate them."""
    body = shown.strip()
    if body.startswith("<untrusted_context>"):
        body = body[len("<untrusted_context>") :].rpartition("</untrusted_context>")[0].strip()
    if not body.startswith("Output:"):
        return "unknown", None
    outcome: str = "ok"
    for line in reversed(body.split("\n")[1:]):
        if not line.strip():
            continue
        if not line.startswith(TRAILER):
            break
        if line.startswith("Exit Code:"):  # the host tells of no other than a failure's; what else says so is output
            code = exit_code(line)
            return ("failed", code) if code else (outcome, 0 if outcome == "ok" else None)
        if line.startswith(("Error:", "Signal:")):
            outcome = "failed"
        elif line.startswith("Background PIDs:") and outcome == "ok":
            outcome = "unknown"
    return outcome, 0 if outcome == "ok" else None


def render(event: "Event", reply: "Reply") -> "dict[str, Any] | None":
    """What stdout may say: JSON alone, since anything before it makes the whole of it plain text."""
    answer: dict[str, Any] = {}
    if reply.notice and event.moment == "session_start":
        answer["systemMessage"] = reply.notice
    if reply.text and event.name in HEARD:
        answer["hookSpecificOutput"] = {"hookEventName": event.name, "additionalContext": reply.text}
    return answer or None
