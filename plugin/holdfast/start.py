"""Starts a hook: from one file of bytecode where an install has made it, else from the modules.

Finding, opening and checking a module's own file costs 0.1 ms, and a hook has some twenty modules. `bytecode.py` puts
them into one file beside the interpreter's own cache. It counts only for the very folder that it was made from: pip
changes the folder's mtime when it brings another release.
"""

import sys
from _frozen_importlib import ModuleSpec
from marshal import loads

from holdfast import __path__ as folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from types import CodeType, ModuleType
    from typing import Any
else:
    try:
        import posix as os
    except ImportError:
        import os


class Bytecode:
    """Finds and loads the modules in the file: {name: (whether it is a package, its marshalled code, its path)}."""

    def __init__(self, modules: "dict[str, tuple[bool, bytes, str]]") -> None:
        self.modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Where a module comes from; see `importlib.abc.MetaPathFinder`."""
        del path, target
        found = self.modules.get(name)
        if found is None:
            return None
        loader: Any = self
        spec = ModuleSpec(name, loader, origin=found[2], is_package=found[0])
        if found[0]:
            spec.submodule_search_locations = [found[2].rpartition("/")[0]]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """Leave it to the import system; see `importlib.abc.Loader`."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run a module's code; see `importlib.abc.Loader`."""
        name = module.__name__
        module.__file__ = self.modules[name][2]
        code: CodeType = loads(self.modules[name][1])  # noqa: S302  an install of ours wrote it, where modules are
        exec(code, module.__dict__)  # noqa: S102  this is what importing is


def file_name(folder: str) -> str:
    """The path of the file for the package at `folder`."""
    return f"{folder}/__pycache__/hooks.{sys.implementation.cache_tag}.bytecode"


def prepare() -> None:
    """Let the hooks' modules come from the file, if it is there and of this release."""
    try:
        folder = os.fspath(folders[0])
        fd = os.open(file_name(folder), os.O_RDONLY)
        try:
            data = os.read(fd, 1 << 22)
        finally:
            os.close(fd)
        made_from, modules = loads(data)  # noqa: S302  likewise
        if made_from == (os.stat(folder).st_mtime_ns, folder):
            sys.meta_path.insert(0, Bytecode(modules))
    except (OSError, ValueError, EOFError, TypeError):
        pass


def main() -> None:
    """Answer the payload on stdin; never returns."""
    try:
        prepare()
        from holdfast.hook import main as run
    except BaseException:
        if "--dry-run" in sys.argv:
            raise
        os._exit(0)  # an upgrade replaces the modules just now: the host must not be disturbed
    run()
