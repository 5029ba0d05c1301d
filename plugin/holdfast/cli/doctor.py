"""`holdfast doctor`: do the hooks really run, and if not, why not."""

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from holdfast.cli.groups import Command
from holdfast.cli.output import note, say, say_json
from holdfast.hosts import NAMES

if TYPE_CHECKING:
    from holdfast.doctor.findings import Finding

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # a closed terminal's


@click.command(cls=Command)
@click.argument("hosts", metavar="[HOST]...", nargs=-1, type=click.Choice(NAMES))
@click.option("--live", is_flag=True, help="Also run the CLIs that are found, against a scripted model.")
@click.option("--fix", is_flag=True, help="First mend what is Holdfast's own to mend; trust is never given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the keys above.")
def doctor(hosts: tuple[str, ...], live: bool, fix: bool, as_json: bool) -> None:
    """Find out whether the hooks run, and say in one line each what keeps them from it.

    Looks at each CLI that is found or registered: its version, which files register the hooks, whether these are
    stale, registered twice, switched off or untrusted, whether all that they name is there, and how long each takes
    in a trial; and at the project's state. Exit code 0 only if nothing is a problem, else 1.

    --live runs your own CLI with a made-up key against a model server on the loopback, in a copy of the settings
    and of the workflow, and tells of each hook whether it fired, how long it took, and whether the model was shown
    what it said. Only our hooks are carried; nothing of the project, no secret, and nothing is left behind.

    Keys of --json:
      well        whether nothing is a problem
      findings    [{host, check, level, finding, remedy}]: host is null for the project's state; level is ok, note
                  or problem; remedy may be ""

    Examples:
      holdfast doctor
      holdfast doctor --live codex
      holdfast doctor --fix
    """
    from holdfast.doctor.findings import well
    from holdfast.hook import locate
    from holdfast.install.targets import home

    here = os.getcwd()
    folder = locate("", here)
    project = os.path.dirname(folder) or here
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, known in before.items():
        if known is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, end)
    try:
        found = gather(project, folder, hosts, live=live, fix=fix)
    finally:
        for number, known in before.items():
            signal.signal(number, known)
    if as_json:
        say_json({"well": well(found), "findings": [finding.to_dict() for finding in found]})
    else:
        for finding in found:
            say(finding.line(project, home()))
        problems = sum(finding.level == "problem" for finding in found)
        say("all is well" if not problems else f"{problems} problem{'s' if problems > 1 else ''}")
    if not well(found):
        sys.exit(1)


def end(number: int, _frame: object) -> NoReturn:
    """End by an exception, so that what was started is ended and the copy taken away; a second signal is too late."""
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)  # as shells have it


def gather(project: str, folder: str, names: tuple[str, ...], *, live: bool, fix: bool) -> "list[Finding]":
    """All that is found of a project and of the named hosts, or of all.

    Args:
        project: its folder.
        folder: its `.holdfast`, or "" where there is none.
        names: of hosts.
        live: whether to run the CLIs.
        fix: whether to mend first.
    """
    from holdfast.doctor import health, hosts, mend
    from holdfast.doctor import live as running
    from holdfast.doctor.examine import Examination
    from holdfast.doctor.findings import NOTE, PROBLEM, Finding

    known = [cli for name, cli in hosts.every().items() if not names or name in names]
    if fix:
        for cli in known:
            mend.host(Examination(cli, project, asked=cli.name in names), folder, note)
        if folder:
            mend.project(folder, note)
    found = health.findings(folder)
    examined = [Examination(cli, project, asked=cli.name in names) for cli in known]
    if not any(one.entries for one in examined) and not names:
        said = "no file of any CLI registers our hooks"
        found.append(Finding(None, "registration", PROBLEM, said, "`holdfast install` in the project"))
    for one in examined:
        its = one.findings(dry_run=not live)
        if live and one.entries and not one.program:
            its.append(Finding(one.cli.name, "live", NOTE, "not run: it is not on PATH"))
        elif live and one.entries:
            its += running.examine(one.cli, one.layers, project, one.program, its)
        found += its
    return found
