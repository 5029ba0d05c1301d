"""What a scripted model does: one step a request.

[call("Bash", {"command": "ls"}), parallel(call(...), call(...)), text("Done.")]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Arguments = Mapping[str, Any] | str | Callable[[Any], Mapping[str, Any]]

TOKENS = 1_000


@dataclass(frozen=True)
class Call:
    """One tool call.

    Attributes:
        tool: its name; `space.tool` for one that stands in a namespace (Codex).
        arguments: an object; or the whole input of a tool that takes text (Codex's `apply_patch`); or what makes the
            object from the request's body, where an earlier result is needed.
    """

    tool: str
    arguments: Arguments


@dataclass(frozen=True)
class Step:
    """One answer of the model.

    Attributes:
        said: its text.
        calls: the tool calls that follow the text, asked for at once.
        tokens: how long the answer says the conversation is; hosts compact when it comes near the model's window.
        inner: the steps of the sub-agent that the only call starts.
    """

    said: str = ""
    calls: tuple[Call, ...] = ()
    tokens: int = TOKENS
    inner: tuple[Step, ...] = ()


def text(said: str, *, tokens: int = TOKENS) -> Step:
    """Say something, which ends the turn."""
    return Step(said, tokens=tokens)


def call(tool: str, arguments: Arguments, *, tokens: int = TOKENS) -> Step:
    """Call one tool."""
    return Step(calls=(Call(tool, arguments),), tokens=tokens)


def parallel(*steps: Step) -> Step:
    """Call the tools of several steps in one answer."""
    return Step(calls=tuple(one for step in steps for one in step.calls))


def agent(tool: str, arguments: Mapping[str, Any], *inner: Step) -> Step:
    """Start a sub-agent, whose own requests play `inner`.

    They are known by the sub-agent's prompt, `arguments["prompt"]` or `arguments["message"]`, in what its user says.
    """
    return Step(calls=(Call(tool, arguments),), inner=inner)


def task_of(step: Step) -> str:
    """The prompt that a step gives to the sub-agent that it starts."""
    arguments = step.calls[0].arguments
    if isinstance(arguments, str) or callable(arguments):
        return ""
    return str(arguments.get("prompt") or arguments.get("message") or "")


def settled(step: Step, body: Any) -> Step:
    """The step with the arguments that depend on a request's body filled in."""
    made = [Call(one.tool, one.arguments(body)) if callable(one.arguments) else one for one in step.calls]
    return replace(step, calls=tuple(made))


class Script:
    """Deals out steps to requests: to those of the main conversation, and to those of each sub-agent.

    Not for several threads at once: the server locks it.
    """

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._main = list(steps)
        self._agents: list[tuple[str, list[Step]]] = []

    def next(self, opening: str) -> tuple[Step, str]:
        """Give the step for a request in whose conversation the user said `opening`.

        Returns:
            The step, and whose it was: `main`, `agent`, or `beyond` where the script had come to its end.
        """
        for task, inner in self._agents:
            if task in opening:
                return self._dealt(inner, "agent")
        return self._dealt(self._main, "main")

    def _dealt(self, steps: list[Step], whose: str) -> tuple[Step, str]:
        if not steps:
            return Step("Done."), "beyond"
        step = steps.pop(0)
        if step.inner:  # a sub-agent may start another
            self._agents.append((task_of(step), list(step.inner)))
        return step, whose

    @property
    def left(self) -> int:
        """How many steps nobody has asked for yet."""
        return len(self._main) + sum(len(inner) for _task, inner in self._agents)
