"""Register the hooks with hosts, and take the registrations back.

Everything is read and checked before anything is written, so that a settings file that cannot be edited stops the
installation for every host while all files are still as they were.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import holdfast
from holdfast.errors import HoldfastError, ValidationFailed
from holdfast.install import beside, environment, files, leftovers, record, registration, settings_edit, targets, trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.install.environment import Runtime
    from holdfast.install.record import Target
    from holdfast.install.targets import Host

    Echo = Callable[[str], None]

FOLDER = ".holdfast"
MADE = (".gitignore", "workflow.yaml")  # in it
GITIGNORE = "# Only the workflow is for git: all else is this machine's.\n*\n!.gitignore\n!workflow.yaml\n"


@dataclass
class Change:
    """What happens to one settings file: its bytes now and then (None = no file)."""

    host: Host
    path: str
    before: bytes | None
    after: bytes | None
    made: list[str] = field(default_factory=list)
    entries: dict[str, str] = field(default_factory=dict)
    had_ours: bool = False
    warning: str = ""

    def differs(self) -> bool:
        """Whether anything is to be written."""
        return self.before != self.after


class Place:
    """Where registrations are: in a project, or in the user's home.

    Args:
        project: the project's folder, `~` and relative paths taken.
        scope: `project` or `user`.
        echo: prints a line.
    """

    def __init__(self, project: str, scope: str, echo: Echo) -> None:
        targets.check_scope(scope)
        self.project = os.path.abspath(os.path.expanduser(project))
        self.scope = scope
        self.echo = echo
        self.folder = os.path.join(self.project, FOLDER)
        self.kept = targets.data_folder() if scope == "user" else self.folder

    def settings(self, host: Host) -> str:
        """The host's settings file."""
        return targets.settings_file(host, self.scope, self.project)

    def shown(self, path: str) -> str:
        """A path as the user reads it."""
        home = targets.home() + os.sep
        inside = path.removeprefix(self.project + os.sep)
        return "~/" + inside[len(home) :] if inside.startswith(home) else inside

    def recorded(self, path: str) -> str:
        """A path as the record has it: a project may be moved, so its files are named from there."""
        return path if self.scope == "user" else os.path.relpath(path, self.project).replace(os.sep, "/")

    def find(self, known: list[Target], host: Host, path: str) -> Target | None:
        """What the record says of a settings file."""
        wanted = (host.name, self.scope, self.recorded(path))
        return next((target for target in known if (target.host, target.scope, target.file) == wanted), None)

    def held(self) -> contextlib.AbstractContextManager[object]:
        """Hold the registrations of this place: two installations at once come one after the other."""
        return record.held(self.kept, self.echo)

    def tidy(self) -> None:
        """Leave nothing of ours in the user's data folder once nothing is registered for the user any more."""
        if self.scope == "user" and not os.path.lexists(record.path(self.kept)):
            locks = os.path.join(self.kept, "locks")
            with contextlib.suppress(OSError):  # what else is there is not ours, or the private environment
                os.unlink(os.path.join(locks, "install.lock"))
                os.rmdir(locks)
                os.rmdir(self.kept)


def _read(path: str, host: Host) -> tuple[bytes | None, str, settings_edit.Document]:
    data = files.read(path)
    try:
        return data, *settings_edit.read(data or host.own.encode(), comments=host.comments, grouped=host.grouped)
    except settings_edit.SettingsError as error:
        raise settings_edit.refusal(path, error) from None


def plan(place: Place, hosts: list[Host], runtime: Runtime) -> list[Change]:
    """What an installation would do to the settings files; reads and checks, writes nothing.

    Raises:
        ValidationFailed: there is no such project, or a settings file cannot be edited.
        PermissionDenied: one cannot be written.
    """
    if not os.path.isdir(place.project):  # a name that was mistyped, rather than one that is to be made
        raise ValidationFailed(f"{place.project}: there is no such folder: make it first, or name the project's own")
    changes = []
    for host in hosts:
        plan_file = _plan_script if host.script else _plan_settings
        change = plan_file(place.settings(host), host, runtime)
        if change.differs():
            files.check_writable(change.path)
        changes.append(change)
    return changes


