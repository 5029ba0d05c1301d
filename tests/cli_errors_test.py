"""What the command says when something is wrong: one line, the right exit code, never a traceback."""

import errno
import fcntl
import importlib.util
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest

from commanding import environment, process, run, state_file
from firing import edit_call, fire, make_project, state_of
from holdfast import __version__
from holdfast.cli import failures
from holdfast.cli.root import holdfast
from holdfast.errors import NetworkError
from holdfast.project import Project

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture
def shop(tmp_path):
    return make_project(tmp_path / "shop")


def commands(command=holdfast, words=()):
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


EVERY = dict(commands())


# -- exit codes


def test_the_version_is_printed_by_a_process_of_its_own(tmp_path):
    assert process(tmp_path, "--version") == (0, f"holdfast {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stauts"], "did you mean status"),
        (["state", "raed"], "did you mean read"),
        (["xyzzy"], "there are status, phase"),
        (["phase", "set"], "missing argument"),
        (["status", "--jsn"], "--jsn"),
        (["mode", "asleep"], "asleep"),
        (["task", "add", "two", "words"], "words"),
        (["hook", "post-tool-use"], "--host"),
        (["hook", "nothing", "--host", "claude"], "nothing"),
        (["install", "--host", "emacs"], "emacs"),
    ],
)
def test_wrong_usage_ends_64_and_names_the_nearest_and_the_help(shop, words, told):
    said = run(shop, *words)
    assert said.code == 64 and said.out == ""
    assert told in said.err and "--help" in said.err and len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [["status"], ["state", "read"], ["state", "validate"], ["mode", "paused"], ["workflow", "check"]]
)
def test_without_a_project_a_command_says_so_and_makes_nothing(tmp_path, words):
    said = run(tmp_path, *words)
    assert said.code == 1 and ".holdfast" in said.err and len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_found_from_below(shop):
    below = shop / "src" / "deep"
    below.mkdir(parents=True)
    assert run(below, "mode", "paused").code == 0
    assert state_of(shop)["mode"] == "paused"


@pytest.mark.parametrize("words", [["mode", "paused"], ["state", "read"]])
def test_a_lock_that_is_held_ends_2_within_its_budget(shop, words):
    run(shop, "phase", "set", "spec")
    if words[0] == "state":  # a damaged state has to be written
        state_file(shop).write_bytes(b"{")
    before = state_file(shop).read_bytes()
    with (shop / ".holdfast" / "state.lock").open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        said = run(shop, *words, HOLDFAST_LOCK_TIMEOUT="0.2")
    assert said.code == 2 and "0.2 s" in said.err and len(said.err.splitlines()) == 1
    assert state_file(shop).read_bytes() == before


@pytest.mark.parametrize("given", ["soon", "nan", "inf", "-inf", "-1", "1e18"])
def test_a_budget_that_no_clock_can_take_is_refused_and_the_doctor_tells(shop, given):
    said = run(shop, "mode", "paused", HOLDFAST_LOCK_TIMEOUT=given)
    assert said.code == 4 and f"HOLDFAST_LOCK_TIMEOUT={given}" in said.err and len(said.err.splitlines()) == 1
    found = json.loads(run(shop, "doctor", "--json", HOLDFAST_LOCK_TIMEOUT=given).out)["findings"]
    assert ["environment", "problem"] in [[one["check"], one["level"]] for one in found]


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "1e300", ""])
@pytest.mark.parametrize(
    "words",
    [
        ["recovery", "retry", "--timeout", "{}", "--", "true"],
        ["recovery", "retry", "--delay", "{}", "--", "true"],
        ["recovery", "retry", "--max-delay", "{}", "--", "true"],
        ["recovery", "retry", "--attempts", "{}", "--", "true"],
        ["recovery", "retry", "--on", "{}", "--", "true"],
        ["recovery", "cleanup", "--days", "{}"],
        ["lock", "acquire", "deploy", "--timeout", "{}"],
        ["lock", "acquire", "deploy", "--ttl", "{}"],
        ["lock", "run", "deploy", "--timeout", "{}", "--", "true"],
        ["target", "record", "x", "--skipped", "{}"],
        ["target", "record", "x", "--failed", "{}"],
    ],
    ids=" ".join,
)
def test_a_number_that_no_clock_and_no_count_can_take_is_wrong_usage(shop, words, given):
    said = run(shop, *(given if word == "{}" else word for word in words))
    assert (said.code, said.out) == (64, ""), said
    assert len(said.err.splitlines()) == 1 and words[words.index("{}") - 1] in said.err


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "1e300", "soon"])
def test_hooks_are_not_disturbed_by_a_budget_that_is_no_number(shop, given):
    answer = fire("claude", edit_call("claude", shop, "src/a.py"), shop, env={"HOLDFAST_LOCK_TIMEOUT": given})
    assert (answer.code, answer.stderr) == (0, "") and state_of(shop)["stats"]["tool_calls"] == 1


