"""What may stand in workflow.yaml: its keys, their limits, and what is allowed but odd. Cold: imports pydantic.

The limits keep the index, and with it the cost of a hook, bounded.
"""

import re
import warnings as python_warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from holdfast.workflow import commands
from holdfast.workflow.regexes import compile_glob

ToolKind = Literal["shell", "edit", "read", "search", "plan", "skill", "agent", "web", "mcp", "other"]
Outcome = Literal["ok", "failed", "unknown"]
Priority = Literal["critical", "high", "medium", "low"]
Enforcement = Literal["suggest", "warn", "block"]
Location = tuple[int | str, ...]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Problem:
    """Something wrong or odd in a workflow file. Lines and columns count from 1; 0 where there is none to name."""

    file: str
    line: int
    key: str
    message: str
    column: int = 0

    def __str__(self) -> str:
        """One line, `FILE:LINE: key: message`."""
        place = self.file + "".join(f":{number}" for number in (self.line, self.column) if number)
        text = ": ".join(part for part in (place, self.key, self.message) if part)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _error(message: str) -> PydanticCustomError:
    return PydanticCustomError("workflow", "{message}", {"message": message})


def _as_list(value: Any) -> Any:
    return value if value is None or isinstance(value, (list, Mapping)) else [value]


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise _error("must be a name: 1 to 64 letters, digits, dots, dashes and underscores")
    return value


def _skill_name(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise _error("must be a skill's name, without control characters")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise _error("must not be empty (write a text or remove the key)")
    return value


def _glob(value: str) -> str:
    if value.startswith(("/", "~", "\\")) or value[1:2] == ":":
        raise _error("must be relative to the project's root (remove what makes it absolute)")
    if ".." in re.split(r"[/\\]", value):
        raise _error("must stay inside the project (remove the ..)")
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            compile_glob(value)
    except re.error as error:
        raise _error(f"is no valid glob: {error.msg} (correct it)") from None
    return value


def _compiles(value: str, flags: int) -> str:
    if _CONTROL.search(value):  # "\b" between double quotes is a backspace in YAML
        raise _error("holds a control character (between double quotes YAML reads \\b and its like: use single quotes)")
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            re.compile(value, flags)
    except re.error as error:
        place = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise _error(f"is no valid regular expression: {error.msg}{place} (a \\ escapes a character)") from None
    except (OverflowError, RecursionError):
        raise _error("is too large a regular expression (split it)") from None
    return value


def _command(value: str) -> str:
    try:
        _compiles(commands.resolve(value), 0)
    except KeyError:
        raise _error(f"is no known command pattern (there are {', '.join(commands.NAMED)})") from None
    return value


def _skill_regex(value: str) -> str:
    return _compiles(value, re.IGNORECASE)


def _version(value: Any) -> Any:
    if type(value) is not int or value != 1:  # True and 1.0 equal 1
        raise _error("must be the number 1: no other version can be read (write version: 1)")
    return value


Item = TypeVar("Item")
Name = Annotated[str, AfterValidator(_name)]
SkillName = Annotated[str, Field(max_length=200), AfterValidator(_skill_name)]
Text = Annotated[str, Field(max_length=2000)]
Filled = Annotated[Text, AfterValidator(_not_blank)]
Glob = Annotated[Filled, AfterValidator(_glob)]
Command = Annotated[Filled, AfterValidator(_command)]
SkillRegex = Annotated[Filled, AfterValidator(_skill_regex)]
Several = Annotated[list[Item], BeforeValidator(_as_list), Field(max_length=500)]
"""A list, for which a single entry may stand."""


class _Part(BaseModel):
    """No unknown keys, no conversion of types. A key without a value is as if it were not written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data


class Phase(_Part):
    """A stage of the work. It ends when every signal in `next` was emitted since it was entered."""

    id: Name
    title: Text = ""
    next: Several[Name] = []
    guidance: Annotated[str, Field(max_length=1000)] = ""

    @model_validator(mode="before")
    @classmethod
    def _title_or_id(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("id"), str) and data.get("title") in (None, ""):
            return {**data, "title": data["id"]}
        return data


def _empty(value: Any) -> Any:
    return {} if value is None else value


class Signal(_Part):
    """What a finished tool call must be to emit a signal; one that asks for nothing is only emitted by hand.

    Without `tool`, a `command` asks for a shell and a `path` for any tool that has paths.
    """

    tool: Annotated[Several[ToolKind], Field(min_length=1)] | None = None
    path: Several[Glob] = []
    command: Command | None = None
    outcome: Outcome | None = None
    after: Several[Name] = []


class Skill(_Part):
    """When a skill is named to the agent: for keywords, patterns or files, in its phases, once its signals stand."""

    priority: Priority = "medium"
    enforcement: Enforcement = "suggest"
    keywords: Several[Filled] = []
    patterns: Several[SkillRegex] = []
    files: Several[Glob] = []
    phases: Several[Name] = []
    after: Several[Name] = []
    description: Text = ""


class Briefing(_Part):
    """The text put before the agent when a session starts."""

    max_chars: int = Field(2000, ge=200, le=9000)


class Backups(_Part):
    """How many copies of the state are kept, and for how long."""

    keep: int = Field(20, ge=1, le=1000)
    max_age_days: int | None = Field(None, ge=1)


class Workflow(_Part):
    """A whole workflow.yaml."""

    version: Annotated[int, BeforeValidator(_version)]
    name: Annotated[str, Field(max_length=200), AfterValidator(_not_blank)]
    phases: list[Phase] = Field(min_length=1, max_length=200)
    signals: dict[Name, Annotated[Signal, BeforeValidator(_empty)]] = Field({}, max_length=2000)
    skills: dict[SkillName, Annotated[Skill, BeforeValidator(_empty)]] = Field({}, max_length=5000)
    plan: Several[Glob] = []
    briefing: Briefing = Briefing()
    backups: Backups = Backups()

    @model_validator(mode="after")
    def _agrees(self) -> "Workflow":
        found = [f"{'.'.join(map(str, place))}: {message}" for place, message in conflicts(self.model_dump())]
        if found:
            raise PydanticCustomError("conflict", "{found}", {"found": "; ".join(found)})
        return self


def conflicts(data: Any) -> Iterator[tuple[Location, str]]:
    """Where keys contradict one another: two phases of one id, a skill for a phase that is not there.

    Args:
        data: a workflow as plain data; what is malformed in it is passed over.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("phases"), list):
        return
    places: dict[str, int] = {}
    for place, phase in enumerate(data["phases"]):
        name = phase.get("id") if isinstance(phase, Mapping) else None
        if isinstance(name, str) and places.setdefault(name, place) != place:
            yield ("phases", place, "id"), f"phases[{places[name]}] has the id {name} already (give each phase its own)"
    skills = data.get("skills")
    for skill, rule in skills.items() if isinstance(skills, Mapping) else ():
        wanted = _as_list(rule.get("phases")) if isinstance(rule, Mapping) else None
        for place, name in enumerate(wanted if isinstance(wanted, list) else ()):
            if isinstance(name, str) and name not in places:
                yield ("skills", skill, "phases", place), f"there is no phase {name} (add or correct it)"