def _plan_settings(path: str, host: Host, runtime: Runtime) -> Change:
    before, mark, document = _read(path, host)
    handlers = registration.handlers(host, runtime)
    ours = registration.ours(host)
    had_ours = bool(settings_edit.commands(document, ours))
    try:
        made = settings_edit.register(document, handlers, ours)
    except settings_edit.SettingsError as error:
        raise settings_edit.refusal(path, error) from None
    try:
        after = (mark + document.text).encode()
    except UnicodeEncodeError:
        raise ValidationFailed(f"{runtime.hooks!r} is no UTF-8, so no settings file can hold this path") from None
    entries = settings_edit.commands(document, ours)
    warning = targets.silenced(host, document.root.plain())
    return Change(host, path, before, after, made, entries, had_ours, warning)


def _plan_script(path: str, host: Host, runtime: Runtime) -> Change:
    before = files.read(path)
    had_ours = before is not None and before.startswith(host.own.encode())
    if before is not None and not had_ours:
        raise ValidationFailed(f"{path} was not written by holdfast: move it away, then run this again")
    entries = {event: handler["command"] for event, handler in registration.handlers(host, runtime).items()}
    return Change(host, path, before, registration.script(host, runtime), entries=entries, had_ours=had_ours)


def _missing(place: Place) -> dict[str, bytes]:
    """What `.holdfast/` lacks: path to content."""
    from holdfast.workflow.templates import starter

    wanted = dict(zip(MADE, (GITIGNORE, starter()), strict=True))
    paths = {os.path.join(place.folder, name): text.encode() for name, text in wanted.items()}
    return {path: data for path, data in paths.items() if not os.path.lexists(path)}


def _show(path: str, before: bytes | None, after: bytes | None, echo: Echo) -> None:
    """Print what would become of a file, as a unified diff."""
    old = "/dev/null" if before is None else path
    new = "/dev/null" if after is None else path
    old_lines, new_lines = ((data or b"").decode("utf-8", "replace").splitlines() for data in (before, after))
    for line in difflib.unified_diff(old_lines, new_lines, old, new, lineterm=""):
        echo(line)


def install(project: str, hosts: list[str] | None, scope: str, *, dry_run: bool, echo: Echo) -> None:
    """Register the hooks with hosts, and make the project's `.holdfast/` where it is missing.

    Args:
        project: the project's folder.
        hosts: their names; None for those that this user has.
        scope: `project` for settings files under the project, `user` for those in the home.
        dry_run: print what would be written, and write nothing.
        echo: prints a line.

    Raises:
        ValidationFailed: an argument or a settings file is wrong, and nothing was written; or the workflow is.
        HoldfastError: a file cannot be written; or all is registered, but a trial run failed.
    """
    place = Place(project, scope, echo)
    chosen = targets.choose(hosts)
    if dry_run:
        preview(place, chosen, environment.running(mend=False))
        return
    runtime = environment.running()
    plan(place, chosen, runtime)
    mistake = _make_folder(place)
    changes = register(place, chosen, runtime)
    failed = trial.run(place.project, changes, echo)
    echo("what is left for you to do:")
    for change in changes:
        echo(f"  {change.host.name}: {change.host.todo}")
        for line in _cautions(place, change):
            echo(f"  {change.host.name}: {line}")
    if mistake:
        raise ValidationFailed(f"the hooks are registered, but the workflow needs mending: {mistake}")
    if failed:
        raise HoldfastError(f"the hooks are registered, but the trial run failed for {', '.join(failed)} (see above)")


def _cautions(place: Place, change: Change) -> list[str]:
    """What keeps the hooks that were registered from running, or runs them twice."""
    found = list(beside.cautions(change.host, place.scope, place.project, change.entries))
    return [f"{change.path}: {change.warning}", *found] if change.warning else found


def _sweep(place: Place, hosts: list[Host]) -> None:
    """Remove what an installation that was killed left half written."""
    for path in [*map(place.settings, hosts), *(os.path.join(place.folder, name) for name in MADE)]:
        files.sweep(path)


