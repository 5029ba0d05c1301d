"""The scripted model servers, asked as the CLIs ask them."""

import json
import urllib.request

import pytest

from holdfast.doctor import apis, responses
from holdfast.doctor.script import agent, call, parallel, text
from holdfast.doctor.server import ModelServer

PATHS = {
    "claude": "/v1/messages?beta=true",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
    "codex": "/v1/responses",
    "copilot": "/v1/chat/completions",
}
HOSTS = list(PATHS)
SUMMARIES = {
    "claude": "Your task is to create a detailed summary of the conversation so far.",
    "gemini": "First, reason in your scratchpad. Then, generate the <state_snapshot>.",
    "codex": "You are performing a CONTEXT CHECKPOINT COMPACTION.",
    "copilot": "Please create a detailed summary of the conversation so far. The history is being compacted",
}


def asked(host, *said, tools=("t",)):
    """A request of the host's agent in whose conversation the user said `said`."""
    if host == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": one}]} for one in said]}
        return {**body, "tools": [{"functionDeclarations": [{"name": name} for name in tools]}] if tools else []}
    messages = [{"role": "user", "content": one} for one in said]
    if host == "codex":
        return {"input": [{"type": "message", **message} for message in messages], "tools": list(tools), "stream": True}
    return {"messages": messages, "tools": list(tools), "stream": True}


def ask(server, host, body, path=""):
    """What the server answers: the events of a stream, or one JSON value."""
    request = urllib.request.Request(server.url + (path or PATHS[host]), data=json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        told = answer.read().decode()
        if answer.headers["Content-Type"] != "text/event-stream":
            return json.loads(told)
    lines = [line.removeprefix("data: ") for line in told.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def understood(host, events):
    """The text and the calls, as [name, arguments], in an answer's events."""
    if host == "claude":
        blocks, said = [], ""
        for event in events:
            if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
                blocks.append([event["content_block"]["name"], ""])
            elif event["type"] == "content_block_delta":
                said += event["delta"].get("text", "")
                if "partial_json" in event["delta"]:
                    blocks[-1][1] = json.loads(event["delta"]["partial_json"])
        return said, blocks
    if host == "gemini":
        parts = events[0]["candidates"][0]["content"]["parts"]
        calls = [
            [part["functionCall"]["name"], part["functionCall"]["args"]] for part in parts if "functionCall" in part
        ]
        return "".join(part.get("text", "") for part in parts), calls
    if host == "codex":
        items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        said = "".join(part["text"] for item in items for part in item.get("content", []))
        return said, [
            [item["name"], json.loads(item["arguments"])] for item in items if item["type"] == "function_call"
        ]
    message = events[0]["choices"][0]["delta"]
    calls = [one["function"] for one in message.get("tool_calls", [])]
    return message["content"] or "", [[one["name"], json.loads(one["arguments"])] for one in calls]


@pytest.mark.parametrize("host", HOSTS)
def test_the_script_is_played_step_by_step_and_the_requests_are_kept(host):
    steps = [call("t", {"a": 1}), parallel(call("t", {"a": 2}), call("u", {})), text("All is done.")]
    with ModelServer(apis.OF_HOST[host], steps) as server:
        seen = [understood(host, ask(server, host, asked(host, f"prompt {number}"))) for number in range(4)]
        assert server.left == 0
        kept = server.record()
    assert seen == [
        ("", [["t", {"a": 1}]]),
        ("", [["t", {"a": 2}], ["u", {}]]),
        ("All is done.", []),
        ("Done.", []),
    ]
    assert [request["sort"] for request in kept] == ["main", "main", "main", "beyond"]
    assert kept[2]["body"] == asked(host, "prompt 2")
    assert json.dumps(kept)


@pytest.mark.parametrize("host", HOSTS)
def test_a_sub_agent_plays_steps_of_its_own(host):
    steps = [agent("a", {"prompt": "Look at the SUBTASK"}, call("inner", {}), text("Seen.")), text("All is done.")]
    with ModelServer(apis.OF_HOST[host], steps) as server:
        for said in ("begin", "go: Look at the SUBTASK", "begin", "go: Look at the SUBTASK"):
            ask(server, host, asked(host, said))
        assert [request["sort"] for request in server.record()] == ["main", "agent", "main", "agent"]
        assert server.left == 0


def test_a_sub_agent_may_start_another():
    inner = agent("a", {"prompt": "the INNERTASK"}, call("inner", {}))
    with ModelServer(
        apis.OF_HOST["copilot"], [agent("a", {"prompt": "the OUTERTASK"}, inner, text("Seen."))]
    ) as server:
        said = ["begin", "go: the OUTERTASK", "go: the INNERTASK", "go: the OUTERTASK"]
        seen = [understood("copilot", ask(server, "copilot", asked("copilot", one))) for one in said]
        assert server.left == 0
    assert seen[2:] == [("", [["inner", {}]]), ("Seen.", [])]


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_no_turn_takes_no_step(host):
    with ModelServer(apis.OF_HOST[host], [text("All is done.")]) as server:
        if host != "codex":  # it asks for no titles
            ask(server, host, asked(host, "Write a title", tools=()))
        ask(server, host, {}, "/v1/models")
        told = ask(server, host, asked(host, "hello", SUMMARIES[host]))
        assert "The work goes on." in understood(host, told)[0]
        assert server.left == 1
        assert server.record()[-1]["sort"] == "compaction"
        assert understood(host, ask(server, host, asked(host, "hello"))) == ("All is done.", [])


def test_no_two_calls_have_one_id():
    """A host that resumes a session would take a repeated id for the call that it knows."""
    ids = set()
    for _ in range(2):
        with ModelServer(apis.OF_HOST["claude"], [parallel(call("t", {}), call("t", {}))] * 2) as server:
            for _ in range(2):
                events = ask(server, "claude", asked("claude", "go"))
                blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
                ids |= {block["id"] for block in blocks}
    assert len(ids) == 8


def test_codex_calls_text_tools_and_tools_in_a_namespace():
    steps = [
        call("apply_patch", "*** Begin Patch"),
        call("space.tool", {}),
        call("space.wait", responses.started_agents),
    ]
    with ModelServer(responses, steps) as server:
        patch, spaced = (ask(server, "codex", asked("codex", "go"))[2]["item"] for _ in range(2))
        body = asked("codex", "go")
        body["input"].append({"type": "function_call_output", "output": '{"agent_id": "a1"}'})
        body["input"].append({"type": "function_call_output", "output": "no JSON"})
        waited = ask(server, "codex", body)[2]["item"]
    assert (patch["type"], patch["input"]) == ("custom_tool_call", "*** Begin Patch")
    assert (spaced["namespace"], spaced["name"]) == ("space", "tool")
    assert json.loads(waited["arguments"])["targets"] == ["a1"]


def test_the_server_listens_on_the_loopback_alone():
    with ModelServer(responses, []) as server:
        assert server.url.startswith("http://127.0.0.1:")
