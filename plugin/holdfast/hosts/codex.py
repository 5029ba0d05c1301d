"""Codex CLI (facts recorded from 0.169.0)."""

from holdfast.events import Tool
from holdfast.hosts import DIGITS, begin, call_of, exit_code, fingerprint, listed, mapping, paths, text
from holdfast.lean import drain, loads, os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event, Reply

ROOT_VARIABLE = ""

MOMENTS = {
    "SessionStart": "session_start",
    "UserPromptSubmit": "prompt",
    "PostToolUse": "tool_done",
    "PreCompact": "before_compaction",
    "Stop": "turn_end",
    "SessionEnd": "session_end",
}

TOOLS = {
    "Bash": "shell",
    "apply_patch": "edit",
    "view_image": "read",
    "update_plan": "plan",
    "spawn_agent": "agent",
    "web_search": "web",
}

HEARD = ("SessionStart", "UserPromptSubmit", "PostToolUse")
LONGEST = 8_000  # bytes: past about 2,500 tokens, of four bytes each, a text is cut to its head and tail
TAIL = 256 * 1024
TOLD_APART = 24  # characters of output that must agree before a line without its id is taken for ours
PATCHED = ("*** Add File: ", "*** Update File: ", "*** Move to: ")  # what is deleted was not written


def parse(payload: "dict[str, Any]") -> "Event | None":
    """Read one payload, and the end of the session's transcript for a shell command's exit code.

    Raises:
        ValueError: a field is of a type that the host does not send.
    """
    event = begin("codex", MOMENTS, payload)
    if event is None:
        return None
    if event.moment == "prompt":
        event.prompt = text(payload, "prompt", "")
        turn, words = text(payload, "turn_id", ""), fingerprint(event.prompt)
        event.key, event.source = (turn + words, "") if turn else ("", words)
    elif event.moment == "tool_done":
        event.tool = _tool(payload, event.transcript)
        event.key, event.source = call_of(payload)
    elif event.moment == "session_start":
        event.source = text(payload, "source", "startup")
    else:
        event.source = text(payload, "trigger", "") or text(payload, "reason", "")
    return event


def _tool(payload: "dict[str, Any]", transcript: str) -> Tool:
    name = text(payload, "tool_name")
    tool = Tool(name, TOOLS.get(name) or ("mcp" if name.startswith("mcp__") else "other"))
    arguments = mapping(payload, "tool_input")
    response = payload.get("tool_response")
    if name == "apply_patch":  # one that fails fires nothing
        tool.paths = patched(text(arguments, "command", ""))
        code = exit_code(response) if isinstance(response, str) and response.startswith("Exit code:") else None
        tool.outcome = "failed" if code else "ok"
    elif tool.kind == "shell":
        from holdfast.jobs import in_background

        tool.command = text(arguments, "command", "")
        call = text(payload, "tool_use_id", "")
        tool.exit_code = recorded_exit(transcript, call, response if isinstance(response, str) else "")
        if tool.exit_code == 0 and in_background(tool.command):
            tool.exit_code = None
        tool.outcome = "unknown" if tool.exit_code is None else "failed" if tool.exit_code else "ok"
    elif isinstance(response, dict) and response.get("isError") is True:
        tool.outcome = "failed"
    if tool.kind == "read":
        tool.paths = paths(arguments, "path")
    if name == "update_plan":
        items = listed(arguments.get("plan"))
        tool.todos = [{"title": text(item, "step", ""), "status": text(item, "status", "")} for item in items]
        tool.whole_list = True
    return tool


def patched(patch: str) -> "list[str]":
    """The paths that a patch writes, relative to the session's folder or absolute; of a move the new one."""
    found: list[str] = []
    for line in patch.split("\n"):
        for mark in PATCHED:
            if line.startswith(mark):
                if mark == PATCHED[2]:
                    del found[-1:]
                found.append(line[len(mark) :].strip())
    return found


def recorded_exit(transcript: str, call: str, output: str) -> "int | None":
    """The exit code that the transcript gives for the tool call, or None.

    The payload has none. The host writes a line about the call to the transcript before it runs the hook; the command's
    whole output stands in that line between the call's id and its exit code. So the last 256 KiB may begin inside the
    line, its id cut off: then the end of the output must agree with the payload's.
    """
    if not transcript or not call:
        return None
    try:  # O_NONBLOCK: to open a FIFO would wait for its writer
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        fd = os.open(transcript, flags)
        try:
            size = os.fstat(fd).st_size
            os.lseek(fd, max(0, size - TAIL), 0)  # 0: from the start
            data = drain(fd, TAIL)
        finally:
            os.close(fd)
    except (OSError, ValueError):  # ValueError: a null character in the path
        return None
    name = f'"{call}"'.encode("utf-8", "surrogatepass")
    position = len(data)
    while (position := data.rfind(name, 0, position)) >= 0:
        start, end = data.rfind(b"\n", 0, position) + 1, data.find(b"\n", position)
        line = data[start : end if end >= 0 else len(data)]
        position = start  # one look a line, however often an output names the call
        if b'"CommandExecution"' in line and (item := _item(line)).get("id") == call:
            code = item.get("exit_code")
            return code if type(code) is int and len(str(code)) < DIGITS else None
    return _cut_line_exit(data.split(b"\n", 1)[0], output) if size > TAIL else None


def _item(line: bytes) -> "dict[str, Any]":
    """What a line of the transcript tells of, or an empty object."""
    try:
        item = loads(line)["payload"]["item"]
    except (ValueError, KeyError, TypeError):
        return {}
    return item if isinstance(item, dict) else {}


def _cut_line_exit(line: bytes, output: str) -> "int | None":
    mark = b'","exit_code":'
    end = line.rfind(mark)
    if end < 0 or len(output) < TOLD_APART:
        return None
    code = line[end + len(mark) :].split(b",", 1)[0].rstrip(b"}")
    for start in range(max(0, end - 400), max(0, end - 400) + 12):  # the cut must not fall inside an escape
        try:
            shown = loads(b'"' + line[start:end] + b'"')
        except ValueError:
            continue
        shown = shown.rstrip()
        if len(shown) >= TOLD_APART and output.rstrip().endswith(shown) and code.lstrip(b"-").isdigit():
            return int(code) if len(code) < DIGITS else None
    return None


def render(event: "Event", reply: "Reply") -> "dict[str, Any] | None":
    """What stdout may say: one key that the release does not know voids the whole."""
    answer: dict[str, Any] = {}
    if reply.notice and event.moment == "session_start":
        answer["systemMessage"] = reply.notice
    if reply.text and event.name in HEARD:
        answer["hookSpecificOutput"] = {"hookEventName": event.name, "additionalContext": _capped(reply.text)}
    return answer or None


def _capped(text: str) -> str:
    """As much of a text as the host shows whole."""
    return text.encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
