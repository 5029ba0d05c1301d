"""`holdfast audit`: what hooks and commands did."""

import json
import re
import time
from datetime import datetime
from typing import Any

import click

from holdfast.cli.groups import Command
from holdfast.cli.output import say
from holdfast.errors import ValidationFailed, from_os
from holdfast.events import clean

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
SHOWN = 300  # characters of an error


@click.command(cls=Command)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is added, until interrupted.")
@click.option("--since", metavar="T", help="From so long ago on (30s, 10min, 2h, 3d), or from a time (ISO 8601).")
@click.option("--json", "as_json", is_flag=True, help="Print the records, one JSON object a line.")
def audit(follow: bool, since: "str | None", as_json: bool) -> None:
    """Show what hooks and commands did, the oldest first.

    It reads .holdfast/audit.jsonl and the older files beside it. A time without a zone is local time.

    Examples:
      holdfast audit --since 2h
      holdfast audit --since 2026-11-20T09:00 --json | jq 'select(.error)'
      holdfast audit --follow
    """
    from holdfast.project import Project
    from holdfast.state import trail

    start = moment(since, time.time()) if since else 0.0
    path = Project.find().store.trail
    try:
        for record in trail.follow(path, start) if follow else trail.records(path, start):
            say(json.dumps(record) if as_json else line(record))
    except OSError as error:
        raise from_os(error, path) from error


def moment(text: str, now: float) -> float:
    """The Unix time in seconds that `--since` names.

    Raises:
        ValidationFailed: it names none.
    """
    span = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|min|m|h|d)", text.strip())
    if span:
        return now - float(span[1]) * UNITS[span[2]]
    try:
        iso = text.strip()
        return datetime.fromisoformat(iso[:-1] + "+00:00" if iso.endswith(("Z", "z")) else iso).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValidationFailed(
            f"--since {text!r}: must be a span as in 30s, 10min, 2h, 3d, or a time as in 2026-11-20T09:00"
        ) from None


def line(record: dict[str, Any]) -> str:
    """A record for people: when, who, what."""
    at = record.get("time")
    try:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (TypeError, ValueError, OverflowError, OSError):
        when = "?"
    who = " ".join(clean(str(record[key]), 60) for key in ("host", "moment") if record.get(key))
    parts = [when, f"{who or 'holdfast':24}", clean(str(record.get("decision", "")), SHOWN)]
    parts += [
        clean(f"{name} {record[key]}", 60) for key, name in (("revision", "r"), ("phase", "phase")) if key in record
    ]
    parts += [clean(f"{record['ms']} ms", 60)] if "ms" in record else []
    told = record.get("error") or record.get("what")
    parts += [clean(str(told), SHOWN)] if told else []
    return "  ".join(part.rstrip() if part is parts[-1] else part for part in parts)
