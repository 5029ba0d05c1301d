"""The root of the commands."""

import click

import holdfast as package
from holdfast.cli import (
    audit,
    doctor,
    hook,
    init,
    install,
    lock,
    metrics,
    mode,
    phase,
    recovery,
    signals,
    state,
    status,
    target,
    task,
    workflow,
)
from holdfast.cli.groups import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package.__version__, message="holdfast %(version)s")
def holdfast() -> None:
    """Durable workflow state for AI coding CLIs.

    Holdfast keeps a project's workflow in .holdfast/: hooks in Claude Code, Gemini CLI, Codex CLI, OpenCode
    and Copilot CLI bring it forward, and these commands show and correct it.

    Examples:
      holdfast install --host claude    register the hooks with Claude Code for this project
      holdfast status                   where the work stands
      holdfast workflow check           whether workflow.yaml is right

    Exit codes: 0 done, 1 refused or failed, 2 a lock was not free in time, 3 the state is damaged, 4 not
    valid, 5 a library or program is missing, 6 no permission, 7 no room on the disk, 8 no network, 9 took
    too long, 10 out of memory or files, 64 wrong usage, 130 interrupted.
    """


for command in (
    status.status,
    phase.phase,
    task.task,
    signals.signal,
    mode.mode,
    workflow.workflow,
    init.init,
    state.state,
    lock.lock,
    recovery.recovery,
    audit.audit,
    metrics.metrics,
    target.target,
    install.install,
    install.uninstall,
    doctor.doctor,
    hook.hook,
):
    holdfast.add_command(command)
