"""palingenesis' `state.json`: a daemon that resumes stopped sessions, and its counters.

The keys are those of its src/state/schema.rs, the places those of its src/config/paths.rs. The daemon keeps one file
for the user, about one session: it is this project's unless that session's file lies elsewhere. `stopped` says that the
daemon was not running; taken as our mode it would switch the hooks off, so it stays with the rest.
"""

import os
import sys
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.state.legacy.original import Legacy, Original, count, first, load_object, moment, refuse

NAME = "palingenesis"
FILE = "state.json"
STEPS = 500


def find(root: str) -> str | None:
    """The project's own, else the user's, unless the session in it is another project's."""
    own = first([os.path.join(root, ".palingenesis", FILE)])
    if own:
        return own
    theirs = first([os.path.join(_folder(), FILE)])
    if theirs is None:
        return None
    try:
        session = read(theirs).data.get("current_session")
    except HoldfastError:
        return None
    path = session.get("path") if isinstance(session, dict) else None
    if isinstance(path, str) and os.path.exists(path):
        inside = os.path.realpath(path).startswith(os.path.join(os.path.realpath(root), ""))
        return theirs if inside else None
    return theirs


def _folder() -> str:
    if asked := os.environ.get("PALINGENESIS_STATE"):
        return asked
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support", NAME)
    base = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".local", "state"), NAME)


def read(path: str) -> Original:
    """The state.

    Raises:
        ValidationFailed: it is none.
        HoldfastError: it cannot be read.
    """
    found = load_object(path)
    if "daemon_state" not in found.data:
        raise refuse(path, NAME, "daemon_state")
    return found


def convert(original: Original) -> Legacy:
    """Mode, session and counters have a place. Session and counters stay with the rest too: ours go on from them."""
    rest = dict(original.data)
    legacy = Legacy(rest)
    if rest["daemon_state"] in ("monitoring", "paused"):
        legacy.mode = rest.pop("daemon_state")
    session = rest.get("current_session")
    if isinstance(session, dict):
        legacy.session = _session(session, original.modified)
    elif session is None:
        rest.pop("current_session", None)
    stats = rest["stats"] if isinstance(rest.get("stats"), dict) else {}
    for name in ("saves_count", "total_resumes"):
        if (number := count(stats.get(name))) is not None:
            legacy.stats[name] = number
    if (at := moment(stats.get("last_resume"))) is not None:
        legacy.stats["last_resume"] = at
    return legacy


def _session(session: dict[str, Any], modified: float) -> dict[str, Any]:
    done = session.get("steps_completed")
    steps = [step for part in (done if isinstance(done, list) else []) if (step := count(part)) is not None]
    return {
        "host": NAME,
        "path": session["path"] if isinstance(session.get("path"), str) else "",
        "steps_completed": steps[-STEPS:],
        "last_step": count(session.get("last_step")) or 0,
        "total_steps": count(session.get("total_steps")) or 0,
        "started_at": round(modified, 3),
    }
