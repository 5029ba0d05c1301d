"""What an installation comes to beside what is there: a file that the host does not read, hooks that run twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.install import files, registration, settings_edit, targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.install.targets import Host

ELSEWHERE = "register there, or for the user: `--scope user`"  # what to do where a file is not read
TOLD_ONCE = ("opencode", "copilot")  # the bridge says nothing twice; Copilot CLI's stamp shows one that comes twice


def cautions(host: Host, scope: str, project: str, entries: Mapping[str, str]) -> Iterator[str]:
    """Tell what the user has to know of an installation, in one line each.

    Args:
        host: where the hooks are registered.
        scope: whose settings register them, `project` or `user`.
        project: the project's folder, absolute.
        entries: what is registered: event to command.
    """
    hidden = unread(host, project)
    if hidden and scope == "project":
        yield f"{targets.settings_file(host, scope, project)}: {hidden}: {ELSEWHERE}"
    other = "project" if scope == "user" else "user"
    path = targets.settings_file(host, other, project)
    if os.path.realpath(path) == os.path.realpath(targets.settings_file(host, scope, project)):
        return  # a project that is the home
    theirs = _registered(host, path)
    if theirs and not hidden:
        words = f"holdfast uninstall --scope {other} --host {host.name}"
        alike = all(theirs[event] == entries.get(event) for event in theirs)
        yield f"{path} registers our hooks as well: {twice(host, alike=alike)}: `{words}` takes those away"


def unread(host: Host, project: str) -> str:
    """Why the host does not read its file in a project, or ""."""
    root = targets.root_of(project)
    if not host.root_only or root == project:
        return ""
    return f"Copilot CLI looks for hooks only in the repository's root, {root}"


def twice(host: Host, *, alike: bool) -> str:
    """What comes of two registrations; alike: whether they are so to the letter."""
    if alike and host.merges:
        return "the hooks are identical, and the host runs them once"
    told = "" if host.name in TOLD_ONCE else ", and a session's start is told twice"
    return f"each event starts two hooks and is counted once{told}"


def _registered(host: Host, path: str) -> dict[str, str]:
    """Our hooks in a settings file, event to command; none where it cannot be read."""
    try:
        data = files.read(path) or b""
        if host.script:
            return {"": ""} if data.startswith(host.own.encode()) else {}
        _mark, document = settings_edit.read(data or b"{}", comments=host.comments, grouped=host.grouped)
        return settings_edit.commands(document, registration.ours(host))
    except (HoldfastError, settings_edit.SettingsError):
        return {}