def oddities(workflow: Workflow) -> Iterator[tuple[Location, str]]:
    """What is allowed but rarely meant, and where."""
    last = len(workflow.phases) - 1
    for place, phase in enumerate(workflow.phases):
        yield from _undeclared(workflow, ("phases", place, "next"), phase.next)
        if place < last and not phase.next:
            yield ("phases", place), f"nothing ends the phase {phase.id} (name a signal in next, or move on by hand)"
    for name, signal in workflow.signals.items():
        yield from _undeclared(workflow, ("signals", name, "after"), signal.after)
        if signal.command is not None and signal.tool and "shell" not in signal.tool:
            yield ("signals", name, "command"), "only a shell has commands, so this never fires (add shell to tool)"
    for name, skill in workflow.skills.items():
        yield from _undeclared(workflow, ("skills", name, "after"), skill.after)
        if not (skill.keywords or skill.patterns or skill.files or skill.phases or skill.after):
            yield ("skills", name), "nothing triggers it (add keywords, patterns, files, phases or after)"


def _undeclared(workflow: Workflow, where: Location, names: list[str]) -> Iterator[tuple[Location, str]]:
    for place, name in enumerate(names):
        if name not in workflow.signals:
            yield (*where, place), f"{name} is not under signals: it is only emitted by hand (add or correct it)"


def warnings(workflow: Workflow) -> list[Problem]:
    """What is allowed but rarely meant. The loader's `read` and `check` give the same with file and line."""
    return [Problem("", 0, ".".join(map(str, place)), message) for place, message in oddities(workflow)]
