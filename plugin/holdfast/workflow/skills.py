"""Which skills a prompt and a phase call for: looked up in the index."""

from holdfast import deadline
from holdfast.workflow import patterns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.workflow.index import Index

MANY_WORDS = 200  # from here on a section is parsed whole rather than searched for each word
BREAKS = dict.fromkeys((*range(48), *range(58, 65), *range(91, 95), 96, *range(123, 128)), " ")  # no 0-9 A-Z _ a-z


def named(index: "Index", name: str) -> "dict[str, Any] | None":
    """{"priority", "enforcement", "phases", "after", "order"} of a skill, or None."""
    found: dict[str, Any] | None = index.entry("skills", name)
    return found


def asked_for(index: "Index", prompt: str) -> "tuple[list[str], int]":
    """The skills whose keywords or patterns occur in a prompt, and how many patterns ran too long.

    Raises:
        deadline.Expired: the hook's own time is over.
    """
    text = patterns.shown(prompt)
    folded = text.lower()
    found: dict[str, bool] = {}
    if not index.empty("keywords"):
        spaced = f" {' '.join(folded.split())} "
        for keyword, name in _keywords(index, folded):
            if name not in found and occurs(keyword, spaced):
                found[name] = True
    slow = 0
    for name, number in index.candidates("literals", folded, text.isascii()):
        if name in found or slow >= patterns.MOST_SLOW:
            continue
        try:
            if patterns.search(index.entry("patterns", number), text, folded):
                found[name] = True
        except deadline.Expired:
            slow = patterns.given_up(slow)
    return list(found), slow


def _keywords(index: "Index", folded: str) -> "list[tuple[str, str]]":
    words = set(split(folded))
    pairs = index.entry("keywords", "") or []
    if len(words) > MANY_WORDS:
        for word, found in index.section("keywords").items():
            if word in words:
                pairs += found
    else:
        for word in words:
            pairs += index.entry("keywords", word) or []
    return pairs


def of_phase(index: "Index", phase: "str | None") -> "list[str]":
    """The skills that ask for nothing but the phase, or for signals alone."""
    if index.empty("standing"):
        return []
    return (index.entry("standing", phase) or [] if phase else []) + (index.entry("standing", "*") or [])


def split(folded: str) -> "list[str]":
    """The words of a text: runs of letters, digits and underscores, but for letters of scripts without spaces."""
    if folded.isascii():
        return folded.translate(BREAKS).split()
    return "".join(c if joins(c, c) else " " for c in folded).split()


def occurs(keyword: str, spaced: str) -> bool:
    """Whether `keyword` stands in a text as whole words.

    Args:
        keyword: in lower case, single spaces between its words.
        spaced: the text likewise, with a space at both ends.
    """
    place = spaced.find(keyword)
    while place >= 0:
        before, after = spaced[place - 1], spaced[place + len(keyword)]
        if not (joins(before, keyword[0]) or joins(keyword[-1], after)):
            return True
        place = spaced.find(keyword, place + 1)
    return False


def joins(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word. Scripts without spaces between words have no case, and never join."""
    return all(
        (c.isalnum() and (c.isascii() or c.isdigit() or c.lower() != c.upper())) or c == "_" for c in (left, right)
    )
