"""Run what was registered, once, as the host would: does every hook fire, what does it say, how long does it take?

Half of the silent failures of hooks are registrations that are never run, or whose output the host drops. The trial
runs in a scratch project with the real project's workflow, so that its events count nowhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.install.installer import Change
    from holdfast.install.targets import Host

MOMENTS = {"prompt": "a prompt", "tool_done": "a tool call", "session_start": "the session resumes"}
TIMEOUT = 30.0  # seconds: hosts kill a hook of ours after 10
SHOWN_LINES = 12
SUFFIXES = (" 2>/dev/null || exit 0", " 2>$null; exit 0", " 2>nul || exit 0")
HOST_VARIABLES = ("CLAUDE", "GEMINI_", "CODEX_", "OPENCODE_", "COPILOT_", "HOLDFAST_")


def run(project: str, changes: list[Change], echo: Callable[[str], None]) -> list[str]:
    """Try the registered commands of every host in `changes` and show what each said.

    Returns:
        The hosts whose trial failed.
    """
    failed = []
    for change in changes:
        try:
            scratch = scratch_project(project)
        except OSError as error:
            echo(f"no trial run: {error}")
            return [change.host.name for change in changes]
        try:
            if not _try_host(change, scratch, echo):
                failed.append(change.host.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return failed


def scratch_project(project: str) -> str:
    """Make a scratch project with the real one's workflow, compiled as there."""
    from holdfast.workflow import index

    scratch = os.path.realpath(tempfile.mkdtemp(prefix="holdfast-trial-"))
    folder = os.path.join(scratch, ".holdfast")
    os.mkdir(folder, 0o700)
    for name in ("workflow.yaml", ".gitignore"):
        source = os.path.join(project, ".holdfast", name)
        if os.path.isfile(source):
            shutil.copyfile(source, os.path.join(folder, name))
    index.refresh(folder)
    return scratch


def environment(host: Host, scratch: str) -> dict[str, str]:
    """What the host would hand its hooks: the user's environment, and its own variable for the project."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(HOST_VARIABLES)}
    if host.project_variable:
        env[host.project_variable] = scratch
    if host.name == "gemini":
        env["CLAUDE_PROJECT_DIR"] = scratch
    if host.name == "copilot":
        env |= {"CLAUDE_PROJECT_DIR": scratch, "COPILOT_CLI": "1"}
    return env


def shell(host: Host, command: str) -> list[str] | None:
    """The program and arguments by which the host runs `command`, or None where its shell is missing."""
    if sys.platform == "win32":
        if command.startswith("& "):
            return ["powershell", "-NoProfile", "-Command", command]
        return ["cmd", "/C", command] if "2>nul" in command else ["bash", "-c", command]
    return [*host.runs, command] if shutil.which(host.runs[0]) else None


def _try_host(change: Change, scratch: str, echo: Callable[[str], None]) -> bool:
    from holdfast.hosts import samples

    host = change.host
    echo(f"trial run as {host.name}:")
    for moment, title in MOMENTS.items():
        payload: dict[str, Any] = samples.sample(host.name, moment, scratch)
        if moment == "session_start":
            payload["source"] = "resume"
        event = payload["hook_event_name"]
        command = change.entries[event]
        words = shell(host, command)
        if words is None:
            echo(f"  {host.runs[0]} is not on PATH, and {host.name} runs its hooks with it: not tried")
            return True
        said, problem, taken = fire(words, payload, environment(host, scratch), scratch)
        echo(f"  {title} ({event}), {taken:.0f} ms: {'failed' if problem else 'said' if said else 'said nothing'}")
        for line in said.splitlines()[:SHOWN_LINES]:
            echo(f"      {line}")
        if not problem and not os.path.exists(os.path.join(scratch, ".holdfast", "state.json")):
            problem = "it ended without a word and kept no state"
        if problem:
            echo(f"      {problem}{_reason(host, command, payload, scratch)}")
            return False
    return True


def fire(words: list[str], payload: dict[str, Any], env: dict[str, str], cwd: str) -> tuple[str, str, float]:
    """Run one hook: the text that the agent would see, what was wrong, milliseconds."""
    start = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603  the command is the one that was registered
            words,
            input=json.dumps(payload).encode(),
            env=env,
            cwd=cwd,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"it did not end in {TIMEOUT:.0f} s", TIMEOUT * 1000
    except OSError as error:
        return "", f"it could not be started: {error}", 0.0
    taken = (time.perf_counter() - start) * 1000
    if done.returncode or done.stderr:
        return (
            "",
            f"it ended {done.returncode} and wrote to stderr: {done.stderr.decode(errors='replace').strip()}",
            taken,
        )
    if not done.stdout.strip():
        return "", "", taken
    try:
        reply = json.loads(done.stdout)
        special = reply.get("hookSpecificOutput") or reply  # Copilot takes the text on the top level
        return str(special.get("additionalContext") or ""), "", taken
    except (ValueError, AttributeError):
        return "", f"it wrote what no host accepts: {done.stdout[:200]!r}", taken


def _reason(host: Host, command: str, payload: dict[str, Any], scratch: str) -> str:
    """What the hook complains of when its stderr is not thrown away, which the registered command does."""
    for suffix in SUFFIXES:
        bare = command.removesuffix(suffix)
        words = shell(host, bare)
        if bare != command and words:
            _, problem, _ = fire(words, payload, environment(host, scratch), scratch)
            return f" ({problem})" if problem else ""
    return ""
