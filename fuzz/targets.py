"""What is fed to what, and what must hold whatever it is: an error of the declared kind, or a valid result.

Each target has `seeds()`, inputs to begin with, and `run(data)`, which raises where a promise is broken.
"""

import contextlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import failing, hook, hosts, lean, moments, spooled
from holdfast.errors import HoldfastError, StateCorrupt, ValidationFailed
from holdfast.events import KINDS, OUTCOMES, Event
from holdfast.install import record, registration, settings_edit, targets
from holdfast.install.environment import Runtime
from holdfast.lean import dumps, loads
from holdfast.locks import Locks, records
from holdfast.project import Project
from holdfast.state import document, metrics, recovery, schema, spool, trail
from holdfast.state.legacy import IMPORTERS, keeping, merging
from holdfast.state.store import Store
from holdfast.workflow import compiler, index, loader, skills, templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PAYLOADS = ROOT / "tests" / "payloads"
LEGACY = ROOT / "tests" / "legacy"
FLOW = b"""
version: 1
name: shop
phases:
  - {id: spec, title: Write the spec, next: SPEC_WRITTEN, guidance: Describe the behaviour first.}
  - {id: build, title: Build it, next: [CODE_WRITTEN, TESTS_PASSED]}
  - {id: ship, title: Ship it}
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  CODE_WRITTEN: {tool: edit, path: "src/**"}
  TESTS_PASSED: {tool: shell, command: "@tests", outcome: ok}
  SHIPPED: {tool: shell, command: "(^|&& )make ship", after: TESTS_PASSED}
skills:
  payment-rules: {priority: high, keywords: [refund, "charge back"], patterns: ["charge.{0,20}card"], files: ["src/pay/**"]}
  release-notes: {priority: low, enforcement: warn, keywords: [changelog], phases: [ship]}
plan: ["docs/*.md"]
briefing: {max_chars: 2000}
backups: {keep: 5, max_age_days: 9}
"""
HOOK_EVENTS = (
    "claude/SessionStart.startup",
    "claude/UserPromptSubmit",
    "claude/PostToolUse.Bash",
    "claude/PostToolUse.Edit",
)


def check(holds: object, what: object) -> None:
    """Refuse what must not be."""
    if not holds:
        raise AssertionError(what)


@contextlib.contextmanager
def put(holder: Any, name: str, value: Any) -> "Iterator[None]":
    """Another value for a while."""
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


class Shop:
    """A project on a disk that forgets nothing, since nothing is synced."""

    def __init__(self) -> None:
        os.fsync = lean.os.fsync = lambda _fd: None  # type: ignore[assignment]
        recovery.PAUSE = 0
        self.root = Path(tempfile.mkdtemp(prefix="shop-"))
        self.folder = self.root / ".holdfast"
        self.folder.mkdir(mode=0o700)
        (self.folder / index.SOURCE).write_bytes(FLOW)
        compiler.refresh(str(self.folder))
        self.index = (self.folder / index.NAME).read_bytes()
        self.source = (self.folder / index.SOURCE).stat()
        os.environ["CLAUDE_PROJECT_DIR"] = os.environ["GEMINI_PROJECT_DIR"] = str(self.root)
        os.chdir(self.root)
        self.state = b""
        for name in (*HOOK_EVENTS, "claude/PostToolUse.TodoWrite", "codex/SessionStart.startup"):
            self.fire(self.payload(name))
        project = Project(str(self.folder))
        project.checkpoint("seed")
        project.signal("BY_HAND")
        self.state = (self.folder / "state.json").read_bytes()

    def payload(self, name: str) -> bytes:
        """A recorded payload, in this project."""
        return (
            (PAYLOADS / f"{name}.json").read_text(encoding="utf-8").replace("/home/dev/shop", str(self.root)).encode()
        )

    def anew(self) -> None:
        """As it was when it was made."""
        for entry in os.scandir(self.folder):
            if entry.name in (index.SOURCE, "checkpoints"):
                continue
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
        (self.folder / index.NAME).write_bytes(self.index)
        (self.folder / "state.json").write_bytes(self.state)
        (self.folder / "reserve").write_bytes(b"")

    def fire(self, data: bytes, host: str = "claude") -> bytes:
        """Run a hook on a payload; what it printed. Only what cannot be read may be refused, and nothing may fail."""
        run = hook.Run(host)
        failed: list[BaseException] = []

        def rescued(_run: object, _event: object, error: BaseException) -> None:
            failed.append(error)

        with put(lean, "drain", lambda _fd, _limit=-1: data), put(failing, "rescue", rescued):
            answer = run.answer()
        if failed:
            raise failed[0]
        check(not answer or isinstance(json.loads(answer), dict), answer)
        return answer

    def whole(self) -> dict[str, Any]:
        """The state, which must be sealed and valid."""
        state = document.decode((self.folder / "state.json").read_bytes())
        check(state, "the seal is wrong")
        schema.validate(state or {}, "state")
        return state or {}

    def goes_on(self) -> None:
        """What comes next works."""
        for name in HOOK_EVENTS:
            self.fire(self.payload(name))
        self.whole()
        check(not spool.waiting(str(self.folder)), "something waits")


