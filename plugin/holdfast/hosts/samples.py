"""Payloads as the hosts send them, made up: for the trial run of an install and for dry runs without a payload.

Cold: no hook's common path comes here.
"""

import os
from typing import Any

PROMPT = "Please write the spec for refunds."
FILE = "docs/spec/refunds.md"
SESSION = "11111111-2222-4333-8444-555555555555"
TURN = "66666666-7777-4888-8999-000000000000"
STAMP = "2026-01-01T12:00:00.000Z"


def sample(host: str, moment: str, project: str) -> dict[str, Any]:
    """One payload.

    Args:
        host: one of `hosts.NAMES`.
        moment: session_start, prompt, tool_done, before_compaction, turn_end or session_end.
        project: the folder that the session works in.

    Raises:
        ValueError: there is no such host or moment.
    """
    makers = {"claude": _claude, "gemini": _gemini, "codex": _codex, "opencode": _opencode, "copilot": _copilot}
    if host not in makers:
        raise ValueError(f"no sample for the host {host!r}")
    name, more = makers[host](moment, project)
    return {"hook_event_name": name, "session_id": SESSION, "cwd": project, **more}


def _pick(moment: str, table: dict[str, tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
    if moment not in table:
        raise ValueError(f"no sample for the moment {moment!r}")
    return table[moment]


def _claude(moment: str, project: str) -> tuple[str, dict[str, Any]]:
    always = {"transcript_path": os.path.join(os.path.expanduser("~"), ".claude", "projects", "sample.jsonl")}
    turn = {**always, "prompt_id": TURN, "permission_mode": "default"}
    file = os.path.join(project, *FILE.split("/"))
    written = {
        "tool_name": "Write",
        "tool_input": {"file_path": file, "content": "# Refunds\n"},
        "tool_response": {"type": "create", "filePath": file, "content": "# Refunds\n"},
        "tool_use_id": "toolu_sample",
    }
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "session_start": ("SessionStart", {**always, "source": "startup"}),
        "prompt": ("UserPromptSubmit", {**turn, "prompt": PROMPT}),
        "tool_done": ("PostToolUse", {**turn, **written}),
        "before_compaction": ("PreCompact", {**turn, "trigger": "manual", "custom_instructions": None}),
        "turn_end": ("Stop", {**turn, "stop_hook_active": False}),
        "session_end": ("SessionEnd", {**always, "reason": "other"}),
    }
    return _pick(moment, table)


def _gemini(moment: str, project: str) -> tuple[str, dict[str, Any]]:
    always = {"transcript_path": "", "timestamp": STAMP}
    file = os.path.join(project, *FILE.split("/"))
    written = {
        "tool_name": "write_file",
        "tool_input": {"file_path": file, "content": "# Refunds\n"},
        "tool_response": {"llmContent": f"Successfully created and wrote to new file: {file}.", "returnDisplay": ""},
    }
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "session_start": ("SessionStart", {**always, "source": "startup"}),
        "prompt": ("BeforeAgent", {**always, "prompt": PROMPT}),
        "tool_done": ("AfterTool", {**always, **written}),
        "before_compaction": ("PreCompress", {**always, "trigger": "manual"}),
        "turn_end": ("AfterAgent", {**always, "prompt": PROMPT, "prompt_response": "Done.", "stop_hook_active": False}),
        "session_end": ("SessionEnd", {**always, "reason": "exit"}),
    }
    return _pick(moment, table)


def _codex(moment: str, project: str) -> tuple[str, dict[str, Any]]:
    del project  # its patches name paths relative to the payload's cwd
    always = {"transcript_path": None, "model": "sample", "permission_mode": "default"}
    turn = {**always, "turn_id": TURN}
    written = {
        "tool_name": "apply_patch",
        "tool_input": {"command": f"*** Begin Patch\n*** Add File: {FILE}\n+# Refunds\n*** End Patch\n"},
        "tool_response": "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess.\n",
        "tool_use_id": "call_sample",
    }
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "session_start": ("SessionStart", {**always, "source": "startup"}),
        "prompt": ("UserPromptSubmit", {**turn, "prompt": PROMPT}),
        "tool_done": ("PostToolUse", {**turn, **written}),
        "before_compaction": ("PreCompact", {**turn, "trigger": "manual"}),
        "turn_end": ("Stop", {**turn, "stop_hook_active": False, "last_assistant_message": "Done."}),
        "session_end": ("SessionEnd", {"transcript_path": None, "reason": "other"}),
    }
    return _pick(moment, table)


def _opencode(moment: str, project: str) -> tuple[str, dict[str, Any]]:
    file = os.path.join(project, *FILE.split("/"))
    written = {
        "tool_name": "write",
        "tool_input": {"filePath": file, "content": "# Refunds\n"},
        "tool_response": {},
        "tool_use_id": "prt_sample",
    }
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "session_start": ("session.start", {"source": "startup"}),
        "prompt": ("chat.message", {"prompt": PROMPT, "message_id": "msg_sample"}),
        "tool_done": ("tool.execute.after", written),
        "before_compaction": ("experimental.session.compacting", {}),
        "turn_end": ("session.idle", {}),
        "session_end": ("session.end", {"reason": "dispose"}),
    }
    return _pick(moment, table)


def _copilot(moment: str, project: str) -> tuple[str, dict[str, Any]]:
    always = {"timestamp": STAMP}
    file = os.path.join(project, *FILE.split("/"))
    written = {
        "tool_name": "Write",
        "tool_input": {"path": file, "file_text": "# Refunds\n"},
        "tool_result": {"result_type": "success", "text_result_for_llm": f"Created file {file} with 10 characters"},
    }
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "session_start": ("SessionStart", {**always, "source": "new", "initial_prompt": PROMPT}),
        "prompt": ("UserPromptSubmit", {**always, "prompt": PROMPT}),
        "tool_done": ("PostToolUse", {**always, **written}),
        "before_compaction": ("PreCompact", {**always, "trigger": "manual", "custom_instructions": ""}),
        "turn_end": ("Stop", {**always, "stop_reason": "end_turn", "stop_hook_active": False}),
        "session_end": ("SessionEnd", {**always, "reason": "complete"}),
    }
    return _pick(moment, table)
