"""Starts a hook: from one file of bytecode where an install has made it, else from the modules.

Finding, opening, checking and loading a module's own file costs 0.1 ms, and a hook has some twenty modules.
`bytecode.py` puts them into one file beside the interpreter's own cache. It begins with a head of `HEAD` bytes, in
which this module's code comes first: the entrypoint runs that, and no package is searched for. Then come the modules
in groups: what every hook needs, what an update, a prompt, a start needs, and the others one by one. The file counts
only for the very folder that it was made from, with the mtime it had: pip changes that when it brings another release.
The entrypoints are compiled anew by each hook, 7 us a line, so that what can be done here is done here.
"""

import gc
import sys
from _frozen_importlib import ModuleSpec
from _imp import create_dynamic, exec_dynamic, source_hash
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from io import FileIO
    from types import ModuleType
    from typing import Any

    Place = tuple[int, int, bytes]  # where in the file a group begins, its length and its hash
else:
    try:
        import posix as os
    except ImportError:
        import os

HEAD = 16384  # bytes; the entrypoints read as many. The first 8 are the others' hash
CONTENTS = 9216  # where in the head stands what `prepare` needs
KEY = 1  # of the hashes: 7 GB/s, and built in. They are the interpreter's own, and so is the file

Module = type(sys)


class Bytecode:
    """Finds and loads the modules in the file; see `importlib.abc.MetaPathFinder` and `Loader`.

    Args:
        file: the file, open; groups are read when the first of their modules is asked for.
        places: {module: the place of its group}; a group is a marshalled list of (name, whether it is a package, path,
            code). Without code it is a C extension.
        native: whether the extensions are this interpreter's.
    """

    def __init__(self, file: "FileIO", places: "dict[str, Place]", native: bool) -> None:
        self.file = file
        self.places = places
        self.native = native
        self.ready: dict[str, ModuleType] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Where a module comes from."""
        del path, target
        if name not in self.places:
            return None
        try:
            self.load(name)
        except Exception:  # noqa: BLE001  whatever a damaged file holds, the modules are there
            self.places = {}
            return None
        module = self.ready[name] = sys.modules[name]
        loader: Any = self
        return ModuleSpec(name, loader, origin=module.__file__, is_package=hasattr(module, "__path__"))

    def load(self, name: str) -> None:
        """Make and run the modules of a group, each after those that it imports, without the import system's detours.

        Raises:
            OSError, ValueError, EOFError, TypeError: the file is damaged.
        """
        start, length, known = self.places[name]
        self.file.seek(start)
        data = self.file.read(length)
        if source_hash(KEY, data) != known:
            raise ValueError("damaged")
        for each, package, path, code in loads(data):  # noqa: S302  an install of ours wrote it
            if each in sys.modules:  # a part of the group was loaded before the deadline rang
                continue
            if code is None:
                if self.native:
                    extension(each, path)
                continue
            module = Module(each)
            module.__file__ = path
            above, _, last = each.rpartition(".")
            module.__package__ = each if package else above
            if package:
                module.__path__ = [path.rpartition("/")[0]]
            sys.modules[each] = module
            try:
                exec(code, module.__dict__)  # noqa: S102  this is what importing is
            except BaseException:  # the deadline rang: who imports it again must not get a part of it
                del sys.modules[each]
                raise
            if above:
                setattr(sys.modules[above], last, module)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """The module, which `find_spec` has loaded."""
        return self.ready.pop(spec.name)

    def exec_module(self, module: "ModuleType") -> None:
        """Leave it as it is: it has run."""


def extension(name: str, path: str) -> None:
    """Load a C extension from where it was when the file was made; without the import system that saves 15 us each."""
    spec = ModuleSpec(name, None, origin=path)
    try:
        module = create_dynamic(spec)
        exec_dynamic(module)
    except ImportError:  # it is not there any more: whoever imports it searches for it
        return
    module.__spec__ = spec
    sys.modules[name] = module


def file_name(folder: str, data: str = "") -> str:
    """The path of the file for the package at `folder`: beside its modules, or in the folder `data`."""
    return f"{data or folder + '/__pycache__'}/hooks.{sys.implementation.cache_tag}.bytecode"


def interpreter() -> str:
    """What tells one build of Python from another that has the same bytecode."""
    return f"{sys.version} {sys.base_exec_prefix}"


def prepare(file: "FileIO", head: bytes) -> None:
    """Let the hooks' modules come from the file, if it is of this release and whole.

    Args:
        file: the file.
        head: its first `HEAD` bytes. From `CONTENTS` on they hold, marshalled: the package's folder's mtime in
            nanoseconds, the folder, and the file's size in bytes; `Bytecode`'s places; the interpreter it is for.
    """
    try:
        (mtime, folder, size), places, built = loads(head[CONTENTS:])  # noqa: S302  an install of ours wrote it
        whole = os.fstat(file.fileno()).st_size == size
        if whole and sys.path[0] + "/holdfast" == folder and os.stat(folder).st_mtime_ns == mtime:
            found = Bytecode(file, places, built == interpreter())
            sys.meta_path.insert(0, found)
            try:
                found.load("holdfast")
            except ValueError:
                sys.meta_path.remove(found)
    except (OSError, ValueError, EOFError, TypeError):
        pass


def main(file: "FileIO | None" = None, head: bytes = b"") -> None:
    """Answer the payload on stdin; never returns.

    Args:
        file: what the hooks' modules may come from; see `prepare`.
        head: its beginning.
    """
    gc.disable()  # a process of 10 ms is over before a collection pays
    try:
        if file is not None:
            prepare(file, head)
        if "--start" in sys.argv:  # only a native package's session start says so
            from holdfast.native import main as run
        else:
            from holdfast.hook import main as run
    except BaseException:
        if "--dry-run" in sys.argv:
            raise
        os._exit(0)  # an upgrade replaces the modules just now: the host must not be disturbed
    run()
