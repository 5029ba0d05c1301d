"""Set up the private environment of a native package: what `holdfast.native` starts at a session's start.

Nobody watches it: what it came to is in the folder, and the next session's start tells it. It always ends, since every
step of it does: pip gives up by its own timeouts. At its end it also puts the hooks' modules into one file of bytecode.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

from holdfast import bytecode, native, start
from holdfast.errors import HoldfastError
from holdfast.install import bootstrap, files
from holdfast.install.locking import locked


def main(data: str) -> None:
    """Make the environment in the folder `data`, unless it is there or another process is at it."""
    lock = os.path.join(data, native.LOCK)
    # suppressed: another is at it, or the folder cannot be written, so that it could not be told either
    with contextlib.suppress(HoldfastError, OSError), locked(lock, lambda: None, budget=0.0) as fd:
        if not native.ready(data):
            _set_up(data, fd)
        if native.ready(data) and not native.bundled(data):
            _bundle(data)


def _bundle(data: str) -> None:
    package = os.path.dirname(native.__file__)
    files.remove(start.file_name(package, data))  # it may be of an earlier state of the same folder
    bytecode.bundle(package, data)


def _set_up(data: str, lock: int) -> None:
    record, ready = os.path.join(data, native.RECORD), os.path.join(data, native.READY)
    entry: dict[str, Any] = {"tries": native.tries(native.record(data)) + 1, "at": time.time(), "error": ""}
    _write(record, entry)  # first, so that a try that is killed counts
    files.remove(ready)
    try:
        bootstrap.make_for_package(
            os.path.join(data, native.ENVIRONMENT),
            native.REQUIREMENTS,
            os.path.dirname(os.path.dirname(native.__file__)),
            os.path.join(data, "pycache"),
            (lock,),
        )
    except HoldfastError as error:
        told = str(error)
        for asked in (" and run this again", ", then run this again"):  # the user ran nothing
            told = told.replace(asked, "")
        _write(record, {**entry, "error": told})
    except Exception as error:  # noqa: BLE001  nobody would see a traceback
        _write(record, {**entry, "error": f"{type(error).__name__}: {error}"})
    else:
        files.replace(ready, native.WHOLE.encode(), follow=False)
        files.remove(record)


def _write(path: str, entry: dict[str, Any]) -> None:
    files.replace(path, (json.dumps(entry) + "\n").encode(), follow=False)
