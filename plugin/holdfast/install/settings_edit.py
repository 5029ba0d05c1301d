"""Edit a JSON text in place: insert and remove items, and leave every other byte as it was.

A host's settings file is the user's. Parsing and dumping it would lose comments, order, spacing and number formats, so
the edits here are cuts and insertions in the text, at the positions that the parser saw. `register` and `unregister`
know the shape that all hosts share: `{"hooks": {EVENT: [{"hooks": [{"command": …}]}]}}`, and that of Copilot CLI, which
has no groups: `{"hooks": {EVENT: [{"bash": …}]}}`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ours = Callable[[str], bool]

COMMANDS = ("command", "bash")  # the keys under which a handler may have what is run

MAX_DEPTH = 200  # containers in each other; no settings file is near it, and the parser recurses

BOM = "\ufeff"
_SPACE = " \t\r\n"
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z]+")
_WORDS = {"true": True, "false": False, "null": None}


class SettingsError(ValueError):
    """The text is no JSON of the dialect; says where and what was expected there."""


@dataclass(eq=False)
class Node:
    """A value in the text: `text[start:end]`. `items` is None for anything but objects and arrays."""

    start: int
    end: int = 0
    value: Any = None
    items: list[Item] | None = None
    parent: Node | None = None

    def plain(self) -> Any:
        """Give the value as Python holds it. Of two members with one key the last counts, as in every host."""
        if self.items is None:
            return self.value
        if self.value is dict:
            return {item.key: item.node.plain() for item in self.items}
        return [item.node.plain() for item in self.items]

    def is_object(self) -> bool:
        """Whether it is an object."""
        return self.value is dict and self.items is not None

    def is_array(self) -> bool:
        """Whether it is an array."""
        return self.value is list and self.items is not None

    def get(self, key: str) -> Node | None:
        """The member's value that counts, or None."""
        if not self.is_object():
            return None
        found = [item.node for item in self.items or () if item.key == key]
        return found[-1] if found else None


@dataclass(eq=False)
class Item:
    """A member of an object or an element of an array, with the position of the comma that follows it, if any."""

    start: int
    node: Node
    key: str | None = None
    comma: int | None = None


