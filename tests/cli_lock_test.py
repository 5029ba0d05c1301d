"""`holdfast lock` as shells and people use it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from commanding import environment, process, run
from firing import audit_of, make_project
from holdfast.locks import Locks, owner
from holdfast.state import backoff, guard

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell and signals")

# Gives the command `holdfast lock run` again and again in one process: starting Python is not what is tested.
MANY = """
import sys
from holdfast.cli import main
codes = {main(["lock", "run", "count", "--", *sys.argv[2:]]) for _ in range(int(sys.argv[1]))}
sys.exit(codes != {0})
"""
COUNT = "n=$(cat count); echo $((n + 1)) > count"


@pytest.fixture
def shop(tmp_path):
    return make_project(tmp_path / "shop")


@pytest.fixture
def background():
    """Starts processes that end with the test."""
    with ExitStack() as running:

        def start(words, folder, **options):
            made = subprocess.Popen(words, cwd=folder, env=environment(), **options)
            running.enter_context(made)
            running.callback(made.kill)
            return made

        yield start


class Shell:
    """A shell that lives on between commands, as a person's does."""

    def __init__(self, background, folder):
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        self.process = background(["sh"], folder, stderr=subprocess.STDOUT, text=True, **pipes)
        self.pid = self.process.pid

    def give(self, line):
        """Give a line to the shell."""
        self.process.stdin.write(f'holdfast() {{ {shlex.quote(sys.executable)} -m holdfast "$@"; }}\n{line}\n')
        self.process.stdin.flush()

    def __call__(self, line):
        """The exit code of a line and what it printed."""
        self.give(f'{line}\necho "@ $?"')
        said = []
        while not (last := self.process.stdout.readline()).startswith("@ "):
            assert last, "the shell has ended"
            said.append(last)
        return int(last[2:]), "".join(said)


@pytest.fixture
def shell(background, shop):
    return Shell(background, shop)


@pytest.fixture
def another(background, shop):
    return Shell(background, shop)


def listed(shop):
    return json.loads(run(shop, "lock", "list", "--json").out)


def under(background, shop, name, script, *options, **more):
    """`holdfast lock run` with a shell script in the background."""
    words = [sys.executable, "-m", "holdfast", "lock", "run", name, *options, "--", "sh", "-c", script]
    return background(words, shop, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)


# -- acquire and release


def test_a_lease_outlives_its_command_and_belongs_to_the_shell(shell, another, shop):
    code, said = shell("""holdfast lock acquire deploy --meta '{"purpose": "release 2"}'""")
    assert code == 0 and said.startswith("lock deploy: acquired, pid")
    code, said = another("holdfast lock acquire deploy --timeout 0.1")
    assert code == 2 and len(said.splitlines()) == 1
    for told in ("lock deploy was not free within 0.1 s", f"pid {shell.pid} (sh)", "since 20", '"release 2"'):
        assert told in said
    code, said = another("holdfast lock release deploy")
    assert code == 6 and f"pid {shell.pid}" in said
    assert another("holdfast lock run deploy --timeout 0 -- true")[0] == 2
    assert another("holdfast lock check deploy")[0] == 0
    assert shell("holdfast lock release deploy") == (0, "lock deploy: released\n")
    assert another("holdfast lock check deploy") == (1, "lock deploy: free\n")
    assert shell("holdfast lock release deploy") == (1, "holdfast: lock deploy is not held\n")
    assert [line["decision"] for line in audit_of(shop)] == ["lock acquire deploy", "lock release deploy"]


def test_its_owner_renews_a_lease_by_taking_it_again(shell, shop):
    shell("holdfast lock acquire deploy --ttl 60")
    (before,) = listed(shop)
    code, said = shell("holdfast lock acquire deploy --ttl 600")
    (after,) = listed(shop)
    assert code == 0 and said.startswith("lock deploy: renewed, ")
    assert (after["id"], after["since"]) == (before["id"], before["since"])
    assert after["expires"] > before["expires"] + 500


def test_a_lease_can_belong_to_another_process_that_lives_on(shell, another, shop):
    assert another(f"holdfast lock acquire deploy --owner {shell.pid}")[0] == 0
    assert listed(shop)[0]["pid"] == shell.pid
    assert another("holdfast lock release deploy")[0] == 6
    assert another(f"holdfast lock release deploy --owner {shell.pid}")[0] == 0


def test_leases_end_with_their_shell(shell, another, shop):
    shell("holdfast lock acquire deploy")
    another("holdfast lock acquire docs")
    shell.process.kill()
    shell.process.wait()
    code, said = another("holdfast lock check deploy")
    assert code == 1 and said.startswith(f"lock deploy: stale: pid {shell.pid}")
    assert another("holdfast lock clean")[1].startswith("lock deploy: removed, ")
    assert another("holdfast lock clean") == (0, "nothing is stale\n")
    assert [found["name"] for found in listed(shop)] == ["docs"]


