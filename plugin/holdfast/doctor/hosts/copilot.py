"""GitHub Copilot CLI (facts recorded from 1.0.102)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from holdfast.doctor.findings import NOTE, OK, PROBLEM, Finding
from holdfast.doctor.hosts import Cli, Layer, listed, package_hooks, table
from holdfast.doctor.script import Step, call
from holdfast.install import beside, targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.doctor.hosts import Wrap
    from holdfast.doctor.stage import Stage

ALLOW_ALL = "COPILOT_ALLOW_ALL"
CONFIG, SETTINGS = "config.json", "settings.json"
SWITCH = "disableAllHooks"
MANIFESTS = ("plugin.json", ".claude-plugin/plugin.json")
# In their order: of a switch that several of them set, the last counts.
REPOSITORY = (
    ("claude", ".claude/settings.json"),
    ("claude", ".claude/settings.local.json"),
    ("project", ".github/copilot/settings.json"),
    ("personal", ".github/copilot/settings.local.json"),
)


class Copilot(Cli):
    """Copilot CLI."""

    name, package, version = "copilot", "@github/copilot", "1.0.102"
    kept = ("version", SWITCH)

    def argv(self, prompt: str, session: str, more: Sequence[str], *, fork: bool) -> list[str]:
        """It knows no fork."""
        del fork
        return ["-p", prompt, *([f"--resume={session}"] if session else []), "--allow-all-tools", *more]

    def env(self) -> dict[str, str]:
        """A made-up key; what the user's environment says of trust is kept."""
        trust = {name: os.environ[name] for name in (ALLOW_ALL,) if name in os.environ}
        off = {"COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
        key = {"COPILOT_PROVIDER_BASE_URL": "{url}/v1", "COPILOT_PROVIDER_API_KEY": "fake"}
        return {**off, **key, "COPILOT_MODEL": "fake-model", **trust}

    def trusting(self, project: str) -> tuple[list[str], dict[str, str], list[Layer]]:
        """By a variable."""
        del project
        return [], {ALLOW_ALL: "true"}, []

    def shell(self, command: str) -> Step:
        """Run a command."""
        return call("bash", {"command": command, "description": "x"})

    def write(self, project: str, path: str, content: str) -> Step:
        """Write a file, in a folder that is there."""
        return call("create", {"path": os.path.join(project, *path.split("/")), "file_text": content})

    def failing(self, project: str) -> list[Step]:
        """A command that ends badly is a call that ended well; an edit of what is not there is none."""
        return [call("edit", {"path": os.path.join(project, "not", "there"), "old_str": "a", "new_str": "b"})]

    # -- what it reads

    def files(self, project: str) -> Iterator[tuple[str, str]]:
        """Those of the user, and of the repository, among which are Claude Code's."""
        folder = targets.config_folder(self.host)
        yield from self._folder("user", os.path.join(folder, "hooks"))
        yield "user", os.path.join(folder, SETTINGS)
        root = targets.root_of(project)
        yield from self._folder("project", os.path.join(root, ".github", "hooks"))
        for scope, name in REPOSITORY:
            yield scope, os.path.join(root, *name.split("/"))

    @staticmethod
    def _folder(scope: str, folder: str) -> Iterator[tuple[str, str]]:
        for name in listed(folder):
            if name.endswith(".json"):
                yield scope, os.path.join(folder, name)

    def commented(self, path: str) -> bool:
        """The user's own two files alone."""
        return os.path.dirname(path) == os.path.abspath(targets.config_folder(self.host))

    def plugins(self) -> Iterator[str]:
        """Those that are installed and not switched off: copies, or what a local marketplace names where it is."""
        user, known = (self._own(name) for name in (SETTINGS, CONFIG))
        installed = known.get("installedPlugins")
        for one in installed if isinstance(installed, list) else ():
            if isinstance(one, dict) and "holdfast" in str(one.get("name")) and one.get("enabled") is not False:
                yield package_hooks(str(one.get("cache_path")), *MANIFESTS)
        for name, enabled in table(user, "enabledPlugins").items():
            plugin, _, market = name.partition("@")
            if "holdfast" in plugin and enabled is True:
                folder = str(table(user, "extraKnownMarketplaces", market, "source").get("path"))
                offered = self.layer("plugin", os.path.join(folder, ".claude-plugin", "marketplace.json"))
                found = offered.settings.get("plugins") if offered else None
                for one in found if isinstance(found, list) else ():
                    if isinstance(one, dict) and one.get("name") == plugin:
                        yield package_hooks(os.path.join(folder, str(one.get("source"))), *MANIFESTS)

    def _own(self, name: str) -> dict[str, Any]:
        """What a file of the user's holds."""
        layer = self.layer("user", os.path.join(os.path.abspath(targets.config_folder(self.host)), name))
        return layer.settings if layer else {}

    # -- what silences it

    def off(self, layers: Sequence[Layer], project: str) -> list[str]:
        """A file's own switch is for its own hooks; that of the repository's settings, where it is trusted, for all."""
        found, last = [], ""
        shared = [os.path.join(targets.root_of(project), *name.split("/")) for _scope, name in REPOSITORY]
        for layer in layers:
            if layer.path not in shared:
                if layer.settings.get(SWITCH) is True and any(entry.ours for entry in self.entries([layer])):
                    found.append(f"{layer.path}: {SWITCH} is set: no hook in it will run")
            elif isinstance(layer.settings.get(SWITCH), bool):
                last = layer.path if layer.settings[SWITCH] else ""
        if last and self.trusted(project):
            found.append(f"{last}: {SWITCH} is set: no hook will run")
        return found

    def trust(self, layers: Sequence[Layer], project: str, program: str) -> list[Finding]:
        """In an untrusted folder only the user's own hooks run; in a repository only those at its root."""
        del program
        found = []
        path, hidden = targets.settings_file(self.host, "project", project), beside.unread(self.host, project)
        if hidden and os.path.exists(path):
            found.append(Finding(self.name, "off", PROBLEM, f"{path}: {hidden}", beside.ELSEWHERE))
        scopes = {entry.layer.scope for entry in self.entries(layers) if entry.ours}
        how = self.trusted(project)
        if how:
            return [*found, Finding(self.name, "trust", OK, f"the folder is trusted ({how})")]
        if not scopes & {"project", "personal"}:
            return found
        said = "the folder is not trusted, so Copilot CLI runs only the hooks in your home"
        level = NOTE if "user" in scopes else PROBLEM
        return [*found, Finding(self.name, "trust", level, said, "start `copilot` in the project and trust the folder")]

    def trusted(self, project: str) -> str:
        """Why the folder is trusted, or ""."""
        if os.environ.get(ALLOW_ALL) == "true":
            return f"{ALLOW_ALL}=true"
        place = os.path.realpath(project)
        above = [os.path.realpath(folder) for folder in self._trusted_folders()]
        return CONFIG if any(os.path.commonpath([place, folder]) == folder for folder in above) else ""

    def _trusted_folders(self) -> list[str]:
        """What the user trusts; the first name is what it writes now, and the other is read as well."""
        config = self._own(CONFIG)
        lists = [config.get(name) for name in ("trustedFolders", "trusted_folders")]
        return [
            folder
            for given in lists
            if isinstance(given, list)
            for folder in given
            if isinstance(folder, str) and os.path.isabs(folder)
        ]

    # -- its copy

    def carry(self, stage: Stage, layers: Sequence[Layer], program: str, wrap: Wrap) -> None:
        """Likewise; with the trust of folders."""
        super().carry(stage, layers, program, wrap)
        folders = [stage.moved(os.path.realpath(folder)) for folder in self._trusted_folders()]
        path = os.path.join(targets.config_folder(self.host), CONFIG)
        stage.write(path, json.dumps({"trustedFolders": folders}))


CLI = Copilot()
