"""The parts of the standard library that a hook uses, without what they drag in.

A hook starts at every tool call, so its imports are its cost. Measured over a bare `python -I -S` of 5.5 ms: `os` 0.8
ms, `json` 5.5 ms (it imports `re`), `hashlib` 2 ms. What these are made of is built in and costs next to nothing.
`tests/imports_test.py` holds the list of what a hook may import.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any
else:
    try:
        import posix as os
    except ImportError:  # Windows: `nt` has no fsencode and other names, and speed is not promised there
        import os

try:  # a third of sha256's time, and under the same name in every release
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

__all__ = [
    "FILE_TYPE",
    "REGULAR",
    "checksum",
    "digest",
    "drain",
    "dumps",
    "getenv",
    "join",
    "loads",
    "opened",
    "os",
    "parent",
    "read",
    "sync",
    "write",
]


FILE_TYPE, REGULAR = 0o170000, 0o100000  # of a mode; importing stat costs more


class _Scanning:
    """What `_json.make_scanner` asks its context for: the defaults of `json.loads`."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(_name: str) -> None:
        """Turn NaN and the infinities, which JSON does not have, into null."""


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is not JSON")


def _slow() -> "tuple[Callable[[str], Any], Callable[[Any], str]]":
    import json

    def load(text: str) -> "Any":
        return json.loads(text, parse_constant=_Scanning.parse_constant)

    def dump(value: "Any") -> str:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    return load, dump


def _fast() -> "tuple[Callable[[str], Any], Callable[[Any], str]]":
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    scan = make_scanner(_Scanning)  # type: ignore[arg-type]
    encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
    space = " \t\n\r"

    def load(text: str) -> "Any":
        start = len(text) - len(text.lstrip(space))
        try:
            value, end = scan(text, start)
        except (StopIteration, SystemError):  # SystemError: it wants json.decoder's exception, which nobody imported
            raise ValueError("no JSON value") from None
        if end != len(text) and text[end:].strip(space):
            raise ValueError("more than one JSON value")
        return value

    def dump(value: "Any") -> str:
        if isinstance(value, (str, int, float)) or value is None:  # the C encoder serves containers alone
            value = encode([value], 0)
            return "".join(value)[1:-1]
        return "".join(encode(value, 0))

    if load(dump({"a": [1, 0.5, None, True, "\u00e9\n"]})) != {"a": [1, 0.5, None, True, "\u00e9\n"]}:
        raise ImportError("_json differs")
    return load, dump


try:
    _load, _dump = _fast()
except (ImportError, TypeError, ValueError, AttributeError):  # another interpreter, or a release that changed _json
    _load, _dump = _slow()


def loads(data: "str | bytes") -> "Any":
    """Parse JSON.

    Raises:
        ValueError: it is no JSON, no UTF-8, or nested too deeply.
    """
    try:
        return _load(data if isinstance(data, str) else str(data, "utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: "Any") -> str:
    """The JSON of `value`, in ASCII and without spaces.

    Raises:
        ValueError: it holds no finite number, or is nested too deeply.
        TypeError: JSON cannot hold it.
    """
    try:
        return _dump(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def checksum(*parts: "bytes | memoryview") -> str:
    """BLAKE2b of all parts together, in 64 hexadecimal digits."""
    total = blake2b(digest_size=32)
    for part in parts:
        total.update(part)
    return total.hexdigest()


def digest(*parts: str) -> str:
    """Name what `parts` say by 12 hexadecimal digits (48 bits)."""
    return checksum("\0".join(parts).encode("utf-8", "surrogatepass"))[:12]


def getenv(name: str) -> str:
    """The environment variable's value, or an empty string."""
    real = sys.modules.get("os")  # its environ sees changes, posix.environ is how the process began
    if real is not None:
        value: str = real.environ.get(name, "")
        return value
    raw: Any = os.environ
    return str(raw.get(name.encode(), b""), "utf-8", "surrogateescape")


def parent(path: str) -> str:
    """The folder that holds `path`; a root is its own parent, and a bare name has none: ""."""
    cut = max(path.rfind("/"), path.rfind("\\") if sys.platform == "win32" else -1)
    return (path[:cut] or path[: cut + 1]) if cut >= 0 else ""


def join(folder: str, name: str) -> str:
    """The path of `name` in `folder`. Windows takes forward slashes too."""
    return folder + name if folder.endswith("/") else folder + "/" + name


def read(path: str, limit: int = -1) -> bytes:
    """All bytes of a regular file, or at most `limit`.

    Raises:
        OSError: it cannot be read, or is a device, a pipe or a folder: nothing of ours is.
    """
    fd, size = opened(path)
    try:
        size += 1  # a byte more than there is, so that one call also sees the end
        data = os.read(fd, size if limit < 0 else min(size, limit))
        return data if len(data) < size else data + drain(fd, limit if limit < 0 else limit - len(data))
    finally:
        os.close(fd)


def opened(path: str) -> "tuple[int, int]":
    """A descriptor to read a regular file, and its size in bytes.

    Raises:
        OSError: as `read`.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # opening a pipe waits for who writes to it
    found = os.fstat(fd)
    if found.st_mode & FILE_TYPE != REGULAR:
        os.close(fd)
        raise OSError(22, "is no regular file", path)  # EINVAL, as everywhere; importing errno costs 0.05 ms
    return fd, found.st_size


def drain(fd: int, limit: int = -1) -> bytes:
    """All bytes that are left in `fd`, or at most `limit`."""
    chunks = []
    size, most = 0, 1 << 16
    while chunk := os.read(fd, most if limit < 0 else min(most, limit - size)):
        chunks.append(chunk)
        size += len(chunk)
        if len(chunk) == most:  # there is much
            most = 1 << 20
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def write(fd: int, data: bytes) -> None:
    """Write all of `data`; a single `write` may take a part."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])


def sync(folder: str) -> None:
    """Make the names in a folder durable. Windows cannot open folders, and keeps them so by itself."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:
        if getenv("OS") == "Windows_NT":
            return
        raise
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
