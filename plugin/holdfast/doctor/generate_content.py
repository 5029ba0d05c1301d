"""Google's Gemini API, as Gemini CLI 0.61.0 uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.doctor.server import Answer, events, texts, to_json

if TYPE_CHECKING:
    from holdfast.doctor.script import Step

SUMMARY = "<state_snapshot>The work goes on.</state_snapshot>"
SUMMARY_ASKED = "<state_snapshot>"


def sort(method: str, path: str, body: Any) -> str:
    """A turn of an agent offers tools; routing, next-speaker checks and titles do not."""
    if method != "POST" or "enerateContent" not in path or not isinstance(body, dict):
        return "aside"
    if SUMMARY_ASKED in " ".join(texts(body.get("systemInstruction")) + texts((body.get("contents") or [None])[-1])):
        return "compaction"
    return "turn" if body.get("tools") else "aside"


def opening(body: Any) -> str:
    """What the user's contents say."""
    return "\n".join(text for content in body["contents"] if content.get("role") == "user" for text in texts(content))


def answer(path: str, body: Any, step: Step, number: str) -> Answer:
    """One candidate: text, then function calls; as a stream where the path asks for it."""
    del body, number
    parts: list[dict[str, Any]] = [{"text": step.said}] if step.said or not step.calls else []
    parts += [{"functionCall": {"name": one.tool, "args": one.arguments}} for one in step.calls]
    counts = {"promptTokenCount": step.tokens, "candidatesTokenCount": 1, "totalTokenCount": step.tokens + 1}
    content = {"role": "model", "parts": parts}
    response = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": counts,
        "modelVersion": "scripted",
    }
    return events([response], named=False) if ":streamGenerateContent" in path else to_json(response)


def aside(method: str, path: str, body: Any) -> Answer:
    """Token counts, routing, lists of models."""
    del method
    if ":countTokens" in path:
        return to_json({"totalTokens": 1})
    if "enerateContent" in path:
        from holdfast.doctor.script import text

        said = '{"reasoning": "scripted", "next_speaker": "user", "model_choice": "flash"}'
        return answer(path, body, text(said), "aside")
    return to_json({"models": []})
