"""`holdfast signal`: named facts, emitted and cleared by hand."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.access import Done, alter, current
from holdfast.cli.groups import Group, nearest
from holdfast.cli.output import ago, say, say_json
from holdfast.cli.phase import position
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.project import Project
    from holdfast.state.document import State
    from holdfast.workflow.index import Index


@click.group(cls=Group)
def signal() -> None:
    """Emit, clear and list signals."""


@signal.command()
@click.argument("name")
def emit(name: str) -> None:
    """Emit the signal NAME, as if a tool call had; the phase ends if that was all it needed.

    Examples:
      holdfast signal emit APPROVED
    """
    from holdfast.moments import outstanding
    from holdfast.project import Project

    project = Project.find()
    aside = _unknown(project, name)

    def change(state: "State") -> Done:
        ended = project.emit(state, name)
        line = f"signal {name} emitted"
        if ended and state["progress"]["finished"]:
            line += f"; the phase {ended} is complete, and with it the workflow"
        elif ended:
            line += f"; the phase {ended} is complete, now {state['phase']}, {position(project.index, state['phase'])}"
        elif (found := project.index.phase(state["phase"])) and name in found[1]["next"]:
            line += f"; the phase {state['phase']} still needs {', '.join(outstanding(state, found[1])[0])}"
        return Done(f"signal emit {name}", line, aside)

    alter(project, change)


@signal.command()
@click.argument("name")
def clear(name: str) -> None:
    """Forget the signal NAME, as if it had never been emitted. A phase that it ended stays ended.

    Examples:
      holdfast signal clear TESTS_PASSED
    """
    from holdfast.project import Project

    def change(state: "State") -> Done:
        there = [*{*state["signals"], *state["progress"]["signals"]}]
        if name not in there:
            raise HoldfastError(f"the signal {name} does not stand: {nearest(name, sorted(there))}")
        state["signals"].pop(name, None)
        state["progress"]["signals"].pop(name, None)
        return Done(f"signal clear {name}", f"signal {name} cleared")

    alter(Project.find(), change)


@signal.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON object of {NAME: Unix time of its last emission}.")
def list_(as_json: bool) -> None:
    """List the signals that stand, the newest first.

    Examples:
      holdfast signal list
    """
    from holdfast.events import clean
    from holdfast.project import Project

    found = newest(current(Project.find()))
    if as_json:
        say_json(found)
        return
    width = max(map(len, found), default=0)
    for name, at in found.items():
        say(f"{clean(name, 300):{width}}  {ago(at)}")
    if not found:
        say("no signals")


def newest(state: "State") -> dict[str, float]:
    """The signals that stand and their times, the newest first."""
    signals = state["signals"]
    return {name: signals[name] for name in sorted(signals, key=lambda name: (-signals[name], name))}


def _unknown(project: "Project", name: str) -> str:
    """What to say of a signal that the workflow does not know, or ""."""
    from holdfast.workflow.index import SOURCE

    named = _named(project.index)
    if name in named:
        return ""
    try:  # the index leaves out what no tool call can emit, and the file is slow to read
        from holdfast.lean import join
        from holdfast.workflow import loader

        named |= set(loader.read(join(project.folder, SOURCE))[0].signals)
    except HoldfastError:  # it is told by `workflow check`
        pass
    return "" if name in named else f"the workflow knows no signal {name}: {nearest(name, sorted(named))}"


def _named(index: "Index") -> set[str]:
    """The signals that phases wait for, rules emit, or rules and skills ask for."""
    named = {name for phase in index.workflow["phases"] for name in phase["next"]}
    for rules in index.section("signals").values():
        for rule in rules:
            named |= {rule["name"], *rule["after"]}
    for skill in index.section("skills").values():
        named |= set(skill["after"])
    return named
