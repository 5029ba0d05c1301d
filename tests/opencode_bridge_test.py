"""OpenCode's bridge under node, between a made-up OpenCode and the real hooks."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firing import ROOT, audit_of, recorded, state_of
from holdfast.install import registration, targets
from holdfast.install.environment import Runtime

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

DRIVER = Path(__file__).resolve().parent / "opencode_driver.mjs"
SYSTEM = "experimental.chat.system.transform"
COMPACTING = "experimental.session.compacting"
BRIEFING = "Holdfast keeps this project's workflow, shop."
SPEC_DONE = "Holdfast: the phase spec is complete."


def bridge(folder, python=sys.executable, hooks=ROOT / "hooks", **changed):
    """The bridge as it is installed; `changed` are constants of it, by name."""
    runtime = Runtime(str(python), str(hooks), str(ROOT / "manifests"))
    text = registration.script(targets.HOSTS["opencode"], runtime).decode()
    for name, value in changed.items():
        before, mark, after = text.partition(f"const {name} = ")
        assert mark
        text = f"{before}{mark}{value} //{after}"
    path = folder / "holdfast.mjs"
    path.write_text(text, encoding="utf-8")
    return path


def play(project, *steps, path=None, **given):
    """What node says after the steps, which must not disturb it."""
    words = ["node", str(DRIVER), str(path or bridge(project.parent))]
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    asked = json.dumps({"steps": steps, **given})
    done = subprocess.run(
        words, input=asked, cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout) if done.stdout else None


def stub(folder, code="pass"):
    """Hooks that keep what they are given, one file each in the order of their start, and then run `code`."""
    hooks = folder / "stubs"
    hooks.mkdir()
    kept = f"import sys, time, os\ngiven = sys.stdin.buffer.read()\nopen(r'{hooks}/' + str(time.time_ns()), 'wb').write(given)\n"
    for name in registration.SCRIPTS:
        (hooks / f"{name}.py").write_text(kept + code, encoding="utf-8")
    return hooks


def told_to(hooks):
    return [json.loads(path.read_bytes()) for path in sorted(hooks.glob("[0-9]*"))]


def said(text, session="ses_1", message="msg_1"):
    """A prompt."""
    part = {"id": f"prt_{message}", "sessionID": session, "messageID": message, "type": "text", "text": text}
    return ["chat.message", {"sessionID": session}, {"message": {"id": message}, "parts": [part]}]


def parted(state, tool, call, session="ses_1", **more):
    """The event that a call's part has changed."""
    part = {"id": f"prt_{call}", "type": "tool", "tool": tool, "callID": call, "sessionID": session}
    part["state"] = {"status": state, **more}
    return ["event", {"event": {"type": "message.part.updated", "properties": {"part": part}}}, None]


def called(tool, args, call="call_1", session="ses_1", output="done", **metadata):
    """A call that ended well: its events, and what OpenCode asks between them."""
    given = {"tool": tool, "sessionID": session, "callID": call, "args": args}
    result = {"title": "", "output": output, "metadata": metadata}
    return [
        parted("running", tool, call, session, input=args),
        ["tool.execute.after", given, result],
        parted("completed", tool, call, session, input=args),
    ]


def failed(tool, args, call="call_1", session="ses_1", error="it broke"):
    """A call that failed: its events alone."""
    return [
        parted("running", tool, call, session, input=args),
        parted("error", tool, call, session, input=args, error=error),
    ]


def happened(kind, session="ses_1", **more):
    return ["event", {"event": {"type": kind, "properties": {"sessionID": session, **more}}}, None]


def asked(session="ses_1"):
    """A call of the model."""
    return [SYSTEM, {"sessionID": session, "model": {}}, {"system": ["You are a coder."]}]


DISPOSED = ["dispose", None, None]


def written(project, path, **more):
    return called("write", {"filePath": str(project / path), "content": "x"}, **more)


def test_it_exports_one_function_which_gives_the_hooks(project):
    found = play(project)
    assert found["exported"] == ["Holdfast"]
    assert set(found["hooks"]) == {"chat.message", "tool.execute.after", COMPACTING, SYSTEM, "event", "dispose"}


