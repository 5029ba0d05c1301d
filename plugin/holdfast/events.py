"""What a host tells us and what we answer, in our own words: the same for every host."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOMENTS = ("session_start", "prompt", "tool_done", "before_compaction", "turn_end", "session_end", "before_tool")
KINDS = ("shell", "edit", "read", "search", "plan", "skill", "agent", "web", "mcp", "other")
OUTCOMES = ("ok", "failed", "unknown")

ID_LIMIT = 120  # characters of a session or tool call id; the recorded ones have 36
PATH_LIMIT = 300
TITLE_LIMIT = 160
COMMAND_LIMIT = 20_000  # what a rule's regex is shown of a command
PATHS_LIMIT = 50  # of one event
LATEST = 1 << 53  # no time in seconds is as large, and no exit code


class Tool:
    """A finished tool call.

    kind: one of KINDS. name: as the host calls it. paths: relative to the project's root with forward slashes, absolute
    where they lie outside. todos: [{"title", "status", and "ref" where the host numbers them}]. whole_list: whether
    `todos` is all that there is to do, or one change. outcome: one of OUTCOMES. exit_code: of a shell command, where
    it is known.
    """

    __slots__ = ("command", "exit_code", "kind", "name", "outcome", "paths", "skill", "todos", "whole_list")

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.paths: list[str] = []
        self.command = ""
        self.todos: list[dict[str, str]] = []
        self.whole_list = False
        self.skill = ""
        self.outcome = "ok"
        self.exit_code: int | None = None


class Event:
    """One payload of a host.

    key: what tells this event from the others of its session and moment ("" where only the order tells: a start, a
    compaction, an end). name: the host's own name of the event. source: why a session started or ended, or what
    brought a compaction. at: Unix time in seconds. transcript: a file's path, or "". subagent: its id, or "".
    unheard: what is said now does not reach the model, so say it at the next prompt or call. recalls: the host is
    silent after a compaction, so this call brings the briefing then, even one that the workflow does not ask for.
    matches: what the index found in it ({"signals": [...]} or {"skills": [...]}), filled in before the state is locked.
    """

    __slots__ = (
        "at",
        "cwd",
        "host",
        "key",
        "matches",
        "moment",
        "name",
        "prompt",
        "recalls",
        "session",
        "source",
        "subagent",
        "tool",
        "transcript",
        "unheard",
    )

    def __init__(self, host: str, moment: str, name: str, session: str) -> None:
        self.host = host
        self.moment = moment
        self.name = name
        self.session = session
        self.key = ""
        self.at = 0.0
        self.cwd = ""
        self.source = ""
        self.prompt = ""
        self.transcript = ""
        self.subagent = ""
        self.unheard = False
        self.recalls = False
        self.tool: Tool | None = None
        self.matches: dict[str, Any] = {}


class Reply:
    """What a hook says. text: for the model. notice: for the user's eyes, where the host shows such."""

    __slots__ = ("notice", "text")

    def __init__(self, text: str = "", notice: str = "") -> None:
        self.text = text
        self.notice = notice


def clean(text: str, limit: int) -> str:
    """One line of at most `limit` characters, without control characters or anything that reads as a host's tag.

    Hosts mark what they inject by tags (`<system-reminder>`, `<hook_context>`): a file's name must not be able to.
    """
    text = text[: limit * 4]
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    start = 0
    while (tag := text.find("<", start)) >= 0:
        follows = text[tag + 1 : tag + 2]
        end = text.find(">", tag)
        if not follows.isalpha() and follows not in ("/", "!", "?"):
            start = tag + 1
        elif end < 0:  # what is put after this text must not close it
            text = text[: tag + 1] + " " + text[tag + 1 :]
            start = tag + 1
        else:
            text = text[:tag] + text[end + 1 :]
            start = max(tag - 1, 0)  # what was apart may read as a tag now
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def relative(path: str, cwd: str, root: str) -> str:
    """`path` as the project sees it: relative to `root`, or absolute where it lies outside. Only text is looked at."""
    path = path.replace("\\", "/") if "\\" in path and root[1:2] == ":" else path
    if not (path.startswith("/") or path[1:2] == ":"):
        path = (cwd or root) + "/" + path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if len(parts) > 1:
                parts.pop()
        elif part != "." and (part or not parts):
            parts.append(part)
    path, root = "/".join(parts) or "/", root.rstrip("/") or "/"
    return "." if path == root else path.removeprefix(root.rstrip("/") + "/")
