"""What is answered is what the release accepts: nothing else reaches the model, and one key too many voids the whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firing import HOSTS, PAYLOADS, edit_call, fire, prompt, recorded, start
from holdfast import hosts
from holdfast.events import Reply

SCHEMAS = {
    "SessionStart": "session-start",
    "UserPromptSubmit": "user-prompt-submit",
    "PostToolUse": "post-tool-use",
    "Stop": "stop",
    "PreCompact": "pre-compact",
}
# The events of each host whose text reaches the model, and those that are registered and stay silent.
HEARD = {
    "claude": [
        "SessionStart.startup",
        "SessionStart.resume",
        "UserPromptSubmit",
        "PostToolUse.Bash",
        "PostToolUseFailure.Bash",
    ],
    "gemini": ["SessionStart.startup", "SessionStart.resume", "BeforeAgent", "AfterTool.run_shell_command"],
    "codex": ["SessionStart.startup", "SessionStart.compact", "UserPromptSubmit", "PostToolUse.Bash"],
    "opencode": ["session.start.startup", "chat.message", "tool.execute.after.bash", "message.part.updated.edit"],
    "copilot": [
        "SessionStart.startup",
        "SessionStart.resume",
        "UserPromptSubmit",
        "UserPromptSubmit.in_subagent",
        "PostToolUse.Bash",
        "PostToolUseFailure.Edit",
    ],
}
SILENT = {
    "claude": ["PreCompact.auto", "Stop", "SessionEnd.other"],
    "gemini": ["PreCompress.manual", "AfterAgent", "SessionEnd.exit"],
    "codex": ["PreCompact.auto", "Stop", "SessionEnd"],
    "opencode": ["experimental.session.compacting", "session.idle", "session.end"],
    "copilot": ["PreCompact.auto", "Stop", "SessionEnd.complete"],
}
ALL_HEARD = [(host, name) for host in HOSTS for name in HEARD[host]]
ALL_SILENT = [(host, name) for host in HOSTS for name in SILENT[host]]
STARTS = ("SessionStart", "session.start")
TEXTS = st.text(alphabet=st.characters(codec=None), max_size=40)


def render(host, name, reply):
    module = hosts.module(host)
    return module.render(module.parse(recorded(host, name)), reply)


def faults(value, schema, definitions, where="reply"):
    """What of `value` a JSON schema forbids; the part of the language that these schemas use."""
    for part in schema.get("allOf", []):
        yield from faults(value, part, definitions, where)
    if "$ref" in schema:
        yield from faults(value, definitions[schema["$ref"].rpartition("/")[2]], definitions, where)
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is none of {schema['enum']}"
    kind = {"object": dict, "string": str, "boolean": bool}.get(schema.get("type"))
    if kind and not isinstance(value, kind):
        yield f"{where} is no {schema['type']}"
    elif kind is dict:
        known = schema.get("properties", {})
        yield from (f"{where}.{key} is missing" for key in schema.get("required", []) if key not in value)
        for key, part in value.items():
            if key in known:
                yield from faults(part, known[key], definitions, f"{where}.{key}")
            elif schema.get("additionalProperties") is False:
                yield f"{where}.{key} is not known"


def codex_faults(event, reply):
    schema = json.loads((PAYLOADS / "codex" / "schema" / f"{SCHEMAS[event]}.json").read_text())
    return list(faults(reply, schema, schema.get("definitions", {})))


def context(host, reply):
    """The text for the model in a reply."""
    return (reply if host == "copilot" else reply.get("hookSpecificOutput", {})).get("additionalContext", "")


def host_faults(host, event, reply):
    """What the host would drop of a reply, or drop it for."""
    if host == "codex":
        return codex_faults(event, reply)
    if host == "copilot":  # what follows a tool's result is cut at 10,240
        found = [f"{key} is dropped" for key in reply if key != "additionalContext"]
        size = len(reply["additionalContext"].encode("utf-16-le", "surrogatepass")) // 2
        return [*found, *(["the text is cut"] if size > 10_000 else [])]
    found = [f"{key} is dropped" for key in reply if key not in ("systemMessage", "hookSpecificOutput")]
    special = reply.get("hookSpecificOutput", {"hookEventName": event})
    if special.get("hookEventName") != event:
        found.append("hookEventName is another event's")
    texts = [reply.get("systemMessage", ""), special.get("additionalContext", "")]
    if host == "claude" and max(len(text.encode("utf-16-le", "surrogatepass")) // 2 for text in texts) >= 10_000:
        found.append("the text goes to a file")
    return found


@pytest.mark.parametrize(
    ("event", "reply", "expected"),
    [
        ("SessionStart", {"hookSpecificOutput": {"hookEventName": "SessionStart", "additionalContext": "x"}}, []),
        ("SessionStart", {"extra": 1}, ["reply.extra is not known"]),
        (
            "SessionStart",
            {"hookSpecificOutput": {"additionalContext": "x"}},
            ["reply.hookSpecificOutput.hookEventName is missing"],
        ),
        (
            "SessionStart",
            {"hookSpecificOutput": {"hookEventName": "Stop"}},
            ["reply.hookSpecificOutput.hookEventName is not SessionStart"],
        ),
        ("PostToolUse", {"decision": "allow"}, ["reply.decision is none of ['block']"]),
        ("Stop", {"hookSpecificOutput": {"hookEventName": "Stop"}}, ["reply.hookSpecificOutput is not known"]),
        ("PreCompact", {"systemMessage": 5}, ["reply.systemMessage is no string"]),
    ],
)
def test_the_validator_finds_what_codex_would_refuse(event, reply, expected):
    assert codex_faults(event, reply) == expected


@pytest.mark.parametrize(("host", "name"), ALL_HEARD)
@given(text=TEXTS, notice=TEXTS)
def test_a_reply_is_what_the_release_accepts(host, name, text, notice):
    event = recorded(host, name)["hook_event_name"]
    answer = render(host, name, Reply(text, notice))
    if answer is None:
        assert not text and (not notice or event not in STARTS or host == "copilot")
        return
    assert host_faults(host, event, answer) == []
    said = context(host, answer)
    assert said == text or (host == "codex" and not text.isprintable())
    shown = event in STARTS and host != "copilot"
    assert answer.get("systemMessage", "") == (notice if shown else "")


@pytest.mark.parametrize(("host", "name"), ALL_SILENT)
def test_an_event_whose_text_the_host_drops_is_answered_by_silence(host, name):
    assert render(host, name, Reply("text", "notice")) is None


@pytest.mark.parametrize(("host", "name"), [*ALL_HEARD, *ALL_SILENT])
def test_nothing_to_say_is_answered_by_silence(host, name):
    assert render(host, name, Reply()) is None


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀"])
@pytest.mark.parametrize(("host", "name"), ALL_HEARD)
def test_a_long_text_is_cut_to_what_the_host_shows_whole(host, name, letter):
    text = letter * 30_000
    said = context(host, render(host, name, Reply(text)))
    assert text.startswith(said)
    if host in ("claude", "copilot"):
        assert 9_000 < len(said.encode("utf-16-le")) // 2 < 10_000
    elif host == "codex":
        assert 7_000 < len(said.encode()) < 2_500 * 4
    else:
        assert said == text, "the others have no limit"


@pytest.mark.parametrize("host", HOSTS)
def test_what_the_hooks_print_is_accepted_and_nothing_else_is_printed(host, project):
    payloads = [
        start(host, project),
        prompt(host, project, "a refund, please"),
        edit_call(host, project, "docs/spec/a.md"),
    ]
    for payload in payloads:
        answer = fire(host, payload, project)
        assert (answer.code, answer.stderr) == (0, "")
        assert answer.stdout.startswith("{") and answer.text
        assert host_faults(host, payload["hook_event_name"], answer.reply) == []


@pytest.mark.parametrize(("host", "name"), ALL_SILENT)
def test_the_other_hooks_print_nothing(host, name, project):
    fire(host, start(host, project), project)
    answer = fire(host, recorded(host, name) | {"cwd": str(project)}, project)
    assert (answer.code, answer.stdout, answer.stderr) == (0, "", "")


@pytest.mark.parametrize("host", ["claude", "codex"])
def test_what_a_broken_state_has_to_tell_reaches_the_user_too(host, project):
    fire(host, start(host, project), project)
    (project / ".holdfast" / "state.json").write_bytes(b"noise")
    answer = fire(host, start(host, project, "resume"), project)
    assert answer.reply["systemMessage"].startswith("Holdfast: ")
    assert host_faults(host, "SessionStart", answer.reply) == []