def test_a_session_is_briefed_once_and_each_prompt_gets_its_skills(project):
    first, second = play(project, said("handle the refund"), said("and the changelog", message="msg_2"))["outputs"]
    assert [part["id"] for part in first["parts"]] == ["prt_msg_1", "prt_msg_1z"]
    added = first["parts"][1]
    assert (added["type"], added["synthetic"], added["messageID"], added["sessionID"]) == (
        "text",
        True,
        "msg_1",
        "ses_1",
    )
    assert added["text"].startswith(BRIEFING)
    assert "skill for this prompt: payment-rules" in added["text"]
    assert second["parts"][1]["text"].startswith("Holdfast: skill for this prompt: release-notes")
    assert play(project, said("go on", message="msg_3"), sessions={"ses_1": {"messages": 2}})["outputs"][0]["parts"][1:]
    state = state_of(project)
    assert (state["stats"]["prompts"], state["stats"]["total_resumes"], list(state["sessions"])) == (3, 1, ["ses_1"])


@pytest.mark.parametrize(
    ("session", "source"),
    [({}, "startup"), ({"messages": 2}, "resume"), ({"messages": 2, "created": "now"}, "fork")],
    ids=["startup", "resume", "fork"],
)
def test_how_a_session_starts_is_told_by_its_messages_and_its_age(project, session, source):
    play(project, said("go on"), sessions={"ses_1": session})
    assert state_of(project)["current_session"]["source"] == source


def test_a_prompt_is_what_the_user_said(project):
    hooks = stub(project.parent)
    step = said("one")
    step[2]["parts"] += [
        {"id": "prt_2", "type": "text", "text": "a file's content", "synthetic": True},
        {"id": "prt_3", "type": "file", "url": "file:///x"},
        {"id": "prt_4", "type": "text", "text": "two"},
    ]
    nothing = ["chat.message", {"sessionID": "ses_1"}, {"message": {"id": "msg_2"}, "parts": []}]
    play(project, step, nothing, path=bridge(project.parent, hooks=hooks))
    assert [given.get("prompt") for given in told_to(hooks)] == [None, "one\ntwo", ""]


def test_what_there_is_to_say_of_a_call_is_put_behind_its_output(project):
    spec, source = written(project, "docs/spec/a.md"), written(project, "src/a.py", call="call_2")
    outputs = play(project, said("go"), *spec, *source)["outputs"]
    assert outputs[2]["output"].startswith(f"done\n\n{SPEC_DONE}")
    assert outputs[5]["output"] == "done"
    assert state_of(project)["stats"]["tool_calls"] == 2


MCP_FLOW = "version: 1\nname: shop\nphases: [{id: a, next: SEEN}, {id: b}]\nsignals:\n  SEEN: {tool: mcp}\n"


@pytest.mark.parametrize("project", [MCP_FLOW], indirect=True)
def test_the_result_of_an_mcp_server_gets_one_part_more(project):
    step = ["tool.execute.after", {"tool": "x_echo", "sessionID": "ses_1", "callID": "c", "args": {}}]
    step.append({"content": [{"type": "text", "text": "heard"}], "isError": False})
    assert play(project, said("go"), step)["outputs"][1]["content"][1]["text"].startswith("Holdfast: the phase a is")


FAILING_FLOW = (
    "version: 1\nname: shop\nphases: [{id: a, next: BAD}, {id: b}]\nsignals:\n  BAD: {tool: edit, outcome: failed}\n"
)


@pytest.mark.parametrize("project", [FAILING_FLOW], indirect=True)
def test_what_there_is_to_say_of_a_failure_comes_with_the_next_calls_and_stays_with_the_next_prompt(project):
    edit = failed("edit", {"filePath": "a.txt"})
    found = play(project, said("go"), *edit, asked(), asked(), said("on", message="msg_2"), asked())
    told = "Holdfast: the phase a is complete."
    first, second, prompt, last = found["outputs"][3:]
    for system in (first["system"], second["system"]):
        assert system[0] == "You are a coder." and system[1].startswith(told) and len(system) == 2
    assert prompt["parts"][1]["text"].startswith(told)
    assert last["system"] == ["You are a coder."]


@pytest.mark.parametrize("project", [FAILING_FLOW], indirect=True)
def test_what_there_is_to_say_of_a_failure_outlives_a_compaction(project):
    edit = failed("edit", {"filePath": "a.txt"})
    steps = [said("go"), *edit, happened("session.compacted"), asked(), said("on", message="msg_2"), asked()]
    first, prompt, last = play(project, *steps)["outputs"][4:]
    for told in (first["system"][1], prompt["parts"][1]["text"]):
        assert told.startswith(BRIEFING) and "Holdfast: the phase a is complete." in told
    assert last["system"] == ["You are a coder."]


