"""The private environment: a virtual environment of our own, with paths that stay the same from release to release.

PREFIX is the virtual environment itself. Registered commands name `PREFIX/bin/python` and `PREFIX/hooks/…`, without a
version in their path: Codex's trust hashes the command, and an upgrade must not ask the user again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import holdfast
from holdfast import bytecode
from holdfast.errors import HoldfastError, ValidationFailed
from holdfast.install import files, releases, targets
from holdfast.install.locking import locked

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER = "holdfast-environment.json"
LOCK = "install.lock"
LOG = "pip.log"
WINDOWS = sys.platform == "win32"
BIN = "Scripts" if WINDOWS else "bin"
LINKS = ("hooks", "manifests", "plugin")
# What `python -m venv` and pip make. Nothing else is ever deleted but our links, with their temporary ones, and the
# releases: the default prefix is also the user's data folder.
PARTS = (
    "bin",
    "Scripts",
    "lib",
    "lib64",
    "Lib",
    "include",
    "Include",
    "share",
    "pyvenv.cfg",
    ".gitignore",
    "CACHEDIR.TAG",
)
OUR_FILES = (MARKER, LOCK, LOG, "install.json", "locks")


@dataclass(frozen=True)
class Runtime:
    """What registered commands run: the interpreter, the folder of the hooks, and the manifests that say how."""

    python: str
    hooks: str
    manifests: str


def python(prefix: str) -> str:
    """The environment's interpreter."""
    return os.path.join(prefix, BIN, "python.exe" if WINDOWS else "python")


def command(prefix: str) -> str:
    """The environment's `holdfast`."""
    return os.path.join(prefix, BIN, "holdfast.exe" if WINDOWS else "holdfast")


def runtime_of(prefix: str, manifests: str) -> Runtime:
    """What commands run that are registered from the environment at `prefix`, once it is made."""
    return Runtime(python(prefix), os.path.join(prefix, "hooks"), manifests)


def running(*, mend: bool = True) -> Runtime:
    """What commands run that are registered by this very process; with `mend`, makes the links that they need.

    From a checkout (an editable installation) that is the checkout. From a private environment it is PREFIX, with a
    release of its own for the hooks. Where pip installed the wheel into another environment, and on Windows, the links
    lead into the package; in another environment they are made in its `share/holdfast`.

    Raises:
        HoldfastError: there are no hooks beside this package, or the links cannot be made.
    """
    package = _package()
    checkout = os.path.dirname(os.path.dirname(package))
    if os.path.isdir(os.path.join(checkout, "hooks")) and os.path.basename(os.path.dirname(package)) == "plugin":
        return Runtime(sys.executable, os.path.join(checkout, "hooks"), os.path.join(checkout, "manifests"))
    if not os.path.isdir(_hooks(package)):
        raise HoldfastError(f"{package} carries no hooks: install holdfast again")
    if is_ours(sys.prefix):
        base, interpreter = sys.prefix, python(sys.prefix)
    else:
        base, interpreter = os.path.join(sys.prefix, "share", "holdfast"), sys.executable
    if mend and base == sys.prefix and not WINDOWS:
        # else pip is at work on the package or was killed at it
        if (marker(base) or {}).get("complete") or not releases.live(base):
            releases.put_live(base, _hooks(package), package)
    elif mend:
        files.make_folder(base)
        link(base, package)
        with contextlib.suppress(OSError):  # hooks then start from the modules, a little slower
            bytecode.bundle(os.path.join(base, "plugin", "holdfast"))  # as hooks see it
    return Runtime(interpreter, os.path.join(base, "hooks"), os.path.join(package, "bundle", "manifests"))


def _package() -> str:
    return os.path.dirname(os.path.abspath(holdfast.__file__))


def _hooks(package: str) -> str:
    return os.path.join(package, "bundle", "hooks")


def out_of_step() -> bool:
    """Whether this process belongs to a private environment whose hooks are of another release, or damaged.

    Raises:
        OSError: this release cannot be read.
    """
    package = _package()
    if WINDOWS or not is_ours(sys.prefix) or not os.path.isdir(_hooks(package)):
        return False
    return not releases.serves(sys.prefix, _hooks(package), package)


def link(prefix: str, package: str) -> None:
    """Let `prefix/hooks`, `manifests` and `plugin` lead to what the wheel brought, by relative links.

    Where links are not permitted (Windows without developer mode) they are copies.

    Raises:
        HoldfastError: they cannot be made.
    """
    bundle = os.path.join(package, "bundle")
    for name in LINKS:
        source = os.path.dirname(package) if name == "plugin" else os.path.join(bundle, name)
        path = os.path.join(prefix, name)
        wanted = os.path.relpath(source, prefix)
        try:
            try:
                releases.point(path, wanted)
            except OSError:
                if not WINDOWS:
                    raise
                _copy(
                    source if name != "plugin" else package,
                    path if name != "plugin" else os.path.join(path, "holdfast"),
                )
        except OSError as error:
            raise files.explain(error, f"cannot make {path}") from None


