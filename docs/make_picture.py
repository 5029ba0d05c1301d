"""Draws docs/picture.svg: one workflow through Claude Code and Codex CLI, as the real hooks tell it.

    python docs/make_picture.py

Each line under a `>` is what a hook said to the agent on a payload as the host sends it. `tests/readme_test.py` tells
the story again and holds the picture to it.
"""

import json
import os
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
HOOKS = os.path.join(os.path.dirname(HERE), "hooks")
WORKFLOW = """\
version: 1
name: shop
phases:
  - {id: spec, title: Write the spec, next: SPEC_WRITTEN}
  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}
  - {id: ship, title: Ship it}
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  CODE_WRITTEN: {tool: edit, path: "src/**"}
  TESTS_PASSED: {tool: shell, command: "@tests", outcome: ok}
skills:
  payment-rules: {priority: high, keywords: [refund]}
"""
WIDTH = 100


def payloads(project: str) -> "list[tuple[str, str, str, dict[str, object]]]":
    """(what a person sees, host, hook, payload) for each step of the story."""
    claude = {"session_id": "morning", "cwd": project, "transcript_path": f"{project}/.claude/projects/p.jsonl"}
    codex = {"session_id": "evening", "cwd": project, "transcript_path": None, "model": "m", "turn_id": "1"}
    begun = {"hook_event_name": "SessionStart", "source": "startup"}
    prompt = {"hook_event_name": "UserPromptSubmit", "prompt_id": "1", "prompt": "Write the spec for a refund."}
    done = {**claude, "hook_event_name": "PostToolUse", "tool_name": "Write", "tool_response": {}}
    spec = {**done, "tool_use_id": "1", "tool_input": {"file_path": f"{project}/docs/spec/refunds.md"}}
    code = {**done, "tool_use_id": "2", "tool_input": {"file_path": f"{project}/src/refunds.py"}}
    failed = {
        **claude,
        "hook_event_name": "PostToolUseFailure",
        "tool_name": "Bash",
        "tool_use_id": "3",
        "tool_input": {"command": "pytest -q"},
        "error": "Exit code 1",
    }
    return [
        ("Claude Code starts", "claude", "session_resume", {**claude, **begun}),
        ("you: Write the spec for a refund.", "claude", "prompt_activation", {**claude, **prompt}),
        ("Write docs/spec/refunds.md", "claude", "post_tool_use", spec),
        ("Write src/refunds.py", "claude", "post_tool_use", code),
        ("Bash pytest -q: exit code 1", "claude", "post_tool_use", failed),
        ("kill -9; later, Codex CLI starts", "codex", "session_resume", {**codex, **begun}),
    ]


def story() -> "list[str]":
    """The lines of the story: what happened after a `$`, what the hook told the agent after a `>`."""
    lines = []
    with tempfile.TemporaryDirectory() as place:
        project = os.path.join(os.path.realpath(place), "shop")
        os.makedirs(os.path.join(project, ".holdfast"), mode=0o700)
        with open(os.path.join(project, ".holdfast", "workflow.yaml"), "w", encoding="utf-8") as file:
            file.write(WORKFLOW)
        for seen, host, hook, payload in payloads(project):
            words = [sys.executable, "-I", "-S", os.path.join(HOOKS, f"{hook}.py"), "--host", host]
            env = {"PATH": os.environ["PATH"], "HOME": place}
            run = subprocess.run(words, input=json.dumps(payload).encode(), env=env, stdout=subprocess.PIPE, check=True)
            answer = json.loads(run.stdout) if run.stdout else {}
            said = answer.get("hookSpecificOutput", {}).get("additionalContext", "")
            lines.append(f"$ {seen}")
            for line in said.splitlines():
                lines += textwrap.wrap(line, WIDTH, initial_indent="  > ", subsequent_indent="    ")
    return lines


def main() -> None:
    """Write the picture, and print the story for the README."""
    from rich.console import Console
    from rich.text import Text

    lines = story()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH + 2, file=nowhere, force_terminal=True, color_system="truecolor")
        for line in lines:
            console.print(Text(line, style="bold" if line.startswith("$") else "green"))
        svg = console.export_svg(title="one workflow, two CLIs", unique_id="holdfast")
    with open(os.path.join(HERE, "picture.svg"), "w", encoding="utf-8") as file:
        file.write(svg)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
