"""`holdfast metrics`: what hooks cost, what failed, how the state grows."""

from typing import Any

import click

from holdfast.cli.groups import Command
from holdfast.cli.output import ago, say, say_json


@click.command(cls=Command)
@click.option("--since", metavar="T", help="From so long ago on (30s, 10min, 2h, 3d), or from a time (ISO 8601).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the keys above.")
def metrics(since: "str | None", as_json: bool) -> None:
    """Show what hooks cost, what failed, and how the state grows.

    The figures come from the audit trail, which goes back some 20 MB, and from the project's folder. A hook's
    duration is measured from when its modules are loaded.

    Keys of --json; more may come, none goes or changes its meaning. Times are Unix times in seconds.
      since, until    the first and the last record's time, or null
      hooks           {host: {moment: spread of durations}}
      lock_wait_ms    spread of the waits for the state's lock
      events          {applied, spooled, passed_over, rejected, lost}: how many
      folded          spooled events that later writers took in
      recoveries      how often something was mended by itself or by a person
      errors          failures of hooks, of backups, of records
      error_rate      errors a hook's run
      state           {bytes, growth_bytes, growth_since, bytes_per_hour} against the oldest dated copy, or nulls
      backups         {count, bytes, damaged}
      checkpoints     {count, bytes}
      spool           events that wait to be written
      audit_bytes     size of the audit trail with its older files

    A spread is {count, p50, p95, p99, max} in milliseconds, null where count is 0.

    Examples:
      holdfast metrics
      holdfast metrics --since 1d --json | jq .lock_wait_ms.p99
    """
    import time

    from holdfast.cli.audit import moment
    from holdfast.errors import from_os
    from holdfast.project import Project
    from holdfast.state import metrics as figures
    from holdfast.state import trail

    start = moment(since, time.time()) if since else 0.0
    store = Project.find().store
    try:
        found = figures.of_trail(trail.records(store.trail, start))
        found |= figures.of_folder(store.folder, store.path, store.trail)
    except OSError as error:
        raise from_os(error, store.folder) from error
    if as_json:
        say_json(found)
        return
    rows = lines(found)
    width = max(len(label) for label, _text in rows) + 2
    for label, text in rows:
        say(f"{label:{width}}{text}")


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures for people: (label, text)."""
    rows = [("Since", ago(found["since"]) if found["since"] is not None else "no records")]
    rows += [
        (f"{host} {moment}", _spread(spread))
        for host, moments in found["hooks"].items()
        for moment, spread in moments.items()
    ]
    rows.append(("Lock wait", _spread(found["lock_wait_ms"])))
    events = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found["events"].items())
    rows.append(("Events", f"{events}; {found['folded']} folded, {found['spool']} wait"))
    rows.append(("Recoveries", str(found["recoveries"])))
    rows.append(("Errors", f"{found['errors']}, {found['error_rate']:.2%} of the hooks' runs"))
    rows.append(("State", _state(found["state"])))
    backups, checkpoints = found["backups"], found["checkpoints"]
    damaged = f", {backups['damaged']} damaged" if backups["damaged"] else ""
    rows.append(("Backups", f"{backups['count']}, {backups['bytes']:,} bytes{damaged}"))
    rows.append(("Checkpoints", f"{checkpoints['count']}, {checkpoints['bytes']:,} bytes"))
    rows.append(("Audit trail", f"{found['audit_bytes']:,} bytes"))
    return rows


def _spread(spread: dict[str, Any]) -> str:
    if not spread["count"]:
        return "no records"
    figures = ", ".join(f"{key} {spread[key]:g} ms" for key in ("p50", "p95", "p99", "max"))
    return f"{figures} ({spread['count']} times)"


def _state(state: dict[str, Any]) -> str:
    if state["bytes"] is None:
        return "none yet"
    text = f"{state['bytes']:,} bytes"
    if state["growth_bytes"] is not None:
        text += f", {state['growth_bytes']:+,} since {ago(state['growth_since'])}"
    return text