def _copy(source: str, path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(source, path, ignore=shutil.ignore_patterns("__pycache__"))


# -- the marker


def marker(prefix: str, name: str = MARKER) -> dict[str, Any] | None:
    """What we wrote about the environment at `prefix`, or None where it is not ours; {} where that cannot be read."""
    try:
        with open(os.path.join(prefix, name), encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_ours(prefix: str) -> bool:
    """Whether the environment at `prefix` was made by install.py."""
    return os.path.lexists(os.path.join(prefix, MARKER))


def mark(prefix: str, name: str, content: dict[str, Any]) -> None:
    """Write the marker.

    Raises:
        HoldfastError: it cannot be written.
    """
    data = (json.dumps(content, indent=2) + "\n").encode()
    files.replace(os.path.join(prefix, name), data, follow=False)


def check_place(prefix: str) -> None:
    """Refuse a prefix that holds something else than an environment of ours.

    Raises:
        ValidationFailed: it is no folder, or holds other people's files.
        HoldfastError: it cannot be read.
    """
    # A colon ends a folder in PATH; quotes, `$` and backticks break the /bin/sh line that pip starts its scripts with.
    bad = [sign for sign in prefix if not sign.isprintable() or (sign in "'\"`$\\:;" and not WINDOWS)]
    if bad:
        raise ValidationFailed(f"no environment can be at {prefix!r}: choose a --prefix without {bad[0]!r}")
    try:
        names = os.listdir(prefix)
    except FileNotFoundError:
        if os.path.islink(prefix):
            raise ValidationFailed(
                f"{prefix} is a link to {os.path.realpath(prefix)}, which is not there: "
                "make that folder, or choose another --prefix"
            ) from None
        return
    except NotADirectoryError:
        raise ValidationFailed(f"{prefix} is no folder: choose another --prefix") from None
    except OSError as error:
        raise files.explain(error, f"cannot read {prefix}") from None
    strange = sorted(set(names) - set(OUR_FILES))
    if strange and not is_ours(prefix):
        raise ValidationFailed(
            f"{prefix} holds something else than holdfast ({strange[0]}): choose an empty or new folder as --prefix"
        )


def clear(prefix: str) -> None:
    """Delete an environment's parts, and nothing else in its folder.

    Raises:
        HoldfastError: a part cannot be deleted.
    """
    links = (*LINKS, releases.CURRENT)
    for name in (*links, *(link + releases.TEMPORARY for link in links), releases.RELEASES, *PARTS):
        _delete(os.path.join(prefix, name))


def _delete(path: str) -> None:
    try:
        releases.delete(path)
    except OSError as error:
        raise files.explain(error, f"cannot delete {path}") from None


def empty(prefix: str, interpreter: str) -> None:
    """Delete an environment's parts, so that it can be made anew, but for what hooks run from.

    Args:
        prefix: the environment.
        interpreter: what runs the hooks from now on; a path outside of any virtual environment.

    Raises:
        HoldfastError: a part cannot be deleted.
    """
    if WINDOWS:
        clear(prefix)
        return
    # Without it the interpreter looks for the standard library where the link leads, so that it is right at each step.
    _delete(os.path.join(prefix, "pyvenv.cfg"))
    place = os.path.join(prefix, BIN)
    if os.path.islink(place):
        _delete(place)
    files.make_folder(place)
    try:
        releases.point(python(prefix), interpreter)
    except OSError as error:
        raise files.explain(error, f"cannot link {python(prefix)}") from None
    paths = [os.path.join(place, name) for name in os.listdir(place)]
    paths += [os.path.join(prefix, name) for name in PARTS if name != BIN]
    for path in paths:
        if path != python(prefix):
            _delete(path)


def purge(prefix: str, echo: Callable[[str], None], *, dry_run: bool) -> None:
    """Delete the private environment at `prefix`, if it is really ours, and the link to its command.

    Raises:
        HoldfastError: it is not ours, or a part cannot be deleted.
    """
    if not is_ours(prefix):
        raise HoldfastError(f"{prefix} was not made by install.py, so it stays; remove holdfast with what installed it")
    user_link = _user_link()
    linked = os.path.islink(user_link) and os.path.realpath(user_link) == os.path.realpath(command(prefix))
    if dry_run:
        echo(f"would delete {prefix}" + (f" and {user_link}" if linked else ""))
        return
    lock = os.path.join(prefix, LOCK)
    with locked(lock, lambda: echo(f"an installation is at work in {prefix}: waiting for it")):
        if linked:
            files.remove(user_link, follow=False)
        clear(prefix)
        for name in (LOG, MARKER, LOCK):
            files.remove(os.path.join(prefix, name), follow=False)
    with contextlib.suppress(OSError):  # what is left is not ours, or is the record of the user's registrations
        if not os.path.lexists(os.path.join(prefix, "install.json")):
            shutil.rmtree(os.path.join(prefix, "locks"), ignore_errors=True)
        os.rmdir(prefix)
    echo(f"deleted {prefix}" + (f" and {user_link}" if linked else ""))


# -- the link in the user's path


def _user_link() -> str:
    return os.path.join(targets.home(), ".local", "bin", "holdfast")


def link_command(prefix: str, echo: Callable[[str], None], *, dry_run: bool = False) -> None:
    """Let `~/.local/bin/holdfast` lead to the environment's command, if the folder is there and the name free or ours.

    Raises:
        HoldfastError: the link cannot be made.
    """
    path, wanted = _user_link(), command(prefix)
    if WINDOWS or not os.path.isdir(os.path.dirname(path)):
        return
    if os.path.lexists(path):
        old = os.path.join(os.path.dirname(path), os.readlink(path)) if os.path.islink(path) else ""
        if old == wanted:
            return
        ours = is_ours(os.path.dirname(os.path.dirname(old))) or not os.path.exists(old)
        if not old.endswith(os.path.join(BIN, "holdfast")) or not ours:
            echo(f"{path} is somebody else's, so it stays; the command is {wanted}")
            return
    if dry_run:
        echo(f"would link {path} to {wanted}")
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.symlink(wanted, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise files.explain(error, f"cannot link {path}") from None
    echo(f"linked {path}")
