"""What importers read and what they make of it: files of other tools, whose content nobody vouches for."""

import json
import math
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from holdfast.errors import HoldfastError, ValidationFailed, from_os

LIMIT = 16 << 20  # bytes of one file
DEPTH = 60  # of nesting: deeper is kept as text
MOST = 1 << 53  # larger than any time in milliseconds
MILLISECONDS = 1e11  # JavaScript's times are larger: 1e11 s is the year 5138
_ZONED = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?\Z")


class Original(NamedTuple):
    """A state as it lies there.

    Attributes:
        path: the file that it was found by.
        data: what stands in it; whatever JSON holds.
        files: the bytes of all files that belong to it, by their path from that file's folder.
        modified: Unix time in seconds of the last change.
    """

    path: str
    data: dict[str, Any]
    files: dict[str, bytes]
    modified: float

    def digest(self, name: str) -> str:
        """What names this content of this tool's: the same files, the same digest."""
        total = sha256(name.encode())
        for file, data in sorted(self.files.items()):
            total.update(f"\0{file}\0{len(data)}\0".encode("utf-8", "surrogatepass") + data)
        return total.hexdigest()


@dataclass
class Item:
    """Something to do. status: as in our state. given: what stood in the original, kept where it finds no place."""

    title: str
    status: str
    given: Any


@dataclass
class Legacy:
    """The facts of a state that have a place in ours; times are Unix times in seconds.

    Attributes:
        rest: what has no place, in the original's own form.
        phases: names of the phase that it stands in, the best first.
        mode: monitoring or paused, or "" where it says nothing.
        items: what is to do or done, the oldest first.
        items_key: where in `rest` those go that find no room; "" if they stand there anyway.
        items_by_name: whether they stand there by name: then `given` is a mapping.
        signals: by name.
        skill: the skill that was named last, and when.
        session: of ours the keys host, path, steps_completed, last_step, total_steps, started_at.
        stats: counters and times by our names; of theirs and ours the larger one stands.
        degraded: as our `degraded_mode`.
        created: when it was made.
        targets: per-target state of what was synchronised, for install.json.
    """

    rest: dict[str, Any]
    phases: list[str] = field(default_factory=list)
    mode: str = ""
    items: list[Item] = field(default_factory=list)
    items_key: str = ""
    items_by_name: bool = False
    signals: dict[str, float] = field(default_factory=dict)
    skill: tuple[str, float | None] | None = None
    session: dict[str, Any] | None = None
    stats: dict[str, float] = field(default_factory=dict)
    degraded: dict[str, Any] | None = None
    created: float | None = None
    targets: dict[str, Any] | None = None


def load(path: str) -> tuple[bytes, float]:
    """A file's bytes and the time of its last change.

    Raises:
        ValidationFailed: it is larger than 16 MiB.
        HoldfastError: it is not there, no regular file, or cannot be read.
    """
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # a pipe would wait for ever
            raise HoldfastError(f"{path}: is no regular file: name the file that holds the state")
        with open(path, "rb") as file:
            data = file.read(LIMIT + 1)
    except FileNotFoundError:
        raise HoldfastError(f"{path}: there is no such file") from None
    except OSError as error:
        raise from_os(error, path) from None
    if len(data) > LIMIT:
        raise ValidationFailed(f"{path}: larger than {LIMIT >> 20} MiB: no state that can be taken over")
    return data, found.st_mtime


def parse(data: bytes, path: str) -> Any:
    """The JSON in `data`. What our state cannot hold (NaN, what is nested too deeply) comes as text.

    Raises:
        ValidationFailed: it is no JSON.
    """
    try:
        return _plain(json.loads(data.decode("utf-8-sig"), parse_constant=str, parse_float=_finite), DEPTH)
    except RecursionError:
        raise ValidationFailed(f"{path}: nested too deeply to be read") from None
    except ValueError as error:  # and UnicodeDecodeError
        raise ValidationFailed(f"{path}: no JSON ({error})") from None


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _plain(value: Any, left: int) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    if not left:
        return json.dumps(value)
    if isinstance(value, dict):
        return {key: _plain(part, left - 1) for key, part in value.items()}
    return [_plain(part, left - 1) for part in value]


def load_object(path: str) -> Original:
    """A state that is one file with one JSON object.

    Raises:
        ValidationFailed: it is none.
        HoldfastError: it cannot be read.
    """
    data, modified = load(path)
    found = parse(data, path)
    if not isinstance(found, dict):
        raise ValidationFailed(f"{path}: no JSON object: no state that can be taken over")
    return Original(path, found, {os.path.basename(path): data}, modified)


def refuse(path: str, name: str, lacks: str) -> ValidationFailed:
    """The error for a file that is not this tool's."""
    return ValidationFailed(f"{path}: no state of {name}: it lacks {lacks}")


def first(paths: Iterable[str]) -> str | None:
    """The first of some paths where a file is."""
    return next((path for path in paths if os.path.isfile(path)), None)


def moment(value: Any) -> float | None:
    """A Unix time in seconds from seconds, milliseconds or ISO 8601; None from anything else.

    A time without a zone is taken as this machine's own.
    """
    seconds: float
    if isinstance(value, bool) or (isinstance(value, int) and value > MOST):
        return None
    if isinstance(value, (int, float)):
        seconds = value / 1000 if value > MILLISECONDS else value
    else:
        found = _ZONED.match(value.strip()) if isinstance(value, str) else None
        if not found:
            return None
        day, clock, fraction, zone = found.groups()
        zone = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[-2:]}" if zone else ""
        try:
            seconds = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0').ljust(6, '0')[:6]}{zone}").timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    return round(float(seconds), 3) if 0 <= seconds < MILLISECONDS else None


def count(value: Any) -> int | None:
    """A whole number that is not negative, or None."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        return None
    return value


def texts(value: Any) -> list[str]:
    """The texts of a list of texts and numbers; [] for anything else."""
    if not isinstance(value, list):
        return []
    return [str(part) for part in value if isinstance(part, (str, int)) and not isinstance(part, bool)]