def test_a_place_that_may_not_be_written_ends_6(shop):
    folder = shop / ".holdfast"
    if os.geteuid() == 0:  # root passes by modes, but not by what /sys refuses
        if not Path("/sys/kernel").is_dir():
            pytest.skip("no folder that root may not write")
        said = run(shop, "mode", "paused", HOLDFAST_STATE_FILE="/sys/kernel/holdfast.json")
    else:
        folder.chmod(0o500)
        said = run(shop, "mode", "paused")
        folder.chmod(0o700)
    assert said.code == 6 and len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (NetworkError("no way to the registry"), 8, "no way to the registry"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 7, "/x/y: no room"),
        (OSError(errno.ETIMEDOUT, "Connection timed out", "/x/y"), 9, "/x/y: the file system"),
        (OSError(errno.EMFILE, "Too many open files", "/x/y"), 10, "/x/y"),
        (MemoryError(), 10, "memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 6, "/x/y"),
        (ModuleNotFoundError("No module named 'yaml'", name="yaml"), 5, "yaml"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(shop, monkeypatch, error, code, told):
    def fail(_start=""):
        raise error

    monkeypatch.setattr(Project, "find", fail)
    said = run(shop, "status")
    assert said.code == code and told in said.err and said.out == ""
    assert len(said.err.splitlines()) == (1 if told else 0)


def test_a_missing_library_ends_5(shop):
    script = "import sys; sys.modules['click'] = None; from holdfast.cli import main; sys.exit(main(['status']))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=shop, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5 and "click" in done.stderr and len(done.stderr.splitlines()) == 1


def test_an_interrupt_while_it_waits_is_quiet(shop):
    run(shop, "phase", "set", "spec")
    script = (  # the interrupt comes when it begins to wait; whoever started the tests may have it ignored
        "import os, signal, sys\nfrom holdfast.cli import main\nfrom holdfast.state import backoff\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "backoff.until = lambda *_given: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(main(['mode', 'paused']))"
    )
    with (shop / ".holdfast" / "state.lock").open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment(),
            cwd=shop,
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_working_directory_that_is_gone_is_named(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os, sys; os.rmdir({str(gone)!r}); from holdfast.cli import main; sys.exit(main(['status']))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=gone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "working directory is gone" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# -- defects


@pytest.fixture
def defect(monkeypatch):
    def fail(_start=""):
        raise RuntimeError("it broke\nin two lines")

    monkeypatch.setattr(Project, "find", fail)


@pytest.mark.usefixtures("defect")
def test_a_defect_becomes_one_line_and_a_log_with_the_versions(shop, home):
    said = run(shop, "status")
    assert said.code == 1 and len(said.err.splitlines()) == 1
    assert said.err.startswith("holdfast: internal error: RuntimeError: it broke in two lines; details in ")
    log = Path(said.err.strip().rpartition("details in ")[2])
    assert log.is_relative_to(home) and log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    for part in ("Traceback", "it broke", __version__, sys.version.split()[0], "click ", "platform"):
        assert part in text


@pytest.mark.usefixtures("defect")
def test_a_log_that_cannot_be_kept_at_home_goes_to_the_temporary_folder(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = run(shop, "status", HOME="/dev/null", XDG_STATE_HOME="/dev/null")
    log = Path(said.err.strip().rpartition("details in ")[2])
    assert said.code == 1 and log.parent == tmp_path and "Traceback" in log.read_text()


@pytest.mark.usefixtures("defect")
def test_secrets_on_the_command_line_are_not_kept_in_the_log(shop, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["holdfast", "state", "patch", "--token=hunter2"])
    said = run(shop, "status")
    assert "hunter2" not in Path(said.err.strip().rpartition("details in ")[2]).read_text()


@pytest.mark.usefixtures("defect")
@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_is_shown_only_to_who_asks_for_it(shop, debug):
    said = run(shop, "status", **({"HOLDFAST_DEBUG": "1"} if debug else {}))
    assert ("Traceback" in said.err) == debug
    assert run(shop, "--version", HOLDFAST_DEBUG="1").err == ""


# -- streams


def test_a_reader_that_goes_away_stops_neither_the_work_nor_the_peace(shop):
    reader, writer = os.pipe()
    os.close(reader)
    for words in (["status"], ["--help"], ["task", "add", "All the same"]):
        said = process(shop, *words, stdout=writer)
        assert (said.code, said.err) == (0, "")
    os.close(writer)
    assert "all-the-same" in state_of(shop)["tasks"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["status"], ["--help"]])
def test_output_that_finds_no_room_ends_7(shop, words):
    with Path("/dev/full").open("w") as full:
        said = process(shop, *words, stdout=full)
    assert said.code == 7 and "no room" in said.err and len(said.err.splitlines()) == 1


def test_a_closed_stdout_or_stderr_is_no_error(shop):
    for redirection, code in ((">&-", 0), ("2>&-", 0)):
        line = f'exec "$0" -m holdfast status {redirection}'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable], cwd=shop, env=environment(), capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (code, b"")


def test_no_warning_of_a_library_reaches_the_user(shop):
    (shop / ".holdfast" / "index.json").unlink()
    for words in (["workflow", "check"], ["state", "patch", '{"mode": "paused"}'], ["status"]):
        said = process(shop, *words, PYTHONWARNINGS="error")
        assert (said.code, said.err) == (0, "")


def test_warnings_are_silent_once_a_command_has_begun(shop):
    script = "import warnings; from holdfast.cli import main; code = main(['mode']); warnings.warn('old'); print(code)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=shop,
        env=environment(PYTHONWARNINGS="error"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("monitoring\n0\n", "")


def test_what_a_terminal_would_obey_is_escaped_on_stderr(shop):
    said = run(shop, "phase", "set", "\x1b[31mred")
    assert said.code == 4 and "\x1b" not in said.err and "\\x1b[31mred" in said.err


@pytest.mark.parametrize("name", ["backups", "checkpoints", "spool", "locks"])
@pytest.mark.parametrize("kind", ["a loop", "a file"])
def test_what_stands_in_a_folders_place_is_named_in_one_line(shop, name, kind):
    run(shop, "state", "init")
    path = shop / ".holdfast" / name
    shutil.rmtree(path, ignore_errors=True)
    path.symlink_to(path) if kind == "a loop" else path.write_text("x")
    for words in (["state", "status"], ["recovery", "status"], ["state", "backup"], ["lock", "list"]):
        said = process(shop, *words)
        assert said.code == 0 or (said.code == 1 and str(path) in said.err), said
        assert len(said.err.splitlines()) <= 1 and "internal error" not in said.err


def test_a_state_in_a_place_that_cannot_be_is_no_defect(shop):
    said = run(shop, "audit", HOLDFAST_STATE_FILE="x" * 5000)
    assert said.code == 1 and "File name too long" in said.err and "internal error" not in said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["phase", "set", "{}"], 4),
        (["signal", "clear", "{}"], 1),
        (["state", "import", "{}"], 1),
        (["state", "read", "--out", "no/{}"], 1),
        (["lock", "run", "x", "--", "{}"], 5),
        (["recovery", "restore", "{}"], 1),
        (["recovery", "retry", "--", "{}"], 5),
        (["target", "record", "x", "{}"], 4),
        (["target", "status", "{}"], 1),
        (["task", "done", "{}"], 1),
        (["workflow", "check", "{}"], 4),
        (["install", "--project", "{}"], 4),
        (["hook", "{}", "--host", "claude"], 64),
    ],
    ids=str,
)
def test_what_was_given_makes_no_second_line_and_none_without_end(shop, words, code):
    said = run(shop, *(word.format("a\nb") for word in words))
    assert said.code == code and len(said.err.splitlines()) == 1, said
    said = run(shop, *(word.format("x" * 5000) for word in words))
    assert (said.code == code or "File name too long" in said.err) and said.out == "", said
    assert len(said.err.splitlines()) == 1 and len(said.err) < 1600


