"""The user's own CLI against a scripted model, in a copy of the project and the home: which hooks fire, and are heard.

In the copy a recorder stands before each of our hooks (`recorder.py`), which runs the registered command as it is.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast import hosts as payloads
from holdfast.doctor import isolation, recorder
from holdfast.doctor.examine import SLOW
from holdfast.doctor.findings import NOTE, OK, PROBLEM, Finding
from holdfast.doctor.paths import missing
from holdfast.doctor.script import text
from holdfast.doctor.stage import PROBE, PROBE_FILE, Stage
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.doctor.hosts import Cli, Entry, Layer
    from holdfast.doctor.isolation import Report
    from holdfast.doctor.script import Step

SECONDS = 120.0  # a run takes two to five
LONG = 990_000  # tokens, upon which a host compacts
SILENCING = ("off", "trust", "foreign")  # the checks that tell why a hook is not even started
TOLD = 60  # characters of a hook's words that are looked for; hosts escape or cut what comes later

Record = dict[str, Any]


def examine(cli: Cli, layers: Sequence[Layer], project: str, program: str, known: Sequence[Finding]) -> list[Finding]:
    """Run a CLI once and say for each registered moment what came of it.

    Args:
        cli: which.
        layers: what is registered.
        project: the project's folder.
        program: the CLI's own.
        known: what was found before, which may be why nothing fires.
    """
    entries = [entry for entry in cli.entries(layers) if entry.ours and entry.layer.scope != "plugin"]
    if not entries:
        return [Finding(cli.name, "live", NOTE, "not run: no settings file registers our hooks")]
    try:
        played = play(cli, layers, project, program)
    except HoldfastError as error:
        return [Finding(cli.name, "live", PROBLEM, f"not run: {error}", "look at what it says")]
    judged = Judgement(cli, entries, played, known)
    return [*judged.run(), *judged.moments()]


def session(cli: Cli, project: str) -> list[Step]:
    """What the model does: calls that end badly and well, a file, a conversation that must be compacted, an end."""
    return [
        *cli.failing(project),
        cli.shell("exit 3"),
        replace(cli.write(project, PROBE_FILE, "written by the model\n"), tokens=LONG),
        cli.shell("true"),
        text("All was done."),
    ]


@dataclass(frozen=True)
class Played:
    """What came of a run.

    Attributes:
        report: how the CLI ended, and what its model was asked.
        records: the recorder's notes, in the order in which the hooks began; their payloads are parsed.
        trail: the audit trail of the copied project.
        state: its state, or {} where there is none.
        stage: the names in the copy of what was copied: {"project", "home"}.
        left_out: shells' profiles that were not copied.
    """

    report: Report
    records: list[Record]
    trail: list[Record]
    state: Record
    stage: dict[str, str]
    left_out: list[str]


def play(  # noqa: PLR0913  one argument a fact
    cli: Cli,
    layers: Sequence[Layer],
    project: str,
    program: str,
    *,
    more: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Played:
    """Run a CLI's `session` in a stage.

    Args:
        cli: which.
        layers: what is registered.
        project: the project's folder.
        program: the CLI's own.
        more: further options.
        env: further variables.

    Raises:
        HoldfastError: it cannot be run.
    """
    with Stage(project) as stage:
        stage.furnish()
        noted = os.path.join(stage.scratch, "notes")
        os.mkdir(noted)
        cli.carry(stage, layers, program, lambda command: recorded(cli, noted, command))
        report = isolation.run(
            cli.name,
            [program, *cli.argv(f"Please do what {PROBE} asks for.", "", [*cli.compacting(), *more], fork=False)],
            session(cli, stage.project),
            env={**stage.env(), **cli.env(), **(env or {})},
            cwd=stage.project,
            scratch=stage.scratch,
            timeout=SECONDS,
        )
        records = [_loaded(os.path.join(noted, name)) for name in sorted(os.listdir(noted)) if name.endswith(".json")]
        kept = os.path.join(stage.project, ".holdfast")
        trail = _lines(os.path.join(kept, "audit.jsonl"))
        names = {"project": stage.project, "home": stage.home}
        return Played(report, records, trail, _state(os.path.join(kept, "state.json")), names, stage.left_out)


def recorded(cli: Cli, folder: str, command: str) -> str:
    """The command that runs `command` as the host would, and notes what came of it in `folder`."""
    words = [sys.executable, "-I", "-S", recorder.__file__, folder, *cli.shell_words(), command]
    return shlex.join(words)


def _loaded(path: str) -> Record:
    with open(path, encoding="utf-8") as file:
        found: Record = json.load(file)
    try:
        payload = json.loads(found["payload"])
    except ValueError:
        payload = {}
    return {**found, "payload": payload if isinstance(payload, dict) else {}}


def _state(path: str) -> Record:
    try:
        with open(path, encoding="utf-8") as file:
            found: Record = json.load(file)
    except (OSError, ValueError):
        return {}
    return found


def _lines(path: str) -> list[Record]:
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError):
        return []


class Judgement:
    """What a run says of the registrations.

    Args:
        cli: which CLI ran.
        entries: our hooks as they are registered.
        played: what came of it.
        known: what was found before the run.
    """

    def __init__(self, cli: Cli, entries: Sequence[Entry], played: Played, known: Sequence[Finding]) -> None:
        self.cli = cli
        self.entries = entries
        self.report = played.report
        self.records = played.records
        self.trail = played.trail
        self.left_out = played.left_out
        self.known = known

    def _said(self, level: str, finding: str, remedy: str = "") -> Finding:
        return Finding(self.cli.name, "live", level, finding, remedy)

    def run(self) -> list[Finding]:
        """How the run itself went, where that is worth a word."""
        found = []
        _words, shared = isolation.namespaces()
        if shared:
            found.append(self._said(NOTE, f"without a network of its own ({shared}): led to a proxy that is not there"))
        for path in self.left_out:
            said = f"{path} may hold a secret in more than a line that assigns it, and was not copied: what it prints"
            found.append(self._said(NOTE, f"{said} is not seen here"))
        report = self.report
        if report.unroutable > 0:
            found.append(self._said(NOTE, f"the CLI tried {report.unroutable} times to leave the loopback, in vain"))
        if report.left_behind:
            found.append(self._said(NOTE, f"the CLI left {report.left_behind[0]} running; it was ended"))
        if report.code:
            level = NOTE if self._causes() else PROBLEM
            last = (report.stderr.strip() or report.stdout.strip() or "nothing").splitlines()[-1]
            said = f"the CLI ended with exit code {report.code} after {len(report.turns())} turns, and said: {last}"
            found.append(self._said(level, said, "see that it runs by itself"))
        return found

    def moments(self) -> list[Finding]:
        """One line a registered event, or one for all that failed alike."""
        alike: dict[tuple[str, str], list[str]] = {}
        fine = []
        events = list(dict.fromkeys(entry.event for entry in self.entries))
        for event in events:
            level, finding, remedy = self._of(event)
            if level == PROBLEM:
                alike.setdefault((finding, remedy), []).append(event)
            else:
                fine.append(self._said(level, f"{event}: {finding}"))
        return fine + [
            self._said(PROBLEM, f"{'all hooks' if failed == events else ', '.join(failed)}: {finding}", remedy)
            for (finding, remedy), failed in alike.items()
        ]

    def _of(self, event: str) -> tuple[str, str, str]:
        """Level, finding and remedy for an event."""
        records = [record for record in self.records if record["payload"].get("hook_event_name") == event]
        if not records:
            return self._silent()
        if twice := self._twice(records):
            return twice
        for record in records:
            if problem := self._trouble(record):
                return PROBLEM, *problem
        slowest = max(record["ms"] for record in records)
        if slowest > SLOW:
            return PROBLEM, f"took {slowest / 1000:.1f} s, for which the host waits each time", "find what holds it up"
        times = f", {len(records)} times" if len(records) > 1 else ""
        heard = [self._reached(record) for record in records if words(record)]
        if False in heard:
            said = f"fired in {slowest:.0f} ms{times}, but the model was not shown what the hook said"
            return PROBLEM, said, "the host dropped it: run the contract watch for this release"
        said = "reached the model" if heard else "had nothing to say, and was counted"
        return OK, f"fired in {slowest:.0f} ms{times}, {said}", ""

    def _causes(self) -> list[Finding]:
        """What was found before the run, and keeps hooks from being started."""
        return [found for found in self.known if found.level == PROBLEM and found.check in SILENCING]

    def _silent(self) -> tuple[str, str, str]:
        if causes := self._causes():
            return PROBLEM, f"not fired: {causes[0].finding}", ""
        return PROBLEM, "not fired, and nothing in the settings says why", "run the CLI by hand with its debug option"

    def _twice(self, records: Sequence[Record]) -> tuple[str, str, str] | None:
        """Whether one event was given to two of our hooks."""
        seen: dict[str, list[str]] = {}
        for record in records:
            payload = {name: value for name, value in record["payload"].items() if name != "timestamp"}
            seen.setdefault(json.dumps(payload, sort_keys=True), []).append(record["command"])
        if self.cli.host.merges:  # identical hooks run once, so an event with the same payload came twice
            seen = {payload: list(dict.fromkeys(commands)) for payload, commands in seen.items()}
        doubled = {command for commands in seen.values() if len(commands) > 1 for command in commands}
        files = sorted({entry.layer.path for entry in self.entries if entry.command in doubled})
        if len(files) < 2:  # noqa: PLR2004  a host may well deliver an event twice
            return None
        return PROBLEM, f"fired once for each of {len(files)} registrations: {' and '.join(files)}", KEEP

    def _trouble(self, record: Record) -> tuple[str, str] | None:
        """What is wrong with how one hook ended: finding and remedy."""
        if "ended" not in record:
            return "started, and was killed by the host before it ended: its timeout", "find what holds it up"
        if record["code"]:
            last = (record["stderr"].strip().splitlines() or ["nothing"])[-1]
            return f"ended with exit code {record['code']} and said {last!r}", REGISTER
        if foreign := foreign_line(record["stdout"]):
            return f"what stands before our JSON makes the host drop all: {foreign!r}", FOREIGN
        if record["stdout"]:
            return None
        why = missing(record["command"]) or ("" if self._counted(record) else "the event was not counted")
        return (f"ran, and ended without a word: {why}", REGISTER) if why else None

    def _counted(self, record: Record) -> bool:
        """Whether the state knows of the event; of some the host tells us nothing that we count."""
        payload = record["payload"]
        try:
            event = payloads.module(self.cli.name).parse(payload)
        except ValueError:
            return False
        if event is None:
            return True
        return any(line.get("moment") == event.moment and line.get("session") == event.session for line in self.trail)

    def _reached(self, record: Record) -> bool:
        """Whether the model was shown what a hook said, in a request after that."""
        wanted = words(record)
        bodies = [
            request["body"]
            for request in self.report.requests
            if request["sort"] != "aside" and request["at"] >= record["ended"] - 0.05  # clocks of two processes
        ]
        return any(wanted in isolation.shown(body) for body in bodies)


KEEP = "keep one of them: `holdfast uninstall --scope user` takes the user's away"
REGISTER = "`holdfast doctor --fix` registers it anew"
FOREIGN = "take away what prints it: the command itself, a shell profile or a wrapper"


def foreign_line(stdout: str) -> str:
    """The first line of an output that is not JSON alone, or ""."""
    try:
        json.loads(stdout or "null")
    except ValueError:
        return stdout.strip().split("\n", 1)[0]
    return ""


def words(record: Record) -> str:
    """The beginning of what a hook said to the model, or ""."""
    try:
        answer = json.loads(record.get("stdout") or "{}")
        said = answer.get("hookSpecificOutput", {}).get("additionalContext") or answer.get("additionalContext") or ""
    except (ValueError, AttributeError):
        return ""
    return str(said).split("\n", 1)[0][:TOLD]
