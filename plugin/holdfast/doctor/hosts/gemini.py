"""Gemini CLI (facts recorded from 0.61.0)."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from holdfast.doctor.findings import OK, PROBLEM, Finding
from holdfast.doctor.hosts import Cli, Layer, listed, table
from holdfast.doctor.script import Step, call
from holdfast.install import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.doctor.hosts import Settings, Wrap
    from holdfast.doctor.stage import Stage

MANAGED = {
    "darwin": "/Library/Application Support/GeminiCli/settings.json",
    "win32": r"C:\ProgramData\gemini-cli\settings.json",
}
TRUSTED = "trustedFolders.json"
INSTALLED = ".gemini-extension-install.json"
HEADLESS = {
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}


class Gemini(Cli):
    """Gemini CLI."""

    name, package, version = "gemini", "@google/gemini-cli", "0.61.0"
    kept = ("hooksConfig",)
    named = True

    def argv(self, prompt: str, session: str, more: Sequence[str], *, fork: bool) -> list[str]:
        """It knows no fork."""
        del fork
        return ["-p", prompt, *(["--resume", session] if session else []), "--yolo", "-m", "gemini-2.5-flash", *more]

    def env(self) -> dict[str, str]:
        """A made-up key; what the user's environment says of trust is kept."""
        trust = {name: os.environ[name] for name in ("GEMINI_CLI_TRUST_WORKSPACE",) if name in os.environ}
        return {
            "GEMINI_API_KEY": "fake",
            "GOOGLE_GEMINI_BASE_URL": "{url}",
            "GEMINI_TELEMETRY_ENABLED": "false",
            **trust,
        }

    def trusting(self, project: str) -> tuple[list[str], dict[str, str], list[Layer]]:
        """By a variable."""
        del project
        return [], {"GEMINI_CLI_TRUST_WORKSPACE": "true"}, []

    def shell(self, command: str) -> Step:
        """Run a command."""
        return call("run_shell_command", {"command": command})

    def write(self, project: str, path: str, content: str) -> Step:
        """Write a file."""
        return call("write_file", {"file_path": os.path.join(project, *path.split("/")), "content": content})

    def files(self, project: str) -> Iterator[tuple[str, str]]:
        """Those of the user, of the project, and what an administrator gave."""
        yield from super().files(project)
        yield "managed", MANAGED.get(sys.platform, "/etc/gemini-cli/settings.json")

    def plugins(self) -> Iterator[str]:
        """Its extensions; one that was linked is elsewhere."""
        folder = os.path.join(targets.config_folder(self.host), "extensions")
        for name in listed(folder):
            if "holdfast" in name:
                linked = self.layer("plugin", os.path.join(folder, name, INSTALLED))
                told = linked.settings if linked else {}
                source = str(told.get("source")) if told.get("type") == "link" else ""
                yield os.path.join(source or os.path.join(folder, name), "hooks", "hooks.json")

    def off(self, layers: Sequence[Layer], project: str) -> list[str]:
        """Besides hooks as a whole: those that are named under `hooksConfig.disabled`, by their name or command."""
        found = super().off(layers, project)
        names = {
            str(entry.handler.get("name") or entry.command): entry.event for entry in self.entries(layers) if entry.ours
        }
        for layer in layers:
            disabled = table(layer.settings, "hooksConfig").get("disabled")
            events = [names[name] for name in names if isinstance(disabled, list) and name in disabled]
            if events:
                found.append(f"{layer.path}: hooksConfig.disabled names our hooks of {', '.join(events)}")
        return found

    def trust(self, layers: Sequence[Layer], project: str, program: str) -> list[Finding]:
        """In an untrusted folder all hooks are dropped, the user's too."""
        del program
        how = self.trusted(layers, project)
        if how:
            return [Finding(self.name, "trust", OK, f"the folder is trusted ({how})")]
        said = "the folder is not trusted, so Gemini CLI drops all hooks in it"
        return [Finding(self.name, "trust", PROBLEM, said, "start `gemini` in the project and trust the folder")]

    def trusted(self, layers: Sequence[Layer], project: str) -> str:
        """Why the folder is trusted, or ""."""
        variable = "GEMINI_CLI_TRUST_WORKSPACE"
        if os.environ.get(variable) in ("true", "false"):
            return f"{variable}=true" if os.environ[variable] == "true" else ""
        for layer in layers:
            if layer.scope in ("user", "managed") and self._trust_is_off(layer):
                return f"{layer.path}: security.folderTrust.enabled is false"
        place, longest, level = os.path.realpath(project), -1, ""
        for folder, given in self._rules().items():  # the longest rule counts, as it is written
            above = os.path.realpath(os.path.dirname(folder) if given == "TRUST_PARENT" else folder)
            if len(folder) > longest and os.path.commonpath([place, above]) == above:
                longest, level = len(folder), given
        return TRUSTED if level in ("TRUST_FOLDER", "TRUST_PARENT") else ""

    @staticmethod
    def _trust_is_off(layer: Layer) -> bool:
        return table(layer.settings, "security", "folderTrust").get("enabled") is False

    def _rules(self) -> dict[str, str]:
        """What the user said of folders: path to TRUST_FOLDER, TRUST_PARENT or DO_NOT_TRUST."""
        layer = self.layer("user", self._trusted_file())
        rules: dict[str, Any] = layer.settings if layer else {}
        return {folder: level for folder, level in rules.items() if os.path.isabs(folder) and isinstance(level, str)}

    def _trusted_file(self) -> str:
        return os.path.join(targets.config_folder(self.host), TRUSTED)

    def carry(self, stage: Stage, layers: Sequence[Layer], program: str, wrap: Wrap) -> None:
        """Likewise; with a made-up key as the way to log in, and the trust of folders."""
        super().carry(stage, layers, program, wrap)
        path = targets.settings_file(self.host, "user", stage.real)
        user = next((layer for layer in layers if layer.path == path), Layer("user", path, {}))
        stage.write(path, json.dumps(self.copied(user, wrap), indent=1))
        rules = {stage.moved(os.path.realpath(folder)): level for folder, level in self._rules().items()}
        stage.write(self._trusted_file(), json.dumps(rules))

    def copied(self, layer: Layer, wrap: Wrap) -> Settings:
        """With what a run without a terminal and without a real key needs."""
        made = super().copied(layer, wrap)
        if layer.scope == "user":
            made |= HEADLESS
            made["security"] = {"auth": {"selectedType": "gemini-api-key"}}
            if self._trust_is_off(layer):
                made["security"]["folderTrust"] = {"enabled": False}
        return made


CLI = Gemini()
