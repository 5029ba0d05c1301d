"""What an installation that was killed leaves beside the hosts' settings: the next session's start removes it. Cold.

A mark in the project's `locks/` folder stands there while an installation writes, so that no session has to look into
the settings' folders for nothing. Its name is that of a temporary file, and goes with those of dead writers.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from holdfast.install import files, targets
from holdfast.state import store, sweeping

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def marked(folder: str) -> Iterator[None]:
    """Let the mark stand in the `.holdfast` folder while the block runs, however that ends but by a kill."""
    mark = os.path.join(folder, "locks", f"{sweeping.INSTALLING}{os.getpid()}{store.TEMPORARY}")
    with contextlib.suppress(OSError):  # a project without a `.holdfast`: no hook of ours will look there
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(mark)


def sweep(folder: str) -> None:
    """Remove the temporary files of dead installations beside all settings, of the project and of the user."""
    project = os.path.dirname(folder)
    for host in targets.HOSTS.values():
        for scope in targets.SCOPES:
            files.sweep(targets.settings_file(host, scope, project))
    files.sweep(os.path.join(targets.data_folder(), "install.json"), follow=False)