def register(place: Place, hosts: list[Host], runtime: Runtime) -> list[Change]:
    """Write the registrations and the record of them; what was changed.

    Raises:
        HoldfastError: as `plan`, or a file cannot be written.
    """
    with place.held():
        _sweep(place, hosts)
        changes = plan(place, hosts, runtime)  # perhaps again: who held the lock may have written
        _register(place, changes)
    return changes


def preview(place: Place, hosts: list[Host], runtime: Runtime) -> None:
    """Print what `install` would write.

    Raises:
        HoldfastError: as `plan`.
    """
    changes = plan(place, hosts, runtime)
    for path, content in _missing(place).items():
        _show(path, None, content, place.echo)
    for change in changes:
        _show(change.path, change.before, change.after, place.echo)
        if not change.differs():
            place.echo(f"{change.host.name}: {place.shown(change.path)}: nothing to change")
        for line in _cautions(place, change):
            place.echo(f"{change.host.name}: {line}")
    place.echo("this was a dry run: nothing was written")


def _make_folder(place: Place) -> str:
    """Make what is missing of `.holdfast/` and compile its workflow; what is wrong with that, or an empty string."""
    from holdfast.workflow import index

    files.make_folder(place.folder, 0o700)
    with contextlib.suppress(OSError):
        os.chmod(place.folder, 0o700)  # a clone brings it as git makes folders
    missing = _missing(place)
    for path, content in missing.items():
        files.replace(path, content)
    names = ", ".join(os.path.basename(path) for path in missing)
    place.echo(f"{place.folder}: " + (f"made {names}" if missing else "is there"))
    try:
        return str(index.refresh(place.folder).header.get("error") or "")
    except OSError as error:
        raise files.explain(error, f"cannot compile the workflow in {place.folder}") from None


def _register(place: Place, changes: list[Change]) -> None:
    known = record.load(place.kept, place.echo)
    for change in changes:
        old = place.find(known, change.host, change.path)
        target = _target(place, change, old)
        if old is None:
            known.append(target)
        else:
            known[known.index(old)] = target
    with leftovers.marked(place.folder):
        # The record is first: whatever is killed between the two, the original bytes are kept.
        record.save(place.kept, known)
        _write(place, changes)


def _write(place: Place, changes: list[Change]) -> None:
    for change in changes:
        shown = place.shown(change.path)
        if change.differs():
            files.make_folder(os.path.dirname(change.path))
            files.replace(change.path, change.after or b"")
            place.echo(f"{change.host.name}: {shown}: {len(change.entries)} hooks registered")
        else:
            place.echo(f"{change.host.name}: {shown}: {len(change.entries)} hooks are registered already")


def _target(place: Place, change: Change, old: Target | None) -> Target:
    """The record of a change. The bytes before us can be restored only while nobody but us has changed the file."""
    now = record.seal(change.before)
    target = record.Target(
        host=change.host.name,
        scope=place.scope,
        file=place.recorded(change.path),
        existed=change.before is not None,
        restorable=True,
        sha256_before=now,
        sha256_after=record.seal(change.after),
        original=record.encode(change.before),
        made=sorted(change.made),
        folders_made=max(_missing_folders(change.path), old.folders_made if old is not None else 0),
        entries=change.entries,
        installed_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        holdfast=holdfast.__version__,
    )
    if not change.had_ours:
        return target
    if old is None:  # registered before, but nobody kept a record of it
        target.made = ["hooks", *change.entries]
    else:
        target.existed = old.existed
        target.made = sorted({*old.made, *change.made})
    if old is not None and now == old.sha256_after:
        target.restorable, target.sha256_before, target.original = old.restorable, old.sha256_before, old.original
        if (target.sha256_after, target.holdfast) == (old.sha256_after, old.holdfast):
            target.installed_at = old.installed_at
    else:
        target.restorable, target.sha256_before, target.original = False, None, None
    return target


def _missing_folders(path: str) -> int:
    """How many folders must be made for a file."""
    folder = os.path.dirname(path)
    return 0 if os.path.isdir(folder) or folder == path else 1 + _missing_folders(folder)


