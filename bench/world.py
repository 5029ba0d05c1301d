"""A project to measure in: a workflow with many skills, a state at its bounds, payloads that are new at each call."""

import compileall
import itertools
import json
import os
import shutil
import time
from typing import Any

from holdfast import bytecode, moments
from holdfast.events import Event, Tool
from holdfast.lean import write
from holdfast.state import document
from holdfast.workflow import index as compiled

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FULL = 400  # events that bring a state to its bounds
NUMBERS = itertools.count(time.time_ns() // 1000)


def install(place: str) -> str:
    """Lay hooks and package out in `place` as an install does, bytecode made; the folder of the hooks."""
    for name in ("hooks", "plugin"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(os.path.join(CHECKOUT, name), os.path.join(place, name), ignore=ignored)
    package = os.path.join(place, "plugin", "holdfast")
    compileall.compile_dir(package, quiet=1)
    bytecode.bundle(package)
    return os.path.join(place, "hooks")


def workflow(skills: int) -> str:
    """The text of a workflow.yaml with that many skills, each with keywords and a pattern."""
    lines = [
        "version: 1",
        "name: bench",
        "phases:",
        "  - {id: spec, title: Write the spec, next: SPEC_WRITTEN}",
        "  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}",
        "  - {id: ship, title: Ship it, next: SHIPPED}",
        "signals:",
        '  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}',
        '  CODE_WRITTEN: {tool: edit, path: "src/**/*.py"}',
        '  TESTS_PASSED: {tool: shell, command: "(^|&& )(python -m )?pytest", outcome: ok}',
        '  SHIPPED: {tool: shell, command: "git push|deploy", outcome: ok, after: TESTS_PASSED}',
        "skills:",
    ]
    lines += [
        f"  skill-{number}: {{priority: high, keywords: [topic{number}, 'area {number}'],"
        f" patterns: ['(make|write).{{0,30}}thing{number}']}}"
        for number in range(skills)
    ]
    return "\n".join(lines) + "\n"


def filled_state(index: compiled.Index, events: int) -> dict[str, Any]:
    """A state after that many events, at its bounds after FULL, with a session `bench` that works in it."""
    state = document.new(1_700_000_000.0)
    for number in range(events):
        session = "bench" if number % 20 == 0 else f"0000-1111-2222-3333-{number % 25}"
        event = Event("claude", "tool_done", "PostToolUse", session)
        event.at, event.key = 1_700_000_000.0 + number, str(number)
        event.tool = Tool("Write", "edit")
        event.tool.paths = [f"lib/folder/file-{number}.py"]
        moments.apply(state, event, index)
        event = Event("claude", "tool_done", "PostToolUse", session)
        event.at, event.key = 1_700_000_000.5 + number, f"{number}-todo"
        event.tool = Tool("TaskCreate", "plan")
        event.tool.todos = [{"title": f"Task number {number}, of a usual length", "status": "pending"}]
        moments.apply(state, event, index)
        document.bound(state)
    return state


def build(place: str, skills: int, events: int = FULL) -> str:
    """Make a project in the folder `place`; its path."""
    project = os.path.join(place, f"project-{skills}-{events}")
    folder = os.path.join(project, ".holdfast")
    os.makedirs(folder, mode=0o700)
    with open(os.path.join(folder, compiled.SOURCE), "w", encoding="utf-8") as file:
        file.write(workflow(skills))
    index = compiled.refresh(folder)
    if events:
        fd = os.open(os.path.join(folder, "state.json"), os.O_WRONLY | os.O_CREAT, 0o600)
        write(fd, document.encode(filled_state(index, events)))
        os.close(fd)
    return project


def payload(kind: str, project: str, host: str = "claude") -> bytes:
    """A payload that was never seen before. kind: start, prompt, fires, tool or read."""
    number = next(NUMBERS)
    words = {
        "prompt": f"please look at why the order page is slow since yesterday, request {number}",
        "fires": f"please write a new thing7 for the order page, request {number}",
    }
    session = f"bench-{number}" if kind == "fires" else "bench"
    always = {"session_id": session, "cwd": project}
    file = f"{project}/src/module_{number % 50}.py"
    tool, given = "Write", {"file_path": file, "content": "x = 1\n" * 50}
    asked, called = "UserPromptSubmit", "PostToolUse"
    call: dict[str, Any] = {"tool_use_id": f"t-{number}", "tool_response": {}}
    if host == "gemini":
        always |= {"timestamp": f"2026-01-01T00:00:00.{number}Z", "transcript_path": ""}
        asked, called, tool, call = "BeforeAgent", "AfterTool", "write_file", {"tool_response": {}}
    elif host == "codex":
        always |= {"transcript_path": None, "turn_id": str(number), "model": "m", "permission_mode": "default"}
        tool, given = "apply_patch", {"command": f"*** Begin Patch\n*** Update File: {file}\n+x = 1\n*** End Patch\n"}
        call["tool_response"] = ""
    elif host == "opencode":
        asked, called, tool = "chat.message", "tool.execute.after", "write"
        always["message_id"] = str(number)
        given = {"filePath": file, "content": "x"}
    elif host == "copilot":
        always["timestamp"] = f"2026-01-01T00:00:00.{number}Z"
        given, call = {"path": file, "file_text": "x = 1\n" * 50}, {"tool_result": {"result_type": "success"}}
    else:
        always |= {"transcript_path": "/home/x/.claude/projects/p/bench.jsonl", "prompt_id": str(number)}
        if kind == "start":
            return _bytes(always, hook_event_name="SessionStart", source=("resume", "compact")[number % 2])
        if kind == "read":
            tool, given = "Read", {"file_path": file}
    if kind in words:
        return _bytes(always, hook_event_name=asked, prompt=words[kind])
    return _bytes(always, hook_event_name=called, tool_name=tool, tool_input=given, **call)


def _bytes(always: "dict[str, Any]", **more: Any) -> bytes:
    return json.dumps({**always, **more}).encode()
