"""OpenAI's chat completions, as OpenCode 1.18.33 and Copilot CLI 1.0.102 use them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.doctor.server import Answer, events, texts, to_json

if TYPE_CHECKING:
    from holdfast.doctor.script import Step

SUMMARY = "The work goes on."
SUMMARY_ASKED = ("anchored summary", "create a detailed summary of the conversation so far")  # of OpenCode, of Copilot


def sort(method: str, path: str, body: Any) -> str:
    """A turn of an agent offers tools; titles do not, nor does OpenCode's request for a summary."""
    if (
        method != "POST"
        or not path.split("?", maxsplit=1)[0].endswith("/chat/completions")
        or not isinstance(body, dict)
    ):
        return "aside"
    said = " ".join(texts((body.get("messages") or [None])[-1]))
    if any(asked in said for asked in SUMMARY_ASKED):
        return "compaction"
    return "turn" if body.get("tools") else "aside"


def opening(body: Any) -> str:
    """What the user's messages say."""
    return "\n".join(text for message in body["messages"] if message["role"] == "user" for text in texts(message))


def answer(path: str, body: Any, step: Step, number: str) -> Answer:
    """One choice: text and tool calls; streamed where the request asks for it."""
    del path
    calls = [
        {
            "index": place,
            "id": f"call_{number}_{place}",
            "type": "function",
            "function": {"name": one.tool, "arguments": json.dumps(one.arguments)},
        }
        for place, one in enumerate(step.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": step.said if step.said or not calls else None}
    if calls:
        message["tool_calls"] = calls
    ending = "tool_calls" if calls else "stop"
    usage = {"prompt_tokens": step.tokens, "completion_tokens": 1, "total_tokens": step.tokens + 1}
    base = {"id": f"chatcmpl-{number}", "created": 0, "model": body.get("model", "scripted")}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": ending}
        return to_json({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
    chunk = {**base, "object": "chat.completion.chunk"}
    said = events(
        [
            {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": ending}], "usage": usage},
        ],
        named=False,
    )
    return Answer(said.body + b"data: [DONE]\n\n", said.content_type)


def aside(method: str, path: str, body: Any) -> Answer:
    """Titles, lists of models."""
    if method == "POST" and isinstance(body, dict) and "messages" in body:
        from holdfast.doctor.script import text

        return answer(path, body, text("Work"), "aside")
    return to_json({"object": "list", "data": []})
