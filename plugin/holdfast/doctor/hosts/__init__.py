"""The hosts as the doctor meets them, one module each: how the CLI is started, what in its settings silences hooks.

A module has one class, derived from `Cli` and made once as `CLI`; it is found by its file, named like the host.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast import lean
from holdfast.install import registration, targets
from holdfast.install.settings_edit import COMMANDS, SettingsError, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.doctor.findings import Finding
    from holdfast.doctor.script import Step
    from holdfast.doctor.stage import Stage
    from holdfast.install.environment import Runtime
    from holdfast.install.settings_edit import Ours
    from holdfast.install.targets import Host

    Settings = dict[str, Any]
    Wrap = Callable[[str], str]

HARMLESS = "true"  # what stands for other people's hooks in a copy: nobody knows what theirs would do


@dataclass(frozen=True)
class Layer:
    """One file that may register hooks.

    Attributes:
        scope: user, project, personal (of this user in this project), managed, plugin, or the host whose file it is
            where that is another one.
        path: where it is.
        settings: what it holds; {} where it cannot be read. Of a program: {"script": its text, "hooks": what it runs}.
        error: why it cannot be read, or "".
    """

    scope: str
    path: str
    settings: Settings
    error: str = ""


@dataclass(frozen=True)
class Entry:
    """One hook in a layer.

    Attributes:
        layer: where it stands.
        event: the host's name.
        group: its place among the event's groups, from 0.
        place: its place in the group, from 0.
        handler: what is registered.
        matcher: the group's, or None.
        ours: whether it runs one of our hooks.
        guest: whether it is one of ours that was registered for another host, and runs here too.
    """

    layer: Layer
    event: str
    group: int
    place: int
    handler: Settings
    matcher: Any
    ours: bool
    guest: bool = False

    @property
    def command(self) -> str:
        """What the host runs, or "" for another type of hook."""
        command = self.handler.get(command_key(self.handler))
        return command if isinstance(command, str) else ""


class Cli:
    """One CLI; the facts are those of the release `version`.

    Attributes:
        name: as users call it; its command on PATH.
        package: what npm calls it.
        version: whose contract was recorded.
        kept: the top-level keys of its settings that a copy takes along, besides `hooks`; no other may hold secrets.
        named: whether settings may name a hook, by its `name` or else by its command.
    """

    name = package = version = ""
    kept: tuple[str, ...] = ()
    named = False

    @property
    def host(self) -> Host:
        """Its row in the table of targets."""
        return targets.HOSTS[self.name]

    # -- how it is run

    def argv(self, prompt: str, session: str, more: Sequence[str], *, fork: bool) -> list[str]:
        """The words after the program, to run it headless.

        Args:
            prompt: what the user says.
            session: the one to go on with, or to fork, or "".
            more: further options.
            fork: begin a new session with the history of `session`.
        """
        raise NotImplementedError

    def env(self) -> dict[str, str]:
        """What its environment must have to run offline; `{url}` stands for the model server."""
        raise NotImplementedError

    def compacting(self) -> list[str]:
        """The options with which it compacts a conversation once an answer says that it is long."""
        return []

    def shell(self, command: str) -> Step:
        """Its model asks for a shell command."""
        raise NotImplementedError

    def write(self, project: str, path: str, content: str) -> Step:
        """Its model asks for a file to be written; `path` is from the project's folder."""
        raise NotImplementedError

    def failing(self, project: str) -> list[Step]:
        """Its model asks for what fails, where that is another event than a command that ends badly."""
        del project
        return []

    def trusting(self, project: str) -> tuple[list[str], dict[str, str], list[Layer]]:
        """How all hooks run without the user's trust, where there is nothing but what we made.

        Returns:
            Options, variables, and what else is to be in the settings.
        """
        del project
        return [], {}, []

    def registering(self, path: str, handlers: dict[str, Settings], runtime: Runtime) -> Layer:
        """A project's file that registers hooks of an installation: event to handler."""
        del runtime
        groups = {event: [{"hooks": [handler]}] for event, handler in handlers.items()}
        return Layer("project", path, {"hooks": groups})

    def shell_words(self) -> tuple[str, ...]:
        """The program and options by which it runs a hook's command."""
        return self.host.runs

    # -- what it reads

    def files(self, project: str) -> Iterator[tuple[str, str]]:
        """Scope and path of each file that may register hooks, there or not, but for plugins'."""
        yield "user", targets.settings_file(self.host, "user", project)
        yield "project", targets.settings_file(self.host, "project", project)

    def plugins(self) -> Iterator[str]:
        """The paths of the hooks.json files of plugins of ours."""
        yield from ()

    def layers(self, project: str) -> list[Layer]:
        """What is there of all that may register hooks; of plugins, those of ours."""
        found: dict[str, tuple[str, str]] = {}
        for scope, path in [*self.files(project), *(("plugin", path) for path in self.plugins())]:
            folder, name = os.path.split(
                path
            )  # of a project that is the home, one file is the user's and the project's
            found.setdefault(os.path.join(os.path.realpath(folder), name), (scope, path))
        return [layer for scope, path in found.values() if (layer := self.layer(scope, path)) is not None]

    def layer(self, scope: str, path: str) -> Layer | None:
        """What a file holds, or None where there is none."""
        try:
            _mark, document = read(lean.read(path), comments=self.commented(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            return None if isinstance(error, NotADirectoryError) else Layer(scope, path, {}, str(error.strerror))
        except SettingsError as error:
            return Layer(scope, path, {}, str(error))
        except ValueError:  # a plugin's list names what can be no file
            return None
        settings = document.root.plain()
        return Layer(scope, path, settings if isinstance(settings, dict) else {})

    def commented(self, path: str) -> bool:
        """Whether the CLI reads a file that has comments."""
        del path
        return self.host.comments

    def entries(self, layers: Sequence[Layer]) -> list[Entry]:
        """The hooks that the layers register, other people's too."""
        found = []
        for layer in layers:
            other = layer.scope in targets.HOSTS
            ours = self._ours(layer)
            for event, group, at, place, handler in handlers(layer.settings, grouped=self.host.grouped):
                command = handler.get(command_key(handler))
                mine = layer.scope == "plugin" or self.host.script or (isinstance(command, str) and ours(command))
                matcher = group.get("matcher")
                found.append(Entry(layer, event, at, place, handler, matcher, mine and not other, mine and other))
        return found

    def _ours(self, layer: Layer) -> Ours:
        """What tells our commands in a layer from other people's."""
        return registration.ours(targets.HOSTS.get(layer.scope, self.host))

    # -- what silences it

    def off(self, layers: Sequence[Layer], project: str) -> list[str]:
        """What in the settings keeps all hooks, or ours, from running; each names its file and key."""
        del project
        found = []
        for layer in layers:
            reason = targets.silenced(self.host, layer.settings)
            if reason:
                found.append(f"{layer.path}: {reason}")
        return found

    def trust(self, layers: Sequence[Layer], project: str, program: str) -> list[Finding]:
        """Whether the user has given the trust without which hooks do not run. `program` is "" where it is missing."""
        del layers, project, program
        return []

    # -- its copy

    def carry(self, stage: Stage, layers: Sequence[Layer], program: str, wrap: Wrap) -> None:
        """Put into the stage what registers hooks and what silences them, and nothing else of the settings.

        Args:
            stage: where to.
            layers: what is registered.
            program: the CLI.
            wrap: makes of a command of ours what is registered in the stage.
        """
        del program
        for layer in layers:
            if layer.scope not in ("managed", "plugin"):
                stage.write(layer.path, json.dumps(self.copied(layer, wrap), indent=1))

    def copied(self, layer: Layer, wrap: Wrap) -> Settings:
        """A layer with our commands wrapped, other people's replaced, and nothing in it that may be secret."""
        ours = self._ours(layer)
        made: Settings = {key: layer.settings[key] for key in self.kept if key in layer.settings}
        if isinstance(layer.settings.get("hooks"), dict):
            made["hooks"] = json.loads(json.dumps(layer.settings["hooks"]))
        for _event, _group, _at, _place, handler in handlers(made, grouped=self.host.grouped):
            command = handler.get(command_key(handler))
            if not isinstance(command, str) or not ours(command):
                handler.clear()
                handler.update(type="command", command=HARMLESS)
            else:
                handler[command_key(handler)] = wrap(command)
                if self.named:
                    handler.setdefault("name", command)
        return made


def handlers(settings: Settings, *, grouped: bool = True) -> Iterator[tuple[str, Settings, int, int, Settings]]:
    """Every hook in settings: event, group, the group's place, the hook's place in it, and the hook.

    Args:
        settings: what a file holds.
        grouped: whether the host knows hooks in groups alone; else one may stand for itself.
    """
    hooks = settings.get("hooks")
    for event, groups in hooks.items() if isinstance(hooks, dict) else ():
        for at, group in enumerate(groups if isinstance(groups, list) else ()):
            inner = group.get("hooks") if isinstance(group, dict) else None
            if not grouped and inner is None and isinstance(group, dict):
                yield event, {}, at, 0, group
            for place, handler in enumerate(inner if isinstance(inner, list) else ()):
                if isinstance(handler, dict):
                    yield event, group, at, place, handler


def command_key(handler: Settings) -> str:
    """The key under which a handler has what is run."""
    return next((key for key in COMMANDS if isinstance(handler.get(key), str)), COMMANDS[0])


def package_hooks(folder: str, *manifests: str) -> str:
    """The path of a plugin's file of hooks: what the first of its manifests that is there names, or the usual one."""
    named = None
    for manifest in manifests:
        try:
            named = lean.loads(lean.read(os.path.join(folder, *manifest.split("/")))).get("hooks")
        except (OSError, ValueError, AttributeError):
            continue
        break
    return os.path.normpath(os.path.join(folder, named if isinstance(named, str) else "hooks/hooks.json"))


def every() -> dict[str, Cli]:
    """All that have a module here, in the order of the table of targets."""
    known = {found.name for found in pkgutil.iter_modules(__path__)}
    return {name: importlib.import_module(f"{__name__}.{name}").CLI for name in targets.HOSTS if name in known}


def table(config: Any, *names: str) -> dict[str, Any]:
    """The object or table under these names, or an empty one."""
    for name in names:
        config = config.get(name) if isinstance(config, dict) else None
    return config if isinstance(config, dict) else {}


def listed(folder: str) -> list[str]:
    """The names in a folder, sorted; none where there is no such folder."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
