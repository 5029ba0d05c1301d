"""At a prompt: names the skills that apply to it, and the open step of the phase."""

from holdfast.events import Reply, clean
from holdfast.moments import open_step
from holdfast.state.document import ACTIVATED
from holdfast.workflow import skills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event
    from holdfast.state.document import State
    from holdfast.workflow.index import Index

MOST = 8  # skills named at once
PRIORITIES = ("critical", "high", "medium", "low")
ENFORCEMENTS = {
    "suggest": "suggested",
    "warn": "expected: working without it has gone wrong before",
    "block": "required before this work begins",
}


def match(event: "Event", index: "Index") -> None:
    """Find the skills whose keywords or patterns occur in the prompt."""
    event.matches["skills"], slow = skills.asked_for(index, event.prompt)
    if slow:
        event.matches["slow"] = True


def apply(state: "State", event: "Event", index: "Index") -> "Reply | None":
    """Count the prompt; name what applies and was not named in this session since the phase began."""
    state["stats"]["prompts"] += 1
    session = state["sessions"][event.session]
    if not event.subagent:
        _follow(state, event)
    known = [] if event.subagent else session["activated"]  # a subagent starts without what its parent was told
    new = [(name, skill) for name, skill in applicable(state, event, index) if name not in known][:MOST]
    told = session["told"] == state["phase"] and state["phase"] is not None
    unheard = session["unheard"] and not event.subagent
    if new:
        names = [name for name, _skill in new]
        state["last_activation"] = {"skills": names, "at": event.at, "session": event.session}
        if not event.subagent:
            session["activated"] = (session["activated"] + names)[-ACTIVATED:]
    lines = [f"Holdfast: {_named(new)}"] if new else []
    if unheard:
        from holdfast.moments import resume

        lines.append(resume.recall(state, event, index))
    elif new or not (told or event.subagent):
        step = open_step(state, index)
        if step:
            lines.append(step if lines else f"Holdfast: {step}")
    if not event.subagent:
        session["told"] = state["phase"]
    return Reply("\n".join(lines)) if lines else None


def _follow(state: "State", event: "Event") -> None:
    """The session in which the user writes is the current one."""
    current = state["current_session"]
    if current is None or current["id"] != event.session:
        from holdfast.moments import resume

        resume.make_current(state, event)


def applicable(state: "State", event: "Event", index: "Index") -> "list[tuple[str, dict[str, Any]]]":
    """The skills that this prompt, the files touched or the phase call for, by priority, then in the workflow's order.

    `phases` and `after` are conditions on the others; a skill that has nothing else is called for when they are met.
    """
    phase = state["phase"]
    armed = state["sessions"][event.session]["armed"]
    names = dict.fromkeys([*(event.matches.get("skills") or []), *armed, *skills.of_phase(index, phase)])
    found = []
    for name in names:
        skill = skills.named(index, name)
        if skill is None or (skill["phases"] and phase not in skill["phases"]):
            continue
        if all(signal in state["signals"] for signal in skill["after"]):
            found.append((name, skill))
    return sorted(found, key=lambda pair: (pair[1]["priority"], pair[1]["order"]))


def _named(skills: "list[tuple[str, dict[str, Any]]]") -> str:
    """The skills' names with what the workflow says of them."""
    single = len(skills) == 1
    parts = [
        f"{clean(name, 200)} (priority {PRIORITIES[skill['priority']]}, {ENFORCEMENTS[skill['enforcement']]})"
        for name, skill in skills
    ]
    return f"{'skill' if single else 'skills'} for this prompt: {'; '.join(parts)}."
