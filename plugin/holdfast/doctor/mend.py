"""What `holdfast doctor --fix` does: what is ours to do, and never trust, which is the user's to give."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.install import environment, files, installer, registration, settings_edit
from holdfast.install.settings_edit import SettingsError
from holdfast.workflow import index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.doctor.examine import Examination
    from holdfast.doctor.hosts import Layer

    Echo = Callable[[str], None]


def host(examination: Examination, folder: str, echo: Echo) -> None:
    """Register a host's hooks anew where they are not as they should be, and take stale ones out elsewhere.

    Args:
        examination: of the host.
        folder: the project's `.holdfast`, or "".
        echo: prints a line.
    """
    stale = examination.out_of_date()
    for layer in examination.layers:
        with _told(echo, examination.cli.name):
            incomplete = any(found.level == "problem" for found in examination.registered_in(layer))
            if layer.path not in stale and not incomplete:
                continue
            if not examination.mendable(layer):
                _take_out(examination, layer, echo)
            elif layer.scope == "user" or folder:  # without one nothing is kept here: `holdfast install` makes it
                place = installer.Place(examination.project, "user" if layer.scope == "user" else "project", echo)
                installer.register(place, [examination.cli.host], environment.running())


def _take_out(examination: Examination, layer: Layer, echo: Echo) -> None:
    """Remove our entries from a file that no installation writes."""
    host = examination.cli.host
    if layer.error or not layer.path.endswith(".json"):
        return
    try:
        comments = examination.cli.commented(layer.path)
        data = files.read(layer.path) or b""
        mark, document = settings_edit.read(data, comments=comments, grouped=host.grouped)
        if not settings_edit.unregister(document, None, registration.ours(host)):
            return
    except SettingsError as error:
        raise settings_edit.refusal(layer.path, error) from None
    files.check_writable(layer.path)
    files.replace(layer.path, (mark + document.text).encode())
    echo(f"{host.name}: {layer.path}: our stale hooks are taken out")


def project(folder: str, echo: Echo) -> None:
    """Close the state to others, compile the index, take in what waits, bring back what is damaged.

    Args:
        folder: the project's `.holdfast`.
        echo: prints a line.
    """
    from holdfast.project import Project
    from holdfast.state import recovery, spool
    from holdfast.state.store import home

    with _told(echo, folder):
        environment.running()  # makes what hooks run from where that is missing
    with _told(echo, folder):
        state = os.path.join(folder, "state.json")
        for path, mode in ((folder, 0o700), (state, 0o600)):
            if os.name == "posix" and os.path.exists(path) and stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                os.chmod(path, mode)
                echo(f"{path}: closed to others")
        if index.load(folder) is None:
            echo(f"{folder}: the workflow is compiled anew")
        found = Project(folder)
        try:
            damaged = recovery.settled(found.store.path)[1] is None
        except OSError:
            damaged = False
        waiting = len(spool.waiting(home(folder)))
        if damaged or waiting:
            found.recovered()
            echo(f"{folder}: {'the state is whole again' if damaged else f'{waiting} waiting events are taken in'}")


@contextlib.contextmanager
def _told(echo: Echo, what: str) -> Iterator[None]:
    """What cannot be mended is told, and the rest goes on."""
    try:
        yield
    except (HoldfastError, OSError) as error:
        echo(f"{what}: not mended: {error}")
