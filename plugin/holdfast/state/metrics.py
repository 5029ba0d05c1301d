"""Figures of a project: what hooks cost, how long they waited, what failed, how large the state is. Cold.

All is computed from the audit trail and the folder when it is asked for: nothing is counted on a hook's path for it.
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from holdfast.state import backups, restoring, spool
from holdfast.state.trail import Record, number

FAILED = ("lost", "rejected", "put aside", "backup failed", "traceback")  # decisions that nobody wants to read
HOUR = 3600.0


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile of values that are not empty: the least that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def spread(values: list[float]) -> dict[str, Any]:
    """{"count", "p50", "p95", "p99", "max"} of values in milliseconds; null where there is none."""
    if not values:
        return {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}
    found = {f"p{percent}": percentile(values, percent) for percent in (50, 95, 99)}
    return {"count": len(values), **found, "max": max(values)}


def of_trail(records: Iterable[Record]) -> dict[str, Any]:
    """What the audit trail tells.

    Returns:
        {"since", "until": Unix times or null, "hooks": {host: {moment: spread of milliseconds}},
        "lock_wait_ms": spread, "events": {"applied", "spooled", "passed_over", "rejected", "lost"},
        "folded": spooled events that later writers took in, "recoveries", "errors", "error_rate": errors a hook's run}
    """
    durations: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    waits: list[float] = []
    decisions: dict[str, int] = defaultdict(int)
    times: list[float] = []
    folded = errors = recoveries = runs = 0
    for record in records:
        decision = str(record.get("decision", ""))
        decisions[decision] += 1
        times += _numbers(record, "time")
        waits += _numbers(record, "wait_ms")
        folded += int(sum(_numbers(record, "folded")))
        recoveries += decision.startswith("recovered")
        errors += decision in FAILED or (decision == "spooled" and record.get("error") != "the lock was taken")
        for taken in _numbers(record, "ms"):
            runs += decision != "traceback"
            if record.get("moment"):
                durations[str(record.get("host", ""))][str(record["moment"])].append(taken)
    return {
        "since": min(times, default=None),
        "until": max(times, default=None),
        "hooks": {
            host: {moment: spread(taken) for moment, taken in sorted(moments.items())}
            for host, moments in sorted(durations.items())
        },
        "lock_wait_ms": spread(waits),
        "events": {
            name.replace(" ", "_"): decisions[name]
            for name in ("applied", "spooled", "passed over", "rejected", "lost")
        },
        "folded": folded,
        "recoveries": recoveries,
        "errors": errors,
        "error_rate": round(errors / runs, 4) if runs else 0.0,
    }


def _numbers(record: Record, key: str) -> list[float]:
    value = number(record, key)
    return [] if value is None else [value]


def of_folder(folder: str, path: str, trail: str) -> dict[str, Any]:
    """What the project's folder tells.

    Args:
        folder: the `.holdfast` folder.
        path: the state's file.
        trail: the audit trail's file.

    Returns:
        {"state": {"bytes", "growth_bytes", "growth_since", "bytes_per_hour"}, where growth is against the oldest whole
        dated copy, "backups": {"count", "bytes", "damaged"}, "checkpoints": {"count", "bytes"}, "spool": events that
        wait, "audit_bytes"}
    """
    copies = [copy for copy in restoring.listed(folder) if copy.name not in backups.UNDATED]
    whole = [copy for copy in copies if copy.state is not None]
    size, changed = _file(path)
    oldest = whole[-1] if whole and size is not None else None
    growth = hours = None
    if oldest is not None and size is not None:
        growth, hours = size - oldest.size, (changed - oldest.at) / HOUR
    return {
        "state": {
            "bytes": size,
            "growth_bytes": growth,
            "growth_since": oldest.at if oldest else None,
            "bytes_per_hour": round(growth / hours, 1) if growth is not None and hours and hours > 0 else None,
        },
        "backups": {
            "count": len(copies),
            "bytes": sum(copy.size for copy in copies),
            "damaged": len(copies) - len(whole),
        },
        "checkpoints": _of_files(os.path.join(folder, "checkpoints"), ".json"),
        "spool": sum(name.endswith(spool.RECORD) for name in spool.waiting(folder)),
        "audit_bytes": _of_files(os.path.dirname(trail), "", os.path.basename(trail))["bytes"],
    }


def _file(path: str) -> tuple[int | None, float]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None, 0.0
    return found.st_size, found.st_mtime


def _of_files(folder: str, ending: str, start: str = "") -> dict[str, int]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        names = []
    sizes = [
        _file(os.path.join(folder, name))[0] or 0 for name in names if name.startswith(start) and name.endswith(ending)
    ]
    return {"count": len(sizes), "bytes": sum(sizes)}
