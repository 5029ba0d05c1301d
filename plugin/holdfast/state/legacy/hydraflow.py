"""hydraflow's `state.json`: issues, worktrees, branches and reviews, kept for crash recovery.

The keys are those of `StateData` in its src/models.py. It lies in `.hydraflow/`, in a folder there that is named after
the repository, or, in its first releases, in `.hydra/`.
"""

import glob
import os
from typing import Any

from holdfast.state.legacy.original import Item, Legacy, Original, first, load_object, refuse

NAME = "hydraflow"
FILE = "state.json"
KEYS = {"processed_issues", "active_worktrees", "active_workspaces", "active_branches", "reviewed_prs"}
STATUSES = {"success": "completed", "completed": "completed", "in_progress": "in_progress"}


def find(root: str) -> str | None:
    """The repository's own, the newest where there are several; else the older place's."""
    folder = glob.escape(os.path.join(root, ".hydraflow"))
    own = [path for depth in ("*", "*/*") for path in glob.glob(os.path.join(folder, depth, FILE))]
    own.sort(key=os.path.getmtime, reverse=True)
    return first([*own, os.path.join(root, ".hydraflow", FILE), os.path.join(root, ".hydra", FILE)])


def read(path: str) -> Original:
    """The state.

    Raises:
        ValidationFailed: it is none.
        HoldfastError: it cannot be read.
    """
    found = load_object(path)
    if len(KEYS & found.data.keys()) < 2:  # noqa: PLR2004  one of them alone may be anybody's
        raise refuse(path, NAME, "processed_issues, active_branches or reviewed_prs")
    return found


def convert(original: Original) -> Legacy:
    """Issues have a place: as tasks, which a crash interrupted or not. Branches, reviews and all else stay the rest."""
    rest = dict(original.data)
    legacy = Legacy(rest, items_key="processed_issues", items_by_name=True)
    issues = rest.get("processed_issues")
    statuses = {str(number): status for number, status in issues.items()} if isinstance(issues, dict) else {}
    active = rest.get("active_issue_numbers")
    for number in active if isinstance(active, list) else []:
        statuses.setdefault(str(number), "in_progress")
    if isinstance(issues, dict):
        kept = {number: status for number, status in issues.items() if not _known(status)}
        rest["processed_issues"] = kept
        if not kept:
            del rest["processed_issues"]
    for number, status in statuses.items():
        legacy.items.append(Item(f"Issue #{number}", _known(status) or "pending", {number: status}))
    return legacy


def _known(status: Any) -> str:
    """Our status for one of theirs; "" for one that says that the issue begins again."""
    return STATUSES.get(status, "") if isinstance(status, str) else ""
