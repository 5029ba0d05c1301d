"""A host from the outside: payloads as it sends them, and the real entrypoints run as it runs them.

`fire` starts a hook in a process of its own with a payload on stdin and the host's environment. `payload` gives a recorded
payload, moved into a test's project; `start`, `prompt`, `edit_call`, `shell_call` and `background_call` are the common ones.
"""

import datetime as dt
import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.project import Project
from holdfast.workflow import compiler

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ROOT / "plugin"
PAYLOADS = Path(__file__).resolve().parent / "payloads"
HOSTS = ("claude", "gemini", "codex", "opencode", "copilot")

# What a host runs for which of its events; where names agree the hook is the same.
HOOKS = {
    "SessionStart": "session_resume",
    "UserPromptSubmit": "prompt_activation",
    "BeforeAgent": "prompt_activation",
    "PostToolUse": "post_tool_use",
    "PostToolUseFailure": "post_tool_use",
    "AfterTool": "post_tool_use",
    "PreCompact": "before_compaction",
    "PreCompress": "before_compaction",
    "Stop": "turn_end",
    "AfterAgent": "turn_end",
    "SessionEnd": "session_end",
    "session.start": "session_resume",
    "chat.message": "prompt_activation",
    "tool.execute.after": "post_tool_use",
    "message.part.updated": "post_tool_use",
    "experimental.session.compacting": "before_compaction",
    "session.idle": "turn_end",
    "session.end": "session_end",
}
STARTED = {**dict.fromkeys(HOSTS, "SessionStart"), "opencode": "session.start"}
PROMPT = {**dict.fromkeys(HOSTS, "UserPromptSubmit"), "gemini": "BeforeAgent", "opencode": "chat.message"}
SHELL = {
    **dict.fromkeys(HOSTS, "PostToolUse.Bash"),
    "gemini": "AfterTool.run_shell_command",
    "opencode": "tool.execute.after.bash",
}
WRITTEN = {
    **dict.fromkeys(HOSTS, "PostToolUse.Write"),
    "gemini": "AfterTool.write_file",
    "codex": "PostToolUse.apply_patch",
    "opencode": "tool.execute.after.write",
}

FLOW = """
version: 1
name: shop
phases:
  - {id: spec, title: Write the spec, next: SPEC_WRITTEN, guidance: Describe the behaviour first.}
  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}
  - {id: ship, title: Ship it}
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  CODE_WRITTEN: {tool: edit, path: "src/**"}
  TESTS_PASSED: {tool: shell, command: pytest, outcome: ok}
skills:
  payment-rules: {priority: high, keywords: [refund], patterns: ["charge.{0,20}card"]}
  release-notes: {priority: low, keywords: [changelog]}
"""

TICKS = itertools.count()


class Answer(NamedTuple):
    """What a hook said. reply: the JSON object on stdout, if any. text: what reaches the model, or ""."""

    code: int
    stdout: str
    stderr: str
    reply: "dict[str, Any] | None"
    text: str


def make_project(folder, workflow=FLOW):
    """A project folder with a `.holdfast` in it, its workflow compiled so that hooks start warm."""
    folder = Path(folder)
    kept = folder / ".holdfast"
    kept.mkdir(parents=True)
    kept.chmod(0o700)
    (kept / "workflow.yaml").write_text(workflow, encoding="utf-8")
    found = compiler.refresh(str(kept))
    assert not found.header["error"], found.header["error"]
    return folder


def recorded(host, name):
    """A payload as it was recorded."""
    return json.loads((PAYLOADS / host / f"{name}.json").read_text(encoding="utf-8"))