class Payload:
    """Payloads, through each host's parser, and back from the spool."""

    def seeds(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(PAYLOADS.glob("*/*.json"))]

    def run(self, data: bytes) -> None:
        try:
            payload = loads(data)
        except ValueError:
            return
        if not isinstance(payload, dict):
            return
        check(hosts.tell(payload, "") in hosts.NAMES, "no host")
        for name in hosts.NAMES:
            try:
                event = hosts.module(name).parse(payload)
            except ValueError:
                continue
            if event is None:
                continue
            tool = event.tool
            check(tool is None or (tool.kind in KINDS and tool.outcome in OUTCOMES), "kind or outcome")
            check(isinstance(event.session, str) and isinstance(event.cwd, str) and isinstance(event.key, str), "types")
            again = spooled.from_dict(loads(dumps(spooled.to_dict(event))))
            check(spooled.to_dict(again) == spooled.to_dict(event), "what the spool gives back")


class Hook:
    """Payloads, through the whole hook: its answer, the state and the trail."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        names = [f"{path.parent.name}/{path.stem}" for path in sorted(PAYLOADS.glob("*/*.json"))]
        return [self.shop.payload(name) for name in names]

    def run(self, data: bytes) -> None:
        self.shop.anew()
        self.shop.fire(data)
        self.shop.whole()
        self.shop.fire(data, "codex")
        self.shop.whole()
        self.shop.fire(self.shop.payload(HOOK_EVENTS[0]))


class State:
    """The state's file: the document goes on, or it is put aside as it was and a copy or a new one takes its place."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        plain = json.loads(self.shop.state)
        plain["imported"] = {"x": {"file": "f", "sha256": "0", "at": 1, "kept": None, "rest": {"a": [1]}}}
        plain["notices"] = [{"at": 1, "text": "t", "told": False}]
        newer = {**plain, "schema_version": 2}
        return [self.shop.state, *(json.dumps(each).encode() for each in (plain, newer, document.new(1.0)))]

    def run(self, data: bytes) -> None:
        shop = self.shop
        shop.anew()
        live = shop.folder / "state.json"
        live.write_bytes(data)
        store = Store(str(shop.folder), lambda _state, _record: None)
        found = recovery.parsed(data)
        try:
            dumps(document.whole(store.read()))
        except (StateCorrupt, ValidationFailed):
            pass
        if found is not None and recovery.newer(found):
            with contextlib.suppress(StateCorrupt):
                store.update(lambda state: state.update(revision=state["revision"] + 1), 0)
                check(False, "a newer state was altered")
            check(live.read_bytes() == data, "a newer state was touched")
            return
        try:
            store.update(lambda state: state.update(revision=state["revision"] + 1), 0)
        except ValidationFailed:
            check(live.read_bytes() == data, "what could not be migrated was touched")
            return
        aside = list(shop.folder.glob("state.json.corrupt-*"))
        if recovery.validated(data) is None:
            check(any(path.read_bytes() == data for path in aside), "the original is lost")
        else:
            check(not aside, "a valid state was put aside")
        shop.whole()
        shop.goes_on()
        self._told(Project(str(shop.folder)))

    def _told(self, project: Project) -> None:
        for words in (["status"], ["status", "--json"], ["state", "read"], ["phase", "show"], ["task", "list"]):
            command(words)
        project.signal("AFTER")