def test_what_there_is_to_say_of_a_failure_is_not_lost_to_a_prompt_that_is_queued_meanwhile(project):
    code = """
if b'part.updated' in given:
    print('{"hookSpecificOutput": {"additionalContext": "it failed"}}')
    open('writing', 'w').write(str(os.getpid()))
    os.rename('writing', 'failing')
while b'queued' in given:  # until the failure's hook is over
    time.sleep(0.01)
    try:
        os.kill(int(open('failing').read()), 0)
    except FileNotFoundError:
        pass
    except ProcessLookupError:
        break
"""
    path = bridge(project.parent, hooks=stub(project.parent, code))
    steps = [said("go"), [*said("queued", message="msg_2"), "queued"], *failed("edit", {"filePath": "a.txt"})]
    steps += [["settle"], asked(), said("on", message="msg_3"), asked()]
    *_, queued, _, _, system, prompt, last = play(project, *steps, path=path)["outputs"]
    assert len(queued["parts"]) == 1
    assert system["system"] == ["You are a coder.", "it failed"]
    assert prompt["parts"][1]["text"] == "it failed"
    assert last["system"] == ["You are a coder."]


def test_a_failure_is_counted_even_if_opencode_ends_at_once(project):
    play(project, said("go"), *failed("edit", {"filePath": "a.txt"}), ["exit", None, None])
    until = time.monotonic() + 20
    while not state_of(project)["stats"]["failures"] and time.monotonic() < until:
        time.sleep(0.02)
    stats = state_of(project)["stats"]
    assert (stats["tool_calls"], stats["failures"]) == (1, 1)


def test_the_end_waits_for_what_is_on_its_way_and_is_noted_itself(project):
    idle = happened("session.idle")
    play(project, said("go"), *failed("edit", {"filePath": "a.txt"}), idle, DISPOSED, ["exit", None, None])
    state = state_of(project)
    assert state["stats"]["failures"] == 1
    assert state["sessions"]["ses_1"]["ended_at"] is not None
    assert [line["moment"] for line in audit_of(project)][-1] == "session_end"
    assert {"tool_done", "turn_end"} <= {line["moment"] for line in audit_of(project)}


def test_a_slow_hook_has_ended_before_the_end_is_told(project):
    slow = "if b'part.updated' in given: time.sleep(0.3), open('done', 'x')\n"
    hooks = stub(
        project.parent, slow + "if b'session.end' in given: open('after' if os.path.exists('done') else 'before', 'x')"
    )
    edit = failed("edit", {"filePath": "a.txt"})
    play(project, said("go"), *edit, DISPOSED, ["exit", None, None], path=bridge(project.parent, hooks=hooks))
    assert (project / "after").exists()


def test_a_session_that_is_deleted_has_ended(project):
    play(
        project,
        said("go"),
        ["event", {"event": {"type": "session.deleted", "properties": {"info": {"id": "ses_1"}}}}, None],
    )
    assert state_of(project)["sessions"]["ses_1"]["ended_at"] is not None


def test_a_failure_that_is_told_twice_or_was_never_under_way_here_is_no_further_one(project):
    once = failed("edit", {"filePath": "a.txt"})
    of_a_fork = parted("error", "edit", "call_9", input={}, error="x")
    play(project, said("go"), *once, once[1], of_a_fork, DISPOSED)
    assert [line["moment"] for line in audit_of(project)].count("tool_done") == 1


def test_calls_that_the_model_gave_one_id_are_each_counted(project):
    first, second = written(project, "src/a.py"), written(project, "src/b.py")
    for step in (second[0], second[2]):
        step[1]["event"]["properties"]["part"]["id"] = "prt_another"
    play(project, said("go"), *first, *second)
    assert state_of(project)["stats"]["tool_calls"] == 2


def test_after_a_compaction_every_call_is_briefed_until_a_prompt_carries_it(project):
    steps = [
        said("go"),
        *written(project, "docs/spec/a.md"),
        asked(),
        [COMPACTING, {"sessionID": "ses_1"}, {"context": []}],
    ]
    steps += [happened("session.compacted"), asked(), asked(), said("refund", message="msg_2"), asked()]
    before, _, _, first, second, prompt, last = play(project, *steps)["outputs"][4:]
    assert before["system"] == last["system"] == ["You are a coder."]
    assert first == second
    assert first["system"][1].startswith(f"{BRIEFING} Phase 2 of 3, build: Build it.")
    assert prompt["parts"][1]["text"].startswith(first["system"][1])
    assert "payment-rules" in prompt["parts"][1]["text"]
    assert state_of(project)["current_session"]["source"] == "compact"
    assert [line["moment"] for line in audit_of(project)].count("session_start") == 2


