"""Takes secrets out of commands before they are kept or shown.

Cold: it needs `re`, and only failing commands come here.
"""

import re

SHOWN = "***"

_NAMES = r"[\w-]*(?:passw(?:or)?d|passphrase|secret|token|credentials?|auth|(?:api|access|private)[_-]?key)[\w-]*"
_VALUE = r"""("[^"]*"|'[^']*'|[^\s"'&;|]+)"""

# An assignment, or an option whose name says that its value is a secret.
_ASSIGNED = re.compile(rf"""(?i)({_NAMES}["']?\s*[=:]\s*){_VALUE}""")
_OPTION = re.compile(rf"""(?i)((?:^|\s)--?{_NAMES}\s+){_VALUE}""")
_HEADER = re.compile(r"(?i)\b(authorization\s*:\s*(?:bearer|basic|token)?\s*)([^\s\"']+)")
_BEARER = re.compile(r"(?i)\b(bearer\s+)([\w.~+/=-]{8,})")
_USER = re.compile(r"(?i)((?:^|\s)(?:-u|--user)[\s=]+[^\s:]+:)([^\s]+)")
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*:)([^\s/@]+)(?=@)")
_SHAPES = re.compile(
    r"""(?x)
    \b (?: sk-[A-Za-z0-9_-]{12,} | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,} |
    xox[abposr]-[\w-]{10,} | AKIA[A-Z0-9]{12,} | AIza[\w-]{30,} | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} |
    eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]* )
    """
)


def mask(command: str) -> str:
    """`command` with the values of what looks like a secret replaced by `***`."""
    for pattern in (_HEADER, _BEARER, _USER, _URL, _ASSIGNED, _OPTION):
        command = pattern.sub(lambda found: found[1] + SHOWN, command)
    return _SHAPES.sub(SHOWN, command)
