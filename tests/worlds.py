"""Small worlds for tests of the moments: a workflow compiled in memory, a new state, and events made by hand."""

from itertools import count

from holdfast import moments
from holdfast.events import Event, Tool
from holdfast.state import document
from holdfast.workflow import compiler, loader
from holdfast.workflow.index import Index

FLOW = """
version: 1
name: shop
phases:
  - {id: spec, title: Write the spec, next: SPEC_WRITTEN, guidance: Describe the behaviour first.}
  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}
  - {id: ship, title: Ship it, next: DEPLOYED}
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  CODE_WRITTEN: {tool: edit, path: "src/**"}
  TESTS_PASSED: {tool: shell, command: "pytest", outcome: ok}
  TESTS_RAN: {tool: shell, command: "pytest"}
  TESTS_FAILED: {tool: shell, command: "pytest", outcome: failed}
  DEPLOYED: {tool: shell, command: "deploy", outcome: ok, after: TESTS_PASSED}
skills:
  payment-rules: {priority: high, keywords: [refund, "charge back"], patterns: ["charge.{0,20}card"]}
  release-notes: {priority: low, enforcement: warn, keywords: [changelog]}
  spec-style: {priority: critical, enforcement: block, keywords: [spec], phases: [spec]}
  shipping: {keywords: [deploy], after: [TESTS_PASSED]}
  database: {files: ["migrations/**"]}
  builder: {phases: [build]}
"""

TICKS = count(1)


def index_of(text=FLOW):
    return Index(compiler.compile_workflow(loader.load(text, "workflow.yaml"), [0, 0]))


def new():
    return document.new(1000.0)


def event(moment, session="s1", host="claude", **changes):
    names = {"session_start": "SessionStart", "prompt": "UserPromptSubmit", "tool_done": "PostToolUse"}
    made = Event(host, moment, names.get(moment, moment), session)
    tick = next(TICKS)
    made.at = 1000.0 + tick
    if moment in ("prompt", "tool_done"):
        made.key = f"key-{tick}"
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def tool(kind, name="", **changes):
    made = Tool(name or kind, kind)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def run(state, index, made):
    """Match and apply an event; the text for the model."""
    moments.module(made.moment).match(made, index)
    reply = moments.apply(state, made, index)
    return reply.text if reply else ""


def edit(state, index, path, **changes):
    return run(state, index, event("tool_done", tool=tool("edit", paths=[path]), **changes))


def shell(state, index, command, outcome="ok", **changes):
    code = {"ok": 0, "failed": 1}.get(outcome)
    return run(
        state,
        index,
        event("tool_done", tool=tool("shell", command=command, outcome=outcome, exit_code=code), **changes),
    )


def prompt(state, index, text, **changes):
    return run(state, index, event("prompt", prompt=text, **changes))


def start(state, index, source="startup", **changes):
    return run(state, index, event("session_start", source=source, **changes))