class Sealed:
    """The state's file, sealed: what a seal vouches for may yet be anything, and the host is not to hear of it."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        return [self.shop.state]

    def run(self, data: bytes) -> None:
        try:
            found = loads(data)
            found.pop("seal", None)
            sealed = document.encode(found)
        except (ValueError, TypeError, AttributeError):
            return
        shop = self.shop
        shop.anew()
        (shop.folder / "state.json").write_bytes(sealed)
        run = hook.Run("claude")
        given = shop.payload(HOOK_EVENTS[2])
        with put(lean, "drain", lambda _fd, _limit=-1: given):
            answer = run.answer()
        check(not answer or isinstance(json.loads(answer), dict), answer)
        if run.record.get("decision") != "applied":
            kept = spool.waiting(str(shop.folder))
            check(kept or run.record.get("decision") in ("", "passed over"), f"the event is lost: {run.record}")


class Flow:
    """workflow.yaml: it compiles to an index that every event can be held against, or its faults are named."""

    PROMPTS = ("", "a refund for the charged card", "é" * 200, "a" * 3000 + "!", "x\0y\n" * 40)

    def __init__(self) -> None:
        self.calls = [event for event in map(self._event, sorted(PAYLOADS.glob("*/*.json"))) if event]

    def _event(self, path: Path) -> "Event | None":
        try:
            return hosts.module(path.parent.name).parse(json.loads(path.read_bytes()))
        except ValueError:
            return None

    def seeds(self) -> list[bytes]:
        import yaml

        folder = Path(templates.__file__).parent
        texts = [FLOW, *(path.read_bytes() for path in sorted(folder.glob("*.yaml")))]
        laughs = b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (c + 1, c + 1, c, c) for c in range(97, 121))
        return [*texts, *(json.dumps(yaml.safe_load(text)).encode() for text in texts), laughs, b"&a [*a]"]

    def run(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return
        try:
            workflow, problems = loader.check(text, "workflow.yaml")
        except ValidationFailed as error:
            check(str(error).strip(), "no message")
            check(all(line.isprintable() for line in str(error).split("\n")), str(error))
            return
        check(all(str(problem).isprintable() for problem in problems), problems)
        compiled = index.Index(compiler.compile_workflow(workflow, [0, 0]))
        state = document.new(1000.0)
        from holdfast import deadline

        deadline.start(2.0)
        try:
            for event in self.calls:
                event.at = 1001.0
                moments.module(event.moment).match(event, compiled)
                moments.apply(state, event, compiled)
            for prompt in self.PROMPTS:
                skills.asked_for(compiled, prompt)
        except deadline.Expired:
            pass
        finally:
            deadline.stop()
        for skill, rule in workflow.skills.items():
            for keyword in rule.keywords:
                check(
                    skill in skills.asked_for(compiled, f"so, {keyword}.")[0] or not _plain(keyword), (skill, keyword)
                )
        schema.validate(state, "state")


def _plain(keyword: str) -> bool:
    return keyword.isascii() and keyword.isalnum()


class Index:
    """The index's file: one that is damaged is made again, or says no more than it should; nothing fails."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        return [self.shop.index]

    def run(self, data: bytes) -> None:
        shop = self.shop
        shop.anew()
        (shop.folder / index.NAME).write_bytes(data)
        for name in HOOK_EVENTS:
            shop.fire(shop.payload(name))
        shop.whole()
        check(not list(shop.folder.glob("backups/unreadable-*")), "an event was put aside")


