"""The host is told by the payload's shape, whatever the registration and the environment say."""

import pytest

from firing import HOSTS, PAYLOADS, edit_call, fire, make_project, recorded, start, state_of
from holdfast import hosts

EVERY = [(host, path.stem) for host in HOSTS for path in sorted((PAYLOADS / host).glob("*.json"))]
REGISTERED = [*HOSTS, "", "vim"]
# What has nothing of its own once its transcript lies in an unusual place: only the registration tells.
SHAPELESS = {"SessionStart.startup", "SessionStart.resume", "SessionStart.clear", "SessionStart.compact", "SessionEnd"}


@pytest.mark.parametrize("registered", REGISTERED)
@pytest.mark.parametrize(("host", "name"), EVERY)
def test_a_recorded_payload_is_told_under_any_registration(host, name, registered, monkeypatch):
    for variable in ("CLAUDECODE", "CLAUDE_PROJECT_DIR", "GEMINI_PROJECT_DIR", "COPILOT_CLI"):
        monkeypatch.setenv(variable, "/elsewhere")
    if (host, registered) != ("copilot", "gemini"):  # it reads no file in which Gemini's hooks are
        assert hosts.tell(recorded(host, name), registered) == host


@pytest.mark.parametrize(("host", "name"), EVERY)
@pytest.mark.parametrize("place", ["/data/claude/projects/x.jsonl", "C:\\Users\\dev\\x.jsonl", ""])
def test_with_its_transcript_elsewhere_a_payload_is_still_told_by_its_other_fields(host, name, place):
    payload = recorded(host, name)
    if payload.get("transcript_path") is not None:
        payload["transcript_path"] = place
    for registered in HOSTS:
        if (host, registered) == ("copilot", "gemini"):
            continue
        told = hosts.tell(payload, registered)
        shapeless = host in ("claude", "codex") and name in SHAPELESS and "prompt_id" not in payload
        assert told == (registered if shapeless else host)


def test_the_folders_of_a_windows_home_tell_claude():
    payload = {
        **recorded("claude", "SessionStart.startup"),
        "transcript_path": "C:\\Users\\dev\\.claude\\projects\\x.jsonl",
    }
    assert hosts.tell(payload, "codex") == "claude"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CLAUDECODE": "1"}, "claude"),
        ({"GEMINI_PROJECT_DIR": "/x", "CLAUDE_PROJECT_DIR": "/x"}, "gemini"),
        ({"COPILOT_CLI": "1", "CLAUDE_PROJECT_DIR": "/x"}, "copilot"),
        ({}, "codex"),
    ],
)
def test_without_shape_and_registration_the_environment_tells(variables, expected, monkeypatch):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert hosts.tell({"hook_event_name": "SessionStart"}, "") == expected
    assert hosts.tell({"hook_event_name": "SessionStart"}, "gemini") == "gemini", "the registration goes first"


@pytest.mark.parametrize(
    "payload", [{}, {"hook_event_name": 5, "transcript_path": []}, {"turn_id": None}, {"prompt_id": 1}]
)
def test_any_object_is_told_as_some_host(payload):
    assert hosts.tell(payload, "") in HOSTS


def test_there_is_a_module_for_each_host_and_for_no_other():
    assert [hosts.module(name).__name__.rpartition(".")[2] for name in hosts.NAMES] == list(HOSTS)
    with pytest.raises(ValueError, match="vim"):
        hosts.module("vim")


def test_a_codex_in_a_shell_of_claude_works_on_its_own_project(tmp_path):
    mine, theirs = make_project(tmp_path / "mine"), make_project(tmp_path / "theirs")
    inherited = {"CLAUDECODE": "1", "CLAUDE_PROJECT_DIR": str(theirs), "GEMINI_PROJECT_DIR": str(theirs)}
    for registered in ("codex", "claude"):  # the second: Claude's hooks file, read by Codex
        fire(registered, edit_call("codex", mine, "docs/spec/a.md"), mine, env=inherited)
    assert state_of(mine)["stats"]["tool_calls"] == 2
    assert state_of(mine)["sessions"]["codex-session"]["host"] == "codex"
    assert state_of(theirs)["revision"] == 0


@pytest.mark.parametrize("registered", ["copilot", "claude"])
def test_a_copilot_in_shells_of_others_works_on_its_own_project(registered, tmp_path):
    """The second registration: Claude's hooks file, which it runs too."""
    mine, theirs = make_project(tmp_path / "mine"), make_project(tmp_path / "theirs")
    inherited = {"CLAUDECODE": "1", "GEMINI_PROJECT_DIR": str(theirs), "COPILOT_PROJECT_DIR": str(theirs)}
    answer = fire(registered, start("copilot", mine), mine, env={"CLAUDE_PROJECT_DIR": str(theirs), **inherited})
    assert "Phase 1 of 3" in answer.reply["additionalContext"]
    assert state_of(mine)["sessions"]["copilot-session"]["host"] == "copilot"
    assert state_of(theirs)["revision"] == 0


@pytest.mark.parametrize("host", ["claude", "gemini"])
def test_a_host_that_names_its_project_may_have_moved_elsewhere(host, tmp_path):
    project, away = make_project(tmp_path / "shop"), make_project(tmp_path / "away")
    fire(host, edit_call(host, project, "docs/spec/a.md", cwd=str(away)), project)
    assert state_of(project)["phase"] == "build"
    assert state_of(away)["revision"] == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_project_is_found_from_a_folder_below_it(host, project):
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    variables = {"CLAUDE_PROJECT_DIR": None, "GEMINI_PROJECT_DIR": None}
    answer = fire(host, start(host, project, cwd=str(below)), project, env=variables)
    assert "Phase 1 of 3" in answer.text


@pytest.mark.parametrize("host", HOSTS)
def test_a_folder_without_a_workflow_is_left_alone(host, tmp_path):
    answer = fire(host, start(host, tmp_path), tmp_path)
    assert (answer.code, answer.stdout, answer.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