def payload(host, name, project, **changes):
    """A recorded payload in a test's project, of the session `HOST-session`, with fresh ids and a later time.

    Args:
        host: one of HOSTS.
        name: a file's name under `payloads/HOST`, without `.json`.
        project: the folder that stands for the recorded one.
        changes: top-level keys that are replaced.
    """
    moved = (PAYLOADS / host / f"{name}.json").read_text(encoding="utf-8")
    for placeholder, folder in (("/home/dev/shop", str(project)), ("/home/dev", os.environ["HOME"])):
        moved = moved.replace(placeholder, json.dumps(folder)[1:-1])
    made = json.loads(moved)
    made["parent_agent_id" if "parent_agent_id" in made else "session_id"] = f"{host}-session"
    for key in ("tool_use_id", "prompt_id", "turn_id", "message_id"):
        if key in made:
            made[key] = f"{key}-{uuid.uuid4().hex}"
    if "timestamp" in made:
        at = dt.datetime.fromtimestamp(int(time.time()) + next(TICKS) / 1000, dt.timezone.utc)
        made["timestamp"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**made, **changes}


def start(host, project, source="startup", **changes):
    """A session starts; `source` may be any that the host has a recorded start for."""
    return payload(host, f"{STARTED[host]}.{source}", project, **changes)


def prompt(host, project, text, **changes):
    """The user submits a prompt."""
    return payload(host, PROMPT[host], project, prompt=text, **changes)


def edit_call(host, project, path, text="x\n", **changes):
    """The agent has written `path`, given relative to the project. The file itself is not made."""
    full = str(Path(project) / path)
    if host == "codex":
        added = "".join(f"+{line}\n" for line in text.splitlines())
        given = {"command": f"*** Begin Patch\n*** Add File: {path}\n{added}*** End Patch\n"}
    elif host == "copilot":
        given = {"path": full, "file_text": text}
    else:
        given = {"filePath" if host == "opencode" else "file_path": full, "content": text}
    return payload(host, WRITTEN[host], project, tool_input=given, **changes)


def shell_call(host, project, command, code=0, output="", **changes):
    """A shell command has ended with `code`: in the payload, or for Codex in the transcript beside it."""
    given = {"tool_input": {"command": command}}
    if host == "claude" and code:
        error = f"Exit code {code}\n{output}"
        return payload(host, "PostToolUseFailure.Bash", project, **given, error=error, **changes)
    made = payload(host, SHELL[host], project, **given, **changes)
    if host == "claude":
        made["tool_response"]["stdout"] = output
    elif host == "gemini":
        made["tool_response"] = {"llmContent": gemini_result(output, code), "returnDisplay": output}
    elif host == "opencode":
        made["tool_response"] = {"exit": code}
    elif host == "copilot":
        made["tool_result"]["text_result_for_llm"] = copilot_result(output, code)
    else:
        made["tool_response"] = output
        made["transcript_path"] = os.path.join(os.environ["HOME"], "rollout-test.jsonl")
        made |= changes
        with open(made["transcript_path"], "ab") as file:
            file.write(transcript_line(made["tool_use_id"], code, output, command))
    return {**made, **changes}


def background_call(host, project, command, **changes):
    """A shell command was sent to the background: how it ends is never told."""
    given = {"command": command, "run_in_background": True} if host == "claude" else {"command": command}
    made = payload(host, SHELL[host], project, tool_input=given)
    if host == "claude":
        made["tool_response"] |= {"stdout": "", "backgroundTaskId": "b1"}
    elif host == "gemini":
        made["tool_input"]["is_background"] = True
        moved = "Command moved to background (PID: 77). Output hidden. Press Ctrl+B to view."
        made["tool_response"] = {"llmContent": f"<untrusted_context>\n{moved}\n</untrusted_context>"}
    elif host == "copilot":
        made["tool_input"]["mode"] = "async"
        made["tool_result"]["text_result_for_llm"] = "<command started in background with shellId: s1>"
    else:
        raise ValueError(f"{host} tells nothing of a command that goes on")
    return {**made, **changes}


def gemini_result(output="", code=0, *trailer):
    """What Gemini shows its model of a finished command; `trailer` lines come before the process group's."""
    lines = [f"Output: {output or '(empty)'}", *trailer]
    if code:
        lines.append(f"Exit Code: {code}")
    return "<untrusted_context>\n" + "\n".join([*lines, "Process Group PGID: 4242"]) + "\n</untrusted_context>"


