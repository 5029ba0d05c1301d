"""What a valid state document is, in pydantic's words. Cold: the hooks write without it.

`tests/schema_test.py` proves that it accepts whatever the hooks write, and gives it back unchanged.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from holdfast.errors import ValidationFailed
from holdfast.state import document

MOST = 1 << 53  # a larger number is none that another program reads as it was written

Count = Annotated[int, Field(ge=0, le=MOST, strict=True)]
Time = Annotated[FiniteFloat, Field(ge=0, le=MOST)] | Annotated[int, Field(ge=0, le=MOST, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=300)]

IMPORTS = 20
IMPORTED_SIZE = 64 << 10  # characters of JSON


class Strict(BaseModel):
    """No key that is not named here, no conversion of one type into another."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Task(Strict):
    """Something to do: whoever named it, the user or an agent's own list."""

    title: str
    status: Literal["pending", "in_progress", "completed", "cancelled"]
    source: str
    updated_at: Time
    session: str = ""
    ref: str = ""


class Activation(Strict):
    """Which skills were named last."""

    skills: list[str]
    at: Time | None
    session: str | None


class Failure(Strict):
    """A shell command that failed and has not passed since. The command is masked and shortened."""

    command: str
    exit_code: int | None
    at: Time
    key: str


class CurrentSession(Strict):
    """The session that the user is in. Steps are the workflow's phases, counted from 1."""

    id: str
    host: str
    path: str
    steps_completed: list[Count]
    last_step: Count
    total_steps: Count
    started_at: Time
    source: str


class Session(Strict):
    """What one session did. `armed`: skills whose files it touched. `told`: the phase that its agent was told of."""

    host: str
    started_at: Time
    last_seen: Time
    ended_at: Time | None
    activated: list[str]
    files: list[str]
    last_failure: Failure | None
    armed: list[str]
    told: str | None
    unheard: bool
    last_event: str


class Stats(Strict):
    """Counters since the state was made."""

    saves_count: Count
    total_resumes: Count
    last_resume: Time | None
    prompts: Count
    tool_calls: Count
    failures: Count
    recoveries: Count


class DegradedMode(Strict):
    """Whether something is switched off because it failed."""

    enabled: bool
    reason: str
    timestamp: Time | None
    disabled_features: list[str]


class Metadata(Strict):
    """Who wrote when. `migrations`: the names of those that were applied, in their order."""

    created: Time
    last_modified: Time
    last_writer: str
    workflow: str
    migrations: list[str] = []


class Progress(Strict):
    """`entered`: the revision at which the phase began. `signals`: the revision of each signal's last emission."""

    entered: Count
    signals: dict[str, Count]
    completed: list[str]
    finished: bool


class Notice(Strict):
    """What needs the user's eye."""

    at: Time
    text: str
    told: bool


class Import(Strict):
    """A state of another tool that was taken over. `rest`: what has no place of its own here.

    `file` is where the original lies, `sha256` is over all that was read. Where `rest` would be too large, `kept` names
    what holds the whole of the original, from `.holdfast` on.
    """

    file: str
    sha256: str
    at: Time
    kept: str | None
    rest: dict[str, Any]


def _small(found: "dict[str, Import]") -> "dict[str, Import]":
    size = sum(len(json.dumps(entry.rest)) for entry in found.values())
    if size > IMPORTED_SIZE:
        raise ValueError(f"holds {size} characters: at most {IMPORTED_SIZE}")
    return found


def _known(version: int) -> int:
    if version != document.SCHEMA_VERSION:  # asked each time: tests of migrations move it
        raise ValueError(f"input should be {document.SCHEMA_VERSION}")
    return version


class State(Strict):
    """The whole document, without its seal."""

    schema_version: Annotated[int, AfterValidator(_known)]
    revision: Count
    mode: Literal["monitoring", "paused", "stopped"]
    phase: str | None
    tasks: dict[Name, Task]
    completed_tasks: list[str]
    signals: dict[Name, Time]
    last_activation: Activation
    current_session: CurrentSession | None
    sessions: dict[str, Session]
    stats: Stats
    degraded_mode: DegradedMode
    metadata: Metadata
    progress: Progress
    recent: list[str]
    notices: list[Notice]
    imported: Annotated[dict[Name, Import], Field(max_length=IMPORTS), AfterValidator(_small)] = {}


def validate(found: "dict[str, Any]", where: str) -> "dict[str, Any]":
    """The document that `found` is, without its seal.

    Raises:
        ValidationFailed: it is none; each fault is named by its key.
    """
    found = {key: value for key, value in found.items() if key != "seal"}
    try:
        return _filled(State.model_validate(found))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'a key'}: {_plain(fault)}" for fault in error.errors()
        ]
        more = f" (and {len(faults) - 4} more)" if len(faults) > 4 else ""  # noqa: PLR2004  one line must hold them
        raise ValidationFailed(f"{where}: {'; '.join(faults[:4])}{more}") from None


def _filled(state: State) -> "dict[str, Any]":
    """The document with every key that a hook counts on; `imported` alone may be missing."""
    found = state.model_dump()
    if not found.get("imported", True):
        del found["imported"]
    return found


def _plain(fault: Any) -> str:
    kind: str = fault["type"]
    if kind == "extra_forbidden":
        return "there is no such key"
    if kind == "missing":
        return "is missing"
    message: str = fault["msg"]
    return message[0].lower() + message[1:]


def accept(found: "dict[str, Any]") -> "dict[str, Any] | None":
    """The document that `found` is, or None."""
    try:
        return validate(found, "state")
    except ValidationFailed:
        return None
