"""The programs and files that a registered command names."""

from __future__ import annotations

import os
import shlex
import stat


def named(command: str) -> list[str]:
    """The absolute paths in a command, in their order; what a redirection leads to is none of them."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:  # a quote without its end
        tokens = command.split()
    found = []
    for before, word in zip(["", *tokens], tokens):  # noqa: B905  the last token comes before none
        if os.path.isabs(word) and not before.endswith((">", "<")):
            found.append(word)
    return found


def missing(command: str) -> str:
    """What of a command's paths is not there or may not be used by this user; "" if all is well.

    The first path is the program; those of scripts are read.
    """
    for word in command.split():
        if "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            return f"{word!r} holds a character that no program can be given"
    for place, path in enumerate(named(command)):
        try:
            found = os.stat(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
        wanted = os.R_OK if path.endswith(".py") else os.X_OK if place == 0 else os.F_OK
        if stat.S_ISDIR(found.st_mode):
            return f"{path} is a folder"
        if not os.access(path, wanted):
            return f"{path} may not be {'read' if wanted == os.R_OK else 'executed'} by you"
    return ""
