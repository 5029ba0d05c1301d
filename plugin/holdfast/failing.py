"""What a hook does with what it cannot apply: the event is kept, and what can be said is said."""

from time import time_ns

from holdfast import deadline
from holdfast.hook import WHOLE, locate, open_store
from holdfast.lean import getenv, join, os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.events import Event, Reply
    from holdfast.hook import Run
    from holdfast.state.store import Store
    from holdfast.workflow.index import Index

TOO_LARGE = 4 << 20  # bytes of a state that is not read when the time is over: its bounds keep it below 0.2 MB


def reject(run: "Run", error: BaseException) -> None:
    """Write down a payload that cannot be understood, where a project can be found for it."""
    here = {"claude": "CLAUDE_PROJECT_DIR", "gemini": "GEMINI_PROJECT_DIR"}.get(run.host, "")
    run.folder = locate(here, "") or locate("", "")
    if run.folder:
        run.write_down("rejected", str(error)[:200] or type(error).__name__)


def removed(run: "Run", index: "Index", error: BaseException) -> bool:
    """Whether the index was damaged and is gone now, so that it is made again: asked once something has failed.

    The deadline is set anew if it is asked for: where the disk is slow, that is not to be waited for twice.
    """
    if isinstance(error, (deadline.Expired, OSError)):
        index.close()
        return False
    deadline.start(WHOLE / 2)
    try:
        if index.whole():
            return False
        os.unlink(join(run.folder, "index.json"))
    except FileNotFoundError:  # another hook was faster
        return True
    except (Exception, deadline.Expired):  # noqa: BLE001  it stays, and so does what failed
        return False
    finally:
        index.close()
    run.write_down("index damaged", "it is compiled again")
    return True


def keep(run: "Run", event: "Event", index: "Index") -> "Reply | None":
    """Keep an event of a workflow that was never compiled: who folds it asks the index that is there by then."""
    from holdfast.events import Reply

    _put(run, event)
    error = index.header["error"]
    run.write_down("spooled", error or "another process compiles the workflow")
    if not error or event.moment != "session_start" or event.unheard:
        return None
    told = f"Holdfast keeps what happens here, and can say nothing of the workflow yet: {error}."
    return Reply(told, told)


def without_update(run: "Run", event: "Event", error: BaseException) -> "Reply | None":
    """What can be said where the state cannot be written: the briefing. Skills would be named at every prompt.

    In a read-only checkout nothing is said: nobody asked for a workflow there.
    """
    from errno import EROFS

    if event.moment != "session_start" or event.unheard or getattr(error, "errno", 0) == EROFS:
        return None
    from holdfast import moments
    from holdfast.events import Reply, clean
    from holdfast.state.document import notice
    from holdfast.state.store import place
    from holdfast.workflow import index as compiled

    try:
        size = os.stat(place(run.folder, "HOLDFAST_STATE_FILE", "state.json")).st_size
        if size > TOO_LARGE:
            what = f"The workflow state has {size >> 20} MB, and takes too long to update."
            what += " Events are kept in the spool: `holdfast status` shows the rest."
            return Reply(what, f"Holdfast: {what}")
        index = compiled.load(run.folder)
        if index is None:
            return None
        state = open_store(run.folder, index, "").read()  # which tells of a degraded mode, too
        what = f"The workflow state could not be written ({clean(str(error) or type(error).__name__, 200)})."
        notice(state, event.at, f"{what} What cannot be spooled either is not kept until that is mended.")
        reply: Reply | None = moments.module(event.moment).briefing(state, event, index)
        return reply if state["mode"] == "monitoring" else None
    except Exception:  # noqa: BLE001  then there is nothing to say
        return None


def spool(run: "Run", store: "Store", event: "Event", index: "Index") -> "Reply | None":
    """Keep the event for the next writer, and answer from the state as it is."""
    from holdfast import moments

    state = store.glance(lazily=True)
    if state["mode"] == "stopped":
        return None
    _put(run, event)
    reply = moments.apply(state, event, index)
    run.write_down("spooled", "the lock was taken")
    store.fold_late()
    from holdfast.state.spool import MANY, waiting

    if len(waiting(store.folder)) >= MANY:  # nobody folds: only then the import is paid
        from holdfast.state import degraded, guard

        degraded.failed(store.folder, guard.Busy())
    return reply


def rescue(run: "Run", event: "Event", error: BaseException) -> None:
    """Keep an event whose update failed, and note why."""
    what = f"{type(error).__name__}: {error}"[:300]
    if not isinstance(error, (deadline.Expired, OSError)):
        event.matches["trouble"] = what
    try:
        _put(run, event)
        run.write_down("spooled", what)
    except Exception as second:  # noqa: BLE001  there is nothing left to try
        run.write_down("lost", f"{what}; {second}"[:400])
    try:  # an update failed: nothing of this is on the common path
        from holdfast.state import degraded
        from holdfast.state.store import home

        degraded.failed(home(run.folder), error)
    except Exception:  # noqa: BLE001, S110  what it would have told is in the audit trail
        pass
    if getenv("HOLDFAST_DEBUG"):
        import traceback

        run.write_down("traceback", "".join(traceback.format_exception(error)))


def _put(run: "Run", event: "Event") -> None:
    from holdfast.moments import MADE_UP
    from holdfast.spooled import to_dict
    from holdfast.state.spool import put
    from holdfast.state.store import home

    tool = event.tool
    if tool is not None and tool.command:
        if tool.outcome == "failed" or event.matches.get("unmatched"):
            from holdfast.events import COMMAND_LIMIT
            from holdfast.masking import mask  # 8 ms: where many hooks meet, all of them would pay

            tool.command = mask(tool.command)[: COMMAND_LIMIT if event.matches.get("unmatched") else 2000]
        else:
            tool.command = ""  # what it matched is in `matches`
    if not event.key:
        event.key = f"{MADE_UP}{time_ns()}-{os.getpid()}"
    put(home(run.folder), to_dict(event))
