"""Matching without `re`: patterns are compiled when the index is made, and only those run whose literals occur.

Importing `re` costs a hook 4 ms, compiling one pattern about 0.3 ms. What `re.compile` comes to is a list of numbers
for `_sre`; the index keeps it, keyed by what it depends on (`key`). `_sre` checks such a list before it runs it.
"""

import sys

from holdfast import __version__, deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Pattern = dict[str, Any]  # source, flags, groups, code ([int] or null), literals ([str] or null), fold (bool)

EACH = 0.1  # seconds of the processor that one pattern may take on one text
MOST_SLOW = 3  # patterns that may run that long, for one event
LONGEST = 64 * 1024  # characters of a text that patterns are shown
HEAD = 48 * 1024  # of which this many from its beginning


def key() -> str:
    """What compiled patterns depend on: they are made again where it differs."""
    made_for = f"{sys.implementation.cache_tag}-{sys.hexversion:x}"  # `_sre.MAGIC` would cost its import, 0.04 ms
    return f"{made_for}-{__version__}"  # another release may know `@tests` otherwise


def shown(text: str) -> str:
    """What patterns see of a long text: its beginning and its end."""
    return text if len(text) <= LONGEST else text[:HEAD] + "\n" + text[HEAD - LONGEST + 1 :]


def search(pattern: "Pattern", text: str, folded: str) -> bool:
    """Whether `pattern` occurs in `text`.

    Args:
        pattern: as the index holds it.
        text: at most LONGEST characters.
        folded: `text` in lower case.

    Raises:
        deadline.Expired: it ran longer than EACH.
    """
    literals = pattern["literals"]
    if literals:
        if not pattern["fold"]:
            if not any(literal in text for literal in literals):
                return False
        elif text.isascii() and not any(literal in folded for literal in literals):
            return False  # beyond ASCII a character may match others than its lower case
    compiled = _compiled(pattern)
    deadline.spend(EACH)
    try:
        return compiled.search(text) is not None
    finally:
        deadline.spend(0)


def _compiled(pattern: "Pattern") -> "Any":
    source, flags, code, groups = pattern["source"], pattern["flags"], pattern["code"], pattern["groups"]
    try:
        import _sre
    except ImportError:  # pragma: no cover  another interpreter
        code = None
    if code is None:
        import re

        return re.compile(source, flags)
    return _sre.compile(source, flags, code, groups, {}, (None,) * (groups + 1))


def given_up(slow: int) -> int:
    """Count a pattern that ran too long: the number of them, at MOST_SLOW of which the others are given up too.

    Raises:
        deadline.Expired: the hook's own time is over.
    """
    if deadline.left() <= 0:
        raise deadline.Expired
    return slow + 1
