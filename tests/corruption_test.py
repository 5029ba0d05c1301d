"""A state that is damaged in each way, alone and with what it could be recovered from: what can be saved is, the rest is kept and told."""

import json
import os

import pytest

from commanding import run, state_file
from firing import edit_call, fire, start, state_of
from holdfast.state import backups, document

SPOILS = {
    "truncated": lambda data: data[: len(data) // 2],
    "garbage": lambda data: os.urandom(len(data)),
    "of a wrong shape": lambda _data: b'{"revision": 7, "mode": "asleep", "phase": ["build"]}',
    "zero bytes": lambda _data: b"",
    "zeroed": lambda data: bytes(len(data)),
}


@pytest.fixture
def lived_in(project):
    """A project in its second phase, with a task and copies of all."""
    fire("claude", start("claude", project), project)
    fire("claude", edit_call("claude", project, "docs/spec/a.md"), project)
    assert run(project, "task", "add", "Ring the bell").code == 0
    assert run(project, "state", "backup", "wanted").code == 0
    return project


def copies(project):
    return sorted((project / ".holdfast" / "backups").glob("*.json"))


def spoil(path, how):
    """Damage a file; what is in it then."""
    broken = SPOILS[how](path.read_bytes())
    path.write_bytes(broken)
    return broken


def kept(project):
    """The content of the broken files that were put aside."""
    return [path.read_bytes() for path in (project / ".holdfast").glob("state.json.corrupt-*")]


def event(project):
    """An event, and those that follow where a hook has not the time to recover: its libraries are slow to load."""
    for _ in range(5):
        fire("claude", edit_call("claude", project, "src/a.py"), project)
        if state_file(project).exists() and document.decode(state_file(project).read_bytes()) is not None:
            break


def command(project):
    assert run(project, "phase", "show").code == 0


@pytest.mark.parametrize("meets", [event, command])
@pytest.mark.parametrize("how", SPOILS)
def test_a_damaged_state_comes_back_whole_and_the_broken_file_is_kept(how, meets, lived_in):
    broken = spoil(state_file(lived_in), how)
    meets(lived_in)
    state = state_of(lived_in)
    assert (state["phase"], list(state["tasks"]), state["stats"]["recoveries"]) == ("build", ["ring-the-bell"], 1)
    assert kept(lived_in) == [broken]
    assert "recovered from a backup" in run(lived_in, "status").out
    assert "recovered from a backup" in fire("claude", start("claude", lived_in, "resume"), lived_in).text


@pytest.mark.parametrize("how", SPOILS)
def test_with_the_newest_copies_spoilt_too_the_next_best_is_what_comes_back(how, lived_in):
    run(lived_in, "task", "add", "Newer than any copy")
    oldest, *others = copies(lived_in)
    assert others
    spoilt = {path: spoil(path, how) for path in others}
    broken = spoil(state_file(lived_in), how)
    event(lived_in)
    assert state_of(lived_in)["stats"]["recoveries"] == 1
    assert kept(lived_in) == [broken]
    for path, data in spoilt.items():
        assert path.name in backups.UNDATED or path.read_bytes() == data, "who knows what can be read from it"
    assert oldest.exists()


@pytest.mark.parametrize("meets", [event, command])
@pytest.mark.parametrize("how", SPOILS)
def test_with_every_copy_spoilt_it_begins_anew_keeps_all_that_is_broken_and_says_so(how, meets, lived_in):
    spoilt = {path: spoil(path, how) for path in copies(lived_in)}
    broken = spoil(state_file(lived_in), how)
    meets(lived_in)
    state = state_of(lived_in)
    assert state["tasks"] == {} and state["stats"]["recoveries"] == 1
    assert state["revision"] > max(
        int(path.name.split("-r")[1].split("-")[0].split(".")[0]) for path in spoilt if "-r" in path.name
    )
    assert kept(lived_in) == [broken]
    for path, data in spoilt.items():
        assert path.name in backups.UNDATED or path.read_bytes() == data
    assert "begins anew" in run(lived_in, "status").out
    told = fire("claude", start("claude", lived_in, "resume"), lived_in)
    assert "begins anew" in told.text and "begins anew" in told.reply["systemMessage"]
    for number in range(25):
        assert run(lived_in, "state", "backup", f"later-{number}").code == 0
    assert sum("later" in path.name for path in copies(lived_in)) >= 15, "broken copies do not outlive good ones"


def test_a_state_that_is_gone_with_its_copies_spoilt_begins_anew_and_says_so(lived_in):
    for path in copies(lived_in):
        spoil(path, "garbage")
    state_file(lived_in).unlink()
    event(lived_in)
    assert state_of(lived_in)["stats"]["recoveries"] == 1
    assert "gone, and no backup was valid" in run(lived_in, "status").out


def test_a_checkpoint_is_what_is_left_where_every_copy_is_spoilt(lived_in):
    assert run(lived_in, "recovery", "checkpoint", "deploy").code == 0
    for path in [*copies(lived_in), state_file(lived_in)]:
        spoil(path, "garbage")
    event(lived_in)
    state = state_of(lived_in)
    assert (state["phase"], list(state["tasks"])) == ("build", ["ring-the-bell"])


def test_what_is_broken_is_told_to_scripts_too(lived_in):
    broken = spoil(state_file(lived_in), "garbage")
    assert run(lived_in, "state", "validate").code == 3
    assert state_file(lived_in).read_bytes() == broken, "that only looks"
    facts = json.loads(run(lived_in, "recovery", "status", "--json").out)
    assert "damaged" in facts["error"] and "revision" in next(r["now"] for r in facts["remedies"] if r["code"] == 3)
    said = run(lived_in, "status", "--json")
    assert "recovered from a backup" in json.loads(said.out)["notices"][0]["text"] and "recovered" in said.err
