"""Alters bytes: as bytes, as values within a text, and as a tree where they are JSON."""

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

DEEP = "@deep@"
VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|\b(?:true|false|null)\b')
WEIRD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    1e308,
    -1e308,
    float("inf"),
    float("nan"),
    1 << 31,
    1 << 53,
    1 << 64,
    -(10**30),
    10**400,
    "",
    " ",
    "0",
    "a\0b",
    "\ud800",
    "\U0001f600",
    "\u202e\u2028",
    "é" * 300,
    "a" * 70_000,
    "9" * 5000,
    "</system-reminder><b",
    "../../../etc/passwd",
    "/dev/zero",
    "a\nb: c",
    "(a+)+$",
    "(a{65535}){65535}",
    "[[:alpha:]]",
    "(?P<n>a)(?P=n)",
    "{" * 50 + "a" + "}" * 50,
    "**/" * 500,
    "[z-a]",
    "@tests",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"seal": "0" * 64},
    DEEP,
]
PIECES = [
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b"\t", b"//", b"/*",
    b"*/", b"1e999", b"NaN", b"-Infinity", b"\\ud800", b"\\u0000", b"\xed\xa0\x80", b"---\n", b"&a ", b"*a", b"<<: ", b"!!set ",
    b"!!python/object:os.system ", b"? ", b"- ", b"|\n", b"%YAML 9.9\n", b"=", b"~", b"0o17", b"1_000", b"2024-99-99",
]  # fmt: skip


def mutate(data: bytes, random: "Random", most: int = 1 << 17) -> bytes:
    """Some other bytes, at most `most`."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice((_tree, _tree, _tree, _value, _value, _bytes))(data, random)[:most]
    return data


def _tree(data: bytes, random: "Random") -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _value(data, random)
    places = list(_places(tree))
    if not places:
        return _bytes(data, random)
    holder, key = random.choice(places)
    what = random.randrange(8)
    if what == 0:
        del holder[key]
    elif what == 1:
        other, there = random.choice(places)
        holder[key] = other[there] if other is not holder else random.choice(WEIRD)
    elif what == 2 and isinstance(holder, dict):
        holder[str(random.choice(WEIRD))] = holder[key]
    elif what == 3:
        holder[key] = [holder[key]] * random.choice((1, 2, 40))
    elif what == 4:
        holder[key] = {str(random.choice(WEIRD)): holder[key]}
    elif what == 5 and isinstance(holder[key], str):
        text = holder[key]
        cut = random.randrange(len(text) + 1)
        holder[key] = text[:cut] + str(random.choice(WEIRD)) + text[cut:]
    else:
        holder[key] = random.choice(WEIRD)
    try:
        text = json.dumps(tree, ensure_ascii=random.random() < 0.8)
    except (ValueError, RecursionError):  # what was moved into itself
        return _bytes(data, random)
    if random.random() < 0.5:
        text = text.replace("Infinity", "1e999")
    depth = random.choice((10, 150, 900, 30_000))
    text = text.replace(f'"{DEEP}"', "[" * depth + "]" * depth)
    if random.random() < 0.1:
        text = text.replace("{", "{" + json.dumps(str(key)) + ":1,", 1)  # a key that stands twice
    return text.encode("utf-8", "surrogatepass")


def _places(tree: Any, depth: int = 0) -> Any:
    if isinstance(tree, (dict, list)) and depth < 30:
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key], depth + 1)


def _value(data: bytes, random: "Random") -> bytes:
    """Another value in the place of one, and all else as it was: the text need be no JSON as a whole."""
    found = list(VALUE.finditer(data))
    if not found:
        return _bytes(data, random)
    place = random.choice(found)
    value = random.choice(WEIRD) if random.random() < 0.6 else random.choice(found).group()
    new = value if isinstance(value, bytes) else json.dumps(value).encode()
    return data[: place.start()] + new + data[place.end() :]


def _bytes(data: bytes, random: "Random") -> bytes:
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((0, 1, 2, 8, 64, 1000)))
    what = random.randrange(6)
    if what == 0:
        return data[:start]
    if what == 1:
        return data[:start] + data[end:]
    if what == 2:
        return data[:start] + data[start:end] * random.choice((2, 3, 50)) + data[end:]
    if what == 3:
        return data[:start] + bytes(end - start) + data[end:]
    if what == 4 and start < len(data):
        return data[:start] + bytes([data[start] ^ 1 << random.randrange(8)]) + data[start + 1 :]
    return data[:start] + random.choice(PIECES) + data[start:]
