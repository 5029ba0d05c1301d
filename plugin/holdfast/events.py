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

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
DETACHING = frozenset({"setsid", "screen", "tmux", "systemd-run", "coproc", "daemonize"})  # what they start goes on
CONTAINERS = frozenset({"docker", "podman", "docker-compose", "nerdctl"})


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

    def to_dict(self) -> "dict[str, Any]":
        """Everything but the prompt, which the spool must not hold and `matches` makes superfluous."""
        record = {name: getattr(self, name) for name in self.__slots__ if name not in ("prompt", "tool")}
        if self.tool is not None:
            record["tool"] = {name: getattr(self.tool, name) for name in Tool.__slots__}
        return record

    @classmethod
    def from_dict(cls, record: "dict[str, Any]") -> "Event":
        """The event that `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is no event.
        """
        event = cls(record["host"], record["moment"], record["name"], record["session"])
        _take(event, {name: value for name, value in record.items() if name != "tool"})
        if record.get("tool"):
            event.tool = Tool(record["tool"]["name"], record["tool"]["kind"])
            _take(event.tool, record["tool"])
        _check(event)
        return event


def _take(part: "Event | Tool", found: "dict[str, Any]") -> None:
    """Set the attributes that `found` names.

    Raises:
        TypeError: one is of another type than it starts with.
    """
    for name, value in found.items():
        meant = getattr(part, name) if name in part.__slots__ else None
        kinds: Any = (int, float) if isinstance(meant, float) else (int, type(None)) if meant is None else type(meant)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise TypeError(f"{name} is {type(value).__name__}")
        setattr(part, name, value)


def _check(event: "Event") -> None:
    """Refuse a record from which the state would become one that is not valid.

    Raises:
        TypeError, ValueError, AttributeError: it is such a one.
    """
    found, tool = event.matches, event.tool
    kept = [event.session, event.host, found.get("command", ""), *found.get("armed", [])]
    for name, after in found.get("signals", []):
        kept += [name or None, *after]
    "".join(kept).encode()  # the state cannot hold half a character
    "".join([found.get("trouble", ""), *found.get("skills", [])])
    if tool is not None:
        "".join([*tool.paths, *(text for todo in tool.todos for text in todo.values())])
    if max(map(len, kept)) > PATH_LIMIT or not 0 <= event.at < LATEST or abs((tool and tool.exit_code) or 0) > LATEST:
        raise ValueError("longer, later or larger than anything is")


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


def in_background(command: str) -> bool:  # noqa: C901  a scanner: one branch a character
    """Whether a shell would answer for `command` before it has ended: a job sent off by a single `&`.

    Its exit code says nothing of how it ends. Quotes, `&&`, redirections (`2>&1`, `&>`), comments, arithmetic and the
    bodies of here-documents do not count, unless a shell is to run them. What detaches by itself counts.
    """
    words = command.split()
    if not DETACHING.isdisjoint(words) or ("-d" in words and not CONTAINERS.isdisjoint(words)):
        return True
    index, last = 0, command.rfind("&")
    fresh = True  # a word may begin here, so that # begins a comment
    marks: list[str] = []  # of here-documents whose bodies begin with the next line
    while index <= last:
        character = command[index]
        follows = command[index + 1 : index + 2]
        if character == "#" and fresh:
            index = _place(command, "\n", index)
            continue
        if character == "\n" and marks:
            index = _after_bodies(command, marks, index)
            marks = []
            continue
        fresh = character in " \t\n;|&()"
        if character in "'\"":
            start, index = index, _closing(command, index)
            if "&" in command[start:index] and _is_run(command[:start]) and in_background(command[start + 1 : index]):
                return True
        elif character == "\\" or (character == "&" and follows == "&"):
            index += 1
        elif command.startswith("<<<", index):
            index += 2
        elif command.startswith("$((", index):
            index = _place(command, "))", index)
        elif command.startswith("<<", index):
            fed = _is_shell(command[:index].split()[-1:])
            mark, index = _mark(command, index + 2)
            marks.append(mark)
            if fed and in_background(command[_place(command, "\n", index) :]):
                return True
        elif character == "&" and follows != ">" and command[index - 1 : index] not in ("<", ">", "|", ";"):
            return True
        index += 1
    return False


def _is_shell(words: "list[str]") -> bool:
    return any(word.rpartition("/")[2] in SHELLS for word in words)


def _is_run(before: str) -> bool:
    """Whether the quoted words after `before` are commands: of `bash -c`, `eval` or `ssh HOST`."""
    words = before.split()
    option = words[-1] if words else ""
    if option.startswith("-") and option.endswith("c"):
        return _is_shell(words[-4:])
    return option == "eval" or "ssh" in words[-4:]


def _place(text: str, sought: str, start: int) -> int:
    """Where `sought` stands from `start` on; the end of the text where it does not."""
    found = text.find(sought, start)
    return found if found >= 0 else len(text)


def _closing(command: str, start: int) -> int:
    """The place of the quote that closes the one at `start`."""
    quote = command[start]
    if quote == "'" and command[start - 1 : start] != "$":
        return _place(command, quote, start + 1)
    index = start + 1
    while command[index : index + 1] not in ("", quote):
        index += 2 if command[index] == "\\" else 1
    return index


def _mark(command: str, start: int) -> "tuple[str, int]":
    """The word that ends a here-document's body, and the place of its last character."""
    index = start
    while command[index : index + 1] in ("-", " ", "\t"):
        index += 1
    begin = index
    while command[index : index + 1] not in ("", " ", "\t", "\n", ";", "|", "&", "<", ">", "(", ")"):
        index = _closing(command, index) + 1 if command[index] in "'\"" else index + 1
    mark = command[begin:index]
    return "".join(character for character in mark if character not in "'\"\\"), index - 1


def _after_bodies(command: str, marks: "list[str]", start: int) -> int:
    """The end of the line that ends the last of the here-documents whose bodies begin after the line end at `start`."""
    for mark in marks:
        while start < len(command):
            line = start + 1
            start = _place(command, "\n", line)
            if command[line:start].strip("\t ") == mark:
                break
    return start
