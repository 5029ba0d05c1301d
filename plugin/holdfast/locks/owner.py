"""Who a process is. Process ids are used again, so an owner is also its start time, its boot and its machine."""

import functools
import os
import subprocess
import sys
from typing import NamedTuple

from holdfast.errors import ValidationFailed

COMMAND = 200  # characters of a command line


class Owner(NamedTuple):
    """A process.

    start: when it started, in the system's own words, or "". boot: which start of the machine, or "". host: the
    machine's name. space: which set of process ids, or "": containers have their own.
    """

    pid: int
    start: str
    boot: str
    host: str
    space: str

    def same(self, other: "Owner") -> bool:
        """Whether both are one process, as far as can be told."""
        if self.pid != other.pid or self.space != other.space or (self.boot or self.host) != (other.boot or other.host):
            return False
        return self.start == other.start or not (self.start and other.start)

    def gone(self) -> bool:
        """Whether the process has certainly ended. What another machine or container runs cannot be seen from here."""
        here = machine()
        if self.boot and here.boot:
            if self.boot != here.boot:
                return self.host == here.host  # started again since
        elif self.host != here.host:
            return False
        if self.space != here.space:
            return False
        start = started(self.pid)
        return start is None or bool(start and self.start and start != self.start)


@functools.cache
def machine() -> Owner:
    """This machine, as an owner without a process."""
    boot = space = ""
    host = os.environ.get("COMPUTERNAME", "") if sys.platform == "win32" else os.uname().nodename
    if sys.platform == "darwin":
        boot = _said("sysctl", "-n", "kern.bootsessionuuid") or ""
    elif sys.platform != "win32":
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                boot = file.read().strip()
            space = os.readlink("/proc/self/ns/pid")
        except OSError:
            pass
    return Owner(0, "", boot, host, space)


def of(pid: int) -> Owner:
    """The process with this id.

    Raises:
        ValidationFailed: there is none.
    """
    start = started(pid) if 0 < pid < 1 << 31 else None
    if start is None:
        raise ValidationFailed(f"there is no process {pid}: an owner is a process that runs")
    return machine()._replace(pid=pid, start=start)


def command_of(pid: int) -> str:
    """The command line of a process, secrets masked, or "" where it cannot be told."""
    from holdfast.events import clean
    from holdfast.masking import mask

    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read(8192).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        line = "" if sys.platform == "win32" else _said("ps", "-o", "command=", "-p", str(pid)) or ""
    return clean(mask(line), COMMAND)


def _said(*words: str) -> "str | None":
    """What a program of the system prints, or None if it fails or is missing."""
    try:
        done = subprocess.run(  # noqa: S603  fixed words and a number
            words, stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=False
        )
    except OSError:
        return None
    return " ".join(done.stdout.decode("utf-8", "replace").split()) if done.returncode == 0 else None


if sys.platform == "win32":

    def started(pid: int) -> "str | None":
        """When a process started, "" if only its existence can be told, None if there is none."""
        import ctypes
        from ctypes import wintypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        handle = kernel.OpenProcess(0x1000 | 0x100000, False, pid)  # limited information, synchronize
        if not handle:
            return None if ctypes.get_last_error() == 87 else ""  # noqa: PLR2004  invalid parameter: no such process
        handle = wintypes.HANDLE(handle)
        try:
            if kernel.WaitForSingleObject(handle, 0) == 0:  # it has ended, and somebody still holds a handle
                return None
            times = [wintypes.FILETIME() for _ in range(4)]
            if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
                return ""
            return str(times[0].dwHighDateTime << 32 | times[0].dwLowDateTime)
        finally:
            kernel.CloseHandle(handle)

else:

    def started(pid: int) -> "str | None":
        """When a process started, "" if only its existence can be told, None if there is none."""
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):  # no process has a number as large as that
            return None
        except PermissionError:  # it is another user's
            pass
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read(4096).rpartition(b")")[2].split()  # the name before may hold anything
        except OSError:
            fields = []
        if len(fields) > 19:  # noqa: PLR2004  field 22, counted from the state, which is field 3
            return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii", "replace")
        if sys.platform == "linux":  # /proc is hidden
            return ""
        state, _, start = (_said("ps", "-o", "stat=,lstart=", "-p", str(pid)) or "").partition(" ")
        return None if state.startswith("Z") else start
