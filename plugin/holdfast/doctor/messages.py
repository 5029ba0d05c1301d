"""Anthropic's Messages API, as Claude Code 2.1.328 uses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.doctor.server import Answer, events, texts, to_json

if TYPE_CHECKING:
    from holdfast.doctor.script import Step

MODEL = "claude-sonnet-4-5"
SUMMARY = "<analysis>Scripted.</analysis><summary>The work goes on.</summary>"
SUMMARY_ASKED = "create a detailed summary of"


def sort(method: str, path: str, body: Any) -> str:
    """A turn of an agent offers tools; titles and topics do not."""
    if method != "POST" or path.split("?", maxsplit=1)[0] != "/v1/messages" or not isinstance(body, dict):
        return "aside"
    said = [message for message in body.get("messages") or [] if message["role"] == "user"]  # hooks speak as "system"
    if said and SUMMARY_ASKED in " ".join(texts(said[-1])):
        return "compaction"
    return "turn" if body.get("tools") else "aside"


def opening(body: Any) -> str:
    """What the user's messages say, tool results left out."""
    said = []
    for message in body["messages"]:
        if message["role"] == "user":
            content = message["content"]
            parts = [content] if isinstance(content, str) else content
            said += [text for part in parts if isinstance(part, str) or part["type"] == "text" for text in texts(part)]
    return "\n".join(said)


def answer(path: str, body: Any, step: Step, number: str) -> Answer:
    """One message: text, then tool calls; streamed where the request asks for it."""
    del path
    content: list[dict[str, Any]] = []
    if step.said or not step.calls:
        content.append({"type": "text", "text": step.said})
    for place, one in enumerate(step.calls):
        content.append(
            {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": one.tool, "input": one.arguments},
        )
    message = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", MODEL),
        "content": content,
        "stop_reason": "tool_use" if step.calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": step.tokens, "output_tokens": 1},
    }
    return events(_stream(message), named=True) if body.get("stream") else to_json(message)


def _stream(message: dict[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
    ]
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        said += [
            {"type": "content_block_start", "index": index, "content_block": empty},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return [
        *said,
        {"type": "message_delta", "delta": ending, "usage": message["usage"]},
        {"type": "message_stop"},
    ]


def aside(method: str, path: str, body: Any) -> Answer:
    """Token counts, titles, lists of models."""
    if path.split("?", maxsplit=1)[0] == "/v1/messages/count_tokens":
        return to_json({"input_tokens": 1})
    if method == "POST" and path.startswith("/v1/messages") and isinstance(body, dict):
        from holdfast.doctor.script import text

        return answer(path, body, text('{"title": "Work"}'), "aside")
    return to_json({"data": [], "has_more": False})
