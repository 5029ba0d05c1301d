"""What install.py does: make the private environment, then hand over to the `holdfast` in it.

It runs on whatever interpreter the user has, so it uses the standard library alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import platform
import re
import subprocess
import sys
import traceback
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn

import holdfast
from holdfast.errors import (
    DependencyMissing,
    DiskFull,
    HoldfastError,
    NetworkError,
    PermissionDenied,
    ResourcesExhausted,
    ValidationFailed,
)
from holdfast.install import environment, files, installer, releases, targets
from holdfast.install.locking import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FOLDERS = ("plugin", "hooks", "manifests")
FILES = ("pyproject.toml", "README.md", "LICENSE")
USAGE = 64
INTERRUPTED = 130
DEV_MARKER = "holdfast-dev.json"  # not the private environment's: `--purge` must never take a checkout's .venv
NEEDED = ("click", "filelock", "holdfast.cli", "platformdirs", "pydantic", "rich", "tenacity", "yaml")
NEEDED_BY_TESTS = ("hypothesis", "pytest", "pytest_randomly", "xdist")
IMPORT_ONCE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "import filelock, tenacity, holdfast.cli.root, holdfast.state.schema, holdfast.workflow.compiler; "
    "import holdfast.workflow.loader"
)
# What a user may tell pip about the way to the packages. All else could install to another place, or not at all.
PIP_KEPT = {
    *("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "TRUSTED_HOST", "KEYRING_PROVIDER", "CONSTRAINT"),
    *("PROXY", "CERT", "CLIENT_CERT", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES"),
    *("CACHE_DIR", "NO_CACHE_DIR", "CONFIG_FILE"),
}
PIP_SET = {
    "PIP_USER": "0",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_QUIET": "0",  # a user's pip.conf may ask for it, and what pip says tells how far it came
}
PIP_INSTALLS = "Installing collected packages"  # it says so before it takes the old ones away
DROPPED = ("PYTHON", "HATCH_", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
NO_NETWORK = re.compile(
    r"No matching distribution|Could not find a version|ResolutionImpossible|Max retries exceeded|name resolution"
    r"|NewConnectionError|ConnectionError|ConnectTimeout|Connection (?:refused|reset|aborted|timed out)|ProxyError"
    r"|Network is unreachable|SSLError|Read ?timed ?out|HTTP error \d{3}",
    re.IGNORECASE,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"install.py: {message}; `python3 install.py --help` tells the options\n")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="install.py",
        description="Make holdfast's private environment and register its hooks with the AI coding CLIs of a project.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--project", default=".", metavar="DIR", help="the project's folder (default: here)")
    add("--host", action="append", choices=list(targets.HOSTS), help="may be repeated (default: those found, else all)")
    add(
        "--scope",
        choices=targets.SCOPES,
        default="project",
        help="whose settings register the hooks (default: project)",
    )
    add("--prefix", metavar="DIR", help=f"where the private environment is (default: {targets.data_folder()})")
    add("--dry-run", action="store_true", help="print what would be written, and write nothing")
    add("--uninstall", action="store_true", help="take the registrations back")
    add("--dev", action="store_true", help="make .venv in this checkout for work on holdfast itself; registers nothing")
    return parser.parse_args(words)


def main(words: Sequence[str], checkout: str) -> int:
    """Run install.py with its arguments; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path must not stop us on a terminal that cannot show it
    args = _arguments(words)
    try:
        return _run(args, checkout)
    except HoldfastError as error:
        _say_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say_error("stopped; run it again to go on")
        return INTERRUPTED
    except OSError as error:
        refused = files.explain(error, error.filename if isinstance(error.filename, str) else "the installation")
        _say_error(str(refused))
        return refused.exit_code
    except Exception as error:  # noqa: BLE001  a defect of ours: a line, not a traceback
        if os.environ.get("HOLDFAST_DEBUG"):
            traceback.print_exc()
        _say_error(f"a defect of install.py: {type(error).__name__}: {error} (HOLDFAST_DEBUG=1 shows where)")
        return HoldfastError.exit_code


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  the command's output