class Spool:
    """A file of the spool: it is folded or put aside, and the state stays valid."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        made = []
        for name in (*HOOK_EVENTS, "claude/PostToolUse.TodoWrite", "codex/PostToolUse.Bash", "gemini/SessionEnd"):
            with contextlib.suppress(OSError):
                event = hosts.module(name.split("/")[0]).parse(json.loads(self.shop.payload(name)))
                event.at = 5000.0
                event.matches = {"signals": [["CODE_WRITTEN", []]], "skills": ["payment-rules"], "armed": ["x"]}
                made.append(dumps(spooled.to_dict(event)).encode())
        return made

    def run(self, data: bytes) -> None:
        shop = self.shop
        shop.anew()
        folder = shop.folder / spool.FOLDER
        folder.mkdir(exist_ok=True)
        (folder / "00000000000000000001-1.json").write_bytes(data)
        Project(str(shop.folder)).read()
        shop.fire(shop.payload(HOOK_EVENTS[1]))
        shop.whole()
        check(not list(folder.glob("*.json")), "it waits for ever")
        put_aside = list(shop.folder.glob("backups/unreadable-*"))
        check(not put_aside or put_aside[0].read_bytes() == data, "what was put aside is another")
        shop.goes_on()
        command(["status"])


class Legacy:
    """Other tools' states: taken over into a valid state, or refused; the original stays as it was."""

    FILES = {
        "claude-dev-pipeline": "workflow-state.json",
        "gsd-multi": "session.json",
        "harness-sync": "sync-state.json",
        "hydraflow": "state.json",
        "palingenesis": "state.json",
    }

    def __init__(self) -> None:
        self.flow = index.Index(compiler.compile_workflow(loader.load(FLOW.decode(), "w"), [0, 0]))
        self.folder = Path(tempfile.mkdtemp(prefix="legacy-"))

    def seeds(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(LEGACY.rglob("*")) if path.is_file() and path.stat().st_size]

    def run(self, data: bytes) -> None:
        from holdfast.cli import phase

        for name, importer in IMPORTERS.items():
            for file in dict.fromkeys((self.FILES[name], "STATE.md", "config.json")):
                shutil.rmtree(self.folder)
                (self.folder / "kept").mkdir(parents=True)
                path = self.folder / file
                path.write_bytes(data)
                try:
                    original = importer.read(str(path))
                    facts = importer.convert(original)
                except HoldfastError:
                    continue
                state = document.new(1000.0)
                moments.align(state, 1000.0, self.flow)
                merging.merge(state, facts, name, self.flow, 1000.0, lambda to, s=state: phase.go(s, self.flow, to))
                keeping.keep(str(self.folder / "kept"), state, name, original, facts.rest, 1000.0, None)
                document.bound(state)
                schema.validate(loads(document.encode(state)), "state")
                check(path.read_bytes() == data, "the original was changed")
                if facts.targets is not None:
                    dumps(facts.targets)


class Settings:
    """Other people's settings: what is theirs stays as it is, and comes back to the byte."""

    def __init__(self) -> None:
        from holdfast.install import environment

        self.runtime = Runtime("/opt/hold fast/bin/python", "/opt/hold fast/hooks", environment.running().manifests)

    def seeds(self) -> list[bytes]:
        return [
            b"",
            b"{}\n",
            b'{\n  // mine\n  "a": 1, /* b */\n  "hooks": {"Stop": [], "AfterTool": [{"hooks": []}]},\n}\n',
            b'\xef\xbb\xbf{"model": "x", "hooks": {"Stop": [{"matcher": "", "hooks": [{"type": "command", "command": "echo"}]}]}}',
            b'{\r\n\t"hooks": {\r\n\t\t"SessionStart": [\r\n\t\t\t{"hooks": [{"command": "/o/hooks/session_resume.py --host claude"}]}\r\n\t\t]\r\n\t}\r\n}',
        ]

    def run(self, data: bytes) -> None:
        for host in targets.HOSTS.values():
            ours = registration.ours(host)
            wanted = registration.handlers(host, self.runtime)
            try:
                mark, before = settings_edit.read(data, comments=host.comments)
                had = settings_edit.commands(before, ours)
                said, plain = before.text, before.root.plain()
                made = settings_edit.register(before, wanted, ours)
            except settings_edit.SettingsError:
                continue
            _, after = settings_edit.read((mark + before.text).encode("utf-8", "surrogatepass"), comments=host.comments)
            check(settings_edit.commands(after, ours).keys() == wanted.keys(), "ours are not there")
            once = after.text
            settings_edit.register(after, wanted, ours)
            check(after.text == once, "a second time changes something")
            settings_edit.unregister(after, made, ours)
            check(not settings_edit.commands(after, ours), "ours are left")
            if not had:
                _same(after.root.plain(), plain)
                check(_tokens(after.text) == _tokens(said if said.strip() else "{}"), (said, after.text))