def test_a_prompt_that_is_the_first_after_a_compaction_is_briefed(project):
    found = play(project, said("go"), happened("session.compacted"), said("on", message="msg_2"), asked())
    assert found["outputs"][2]["parts"][1]["text"].startswith(BRIEFING)
    assert found["outputs"][3]["system"] == ["You are a coder."]


def test_what_a_subagent_does_counts_for_the_session_that_the_user_talks_to(project):
    sessions = {"ses_2": {"parentID": "ses_1"}, "ses_3": {"parentID": "ses_2"}}
    inner = called("bash", {"command": "pytest"}, session="ses_3", exit=1)
    idle = happened("session.idle", "ses_3")
    steps = [
        said("go"),
        said("look at the refund", "ses_3", "msg_2"),
        *inner,
        idle,
        happened("session.compacted", "ses_3"),
    ]
    found = play(project, *steps, asked("ses_3"), DISPOSED, sessions=sessions)
    told = found["outputs"][1]["parts"][1]["text"]
    assert told.startswith("Holdfast: skill for this prompt: payment-rules") and BRIEFING not in told
    assert found["outputs"][7]["system"] == ["You are a coder."]
    state = state_of(project)
    assert (list(state["sessions"]), state["stats"]["failures"]) == (["ses_1"], 1)
    assert "turn_end" not in {line["moment"] for line in audit_of(project)}


def test_it_tells_the_user_what_a_broken_state_has_to_tell(project):
    play(project, said("go"))
    (project / ".holdfast" / "state.json").write_bytes(b"noise")
    [toast] = play(project, said("go on", message="msg_2"), DISPOSED)["toasts"]
    assert toast["message"].startswith("Holdfast: ") and toast["variant"] == "warning"


def test_what_a_second_bridge_has_said_already_is_not_said_twice(project):
    steps = [said("handle the refund"), happened("session.compacted"), asked()]
    prompt, _, system = play(project, *steps)["outputs"]
    steps[0][2]["parts"], steps[2][2]["system"] = list(prompt["parts"]), list(system["system"])
    assert len(prompt["parts"]) == len(system["system"]) == 2
    again = play(project, *steps)["outputs"]
    assert (again[0], again[2]) == (prompt, system)


# -- what may go wrong

EVERYTHING = [
    said("handle the refund"),
    *called("bash", {"command": "true"}, exit=0),
    *failed("edit", {"filePath": "a.txt"}, call="call_2"),
    [COMPACTING, {"sessionID": "ses_1"}, {"context": []}],
    happened("session.compacted"),
    asked(),
    happened("session.idle"),
    DISPOSED,
]
UNTOUCHED = [output for _name, _input, output in EVERYTHING]


@pytest.mark.parametrize("what", ["interpreter", "hooks", "garbage", "a list", "stdin closed", "killed"])
def test_whatever_becomes_of_the_hooks_nothing_changes(project, what):
    code = {"garbage": "print('{')", "a list": "print('[1]')", "killed": "os.kill(os.getpid(), 9)"}.get(what, "")
    given = {"hooks": stub(project.parent, code)}
    if what == "interpreter":
        given = {"python": project / "gone"}
    elif what == "hooks":
        given = {"hooks": project / "gone"}
    elif what == "stdin closed":
        for path in given["hooks"].glob("*.py"):
            path.write_text("import os\nos.close(0)", encoding="utf-8")
    long = said("x" * 3_000_000, message="msg_2")  # more than a pipe holds
    found = play(project, *EVERYTHING, long, path=bridge(project.parent, **given))
    assert found["outputs"] == [*UNTOUCHED, long[2]]


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="no sessions of processes here")
def test_a_ctrl_c_in_the_terminal_does_not_reach_a_hook(project):
    hooks = stub(project.parent, "open('leader', 'w').write(str(os.getsid(0) == os.getpid()))")
    play(project, said("go"), path=bridge(project.parent, hooks=hooks))
    assert (project / "leader").read_text() == "True"


def test_a_hook_that_does_not_end_is_killed(project):
    hooks = stub(project.parent, f"open(r'{project}/pids', 'a').write(f'{{os.getpid()}} ')\ntime.sleep(600)")
    found = play(project, said("go"), path=bridge(project.parent, hooks=hooks, LIMIT=1500))
    assert found["outputs"][0] == said("go")[2]
    assert found["took"] < 30_000
    first, _second = (project / "pids").read_text().split()
    with pytest.raises(ProcessLookupError):  # nor is it a zombie
        os.kill(int(first), 0)


