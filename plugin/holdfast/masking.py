"""Takes secrets out of commands before they are kept or shown.

Cold: it needs `re`, and only failing commands come here. It rather masks too much than too little.
"""

import re

SHOWN = "***"

# A quote that is not closed ends with the text: commands are cut before they are masked.
_VALUE = r"""(\$\([^)]*(?:\)|\Z)|\$'[^']*(?:'|\Z)|\\"[^"]*(?:"|\Z)|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s"'&;|]+)"""
_NAMES = (
    r"[\w-]{0,40}(?:passw(?:or)?d|passphrase|passcode|secret|token(?!i[sz]|s\W{1,3}\d+\b)|credential"
    r"|(?:api|access|account|private|signing|encryption)[_-]?key)[\w-]{0,40}"
)
_SHORT = r"(?<![a-z0-9-])(?:[\w-]{0,40}[_-])?(?:auth|pass|pwd)"  # by themselves or after a dash: not in author, bypass

# An assignment, a header, a member of a JSON object; an option whose name says that its value is a secret.
_ASSIGNED = re.compile(rf"""(?i)({_NAMES}\\?["']?\s*[=:]\s*){_VALUE}""")
_SHORT_ASSIGNED = re.compile(rf"""(?i)({_SHORT}(?:["']?\s*=\s*|\\?["']\s*:\s*)){_VALUE}""")
_OPTION = re.compile(
    rf"""(?i)((?:^|\s)--?(?:{_NAMES}|(?:[\w-]{{0,40}}-)?(?:auth|pass|pwd))(?:\s|\\\n)+)(?!-){_VALUE}"""
)
_SETTING = re.compile(rf"""(?i)(\bset\s+(?:[\w.-]+\s+)?{_NAMES}\s+){_VALUE}""")
_KEY = re.compile(rf"""((?<![A-Za-z0-9])[A-Z][A-Z0-9_]{{0,40}}_KEY\s*=\s*){_VALUE}""")
_PAT = re.compile(rf"""(?i)((?<![a-z0-9])(?:[\w-]{{0,40}}_)?pat\s*=\s*){_VALUE}""")
_PASSED = re.compile(rf"""(?i)(\s-{{1,2}}pass(?:in|out)?[\s=]+pass:){_VALUE}""")
_QUERY = re.compile(r"""(?i)([?&](?:key|sig|signature|code|auth)=)([^&\s"']+)""")
_ALONE = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)([^\s/:@]{16,})(?=@)")
_HEADER = re.compile(r"""(?i)\b(authorization["']?\s*[:=]\s*)("[^"]*"|'[^']*'|(?:[a-z][\w-]*\s+)?[^\s"']+)""")
_COOKIE = re.compile(r"""(?i)(\bcookie\s*:\s*|(?:^|\s)(?:-b|--cookie)[\s=]+["']?(?=[^\s"'=]+=))([^"'\n]+)""")
_BEARER = re.compile(r"(?i)\b(bearer\s+)([\w.~+/=-]{8,})")
_USER = re.compile(
    r"""(?i)((?:^|\s)(?:-u|-a|--auth|--(?:proxy-)?user)[\s=]*["']?[\w.@-]+:)(?!\d+(?:\s|\Z))([^\s"']+)"""
)
_LOGIN = re.compile(rf"""(?i)(\b(?:login|sshpass|twine)\b[^|;&\n]{{0,200}}?\s-p[\s=]*){_VALUE}""")
_MYSQL = re.compile(rf"""(?i)(\b(?:mysql|mariadb)[\w-]*\b[^|;&\n]{{0,200}}?\s-p){_VALUE}""")
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s/:@]*:)([^\s/@]+)(?=@)")
_SHAPES = re.compile(
    r"""(?xs)
    \b (?: sk[-_](?=[\w-]*\d)[\w-]{12,} | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,} |
    xox[abposr]-[\w-]{10,} | A[KS]IA[A-Z0-9]{12,} | AIza[\w-]{30,} | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} |
    hf_[A-Za-z0-9]{30,} | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]* )
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END[A-Z ]*-----|\Z)
    """
)
_KEPT = (
    _HEADER,
    _BEARER,
    _COOKIE,
    _USER,
    _LOGIN,
    _MYSQL,
    _URL,
    _ALONE,
    _QUERY,
    _PASSED,
    _SETTING,
    _KEY,
    _PAT,
    _ASSIGNED,
    _SHORT_ASSIGNED,
    _OPTION,
)


def mask(command: str) -> str:
    """`command` with the values of what looks like a secret replaced by `***`."""
    for pattern in _KEPT:
        command = pattern.sub(lambda found: found[1] + SHOWN, command)
    return _SHAPES.sub(SHOWN, command)