def test_a_lock_whose_shell_is_gone_is_taken_without_waiting(shell, another):
    shell("holdfast lock acquire deploy")
    shell.process.kill()
    shell.process.wait()
    assert another("holdfast lock acquire deploy --timeout 0")[0] == 0


def test_a_lease_that_has_run_out_is_free(shell, shop):
    late = Locks(str(shop / ".holdfast"), lambda: time.time() - 100)
    late.acquire("deploy", owner.of(os.getpid()), ttl=10)
    assert run(shop, "lock", "check", "deploy").code == 1
    assert shell("holdfast lock acquire deploy --timeout 0")[0] == 0


def test_shells_share_a_lock(shell, another):
    assert shell("holdfast lock acquire docs --shared")[0] == 0
    assert another("holdfast lock acquire docs --shared --timeout 0")[0] == 0
    assert another("holdfast lock run docs --shared --timeout 0 -- true")[0] == 0
    assert another("holdfast lock run docs --timeout 0 -- true")[0] == 2
    shell("holdfast lock release docs")
    another("holdfast lock release docs")
    assert another("holdfast lock run docs --timeout 0 -- true")[0] == 0


def test_the_environment_says_how_long_to_wait(shell, another):
    shell("holdfast lock acquire deploy")
    code, said = another("HOLDFAST_LOCK_TIMEOUT=0.2 holdfast lock acquire deploy")
    assert code == 2 and "within 0.2 s" in said
    code, said = another("HOLDFAST_LOCK_TIMEOUT=soon holdfast lock acquire deploy")
    assert code == 4 and "HOLDFAST_LOCK_TIMEOUT=soon" in said


# -- the order


def test_the_order_holds_for_a_shell(shell, another):
    shell("holdfast lock acquire backup")
    for command in ("lock acquire state --timeout 0", "lock run state --timeout 0 -- true"):
        code, said = shell(f"holdfast {command}")
        assert code == 1 and "state (number 1)" in said and "backup (number 4)" in said
    assert shell("holdfast lock acquire temp")[0] == 0
    assert another("holdfast lock acquire state")[0] == 0


def test_the_order_holds_for_what_runs_under_a_lock(shell):
    inner = f"{sys.executable} -m holdfast lock run state -- echo no; exit 9"
    code, said = shell(f"holdfast lock run user -- sh -c {shlex.quote(inner)}")
    assert code == 9 and "state (number 1) cannot be taken while user" in said
    code, said = shell(f"holdfast lock run signals -- {sys.executable} -m holdfast lock run config -- echo no")
    assert code == 1 and "config (number 2) cannot be taken while signals (number 3) is held" in said
    code, said = shell(f"holdfast lock run signals -- {sys.executable} -m holdfast lock run signals -- echo no")
    assert code == 1 and "runs under it already" in said
    assert shell(f"holdfast lock run config -- {sys.executable} -m holdfast lock run signals -- echo yes") == (
        0,
        "yes\n",
    )


# -- run


def test_eight_processes_lose_no_count_under_a_lock(shop, background):
    (shop / "count").write_text("0\n")
    words = [sys.executable, "-c", MANY, "20", "sh", "-c", COUNT]
    started = [background(words, shop) for _ in range(8)]
    assert {one.wait(timeout=300) for one in started} == {0}
    assert (shop / "count").read_text() == "160\n"
    assert listed(shop) == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM, ""),
        (["no-such-program"], 5, "no-such-program: there is no such program"),
        (["/"], 6, "/: this user may not run it"),
    ],
)
def test_run_ends_with_the_commands_exit_code(shop, words, code, told):
    said = process(shop, "lock", "run", "deploy", "--", *words)
    assert said.code == code and told in said.err and said.out == ""
    assert listed(shop) == []


def test_a_command_gets_its_words_and_streams_as_they_are(shop):
    said = process(
        shop, "lock", "run", "deploy", "--", "sh", "-c", 'cat; echo "$@" >&2', "x", "--json", "a  b", stdin=b"in"
    )
    assert said == (0, "in", "--json a  b\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"])
def test_signals_are_passed_on_to_the_command(shop, background, name):
    script = f"trap 'echo got; exit 3' {name[3:]}; echo ready; while read x; do :; done"
    number = getattr(signal, name)
    listening = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731  a run in the background ignores SIGINT
    started = under(background, shop, "deploy", script, start_new_session=True, preexec_fn=listening)
    assert started.stdout.readline() == b"ready\n"
    started.send_signal(number)
    started.stdin.write(b"\n")  # a shell looks at its traps between two commands
    started.stdin.flush()
    assert started.wait(timeout=60) == 3
    assert started.stdout.read() == b"got\n"
    assert listed(shop) == []


