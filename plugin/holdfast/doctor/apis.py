"""Which API each host's model speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.doctor import chat_completions, generate_content, messages, responses

if TYPE_CHECKING:
    from holdfast.doctor.server import Api

OF_HOST: dict[str, Api] = {
    "claude": messages,
    "gemini": generate_content,
    "codex": responses,
    "opencode": chat_completions,
    "copilot": chat_completions,
}
