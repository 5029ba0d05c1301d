"""Matching without `re`: patterns are compiled when the index is made, and only those run whose literals occur.

Importing `re` costs a hook 4 ms, compiling one pattern about 0.3 ms. What `re.compile` comes to is a list of numbers
for `_sre`; the index keeps it, keyed by what it depends on (`key`). `_sre` checks such a list before it runs it.
"""

import sys

try:
    import _sre
except ImportError:  # pragma: no cover  another interpreter
    _sre = None

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Pattern = dict[str, Any]  # source, flags, groups, code ([int] or null), literals ([str] or null), fold (bool)

LONGEST = 64 * 1024  # characters of a text that patterns are shown
HEAD = 48 * 1024  # of which this many from its beginning


def key() -> str:
    """What compiled patterns depend on: they are made again where it differs."""
    return f"{sys.implementation.cache_tag}-{getattr(_sre, 'MAGIC', 0)}-{getattr(_sre, 'CODESIZE', 0)}"


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
        deadline.Expired: it ran longer than the caller's limit.
    """
    literals = pattern["literals"]
    if literals:
        if not pattern["fold"]:
            if not any(literal in text for literal in literals):
                return False
        elif text.isascii() and not any(literal in folded for literal in literals):
            return False  # beyond ASCII a character may match others than its lower case
    code = pattern["code"]
    if code is None or _sre is None:
        import re

        return re.compile(pattern["source"], pattern["flags"]).search(text) is not None
    groups = pattern["groups"]
    compiled = _sre.compile(pattern["source"], pattern["flags"], code, groups, {}, (None,) * (groups + 1))
    return compiled.search(text) is not None
