"""The state document: a new one, its bounds, and the bytes that it is kept in.

The document is a plain dict that JSON can hold; `schema.py` says what is valid, `tests/schema_test.py` holds the two
together. Times are Unix times in seconds. What grows is bounded here, so that a hook's cost does not grow with the
project's age.
"""

from holdfast.lean import checksum, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    State = dict[str, Any]

SCHEMA_VERSION = 1

SESSIONS = 20
FILES = 12  # of one session, newest last
FILES_OF_OLD = 5  # of a session that is not among the newest three
ACTIVATED = 60
TASKS = 100
COMPLETED = 200
SIGNALS = 300
RECENT = 256  # identities of events; more than the store folds at once
NOTICES = 8

NO_ROOM = "no room on the disk"  # the reason of a degraded mode that ends by itself: see degraded.py

LAZY = (b"tasks", b"completed_tasks", b"imported")  # keys that most events do not touch

SEAL = b'{"seal":"'
HEX = 64


def new(at: float) -> "State":
    """A state in which nothing has happened yet."""
    return {
        "schema_version": SCHEMA_VERSION,
        "revision": 0,
        "mode": "monitoring",
        "phase": None,
        "tasks": {},
        "completed_tasks": [],
        "signals": {},
        "last_activation": {"skills": [], "at": None, "session": None},
        "current_session": None,
        "sessions": {},
        "stats": {
            "saves_count": 0,
            "total_resumes": 0,
            "last_resume": None,
            "prompts": 0,
            "tool_calls": 0,
            "failures": 0,
            "recoveries": 0,
        },
        "degraded_mode": {"enabled": False, "reason": "", "timestamp": None, "disabled_features": []},
        "metadata": {"created": at, "last_modified": at, "last_writer": "", "workflow": "", "migrations": []},
        "progress": {"entered": 0, "signals": {}, "completed": [], "finished": False},
        "recent": [],
        "notices": [],
    }


def stamp(state: "State", at: float, writer: str) -> None:
    """Note that the state is about to be saved, by whom (`claude:session`, `command`)."""
    state["stats"]["saves_count"] += 1
    state["metadata"]["last_modified"] = at
    state["metadata"]["last_writer"] = writer


def notice(state: "State", at: float, text: str) -> None:
    """Keep `text` for the user's eye until the next session start has told it; the same text once."""
    notices = state["notices"]
    if not any(kept["text"] == text and not kept["told"] for kept in notices):
        notices.append({"at": at, "text": text, "told": False})
        del notices[:-NOTICES]


def newest_sessions(state: "State") -> "list[str]":
    """The sessions' ids, the last seen first: they are kept in that order, since a clock may be set back."""
    return list(reversed(state["sessions"]))


def bound(state: "State") -> None:
    """Let go of the oldest where there are more than the bounds allow. Open tasks go last."""
    sessions = state["sessions"]
    if len(sessions) > 3:  # noqa: PLR2004  below that nothing is old
        order = newest_sessions(state)
        for name in order[SESSIONS:]:
            del sessions[name]
        for name in order[3:SESSIONS]:
            del sessions[name]["files"][:-FILES_OF_OLD]
    tasks = state["tasks"] if "tasks" in state else {}  # noqa: SIM401  `get` would not parse it, nor shall it be
    if len(tasks) > TASKS:
        rank = {"completed": 0, "cancelled": 0}
        order = sorted(tasks, key=lambda name: (rank.get(tasks[name]["status"], 1), tasks[name]["updated_at"]))
        for name in order[: len(tasks) - TASKS]:
            del tasks[name]
    if "completed_tasks" in state:
        del state["completed_tasks"][:-COMPLETED]
    signals = state["signals"]
    if len(signals) > SIGNALS:
        for name in sorted(signals, key=signals.__getitem__)[: len(signals) - SIGNALS]:
            del signals[name]
            state["progress"]["signals"].pop(name, None)
    del state["recent"][:-RECENT]


class Lazy(dict):  # type: ignore[type-arg]
    """A state of which some keys are parsed when they are first asked for.

    Most events touch no task, and a project at its bounds has 25 KB of them. `raw` holds the lines of the keys that
    nobody asked for yet; `encode` writes them back as they are. `in`, `get` and iteration see what was parsed: where
    all is needed, `whole` first.
    """

    __slots__ = ("raw",)
    raw: "dict[str, bytes]"

    def __missing__(self, key: str) -> "Any":
        """Parse what is kept under `key`."""
        self[key] = value = _value(key, self.raw.pop(key))
        return value


def look(state: "State", key: str) -> "Any":
    """What stands under `key`, to read only: a Lazy state goes on holding it as it was written."""
    line = getattr(state, "raw", {}).get(key)
    return state[key] if line is None else _value(key, line)


def _value(key: str, line: bytes) -> "Any":
    """What stands in the line of a key."""
    return loads(line[len(key) + 3 :])


def whole(state: "State") -> "State":
    """The same state with every key parsed."""
    for key in list(getattr(state, "raw", ())):
        state[key]  # asking is what parses it
    return state


def encode(state: "State") -> bytes:
    """The document's bytes: one JSON object, a line for each key, whose first key is the seal over all the others."""
    parsed = ",\n".join([f'"{key}":{dumps(value)}' for key, value in state.items()]).encode("ascii")
    body = b",\n".join(filter(None, (parsed, *getattr(state, "raw", {}).values())))
    return b"".join((SEAL, checksum(b"{", body, b"}").encode("ascii"), b'",', body, b"}\n"))


def decode(data: bytes, *, lazily: bool = False) -> "State | None":
    """The document in `data` if its seal is right, else None.

    Args:
        data: the file's bytes.
        lazily: whether it may be a Lazy one.
    """
    start = len(SEAL) + HEX
    if not data.startswith(SEAL) or data[start : start + 2] != b'",':
        return None
    end = len(data)
    while data.endswith(b"\n", 0, end):
        end -= 1
    seal = checksum(b"{", memoryview(data)[start + 2 : end])
    if seal.encode("ascii") != data[len(SEAL) : start]:
        return None
    try:
        state: State = _lazy(data, start + 2, end) if lazily else loads(b"{" + data[start + 2 : end])
    except ValueError:
        return None
    return state


def _lazy(data: bytes, start: int, end: int) -> "Lazy":
    """The document whose keys stand from `start` to `end`. What is not parsed is copied once: that costs, too."""
    lines = data.split(b",\n")
    lines[-1] = lines[-1][: end - len(data) - 1]
    lines[0] = lines[0][start:]
    eager, raw = [], {}
    for line in lines:
        key = line[1 : line.find(b'"', 1)]
        if key in LAZY:
            raw[key.decode()] = line
        else:
            eager.append(line)
    state = Lazy(loads(b"{%b}" % b",".join(eager)))
    state.raw = raw
    return state
