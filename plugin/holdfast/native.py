"""A session's start where holdfast came as a host's own package, without install.py.

Such a package's hooks run on the `python3` that is there. The private environment, which only the cold paths and the
command need, is set up in the background, in the folder that the host keeps for the package's data:

    environment/   the virtual environment
    ready          what is in it, once it is whole: run.sh and bin/holdfast use none that is not
    setup.json     {"tries", "at": Unix time, "error"}, until it is whole
    setup.lock     held by the one process that sets it up
    hooks.….bytecode, pycache/    the hooks' modules as one file, and the interpreter's own cache: nothing may be
                   written where the package is
"""

import sys
from time import time

from holdfast import deadline, hook
from holdfast.events import Reply, clean
from holdfast.lean import join, loads, os, parent, read
from holdfast.start import file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.events import Event

REQUIREMENTS = (
    "click>=8.1",
    "filelock>=3.25.2",
    "platformdirs>=4",
    "pydantic>=2.5",
    "pyyaml>=6",
    "rich>=13",
    "tenacity>=8.2",
    "tomli>=2; python_version < '3.11'",
)
WHOLE = " ".join(("Python {}.{}:".format(*sys.version_info), *REQUIREMENTS))
READY = "ready"
RECORD = "setup.json"
LOCK = "setup.lock"
ENVIRONMENT = "environment"
PARTS = (".", "hosts", "moments", "state", "workflow")  # the folders of what is in the file of bytecode
TRIES = 5  # one a session's start; after that, one a day
DAY = 86_400.0  # seconds
SET_UP = "import sys; sys.path.insert(0, sys.argv[1]); from holdfast.install.background import main; main(sys.argv[2])"


class Start(hook.Run):
    """The hook of a session's start, which also says how it stands with the private environment."""

    def answer(self) -> bytes:
        """Read stdin and apply what it says; in a folder without a workflow only the user is told."""
        from holdfast import hosts
        from holdfast.lean import dumps

        said = super().answer()
        if self.event is None or self.folder:
            return said
        line = set_up_line()
        answer = hosts.module(self.host).render(self.event, Reply("", line)) if line else None
        return dumps(answer).encode("ascii") if answer else b""

    def _apply(self, event: "Event") -> "Reply | None":
        reply = super()._apply(event)
        line = set_up_line()
        if not line or event.moment != "session_start" or event.unheard:
            return reply
        if reply is None:  # paused: the user alone is told; stopped: nobody
            return None if self._stopped() else Reply("", line)
        return Reply(f"{reply.text}\n{line}", f"{reply.notice} {line}" if reply.notice else line)


def set_up_line() -> str:
    """What `begin` says, whatever becomes of it: the reply must not be lost."""
    deadline.stop()  # the event is kept; to be rung at between here and the answer would only lose that
    try:
        return begin(sys.argv[sys.argv.index("--data") + 1])
    except Exception as error:  # noqa: BLE001  whatever it is, it is not worth the answer
        return f"Holdfast's private environment cannot be set up: {clean(str(error), 400)}"


def main() -> None:
    """Answer the payload on stdin; never returns."""
    hook.main(Start)


def record(data: str) -> "dict[str, Any]":
    """What `setup.json` says; {} where there is none, or none that can be used."""
    try:
        found = loads(read(join(data, RECORD)))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def tries(known: "dict[str, Any]") -> int:
    """How often the set-up was begun."""
    count = known.get("tries")
    return count if isinstance(count, int) else 0


def ready(data: str) -> bool:
    """Whether the environment was made for this release and this Python, and its interpreter is still there."""
    interpreter = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    try:
        os.stat(join(data, f"{ENVIRONMENT}/{interpreter}"))
        return read(join(data, READY)) == WHOLE.encode()
    except OSError:
        return False


def inside(data: str) -> bool:
    """Whether this is the environment's interpreter."""
    try:
        ours, its = os.stat(parent(parent(sys.executable))), os.stat(join(data, ENVIRONMENT))
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (its.st_dev, its.st_ino)


def distrust(data: str) -> None:
    """Let hooks and the command do without the environment, until the next start of a session has made it again."""
    try:
        os.unlink(join(data, READY))
    except OSError:  # there is none, or nothing can be written here
        pass


def bundled(data: str) -> bool:
    """Whether the file of bytecode is newer than the package, which a host may use where somebody updates it."""
    package = parent(__file__)
    try:
        made = os.stat(file_name(package, data)).st_mtime_ns
        return all(os.stat(join(package, name)).st_mtime_ns < made for name in PARTS)
    except OSError:
        return False


def begin(data: str) -> str:
    """Set the environment up in the background, if that is due; one line on it, or "".

    Args:
        data: the folder of the package's data.

    Raises:
        OSError: nothing can be written there, which nobody else would tell.
    """
    # run.sh takes another interpreter than that of an environment that is ready only where that one does not run
    if ready(data) and (inside(data) or sys.platform == "win32"):
        if not bundled(data):
            _start(data)
        return ""
    distrust(data)
    _open(data)
    known = record(data)
    error = clean(str(known.get("error") or ""), 400)
    failed = f"Holdfast's private environment could not be set up: {error}" if error else ""
    at = known.get("at")
    if tries(known) >= TRIES and isinstance(at, (int, float)) and 0 <= time() - at < DAY:
        return f"{failed or 'Setting up the private environment of Holdfast did not end'}; it is tried once a day now."
    _start(data)
    if failed:
        return f"{failed}; it is tried again in the background."
    return (
        f"Holdfast is setting up its private environment in the background ({join(data, ENVIRONMENT)}); "
        "its hooks work meanwhile, the command comes with it."
    )


def _open(data: str) -> None:
    """Make the folder, which not every host does, and in it the file of the lock."""
    if data.startswith("/dev/null/"):  # from run.sh
        raise OSError("neither HOME nor XDG_DATA_HOME is set")
    from os import makedirs

    makedirs(data, mode=0o700, exist_ok=True)
    os.close(os.open(join(data, LOCK), os.O_RDWR | os.O_CREAT, 0o600))


def _start(data: str) -> None:
    """Start the process that sets the environment up: apart from the host, which waits for nothing of it."""
    import subprocess

    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    cache = f"pycache_prefix={join(data, 'pycache')}"
    root = parent(parent(__file__))
    nothing = subprocess.DEVNULL
    subprocess.Popen(  # noqa: S603  this very interpreter
        [sys.executable, "-I", "-X", cache, "-c", SET_UP, root, data],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        cwd=data,
        **apart,
    )
