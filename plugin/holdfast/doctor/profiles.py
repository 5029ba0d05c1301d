"""What of a shell's profile may be copied: all that it does, and no value that looks like a secret.

What a profile prints comes before what a hook says, so it is looked at as it runs: a line is taken out only where it
is a whole statement, for a body that has lost its `if` would run always.
"""

from __future__ import annotations

import re

from holdfast.masking import mask

_WORD = r"""(?:'[^'\n]*'|"(?:[^"\\`$\n]|\\.|\$(?!\())*"|"?\$\([^()'"`\\\n]*\)"?|[^\s'"`\\$;&|<>()]|\$(?!['"(]))"""
_SIMPLE = re.compile(
    rf"""\s*(?:
        (?:(?:export|typeset|declare|readonly|local|alias)\s+(?:-\w+\s+)*)? [\w-]+={_WORD}*(?:\s+[\w-]+={_WORD}*)*\s*
        | (?:set|setenv)\s+(?:-\S+\s+)*\w+(?:\s+{_WORD}+)+\s*
    ) ;?\s*(?:\#.*)?""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"\s*#.*")
_PARTS = "key|token|secret|passw|passphrase|credential|auth|dsn|webhook|cookie"
_NAMES = rf"(?:\w*(?:{_PARTS})\w*|(?:\w+_)?(?:pat|pass|pwd)(?:_\w+)?)"
_ASSIGNED = re.compile(rf"(?i)(?<!\w){_NAMES}=(?=\S)|\bset(?:env)?\s+(?:-\S+\s+)*{_NAMES}\s+\S")
_URL = re.compile(r"(?i)://[^\s/'\"]+@|://\S*hook")
# the value of another variable is none that stands here
_REFERENCE = re.compile(r"""(?<!\w)\w+=("?)\$(?:\w+|\{\w+\})\1(?=[\s;)]|\Z)""")


def harmless(text: str) -> str | None:
    """A profile without the assignments that look like secrets; None where one cannot be taken out by itself."""
    if "PRIVATE KEY-----" in text:  # goes over lines
        return None
    kept = []
    before = ""
    for line in text.splitlines():
        whole = not before.endswith("\\")
        before = line
        if not _secret(line):
            kept.append(line)
        elif whole and _COMMENT.fullmatch(line):
            kept.append("#")
        elif whole and _SIMPLE.fullmatch(line):
            kept.append(":")  # the body of an `if` may not be empty
        else:
            return None
    return "".join(f"{line}\n" for line in kept)


def _secret(line: str) -> bool:
    line = _REFERENCE.sub("", line)
    return bool(_ASSIGNED.search(line) or _URL.search(line)) or mask(line) != line