def _remove_folders(path: str, target: Target | None) -> None:
    """Remove the folders that were made for a file, from it upwards; none that holds anything."""
    with contextlib.suppress(OSError):  # it is not empty: the user's
        for _ in range(target.folders_made if target is not None else 0):
            path = os.path.dirname(path)
            os.rmdir(path)


def uninstall(  # noqa: PLR0913  one argument an option
    project: str, hosts: list[str] | None, scope: str, *, purge: bool, dry_run: bool, echo: Echo
) -> None:
    """Take the registrations back. The project's `.holdfast/` stays.

    A settings file that nobody has changed since becomes what it was, to the byte; from any other only our entries go.

    Args:
        project: the project's folder.
        hosts: their names; None for all.
        scope: `project` for the registrations of this project, `user` for those in the home.
        purge: also delete the private environment that this command runs from.
        dry_run: print what would be written, and write nothing.
        echo: prints a line.

    Raises:
        HoldfastError: something could not be taken back; the rest was.
    """
    place = Place(project, scope, echo)
    chosen = targets.choose(hosts or targets.HOSTS)
    nothing_held = dry_run or not os.path.isdir(place.kept)
    with contextlib.nullcontext() if nothing_held else place.held():
        if not nothing_held:
            _sweep(place, chosen)
        with contextlib.nullcontext() if dry_run else leftovers.marked(place.folder):
            problems = _unregister(place, chosen, dry_run=dry_run)
        if not nothing_held:
            place.tidy()
    if problems:
        raise problems[0]
    if purge:
        environment.purge(sys.prefix, echo, dry_run=dry_run)


def _unregister(place: Place, hosts: list[Host], *, dry_run: bool) -> list[HoldfastError]:
    known = record.load(place.kept, place.echo, dry_run=dry_run)
    before = list(known)
    problems: list[HoldfastError] = []
    done = False
    for host in hosts:
        paths = [place.settings(host)]
        if place.scope == "user":  # CODEX_HOME and its like may have been others then; this record is the user's own
            theirs = [target.file for target in known if (target.host, target.scope) == (host.name, "user")]
            paths += [path for path in theirs if path not in paths]
        for path in paths:
            target = place.find(known, host, path)
            try:
                done |= _restore(place, path, host, target, dry_run=dry_run)
            except HoldfastError as error:
                problems.append(error)
                if len(problems) > 1:
                    place.echo(f"{host.name}: {error}")
                continue
            if target is not None:
                known.remove(target)
    if known != before and not dry_run:
        record.save(place.kept, known)
    if not done and not problems:
        place.echo("nothing is registered " + (f"in {place.project}" if place.scope == "project" else "for this user"))
    return problems


def _restore(place: Place, path: str, host: Host, target: Target | None, *, dry_run: bool) -> bool:
    """Take our entries out of one settings file; whether there was anything to do."""
    before = files.read(path)
    if before is None:
        if not dry_run:  # we may have been killed between the file and its folder
            _remove_folders(path, target)
        return False
    if target is not None and target.restorable and record.seal(before) == target.sha256_after:
        after = target.original_bytes()
        said = "as it was before"
    elif host.script:
        if not before.startswith(host.own.encode()):
            return False  # somebody else's
        after = None
    else:
        if target is None and b"--host" not in before:
            return False  # nothing of ours: whether it parses is not our business
        _, mark, document = _read(path, host)
        if not settings_edit.unregister(document, target.made if target else None, registration.ours(host)):
            return False
        ours_alone = bool(host.own) or (target is not None and not target.existed)
        ours_alone = ours_alone and document.text.split() == (host.own or "{}").split()
        after = None if ours_alone else (mark + document.text).encode()
        said = "our hooks are taken out, all else stays"
    if dry_run:
        _show(path, before, after, place.echo)
        return True
    files.check_writable(path)
    if after is not None:
        files.replace(path, after)
    else:
        files.remove(path)
        said = "deleted, for it was made by us"
        _remove_folders(path, target)
    place.echo(f"{host.name}: {place.shown(path)}: {said}")
    return True
