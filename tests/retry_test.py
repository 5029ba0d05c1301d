"""`holdfast recovery retry` runs a command again, as it is written, and ends as it ended."""

import os
import signal
import subprocess
import sys

import pytest

from commanding import environment, process, run
from firing import audit_of, make_project, state_of
from holdfast.locks import child

# A command that notes that it was run, and fails until it was run so often.
FLAKY = """
import os, sys
with open("runs", "ab") as file:
    file.write(b"x")
    runs = file.tell()
sys.exit(0 if runs >= int(sys.argv[1]) else int(sys.argv[2]))
"""


def retry(folder, *words, **env):
    return process(folder, "recovery", "retry", *words, **env)


def flaky(good_at, code):
    return [sys.executable, "-c", FLAKY, good_at, code]


def runs(folder):
    return (folder / "runs").stat().st_size


def test_a_command_is_run_until_it_succeeds(tmp_path):
    said = retry(tmp_path, "--attempts", 5, "--delay", 0, "--", *flaky(3, 9))
    assert (said.code, runs(tmp_path)) == (0, 3)
    assert said.err.count("exit code 9") == 2


@pytest.mark.parametrize("code", [1, 2, 9, 64, 130, 255])
def test_the_last_runs_exit_code_is_the_end(tmp_path, code):
    said = retry(tmp_path, "--attempts", 2, "--delay", 0, "--", *flaky(9, code))
    assert (said.code, runs(tmp_path)) == (code, 2)


def test_only_the_codes_that_are_named_are_worth_another_run(tmp_path):
    assert retry(tmp_path, "--attempts", 4, "--delay", 0, "--on", "2,9", "--", *flaky(9, 3)).code == 3
    assert runs(tmp_path) == 1
    assert retry(tmp_path, "--attempts", 4, "--delay", 0, "--on", "2,9", "--", *flaky(9, 9)).code == 9
    assert runs(tmp_path) == 5


def test_delays_grow_and_keep_to_their_bound(tmp_path):
    said = retry(tmp_path, "--attempts", 6, "--delay", 0.01, "--max-delay", 0.04, "--", *flaky(9, 1))
    assert said.code == 1
    assert said.err.count("again in 0.0 s") == 5


@pytest.mark.parametrize("words", [["a b", "$HOME", "*", ";", "--json"]])
def test_words_reach_the_command_as_they_are_written_without_a_shell(tmp_path, words):
    said = retry(tmp_path, "--", sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
    assert said.out == f"{words}\n"
    said = retry(tmp_path, sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
    assert said.out == f"{words}\n", "without -- too"


def test_a_command_gets_stdin_and_the_environment(tmp_path):
    program = "import os, sys; print(sys.stdin.read(), os.environ['MARK'])"
    assert process(
        tmp_path, "recovery", "retry", "--", sys.executable, "-c", program, stdin=b"in", MARK="here"
    ).out == ("in here\n")


def test_a_program_that_is_not_there_is_not_tried_again(tmp_path):
    said = retry(tmp_path, "--delay", 0, "--", "no-such-program")
    assert said.code == 5 and said.err == "holdfast: no-such-program: there is no such program\n"


@pytest.mark.parametrize("codes", ["x", "0", "256", "", "1;2"])
def test_codes_that_are_none_are_wrong_usage(tmp_path, codes):
    said = retry(tmp_path, "--on", codes, "--", *flaky(1, 1))
    assert said.code == 64 and "--on" in said.err and not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_command_is_not_run_again(tmp_path, number):
    program = f"""
import signal, sys, time
def leave(number, frame):
    open("got", "a").write(str(number) + " ")
    sys.exit(33)
signal.signal({int(number)}, leave)
print("ready", flush=True)
time.sleep(60)
"""
    words = [sys.executable, "-m", "holdfast", "recovery", "retry", "--delay", "0", "--", sys.executable, "-c", program]
    given = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509  a run in the background ignores SIGINT
    )
    assert given.stdout.readline() == b"ready\n"
    given.send_signal(number)
    out, err = given.communicate(timeout=30)
    assert given.returncode == 33, err
    assert (tmp_path / "got").read_text() == f"{int(number)} "
    assert out == b"", "a second run would have said that it is ready"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_command_that_dies_of_a_signal_ends_as_in_a_shell(tmp_path):
    said = retry(tmp_path, "--attempts", 1, "--", "sh", "-c", "kill -9 $$")
    assert said.code == 137


def test_a_success_after_failures_is_a_recovery(tmp_path):
    shop = make_project(tmp_path / "shop")
    run(shop, "phase", "set", "build")
    assert retry(shop, "--delay", 0, "--", *flaky(2, 9)).code == 0
    assert state_of(shop)["stats"]["recoveries"] == 1
    assert "succeeded at run 2" in audit_of(shop)[-1]["what"]
    assert retry(shop, "--delay", 0, "--", *flaky(1, 9)).code == 0
    assert state_of(shop)["stats"]["recoveries"] == 1, "nothing had failed"
    assert not list((shop / ".holdfast" / "spool").iterdir())


def test_a_run_that_takes_too_long_is_ended_and_tried_again(tmp_path):
    """The first run waits for ever, the second finds what it waited for."""
    words = ["sh", "-c", "test -e there || { touch there; exec sleep 600; }"]
    assert retry(tmp_path, "--delay", 0, "--timeout", 1, "--", *words).code == 0


def test_a_command_that_always_takes_too_long_ends_9(tmp_path):
    said = retry(tmp_path, "--attempts", 2, "--delay", 0, "--timeout", 0.2, "--", "sleep", "600")
    assert said.code == 9 and "run 1 of 2 ended with exit code 9" in said.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups")
def test_what_such_a_command_started_is_ended_with_it(tmp_path):
    """The pipe ends only when nobody holds it any more."""
    words = ["sh", "-c", "sleep 600 & exec sleep 600"]
    said = retry(tmp_path, "--attempts", 1, "--timeout", 0.2, "--", *words)
    assert said.code == 9


def test_one_that_does_not_heed_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr(child, "GRACE", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    assert child.run([sys.executable, "-c", deaf], os.environ, limit=0.5) == 9
