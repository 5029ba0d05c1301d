"""Runs one CLI against a scripted model, inside a network and process namespace of its own if there is one.

    unshare --net --pid --fork --kill-child --mount-proc python -m holdfast.doctor.inside JOB REPORT

JOB is a pickle that `isolation.run` made; REPORT becomes the JSON of an `isolation.Report`.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time

from holdfast.doctor import apis
from holdfast.doctor.isolation import end_group
from holdfast.doctor.server import ModelServer

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP


def loopback_up() -> None:
    """Do what `ip link set lo up` does, where there is no `ip`."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, GET_FLAGS, asked))[1]
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", flags | UP))


def unroutable() -> int:
    """How many packets of this namespace found no route: each was meant for somewhere beyond the loopback."""
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split()[1:] for line in file if line.startswith("Ip:")]
    count = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    if os.path.exists("/proc/net/snmp6"):
        with open("/proc/net/snmp6", encoding="ascii") as file:
            count += sum(int(line.split()[1]) for line in file if line.startswith("Ip6OutNoRoutes"))
    return count


def others() -> list[str]:
    """The command lines of all processes here but this one, those that have just ended left out."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (os.getpid(), 1):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            except OSError:
                continue
            if line:  # a zombie has none
                found.append(line)
    return found


def left_behind(patience: float) -> list[str]:
    """What still runs so many seconds after the CLI ended."""
    until = time.monotonic() + patience
    while (found := others()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def main(job_path: str, report_path: str) -> None:
    """Run the job and write the report."""
    with open(job_path, "rb") as file:
        job = pickle.load(file)  # noqa: S301  our own parent wrote it
    if job["apart"]:
        loopback_up()
    with ModelServer(apis.OF_HOST[job["host"]], job["steps"]) as server:
        argv = [word.replace("{url}", server.url) for word in job["argv"]]
        env = {name: value.replace("{url}", server.url) for name, value in job["env"].items()}
        began = time.monotonic()
        asked: list[int] = []  # to end, before there is anything to kill
        signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
        with subprocess.Popen(  # noqa: S603  the user's own CLI
            argv,
            cwd=job["cwd"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as cli:
            try:
                signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
                if asked:
                    sys.exit(128 + asked[0])
                stdout, stderr = cli.communicate(timeout=job["timeout"])
            except subprocess.TimeoutExpired:
                end_group(cli.pid)
                stdout, stderr = cli.communicate()
                stderr += b"\n(killed: it took too long)"
            finally:
                if not job["apart"]:
                    end_group(cli.pid)
        seconds = round(time.monotonic() - began, 2)
        behind = left_behind(job["patience"]) if job["apart"] else []
        report = {
            "code": cli.returncode,
            "seconds": seconds,
            "stdout": stdout.decode("utf-8", "replace"),
            "stderr": stderr.decode("utf-8", "replace"),
            "left_behind": behind,
            "unroutable": unroutable() if job["apart"] else -1,
            "steps_left": server.left,
            "requests": server.record(),
        }
    with open(report_path, "w", encoding="utf-8") as file:
        json.dump(report, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
