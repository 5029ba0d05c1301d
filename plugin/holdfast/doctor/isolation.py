"""Runs one CLI against a scripted model where nothing can leave the loopback, and nothing stays running.

On Linux that is a network and process namespace of its own, where the system allows it to this user. Elsewhere the CLI
is led to a proxy that is not there, and its process group is killed in the end.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdfast.doctor.script import Step

SPACES = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc")
# Root in the namespace alone has another login shell than the user; older releases of unshare have only that.
MAPPINGS = (("--user", "--map-current-user", "--keep-caps"), ("--user", "--map-root-user"))
NOWHERE = "http://127.0.0.1:9"
PROXIES = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), NOWHERE),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
}
GRACE = 30  # seconds that a run may need beside its own time
PATIENCE = 1.0  # seconds for what a CLI started to end after it
LEAVE = 3.0  # seconds for a program to end by itself when its stdin has ended


@dataclass(frozen=True)
class Report:
    """How one run of a CLI went.

    Attributes:
        code: its exit code.
        seconds: how long it ran.
        stdout: what it printed.
        stderr: likewise; its last line says so if it was killed because it took too long.
        left_behind: command lines of what still ran `patience` after it ended; it was killed then.
        unroutable: packets that were meant for somewhere beyond the loopback; -1 where that cannot be told.
        steps_left: steps of the script that the CLI did not ask for.
        requests: what the model was asked; see `server.Request`.
    """

    code: int
    seconds: float
    stdout: str
    stderr: str
    left_behind: list[str]
    unroutable: int
    steps_left: int
    requests: list[dict[str, Any]]

    def turns(self, *sorts: str) -> list[Any]:
        """The bodies of the agent's own requests, or of those of the given sorts, in their order."""
        return [request["body"] for request in self.requests if request["sort"] in (sorts or ("main", "beyond"))]

    def heard(self, number: int) -> str:
        """Everything that the model was shown in its turn `number`, from 0, or from -1 backwards: one text."""
        return shown(self.turns()[number])


def shown(body: Any) -> str:
    """Everything that a request shows the model: one text."""
    return "\n".join(strings([body.get(key) for key in ("messages", "contents", "input", "system", "instructions")]))


def strings(value: Any) -> list[str]:
    """Every string in a JSON value, in its order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for item in inner for one in strings(item)]


@functools.cache
def namespaces() -> tuple[tuple[str, ...], str]:
    """The words that start a program in namespaces of its own; none, and why not, where that is not possible."""
    if not sys.platform.startswith("linux"):
        return (), "only Linux has network namespaces"
    if shutil.which("unshare") is None:
        return (), "unshare is not installed"
    reason = ""
    for mapping in ((),) if os.geteuid() == 0 else MAPPINGS:
        words = ("unshare", *mapping, *SPACES)
        tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)  # noqa: S603  ours
        if not tried.returncode:
            return words, ""
        reason = tried.stderr.strip()
    return (), f"namespaces are not allowed here: {reason}"


def apart() -> tuple[tuple[str, ...], dict[str, str]]:
    """The words before a program and the variables that keep it from the network: one of both."""
    words, _reason = namespaces()
    return words, {} if words else PROXIES


@contextlib.contextmanager
def started(
    argv: Sequence[str], env: Mapping[str, str], cwd: str, timeout: float
) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The stdin and stdout of a program that runs apart, as in `run`, and ends with the block: if need be by force.

    Args:
        argv: the program and its arguments.
        env: its environment.
        cwd: where it runs.
        timeout: seconds after which it is killed.

    Raises:
        HoldfastError: it cannot be started.
    """
    words, walls = apart()
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own CLI
            [*words, *argv],
            env={**walls, **env},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise HoldfastError(f"{argv[0]} cannot be started: {error.strerror}") from None
    timer = threading.Timer(timeout, lambda: end_group(process.pid))
    timer.start()
    try:
        with process:
            stdin, stdout = process.stdin, process.stdout
            assert stdin is not None and stdout is not None  # noqa: S101, PT018  pipes were asked for
            try:
                yield stdin, stdout
            finally:
                with contextlib.suppress(OSError):
                    stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LEAVE)
                end_group(process.pid)
    finally:
        timer.cancel()


def end_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes], *, asked: bool) -> None:
    """Kill a program that still runs. asked: it is first asked to end, for what it started has another group."""
    if process.poll() is None and asked:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE)
    if process.poll() is None:
        end_group(process.pid)


def run(  # noqa: PLR0913  one argument a fact
    host: str,
    argv: Sequence[str],
    steps: Sequence[Step],
    *,
    env: Mapping[str, str],
    cwd: str,
    scratch: str,
    timeout: float,
    patience: float = PATIENCE,
) -> Report:
    """Run a CLI once.

    Args:
        host: its name, which says what its model speaks.
        argv: the program and its arguments; `{url}` in them and in `env` stands for the model server.
        steps: what the model does.
        env: all of the CLI's environment.
        cwd: where it runs.
        scratch: a folder for what passes between the processes.
        timeout: seconds after which it is killed.
        patience: seconds that what it started may go on after its end.

    Raises:
        HoldfastError: the run could not be made.
    """
    job, told = os.path.join(scratch, "job"), os.path.join(scratch, "report")
    words, walls = apart()
    given = {
        "host": host,
        "argv": list(argv),
        "steps": list(steps),
        "cwd": cwd,
        "timeout": timeout,
        "patience": patience,
    }
    with open(job, "wb") as file:
        pickle.dump({**given, "apart": bool(words), "env": {**walls, **env}}, file)
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    try:
        with subprocess.Popen(  # noqa: S603  ours
            [*words, sys.executable, "-m", "holdfast.doctor.inside", job, told],
            env={**os.environ, "PYTHONPATH": path},
            cwd=scratch,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # else what a terminal sends to its group meets `inside` while it cleans up
        ) as process:
            try:
                _stdout, stderr = process.communicate(timeout=timeout + patience + GRACE)
            finally:
                _end(process, asked=not words)
        with open(told, encoding="utf-8") as file:
            return Report(**json.load(file))
    except subprocess.TimeoutExpired:
        raise HoldfastError(f"{host} could not be run: it did not end in {timeout + GRACE:.0f} s") from None
    except FileNotFoundError:
        raise HoldfastError(f"{host} could not be run: {stderr.decode('utf-8', 'replace').strip()[-2000:]}") from None
