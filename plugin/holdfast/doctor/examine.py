"""One host looked at without a session of it: found, registered, stale, silenced, trusted, answering."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

from holdfast import hosts as payloads
from holdfast.doctor.findings import NOTE, OK, PROBLEM, Finding, counted
from holdfast.doctor.paths import missing, named
from holdfast.doctor.stage import Stage, version_of
from holdfast.errors import HoldfastError
from holdfast.hosts.samples import sample
from holdfast.install import beside, environment, registration, targets, trial

if TYPE_CHECKING:
    from holdfast.doctor.hosts import Cli, Entry, Layer

SLOW = 2000.0  # milliseconds: a hook of ours ends before, whatever happens
OURS = {"user": "user", "project": "project", "personal": "project"}  # layer to the scope of an installation


class Examination:
    """What is found of one host.

    Args:
        cli: which.
        project: the project's folder.
        asked: whether the user named this host.

    Attributes:
        program: its command on PATH, or "".
        layers: the files that may register hooks.
        entries: our hooks in them.
    """

    def __init__(self, cli: Cli, project: str, *, asked: bool) -> None:
        self.cli = cli
        self.project = project
        self.asked = asked
        self.program = shutil.which(cli.name) or ""
        self.layers: list[Layer] = cli.layers(project)
        self.all: list[Entry] = cli.entries(self.layers)
        self.entries = [entry for entry in self.all if entry.ours]
        self.guests = [entry for entry in self.all if entry.guest]

    def _said(self, check: str, level: str, finding: str, remedy: str = "") -> Finding:
        return Finding(self.cli.name, check, level, finding, remedy)

    def _guests_files(self) -> str:
        return " and ".join(sorted({entry.layer.path for entry in self.guests}))

    @property
    def concerned(self) -> bool:
        """Whether there is anything to say of this host."""
        return bool(self.program or self.entries or self.asked)

    def findings(self, *, dry_run: bool) -> list[Finding]:
        """All that was found. dry_run: also run the registered commands, in a project made for that."""
        if not self.concerned:
            return []
        found = [*self.found(), *self.broken(), *self.registered()]
        if self.entries:
            paths = self.paths()
            found += [*self.stale(), *paths, *self.twice()]
            found += [self._said("off", PROBLEM, reason, "take that away") for reason in self._off()]
            found += self.cli.trust(self.layers, self.project, self.program)
            if dry_run and not paths:
                found += self.answers()
        return found

    # -- the program

    def found(self) -> list[Finding]:
        """Whether the CLI is there, and of which release."""
        cli = self.cli
        if not self.program:
            level = PROBLEM if self.asked else NOTE
            return [self._said("program", level, f"{cli.name} is not on PATH", f"npm install -g {cli.package}")]
        version = ""
        with contextlib.suppress(HoldfastError), Stage(self.project) as stage:
            version = version_of(self.program, stage)
        if not version:
            return [self._said("version", NOTE, f"{self.program} does not tell its version")]
        where = f"{version} at {self.program}"
        mine, known = _numbers(version), _numbers(cli.version)
        if mine > known:
            said = f"{where}, newer than the recorded {cli.version}"
            return [self._said("version", NOTE, said, f"`holdfast doctor --live {cli.name}` tells whether all fires")]
        if mine[:2] < known[:2]:
            said = f"{where}, too old: the recorded release is {cli.version}"
            return [self._said("version", PROBLEM, said, f"npm install -g {cli.package}")]
        older = "" if mine == known else f", a little older than the recorded {cli.version}"
        return [self._said("version", OK, where + older)]

    # -- the files

    def broken(self) -> list[Finding]:
        """Files that the host cannot read, and other people's hooks whose program is gone."""
        found = []
        for layer in self.layers:
            if layer.error:
                said = f"{layer.path}: {layer.error}: the host may leave out the whole file"
                found.append(self._said("foreign", PROBLEM, said, "mend the file"))
        for entry in self.all:
            first = next(iter(named(entry.command)), "")
            theirs = not entry.ours and not entry.guest
            if theirs and first and entry.command.split()[0] == first and not os.path.exists(first):
                said = f"{entry.layer.path}: another's hook of {entry.event} runs {first}, which is not there"
                found.append(self._said("foreign", NOTE, said, "mend or remove it: some hosts block the tool for that"))
        return found

    def registered(self) -> list[Finding]:
        """Which files register us, and what is missing in them."""
        if not self.entries:
            level = PROBLEM if self.asked and not self.guests else NOTE
            remedy = f"`holdfast install --host {self.cli.name}` in the project"
            said = "no file registers our hooks"
            if self.guests:
                said += f", but what {self._guests_files()} registers for another CLI runs here too"
            return [self._said("registration", level, said, remedy)]
        return [finding for layer in self.layers for finding in self.registered_in(layer)]

    def registered_in(self, layer: Layer) -> list[Finding]:
        """What of us a file registers, and what is missing in it; nothing where none of our hooks is in it."""
        wanted = self._wanted()
        events = list(dict.fromkeys(entry.event for entry in self.entries if entry.layer == layer))
        gone = [event for event in wanted if event not in events] if layer.scope in OURS else []
        where = f"{layer.path} ({layer.scope})"
        if events and gone:
            said = f"{where} registers {len(events)} of {len(wanted)} hooks: {', '.join(gone)} missing"
            return [self._said("registration", PROBLEM, said, self._anew(layer))]
        return [self._said("registration", OK, f"{where} registers {len(events)} hooks")] if events else []

    @functools.cached_property
    def _runtime(self) -> environment.Runtime | None:
        try:
            return environment.running(mend=False)
        except HoldfastError:
            return None

    def _wanted(self) -> dict[str, dict[str, Any]]:
        """What this installation registers: event to handler; {} where that cannot be told."""
        try:
            return registration.handlers(self.cli.host, self._runtime) if self._runtime else {}
        except HoldfastError:
            return {}

    def _anew(self, layer: Layer) -> str:
        if not self.mendable(layer):
            return "delete that file" if self.cli.host.script else "take those entries out of the file by hand"
        return "`holdfast doctor --fix`"

    def mendable(self, layer: Layer) -> bool:
        """Whether an installation writes this very file."""
        scope = OURS.get(layer.scope)
        return scope is not None and layer.path == targets.settings_file(self.cli.host, scope, self.project)

    def out_of_date(self) -> dict[str, list[Entry]]:
        """Our hooks that are not as this installation registers them, by the file that they stand in."""
        wanted = self._wanted()
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if not wanted or entry.layer.scope not in OURS:
                continue
            if entry.handler != wanted.get(entry.event) or self._edited(entry.layer):
                found.setdefault(entry.layer.path, []).append(entry)
        return found

    def _edited(self, layer: Layer) -> bool:
        """Whether a program of ours is not what this installation writes."""
        if not self.cli.host.script or self._runtime is None:
            return False
        with contextlib.suppress(HoldfastError):
            return bool(layer.settings["script"] != registration.script(self.cli.host, self._runtime).decode())
        return False

    def stale(self) -> list[Finding]:
        """Registrations of another installation, of an older one, or edited since."""
        found = []
        for path, entries in self.out_of_date().items():
            first = entries[0]
            other = sorted({named(entry.command)[0] for entry in entries if named(entry.command)})
            mine = self._runtime.python if self._runtime else ""
            what = "of another or an older installation" if other != [mine] else "changed since they were registered"
            said = f"{path}: {counted(len(entries))} {what}: {first.event} runs {first.command}"
            found.append(self._said("stale", PROBLEM, said, self._anew(first.layer)))
        return found

    def paths(self) -> list[Finding]:
        """Whether all that the registered commands name is there."""
        gone: dict[str, list[str]] = {}
        for entry in self.entries:
            reason = missing(entry.command)
            if reason and entry.layer.scope != "plugin":  # there the host fills in the paths
                gone.setdefault(reason, []).append(entry.event)
        remedy = "`holdfast doctor --fix`"
        needed = {reason: ", ".join(dict.fromkeys(events)) for reason, events in gone.items()}
        return [
            self._said("paths", PROBLEM, f"{reason}, which {events} need", remedy) for reason, events in needed.items()
        ]

    def twice(self) -> list[Finding]:
        """Whether an event would be given to two of our hooks."""
        found = []
        if self.guests:
            said = f"what {self._guests_files()} registers for another CLI runs here too: each event is counted once"
            found.append(self._said("twice", NOTE, said))
        places: dict[str, list[Entry]] = {}
        for entry in self.entries:
            places.setdefault(entry.event, []).append(entry)
        events = [event for event, entries in places.items() if len(entries) > 1]
        if not events:
            return found
        files = sorted({entry.layer.path for event in events for entry in places[event]})
        said = f"registered more than once, in {' and '.join(files)}"
        alike = all(len({entry.command for entry in places[event]}) == 1 for event in events)
        said += f": {beside.twice(self.cli.host, alike=alike)}"
        if alike and self.cli.host.merges:
            return [*found, self._said("twice", NOTE, said)]
        remedy = f"keep one of them: `holdfast uninstall --scope user --host {self.cli.name}` takes the user's away"
        if any(entry.layer.scope == "plugin" for event in events for entry in places[event]):
            scope = " --scope user" if any(entry.layer.scope == "user" for entry in self.entries) else ""
            words = f"holdfast uninstall --host {self.cli.name}{scope}"
            remedy = f"keep one of them: take away the plugin, or with `{words}` what the settings register"
        return [*found, self._said("twice", PROBLEM, said, remedy)]

    def _off(self) -> list[str]:
        reasons = self.cli.off(self.layers, self.project)
        if os.environ.get("HOLDFAST_DISABLE") == "1":
            reasons.append("HOLDFAST_DISABLE=1 is in the environment: hooks started from here do nothing")
        return reasons

    # -- the commands

    def answers(self) -> list[Finding]:
        """Run each registered command once, as the host would, where it counts nowhere."""
        host = self.cli.host
        words = trial.shell(host, "")
        if words is None:
            return [self._said("dry-run", NOTE, f"{host.runs[0]} is not on PATH, so the hooks were not tried")]
        try:
            scratch = trial.scratch_project(self.project)
        except OSError as error:
            return [self._said("dry-run", NOTE, f"the hooks were not tried: {error.strerror}")]
        found, slowest, count = [], 0.0, 0
        moments = payloads.module(self.cli.name).MOMENTS
        try:
            for command, event in {entry.command: entry.event for entry in self.entries if self._tried(entry)}.items():
                payload = sample(self.cli.name, moments[event], scratch)
                words = trial.shell(host, command) or []
                _text, problem, taken = trial.fire(words, payload, trial.environment(host, scratch), scratch)
                count, slowest = count + 1, max(slowest, taken)
                if problem:
                    found.append(self._said("dry-run", PROBLEM, f"the hook of {event}: {problem}", REGISTER))
                elif taken > SLOW:
                    said = f"the hook of {event} took {taken / 1000:.1f} s, for which the host waits each time"
                    found.append(self._said("dry-run", PROBLEM, said, "find what holds it up"))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if count and not found:
            found.append(self._said("dry-run", OK, f"{count} hooks answered, the slowest in {slowest:.0f} ms"))
        return found

    def _tried(self, entry: Entry) -> bool:
        return entry.layer.scope != "plugin" and entry.event in payloads.module(self.cli.name).MOMENTS


REGISTER = "`holdfast doctor --fix` registers it anew; or take away what prints it"


def _numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, without what follows them."""
    parts = version.split("-", 1)[0].split("+", 1)[0].split(".")
    return tuple(int(part) if re.fullmatch("[0-9]{1,9}", part) else 0 for part in parts)
