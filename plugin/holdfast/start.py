"""Starts a hook: from one file of bytecode where an install has made it, else from the modules.

Finding, opening, checking and loading a module's own file costs 0.1 ms, and a hook has some twenty modules.
`bytecode.py` puts them into one file beside the interpreter's own cache: those that every hook needs, those that an
update needs, and the others by name. It counts only for the very folder that it was made from: pip changes the
folder's mtime when it brings another release.
"""

import gc
import sys
from _frozen_importlib import ModuleSpec
from marshal import loads

from holdfast import __path__ as folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from types import ModuleType
    from typing import Any
else:
    try:
        import posix as os
    except ImportError:
        import os

Module = type(sys)


class Bytecode:
    """Finds and loads the modules in the file; see `importlib.abc.MetaPathFinder` and `Loader`.

    Args:
        project: the modules that are loaded together when the first of them is asked for, marshalled: a list of
            (name, whether it is a package, path, code).
        names: their names.
        others: {name: one such entry, marshalled}.
    """

    def __init__(self, project: bytes, names: "tuple[str, ...]", others: "dict[str, bytes]") -> None:
        self.project = project
        self.names = names
        self.others = others
        self.ready: dict[str, ModuleType] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Where a module comes from."""
        del path, target
        if name in self.names:
            load(loads(self.project))  # noqa: S302  an install of ours wrote it, where modules are
            self.names = ()
        elif name in self.others:
            load([loads(self.others.pop(name))])  # noqa: S302  likewise
        else:
            return None
        module = self.ready[name] = sys.modules[name]
        loader: Any = self
        return ModuleSpec(name, loader, origin=module.__file__, is_package=hasattr(module, "__path__"))

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """The module, which `find_spec` has loaded."""
        return self.ready.pop(spec.name)

    def exec_module(self, module: "ModuleType") -> None:
        """Leave it as it is: it has run."""


def load(entries: "list[Any]") -> None:
    """Make and run modules, each after those that it imports, without what the import system does around it."""
    for name, package, path, code in entries:
        module = Module(name)
        module.__file__ = path
        above, _, last = name.rpartition(".")
        module.__package__ = name if package else above
        if package:
            module.__path__ = [path.rpartition("/")[0]]
        sys.modules[name] = module
        exec(code, module.__dict__)  # noqa: S102  this is what importing is
        setattr(sys.modules[above], last, module)


def file_name(folder: str, data: str = "") -> str:
    """The path of the file for the package at `folder`: beside its modules, or in the folder `data`."""
    return f"{data or folder + '/__pycache__'}/hooks.{sys.implementation.cache_tag}.bytecode"


def prepare(data: str = "") -> None:
    """Let the hooks' modules come from the file, if it is there and of this release."""
    try:
        folder = os.fspath(folders[0])
        fd = os.open(file_name(folder, data), os.O_RDONLY)
        try:
            content = os.read(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)
        made_from, always, *more = loads(content)  # noqa: S302  an install of ours wrote it, where modules are
        if made_from == (os.stat(folder).st_mtime_ns, folder):
            sys.meta_path.insert(0, Bytecode(*more))
            load(loads(always))  # noqa: S302  likewise
    except (OSError, ValueError, EOFError, TypeError):
        pass


def main(data: str = "", starts: bool = False) -> None:
    """Answer the payload on stdin; never returns.

    Args:
        data: the folder of a native package's data, or "".
        starts: whether a session starts, in a native package.
    """
    gc.disable()  # a process of 10 ms is over before a collection pays
    try:
        prepare(data)
        if starts:
            from holdfast.native import main as run
        else:
            from holdfast.hook import main as run
    except BaseException:
        if "--dry-run" in sys.argv:
            raise
        os._exit(0)  # an upgrade replaces the modules just now: the host must not be disturbed
    run()
