"""Claude Code (facts recorded from 2.1.328)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from holdfast import lean
from holdfast.doctor.findings import NOTE, OK, Finding
from holdfast.doctor.hosts import Cli, package_hooks, table
from holdfast.doctor.script import Step, call
from holdfast.install import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.doctor.hosts import Layer

MANAGED = {"darwin": "/Library/Application Support/ClaudeCode", "win32": r"C:\Program Files\ClaudeCode"}
ALLOWED = "Bash Write Edit Read Agent TaskCreate TaskUpdate TodoWrite"
OFF = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DISABLE_TELEMETRY",
    "DISABLE_AUTOUPDATER",
    "DISABLE_ERROR_REPORTING",
)


class Claude(Cli):
    """Claude Code."""

    name, package, version = "claude", "@anthropic-ai/claude-code", "2.1.328"
    kept = ("disableAllHooks", "allowManagedHooksOnly")

    def argv(self, prompt: str, session: str, more: Sequence[str], *, fork: bool) -> list[str]:
        """`-p` never asks for trust, and runs a project's hooks."""
        resumed = ["--resume", session, *(["--fork-session"] if fork else [])] if session else []
        options = ["--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"]
        return ["-p", prompt, *resumed, *options, "--allowedTools", ALLOWED, *more]

    def env(self) -> dict[str, str]:
        """A made-up key, and nothing but the model is asked."""
        base = {"ANTHROPIC_BASE_URL": "{url}", "ANTHROPIC_API_KEY": "fake", "IS_SANDBOX": "1"}
        return base | dict.fromkeys(OFF, "1")

    def shell(self, command: str) -> Step:
        """Run a command."""
        return call("Bash", {"command": command})

    def write(self, project: str, path: str, content: str) -> Step:
        """Write a file."""
        return call("Write", {"file_path": os.path.join(project, *path.split("/")), "content": content})

    def files(self, project: str) -> Iterator[tuple[str, str]]:
        """Those of the user, of the project, of this user in it, and what an administrator gave."""
        yield "user", targets.settings_file(self.host, "user", project)
        yield "project", os.path.join(project, ".claude", "settings.json")
        yield "personal", targets.settings_file(self.host, "project", project)
        yield "managed", os.path.join(MANAGED.get(sys.platform, "/etc/claude-code"), "managed-settings.json")

    def plugins(self) -> Iterator[str]:
        """Those that are installed and not switched off: `plugins/installed_plugins.json` says where they are."""
        folder = targets.config_folder(self.host)
        user = self.layer("user", os.path.join(folder, self.host.user_file))
        enabled = user.settings.get("enabledPlugins") if user else None
        try:
            told = lean.read(os.path.join(folder, "plugins", "installed_plugins.json"))
            installed = table(lean.loads(told), "plugins")
        except (OSError, ValueError):
            return
        for name, places in installed.items():
            if "holdfast" in name and not (isinstance(enabled, dict) and enabled.get(name) is False):
                for place in places if isinstance(places, list) else [places]:
                    if isinstance(place, dict):
                        yield package_hooks(str(place.get("installPath")), ".claude-plugin/plugin.json")

    def off(self, layers: Sequence[Layer], project: str) -> list[str]:
        """Besides what each file may say: managed settings that leave no other hooks."""
        only = [layer for layer in layers if layer.scope == "managed" and layer.settings.get("allowManagedHooksOnly")]
        return [
            *super().off(layers, project),
            *(f"{layer.path}: allowManagedHooksOnly is set: no hook of yours will run" for layer in only),
        ]

    def trust(self, layers: Sequence[Layer], project: str, program: str) -> list[Finding]:
        """The dialog at an interactive session's start, which `~/.claude.json` remembers."""
        del layers, program
        moved = os.environ.get(self.host.home_variable)
        path = os.path.join(moved or targets.home(), ".claude.json")
        try:
            known = table(lean.loads(lean.read(path)), "projects")
        except (FileNotFoundError, NotADirectoryError):
            known = {}
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            said = f"{path}, where the trust in folders is kept, cannot be read: {reason}"
            return [Finding(self.name, "trust", NOTE, said, "mend the file")]
        folders = [project]
        while os.path.dirname(folders[-1]) != folders[-1]:
            folders.append(os.path.dirname(folders[-1]))
        if any(table(known, folder).get("hasTrustDialogAccepted") is True for folder in folders):
            return [Finding(self.name, "trust", OK, "the folder is trusted")]
        said = "the trust dialog was not accepted yet: an interactive session holds all hooks until then"
        return [Finding(self.name, "trust", NOTE, said, "start `claude` in the project and accept it")]


CLI = Claude()
