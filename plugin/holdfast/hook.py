"""Runs one hook: stdin to stdout, and always exit code 0.

It fails open. Whatever breaks, the host gets valid output, the event goes to the spool, the error to the audit trail.
What is imported here is paid at every tool call of every session: see `lean.py`.
"""

import sys
from time import monotonic, time

from holdfast import deadline
from holdfast.lean import FILE_TYPE, dumps, getenv, join, loads, os, parent, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from holdfast.events import Event, Reply
    from holdfast.state.store import Store
    from holdfast.workflow.index import Index

WHOLE = 2.0  # seconds for the hook
LIMIT = 16 << 20  # bytes of a payload
BUDGET = 0.7  # seconds to wait for the state's lock
LONGEST_WAIT = 1.5  # whatever the environment asks for: what is left is for the answer
BUDGET_AT_END = 0.3  # Codex gives SessionEnd 1 s, Claude Code 1.5 s
FOLDER = ".holdfast"
DIRECTORY = 0o040000  # of a mode


def main(run: "type[Run] | None" = None) -> None:
    """Answer the payload on stdin as the host named by `--host` expects; never returns."""
    if "--dry-run" in sys.argv:
        from holdfast import dryrun

        sys.exit(dryrun.main(sys.argv[1:]))
    answer = b""
    if getenv("HOLDFAST_DISABLE") != "1":
        try:
            deadline.start(WHOLE)
            answer = (run or Run)(registered(sys.argv)).answer()
        except BaseException:  # noqa: BLE001, S110  the host must not be disturbed; Run has written down what it could
            pass
    try:
        deadline.stop()
        if answer:
            write(1, answer)
    except BaseException:  # noqa: BLE001, S110  nobody listens
        pass
    os._exit(0)  # noqa: SLF001  without the interpreter's own farewell, 1 ms


def registered(words: "list[str]") -> str:
    """The host after `--host`, or ""."""
    return words[words.index("--host") + 1] if "--host" in words[:-1] else ""


class Run:
    """One run of a hook.

    Args:
        host: the host that it was registered for.
    """

    def __init__(self, host: str) -> None:
        self.began = monotonic()
        self.host = host
        self.folder = ""
        self.event: Event | None = None
        self.record: dict[str, Any] = {}

    def answer(self) -> bytes:
        """Read stdin and apply what it says; the bytes for stdout."""
        from holdfast.lean import drain

        try:
            data = drain(0, LIMIT + 1)
            if len(data) > LIMIT:
                raise ValueError(f"the payload has more than {LIMIT >> 20} MB")  # noqa: TRY301
            try:
                host = self._parse(data)
            except deadline.Expired:  # the host's module came late from the disk: the event is here
                deadline.start(WHOLE / 2)
                host = self._parse(data)
        except BaseException as error:  # noqa: BLE001  whatever a host may send, however long it takes
            deadline.stop()
            from holdfast import failing

            failing.reject(self, error)
            return b""
        if self.event is None:
            return b""
        self.folder = locate(host.ROOT_VARIABLE, self.event.cwd)
        if not self.folder:
            return b""
        reply = self._apply(self.event)
        answer = host.render(self.event, reply) if reply is not None else None
        return dumps(answer).encode("ascii") if answer else b""

    def _parse(self, data: bytes) -> "ModuleType":
        """Understand the payload; the module of the host that it is from."""
        from holdfast import hosts

        payload = loads(data)
        if not isinstance(payload, dict):
            raise ValueError("the payload is no object")  # noqa: TRY004
        self.host = hosts.tell(payload, self.host)
        host = hosts.module(self.host)
        self.event = host.parse(payload)
        return host

    def _apply(self, event: "Event") -> "Reply | None":  # noqa: PLR0911  one a reason
        """Apply the event to the project's state, or spool it."""
        event.at = round(time(), 3)
        index = None
        try:
            from holdfast.workflow import index as compiled

            index = compiled.load(self.folder, lazily=True)
            if index is None:
                if self._stopped():
                    return None
                event.matches["unmatched"] = True  # whatever becomes of the compilation: who folds it asks
                index = compiled.refresh(self.folder)
                if index.header["source"] == compiled.NEVER:
                    deadline.stop()
                    from holdfast import failing

                    return failing.keep(self, event, index)
                event.matches.clear()
            if not index.concerns(event) and not (event.recalls and self._waits(event)):
                return None
            from holdfast.state.guard import Busy

            prepare(event, parent(self.folder), index)
            if "slow" in event.matches:
                self.record["error"] = "a pattern took too long and was given up"
            store = open_store(self.folder, index, f"{event.host}:{event.session}")
            try:
                return self._update(store, event, index)
            except Busy:
                deadline.stop()  # to be rung at now would only lose the event
                from holdfast import failing

                return failing.spool(self, store, event, index)
        except BaseException as error:  # noqa: BLE001  the event must not be lost, whatever broke
            deadline.stop()
            from holdfast import failing

            if index is not None and failing.removed(self, index, error):
                event.matches, event.cwd = {}, parent(self.folder)  # its paths may be relative to the root by now
                return self._apply(event)
            deadline.stop()
            failing.rescue(self, event, error)
            return failing.without_update(self, event, error)

    def _stopped(self) -> bool:
        """Whether hooks shall do nothing at all: asked before a workflow that changed is compiled."""
        state = self._last_written()
        return state is not None and state["mode"] == "stopped"

    def _waits(self, event: "Event") -> bool:
        """Whether the session waits for the briefing: asked before a call that nothing else asks for is passed over."""
        state = self._last_written()
        return state is not None and waits(state, event)

    def _last_written(self) -> "dict[str, Any] | None":
        """The state as its file has it, if that can be trusted."""
        from holdfast.lean import read
        from holdfast.state import document
        from holdfast.state.store import place

        try:
            return document.decode(read(place(self.folder, "HOLDFAST_STATE_FILE", "state.json")), lazily=True)
        except OSError:
            return None

    def _update(self, store: "Store", event: "Event", index: "Index") -> "Reply | None":
        from holdfast import moments

        def change(state: "dict[str, Any]") -> "Reply | None":
            before, phase = state["revision"], state["phase"]
            if event.moment == "session_start":
                self._sweep(store)
            reply = moments.apply(state, event, index)
            self.record["decision"] = "applied" if state["revision"] != before else "passed over"
            if state["mode"] == "stopped":
                self.record["decision"] = ""  # nothing at all: no line in the trail either
            if state["phase"] != phase:
                self.record["phase"] = state["phase"]
            return reply

        starts = event.moment == "session_start"
        outcome = store.update(change, budget(event.moment), keep="start" if starts else "")
        reply: Reply | None = outcome.result
        self.record["revision"] = outcome.revision
        self.record["wait_ms"] = round(outcome.waited * 1000, 1)
        self.record["folded"] = outcome.folded or None
        if self.record["decision"]:
            self.write_down(self.record["decision"])
        if starts and self.record["decision"]:
            try:
                os.stat(join(store.folder, "reserve"))
            except OSError:  # once in a project, and after a full disk: only then the import is paid
                from holdfast.state import reserve

                reserve.make(store.folder)
        return reply

    def _sweep(self, store: "Store") -> None:
        if store.sweep():  # only then the import is paid
            from holdfast.install import leftovers

            leftovers.sweep(self.folder)

    def write_down(self, decision: str, error: str = "") -> None:
        """Add a line to the audit trail."""
        from holdfast.events import clean
        from holdfast.state import audit
        from holdfast.state.store import place

        line: dict[str, Any] = {"time": round(time(), 3), "host": self.host}
        if self.event is not None:
            from holdfast.moments import identity

            line |= {"session": self.event.session, "moment": self.event.moment, "event": identity(self.event)}
        line |= {**self.record, "decision": decision, "ms": round((monotonic() - self.began) * 1000, 1)}
        if error:
            line["error"] = clean(error, 2000)
        audit.append(place(self.folder, "HOLDFAST_AUDIT_LOG", "audit.jsonl"), line)


