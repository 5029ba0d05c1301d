"""Reads workflow.yaml and tells all its problems, with file, line and key. Cold: imports pyyaml and pydantic."""

import difflib
import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from holdfast.errors import HoldfastError, PermissionDenied, ValidationFailed
from holdfast.workflow.definition import (
    Backups,
    Briefing,
    Location,
    Phase,
    Problem,
    Signal,
    Skill,
    Workflow,
    conflicts,
    oddities,
)

MAX_SIZE = 1 << 20  # bytes or characters of a file
MAX_VALUES = 200_000  # keys and values, each counted as often as an alias repeats it
MAX_DEPTH = 16  # of nesting; a workflow needs 5

_PARTS: dict[str, type[BaseModel]] = {
    "phases": Phase,
    "signals": Signal,
    "skills": Skill,
    "briefing": Briefing,
    "backups": Backups,
}
_KINDS = {
    "bool": "a yes or no",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "null": "nothing",
    "value": "a special value",  # a lone =
    "merge": "a special value",  # a lone <<
}
_MAPPING = "must hold keys and values (write them indented below it, as key: value)"

# What the models' errors come to; {…} are pydantic's own facts.
_MESSAGES = {
    "missing": "is missing (add it)",
    "string_type": "must be a text",
    "int_type": "must be a whole number (write it without quotes)",
    "list_type": "must be a list (write - before each entry)",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "literal_error": "must be {expected}",
    "string_too_long": "must have at most {max_length} characters (shorten it)",
    "too_long": "must have at most {max_length} entries (remove some)",
    "too_short": "must have at least {min_length} entry (add one)",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "workflow": "{message}",
}

# What pyyaml's errors come to, by a part of its words.
_SYNTAX = (
    ("character '\\t'", "a tab stands where YAML takes only spaces (indent with spaces)"),
    (
        "mapping values are not allowed",
        "a colon where none may stand (put the text in quotes or check the indentation)",
    ),
    ("could not find expected ':'", "a key without its colon (write key: value, or check the indentation)"),
    ("while scanning a quoted scalar", "a quote is not closed, or holds what it cannot (close it)"),
    ("unknown escape", "an unknown escape between double quotes (use single quotes, which take \\ as it is)"),
    ("parsing a flow sequence", "a list is not closed, or lacks a comma (check its [ and ])"),
    ("parsing a flow mapping", "a { is not closed, or lacks a comma (check its { and })"),
    ("undefined alias", "an alias (*name) for which there is no anchor (&name) above it (put a text with * in quotes)"),
    ("cannot start any token", "a text may not start with this character (put it in quotes)"),
    ("<block end>", "the indentation does not fit the lines above (align it with its neighbours)"),
    ("<document start>", "the indentation does not fit the lines above (align it with its neighbours)"),
    ("single document", "a second document (--- may stand only once)"),
)


def load(text: str, name: str) -> Workflow:
    """Read a workflow.

    Args:
        text: what stands in the file.
        name: the file's name, for messages.

    Raises:
        ValidationFailed: with all problems, one a line.
    """
    return check(text, name)[0]


def read(path: str | os.PathLike[str], name: str | None = None) -> tuple[Workflow, list[Problem]]:
    """Read a workflow file.

    Args:
        path: the file.
        name: its name in messages; without one, `path`.

    Returns:
        The workflow, and what is odd in it.

    Raises:
        ValidationFailed: it is not there, no text, or wrong; with all problems, one a line.
        PermissionDenied: this user may not read it.
    """
    shown = os.fspath(path) if name is None else name
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would make a hook wait
            raise _refusal([Problem(shown, 0, "", "is no regular file (put the workflow there)")])
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        missing = Problem(shown, 0, "", "there is no such file (make one with `holdfast workflow init`)")
        raise _refusal([missing]) from None
    except PermissionError:
        raise PermissionDenied(str(Problem(shown, 0, "", "may not be read (give this user the right to)"))) from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not a file's name"
        raise HoldfastError(str(Problem(shown, 0, "", f"cannot be read: {reason}"))) from None
    try:
        text = data.decode("utf-8-sig") if len(data) <= MAX_SIZE else ""
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal([Problem(shown, line, "", "is not UTF-8 (save the file in that encoding)")]) from None
    return check(text if len(data) <= MAX_SIZE else " " * (MAX_SIZE + 1), shown)