def test_a_hook_that_says_too_much_is_killed_and_not_heard(project):
    code = "answer = '{\"systemMessage\": \"x\"}'\nprint(answer, ' ' * (64 << 20))\nopen('through', 'x')"
    found = play(project, said("go"), path=bridge(project.parent, hooks=stub(project.parent, code)))
    assert (found["outputs"][0], found["toasts"]) == (said("go")[2], [])
    assert not (project / "through").exists()


@pytest.mark.parametrize("client", ["broken", "mute"])
def test_an_opencode_that_does_not_answer_is_no_reason_to_stay_silent(project, client):
    found = play(project, said("handle the refund"), path=bridge(project.parent, PATIENCE=50), **{client: True})
    assert found["outputs"][0]["parts"][1]["text"].startswith(BRIEFING)
    assert state_of(project)["current_session"]["source"] == "startup"


@pytest.mark.parametrize(
    "step",
    [
        ["chat.message", None, None],
        ["chat.message", {}, {}],
        ["tool.execute.after", {"sessionID": "ses_1"}, None],
        ["event", None, None],
        ["event", {"event": {"type": "message.part.updated", "properties": {}}}, None],
        ["event", {"event": {"type": "session.deleted"}}, None],
        [SYSTEM, {"sessionID": "ses_1"}, None],
        [COMPACTING, None, None],
    ],
    ids=lambda step: json.dumps(step[:2]),
)
def test_what_no_opencode_sends_is_passed_over(project, step):
    assert "skill for this prompt" in play(project, step, said("refund"))["outputs"][1]["parts"][1]["text"]


def test_an_init_with_nothing_still_gives_hooks(project):
    path = bridge(project.parent)
    code = f"const m = await import({json.dumps(str(path))}); console.log(typeof await m.Holdfast(), typeof await m.Holdfast({{}}))"
    words = ["node", "--input-type=module", "-e", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("object object\n", "")


def test_what_it_writes_is_what_was_recorded(project):
    hooks = stub(project.parent)
    sub = {"sessions": {"ses_2": {"parentID": "ses_1"}}}
    steps = [said("handle the refund"), said("do it", "ses_2", "msg_2")]
    steps += called("bash", {"command": "echo hi", "description": "x"}, exit=0, output="hi", truncated=False)
    patched = [{"filePath": "a", "relativePath": "a", "type": "move", "movePath": "b", "patch": "x", "additions": 1}]
    steps += called("apply_patch", {"patchText": "x"}, call="call_2", files=patched, diff="x")
    steps += [
        ["tool.execute.after", {"tool": "x_echo", "sessionID": "ses_1", "callID": "c", "args": {}}, {"content": []}]
    ]
    steps += [[COMPACTING, {"sessionID": "ses_1"}, {"context": []}], happened("session.compacted"), asked()]
    failure = failed("bash", {"command": "rm", "description": "x"}, call="call_3", error="The user rejected permission")
    play(project, *steps, *failure, DISPOSED, path=bridge(project.parent, hooks=hooks), **sub)
    names = ["session.start.startup", "chat.message", "chat.message.in_subagent", "tool.execute.after.bash"]
    names += ["tool.execute.after.apply_patch", "tool.execute.after.x_echo", "experimental.session.compacting"]
    names += ["session.start.compact", "message.part.updated.bash.rejected", "session.end"]

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(part) for key, part in sorted(value.items())}
        return [shape(value[-1])] if isinstance(value, list) and value else type(value).__name__

    assert [shape(given) for given in told_to(hooks)] == [shape(recorded("opencode", name)) for name in names]


def test_a_long_argument_is_cut_and_a_long_prompt_is_not(project):
    hooks = stub(project.parent)
    steps = [said("x" * 50_000), *called("write", {"filePath": "a", "content": "x" * 50_000})]
    play(project, *steps, path=bridge(project.parent, hooks=hooks))
    _start, prompt, call = told_to(hooks)
    assert (len(prompt["prompt"]), len(call["tool_input"]["content"])) == (50_000, 20_000)


def test_each_of_its_events_starts_the_hook_that_the_manifest_names(project):
    text = bridge(project.parent).read_text(encoding="utf-8")
    runtime = Runtime(sys.executable, str(ROOT / "hooks"), str(ROOT / "manifests"))
    for event, handler in registration.handlers(targets.HOSTS["opencode"], runtime).items():
        script = handler["command"].split(" --host")[0].rpartition("/")[2].removesuffix(".py")
        assert f'  "{event}": "{script}",\n' in text
