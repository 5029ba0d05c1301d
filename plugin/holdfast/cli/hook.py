"""`holdfast hook`: one hook by hand, or for a host that is set up by hand."""

import os

import click

from holdfast.cli.groups import Command
from holdfast.hosts import NAMES

# holdfast.dryrun.HOOKS, whose module is not needed to answer a host
HOOKS = ("session-resume", "prompt-activation", "post-tool-use", "before-compaction", "turn-end", "session-end")


@click.command(cls=Command)
@click.argument("name", metavar="NAME", type=click.Choice(HOOKS))
@click.option("--host", required=True, type=click.Choice(NAMES), help="The CLI whose payload is on stdin.")
@click.option("--dry-run", is_flag=True, help="Show the event, the change to the state and the reply; write nothing.")
def hook(name: str, host: str, dry_run: bool) -> None:
    """Run one hook by hand.

    It does what a host's hook does: payload on stdin, reply on stdout, always exit code 0. With --dry-run it
    explains itself instead, and on a terminal it takes a sample payload.

    NAME is session-resume, prompt-activation, post-tool-use, before-compaction, turn-end or session-end.

    Examples:
      holdfast hook post-tool-use --host claude --dry-run < payload.json
      holdfast hook prompt-activation --host gemini --dry-run
    """
    if dry_run:
        from holdfast import dryrun

        raise click.exceptions.Exit(dryrun.main(["--host", host], name))
    if os.environ.get("HOLDFAST_DISABLE") == "1":
        return
    from holdfast import deadline
    from holdfast.hook import WHOLE, Run
    from holdfast.lean import write

    try:
        deadline.start(WHOLE)
        answer = Run(host).answer()
        deadline.stop()
        if answer:
            write(1, answer)
    except BaseException:  # noqa: BLE001, S110  the host must not be disturbed; Run has written down what it could
        pass
