"""Run one CLI against a scripted model, inside a network and process namespace of its own.

    unshare --net --pid --fork --kill-child --mount-proc python inside.py JOB REPORT

JOB is a pickle: {"host", "steps", "argv", "env", "cwd", "timeout" and "patience" in seconds}; `{url}` in argv and env
stands for the server. REPORT becomes JSON: the requests, what the CLI printed and how it ended, the processes it left
behind, and how often something tried to leave the loopback.
"""

import fcntl
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import time

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "plugin")
sys.path.insert(0, PLUGIN)

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP


def loopback_up():
    """What `ip link set lo up` does, where there is no `ip`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, GET_FLAGS, asked))[1]
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", flags | UP))


def unroutable():
    """How many packets of this namespace found no route: each was meant for somewhere beyond the loopback."""
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split()[1:] for line in file if line.startswith("Ip:")]
    count = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    if os.path.exists("/proc/net/snmp6"):
        with open("/proc/net/snmp6", encoding="ascii") as file:
            count += sum(int(line.split()[1]) for line in file if line.startswith("Ip6OutNoRoutes"))
    return count


def others():
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


def left_behind(patience):
    """What still runs so many seconds after the CLI ended."""
    until = time.monotonic() + patience
    while (found := others()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def main(job_path, report_path):
    loopback_up()
    from holdfast.doctor import apis
    from holdfast.doctor.server import ModelServer

    with open(job_path, "rb") as file:
        job = pickle.load(file)
    with ModelServer(apis.OF_HOST[job["host"]], job["steps"]) as server:
        argv = [word.replace("{url}", server.url) for word in job["argv"]]
        env = {name: value.replace("{url}", server.url) for name, value in job["env"].items()}
        began = time.monotonic()
        with subprocess.Popen(
            argv, cwd=job["cwd"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as cli:
            try:
                stdout, stderr = cli.communicate(timeout=job["timeout"])
            except subprocess.TimeoutExpired:
                cli.kill()
                stdout, stderr = cli.communicate()
                stderr += b"\n(killed: it took too long)"
        report = {
            "code": cli.returncode,
            "seconds": round(time.monotonic() - began, 2),
            "stdout": stdout.decode("utf-8", "replace"),
            "stderr": stderr.decode("utf-8", "replace"),
            "left_behind": left_behind(job["patience"]),
            "unroutable": unroutable(),
            "steps_left": server.left,
            "requests": server.record(),
        }
    with open(report_path, "w", encoding="utf-8") as file:
        json.dump(report, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
