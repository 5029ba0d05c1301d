"""Write docs/commands.md from the help texts: `python docs/make_commands.py`. A test holds them together."""

from collections.abc import Iterator
from pathlib import Path

import click

from holdfast.cli.root import holdfast

PAGE = Path(__file__).with_name("commands.md")
FENCE = "```"


def page() -> str:
    """The whole page."""
    return "\n".join(["# Commands", "", *_section(holdfast, "holdfast", None)])


def _section(command: click.Command, path: str, above: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=above)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield from [f"{'#' * min(2 + path.count(' '), 4)} {path}", "", FENCE, usage, FENCE, ""]
    for paragraph in (command.help or "").split("\n\n"):
        yield from _paragraph(paragraph)
    options = [f"- {_option(option)}" for option in command.params if isinstance(option, click.Option)]
    if options:
        yield from [*options, ""]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _section(command.commands[name], f"{path} {name}", context)


def _paragraph(text: str) -> list[str]:
    """A paragraph, or a title and what it keeps line by line."""
    if not text.startswith("\b\n"):
        return [text, ""]
    title, _, lines = text.removeprefix("\b\n").partition("\n")
    return [title, "", FENCE, *(line.removeprefix("  ") for line in lines.split("\n")), FENCE, ""]


def _option(option: click.Option) -> str:
    words = ", ".join(option.opts)
    if isinstance(option.type, click.Choice):
        words += f" {'|'.join(map(str, option.type.choices))}"
    elif not option.is_flag:
        words += f" {option.metavar or option.type.name.upper()}"
    default = f" (default: {option.default})" if option.show_default else ""
    return f"`{words}`: {option.help}{default}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
