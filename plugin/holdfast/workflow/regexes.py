"""Compiles regexes and globs to what `patterns.search` runs, and finds the literals that a match cannot do without.

Cold.
"""

import re
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _compiler: Any
    _constants: Any
    _parser: Any
elif sys.version_info >= (3, 11):
    from re import _compiler, _constants, _parser
else:
    import sre_compile as _compiler
    import sre_constants as _constants
    import sre_parse as _parser

if TYPE_CHECKING:
    from holdfast.workflow.patterns import Pattern

SHORTEST = 2  # characters: a shorter literal occurs nearly everywhere
MOST = 24  # literals, any of which a match needs


def compile_regex(source: str, *, fold: bool) -> "Pattern":
    """Compile a regex.

    Args:
        source: as the user wrote it.
        fold: whether case is ignored.

    Raises:
        re.error: it is no regex.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `[[a]` may come to mean something else one day; a hook prints nothing
        return _compile(source, re.IGNORECASE if fold else 0)


def _compile(source: str, flags: int) -> "Pattern":
    compiled = re.compile(source, flags)
    try:
        code = list(_compiler._code(_parser.parse(source, compiled.flags), compiled.flags))  # noqa: SLF001
    except (AttributeError, TypeError):  # a release that works otherwise: the hook imports re
        code = None
    return {
        "source": source,
        "flags": compiled.flags,
        "groups": compiled.groups,
        "code": code,
        "literals": literals(source, compiled.flags),
        "fold": bool(compiled.flags & re.IGNORECASE),
    }


def literals(source: str, flags: int = 0) -> list[str] | None:
    """Strings of which at least one is in every text that the regex matches, or None where none can be named.

    In lower case where the regex ignores case.
    """
    found = _required(list(_parser.parse(source, flags)))
    if not found or min(map(len, found)) < SHORTEST or len(found) > MOST:
        return None
    if flags & re.IGNORECASE and not all(text.isascii() for text in found):
        return None  # the long s matches s, and is no lower case of it
    return sorted({text.lower() for text in found} if flags & re.IGNORECASE else set(found))


def _required(items: list[Any]) -> set[str] | None:
    """The best set of alternatives that a run of parsed items needs: the one whose shortest member is longest."""
    best: set[str] | None = None
    run = ""

    def consider(candidate: set[str] | None) -> None:
        nonlocal best
        if candidate and (best is None or min(map(len, candidate)) > min(map(len, best))):
            best = candidate

    for operator, argument in items:
        if operator is _constants.LITERAL:
            run += chr(argument)
            continue
        if run:
            consider({run})
        run = ""
        if operator is _constants.SUBPATTERN and not (argument[1] or argument[2]):
            consider(_required(list(argument[3])))
        elif operator in _repeats() and argument[0] > 0:
            consider(_required(list(argument[2])))
        elif operator is _constants.BRANCH:
            branches = [_required(list(branch)) for branch in argument[1]]
            consider(set().union(*(b for b in branches if b)) if all(branches) else None)
    if run:
        consider({run})
    return best


def _repeats() -> tuple[Any, ...]:
    names = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")  # the last since 3.11
    return tuple(getattr(_constants, name) for name in names if hasattr(_constants, name))


def compile_glob(glob: str) -> "Pattern":
    """Compile a glob over paths relative to the project's root, as gitignore reads them.

    `**` between slashes stands for any folders or none, at the end for all that is below; elsewhere it is a `*`. `*`,
    `?` and sets like `[a-z]` and `[!a]` do not match a slash. `{a,b}` are alternatives, which gitignore lacks and other
    tools have. Without a slash but at its end, it matches at any depth; with a slash at its end, all that is in the
    folder.

    Raises:
        re.error: a set is not closed, or its range is empty.
    """
    return compile_regex(glob_source(glob), fold=False)


def glob_source(glob: str) -> str:  # noqa: C901, PLR0912  one branch a character
    """The regex, for `search`, of a glob."""
    anchored = "/" in glob[:-1]
    if glob.endswith("/"):
        glob += "**"
    glob = glob.removeprefix("/")
    source, depth, index = "" if anchored else "(?:.*/)?", 0, 0
    while index < len(glob):
        character = glob[index]
        before = glob[index - 1] if index else "/"
        if glob.startswith("**", index) and (before == "/" or (depth and before in "{,")):
            if glob.startswith("/", index + 2):
                source, index = source + "(?:.*/)?", index + 3
                continue
            if index + 2 == len(glob) or (depth and glob[index + 2] in ",}"):
                source, index = source + ".*", index + 2
                continue
        if character == "*":
            source += "[^/]*"
        elif character == "?":
            source += "[^/]"
        elif character == "[":
            first = index + 2 if glob[index + 1 : index + 2] in ("!", "^") else index + 1
            end = glob.find("]", first + 1)  # the first character may be a ] itself
            if end < 0:
                raise re.error("a set is not closed by ]", glob, index)
            source += f"(?!/)[{'^' if first > index + 1 else ''}{_members(glob[first:end])}]"
            index = end
        elif character == "{" and "}" in glob[index:]:
            source, depth = source + "(?:", depth + 1
        elif character == "}" and depth:
            source, depth = source + ")", depth - 1
        elif character == "," and depth:
            source += "|"
        elif character == "\\" and index + 1 < len(glob):
            index += 1
            source += re.escape(glob[index])
        else:
            source += re.escape(character)
        index += 1
    return r"(?s)\A" + source + r"\Z"


def _members(content: str) -> str:
    """The inside of a regex's set, for that of a glob's: single characters and ranges."""
    source, index = "", 0
    while index < len(content):
        if content[index + 1 : index + 2] == "-" and index + 2 < len(content):
            source += f"{re.escape(content[index])}-{re.escape(content[index + 2])}"
            index += 3
        else:
            source += re.escape(content[index])
            index += 1
    return source
