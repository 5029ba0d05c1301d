"""Each exit code of the command by a cause that is really there, in a process of its own, told in one line."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import injecting
from commanding import environment, process, state_file
from faults_test import needs_mounts
from firing import make_project


@pytest.fixture
def shop(tmp_path):
    made = make_project(tmp_path / "shop")
    assert process(made, "state", "init").code == 0
    return made


def told(said, code, *words):
    """Hold what a command said to a code, one line, and words in it."""
    assert said.code == code, said
    assert said.out == "" and len(said.err.splitlines()) == 1 and "Traceback" not in said.err
    assert all(word in said.err for word in words), said.err


def test_0_when_it_is_done(shop):
    assert process(shop, "mode", "paused") == (0, "mode: monitoring -> paused\n", "")


def test_1_when_it_is_refused(shop):
    told(process(shop, "lock", "release", "deploy"), 1, "not held")


def test_2_when_a_lock_is_not_free_in_time(shop):
    with (shop / ".holdfast" / "state.lock").open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        told(process(shop, "mode", "paused", HOLDFAST_LOCK_TIMEOUT="0.1"), 2, "state.lock", "0.1 s")
    living = subprocess.Popen(["sleep", "60"])
    try:
        assert process(shop, "lock", "acquire", "deploy", "--owner", living.pid).code == 0
        told(process(shop, "lock", "acquire", "deploy", "--timeout", "0"), 2, "deploy", str(living.pid))
    finally:
        living.kill()
        living.wait()


def test_3_when_the_state_can_be_neither_trusted_nor_recovered(shop):
    path = state_file(shop)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    told(process(shop, "mode", "paused"), 3, "newer", "upgrade")
    path.write_bytes(b"noise")
    told(process(shop, "state", "validate"), 3, "damaged")


def test_4_when_it_says_what_it_must_not(shop):
    told(process(shop, "state", "patch", '{"mode": "asleep"}'), 4, "mode")
    (shop / ".holdfast" / "workflow.yaml").write_text("version: 1\nname: shop\nphases: 5\n")
    told(process(shop, "workflow", "check"), 4, "workflow.yaml")


def test_5_when_a_library_or_a_program_is_missing(shop):
    bare = [sys.executable, "-S", "-m", "holdfast", "status"]  # as by an interpreter without the libraries
    done = subprocess.run(bare, cwd=shop, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (5, "", 1), done
    told(process(shop, "lock", "run", "deploy", "--", "no-such-program"), 5, "no-such-program")


def test_6_when_this_user_may_not(shop):
    folder = "/sys/kernel" if os.geteuid() == 0 else str(shop / "closed")
    if os.geteuid() == 0 and not Path(folder).is_dir():
        pytest.skip("no folder that root may not write")
    if os.geteuid():
        (shop / "closed").mkdir(mode=0o500)
    told(process(shop, "mode", "paused", HOLDFAST_STATE_FILE=f"{folder}/holdfast.json"), 6, folder)


@needs_mounts
def test_7_when_the_disk_is_full(shop):
    script = f"""
mount -t tmpfs -o size=64k,mode=700 tmpfs {shop}/.holdfast/backups && cd {shop}
cat /dev/zero > .holdfast/backups/ballast 2>/dev/null
exec {sys.executable} -m holdfast state backup
"""
    words = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (7, "", 1), done
    assert "no room" in done.stderr


@injecting.needs_strace
def test_9_when_something_takes_too_long(shop):
    words = [sys.executable, "-m", "holdfast", "mode", "paused"]
    step = injecting.Step("fsync", 1, "")
    ran = injecting.run(words, step, "error=ETIMEDOUT", lasting=True, cwd=shop, env=environment())
    assert (ran.code, ran.stdout, len(ran.stderr.splitlines())) == (9, "", 1), ran
    assert "in time" in ran.stderr


def test_10_when_memory_or_file_descriptors_run_out(shop):
    script = """
import contextlib, io, os, resource, sys
from holdfast.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["state", "read"])  # which loads what it needs
top = max(os.dup(0) for _ in range(9)) + 1
resource.setrlimit(resource.RLIMIT_NOFILE, (top, top))
sys.exit(main(["state", "read"]))
"""
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, cwd=shop, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (10, ""), done
    assert "Too many open files" in done.stderr and "Traceback" not in done.stderr


def test_64_when_it_is_used_wrongly_and_130_when_it_is_interrupted(shop):
    told(process(shop, "mode", "asleep"), 64, "--help")
    script = "import os, signal, sys; from holdfast.cli import main; from holdfast.project import Project\n"
    script += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += "Project.find = lambda *_given: os.kill(os.getpid(), signal.SIGINT)\nsys.exit(main(['status']))"
    done = subprocess.run([sys.executable, "-c", script], cwd=shop, env=environment(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
