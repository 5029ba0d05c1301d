"""The folders that hooks run from: one a release, and nobody alters it once it is live.

pip empties a package's folder and fills it again, and a hook that starts in that second would find nothing: its event
would be lost. So hooks run from a copy:

    PREFIX/releases/NAME/hooks, plugin   a release, whole and on the disk before anything leads to it
    PREFIX/current                       a link to the release that is live: one rename switches
    PREFIX/hooks, PREFIX/plugin          links to current/hooks and current/plugin

Python names a script as it was called, by the links. A release's hooks have the path of their own folder in place of
`__file__`, so that a hook that is running when the links are switched goes on with the modules of its own release. The
release before stays for it until the next one is made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

from holdfast import bytecode
from holdfast.errors import HoldfastError
from holdfast.install import files
from holdfast.install.locking import locked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CURRENT, RELEASES = "current", "releases"
LINKS = tuple((name, os.path.join(CURRENT, name)) for name in ("plugin", "hooks"))
PACKAGE = os.path.join("plugin", "holdfast")
LOCK, TEMPORARY = "lock", ".tmp"
LEFT_OUT = ("bundle", "cli", "doctor")  # of the package: hooks import nothing of it
VERSION = re.compile(rb'^__version__ = "([\w.+-]+)"', re.MULTILINE)


def live(prefix: str) -> str:
    """The name of the release that hooks run from; "" where there is none."""
    try:
        leads = [os.readlink(os.path.join(prefix, name)) == to for name, to in LINKS]
        folder, name = os.path.split(os.readlink(os.path.join(prefix, CURRENT)))
    except OSError:
        return ""
    there = all(leads) and folder == RELEASES and os.path.isdir(os.path.join(prefix, RELEASES, name))
    return name if there else ""


def serves(prefix: str, hooks: str, package: str) -> bool:
    """Whether the hooks of PREFIX are those of `hooks`, whole, with the modules of `package`.

    Raises:
        OSError: these cannot be read.
    """
    return live(prefix) == _name(os.path.join(prefix, RELEASES), _wanted(hooks, package))


def put_live(prefix: str, hooks: str, package: str, *, bundled: bool = True) -> None:
    """Let the hooks of PREFIX be those of `hooks`, with the modules of `package`; nothing is done where they are.

    Args:
        prefix: the private environment.
        hooks: the folder of the entrypoints.
        package: the package's folder.
        bundled: whether the package is of this very release and interpreter, which then makes its file of bytecode.

    Raises:
        HoldfastError: it cannot be made; what was live still is.
    """
    folder = os.path.join(prefix, RELEASES)
    try:
        wanted = _wanted(hooks, package)
        name = _name(folder, wanted)
        if live(prefix) != name:
            files.make_folder(folder)
            with locked(os.path.join(folder, LOCK), lambda: None):
                name = _name(folder, wanted)
                _vacate(folder, (name, live(prefix)))
                release = os.path.join(folder, name)
                if not os.path.isdir(release):
                    _make(release, package, _bound(wanted, release))
                _bundle(release, bundled)
                for link, to in ((CURRENT, os.path.join(RELEASES, name)), *LINKS):
                    point(os.path.join(prefix, link), to)
        else:
            _bundle(os.path.join(folder, name), bundled)  # it may be damaged
    except OSError as error:
        raise files.explain(error, f"cannot make a release of the hooks in {folder}") from None


def keep(prefix: str) -> None:
    """Before pip empties the folders that hooks of an older installation run from, let them run from a copy.

    Raises:
        HoldfastError: it cannot be made; all is as it was.
    """
    links = [os.path.join(prefix, name) for name, _to in LINKS]
    plugin, hooks = map(os.path.realpath, links)
    package = os.path.join(plugin, "holdfast")
    if not live(prefix) and all(map(os.path.islink, links)) and os.path.isdir(hooks) and os.path.isdir(package):
        put_live(prefix, hooks, package, bundled=False)


def point(path: str, target: str) -> None:
    """Let `path` be a link to `target`: whoever opens it meanwhile finds the old one or the new one.

    Raises:
        OSError: it cannot be made.
    """
    if os.path.islink(path) and os.readlink(path) == target:
        return
    temporary = path + TEMPORARY
    delete(temporary)  # of an installation that was killed
    os.symlink(target, temporary, target_is_directory=True)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    os.replace(temporary, path)
    files.sync_folder(os.path.dirname(path))


def delete(path: str) -> None:
    """Delete a file, a link, or a folder with all that is in it; what is gone already is no error.

    Raises:
        OSError: it stays, or a part of it.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _wanted(hooks: str, package: str) -> dict[str, bytes]:
    """What a release made from these folders holds: {name: bytes}; hooks as they are before they are bound to it."""
    found = {os.path.join("hooks", name): data for name, data in _read(hooks).items()}
    return found | {os.path.join(PACKAGE, name): data for name, data in _read(package).items()}


