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
    unheard: what is said now does not reach the model, so say it at the next prompt. matches: what the index found in
    it ({"signals": [...]} or {"skills": [...]}), filled in before the state is locked.
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
            KeyError, TypeError: it is no event.
        """
        event = cls(record["host"], record["moment"], record["name"], record["session"])
        for name in cls.__slots__:
            if name in record and name != "tool":
                setattr(event, name, record[name])
        if record.get("tool"):
            event.tool = Tool(record["tool"]["name"], record["tool"]["kind"])
            for name, value in record["tool"].items():
                setattr(event.tool, name, value)
        return event


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
    while "<" in text:
        kept, start, changed = "", 0, False
        while (tag := text.find("<", start)) >= 0:
            end = text.find(">", tag)
            if end > 0 and (text[tag + 1].isalpha() or text[tag + 1] in "/!?"):
                kept += text[start:tag]
                start, changed = end + 1, True
            else:
                kept += text[start : tag + 1]
                start = tag + 1
        text = kept + text[start:]
        if not changed:
            break
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
    path = "/".join(parts)
    inside = root.rstrip("/") + "/"
    return path.removeprefix(inside)


def in_background(command: str) -> bool:  # noqa: C901, PLR0912  a scanner: one branch a character class
    """Whether a shell would answer for `command` before it has ended: a job sent off by a single `&`.

    Its exit code says nothing of how it ends. Quotes, `&&`, redirections (`2>&1`, `&>`), comments and the bodies of
    here-documents do not count.
    """
    if "&" not in command:
        return False
    quote, word, ends = "", "", []
    index = 0
    while index < len(command):
        character = command[index]
        if quote:
            if character == "\\" and quote == '"':
                index += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == "\\":
            index += 1
        elif character == "#" and not word:
            index = command.find("\n", index)
            if index < 0:
                return False
            continue
        elif character == "<" and command[index : index + 2] == "<<" and command[index + 2 : index + 3] != "<":
            end = index + 2
            while end < len(command) and command[end] in "- \t'\"\\":
                end += 1
            start = end
            while end < len(command) and (command[end].isalnum() or command[end] == "_"):
                end += 1
            ends.append(command[start:end])
            index = end + (command[end : end + 1] in ("'", '"'))
            continue
        elif character == "\n" and ends:
            for mark in ends:
                while (line := command.find("\n", index)) >= 0:
                    index = line + 1
                    stop = command.find("\n", index)
                    if command[index : stop if stop >= 0 else None].strip("\t ") == mark:
                        index = stop if stop >= 0 else len(command)
                        break
                else:
                    return False  # a here-document without an end takes the rest
            ends = []
            continue
        elif character == "&":
            if command[index : index + 2] == "&&":
                index += 1
            elif command[index - 1 : index] not in ("<", ">", "|") and command[index + 1 : index + 2] != ">":
                return True
        word = "" if character in " \t\n;|&()" and not quote else word + character
        index += 1
    return False
