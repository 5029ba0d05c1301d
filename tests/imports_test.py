"""What a hook imports is what it costs: each is held to a list, and fails with one module more."""

import json
import subprocess
import sys

import pytest

from firing import HOSTS, ROOT, command_of, edit_call, fire, host_env, payload, prompt, shell_call, start

# Built in, or small and in C.
STANDARD = {"_blake2", "_json", "_signal", "_sre", "fcntl", "gc", "posix", "time"}
LOCATED = {
    "holdfast",
    "holdfast.start",
    "holdfast.deadline",
    "holdfast.lean",
    "holdfast.hook",
    "holdfast.events",
    "holdfast.hosts",
}
APPLIED = LOCATED | {
    "holdfast.moments",
    "holdfast.state",
    "holdfast.state.audit",
    "holdfast.state.backups",  # once a minute
    "holdfast.state.document",
    "holdfast.state.guard",
    "holdfast.state.previous",
    "holdfast.state.store",
    "holdfast.workflow",
    "holdfast.workflow.index",
    "holdfast.workflow.patterns",
}
RESUME = APPLIED | {"holdfast.moments.resume", "holdfast.state.sweeping"}
ALLOWED = {
    "session_resume": RESUME,
    "prompt_activation": APPLIED | {"holdfast.moments.activation", "holdfast.workflow.skills"},
    "post_tool_use": APPLIED | {"holdfast.moments.tracking"},
    "before_compaction": RESUME,
    "turn_end": RESUME,
    "session_end": RESUME,
}
SLOW = {
    "json",
    "re",
    "os",
    "typing",
    "pydantic",
    "filelock",
    "tenacity",
    "yaml",
    "site",
    "enum",
    "functools",
    "collections",
}


def imported(words, project, host, data=b"", **env):
    """The modules that a process imports, in order, and its stdout."""
    variables = {**host_env(host, project), **env}
    run = subprocess.run(words, input=data, cwd=project, env=variables, capture_output=True, check=True)
    lines = [line for line in run.stderr.decode().splitlines() if line.startswith("import time:")]
    return [line.rpartition("|")[2].strip() for line in lines[1:]], run.stdout


def by_program(program, project):
    """What the bare interpreter imports to run a program."""
    words = [sys.executable, "-I", "-S", "-X", "importtime", "-c", program]
    return set(imported(words, project, "claude")[0])


def by_hook(host, hook, given, project, **env):
    """What a hook imports beyond what the bare interpreter does, and what it said."""
    words = command_of(host, hook, "-X", "importtime")
    found, said = imported(words, project, host, json.dumps(given).encode(), **env)
    return set(found) - by_program("pass", project), said


def ordinary(host, hook, project):
    """A payload of the common kind, one that needs the workflow's rules where there are any."""
    named = {
        "before_compaction": {**dict.fromkeys(HOSTS, "PreCompact.auto"), "gemini": "PreCompress.manual"},
        "turn_end": {**dict.fromkeys(HOSTS, "Stop"), "gemini": "AfterAgent", "opencode": "session.idle"},
        "session_end": {
            "claude": "SessionEnd.other",
            "gemini": "SessionEnd.exit",
            "codex": "SessionEnd",
            "opencode": "session.end",
            "copilot": "SessionEnd.complete",
        },
    }
    named["before_compaction"]["opencode"] = "experimental.session.compacting"
    if hook == "session_resume":
        return start(host, project, "resume")
    if hook == "prompt_activation":
        return prompt(host, project, "the refund: charge it to the card")
    if hook == "post_tool_use":
        return edit_call(host, project, "docs/spec/a.md")
    return payload(host, named[hook][host], project)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="another interpreter")
@pytest.mark.parametrize("hook", ALLOWED)
@pytest.mark.parametrize("host", HOSTS)
def test_a_hook_imports_no_more_than_it_is_allowed(host, hook, project):
    fire(host, start(host, project), project)  # the first event of a project makes its state
    found, said = by_hook(host, hook, ordinary(host, hook, project), project)
    assert found <= ALLOWED[hook] | STANDARD | {f"holdfast.hosts.{host}"}
    assert not found & SLOW
    assert f"holdfast.hosts.{host}" in found and "holdfast.state.store" in found, "it did run"
    assert bool(said) == (hook in ("session_resume", "prompt_activation", "post_tool_use"))


@pytest.mark.parametrize("host", HOSTS)
def test_a_passing_test_run_costs_one_module_more_than_an_edit(host, project):
    fire(host, start(host, project), project)
    found, _said = by_hook(host, "post_tool_use", shell_call(host, project, "pytest -q && make"), project)
    assert found <= ALLOWED["post_tool_use"] | STANDARD | {f"holdfast.hosts.{host}", "holdfast.jobs"}


@pytest.mark.parametrize("host", HOSTS)
def test_a_folder_without_a_workflow_costs_nearly_nothing(host, tmp_path):
    found, said = by_hook(host, "prompt_activation", prompt(host, tmp_path, "go on"), tmp_path)
    assert found <= LOCATED | STANDARD | {f"holdfast.hosts.{host}"}
    assert said == b""


@pytest.mark.parametrize("host", ["claude", "gemini", "opencode"])
def test_a_read_that_nothing_asks_for_ends_before_the_state(host, project):
    fire(host, start(host, project), project)
    name = {"claude": "PostToolUse.Read", "gemini": "AfterTool.read_file", "opencode": "tool.execute.after.read"}[host]
    found, said = by_hook(host, "post_tool_use", payload(host, name, project), project)
    index = {"holdfast.workflow", "holdfast.workflow.index", "holdfast.workflow.patterns"}
    assert found <= LOCATED | index | STANDARD | {f"holdfast.hosts.{host}"}
    assert said == b""


def test_a_disabled_hook_costs_less_still(project):
    given = edit_call("claude", project, "a.py")
    found, _said = by_hook("claude", "post_tool_use", given, project, HOLDFAST_DISABLE="1")
    assert found <= (LOCATED - {"holdfast.events", "holdfast.hosts"}) | STANDARD


def test_an_import_that_a_hook_must_not_do_would_be_seen(project):
    assert {"json", "re", "typing"} <= by_program("import json, typing", project) - by_program("pass", project)


@pytest.mark.parametrize("host", HOSTS)
def test_a_native_packages_hook_imports_no_more_than_one_of_install_py(host, project, tmp_path):
    fire(host, start(host, project), project)
    words = [sys.executable, "-I", "-S", "-X", "importtime", str(ROOT / "plugin" / "hooks" / "run.py")]
    words += ["--host", host, "--data", str(tmp_path / "data")]
    given = json.dumps(edit_call(host, project, "docs/spec/a.md")).encode()
    first, _said = imported(words, project, host, given)
    assert set(first) - by_program("pass", project) <= ALLOWED["post_tool_use"] | STANDARD | {f"holdfast.hosts.{host}"}