def check(text: str, name: str) -> tuple[Workflow, list[Problem]]:
    """Read a workflow as `load` does, and tell, too, what is odd in it.

    Raises:
        ValidationFailed: with all problems, one a line.
    """
    source = _Source(text, name)
    places: list[tuple[Location, str]] = list(conflicts(source.data))
    try:
        workflow = Workflow.model_validate(source.data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        places += [(item["loc"], source.plain(item)) for item in found if item["type"] != "conflict"]
    problems = source.problems + source.located(places)
    if problems:
        raise _refusal(problems)
    return workflow, source.located(oddities(workflow))


def _refusal(problems: list[Problem]) -> ValidationFailed:
    ordered = sorted(problems, key=lambda problem: (problem.line, problem.column))
    return ValidationFailed(*dict.fromkeys(map(str, ordered)))


class _Source:
    """A file's text as plain data, with the place of each key.

    `data` holds texts where YAML read texts, and other types where it read those: the models refuse them.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._values = 0
        self._children: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}
        self._root = self._compose(text)
        if not isinstance(self._root, yaml.MappingNode):
            message = "the file must hold keys and values (begin with version:, name: and phases:)"
            raise _refusal([self._problem(self._root, "", message)])
        self.data = self._plain_data(self._root, "", 0)

    def _problem(self, node: yaml.Node, key: str, message: str) -> Problem:
        return Problem(self.name, node.start_mark.line + 1, key, message)

    def _compose(self, text: str) -> yaml.Node:
        if len(text) > MAX_SIZE:
            raise _refusal([Problem(self.name, 0, "", "is larger than 1 MiB (a workflow is a few pages)")])
        try:
            root: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            message = f"the character U+{ord(text[error.position]):04X} may not stand in YAML (remove it)"
            raise _refusal([Problem(self.name, line, "", message)]) from None
        except yaml.MarkedYAMLError as error:
            words = f"{error.context} {error.problem}"
            other = f"cannot be read as YAML: {error.problem}"
            plain = next((message for part, message in _SYNTAX if part in words), other)
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise _refusal([Problem(self.name, line, "", plain, column)]) from None
        except RecursionError:
            raise _refusal([Problem(self.name, 0, "", "is nested too deeply (a workflow needs 5 levels)")]) from None
        if root is None:
            raise _refusal([Problem(self.name, 1, "", "the file is empty (fill it with `holdfast workflow init`)")])
        return root

    def _plain_data(self, node: yaml.Node, key: str, depth: int) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            message = f"is nested more than {MAX_DEPTH} deep, or more than {MAX_VALUES} values long (check its aliases)"
            raise _refusal([self._problem(node, key, message)])
        if isinstance(node, yaml.SequenceNode):
            return [self._plain_data(item, f"{key}[{place}]", depth + 1) for place, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, depth)
        return self._scalar(node, key) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, key: str, depth: int) -> dict[str, Any]:
        children = self._children[id(node)] = {}
        data = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                self.problems.append(self._problem(name, key, "a key must be a text (check the [ and {)"))
                continue
            full = f"{key}.{name.value}" if key else name.value
            if name.tag == "tag:yaml.org,2002:merge":
                self.problems.append(self._problem(name, full, "is not supported (write the keys out)"))
                continue
            if name.value in children:
                message = f"is in line {children[name.value][0].start_mark.line + 1} already (remove one)"
                self.problems.append(self._problem(name, full, message))
                continue
            if (kind := _kind(name)) != "str":
                self.problems.append(self._problem(name, full, _quote(name, kind)))
            children[name.value] = (name, value)
            data[name.value] = self._plain_data(value, full, depth + 1)
        return data

    def _scalar(self, node: yaml.ScalarNode, key: str) -> Any:
        kind = _kind(node)
        if kind == "str":
            return node.value
        if kind not in _KINDS:
            self.problems.append(self._problem(node, key, f"the tag {node.tag} is not supported (remove it)"))
            return node.value
        try:
            return yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError):  # 2024-99-99, 0b_
            self.problems.append(self._problem(node, key, _quote(node, kind)))
            return node.value

    def _find(self, location: Iterable[int | str]) -> tuple[yaml.Node, str, yaml.Node]:
        """The node whose line is to be shown, the key's path, and the value. It goes as far as the file does."""
        shown = node = self._root
        key = ""
        for part in location:
            if isinstance(node, yaml.MappingNode):
                if part == "[key]":
                    break
                key = f"{key}.{part}" if key else str(part)
                if str(part) not in self._children[id(node)]:
                    break
                shown, node = self._children[id(node)][str(part)]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                key = f"{key}[{part}]"
                shown = node = node.value[part]
            else:  # a single text stands where a list may
                break
        return shown, key, node

    def located(self, places: Iterable[tuple[Location, str]]) -> list[Problem]:
        """Problems with file, line and key, for messages about places."""
        found = []
        for location, message in places:
            node, key, _ = self._find(location)
            found.append(self._problem(node, key, message))
        return found

    def plain(self, error: Mapping[str, Any]) -> str:
        """One of pydantic's errors in plain words."""
        location, kind = error["loc"], error["type"]
        node = self._find(location)[2]
        if kind == "extra_forbidden":
            return _unknown(location)
        if kind in ("string_type", "literal_error") and isinstance(node, yaml.ScalarNode) and _kind(node) in _KINDS:
            return _quote(node, _kind(node))
        message = _MESSAGES.get(kind, "cannot be read (compare it with the docs)").format(**error.get("ctx", {}))
        if kind == "literal_error" and isinstance(node, yaml.ScalarNode):
            message += f", not {node.value[:60]!r}"
        return message


def _kind(node: yaml.Node) -> str:
    tag: str = node.tag
    return tag.rpartition(":")[2] if tag.startswith("tag:yaml.org,2002:") else tag


def _quote(node: yaml.ScalarNode, kind: str) -> str:
    if kind == "null":
        return "is empty where a text is needed (write one or remove it)"
    return f'YAML reads {node.value} as {_KINDS.get(kind, kind)}, not as a text (write it in quotes: "{node.value}")'


def _unknown(location: Location) -> str:
    model = _PARTS[str(location[0])] if len(location) > 1 else Workflow
    near = difflib.get_close_matches(str(location[-1]), model.model_fields, 1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(model.model_fields)}"
    return f"is no key that is known here ({advice})"
