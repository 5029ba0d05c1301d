"""HarnessSync's `state.json`, and `sync-state.json` of cc2all, which it comes from: what was synchronised where.

The keys are those of its src/state_manager.py: `targets` by name, with last_sync, status, scope, file_hashes,
sync_method and the counters items_synced, items_skipped, items_failed; in version 2 also under `accounts`. cc2all's
has no version: last_sync, scope and elapsed_ms. Both are the user's, not a project's.
"""

import os
from typing import Any

from holdfast.state.legacy.original import Legacy, Original, first, load_object, refuse

NAME = "harness-sync"
FOLDER = ".harnesssync"
FILE = "state.json"
OLD = (".cc2all", "sync-state.json")


def find(root: str) -> str | None:
    """The project's own, else the user's, else that of cc2all."""
    home = os.path.expanduser("~")
    return first([os.path.join(root, FOLDER, FILE), os.path.join(home, FOLDER, FILE), os.path.join(home, *OLD)])


def read(path: str) -> Original:
    """The state.

    Raises:
        ValidationFailed: it is none.
        HoldfastError: it cannot be read.
    """
    found = load_object(path)
    versioned = type(found.data.get("version")) is int and isinstance(found.data.get("targets"), dict)
    if not versioned and not ("last_sync" in found.data and {"scope", "elapsed_ms"} & found.data.keys()):
        raise refuse(path, NAME, "version and targets, or last_sync and scope")
    return found


def convert(original: Original) -> Legacy:
    """Targets have a place in install.json, which wraps the whole original: there is no rest."""
    accounts = original.data.get("accounts")
    found: dict[str, Any] = {}
    for account, content in accounts.items() if isinstance(accounts, dict) else ():
        targets = content.get("targets") if isinstance(content, dict) else None
        for name, target in targets.items() if isinstance(targets, dict) else ():
            found[name if account == "default" else f"{account}/{name}"] = target
    flat = original.data.get("targets")
    return Legacy({}, targets={**found, **(flat if isinstance(flat, dict) else {})})
