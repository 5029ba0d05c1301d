"""OpenAI's Responses API, as Codex CLI 0.169.0 uses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.doctor.server import Answer, events, texts, to_json

if TYPE_CHECKING:
    from holdfast.doctor.script import Call, Step

SUMMARY = "The work goes on."
SUMMARY_ASKED = "CONTEXT CHECKPOINT COMPACTION"


def sort(method: str, path: str, body: Any) -> str:
    """The last user's message of a compaction asks for a summary."""
    if method != "POST" or path.split("?", maxsplit=1)[0] != "/v1/responses" or not isinstance(body, dict):
        return "aside"
    said = [item for item in body.get("input") or [] if item.get("type", "message") == "message"]
    if said and SUMMARY_ASKED in " ".join(texts(said[-1])):
        return "compaction"
    return "turn"


def opening(body: Any) -> str:
    """What the user's messages say."""
    return "\n".join(text for item in body["input"] if item.get("role") == "user" for text in texts(item))


def answer(path: str, body: Any, step: Step, number: str) -> Answer:
    """One response: a message, then tool calls, as a stream."""
    del path, body
    items: list[dict[str, Any]] = []
    if step.said or not step.calls:
        content = [{"type": "output_text", "text": step.said, "annotations": []}]
        items.append({"type": "message", "id": f"msg_{number}", "role": "assistant", "content": content})
    items += [_called(one, f"{number}_{place}") for place, one in enumerate(step.calls)]
    response = {"id": f"resp_{number}", "object": "response", "status": "in_progress", "output": []}
    usage = {
        "input_tokens": step.tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": step.tokens + 1,
    }
    said: list[dict[str, Any]] = [{"type": "response.created", "response": response}]
    for index, item in enumerate(items):
        said += [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]
    ended = {**response, "status": "completed", "output": items, "usage": usage}
    return events([*said, {"type": "response.completed", "response": ended}], named=True)


def _called(one: Call, number: str) -> dict[str, Any]:
    """A call; `space.tool` names a tool of a namespace, as those for sub-agents are."""
    space, _, name = one.tool.rpartition(".")
    named = {"id": f"fc_{number}", "call_id": f"call_{number}", "name": name, "status": "completed"}
    if space:
        named["namespace"] = space
    if isinstance(one.arguments, str):
        return {"type": "custom_tool_call", "input": one.arguments, **named}
    return {"type": "function_call", "arguments": json.dumps(one.arguments), **named}


def started_agents(body: Any) -> dict[str, Any]:
    """What `multi_agent_v1.wait_agent` takes to wait for all sub-agents that the conversation has started."""
    ids = []
    for item in body["input"]:
        if item.get("type") == "function_call_output":
            try:
                told = json.loads(item["output"])
            except (ValueError, TypeError):
                continue
            ids += [told["agent_id"]] if isinstance(told, dict) and "agent_id" in told else []
    return {"targets": ids, "timeout_ms": 60_000}


def aside(method: str, path: str, body: Any) -> Answer:
    """Lists of models, and whatever else."""
    del method, path, body
    return to_json({"object": "list", "data": [], "models": []})
