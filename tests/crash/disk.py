"""A model of what a POSIX file system may hold after a crash.

`Recording` takes down what an operation does to a folder; `crashes` gives every state that the disk could be in if the
machine had stopped at any step of it. What the model promises is what POSIX does, and no more:

- A file's data is on the disk after an fsync of the file. Until then any version since the last fsync may be there, the
  newest of them in part, or with zeros in place of what was written.
- A name (made, renamed, linked or removed) is on the disk after an fsync of its folder. Until then each change to a
  folder may be there and any other not: a file system may write them in another order.
- A rename is there as a whole or not at all, between two folders too.
- An fsync of a file does not keep its name, and that of a folder not its files' data.
- A symbolic link is a name like others: it is there with what it leads to, or not at all.

A process that was killed leaves one of these states, too: the one with all that its steps had done.
"""

import itertools
import os
from typing import NamedTuple

from systemcalls import led_through

TOP = 0  # the number of the recorded folder itself


class Names(NamedTuple):
    """A step: folders' names lead elsewhere. changes: {folder: {name: number of a file or folder, or None}}."""

    changes: dict


class Data(NamedTuple):
    """A step: a file holds other bytes than before."""

    number: int
    content: bytes


class Sync(NamedTuple):
    """A step: a file or a folder was synced."""

    number: int


class Left(NamedTuple):
    """What a crash left. files: {path: number of its content, or None for a folder}; a number may have two names.

    links: {number of a symbolic link: what it leads to}.
    """

    files: dict
    contents: dict
    links: dict

    def materialise(self, folder):
        """Make it real in an empty folder."""
        first = {}
        for path, number in sorted(self.files.items()):
            place = os.path.join(folder, path)
            if number is None:
                os.mkdir(place, 0o700)
            elif number in self.links:
                os.symlink(self.links[number], place)
            elif number in first:
                os.link(first[number], place)
            else:
                first[number] = place
                fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(fd, self.contents[number])
                os.close(fd)

    def key(self):
        """Equal for states that are the same on the disk."""
        return frozenset(self.files.items()), frozenset(self.contents.items())  # a link's number tells where it leads


class Recording:
    """Takes down the steps of what is done within `with recording:`. What was there before counts as durable.

    Attributes: `steps`; `calls`, the names of the system calls that altered or synced something; `marks`, {what was acknowledged: after how many steps}; `current`, {file's number: its bytes}.
    """

    def __init__(self, folder):
        self.folder = os.path.realpath(folder)
        self.steps = []
        self.calls = []
        self.marks = {}
        self._numbers = itertools.count(TOP + 1)
        self._names = {TOP: {}}
        self.current = {}
        self.links = {}
        self._opened = {}
        self._scan(self.folder, TOP, {})
        self.names = {number: dict(names) for number, names in self._names.items()}
        self.data = dict(self.current)

    def _scan(self, path, number, known):
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                child = next(self._numbers)
                self._names[child] = {}
                self._scan(entry.path, child, known)
            elif entry.is_symlink():
                child = next(self._numbers)
                self.links[child] = os.readlink(entry.path)
            else:
                child = known.setdefault(entry.inode(), next(self._numbers))
                with open(entry.path, "rb") as file:
                    self.current[child] = file.read()
            self._names[number][entry.name] = child

    def __enter__(self):
        self._leading = led_through(self._follow)
        self._leading.__enter__()
        return self

    def __exit__(self, *what):
        self._leading.__exit__(*what)

    def mark(self, name):
        """Note that `name` was acknowledged: it must outlive every crash after this step."""
        self.marks[name] = len(self.steps)

    def _follow(self, name, real, *given, **more):
        assert not {"dir_fd", "src_dir_fd", "dst_dir_fd"} & {key for key, value in more.items() if value is not None}
        result = real(*given, **more)
        if self._concerns(name, given):
            self.calls.append("rename" if name == "replace" else name)
        getattr(self, f"_did_{name}")(result, *given)
        return result

    def _concerns(self, name, given):
        if name == "open":
            return bool(given[1] & os.O_CREAT) and self._place(given[0]) is not None
        if name == "close":
            return False
        return given[0] in self._opened if isinstance(given[0], int) else self._place(given[0]) is not None

    def _place(self, path):
        """The folder that `path` is in and its name there; None if it is not in what is recorded."""
        above, name = os.path.split(os.path.abspath(os.fspath(path)))
        relative = os.path.relpath(os.path.realpath(above), self.folder)
        if relative.split(os.sep)[0] == os.pardir:
            return None
        number = TOP
        for part in relative.split(os.sep) if relative != os.curdir else ():
            number = self._names[number][part]
        return number, name

    def _alter(self, changes):
        for folder, names in changes.items():
            for name, number in names.items():
                if number is None:
                    del self._names[folder][name]
                else:
                    self._names[folder][name] = number
        self.steps.append(Names(changes))

    def _fill(self, number, content):
        if self.current[number] != content:
            self.current[number] = content
            self.steps.append(Data(number, content))

    def _did_open(self, fd, path, flags, *_mode):
        self._opened.pop(fd, None)
        if os.path.realpath(path) == self.folder:
            self._opened[fd] = TOP
            return
        place = self._place(path)
        if place is None:
            return
        folder, name = place
        if name not in self._names[folder]:
            number = next(self._numbers)
            self.current[number] = b""
            self._alter({folder: {name: number}})
        self._opened[fd] = number = self._names[folder][name]
        if flags & os.O_TRUNC:
            self._fill(number, b"")

    def _did_close(self, _result, fd):
        self._opened.pop(fd, None)

    def _did_write(self, count, fd, data):
        number = self._opened.get(fd)
        if number in self.current:
            at = os.lseek(fd, 0, os.SEEK_CUR) - count
            old = self.current[number]
            self._fill(number, old[:at].ljust(at, b"\0") + bytes(data[:count]) + old[at + count :])

    def _did_ftruncate(self, _result, fd, size):
        number = self._opened.get(fd)
        if number in self.current:
            self._fill(number, self.current[number][:size].ljust(size, b"\0"))

    def _did_truncate(self, _result, path, size):
        place = self._place(path)
        if place is not None:
            number = self._names[place[0]][place[1]]
            self._fill(number, self.current[number][:size].ljust(size, b"\0"))

    def _did_fsync(self, _result, fd):
        if fd in self._opened:
            self.steps.append(Sync(self._opened[fd]))

    def _did_replace(self, _result, source, target):
        old, new = self._place(source), self._place(target)
        if old is None and new is None:
            return
        assert old is not None and new is not None, f"{source} -> {target} crosses the border of what is recorded"
        number = self._names[old[0]][old[1]]
        if self._names[new[0]].get(new[1]) == number:
            return  # POSIX: two names of one file both stay
        changes = {old[0]: {old[1]: None}}
        changes.setdefault(new[0], {})[new[1]] = number
        self._alter(changes)

    _did_rename = _did_replace

    def _did_link(self, _result, source, target):
        old, new = self._place(source), self._place(target)
        if old is not None and new is not None:
            self._alter({new[0]: {new[1]: self._names[old[0]][old[1]]}})

    def _did_symlink(self, _result, target, path, *_is_folder):
        place = self._place(path)
        if place is not None:
            number = next(self._numbers)
            self.links[number] = os.fspath(target)
            self._alter({place[0]: {place[1]: number}})

    def _did_unlink(self, _result, path):
        place = self._place(path)
        if place is not None:
            self._alter({place[0]: {place[1]: None}})

    _did_rmdir = _did_unlink

    def _did_mkdir(self, _result, path, *_mode):
        place = self._place(path)
        if place is not None:
            number = next(self._numbers)
            self._names[number] = {}
            self._alter({place[0]: {place[1]: number}})