def test_a_command_is_seen_while_it_runs_and_keeps_leases_out(shop, background, shell):
    started = under(background, shop, "deploy", "echo $$; cat > /dev/null", "--shared")
    pid = int(started.stdout.readline())
    assert backoff.until(lambda: listed(shop)[0]["pid"] == pid, 60)
    (found,) = listed(shop)
    assert (found["kind"], found["shared"], found["status"], found["expires"]) == ("process", True, "held", None)
    assert found["command"].startswith("sh -c echo")
    assert shell("holdfast lock acquire deploy --timeout 0")[0] == 2
    code, said = shell("holdfast lock release deploy")
    assert code == 6 and f"pid {pid}" in said
    started.communicate()
    assert shell("holdfast lock acquire deploy --timeout 0")[0] == 0


def test_a_command_keeps_its_lock_when_holdfast_is_killed(shop, background, shell):
    started = under(background, shop, "deploy", "echo ready; cat > /dev/null")
    assert started.stdout.readline() == b"ready\n"
    started.kill()
    started.wait()
    assert shell("holdfast lock acquire deploy --timeout 0")[0] == 2
    started.stdin.close()
    assert shell("holdfast lock acquire deploy --timeout 60")[0] == 0


def test_secrets_in_a_command_are_not_kept(shop, background):
    started = under(background, shop, "deploy", "echo ready; cat > /dev/null; : --token hunter22")
    assert started.stdout.readline() == b"ready\n"
    with Locks(str(shop / ".holdfast")).mutex():
        kept = b"".join(path.read_bytes() for path in (shop / ".holdfast" / "locks").iterdir())
    assert b"--token ***" in kept and b"hunter22" not in kept
    started.communicate()


# -- what is refused


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["acquire", "../state"], 4, "'../state' is no name for a lock"),
        (["release", "a/b"], 4, "'a/b' is no name"),
        (["check", ".."], 4, "'..' is no name"),
        (["run", "", "--", "true"], 4, "'' is no name"),
        (["acquire", "x", "--meta", "{"], 4, "--meta is not JSON"),
        (["acquire", "x", "--meta", "[1]"], 4, "--meta must be a JSON object"),
        (["acquire", "x", "--meta", json.dumps({"a": "x" * 5000})], 4, "may have 4096"),
        (["acquire", "x", "--owner", "0"], 4, "there is no process 0"),
        (["acquire", "x", "--ttl", "nan"], 64, "--ttl"),
        (["acquire", "x", "--ttl", "1e300"], 64, "--ttl"),
        (["acquire", "x", "--ttl", "0"], 64, "--ttl"),
        (["acquire", "x", "--timeout", "-1"], 64, "--timeout"),
        (["acquire", "x", "--timeout", "soon"], 64, "--timeout"),
        (["acquire", "x", "--timeout", "nan"], 64, "--timeout"),
        (["run", "x", "--timeout", "inf", "--", "true"], 64, "--timeout"),
        (["acquire"], 64, "NAME"),
        (["run", "x"], 64, "COMMAND"),
        (["run", "x", "--now", "--", "true"], 64, "--now"),
        (["steal", "x"], 64, "there is no command 'steal'"),
    ],
)
def test_wrong_words_are_told_in_one_line(shop, words, code, told):
    said = run(shop, "lock", *words)
    assert said.code == code and told in said.err and len(said.err.splitlines()) == 1
    assert listed(shop) == []


def test_what_may_not_be_written_ends_6_and_can_still_be_listed(shop, monkeypatch):
    def refuse(path, *_arguments):
        raise PermissionError(13, "Permission denied", path)

    Locks(str(shop / ".holdfast")).acquire("docs", owner.of(os.getpid()))
    with monkeypatch.context() as patch:
        patch.setattr(guard, "acquire", refuse)
        said = run(shop, "lock", "acquire", "deploy")
        assert said.code == 6 and "locks/~mutex" in said.err
        assert run(shop, "lock", "check", "docs").code == 0


def test_no_locks_are_listed_as_that(shop):
    assert run(shop, "lock", "list").lines == ["no locks"]
    assert listed(shop) == []


def test_the_list_names_who_holds_and_who_waits(shell, shop, background):
    shell("holdfast lock acquire deploy --ttl 600")
    waiter = under(background, shop, "deploy", "true")
    assert backoff.until(lambda: len(listed(shop)) == 2, 60)
    lines = run(shop, "lock", "list").lines
    assert (
        lines[0].startswith(f"deploy  held     pid {shell.pid} (sh), exclusive, since 20") and ", until 20" in lines[0]
    )
    assert lines[1].startswith(f"deploy  waiting  waiting: pid {waiter.pid} ")
    assert run(shop, "lock", "check", "deploy").code == 0
    shell("holdfast lock release deploy")
    assert waiter.wait() == 0
