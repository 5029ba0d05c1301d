"""OpenCode (facts recorded from 1.18.33).

It has no hooks of its own: what comes here is written by the bridge in `manifests/opencode`, a plugin inside its
process.
"""

from holdfast.events import LATEST, Tool
from holdfast.hosts import begin, call_of, fingerprint, listed, mapping, paths, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Reply

ROOT_VARIABLE = ""

# Start and end have no event of the host's own: it tells of neither where a session is resumed.
MOMENTS = {
    "session.start": "session_start",
    "chat.message": "prompt",
    "tool.execute.after": "tool_done",
    "message.part.updated": "tool_done",
    "experimental.session.compacting": "before_compaction",
    "session.idle": "turn_end",
    "session.end": "session_end",
}

TOOLS = {
    "bash": "shell",
    "write": "edit",
    "edit": "edit",
    "apply_patch": "edit",
    "read": "read",
    "grep": "search",
    "glob": "search",
    "list": "search",
    "todowrite": "plan",
    "todoread": "plan",
    "skill": "skill",
    "task": "agent",
    "webfetch": "web",
    "websearch": "web",
}

HEARD = ("session.start", "chat.message", "tool.execute.after", "message.part.updated")


def parse(payload: "dict[str, Any]") -> "Event | None":
    """Read one payload.

    Raises:
        ValueError: a field is of a type that the bridge does not send.
    """
    event = begin("opencode", MOMENTS, payload)
    if event is None:
        return None
    if event.moment == "prompt":
        event.prompt = text(payload, "prompt", "")
        event.key = text(payload, "message_id", "")
        event.source = "" if event.key else fingerprint(event.prompt)
    elif event.moment == "tool_done":
        event.tool = tool = _tool(payload, failed=event.name == "message.part.updated")
        tool.whole_list = tool.name == "todowrite" and not event.subagent  # its list must not wipe its parent's
        event.key, event.source = call_of(payload)
    else:
        event.source = text(payload, "source", "") or text(payload, "reason", "")
    return event


def _tool(payload: "dict[str, Any]", failed: bool) -> Tool:
    name = text(payload, "tool_name")
    arguments = mapping(payload, "tool_input")
    response = mapping(payload, "tool_response")
    of_server = "isError" in response or (failed and "_" in name)  # `server_tool`; only such a result has the key
    tool = Tool(name, TOOLS.get(name) or ("mcp" if of_server else "other"))
    tool.paths = paths(arguments, "filePath", "path")
    tool.skill = text(arguments, "name", "") if tool.kind == "skill" else ""
    if name == "apply_patch":
        tool.paths = _patched(response)
    elif tool.kind == "shell":
        tool.command = text(arguments, "command", "")
    if failed:  # one that was aborted, rejected or forbidden did not fail: it did not run to its end
        stopped = text(response, "error", "").startswith(("Tool execution aborted", "The user "))
        tool.outcome = "unknown" if stopped or response.get("interrupted") is True else "failed"
    elif tool.kind == "shell":
        tool.outcome, tool.exit_code = _shell_outcome(tool.command, response.get("exit"))
    elif response.get("isError") is True or name == "invalid":  # what stands for a call that could not be understood
        tool.outcome = "failed"
    if name == "todowrite":
        items = listed(arguments.get("todos"))
        tool.todos = [{"title": text(item, "content", ""), "status": text(item, "status", "")} for item in items]
    return tool


def _shell_outcome(command: str, code: "Any") -> "tuple[str, int | None]":
    """How a command ended. A non-zero exit completes like any other; none at all: it timed out or was aborted."""
    from holdfast.jobs import in_background

    if type(code) is not int or abs(code) >= LATEST or (code == 0 and in_background(command)):
        return "unknown", None
    return ("failed" if code else "ok"), code


def _patched(response: "dict[str, Any]") -> "list[str]":
    """The files that a patch wrote; what it deleted is not among them."""
    written = [file for file in listed(response.get("files")) if file.get("type") != "delete"]
    return [
        path for file in written for path in (paths(file, "movePath") or paths(file, "filePath", "relativePath")[:1])
    ]


def render(event: "Event", reply: "Reply") -> "dict[str, Any] | None":
    """What the bridge takes from stdout, in the form that other hosts have."""
    answer: dict[str, Any] = {}
    if reply.notice and event.moment == "session_start":
        answer["systemMessage"] = reply.notice
    if reply.text and event.name in HEARD:
        answer["hookSpecificOutput"] = {"hookEventName": event.name, "additionalContext": reply.text}
    return answer or None