def _walk(package: str) -> Iterator[tuple[str, list[str]]]:
    """Each folder of a package, or of a release, but for what is left out; with the names of the files in it.

    Raises:
        OSError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(package, onerror=refuse):
        if place == package:
            folders[:] = [name for name in folders if name not in LEFT_OUT]
        yield place, names


def _read(folder: str) -> dict[str, bytes]:
    """Every file of a package, or of a release, but what interpreters keep: {name: bytes}."""
    found = {}
    for place, names in _walk(folder):
        for name in names if os.path.basename(place) != "__pycache__" else ():
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def _bound(wanted: dict[str, bytes], release: str) -> dict[str, bytes]:
    """The same with hooks that find their modules in the folder `release`, whatever path they were called by."""
    found = dict(wanted)
    for name, data in wanted.items():
        if os.path.dirname(name) == "hooks":
            found[name] = data.replace(b"__file__", ascii(os.path.join(release, name)).encode())
    return found


def _whole(release: str, wanted: dict[str, bytes]) -> bool:
    try:
        return _read(release) == _bound(wanted, release)
    except OSError:
        return False


def _name(folder: str, wanted: dict[str, bytes]) -> str:
    """The name for a release: one that is there and whole, or one that is free."""
    version = VERSION.search(wanted.get(os.path.join(PACKAGE, "__init__.py"), b""))
    made_of = repr((sys.implementation.cache_tag, sorted(wanted.items())))
    first = f"{version[1].decode() if version else 'unknown'}-{sha256(made_of.encode()).hexdigest()[:12]}"
    for count in itertools.count(1):
        name = first if count == 1 else f"{first}.{count}"
        release = os.path.join(folder, name)
        if not os.path.lexists(release) or _whole(release, wanted):
            break  # one that is damaged is passed over: hooks may run from it
    return name


def _vacate(folder: str, kept: Collection[str]) -> None:
    """Remove the releases that no hook runs from any more, and what an installation that was killed has half made."""
    for name in os.listdir(folder):
        if name not in kept and name != LOCK:
            with contextlib.suppress(OSError):
                delete(os.path.join(folder, name))


def _make(release: str, package: str, content: dict[str, bytes]) -> None:
    temporary = f"{release}{TEMPORARY}"
    try:
        _fill(temporary, package, content)
        os.rename(temporary, release)
        files.sync_folder(os.path.dirname(release))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: str, package: str, content: dict[str, bytes]) -> None:
    os.makedirs(os.path.join(folder, "hooks"))
    for name, data in content.items():
        if os.path.dirname(name) == "hooks":
            _write(os.path.join(folder, name), data)
    for place, names in _walk(package):
        target = os.path.join(folder, PACKAGE, os.path.relpath(place, package))
        os.makedirs(target)
        for name in names:
            if not name.endswith((".bytecode", TEMPORARY)):
                _copy(os.path.join(place, name), os.path.join(target, name))
    for place, _folders, _names in os.walk(folder):
        files.sync_folder(place)
    if _read(folder) != content:
        raise HoldfastError(f"{package} was changed while it was copied: run this again")


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as file:
        _write(target, file.read(), source)


def _write(path: str, data: bytes, source: str = "") -> None:
    """Write a file, on the disk when this returns, with the times of `source` if that is given."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        if source:  # what pip has compiled counts only as long as its module keeps its times
            shutil.copystat(source, path)
        os.fsync(file.fileno())


def _bundle(release: str, bundled: bool) -> None:
    if bundled:
        with contextlib.suppress(OSError):  # hooks then start from the modules, a little slower
            bytecode.bundle(os.path.join(release, PACKAGE))
