"""The hosts as places where holdfast is installed: which file registers hooks, and how the host reads and runs it.

A new host is a row in `HOSTS` and a folder in `manifests/`. The facts are those of Claude Code 2.1.328, Gemini CLI
0.61.0, Codex CLI 0.169.0, OpenCode 1.18.33 and Copilot CLI 1.0.102.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

SCOPES = ("project", "user")


@dataclass(frozen=True)
class Host:
    """One host.

    Attributes:
        name: what users call it, and its command on PATH.
        project_file: its settings file under a project, `/` between the names.
        user_file: the same under the user's own folder for this host.
        home: the folder in the home that holds its configuration, which shows that it is used.
        home_variable: the environment variable that moves that folder.
        moved_below: what lies between the moved place and the settings file.
        comments: whether its settings may hold comments and trailing commas.
        runs: the program and arguments that run a registered command, on POSIX systems.
        project_variable: the environment variable that tells its hooks the project's folder, or an empty string.
        windows_command: whether it reads a `commandWindows` key beside `command`.
        top_level: the only keys that its file may have, or empty for any.
        todo: what the user must still do before the hooks run.
        own: how a file of ours alone begins, whatever release wrote it, or an empty string where it is the user's.
        script: whether that file is a program, made from one in `manifests/`, and no settings.
        grouped: whether handlers stand in groups, as matchers need them, or in the event's list itself.
        merges: whether it runs identical hooks of several files once.
        root_only: whether of a project in a repository it reads the settings in the repository's root alone.
    """

    name: str
    project_file: str
    user_file: str
    home: str
    home_variable: str
    moved_below: str
    comments: bool
    runs: tuple[str, ...]
    project_variable: str
    windows_command: bool
    top_level: tuple[str, ...]
    todo: str
    own: str = ""
    script: bool = False
    grouped: bool = True
    merges: bool = False
    root_only: bool = False


HOSTS = {
    host.name: host
    for host in (
        Host(
            name="claude",
            project_file=".claude/settings.local.json",
            user_file="settings.json",
            home=".claude",
            home_variable="CLAUDE_CONFIG_DIR",
            moved_below="",
            comments=False,
            runs=("sh", "-c"),
            project_variable="CLAUDE_PROJECT_DIR",
            windows_command=False,
            top_level=(),
            todo="start `claude` in the project and accept the trust dialog: it holds all hooks until then",
            merges=True,
        ),
        Host(
            name="gemini",
            project_file=".gemini/settings.json",
            user_file="settings.json",
            home=".gemini",
            home_variable="GEMINI_CLI_HOME",
            moved_below=".gemini",
            comments=True,
            runs=("bash", "-c"),
            project_variable="GEMINI_PROJECT_DIR",
            windows_command=False,
            top_level=(),
            todo="start `gemini` in the project and trust the folder: in an untrusted folder it drops all hooks",
            merges=True,
        ),
        Host(
            name="codex",
            project_file=".codex/hooks.json",
            user_file="hooks.json",
            home=".codex",
            home_variable="CODEX_HOME",
            moved_below="",
            comments=False,
            runs=("sh", "-c"),
            project_variable="",
            windows_command=True,
            top_level=("description", "hooks"),
            todo=(
                "start `codex` in the project, trust it, and approve the hooks when it says that hooks need review: "
                "`codex exec` skips untrusted hooks without a word"
            ),
        ),
        Host(
            name="opencode",
            project_file=".opencode/plugins/holdfast.js",
            user_file="plugins/holdfast.js",
            home=".config/opencode",
            home_variable="XDG_CONFIG_HOME",
            moved_below="opencode",
            comments=False,
            runs=("sh", "-c"),
            project_variable="",
            windows_command=False,
            top_level=(),
            todo=(
                "start `opencode` anew: it reads plugins at its start, and waits there, once it has any, until it has "
                "fetched its own @opencode-ai/plugin from npm"
            ),
            own="// Written by `holdfast install`",
            script=True,
        ),
        Host(
            name="copilot",
            project_file=".github/hooks/holdfast.json",
            user_file="hooks/holdfast.json",
            home=".copilot",
            home_variable="COPILOT_HOME",
            moved_below="",
            comments=False,
            runs=("bash", "-c"),
            project_variable="COPILOT_PROJECT_DIR",
            windows_command=False,
            top_level=(),
            todo=(
                "start `copilot` in the project and trust the folder: in an untrusted one it runs only the hooks in "
                "your home; and keep the file out of git, for it names this machine's paths"
            ),
            own='{\n  "version": 1\n}\n',
            grouped=False,
            root_only=True,
        ),
    )
}


def home() -> str:
    """The user's home folder."""
    return os.path.expanduser("~")