def budget(moment: str) -> float:
    """Seconds to wait for the state's lock."""
    asked = getenv("HOLDFAST_LOCK_TIMEOUT")
    try:
        seconds = float(asked)
        if abs(seconds) >= 0:  # it is a number
            return max(0.0, min(seconds, LONGEST_WAIT))
    except ValueError:
        pass
    return BUDGET_AT_END if moment == "session_end" else BUDGET


def waits(state: "dict[str, Any]", event: "Event") -> bool:
    """Whether the event is one that brings the briefing, and its session waits for that."""
    return event.recalls and bool(state["sessions"].get(event.session, {}).get("unheard"))


def locate(variable: str, cwd: str) -> str:
    """The project's `.holdfast` folder, or "".

    It is looked for upwards from what the host's variable names, else from `cwd`, else from the working directory.
    """
    place = (getenv(variable) if variable else "") or cwd or os.getcwd()
    while True:
        folder = join(place, FOLDER)
        try:
            if os.stat(folder).st_mode & FILE_TYPE == DIRECTORY:
                return folder
        except (OSError, ValueError):  # ValueError: a null character in a path
            pass
        above = parent(place)
        if above == place or not above:
            return ""
        place = above


def prepare(event: "Event", root: str, index: "Index") -> None:
    """Find what the event means to the workflow, before the state is locked."""
    from holdfast import moments
    from holdfast.events import PATHS_LIMIT, relative

    tool = event.tool
    if tool is not None and tool.paths:
        tool.paths = [relative(path, event.cwd, root) for path in tool.paths[:PATHS_LIMIT]]
        if tool.kind == "edit" and any(path.startswith("/") for path in tool.paths):
            from holdfast.realpaths import inside

            tool.paths = [inside(path, root) for path in tool.paths]
    moments.module(event.moment).match(event, index)


def open_store(folder: str, index: "Index", writer: str) -> "Store":
    """The project's state, whose spooled records are events."""
    from holdfast.state.store import Store

    def fold(state: "dict[str, Any]", record: "dict[str, Any]") -> None:
        from holdfast.spooled import fold  # mostly nothing waits

        fold(state, record, index, folder)

    return Store(folder, fold, writer, index.kept)