def copilot_result(output="", code=0, shell="0"):
    """What Copilot shows its model of a finished command."""
    return f"{output}\n<shellId: {shell} completed with exit code {code}>"


def transcript_line(call, code, output="", command="true"):
    """The line of a Codex transcript that tells how a command ended."""
    item = {
        "type": "CommandExecution",
        "id": call,
        "process_id": "1",
        "command": ["/bin/bash", "-lc", command],
        "cwd": "file:///home/dev/shop",
        "parsed_cmd": [{"type": "unknown", "cmd": command}],
        "source": "unified_exec_startup",
        "status": "failed" if code else "completed",
        "aggregated_output": output,
        "exit_code": code,
        "duration": {"secs": 0, "nanos": 1},
    }
    line = {
        "timestamp": "2026-11-20T08:49:06.511Z",
        "ordinal": 13,
        "type": "event_msg",
        "payload": {"type": "item_completed", "item": item},
    }
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def host_env(host, project):
    """The environment that a host gives its hooks. Codex and OpenCode are started from a shell of Claude Code, as happens,
    and Claude Code and Gemini from one of Copilot.
    """
    kept = {
        name: value for name, value in os.environ.items() if name in ("HOME", "PATH", "LANG", "TMPDIR", "SYSTEMROOT")
    }
    here, elsewhere = str(project), str(Path(project).parent)
    own = {
        "claude": {"CLAUDE_PROJECT_DIR": here, "CLAUDECODE": "1", "COPILOT_CLI": "1"},
        "gemini": {
            **dict.fromkeys(("GEMINI_PROJECT_DIR", "GEMINI_CWD", "CLAUDE_PROJECT_DIR"), here),
            "COPILOT_CLI": "1",
        },
        "codex": {"CLAUDE_PROJECT_DIR": elsewhere, "CLAUDECODE": "1"},
        "opencode": {"CLAUDE_PROJECT_DIR": elsewhere, "CLAUDECODE": "1"},
        "copilot": {"CLAUDE_PROJECT_DIR": here, "COPILOT_PROJECT_DIR": here, "COPILOT_CLI": "1"},
    }
    return {**kept, **own[host]}


def command_of(host, hook, *options):
    """The words that start a hook as a host's registration does."""
    return [sys.executable, "-I", "-S", *options, str(ROOT / "hooks" / f"{hook}.py"), "--host", host]


def fire(host, given, project, *, env=None, hook=None):
    """Run the hook that is registered for a payload, as the host does.

    Args:
        host: the host that it is registered for.
        given: a payload, or bytes to put on stdin as they are (then `hook` must be named).
        project: the folder that the host works in, and the hook's working directory.
        env: variables beyond the host's own; None as a value takes one away.
        hook: the entrypoint's name, where the payload does not tell it.
    """
    data = given if isinstance(given, bytes) else json.dumps(given).encode()
    words = command_of(host, hook or HOOKS[given["hook_event_name"]])
    variables = {**host_env(host, project), **(env or {})}
    variables = {name: value for name, value in variables.items() if value is not None}
    run = subprocess.run(words, input=data, cwd=project, env=variables, capture_output=True, timeout=60, check=False)
    stdout, stderr = run.stdout.decode(), run.stderr.decode(errors="replace")
    reply = json.loads(stdout) if stdout.strip() else None
    said = (reply or {}) if host == "copilot" else (reply or {}).get("hookSpecificOutput") or {}
    return Answer(run.returncode, stdout, stderr, reply, said.get("additionalContext", ""))


def state_of(project):
    """The state as `holdfast state read` prints it, spooled events included."""
    return Project(str(Path(project) / ".holdfast")).read()


def audit_of(project):
    """The lines of the audit trail."""
    trail = Path(project) / ".holdfast" / "audit.jsonl"
    return [json.loads(line) for line in trail.read_text(encoding="utf-8").splitlines()] if trail.exists() else []
