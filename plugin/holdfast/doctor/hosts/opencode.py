"""OpenCode (facts recorded from 1.18.33), which runs a bridge of ours inside its process and knows no hooks."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

from holdfast import lean
from holdfast.doctor.hosts import Cli, Layer, handlers, listed
from holdfast.doctor.script import Step, call
from holdfast.doctor.stage import version_of
from holdfast.errors import HoldfastError
from holdfast.install import registration, targets
from holdfast.install.environment import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.doctor.hosts import Settings, Wrap
    from holdfast.doctor.stage import Stage

FOLDERS = ("plugin", "plugins")
SUFFIXES = (".js", ".ts")
PURE = "OPENCODE_PURE"
NO_PROJECT = "OPENCODE_DISABLE_PROJECT_CONFIG"
QUIET = " 2>nul || exit 0" if sys.platform == "win32" else " 2>/dev/null || exit 0"
CONSTANT = re.compile(r'^const (PYTHON|HOOKS) = (".*")$', re.MULTILINE)
SCRIPT = re.compile(r'^  "([a-z.]+)": "([a-z_]+)",$', re.MULTILINE)
SHEBANG = "#!/bin/sh\ncase $3 in\n"


class OpenCode(Cli):
    """OpenCode."""

    name, package, version = "opencode", "opencode-ai", "1.18.33"

    def argv(self, prompt: str, session: str, more: Sequence[str], *, fork: bool) -> list[str]:
        """`opencode run`, with the model of `offline`."""
        resumed = ["--session", session, *(["--fork"] if fork else [])] if session else []
        return ["run", prompt, *resumed, "--model", "fake/fake-model", *more]

    def env(self) -> dict[str, str]:
        """Where its model is; what the user's environment says of plugins is kept."""
        kept = {name: os.environ[name] for name in (PURE, NO_PROJECT) if name in os.environ}
        off = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}
        return {"FAKE_URL": "{url}/v1", "npm_config_fetch_retries": "0", **off, **kept}

    def shell(self, command: str) -> Step:
        """Run a command."""
        return call("bash", {"command": command, "description": "x"})

    def write(self, project: str, path: str, content: str) -> Step:
        """Write a file."""
        return call("write", {"filePath": os.path.join(project, *path.split("/")), "content": content})

    def failing(self, project: str) -> list[Step]:
        """A command that ends badly is a call that ended well; an edit of what is not there is none."""
        gone = os.path.join(project, "not", "there")
        return [call("edit", {"filePath": gone, "oldString": "a", "newString": "b"})]

    def registering(self, path: str, handlers: dict[str, Settings], runtime: Runtime) -> Layer:
        """The bridge of an installation; `handlers` are what stands for what it runs."""
        layer = super().registering(path, handlers, runtime)
        layer.settings["script"] = registration.script(self.host, runtime).decode()
        return layer

    # -- what it reads

    def files(self, project: str) -> Iterator[tuple[str, str]]:
        """Plugins: in the user's folders, and in `.opencode` of the project and of the folders up to its repository."""
        own = os.environ.get("OPENCODE_CONFIG_DIR")
        user = [targets.config_folder(self.host), os.path.join(targets.home(), ".opencode"), *([own] if own else [])]
        folders = [("user", os.path.abspath(folder)) for folder in user]
        if os.environ.get(NO_PROJECT, "").lower() not in ("1", "true"):
            folders += [("project", os.path.join(folder, ".opencode")) for folder in targets.upwards(project)]
        for scope, folder in folders:
            for name in FOLDERS:
                for file in listed(os.path.join(folder, name)):
                    if file.endswith(SUFFIXES):
                        yield scope, os.path.join(folder, name, file)

    def layer(self, scope: str, path: str) -> Layer | None:
        """A bridge of ours, and the commands that stand for what it runs; none for a plugin of others."""
        try:
            text = lean.read(path).decode().replace("\r\n", "\n")
        except (OSError, ValueError):
            return None
        return Layer(scope, path, {"script": text, "hooks": hooks(text)}) if text.startswith(self.host.own) else None

    def off(self, layers: Sequence[Layer], project: str) -> list[str]:
        """What keeps all plugins out."""
        del layers, project
        pure = os.environ.get(PURE, "").lower() in ("1", "true")
        return [f"{PURE} is in the environment: OpenCode loads no plugin"] if pure else []

    # -- its copy

    def carry(self, stage: Stage, layers: Sequence[Layer], program: str, wrap: Wrap) -> None:
        """The bridges, each with a program for an interpreter that starts what stands for the wanted hook.

        Where there is a plugin OpenCode asks npm for its own package, unless it looks as if that had come.
        """
        lock = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": version_of(program, stage) or self.version}}}}
        folders = [targets.config_folder(self.host)]
        for number, layer in enumerate(layers):
            starter = os.path.join(stage.scratch, f"start-{number}")
            commands: dict[str, str] = {}
            for _event, _group, _at, _place, handler in handlers(layer.settings):
                hook = script_of(handler["command"])
                commands.setdefault(hook, f"*/{hook}) exec {wrap(handler['command'])};;\n")
            with open(starter, "w", encoding="utf-8") as file:
                file.write(f"{SHEBANG}{''.join(commands.values())}esac\n")
            os.chmod(starter, 0o700)
            made = CONSTANT.sub(lambda found: filled(found, starter), layer.settings["script"])  # noqa: B023  used at once
            stage.write(layer.path, made)
            folders.append(os.path.dirname(os.path.dirname(layer.path)))
        for folder in dict.fromkeys(folders):
            os.makedirs(os.path.join(stage.place(folder), "node_modules"), exist_ok=True)
            stage.write(os.path.join(folder, "package-lock.json"), json.dumps(lock))
        stage.write(os.path.join(folders[0], "opencode.json"), json.dumps(offline()))


def hooks(text: str) -> Settings:
    """What a bridge runs, as settings of other hosts say it; the commands of one that is not whole are empty."""
    try:
        known = {name: json.loads(value) for name, value in CONSTANT.findall(text)}
        runtime = Runtime(known["PYTHON"], known["HOOKS"], "")
        template = "${PYTHON} -I -S ${HOOKS}/%s.py --host opencode" + QUIET
        commands = {event: registration.fill(template % hook, runtime) for event, hook in SCRIPT.findall(text)}
    except (ValueError, KeyError, HoldfastError):
        commands = {}
    whole = commands or {"session.start": ""}
    return {event: [{"hooks": [{"type": "command", "command": command}]}] for event, command in whole.items()}


def script_of(command: str) -> str:
    """The file name of the hook that a command runs, or ""."""
    words = shlex.split(command)
    return next((os.path.basename(word) for word in words if word.endswith(".py")), "")


def filled(found: re.Match[str], python: str) -> str:
    """A bridge's constant, of which the interpreter is another one."""
    return f"const PYTHON = {json.dumps(python)}" if found[1] == "PYTHON" else found[0]


def offline(context: int = 200_000) -> dict[str, Any]:
    """Its settings for a scripted model; `context` is how many tokens it takes before it is compacted."""
    model = {"limit": {"context": context, "output": 8_000}}
    options = {"baseURL": "{env:FAKE_URL}", "apiKey": "fake"}
    fake = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"fake-model": model}}
    return {"$schema": "https://opencode.ai/config.json", "provider": {"fake": fake}}


CLI = OpenCode()
