"""Codex CLI (facts recorded from 0.169.0)."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from holdfast import lean
from holdfast.doctor import isolation
from holdfast.doctor.findings import OK, PROBLEM, Finding, counted
from holdfast.doctor.hosts import Cli, Layer, listed, package_hooks, table
from holdfast.doctor.script import Step, call
from holdfast.doctor.stage import Stage
from holdfast.errors import HoldfastError
from holdfast.install import targets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.doctor.hosts import Entry, Wrap

CONFIG = "config.toml"
NO_SHELLS = ("", "nologin", "false")
PATIENCE = 20.0  # seconds for the app-server to answer
# gpt-5.5: apply_patch is offered to models that its own catalogue knows. Without `plugins = false` it asks
# api.github.com for its marketplace; update_plan is offered only where it is asked for.
OFFLINE: dict[str, Any] = {
    "model": "gpt-5.5",
    "model_provider": "fake",
    "model_providers": {
        "fake": {
            "name": "fake",
            "base_url": "http://127.0.0.1:9/v1",
            "wire_api": "responses",
            "env_key": "FAKE_API_KEY",
            "request_max_retries": 0,
            "stream_max_retries": 0,
        }
    },
    "features": {"plugins": False},
    "tools": {"update_plan": {"enabled": True}},
    "analytics": {"enabled": False},
}


class Codex(Cli):
    """Codex CLI."""

    name, package, version = "codex", "@openai/codex", "0.169.0"
    kept = ("description",)

    def argv(self, prompt: str, session: str, more: Sequence[str], *, fork: bool) -> list[str]:
        """`codex exec`, without its own sandbox; hooks run if they are trusted."""
        options = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        options += ["-c", 'model_providers.fake.base_url="{url}/v1"', *more]
        return ["exec", *(["fork" if fork else "resume", *options, session] if session else options), prompt]

    def env(self) -> dict[str, str]:
        """A made-up key."""
        return {"FAKE_API_KEY": "fake"}

    def trusting(self, project: str) -> tuple[list[str], dict[str, str], list[Layer]]:
        """By an option for hooks, and by the config for the project."""
        path = os.path.join(targets.config_folder(self.host), CONFIG)
        trusted = {"projects": {os.path.realpath(project): {"trust_level": "trusted"}}}
        return ["--dangerously-bypass-hook-trust"], {}, [Layer("user", path, trusted)]

    def shell_words(self) -> tuple[str, ...]:
        """The login shell that the system has for the user; for an account without one, another is taken."""
        import pwd

        shell = pwd.getpwuid(os.geteuid()).pw_shell
        return (shell if os.path.basename(shell) not in NO_SHELLS else "/bin/sh", "-c")

    def compacting(self) -> list[str]:
        """Its limit is an option."""
        return ["-c", "model_auto_compact_token_limit=5000"]

    def shell(self, command: str) -> Step:
        """Run a command."""
        return call("exec_command", {"cmd": command})

    def write(self, project: str, path: str, content: str) -> Step:
        """Write a file, by a patch."""
        del project
        added = "".join(f"+{line}\n" for line in content.splitlines())
        return call("apply_patch", f"*** Begin Patch\n*** Add File: {path}\n{added}*** End Patch\n")

    def files(self, project: str) -> Iterator[tuple[str, str]]:
        """Each place may have a `config.toml` beside its `hooks.json`, and both count."""
        for scope, path in super().files(project):
            yield scope, path
            yield scope, os.path.join(os.path.dirname(path), CONFIG)

    def plugins(self) -> Iterator[str]:
        """`plugins/cache/MARKETPLACE/NAME/VERSION`."""
        cache = os.path.join(targets.config_folder(self.host), "plugins", "cache")
        for market in listed(cache):
            for name in listed(os.path.join(cache, market)):
                if "holdfast" in name:
                    folder = os.path.join(cache, market, name)
                    for made in listed(folder):
                        yield package_hooks(os.path.join(folder, made), ".codex-plugin/plugin.json")

    def layer(self, scope: str, path: str) -> Layer | None:
        """What a file holds, be it JSON or TOML."""
        if not path.endswith(".toml"):
            return super().layer(scope, path)
        try:
            return Layer(scope, path, tomllib.loads(lean.read(path).decode()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except RecursionError:
            return Layer(scope, path, {}, "nested too deeply")
        except (OSError, ValueError) as error:
            return Layer(scope, path, {}, (error.strerror if isinstance(error, OSError) else None) or str(error))

    def off(self, layers: Sequence[Layer], project: str) -> list[str]:
        """The feature, in a `config.toml`; what only `hooks.json` must not have."""
        found = super().off([layer for layer in layers if not layer.path.endswith(".toml")], project)
        for layer in layers:
            features = layer.settings.get("features")
            if layer.path.endswith(".toml") and isinstance(features, dict) and features.get("hooks") is False:
                found.append(f"{layer.path}: the feature hooks is false: no hook will run")
        return found

    # -- trust: what the CLI says of a copy, and where it is missing what the recorded rule says

    def trust(self, layers: Sequence[Layer], project: str, program: str) -> list[Finding]:
        """Untrusted hooks are skipped without a word by `codex exec`."""
        ours = [entry for entry in self.entries(layers) if entry.ours and entry.layer.scope != "plugin"]
        if not ours:
            return []
        how = "`codex app-server` says"
        try:
            known = self.asked(layers, project, program) if program else self.computed(ours, layers, project)
        except HoldfastError as error:
            known, how = self.computed(ours, layers, project), f"by the recorded rule: {error}"
        else:
            how = how if program else "by the recorded rule: codex is not found"
        bad: dict[str, list[str]] = {}
        for entry in ours:
            status = known.get(key(entry), "not read, for the project is not trusted")
            if status not in ("trusted", "managed"):
                bad.setdefault(status, []).append(entry.event)
        if not bad:
            return [Finding(self.name, "trust", OK, f"all {len(ours)} hooks are trusted ({how})")]
        remedy = "start `codex` in the project, trust it and approve the hooks"
        found = [f"{counted(len(events))} {status} ({how}) and will not run" for status, events in bad.items()]
        return [Finding(self.name, "trust", PROBLEM, said, remedy) for said in found]

    def computed(self, entries: Sequence[Entry], layers: Sequence[Layer], project: str) -> dict[str, str]:
        """The trust of hooks by the recorded rule: their keys to trusted, modified, untrusted or disabled."""
        config = self._config(layers)
        states = table(config, "hooks", "state")
        trusted = self._project_level(config, project) == "trusted"
        known = {}
        for entry in entries:
            if entry.layer.scope == "project" and not trusted:
                continue
            state = table(states, key(entry))
            given = state.get("trusted_hash")
            known[key(entry)] = (
                "disabled"
                if state.get("enabled") is False
                else "untrusted"
                if given is None
                else "trusted"
                if given == digest(entry)
                else "modified since they were trusted"
            )
        return known

    def asked(self, layers: Sequence[Layer], project: str, program: str) -> dict[str, str]:
        """The same, as the CLI itself says of a copy, so that nothing is written into the real home.

        Raises:
            HoldfastError: it does not answer as it should.
        """
        with Stage(project) as stage:
            self._copy(stage, layers, str)
            told = {name: status for name, (status, _hash) in self.listing(stage, program).items()}
        return {name.removeprefix(stage.root): status for name, status in told.items()}

    def listing(self, stage: Stage, program: str) -> dict[str, tuple[str, str]]:
        """What `hooks/list` says of a stage: keys to status and hash.

        Raises:
            HoldfastError: it does not answer as it should.
        """
        calls: list[dict[str, Any]] = [
            {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "holdfast", "version": "1"}}},
            {"method": "initialized"},
            {"id": 2, "method": "hooks/list", "params": {"cwds": [stage.project]}},
        ]
        said = "".join(json.dumps({"jsonrpc": "2.0", **one}) + "\n" for one in calls)
        words, env = [program, "app-server"], {**stage.env(), **self.env()}
        with isolation.started(words, env, stage.project, PATIENCE) as (stdin, stdout):
            try:
                stdin.write(said.encode())
                stdin.flush()
                for line in stdout:
                    message = lean.loads(line)
                    if message.get("id") == 2:  # noqa: PLR2004  of hooks/list
                        return {
                            _text(one["key"]): (
                                _text(one["trustStatus"]) if one["enabled"] else "disabled",
                                _text(one["currentHash"]),
                            )
                            for one in message["result"]["data"][0]["hooks"]
                        }
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                raise HoldfastError(f"`codex app-server` does not list hooks: {error!r}") from None
        raise HoldfastError("`codex app-server` ended without an answer")

    def _config(self, layers: Sequence[Layer]) -> dict[str, Any]:
        """The user's `config.toml`: only there trust is kept."""
        return next((one.settings for one in layers if one.scope == "user" and one.path.endswith(".toml")), {})

    @staticmethod
    def _project_level(config: dict[str, Any], project: str) -> str:
        """`trusted`, `untrusted` or "": of the project's folder or of the repository that it lies in."""
        folder = os.path.realpath(project)
        while True:
            level = table(config, "projects", folder).get("trust_level")
            above = os.path.dirname(folder)
            if level or above == folder or os.path.exists(os.path.join(folder, ".git")):
                return str(level or "")
            folder = above

    # -- its copy

    def carry(self, stage: Stage, layers: Sequence[Layer], program: str, wrap: Wrap) -> None:
        """Likewise. Trust goes by the command: what was trusted is given the trust of what stands for it in the stage.

        Raises:
            HoldfastError: the CLI does not tell what is trusted.
        """
        self._copy(stage, layers, str)
        before = self.listing(stage, program)
        self._copy(stage, layers, wrap)
        hashes = {
            name: made
            for name, (_status, made) in self.listing(stage, program).items()
            if before.get(name, ("", ""))[0] == "trusted"
        }
        self._copy(stage, layers, wrap, hashes)

    def _copy(self, stage: Stage, layers: Sequence[Layer], wrap: Wrap, hashes: dict[str, str] | None = None) -> None:
        config = self._config(layers)
        for layer in layers:
            if layer.scope == "plugin":
                continue
            made = self.copied(layer, wrap)
            if layer.path.endswith(".toml"):
                made = {"features": table(layer.settings, "features"), "hooks": made.get("hooks", {})}
                made["hooks"].pop("state", None)
                if layer.scope == "user":
                    continue
                stage.write(layer.path, toml(made))
            else:  # a key that it does not know voids the whole file
                stage.write(layer.path, json.dumps({**dict.fromkeys(layer.settings, ""), **made}, indent=1))
        known = table(config, "hooks", "state")
        states = {stage.moved(name): dict(table(known, name)) for name in known}
        for name, made_hash in (hashes or {}).items():
            states.setdefault(name, {})["trusted_hash"] = made_hash
        user = Layer("user", "", {key: value for key, value in config.items() if key in ("hooks", "features")})
        hooks = self.copied(user, wrap).get("hooks", {})
        levels = {
            stage.moved(os.path.realpath(folder)): {"trust_level": given["trust_level"]}
            for folder, given in table(config, "projects").items()
            if isinstance(given, dict) and "trust_level" in given
        }
        features: dict[str, Any] = {**table(config, "features"), "plugins": False}
        whole = {**OFFLINE, "features": features, "hooks": {**hooks, "state": states}, "projects": levels}
        stage.write(os.path.join(targets.config_folder(self.host), CONFIG), toml(whole))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def key(entry: Entry) -> str:
    """By what `[hooks.state]` knows a hook."""
    event = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in entry.event).lstrip("_")
    return f"{os.path.realpath(entry.layer.path)}:{event}:{entry.group}:{entry.place}"


def digest(entry: Entry) -> str:
    """The hash by which a hook is trusted: of compact JSON with sorted keys."""
    event = key(entry).rsplit(":", 3)[1]
    handler = entry.handler
    hook = {
        "async": handler.get("async", False),
        "command": handler["command"],
        "timeout": handler.get("timeout", 600),
        "type": "command",
    }
    hook |= {name: handler[name] for name in ("statusMessage", "additionalContextLimit") if name in handler}
    whole = {"event_name": event, "hooks": [hook]} | ({"matcher": entry.matcher} if entry.matcher else {})
    data = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def toml(value: Any, *, top: bool = True) -> str:
    """A value in TOML; a table as an inline one, but for the outermost."""
    if isinstance(value, dict):
        pairs = [f"{json.dumps(name)} = {toml(inner, top=False)}" for name, inner in value.items()]
        return "".join(f"{pair}\n" for pair in pairs) if top else f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(toml(inner, top=False) for inner in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, int, float)) else json.dumps(str(value))


CLI = Codex()