def _same(found: Any, wanted: Any) -> None:
    check(repr(found) == repr(wanted), (found, wanted))


def _tokens(text: str) -> str:
    import re

    return re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda match: match[1] or "", text)


class Lock:
    """A lock's record: it says who holds it, or that it cannot be read; `clean` and another's lock work."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="locks-"))

    def seeds(self) -> list[bytes]:
        made = records.Holder(
            "build", "1", "lease", records.Owner(os.getpid(), "1", "b", "h", "s"), meta={"a": 1}, ttl=5.0
        )
        return [dumps(made.record()).encode(), dumps({**made.record(), "kind": "process", "waiting": True}).encode()]

    def run(self, data: bytes) -> None:
        place = self.folder / "locks"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "build~0123456789ab.json").write_bytes(data)
        locks = Locks(str(self.folder))
        for holder in locks.holders():
            check(holder.describe().isprintable(), holder.describe())
            json.dumps(holder.shown(), allow_nan=False)
        with contextlib.suppress(HoldfastError), locks.hold("build", timeout=0, command="x"):
            pass
        with locks.hold("other", timeout=0, command="x"):
            pass
        locks.clean()
        check(all(found.status != records.DAMAGED for found in locks.holders()), "what is damaged stays")


class Trail:
    """The audit trail: what is torn or strange is passed over by those who read it."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        return [(self.shop.folder / "audit.jsonl").read_bytes()]

    def run(self, data: bytes) -> None:
        shop = self.shop
        shop.anew()
        path = shop.folder / "audit.jsonl"
        path.write_bytes(data)
        json.dumps(metrics.of_trail(trail.records(str(path))), allow_nan=False)
        for words in (["audit"], ["audit", "--json"], ["metrics"], ["metrics", "--json"], ["status"]):
            command(words)
        check(path.read_bytes().startswith(data), "the trail was changed")


class Transcript:
    """A Codex transcript: an exit code or none."""

    def __init__(self) -> None:
        self.path = os.path.join(tempfile.mkdtemp(prefix="codex-"), "rollout.jsonl")

    def seeds(self) -> list[bytes]:
        item = {"type": "CommandExecution", "id": "call-1", "aggregated_output": "passed\n" * 9, "exit_code": 3}
        line = json.dumps({"payload": {"type": "item_completed", "item": item}}, separators=(",", ":")).encode()
        return [line + b"\n", b'{"type":"x"}\n' * 3 + line + b"\n"]

    def run(self, data: bytes) -> None:
        from holdfast.hosts import codex

        for padding in (b"", b"x" * codex.TAIL):
            with open(self.path, "wb") as file:
                file.write(padding + data)
            code = codex.recorded_exit(self.path, "call-1", "passed\n" * 9)
            check(code is None or type(code) is int, code)
            payload = {
                **json.loads((PAYLOADS / "codex" / "PostToolUse.Bash.json").read_bytes()),
                "transcript_path": self.path,
            }
            event = codex.parse({**payload, "tool_use_id": "call-1"})
            check(event and event.tool and event.tool.outcome in OUTCOMES, "outcome")
            dumps(spooled.to_dict(event) if event else None)