def test_several_problems_have_a_line_each(shop):
    (shop / ".holdfast" / "workflow.yaml").write_text("version: 1\nname: a\nphases: 5\nsignals: 6\n")
    for words in (["workflow", "check"], ["workflow", "show"]):
        said = run(shop, *words)
        assert said.code == 4 and len(said.err.splitlines()) == 2
    run(shop, "state", "init")
    state_file(shop).write_text('{"mode": 5, "revision": "x"}')
    said = run(shop, "state", "validate")
    assert said.code == 4 and sum(line.startswith("holdfast: ") for line in said.err.splitlines()) >= 2


def test_text_that_the_locale_cannot_show_is_escaped(shop):
    run(shop, "task", "add", "Überprüfen")
    said = process(shop, "task", "list", PYTHONIOENCODING="ascii")
    assert said.code == 0 and "\\xdc" in said.out
    assert process(shop, "state", "read", PYTHONIOENCODING="ascii").out == process(shop, "state", "read").out


def on_terminal(folder, *words, **env):
    """What a command shows on a terminal of 60 columns."""
    master, slave = pty.openpty()
    variables = {**environment(), "TERM": "xterm-256color", "COLUMNS": "60", **env}
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", *words], cwd=folder, env=variables, stdin=slave, stdout=slave, stderr=slave
    ) as running:
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 4096):
                shown += chunk
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(master)
        assert running.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def test_status_is_wrapped_and_marked_on_a_terminal(shop):
    run(shop, "task", "add", "A title that is a good deal longer than sixty columns can hold in one line")
    shown = on_terminal(shop, "status")
    assert "\x1b[1m" in shown
    plain = on_terminal(shop, "status", NO_COLOR="1")
    assert "\x1b" not in plain and max(map(len, plain.splitlines())) <= 60
    assert "1 of 3, spec: Write the spec" in plain


