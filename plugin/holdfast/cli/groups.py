"""Commands and groups of them: how their help reads, and what a word that is no command is answered."""

import difflib
import inspect
from typing import Any

import click

SHOWN = 20  # names in one line


def laid_out(text: str | None) -> str | None:
    """A help text in which a paragraph with indented lines keeps its lines; click would fill them."""
    if text is None:  # python -OO drops docstrings
        return None
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"\b\n{part}" if "\n  " in part else part for part in paragraphs)


class Command(click.Command):
    """A command whose help keeps its examples' lines."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["help"] = laid_out(attributes.get("help"))
        super().__init__(*args, **attributes)


class Group(click.Group):
    """A group that answers no word with its help, and one that it does not know with the nearest."""

    command_class = Command

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["help"] = laid_out(attributes.get("help"))
        super().__init__(*args, **attributes)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands as they were added."""
        del ctx
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command.

        Raises:
            click.UsageError: there is none of that name.
        """
        word = args[0]
        if word not in self.commands and not word.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"there is no command {word!r}: {nearest(word, list(self.commands))}", ctx)
        return super().resolve_command(ctx, args)


def nearest(word: str, known: list[str]) -> str:
    """What to say of a word that is not among those known: the nearest of them, or all."""
    near = difflib.get_close_matches(word, known, 2, 0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = ", …" if len(known) > SHOWN else ""
    return f"there are {', '.join(known[:SHOWN])}{more}" if known else "there is none"
