"""What was installed where: `.holdfast/install.json` for a project, `install.json` in the data folder for the user.

It holds the settings files as they were before, which may hold secrets: mode 0600. A project's record may come from
somebody else, with a clone. So it never says which file is written or deleted: the table of hosts does.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from holdfast.errors import ValidationFailed
from holdfast.install import files
from holdfast.install.locking import locked

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

VERSION = 1
NAME = "install.json"


def seal(data: bytes | None) -> str | None:
    """Name the bytes of a file by their sha256, or None for a file that is not there."""
    return None if data is None else sha256(data).hexdigest()


@dataclass
class Target:
    """One host's settings file, as we found it and as we left it.

    Attributes:
        host: the host's name.
        scope: `project` or `user`.
        file: the settings file: under the project with `/`, or absolute for the user's.
        existed: whether it was there before us.
        restorable: whether nobody but us has changed it, so that `original` is what to go back to.
        sha256_before: of the file before us; None if there was none, or if it is not restorable.
        sha256_after: of the file as we left it.
        original: the bytes before us in base64; None if there was none, or if it is not restorable.
        made: the containers that we added in it.
        folders_made: how many of the folders that the file is in are ours, from the innermost outwards.
        entries: event to command.
        installed_at: UTC, ISO 8601.
        holdfast: the release.
    """

    host: str
    scope: str
    file: str
    existed: bool
    restorable: bool
    sha256_before: str | None
    sha256_after: str | None
    original: str | None
    made: list[str] = field(default_factory=list)
    folders_made: int = 0
    entries: dict[str, str] = field(default_factory=dict)
    installed_at: str = ""
    holdfast: str = ""

    def original_bytes(self) -> bytes | None:
        """The file before us, or None where it is not known."""
        return None if self.original is None else base64.b64decode(self.original)


def encode(data: bytes | None) -> str | None:
    """Turn a file's bytes into text for `Target.original`."""
    return None if data is None else base64.b64encode(data).decode("ascii")


def path(folder: str) -> str:
    """Where the record of a folder is."""
    return os.path.join(folder, NAME)


def _target(entry: dict[str, Any]) -> Target:
    entry = {"folders_made": entry.get("folder_made"), **entry}  # as earlier records had it: one, or none
    target = Target(**{name: entry[name] for name in Target.__dataclass_fields__})
    texts = [target.host, target.scope, target.file, target.installed_at, target.holdfast, *target.made]
    optional = [target.sha256_before, target.sha256_after, target.original]
    if not all(isinstance(text, str) for text in [*texts, *(o for o in optional if o is not None)]):
        raise TypeError("text expected")
    kinds = {"existed": bool, "restorable": bool, "folders_made": int, "entries": dict}
    for name, kind in kinds.items():
        if not isinstance(getattr(target, name), kind):
            raise TypeError(f"{name} is no {kind.__name__}")
    base64.b64decode(target.original or "", validate=True)
    return target


def _targets(content: Any) -> list[Target]:
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']!r}")
    return [_target(entry) for entry in content["targets"]]


def load(folder: str, echo: Callable[[str], None], *, dry_run: bool = False) -> list[Target]:
    """Read the targets installed so far.

    A record that cannot be used is put aside and the user is told: the settings are then edited instead of restored.

    Raises:
        HoldfastError: it cannot be read or put aside.
    """
    where = path(folder)
    data = files.read(where)
    if data is None:
        return []
    try:
        return _targets(json.loads(data))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        aside = f"{where}.unreadable"
        if dry_run:
            echo(f"{where} cannot be used ({error}); it would become {aside}")
            return []
        try:
            os.replace(where, aside)
        except OSError as failure:
            raise files.explain(failure, f"cannot put {where} aside") from None
        echo(f"{where} could not be used ({error}) and is now {aside}")
        return []


def save(folder: str, targets: list[Target]) -> None:
    """Write the record, or delete it when nothing is installed any more.

    Raises:
        HoldfastError: it cannot be written.
    """
    _write(folder, targets, _others(folder))


def held(folder: str, echo: Callable[[str], None]) -> contextlib.AbstractContextManager[object]:
    """Hold the record of a folder: two that alter it at once come one after the other.

    Raises:
        LockTimeout, HoldfastError: as `locking.locked`.
    """
    lock = os.path.join(folder, "locks", "install.lock")
    files.make_folder(os.path.dirname(lock), 0o700)
    return locked(lock, lambda: echo(f"another installation holds {lock}: waiting for it"))


def synced(folder: str) -> dict[str, dict[str, Any]]:
    """What was carried to which target: see `synced.py`.

    Raises:
        HoldfastError: the record cannot be read.
    """
    where = path(folder)
    data = files.read(where)
    try:
        if data is not None:
            json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValidationFailed(f"{where} cannot be used ({error}): mend it, or move it away") from None
    found = _others(folder).get("synced")
    return {name: kept for name, kept in found.items() if isinstance(kept, dict)} if isinstance(found, dict) else {}


def change_synced(folder: str, change: Callable[[dict[str, Any]], object], echo: Callable[[str], None]) -> None:
    """Alter, in place, what was carried to which target. Only for who holds the record.

    Raises:
        HoldfastError: the record cannot be read or written.
    """
    targets = load(folder, echo)
    others, found = _others(folder), synced(folder)
    change(found)
    others.pop("synced", None)
    _write(folder, targets, {**others, "synced": found} if found else others)


def _others(folder: str) -> dict[str, Any]:
    """What the record holds besides the targets: what was taken over from other tools."""
    try:
        content = json.loads(files.read(path(folder)) or b"{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if key not in ("version", "targets")}


def _write(folder: str, targets: list[Target], others: dict[str, Any]) -> None:
    where = path(folder)
    files.sweep(where, follow=False)
    if not targets and not others:
        files.remove(where, follow=False)
        return
    content = {"version": VERSION, "targets": [asdict(target) for target in targets], **others}
    data = (json.dumps(content, indent=2) + "\n").encode()
    if files.read(where) != data:
        files.replace(where, data, 0o600, follow=False)


def take_over(folder: str, original: dict[str, Any], synced: dict[str, Any], echo: Callable[[str], None]) -> None:
    """Keep what another tool synchronised: its targets under `synced`, its whole state under `migrated_from`.

    A state that was taken over earlier stays under the new one's own `migrated_from`.

    Args:
        folder: where the record is.
        original: the other tool's state.
        synced: what it says of each target, by name.
        echo: prints a line.

    Raises:
        HoldfastError: the record cannot be read or written.
    """
    targets = load(folder, echo)
    others = _others(folder)
    earlier = others.get("migrated_from")
    if isinstance(earlier, dict) and not any(original == part for part in _chain(earlier)):
        original = json.loads(json.dumps(original))
        _chain(original)[-1]["migrated_from"] = earlier
    elif earlier is not None:
        original = earlier
    kept = others.get("synced")
    others |= {"synced": {**(kept if isinstance(kept, dict) else {}), **synced}, "migrated_from": original}
    _write(folder, targets, others)


def _chain(state: dict[str, Any]) -> list[dict[str, Any]]:
    """A state, the one that it was migrated from, and so on."""
    found = [state]
    while isinstance(inner := found[-1].get("migrated_from"), dict):
        found.append(inner)
    return found
