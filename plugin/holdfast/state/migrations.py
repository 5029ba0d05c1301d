"""Migrations: how a state of an older schema becomes one of this release's. Cold.

Each is a named, pure function; `metadata.migrations` of the state holds the names of those that were applied. They are
rehearsed on a copy, and the result is taken only if the schema accepts it.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.errors import ValidationFailed
from holdfast.lean import dumps, loads
from holdfast.state import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.state.document import State


class Migration(NamedTuple):
    """One step. Never renamed, never taken out of the list once it was released.

    Attributes:
        name: as the state records it.
        version: the schema version that it leads to.
        apply: given a document, returns what becomes of it; `rehearse` sets the version and records the name.
    """

    name: str
    version: int
    apply: "Callable[[State], State]"


MIGRATIONS: tuple[Migration, ...] = ()
"""In their order: versions never fall. Schema 1 is the first, so nothing leads to it."""


def version_of(state: "State") -> int | None:
    """The document's schema version, or None where it names none."""
    found = state.get("schema_version")
    return found if type(found) is int else None


def older(state: "State") -> bool:
    """Whether an older release wrote this document."""
    version = version_of(state)
    return version is not None and version < document.SCHEMA_VERSION


def pending(state: "State", to: int | None = None) -> list[Migration]:
    """The migrations that the document still needs to reach the schema version `to` (default: this release's)."""
    end = document.SCHEMA_VERSION if to is None else to
    start = version_of(state) or 0
    done = _applied(state)
    return [step for step in MIGRATIONS if start < step.version <= end and step.name not in done]


def rehearse(state: "State", to: int | None = None) -> "State":
    """What the migrations make of the document, which stays as it is.

    Args:
        state: the document, without its seal.
        to: the schema version to stop at (default: this release's).

    Raises:
        ValidationFailed: one fails, none leads there, or the schema does not accept the result.
    """
    from holdfast.dependencies import enable

    enable()
    from holdfast.state import schema

    end = document.SCHEMA_VERSION if to is None else to
    try:
        found: State = loads(dumps({key: value for key, value in document.whole(state).items() if key != "seal"}))
    except (TypeError, ValueError) as error:
        raise ValidationFailed(f"{error}: nothing was changed") from None
    for step in pending(state, to):
        try:
            found = step.apply(found)
            found["schema_version"] = step.version
            found["metadata"]["migrations"] = [*_applied(found), step.name]
        except Exception as error:  # whatever a document of old may hold
            what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ValidationFailed(f"the migration {step.name} failed ({what}); nothing was changed") from error
    if found.get("schema_version") != end:
        raise ValidationFailed(f"no migration leads from schema {state.get('schema_version')} to {end}")
    if end != document.SCHEMA_VERSION:
        return found
    return schema.validate(found, "the migrated state")


def _applied(state: "State") -> list[Any]:
    metadata = state.get("metadata")
    names = metadata.get("migrations", []) if isinstance(metadata, dict) else []
    return names if isinstance(names, list) else []