def _say_error(line: str) -> None:
    sys.stdout.flush()
    print(f"install.py: {line}", file=sys.stderr, flush=True)  # noqa: T201  likewise


def _run(args: argparse.Namespace, checkout: str) -> int:
    if args.dev:
        _make_dev(checkout)
        return 0
    prefix = os.path.abspath(os.path.expanduser(args.prefix or targets.data_folder()))
    project = os.path.abspath(os.path.expanduser(args.project))
    words = ["--project", project, "--scope", args.scope]
    for host in args.host or ():
        words += ["--host", host]
    if args.uninstall:
        return _uninstall(args, prefix, project, words)
    runtime = environment.runtime_of(prefix, os.path.join(checkout, "manifests"))
    place, hosts = installer.Place(project, args.scope, _say), targets.choose(args.host)
    if args.dry_run:
        environment.check_place(prefix)
        _say(f"would make the private environment {prefix}, unless it is up to date")
        environment.link_command(prefix, _say, dry_run=True)
        installer.preview(place, hosts, runtime)
        return 0
    # Settings that cannot be edited are refused before minutes are spent on packages.
    installer.plan(place, hosts, runtime)
    with _place(prefix, checkout) as held:
        _make(prefix, checkout, held)
        environment.link_command(prefix, _say)
        _say(f"3/3 hooks for {project}")
        return _hand_over(prefix, ["install", *words])


def _uninstall(args: argparse.Namespace, prefix: str, project: str, words: list[str]) -> int:
    dry_run = ["--dry-run"] if args.dry_run else []
    if environment.is_ours(prefix) and os.path.exists(environment.command(prefix)):
        return _hand_over(prefix, ["uninstall", *words, *dry_run])
    _say(f"no environment is installed at {prefix}; looking for registrations that were left")
    installer.uninstall(project, args.host, args.scope, purge=False, dry_run=args.dry_run, echo=_say)
    return 0


def _hand_over(prefix: str, words: list[str]) -> int:
    try:
        code = subprocess.run(  # noqa: S603  the command that was just installed
            [environment.command(prefix), *words], env=_clean_environment(), check=False
        ).returncode
    except OSError as error:
        raise HoldfastError(f"{environment.command(prefix)} cannot be run: {error.strerror}") from None
    return code if code >= 0 else 128 - code


# -- the private environment


@contextlib.contextmanager
def _place(prefix: str, checkout: str) -> Iterator[Sequence[int]]:
    """Make PREFIX and hold it: two installations at once into one prefix come one after the other.

    Yields:
        The descriptors that hold it; whoever inherits them holds it too.
    """
    environment.check_place(prefix)
    if not os.access(prefix, os.W_OK) and _up_to_date(prefix, environment.MARKER, _wanted(prefix, checkout), NEEDED):
        yield ()  # somebody else's, ready to use
        return
    try:
        files.make_folder(prefix)
        lock = locked(
            os.path.join(prefix, environment.LOCK),
            lambda: _say(f"another installation is at work in {prefix}: waiting for it"),
        )
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(lock)
            kept = stack.pop_all()
    except PermissionDenied as error:
        raise PermissionDenied(f"{error}; choose a folder that you may write, with --prefix") from None
    with kept:
        yield (held,)


def _interpreter() -> str:
    """The interpreter behind this one, outside of any virtual environment.

    Not a shim (pyenv's costs 40 ms at every hook): `sys.executable` is what the shim ran. Links are followed only to
    get out of a virtual environment, for a stable link may lead to a versioned place that the next upgrade deletes
    (Homebrew).

    Raises:
        DependencyMissing: it cannot be told.
    """
    path = getattr(sys, "_base_executable", "") or sys.executable
    while path and os.path.exists(os.path.join(os.path.dirname(os.path.dirname(path)), "pyvenv.cfg")):
        if not os.path.islink(path):  # a virtual environment made of copies
            name = "python.exe" if environment.WINDOWS else f"bin/python{sys.version_info[0]}.{sys.version_info[1]}"
            path = os.path.join(sys.base_prefix, name)
            break
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    if not path or not os.access(path, os.X_OK):
        raise DependencyMissing(
            "this Python does not know where it is: run install.py by its full path, as in /usr/bin/python3"
        )
    return os.path.normpath(path)


