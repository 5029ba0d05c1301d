"""`holdfast install` and `holdfast uninstall`: the hooks' registrations with the hosts."""

from collections.abc import Callable
from typing import Any

import click

from holdfast.cli.groups import Command
from holdfast.cli.output import say
from holdfast.hosts import NAMES


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both have."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing."),
        click.option(
            "--scope",
            type=click.Choice(["project", "user"]),
            default="project",
            show_default=True,
            help="Whose settings register the hooks: this project's, or the user's for all projects.",
        ),
        click.option("--host", "hosts", multiple=True, type=click.Choice(NAMES), help="A CLI; may be repeated."),
        click.option("--project", default=".", show_default=True, metavar="DIR", help="The project's folder."),
    ):
        command = option(command)
    return command


@click.command(cls=Command)
@_options
def install(project: str, hosts: tuple[str, ...], scope: str, dry_run: bool) -> None:
    """Register the hooks with AI coding CLIs, and try them.

    Without --host it takes those that are on PATH or have a configuration folder, and all where none has. A
    project without .holdfast/ gets one, with a workflow to start from. What others wrote into the settings
    stays; a second installation changes nothing.

    Examples:
      holdfast install
      holdfast install --host claude --host codex --project ~/shop
      holdfast install --dry-run
    """
    from holdfast.install import install as register

    register(project, list(hosts) or None, scope, dry_run=dry_run, echo=say)


@click.command(cls=Command)
@_options
@click.option("--purge", is_flag=True, help="Also delete the private environment that install.py made.")
def uninstall(project: str, hosts: tuple[str, ...], scope: str, dry_run: bool, purge: bool) -> None:
    """Take the registrations back. The project's .holdfast/ stays.

    Settings that nobody else has changed since become what they were, to the byte; from others only our entries
    go. Without --host it takes all.

    Examples:
      holdfast uninstall
      holdfast uninstall --host gemini
      holdfast uninstall --scope user --purge
    """
    from holdfast.install import uninstall as take_back

    take_back(project, list(hosts) or None, scope, purge=purge, dry_run=dry_run, echo=say)
