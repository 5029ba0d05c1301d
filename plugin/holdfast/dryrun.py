"""A hook by hand: shows the event as understood, what it would change in the state, and the reply. Writes nothing.

Needs nothing but the standard library, unless the workflow has to be compiled first.
"""

import difflib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from holdfast import deadline, hosts, moments
from holdfast.errors import HoldfastError, from_os
from holdfast.hook import WHOLE, locate, open_store, prepare, registered, waits
from holdfast.hosts.samples import sample
from holdfast.lean import loads, parent
from holdfast.spooled import to_dict
from holdfast.state import document
from holdfast.workflow import compiler
from holdfast.workflow import index as compiled

if TYPE_CHECKING:
    from holdfast.events import Event

# The hooks' names, and the moment whose sample stands in for a payload.
HOOKS = {
    "session-resume": "session_start",
    "prompt-activation": "prompt",
    "post-tool-use": "tool_done",
    "before-compaction": "before_compaction",
    "turn-end": "turn_end",
    "session-end": "session_end",
}


def main(words: list[str], name: str = "") -> int:
    """Show what a hook would do with the payload on stdin, or with a sample where stdin is a terminal.

    Args:
        words: the command line; `--host HOST` is read.
        name: one of HOOKS; "" = by the name of the running script.

    Returns:
        0, or 4 where the payload is none.
    """
    name = name or os.path.splitext(os.path.basename(sys.argv[0]))[0].replace("_", "-")
    host = registered(words) or "claude"
    if host not in hosts.NAMES:
        print(f"holdfast: --host {host}: unknown; one of {', '.join(hosts.NAMES)}", file=sys.stderr)
        return 64
    if sys.stdin is None or sys.stdin.isatty():
        payload = sample(host, HOOKS.get(name, "tool_done"), os.getcwd())
        print("No payload on stdin: a sample is used.\n")
    else:
        try:
            payload = loads(sys.stdin.buffer.read())
            if not isinstance(payload, dict):
                raise ValueError("it is no object")  # noqa: TRY004, TRY301
        except ValueError as error:
            print(f"holdfast: stdin: no payload: {error}", file=sys.stderr)
            return 4
    try:
        return show(payload, host)
    except ValueError as error:
        print(f"holdfast: stdin: no payload of {host}: {error}", file=sys.stderr)
        return 4
    except HoldfastError as error:
        print(f"holdfast: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        refusal = from_os(error, "the project")
        print(f"holdfast: {refusal}", file=sys.stderr)
        return refusal.exit_code


def show(payload: dict[str, Any], registered_host: str) -> int:
    """Print event, change and reply.

    Raises:
        ValueError: the payload cannot be understood.
    """
    name = hosts.tell(payload, registered_host)
    host = hosts.module(name)
    event: Event | None = host.parse(payload)
    if event is None:
        print(f"event: {payload.get('hook_event_name')} of {name}: nothing that concerns the workflow")
        return 0
    event.at = round(time.time(), 3)
    folder = locate(host.ROOT_VARIABLE, event.cwd)
    index = _index(folder)
    deadline.start(WHOLE)  # a regex may run for ever
    try:
        prepare(event, parent(folder) if folder else event.cwd or os.getcwd(), index)
    finally:
        deadline.stop()
    print("event:")
    _print({**to_dict(event), "prompt": event.prompt[:500]} if event.moment == "prompt" else to_dict(event))
    if not folder:
        print("\nproject: none (no .holdfast here or above): the hook would end at once; shown against a new state")
    state = open_store(folder, index, "dry-run").read() if folder else document.new(event.at)
    before = json.dumps(state, indent=1, sort_keys=True).splitlines()
    reply = moments.apply(state, event, index) if index.concerns(event) or waits(state, event) else None
    after = json.dumps(state, indent=1, sort_keys=True).splitlines()
    print("\nstate:")
    lines = list(difflib.unified_diff(before, after, "before", "after", lineterm="", n=1))
    print("\n".join(f"  {line}" for line in lines) if lines else "  unchanged")
    answer = host.render(event, reply) if reply is not None else None
    print("\nreply:")
    print(f"  {json.dumps(answer)}" if answer else "  nothing")
    return 0


def _index(folder: str) -> compiled.Index:
    """The project's index, compiled in memory where it is not up to date."""
    empty = compiled.Index(compiler.render(compiler.EMPTY, {}, [-1, 0], ""))
    if not folder:
        return empty
    index = compiled.load(folder)
    if index is not None:
        return index
    try:
        return compiled.Index(compiler.compiled(folder, compiled.fingerprint(folder)))
    except (HoldfastError, ImportError) as error:
        print(f"workflow: {error}: the last good one is in force\n")
        return compiler.last_good(folder, str(error))


def _print(value: dict[str, Any]) -> None:
    for key, part in sorted(value.items()):
        if part not in ("", None, [], {}, False):
            print(f"  {key}: {json.dumps(part)}")