def _clean_environment() -> dict[str, str]:
    """The user's environment without what would lead Python or pip elsewhere."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(DROPPED) and (not name.startswith("PIP_") or name[4:] in PIP_KEPT)
    }
    env.setdefault("PIP_RETRIES", "2")
    return {**env, **PIP_SET}


def _fingerprint(checkout: str) -> str:
    """Name what is installed from a checkout: the names and bytes of its files."""
    paths = [os.path.join(checkout, name) for name in FILES]
    for top in FOLDERS:
        for folder, folders, names in os.walk(os.path.join(checkout, top)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            paths += [os.path.join(folder, name) for name in names if not name.endswith((".pyc", ".pyo"))]
    digest = sha256()
    for path in sorted(paths):
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise HoldfastError(f"{checkout} is not a whole checkout of holdfast: {path}: {error.strerror}") from None
        digest.update(os.fsencode(os.path.relpath(path, checkout)) + b"\0" + sha256(content).digest())
    return digest.hexdigest()


def _wanted(prefix: str, checkout: str, fingerprint: str = "") -> dict[str, Any]:
    return {
        "holdfast": holdfast.__version__,
        "prefix": prefix,
        "python": "{}.{}".format(*sys.version_info),
        "fingerprint": fingerprint or _fingerprint(checkout),
        "complete": True,
    }


def _works(prefix: str, needed: Sequence[str]) -> bool:
    """Whether the environment's interpreter runs and finds every package."""
    code = "import sys, importlib.util as u; sys.exit(not all(u.find_spec(n) for n in sys.argv[1:]))"
    try:
        words = [environment.python(prefix), "-I", "-B", "-c", code, *needed]
        done = subprocess.run(  # noqa: S603  an interpreter in a folder that is ours
            words, env=_clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _up_to_date(prefix: str, name: str, wanted: dict[str, Any], needed: Sequence[str]) -> bool:
    return environment.marker(prefix, name) == wanted and _works(prefix, needed)


def _make(prefix: str, checkout: str, held: Sequence[int] = ()) -> None:
    """Make the environment at `prefix`, or bring it up to date; what is half made is made again."""
    wanted = _wanted(prefix, checkout)
    if _up_to_date(prefix, environment.MARKER, wanted, NEEDED):
        _say(f"1/3 environment {prefix}: up to date")
        _say(f"2/3 holdfast {holdfast.__version__}: up to date")
    else:
        _build(prefix, environment.MARKER, wanted, [checkout], NEEDED, held)


def make_for_package(
    prefix: str, requirements: Sequence[str], package: str, cache: str, held: Sequence[int] = ()
) -> None:
    """Make the private environment of a native package, which brings holdfast itself: the libraries alone.

    They are imported once, so that what the interpreter compiles of them is in the cache before a hook needs it: with
    a cache of its own it does not look for what pip has compiled.

    Args:
        prefix: where it shall be.
        requirements: what is to be installed.
        package: the folder of the package.
        cache: the folder for the interpreter's cache.
        held: descriptors that hold a lock, for as long as a step runs.

    Raises:
        HoldfastError: it could not be made; which kind, the exit code says.
    """
    environment.check_place(prefix)
    files.make_folder(prefix)
    needed = [name for name in NEEDED if name != "holdfast.cli"]
    wanted = _wanted(prefix, "", " ".join(requirements))
    once = [environment.python(prefix), "-I", "-X", f"pycache_prefix={cache}", "-c", IMPORT_ONCE, package]

    def import_once() -> None:
        _step(once, os.path.join(prefix, environment.LOG), "importing holdfast's libraries", held)

    if _up_to_date(prefix, environment.MARKER, wanted, needed):
        try:
            import_once()
        except ResourcesExhausted:
            raise
        except HoldfastError:  # a library that is there and damaged: pip would leave it as it is
            environment.mark(prefix, environment.MARKER, {**wanted, "complete": False})
        else:
            return
    _build(prefix, environment.MARKER, wanted, ["--no-compile", *requirements], needed, held)
    import_once()


def _make_dev(checkout: str) -> None:
    prefix = os.path.join(checkout, ".venv")
    with open(os.path.join(checkout, "pyproject.toml"), "rb") as file:
        wanted = _wanted(prefix, checkout, sha256(file.read()).hexdigest())
    known = os.path.exists(os.path.join(prefix, "pyvenv.cfg")) or environment.marker(prefix, DEV_MARKER) is not None
    if (
        not known
        and os.path.lexists(prefix)
        and (not os.path.isdir(prefix) or set(os.listdir(prefix)) - {environment.LOCK})
    ):
        raise ValidationFailed(f"{prefix} is no virtual environment: move it away, then run this again")
    files.make_folder(prefix)
    with locked(
        os.path.join(prefix, environment.LOCK), lambda: _say(f"another installation is at work in {prefix}: waiting")
    ) as held:
        needed = (*NEEDED, *NEEDED_BY_TESTS)
        if _up_to_date(prefix, DEV_MARKER, wanted, needed):
            _say(f"1/3 environment {prefix}: up to date")
            _say(f"2/3 holdfast {holdfast.__version__}: up to date")
        else:
            _build(prefix, DEV_MARKER, wanted, ["-e", checkout + "[test]"], needed, (held,))
    _say(f"3/3 nothing is registered; the tests: {environment.python('.venv')} -m pytest")


def _build(  # noqa: PLR0913, PLR0917  what differs between the three environments
    prefix: str, name: str, wanted: dict[str, Any], what: list[str], needed: Sequence[str], held: Sequence[int]
) -> None:
    old = environment.marker(prefix, name)
    # a virtual environment of a developer's own has no marker: it is used as it is
    whole = old is None or (
        bool(old.get("complete")) and (old.get("python"), old.get("prefix")) == (wanted["python"], prefix)
    )
    usable = whole and os.path.exists(os.path.join(prefix, "pyvenv.cfg")) and _works(prefix, ["pip"])
    _say(f"1/3 environment {prefix}, Python {platform.python_version()}" + (": is there" if usable else ""))
    if not environment.WINDOWS:
        releases.keep(prefix)
    environment.mark(prefix, name, {**wanted, "complete": False})
    log = os.path.join(prefix, environment.LOG)
    files.remove(log, follow=False)  # of the last time
    if not usable:
        interpreter = _interpreter()
        _check_ensurepip(interpreter)
        environment.empty(prefix, interpreter)
        # venv refuses a link, and what it is given is in no command: pip asks the interpreter, which knows `prefix`
        place = os.path.realpath(prefix) if os.path.islink(prefix) else prefix
        _step([interpreter, "-I", "-m", "venv", "--without-pip", place], log, "making the environment", held)
        # pip by itself, for venv keeps to itself why that failed
        ensurepip = [environment.python(prefix), "-I", "-m", "ensurepip", "--upgrade", "--default-pip"]
        _step(ensurepip, log, "putting pip into the environment", held)
    _say(f"2/3 holdfast {holdfast.__version__} and the libraries it needs")
    begun = False

    def watch(line: str) -> None:
        nonlocal begun
        begun = begun or PIP_INSTALLS in line

    try:
        pip = [environment.python(prefix), "-I", "-m", "pip", "install", "--progress-bar", "off"]
        _step([*pip, *what], log, "installing holdfast's libraries", held, watch)
    except HoldfastError:
        # what pip brings back of the old release after a failure may be half of it, on a full disk
        if usable and old is not None and not begun and _works(prefix, needed):
            environment.mark(prefix, name, old)  # pip has changed nothing: the old release still stands
        raise
    if not _works(prefix, needed):
        raise HoldfastError(f"{prefix} lacks a library although pip ended well; see {log}")
    environment.mark(prefix, name, wanted)


def _check_ensurepip(interpreter: str) -> None:
    found = [importlib.util.find_spec(name) for name in ("venv", "ensurepip")]
    if not all(spec and spec.origin for spec in found):
        raise _no_ensurepip(interpreter)


def _no_ensurepip(interpreter: str) -> DependencyMissing:
    version = "{}.{}".format(*sys.version_info)
    return DependencyMissing(
        f"the Python at {interpreter} cannot make a private environment, for it has no ensurepip: "
        f"on Debian and Ubuntu `apt install python3-venv` (or python{version}-venv) brings it, then run this again"
    )


def _step(
    words: list[str],
    log: str,
    doing: str,
    held: Sequence[int] = (),
    watch: Callable[[str], None] | None = None,
) -> None:
    """Run a step whose output goes to a log; on a terminal, show which package is at hand.

    Args:
        words: the command.
        log: the file to which its output is added, as far as the disk has room.
        doing: what it does, for people.
        held: descriptors that hold a lock: a step that outlives this process, killed alone, keeps the next one waiting.
        watch: gets each line of its output.

    Raises:
        HoldfastError: it failed; which kind, the exit code says.
    """
    tail: list[str] = []
    terminal = sys.stdout.isatty()
    try:
        process = subprocess.Popen(  # noqa: S603  an interpreter, by its full path
            words,
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=() if environment.WINDOWS else held,
        )
    except OSError as error:
        raise DependencyMissing(f"{doing}: {words[0]} cannot be run: {error.strerror}") from None
    with process:
        _log(log, " ".join(words) + "\n")
        for line in process.stdout or ():
            _log(log, line)
            if watch:
                watch(line)
            tail = [*tail[-400:], line]
            if terminal and (package := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line)):
                print(f"\r      {package[1]:<60.60}\r", end="", flush=True)  # noqa: T201  progress
    if terminal:
        print("\r" + " " * 66 + "\r", end="", flush=True)  # noqa: T201  likewise
    if process.returncode:
        if "No module named ensurepip" in "".join(tail):
            raise _no_ensurepip(words[0])
        raise _failure(process.returncode, "".join(tail), log, doing)


def _log(path: str, line: str) -> None:
    with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:  # a full disk is told by the step
        file.write(line)


def _failure(code: int, said: str, log: str, doing: str) -> HoldfastError:
    """The one line for a step that failed, told by what it printed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [f"it ended {code}"]
    errors = [line for line in lines if re.match(r"ERROR: |\w*Error\b", line)]
    told = ([line for line in errors if NO_NETWORK.search(line)] or errors or lines)[-1].removeprefix("ERROR: ")[:300]
    if "No space left" in said or "Errno 28]" in said or "Disk quota exceeded" in said:
        return DiskFull(f"{doing}: no room left on the disk; make room and run this again (log: {log})")
    if code < 0:
        return ResourcesExhausted(f"{doing}: killed by signal {-code}, for want of memory perhaps; run this again")
    if "Read-only file system" in said or "Permission denied" in said:
        return PermissionDenied(f"{doing}: {told}; choose a folder that you may write, with --prefix (log: {log})")
    if NO_NETWORK.search(said):
        mend = "check the network (or PIP_INDEX_URL and PIP_PROXY) and run this again"
        return NetworkError(f"{doing}: a package cannot be had: {mend}; pip says: {told} (log: {log})")
    return HoldfastError(f"{doing}: {told} (log: {log})")