def data_folder() -> str:
    """The user's data folder of holdfast: the default private environment, and what is installed for the user.

    The same as `platformdirs.user_data_path("holdfast", appauthor=False)`, which install.py cannot import.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home(), "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home(), "Library", "Application Support")
    else:
        base = os.environ.get("XDG_DATA_HOME", "")
        if not os.path.isabs(base):  # the specification of XDG says: to be ignored
            base = os.path.join(home(), ".local", "share")
    return os.path.join(base, "holdfast")


def config_folder(host: Host) -> str:
    """The user's own folder for a host."""
    moved = os.environ.get(host.home_variable)
    return os.path.join(moved, host.moved_below) if moved else os.path.join(home(), host.home)


def settings_file(host: Host, scope: str, project: str) -> str:
    """The file that registers hooks with `host`: an absolute path.

    Args:
        host: whose.
        scope: `project` or `user`.
        project: the project's folder, absolute.
    """
    if scope == "user":
        return os.path.abspath(os.path.join(config_folder(host), host.user_file))
    return os.path.join(project, *host.project_file.split("/"))


def upwards(project: str) -> list[str]:
    """The project's folder and those above it, up to the repository that it lies in; all where it lies in none."""
    found = [project]
    while not os.path.exists(os.path.join(found[-1], ".git")) and os.path.dirname(found[-1]) != found[-1]:
        found.append(os.path.dirname(found[-1]))
    return found


def root_of(project: str) -> str:
    """The folder of the repository that a project lies in, or else the project's own."""
    above = upwards(project)[-1]
    return above if os.path.exists(os.path.join(above, ".git")) else project


def choose(names: Iterable[str] | None) -> list[Host]:
    """The hosts to install for: those named, else those that this user has, else all.

    Raises:
        ValidationFailed: there is no such host.
    """
    if names:
        for name in names:
            if name not in HOSTS:
                raise ValidationFailed(f"no host is called {name!r}: choose from {', '.join(HOSTS)}")
        return [host for host in HOSTS.values() if host.name in set(names)]
    found = [host for host in HOSTS.values() if shutil.which(host.name) or os.path.isdir(config_folder(host))]
    return found or list(HOSTS.values())


def check_scope(scope: str) -> None:
    """Refuse a scope that does not exist."""
    if scope not in SCOPES:
        raise HoldfastError(f"no scope is called {scope!r}: choose from {', '.join(SCOPES)}")


def silenced(host: Host, settings: Any) -> str:
    """What in a host's own settings keeps its hooks from running, or an empty string."""
    if not isinstance(settings, dict):
        return ""
    if host.top_level and (more := sorted(set(settings) - set(host.top_level))):
        return (
            f"{host.name} rejects the whole file for the key {more[0]!r}: it takes only {' and '.join(host.top_level)}"
        )
    if host.name in ("claude", "copilot") and settings.get("disableAllHooks") is True:
        return "disableAllHooks is set: no hook will run"
    config = settings.get("hooksConfig")
    if host.name == "gemini" and isinstance(config, dict) and config.get("enabled") is False:
        return "hooksConfig.enabled is false: no hook will run"
    return ""