def crashes(recording):
    """Every state that a crash could leave, once, as (Left, what must be there: the marks that were set before it)."""
    seen = set()
    for count in range(len(recording.steps) + 1):
        steps = recording.steps[:count]
        due = frozenset(name for name, after in recording.marks.items() if after <= count)
        for names in _folders(recording, steps):
            for left in _files(recording, steps, names):
                key = (left.key(), due)
                if key not in seen:
                    seen.add(key)
                    yield left, due


def _folders(recording, steps):
    """Every way in which the folders may be: {folder: {name: number}}."""
    altering = {}  # folder: the steps that alter it
    durable = {}  # folder: how many of them an fsync has made durable
    for place, step in enumerate(steps):
        if isinstance(step, Names):
            for folder in step.changes:
                altering.setdefault(folder, []).append(place)
        elif isinstance(step, Sync) and step.number in altering:
            durable[step.number] = len(altering[step.number])
    choices = [_subsets(places, durable.get(folder, 0)) for folder, places in altering.items()]
    for chosen in itertools.product(*choices):
        done = dict(zip(altering, chosen, strict=True))
        if any(
            (place in done[folder]) != (place in done[other])
            for place, step in enumerate(steps)
            if isinstance(step, Names)
            for folder, other in itertools.pairwise(step.changes)
        ):
            continue
        names = {folder: dict(found) for folder, found in recording.names.items()}
        for place, step in enumerate(steps):
            if isinstance(step, Names) and all(place in done[folder] for folder in step.changes):
                for folder, changes in step.changes.items():
                    there = names.setdefault(folder, {})
                    there.update(changes)
        yield {folder: {name: n for name, n in found.items() if n is not None} for folder, found in names.items()}


def _subsets(places, durable):
    """The sets of steps that may be on the disk if the first `durable` of these surely are."""
    free = places[durable:]
    every = itertools.chain.from_iterable(itertools.combinations(free, length) for length in range(len(free) + 1))
    return [{*places[:durable], *more} for more in every]


def _files(recording, steps, names):
    """Every way in which the files that are to be found by these names may be."""
    versions = {number: [content] for number, content in recording.data.items()}
    for step in steps:
        if isinstance(step, Data):
            versions.setdefault(step.number, [b""]).append(step.content)
        elif isinstance(step, Sync) and step.number in versions:
            versions[step.number] = versions[step.number][-1:]
    files = {}

    def walk(folder, path):
        for name, number in names.get(folder, {}).items():
            is_file = number in recording.current or number in recording.links
            files[path + name] = number if is_file else None
            if not is_file:
                walk(number, f"{path}{name}/")

    walk(TOP, "")
    numbers = sorted({number for number in files.values() if number in recording.current})
    for contents in itertools.product(*(_contents(versions.get(number, [b""])) for number in numbers)):
        yield Left(files, dict(zip(numbers, contents, strict=True)), recording.links)


def _contents(versions):
    """What a file may hold whose versions since its last fsync are these."""
    found = list(dict.fromkeys(versions))
    if len(versions) > 1:
        old, new = versions[-2:]
        half = len(new) // 2
        found += [new[:cut] + old[cut:] for cut in (1, half, len(new) - 1)]
        kept = len(old) if new.startswith(old) else 0
        found += [new[:kept].ljust(len(new), b"\0"), new[: max(kept, half)].ljust(len(new), b"\0")]
    return list(dict.fromkeys(found))
