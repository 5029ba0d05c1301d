"""The index: the workflow, validated and compiled to one JSON file that a hook can read in parts.

`index.json` is one JSON object, laid out so that parts of it can be found as bytes: a line with the header, a line
with the workflow, then sections with one entry a line. The header gives each section's place. `compiler.py` writes
it.
"""

from holdfast.lean import checksum, dumps, join, loads, opened, os, read
from holdfast.workflow import patterns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event

FORMAT = 2
NAME = "index.json"
SOURCE = "workflow.yaml"
# those of finished calls first, the largest last
SECTIONS = ("signals", "file_literals", "globs", "standing", "keywords", "literals", "skills", "patterns")
FIRST = 16384  # bytes that a hook reads at once: mostly all that a finished call can match
NEVER = [-2, 0]  # the fingerprint in an index that stands for one that could not be made


class Damaged(BaseException):
    """The index was damaged. No Exception, so that nobody takes it for a fault of what is held against it."""


class Index:
    """A compiled workflow.

    Args:
        data: the file's bytes, or some from its beginning.
        size: how many the file has; -1 where `data` is all.
        fd: the descriptor that the others are read from when they are needed; it stays open.

    Raises:
        ValueError, KeyError, TypeError: it is none, or of another format. Whatever is asked of it may raise ValueError
            or OSError, too, if the others cannot be read.
    """

    def __init__(self, data: bytes, size: int = -1, fd: int = -1) -> None:
        self.data = data
        self.size = len(data) if size < 0 else size
        self.fd = fd
        if b"\n" not in data:
            self._need(self.size)
        end = self.data.index(b"\n")
        self.header: dict[str, Any] = loads(self.data[len(b'{"header":') : end].rstrip(b","))
        if self.header["format"] != FORMAT:
            raise ValueError("another format")
        self.base = end + 1
        if self._bounds(SECTIONS[-1])[1] + len(b"}\n") != self.size:
            raise ValueError("cut, or longer than it was")
        self._workflow: dict[str, Any] | None = None

    def _need(self, end: int) -> None:
        """Have the bytes up to `end`."""
        missing = end - len(self.data)
        if missing > 0:
            more = os.pread(self.fd, missing, len(self.data))
            if len(more) < missing:
                raise ValueError("cut")
            self.data += more

    def close(self) -> None:
        """Let go of the descriptor: what was not read is not needed any more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def whole(self) -> bool:
        """Whether it is as it was written. It costs too much to be asked before anything has failed."""
        try:
            self._need(self.size)
        except ValueError:
            return False
        places = self.header.get("sections")
        return isinstance(places, dict) and self.header.get("seal") == seal(places, self.data[self.base :])

    @property
    def workflow(self) -> "dict[str, Any]":
        """{"name", "phases": [{"id", "title", "next": [signal], "guidance"}], "max_chars", "plan": [glob], ...}."""
        if self._workflow is None:
            self._need(self.base + self.header["sections"][SECTIONS[0]][0])
            end = self.data.index(b"\n", self.base)
            self._workflow = loads(self.data[self.base + len(b'"workflow":') : end].rstrip(b","))
        return self._workflow

    def kept(self) -> "tuple[int, int | None]":
        """How many dated copies of the state stay, and for how many days; None for any age."""
        found = self.workflow.get("backups") or {"keep": 20, "max_age_days": None}  # an older release compiled it
        return found["keep"], found["max_age_days"]

    def phase(self, name: "str | None") -> "tuple[int, dict[str, Any]] | None":
        """The phase's place, counted from 0, and itself; None where the workflow has no such phase."""
        for place, phase in enumerate(self.workflow["phases"]):
            if phase["id"] == name:
                return place, phase
        return None

    def _bounds(self, section: str) -> "tuple[int, int]":
        start, end = self.header["sections"][section]
        return self.base + start, self.base + end

    def _ready(self, section: str) -> "tuple[int, int]":
        """The bounds of a section that can be looked into."""
        start, end = self._bounds(section)
        self._need(end)
        return start, end

    def entry(self, section: str, key: str) -> "Any":
        """What stands under `key` in a section, or None."""
        start, end = self._ready(section)
        needle = b"\n" + dumps(key).encode("ascii") + b":"
        place = self.data.find(needle, start, end)
        if place < 0:
            return None
        place += len(needle)
        return loads(self.data[place : self.data.index(b"\n", place)].rstrip(b","))

    def section(self, section: str) -> "dict[str, Any]":
        """A whole section."""
        start, end = self._ready(section)
        whole: dict[str, Any] = loads(self.data[start:end])
        return whole

    def empty(self, section: str) -> bool:
        """Whether a section has no entries."""
        start, end = self._ready(section)
        return self.data.find(b":", start, end) < 0

    def signals(self, kind: str) -> "list[dict[str, Any]]":
        """The rules that a finished call of this kind of tool can fire, in the workflow's order."""
        return self.entry("signals", kind) or []

    def concerns(self, event: "Event") -> bool:
        """Whether the state has to know of an event: not of a read or a search that no signal asks for."""
        tool = event.tool
        return tool is None or tool.kind not in ("read", "search") or bool(self.signals(tool.kind))

    def candidates(self, section: str, folded: str, ascii_only: bool) -> "list[tuple[str, str]]":
        """(skill, pattern's number) for each pattern whose literals occur, or that has none."""
        if self.empty(section):
            return []
        found = []
        for literal, pairs in self.section(section).items():
            if not literal or not ascii_only or literal in folded:
                found += pairs
        return found

    def skills_touched_by(self, paths: "list[str]") -> "list[str]":
        """The skills that ask for any of these files."""
        joined = "\n".join(paths)
        found = {}
        for name, number in self.candidates("file_literals", joined, ascii_only=True):
            if name not in found:
                glob = self.entry("globs", number)
                if any(patterns.search(glob, path, path) for path in paths):
                    found[name] = True
        return list(found)


def seal(places: "dict[str, Any]", body: bytes) -> str:
    """What tells whether an index was damaged: of its sections' places and of all that follows its header."""
    return checksum(dumps(places).encode("ascii") + body)


def fingerprint(folder: str) -> "list[int]":
    """What tells whether the sources changed: size and mtime of workflow.yaml in ns; [-1, 0] where there is none."""
    try:
        found = os.stat(join(folder, SOURCE))
    except FileNotFoundError:
        return [-1, 0]
    return [found.st_size, found.st_mtime_ns]


def load(folder: str, *, lazily: bool = False) -> "Index | None":
    """The index of a project, if it is there and up to date.

    It is up to date, too, where its sources are broken and were so when they were last looked at: then it is the last
    good one, and `header["error"]` says what is wrong.

    Args:
        folder: the project's `.holdfast`.
        lazily: whether it may be read as it is needed, by who leaves a descriptor open, as a hook does.
    """
    try:
        index = _begun(join(folder, NAME)) if lazily and hasattr(os, "pread") else Index(read(join(folder, NAME)))
        if index.header["source"] == fingerprint(folder) and index.header["key"] == patterns.key():
            return index
        index.close()
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _begun(path: str) -> Index:
    """An index of which the first bytes are read."""
    fd, size = opened(path)
    try:
        return Index(os.read(fd, FIRST), size, fd)
    except BaseException:
        os.close(fd)
        raise


def refresh(folder: str) -> Index:
    """The project's index, compiled again where that is due. A broken workflow leaves the last good one in force.

    Raises:
        OSError: the folder cannot be read.
    """
    index = load(folder)
    if index is not None:
        return index
    from holdfast.workflow import compiler

    return compiler.refresh(folder)
