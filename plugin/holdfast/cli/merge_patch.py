"""`holdfast state patch`: a JSON merge patch on the state, and how two states differ."""

import copy
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import phase
from holdfast.cli.access import Done, Unchanged, alter
from holdfast.cli.groups import Command
from holdfast.errors import ValidationFailed

if TYPE_CHECKING:
    from holdfast.state.document import State

FIXED = ("revision", "schema_version", "seal")  # the store's own
SHOWN = 200  # characters of a value

Place = tuple[int | str, ...]


@click.command(cls=Command)
@click.argument("text", metavar="JSON")
def patch(text: str) -> None:
    """Change the state by a JSON merge patch (RFC 7396).

    JSON is the patch, or - to read it from stdin. Only the keys that it names change; null removes an entry,
    or stands as null where the key must stay. The result must be a valid state in a phase of the workflow, otherwise
    nothing changes and the exit code is 4. A new phase is entered as by `holdfast phase set`, unless the patch
    says more about the progress. revision, schema_version and seal cannot be patched.

    Examples:
      holdfast state patch '{"mode": "paused"}'
      holdfast state patch '{"tasks": {"refund-api": null}}'
      holdfast state patch - < patch.json
    """
    from holdfast.project import Project

    changes = parsed(_from_stdin() if text == "-" else text)
    project = Project.find()

    def change(state: "State") -> Done:
        before = copy.deepcopy(state)
        patched(state, changes)
        if state["phase"] != before["phase"]:
            phase.known(project.index, state["phase"])
            if "progress" not in changes:
                phase.go(state, project.index, state["phase"])
        lines = differences(before, state)
        if not lines:
            raise Unchanged("nothing changed")
        return Done(f"state patch {' '.join(sorted(changes))}", "\n".join(lines))

    alter(project, change)


def _from_stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin else b""


def parsed(text: str | bytes) -> dict[str, Any]:
    """The patch in `text`.

    Raises:
        ValidationFailed: it is none.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        found = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValidationFailed("the patch is not JSON that can be read: nested too deeply") from None
    except ValueError as error:
        raise ValidationFailed(f"the patch is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValidationFailed('the patch must be an object, as in \'{"mode": "paused"}\'')
    for key in FIXED:
        if key in found:
            raise ValidationFailed(f"{key} cannot be patched: the store keeps it; leave it out")
    return found


def merged(target: Any, changes: Any) -> Any:
    """`target` with a merge patch applied (RFC 7396, section 2); neither is altered."""
    if not isinstance(changes, dict):
        return changes
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(state: "State", changes: dict[str, Any]) -> None:
    """Apply a merge patch to a state, in place.

    Raises:
        ValidationFailed: the result is no valid state; each key at fault is named.
    """
    after = merged(state, changes)
    for place, _message in faults(after):
        if place:  # none where a key is no text that can be written
            _stand_as_null(after, changes, place)
    wrong = faults(after)
    if wrong:
        told = [f"{key(place) or 'a key'}: {text}" for place, text in wrong]
        raise ValidationFailed(f"the patch is refused: {'; '.join(told)}")
    state.clear()
    state.update(after)


def _stand_as_null(after: Any, changes: Any, place: Place) -> None:
    """Put null where the patch took a key away. Not every key may be missing, and some may be null."""
    for part in place[:-1]:
        if not isinstance(changes, dict) or part not in changes:
            return
        after, changes = after[part], changes[part]
    if isinstance(changes, dict) and changes.get(place[-1], 0) is None:
        after[place[-1]] = None


def faults(found: "State") -> list[tuple[Place, str]]:
    """Where a document is no valid state: the place of each key at fault, and what is wrong with it."""
    from pydantic import ValidationError

    from holdfast.state import schema

    plain = {"extra_forbidden": "there is no such key", "missing": "is missing"}
    try:
        schema.State.model_validate({name: value for name, value in found.items() if name != "seal"})
    except ValidationError as error:
        told: dict[Place, str] = {}
        for fault in error.errors(include_url=False, include_input=False):
            message = plain.get(fault["type"], fault["msg"].removeprefix("Input "))
            told.setdefault(_cut(found, fault["loc"]), message)
        return list(told.items())
    return []


def _cut(found: Any, place: Place) -> Place:
    """`place` without what lies below a plain value: pydantic names there which type of several it tried."""
    for depth, part in enumerate(place):
        if isinstance(found, dict):
            found = found.get(part, {})
        elif isinstance(found, list) and isinstance(part, int):
            found = found[part]
        else:
            return place[:depth]
    return place


def key(place: Place) -> str:
    """A place as people write it."""
    return ".".join(map(str, place))


def differences(before: Any, after: Any, place: Place = ()) -> list[str]:
    """One line for each value that is another, is new or is gone."""
    if before == after:
        return []
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [f"{key(place)}: {_shown(before)} -> {_shown(after)}"]
    lines = []
    for name in sorted({*before, *after}):
        where = (*place, name)
        if name not in after:
            lines.append(f"{key(where)}: removed")
        elif name not in before:
            lines.append(f"{key(where)}: added {_shown(after[name])}")
        else:
            lines += differences(before[name], after[name], where)
    return lines


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
