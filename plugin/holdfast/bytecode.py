"""Puts the bytecode of the hooks' modules into one file, once an install has brought them: see `start.py`. Cold."""

import ast
import importlib.util
import marshal
import os
from _imp import source_hash
from types import CodeType

from holdfast import start

# Each group in an order in which every module comes after those that it imports when it is loaded.
ALWAYS = ("", "lean", "deadline", "hook", "events", "hosts", "workflow", "workflow.patterns", "workflow.index")
PROJECT = (
    "state",
    "state.document",
    "moments",
    "state.audit",
    "state.previous",
    "state.guard",
    "state.store",
)
PROMPT = ("workflow.skills", "moments.activation")
START = ("state.backups", "state.sweeping")
OTHERS = (
    "failing",
    "spooled",
    "jobs",
    "state.spool",
    "state.folding",
    "hosts.claude",
    "hosts.codex",
    "hosts.copilot",
    "hosts.gemini",
    "hosts.opencode",
    "moments.tracking",
    "moments.resume",
    "moments.tasks",
)
HOT = (*ALWAYS, *PROJECT, *PROMPT, *START, *OTHERS)
GROUPS = (ALWAYS, PROJECT, PROMPT, START, *((name,) for name in OTHERS))
HASH = 8  # bytes
NATIVE = {"": ("_json", "_blake2"), "state": ("fcntl",)}  # extensions that the groups beginning so import


def bundle(folder: str, data: str = "") -> str:
    """Write the file for the package at `folder`, unless it is there already; its path.

    Args:
        folder: the package's.
        data: where the file shall be, if not beside the modules.

    Raises:
        OSError: it cannot be read or written, or the path is too long. Hooks then start from the modules.
    """
    target = start.file_name(folder, data)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mtime = os.stat(folder).st_mtime_ns
    if _made_from(target) == (mtime, folder, start.interpreter()):
        return target
    places: dict[str, tuple[int, int, bytes]] = {}
    groups, size = [], start.HEAD
    for names in GROUPS:
        entries = [_entry(folder, name) for name in names]
        natives = [_extension(name) for name in NATIVE.get(names[0], ())]
        groups.append(marshal.dumps([entry for entry in natives if entry] + entries))
        found_at = (size, len(groups[-1]), source_hash(start.KEY, groups[-1]))
        places |= {entry[0]: found_at for entry in entries}
        size += len(groups[-1])
    code = marshal.dumps(_entry(folder, "start", "main(file, head)\n")[3]).ljust(start.CONTENTS - HASH, b"\0")
    contents = marshal.dumps(((mtime, folder, size), places, start.interpreter()))
    head = (code + contents).ljust(start.HEAD - HASH, b"\0")
    if len(head) > start.HEAD - HASH or len(code) > start.CONTENTS - HASH:
        raise OSError(f"the head has {len(code)} and {len(contents)} bytes: the path is too long")
    temporary = f"{target}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(source_hash(start.KEY, head) + head + b"".join(groups))
        file.flush()
        os.fsync(file.fileno())  # a file that a crash has cut would keep every hook from starting
    os.replace(temporary, target)
    return target


def _entry(folder: str, name: str, more: str = "") -> tuple[str, bool, str, CodeType]:
    """A module's name, whether it is a package, its path, and its code without docstrings, with the lines `more`."""
    path = os.path.join(folder, *name.split("."))
    package = os.path.isdir(path)
    path = os.path.join(path.rstrip(os.sep), "__init__.py") if package else f"{path}.py"
    with open(path, "rb") as file:
        source = importlib.util.decode_source(file.read()) + more
    tree = _Bare().visit(ast.parse(source))
    code = compile(tree, path, "exec", dont_inherit=True, optimize=2)
    return f"holdfast.{name}".rstrip("."), package, path, code


class _Bare(ast.NodeTransformer):
    """Takes away what is there for type checkers: annotations, and the imports for them.

    For code that does not ask for its annotations: a NamedTuple or a dataclass would.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without the types of what it takes and gives."""
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """An argument without its type."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """A variable without its type."""
        bare = ast.Pass() if node.value is None else ast.Assign([node.target], self.visit(node.value))
        return ast.fix_missing_locations(ast.copy_location(bare, node))

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """What stands under `if TYPE_CHECKING` goes."""
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return node


def _extension(name: str) -> tuple[str, bool, str, None] | None:
    """A C extension's name, that it is no package, its path, and no code; None where it is built in or missing."""
    spec = importlib.util.find_spec(name)
    return (name, False, spec.origin, None) if spec and spec.origin and spec.has_location else None


def _made_from(target: str) -> object:
    """The folder's mtime, the folder and the interpreter that a whole file was made for, or None."""
    try:
        with open(target, "rb") as file:
            data = file.read()
        head = data[HASH : start.HEAD]
        if source_hash(start.KEY, head) != data[:HASH]:
            return None
        (mtime, folder, size), places, built = marshal.loads(data[start.CONTENTS : start.HEAD])  # noqa: S302  as above
    except (OSError, ValueError, EOFError, TypeError):
        return None
    groups = {(begin, begin + length, known) for begin, length, known in places.values()}
    whole = len(data) == size and all(source_hash(start.KEY, data[a:z]) == known for a, z, known in groups)
    return (mtime, folder, built) if whole else None
