"""The command `holdfast`, for people: thin click commands over the library, one file a group.

    root        the commands, and what a word that is none is answered
    failures    every error as one line and an exit code
    output      stdout and stderr
    access      how commands read and alter the project's state
    state       `holdfast state`, whose larger commands are in copies, merge_patch, migrate and takeover
    init status phase task signals mode workflow target install hook    the other commands

Modules of the library are imported inside the commands that need them: pydantic, rich and yaml cost 80 ms together.
"""

import os
import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        words: its arguments; None for those of the process.

    Returns:
        The exit code: see `holdfast.errors`; 64 for wrong usage, 130 after an interrupt.
    """
    from holdfast.cli.failures import guarded
    from holdfast.cli.output import prepare

    prepare()
    return guarded(lambda: _run(sys.argv[1:] if words is None else words))


def _run(words: Sequence[str]) -> int:
    from holdfast.cli.root import holdfast

    if "_HOLDFAST_COMPLETE" in os.environ:  # a shell asks for completions
        holdfast.main(list(words), prog_name="holdfast")
    # click's own main would answer an interrupt and a usage error itself
    with holdfast.make_context("holdfast", list(words)) as context:
        holdfast.invoke(context)
    return 0