class _Parser:
    """A JSON parser that keeps positions. With `comments` it takes `//`, `/* */` and a comma before a closing one."""

    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self.comments = comments

    def fail(self, position: int, what: str) -> SettingsError:
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        return SettingsError(f"line {line}, column {column}: {what}")

    def skip(self, position: int) -> int:
        """The position after white space and comments."""
        for _, end, _ in self.trivia(position):
            position = end
        while position < len(self.text) and self.text[position] in _SPACE:
            position += 1
        return position

    def trivia(self, position: int) -> Iterator[tuple[int, int, bool]]:
        """The comments from `position` to the next token: start, end, whether it ends with its line."""
        text = self.text
        while True:
            while position < len(text) and text[position] in _SPACE:
                position += 1
            if not self.comments or text[position : position + 2] not in ("//", "/*"):
                return
            start = position
            to_line_end = text[position + 1] == "/"
            if to_line_end:
                position = min(
                    (p for p in (text.find("\n", start), text.find("\r", start)) if p >= 0), default=len(text)
                )
            else:
                position = text.find("*/", start + 2) + 2
                if position == 1:
                    raise self.fail(start, "this comment has no end")
            yield start, position, to_line_end

    def document(self) -> Node:
        position = self.skip(0)
        root = self.node(position, None, 0)
        end = self.skip(root.end)
        if end != len(self.text):
            raise self.fail(end, "expected the end of the file")
        return root

    def node(self, position: int, parent: Node | None, depth: int) -> Node:
        opening = self.text[position : position + 1]
        if opening in ("{", "["):
            return self.container(Node(position, parent=parent), depth + 1)
        if opening == '"':
            end, value = self.string(position)
            return Node(position, end, value, parent=parent)
        number = _NUMBER.match(self.text, position)
        if number:
            return Node(position, number.end(), _number(number.group()), parent=parent)
        word = _WORD.match(self.text, position)
        if word and word.group() in _WORDS:
            return Node(position, word.end(), _WORDS[word.group()], parent=parent)
        raise self.fail(position, "expected a value")

    def string(self, position: int) -> tuple[int, str]:
        match = _STRING.match(self.text, position)
        if not match:
            raise self.fail(position, "this string has no end")
        try:
            value: str = json.loads(match.group())
        except ValueError:
            raise self.fail(position, "this string holds a control character or an unknown escape") from None
        return match.end(), value

    def container(self, node: Node, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.fail(node.start, f"nested deeper than {MAX_DEPTH}")
        keyed = self.text[node.start] == "{"
        closing = "}" if keyed else "]"
        node.value = dict if keyed else list
        items = node.items = []
        position = self.skip(node.start + 1)
        while self.text[position : position + 1] != closing:
            item = self.item(position, node, depth, keyed=keyed)
            items.append(item)
            position = self.skip(item.node.end)
            if self.text[position : position + 1] == ",":
                item.comma = position
                position = self.skip(position + 1)
                if self.text[position : position + 1] == closing and not self.comments:
                    raise self.fail(item.comma, f"a comma before {closing}")
            elif self.text[position : position + 1] != closing:
                raise self.fail(position, f"expected a comma or {closing}")
        node.end = position + 1
        return node

    def item(self, start: int, parent: Node, depth: int, *, keyed: bool) -> Item:
        if not keyed:
            return Item(start, self.node(start, parent, depth))
        if self.text[start : start + 1] != '"':
            raise self.fail(start, "expected a key in double quotes")
        end, key = self.string(start)
        position = self.skip(end)
        if self.text[position : position + 1] != ":":
            raise self.fail(position, "expected a colon")
        return Item(start, self.node(self.skip(position + 1), parent, depth), key)


def _number(token: str) -> int | float:
    try:
        value: int | float = json.loads(token)
    except ValueError:  # more digits than Python turns into an int; hosts read a double
        return float(token)
    return value


@dataclass
class Document:
    """A settings text that can be edited. `text` has no byte order mark; `grouped` as in `read`."""

    text: str
    comments: bool
    grouped: bool = True
    root: Node = field(init=False)

    def __post_init__(self) -> None:
        self.parser = _Parser(self.text, comments=self.comments)
        self.root = self.parser.document()

    def change(self, text: str) -> None:
        """Take `text` as the document's text."""
        self.text = text
        self.__post_init__()

    # -- how this file is written

    def newline(self) -> str:
        """The file's line end, that of its first line."""
        first = self.text.find("\n")
        return "\r\n" if first > 0 and self.text[first - 1] == "\r" else "\n"

    def indentation(self, position: int) -> str:
        """The white space that starts the line of `position`."""
        start = max(self.text.rfind("\n", 0, position), self.text.rfind("\r", 0, position)) + 1
        end = start
        while end < position and self.text[end] in " \t":
            end += 1
        return self.text[start:end]

    def unit(self) -> str:
        """One step of indentation: that of the first item which stands on a line of its own, else two spaces."""
        open_nodes = [self.root]
        while open_nodes:
            node = open_nodes.pop(0)
            for item in node.items or ():
                if self.spread(node):
                    inner, outer = self.indentation(item.start), self.indentation(node.start)
                    if inner != outer and inner.startswith(outer):
                        return inner[len(outer) :]
                open_nodes.append(item.node)
        return "  "

    def spread(self, node: Node) -> bool:
        """Whether a container's items stand on lines of their own; an empty one is as what holds it."""
        if node.items:
            return "\n" in self.text[node.start : node.items[0].start]
        return self.spread(node.parent) if node.parent else True

    def render(self, value: Any, indent: str | None) -> str:
        """Write `value` for a line that starts with `indent`, or on one line for None, spaced like the file."""
        if indent is None:
            spaced = not re.search(r'":[^ \t\r\n]', self.text) or '": ' in self.text
            return json.dumps(value, ensure_ascii=False, separators=(", ", ": ") if spaced else (",", ":"))
        lines = json.dumps(value, ensure_ascii=False, indent=self.unit()).split("\n")
        return (self.newline() + indent).join(lines)

    # -- edits

    def append(self, node: Node, value: Any, key: str | None = None) -> None:
        """Put an item at the end of a container."""
        items = node.items or []
        spread = self.spread(node)
        outer = self.indentation(node.start)
        inner = self.indentation(items[0].start) if items and spread else outer + self.unit()
        body = self.render(value, inner if spread else None)
        if key is not None:
            colon = ": " if spread or ": " in self.render({"": 0}, None) else ":"
            body = json.dumps(key, ensure_ascii=False) + colon + body
        if items:
            self._append_after(items[-1], body, self.newline() + inner, spread=spread)
        else:
            self._append_first(node, body, inner, outer, spread=spread)

    def _append_after(self, last: Item, body: str, on_new_line: str, *, spread: bool) -> None:
        text = self.text
        trailing = last.comma is not None
        end = last.node.end if last.comma is None else last.comma + 1
        # what is said of the last item on its own line stays with it
        position, forced = end, False
        for start, after, to_line_end in self.parser.trivia(end):
            if "\n" in text[position:start]:
                break
            position, forced = after, to_line_end
        gap = on_new_line if spread or forced else self.render([0, 0], None)[3:-2]
        addition = gap + body + ("," if trailing else "")
        self.change(text[:end] + ("" if trailing else ",") + text[end:position] + addition + text[position:])

    def _append_first(self, node: Node, body: str, inner: str, outer: str, *, spread: bool) -> None:
        text = self.text
        said = ""
        for _, end, _ in self.parser.trivia(node.start + 1):  # comments stay, before the item
            said = text[node.start + 1 : end]
        if said or spread:
            newline = self.newline()
            body = said + newline + inner + body + newline + outer
        self.change(text[: node.start + 1] + body + text[node.end - 1 :])

    def replace(self, node: Node, value: Any) -> None:
        """Put another value in the place of `node`."""
        spread = "\n" in self.text[node.start : node.end]
        body = self.render(value, self.indentation(node.start) if spread else None)
        self.change(self.text[: node.start] + body + self.text[node.end :])

    def remove(self, node: Node, index: int) -> None:
        """Take an item out of a container, with the white space before it and the comma that it needed."""
        text, items = self.text, node.items or []
        item = items[index]
        before = node.start + 1
        if index:
            comma = items[index - 1].comma
            before = items[index - 1].node.end if comma is None else comma + 1
        start = item.start
        while start > before and text[start - 1] in _SPACE:
            start -= 1
        cuts = []
        if item.comma is not None:
            cuts.append((item.comma, item.comma + 1))
        elif index:
            comma = items[index - 1].comma
            cuts.append((comma, comma + 1) if comma is not None else (start, start))
        comments = list(self.parser.trivia(before))
        after = item.comma + 1 if item.comma == item.node.end else item.node.end
        if comments and comments[-1][2] and text[after : after + 1] not in ("\n", "\r"):
            start = item.start  # else what follows would become part of the comment before
        cuts.append((start, item.node.end))
        for first, end in sorted(cuts, reverse=True):
            text = text[:first] + text[end:]
        closing = node.end - 1 - (len(self.text) - len(text))
        if len(items) == 1 and not text[node.start + 1 : closing].strip(_SPACE):
            text = text[: node.start + 1] + text[closing:]
        self.change(text)


# -- the shape that all hosts share


def read(data: bytes, *, comments: bool, grouped: bool = True) -> tuple[str, Document]:
    """Decode and parse a settings file.

    Args:
        data: the file's bytes; none but white space stand for an empty object, as hosts take them.
        comments: whether the host takes comments and trailing commas.
        grouped: whether its handlers stand in groups.

    Returns:
        The byte order mark or an empty string, and the document.

    Raises:
        SettingsError: it is no UTF-8, does not parse, is no object, or its `hooks` is none or stands there twice.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"byte {error.start + 1} is no UTF-8") from None
    mark = BOM if text.startswith(BOM) else ""
    text = text.removeprefix(BOM)
    document = Document(text if text.strip(_SPACE) else "{}\n", comments, grouped)
    if not document.root.is_object():
        raise SettingsError("the file holds no object")
    _check_unique(document.root, "hooks", "")
    hooks = document.root.get("hooks")
    if hooks is not None and not hooks.is_object():
        raise SettingsError(f"{_place(document, hooks)}: hooks is no object")
    return mark, document


def _place(document: Document, node: Node) -> str:
    return str(document.parser.fail(node.start, "")).removesuffix(": ")


def _check_unique(node: Node, key: str, where: str) -> None:
    # Hosts let the last one win: adding to either could end in the one that is not read.
    if sum(item.key == key for item in node.items or ()) > 1:
        raise SettingsError(f"{where}{key} stands in it twice")


def _handlers(document: Document, ours: Ours) -> Iterator[tuple[str, Node, int, Node, int]]:
    """Our handlers: event, the event's list, the group's index, the group's handlers, the handler's index."""
    hooks = document.root.get("hooks")
    for member in (hooks.items or ()) if hooks else ():
        for at, group in enumerate((member.node.items or ()) if member.node.is_array() else ()):
            if not document.grouped and (command := _command(group.node)) and ours(command):
                yield member.key or "", member.node, at, member.node, at
            handlers = group.node.get("hooks")
            if handlers is None or not handlers.is_array():
                continue
            for index, handler in enumerate(handlers.items or ()):
                command = _command(handler.node)
                if command and ours(command):
                    yield member.key or "", member.node, at, handlers, index


def _command(handler: Node) -> str:
    """What a handler runs, or an empty string."""
    found = [node.value for key in COMMANDS if (node := handler.get(key))]
    return next((value for value in found if isinstance(value, str)), "")


def commands(document: Document, ours: Ours) -> dict[str, str]:
    """What is registered of ours: event to command."""
    found = {}
    for event, _, _, handlers, index in _handlers(document, ours):
        found[event] = _command((handlers.items or [])[index].node)
    return found


def register(document: Document, wanted: dict[str, dict[str, Any]], ours: Ours) -> list[str]:
    """Make our handlers stand in the document, each once, as `wanted`.

    Those that stand there already stay where they are (Codex's trust goes by their position) and are brought up to
    date; new ones come after what others have registered.

    Args:
        document: is changed.
        wanted: event to handler.
        ours: tells our commands from other people's.

    Returns:
        What was made to hold them: `hooks`, and the events that had no list.

    Raises:
        SettingsError: an event's entry is no list, or stands there twice.
    """
    hooks = document.root.get("hooks")
    for event in wanted:
        entry = hooks.get(event) if hooks else None
        if hooks:
            _check_unique(hooks, event, "hooks.")
        if entry is not None and not entry.is_array():
            raise SettingsError(f"{_place(document, entry)}: hooks.{event} is no list")
    while stale := _out_of_date(document, wanted, ours):
        event, node = stale
        if node is None:
            _take_out(document, event, ours, last=True)
        else:
            document.replace(node, wanted[event])
    seen = commands(document, ours)
    hooks = document.root.get("hooks")
    missing = {event: handler for event, handler in wanted.items() if event not in seen}
    groups = {event: [{"hooks": [handler]} if document.grouped else handler] for event, handler in missing.items()}
    if hooks is None:
        document.append(document.root, groups, "hooks")
        return ["hooks", *groups]
    made = []
    for event, group in groups.items():
        holder = document.root.get("hooks")
        entry = holder.get(event) if holder else None
        if entry is not None:
            document.append(entry, group[0])
        elif holder is not None:
            document.append(holder, group, event)
            made.append(event)
    return made


def _out_of_date(document: Document, wanted: dict[str, dict[str, Any]], ours: Ours) -> tuple[str, Node | None] | None:
    """The first of our handlers that must change: its event, and its node, or None for one too many."""
    seen = set()
    for event, _, _, handlers, index in _handlers(document, ours):
        if event not in wanted or event in seen:
            return event, None
        seen.add(event)
        node = (handlers.items or [])[index].node
        if node.plain() != wanted[event]:
            return event, node
    return None


def _take_out(document: Document, event: str, ours: Ours, *, last: bool = False) -> None:
    """Remove one of our handlers of an event, and its group if nothing else is in it."""
    found = [place for place in _handlers(document, ours) if place[0] == event]
    _, entry, at, handlers, index = found[-1 if last else 0]
    if len(handlers.items or ()) == 1:  # without groups the two are the same
        document.remove(entry, at)
    else:
        document.remove(handlers, index)


def unregister(document: Document, made: list[str] | None, ours: Ours) -> bool:
    """Remove our handlers, and what had been made to hold them if it is empty now.

    Args:
        document: is changed.
        made: what `register` gave back; None where that is not known: whatever our handlers leave empty goes.
        ours: tells our commands from other people's.

    Returns:
        Whether anything of ours was there.
    """
    touched = []
    while place := next(_handlers(document, ours), None):
        touched.append(place[0])
        _take_out(document, place[0], ours)
    if not touched:
        return False
    for event in touched if made is None else made:
        hooks = document.root.get("hooks")
        for index, item in enumerate((hooks.items or ()) if hooks else ()):
            if hooks and item.key == event and item.node.is_array() and not item.node.items:
                document.remove(hooks, index)
                break
    for index, item in enumerate(document.root.items or ()):
        if item.key == "hooks" and not item.node.items and (made is None or "hooks" in made):
            document.remove(document.root, index)
            break
    return True


def refusal(path: str, error: SettingsError) -> ValidationFailed:
    """The line that a user sees for a settings file that cannot be edited."""
    return ValidationFailed(f"{path}: {error}; nothing was changed: mend the file or move it away, then try again")