class Installed:
    """The record of what was installed where: read, or put aside as it was."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="record-"))

    def seeds(self) -> list[bytes]:
        target = record.Target(
            "claude",
            "project",
            "f",
            existed=True,
            restorable=True,
            sha256_before="a",
            sha256_after="b",
            original="eA==",
        )
        record.save(str(self.folder), [target])
        data = (self.folder / record.NAME).read_bytes()
        return [data, b'{"version": 1, "targets": [], "migrated_from": {}, "taken_over": {"x": {"a": 1}}}']

    def run(self, data: bytes) -> None:
        for entry in os.scandir(self.folder):
            os.unlink(entry.path)
        path = self.folder / record.NAME
        path.write_bytes(data)
        told: list[str] = []
        found = record.load(str(self.folder), told.append)
        if told:
            check(any(entry.read_bytes() == data for entry in self.folder.iterdir()), "the record is lost")
        record.save(str(self.folder), found)
        record.load(str(self.folder), told.append)


class Copies:
    """Backups, checkpoints, the previous revision: those that are damaged are told, and others take their place."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        kept = next((self.shop.folder / "checkpoints").glob("*.json"))
        return [self.shop.state, kept.read_bytes()]

    def run(self, data: bytes) -> None:
        shop = self.shop
        for inside in self._variants(data):
            shop.anew()
            backups = shop.folder / "backups"
            backups.mkdir(exist_ok=True)
            (backups / "state-20261120T000000Z-r99999.json").write_bytes(inside)
            extra = shop.folder / "checkpoints" / "checkpoint-20991120-000000-x.json"
            extra.write_bytes(inside)
            try:
                for words in (
                    ["state", "backups"],
                    ["recovery", "list"],
                    ["recovery", "list", "--json"],
                    ["status"],
                    ["metrics"],
                ):
                    command(words)
                command(["state", "recover", "r99999"])
                command(["recovery", "restore", "checkpoint-20991120-000000-x"])
                shop.whole()
                (shop.folder / "state.json").write_bytes(b"x")
                shop.fire(shop.payload(HOOK_EVENTS[0]))
                shop.whole()
            finally:
                extra.unlink(missing_ok=True)
                for made in (shop.folder / "checkpoints").glob("*before-restore*"):
                    made.unlink()

    def _variants(self, data: bytes) -> "Iterator[bytes]":
        yield data


class Patch:
    """`state patch`: the state is valid after it, or as it was."""

    def __init__(self) -> None:
        self.shop = Shop()

    def seeds(self) -> list[bytes]:
        return [
            b'{"mode": "paused"}',
            b'{"tasks": {"a": {"title": "t", "status": "pending", "source": "s", "updated_at": 1}}}',
            self.shop.state,
        ]

    def run(self, data: bytes) -> None:
        shop = self.shop
        shop.anew()
        command(["state", "patch", "-"], data)
        shop.whole()
        shop.goes_on()
        command(["status"])


def command(words: list[str], stdin: bytes = b"") -> int:
    """Give a command in this process: it may refuse, never break."""
    import io

    from holdfast.cli import main

    streams = {"stdin": io.TextIOWrapper(io.BytesIO(stdin), "utf-8")}
    streams |= {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    with contextlib.ExitStack() as stack:
        for name, stream in streams.items():
            stack.enter_context(put(sys, name, stream))
        stack.enter_context(put(sys, "argv", ["holdfast", *words]))
        os.environ["HOLDFAST_DEBUG"] = "1"
        code = main(words)
    os.environ.pop("HOLDFAST_DEBUG")
    streams["stderr"].flush()
    said = streams["stderr"].buffer.getvalue().decode()  # type: ignore[attr-defined]
    check("internal error" not in said, (words, said[-1500:]))
    check(code in (0, 1, 3, 4, 9, 10), (words, code, said[-1500:]))
    return code


TARGETS: "dict[str, Callable[[], Any]]" = {
    kind.__name__.lower(): kind
    for kind in (
        Payload,
        Hook,
        State,
        Sealed,
        Flow,
        Index,
        Spool,
        Legacy,
        Settings,
        Lock,
        Trail,
        Transcript,
        Installed,
        Copies,
        Patch,
    )
}
_ = itertools
