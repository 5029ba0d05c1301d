"""Whether a shell command answers before it has ended, so that its exit code says nothing of how it ends."""

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
DETACHING = frozenset({"setsid", "screen", "tmux", "systemd-run", "coproc", "daemonize"})  # what they start goes on
CONTAINERS = frozenset({"docker", "podman", "docker-compose", "nerdctl"})


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
