"""The names of locks, and the order in which they may be taken."""

from collections.abc import Iterable

from holdfast.errors import HoldfastError, ValidationFailed

NUMBERS = {"state": 1, "config": 2, "signals": 3, "backup": 4, "temp": 5, "user": 10}
CUSTOM = 10  # the number of every other name
LONGEST = 64


def check(name: str) -> None:
    """Refuse what cannot be the name of a lock: it becomes part of a file's name.

    Raises:
        ValidationFailed: it is empty, too long, or has characters that a path could make something of.
    """
    plain = all((c.isascii() and c.isalnum()) or c in "._-" for c in name)
    if not plain or not name[:1].isalnum() or len(name) > LONGEST:
        raise ValidationFailed(
            f"{name[:80]!r} is no name for a lock: 1 to {LONGEST} letters, digits, dots, dashes and underscores, "
            "the first a letter or digit"
        )


def key(name: str) -> str:
    """What the lock's files are called. Two names that differ in case alone are one lock: file systems may not tell."""
    return name.lower()


def number(name: str) -> int:
    """The lock's place in the order; lower ones are taken first."""
    return NUMBERS.get(key(name), CUSTOM)


def in_order(name: str, held: Iterable[str]) -> None:
    """Refuse a lock that must be taken before one of those that its taker holds: two takers could wait for each other.

    Raises:
        HoldfastError: it comes before one of `held`.
    """
    for other in held:
        if number(other) > number(name):
            raise HoldfastError(
                f"lock {name} (number {number(name)}) cannot be taken while {other} (number {number(other)}) is held: "
                f"release {other}, then take {name} first"
            )