def test_status_is_plain_and_never_wrapped_in_a_pipe(shop):
    run(shop, "phase", "set", "build")
    said = process(shop, "status", COLUMNS="20")
    assert "\x1b" not in said.out
    (copy,) = [line for line in said.lines if line.startswith("Last copy")]
    assert str(shop / ".holdfast" / "backups" / "state-") in copy and ".json, " in copy


# -- help


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_explains_itself(tmp_path, words):
    said = run(tmp_path, *words, "--help")
    command = EVERY[words]
    assert (said.code, said.err) == (0, "")
    short = command.get_short_help_str(200)
    assert short and len(short) <= 100 and short in " ".join(said.out.split())
    if not isinstance(command, click.Group):
        assert f"    holdfast {' '.join(words)}" in said.out
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help


@pytest.mark.parametrize(
    "words", [words for words, command in EVERY.items() if isinstance(command, click.Group)], ids=" ".join
)
def test_a_group_alone_shows_its_help(tmp_path, words):
    assert run(tmp_path, *words) == run(tmp_path, *words, "--help")


def test_the_page_of_commands_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_commands", DOCS / "make_commands.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.PAGE.read_text("utf-8") == maker.page(), "run `python docs/make_commands.py`"


def test_the_reasons_that_are_not_ours_have_exit_codes_of_their_own():
    for reason in failures.REASONS:
        _line, code = failures._explain(OSError(reason, os.strerror(reason), "/x"))
        assert code in {6, 7, 9, 10}
