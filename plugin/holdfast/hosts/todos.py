"""Copilot CLI keeps its plan in a table of its session's database: what an SQL text changes in it.

The table was recorded from 1.0.102: `todos(id, title, description, status, created_at, updated_at)`. Imported when the
agent wrote SQL that names it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    Statement = list[tuple[str, str]]  # of each token what it reads as ("'" for a text), and what stands there

COLUMNS = ["id", "title", "description", "status"]
STATUSES = {"done": "completed"}  # `blocked` counts as pending
LONGEST = 50_000  # characters of an SQL text that are read
QUOTES = {"'": "'", '"': '"', "`": "`", "[": "]"}
TEXT = "'"


def changes(query: str) -> "list[dict[str, str]]":
    """What becomes of the tasks whose rows are put in, changed or deleted: {"title", "status", "ref"}, "" = as it was.

    Only what the text itself says is known: rows that are copied from elsewhere, and those that a condition finds by
    anything but their ids, are passed over.
    """
    found: list[dict[str, str]] = []
    for statement in _statements(query[:LONGEST]):
        words = [word for word, _text in statement]
        if words[:4] == ["delete", "from", "todos", "where"]:
            found += [_task(name, "", "deleted") for name in _ids(statement[4:])]
        elif words[:1] == ["update"]:
            found += _updated(statement, words)
        elif words[:1] in (["insert"], ["replace"]):
            found += _inserted(statement, words)
    return found


def _task(name: str, title: str, status: str) -> "dict[str, str]":
    return {"title": title, "status": STATUSES.get(status.lower(), status), "ref": name}


def _inserted(statement: "Statement", words: "list[str]") -> "list[dict[str, str]]":
    place = words.index("into") + 1 if "into" in words else 0
    if words[place : place + 1] != ["todos"] or "values" not in words:
        return []
    start = words.index("values")
    columns = [word for word in words[place + 1 : start] if word not in "(,)"] or COLUMNS
    found: list[dict[str, str]] = []
    row: list[str] = []
    depth = 0
    for word, text in statement[start + 1 :]:
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
            if depth == 0:
                given = dict(zip(columns, row, strict=False))  # what is wrong with it fails the call
                found.append(_task(given.get("id", ""), given.get("title", ""), given.get("status", "pending")))
                row = []
        elif depth == 1 and word != ",":
            row.append(text)
        elif depth == 0 and word != ",":
            break  # ON CONFLICT …
    return found


def _updated(statement: "Statement", words: "list[str]") -> "list[dict[str, str]]":
    if "set" not in words or "where" not in words or words[words.index("set") - 1] != "todos":
        return []
    end = words.index("where")
    given = {}
    for place in range(words.index("set") + 1, end - 2):
        if words[place - 1] in ("set", ",") and words[place + 1] == "=" and words[place + 3] in (",", "where"):
            given[words[place]] = statement[place + 2][1]
    if not {"title", "status"} & given.keys():
        return []
    return [_task(name, given.get("title", ""), given.get("status", "")) for name in _ids(statement[end + 1 :])]


def _ids(condition: "Statement") -> "list[str]":
    """The ids in `id = 'a'` or `id IN ('a', 'b')`; none where the condition says more."""
    words = [word for word, _text in condition]
    if words[:2] == ["id", "="] and len(words) == 3:  # noqa: PLR2004  and the id
        return [condition[2][1]]
    if words[:3] == ["id", "in", "("] and ")" not in words[3:-1] and words[-1] == ")":
        return [text for word, text in condition[3:-1] if word != ","]
    return []


def _statements(query: str) -> "list[Statement]":
    """The tokens of each statement, comments left out."""
    found: list[Statement] = [[]]
    index = 0
    while index < len(query):
        character, start = query[index], index
        index += 1
        if query.startswith(("--", "/*"), start):
            ending = "\n" if character == "-" else "*/"
            place = query.find(ending, index)
            index = len(query) if place < 0 else place + len(ending)
        elif character in QUOTES:
            text, index = _quoted(query, index, QUOTES[character])
            found[-1].append((TEXT if character == TEXT else text.lower(), text))
        elif character == ";":
            found.append([])
        elif character.isalnum() or character in "_.-":
            while query[index : index + 1].isalnum() or query[index : index + 1] in ("_", ".", "-"):
                index += 1
            found[-1].append((query[start:index].lower(), query[start:index]))
        elif not character.isspace():
            found[-1].append((character, character))
    return found


def _quoted(query: str, index: int, closing: str) -> "tuple[str, int]":
    """What is quoted from `index` on, in which a doubled quote stands for one, and the place after it."""
    parts: list[str] = []
    while True:
        place = query.find(closing, index)
        if place < 0:
            return "".join([*parts, query[index:]]), len(query)
        parts.append(query[index:place])
        if query[place + 1 : place + 2] != closing:
            return "".join(parts), place + 1
        parts.append(closing)
        index = place + 2
