"""The reserve, on real file systems that are full."""

import os
import stat

import pytest

from commanding import run
from faults_test import inside, needs_mounts
from firing import edit_call, fire, make_project, start
from holdfast.state import reserve

# A file system of its own for FOLDER, and what fills it.
FULL = """
from commanding import process
def mounted(size):
    keep = PROJECT / "keep"
    subprocess.run(["cp", "-a", str(FOLDER), str(keep)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(FOLDER)], check=True)
    subprocess.run(f"cp -a {keep}/. {FOLDER}/", shell=True, check=True)
def fill():
    fd = os.open(FOLDER / "ballast", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for size in (1 << 16, 4096, 512):
        try:
            while True:
                os.write(fd, b"x" * size)
        except OSError:
            pass
    os.close(fd)
def fire_edits(count):
    for turn in range(count):
        answer = fire("claude", edit_call("claude", PROJECT, f"src/{turn}.py"), PROJECT)
        assert (answer.code, answer.stderr) == (0, ""), answer
def names():
    return {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*")}
def calls():
    return state_of(PROJECT)["stats"]["tool_calls"]
"""


def test_the_first_session_makes_the_reserve_and_it_takes_its_room_on_the_disk(project):
    fire("claude", start("claude", project), project)
    found = (project / ".holdfast" / "reserve").stat()
    assert (found.st_size, stat.S_IMODE(found.st_mode)) == (64 << 10, 0o600)
    if hasattr(found, "st_blocks"):
        assert found.st_blocks * 512 >= 64 << 10
    copy = project / "copy"
    copy.write_bytes((project / ".holdfast" / "reserve").read_bytes())
    assert len(set(copy.read_bytes())) == 256, "zeros would take no room in a copy, or where the file system compresses"


def test_a_start_makes_a_reserve_that_is_gone_and_leaves_one_that_is_there(project):
    fire("claude", start("claude", project), project)
    path = project / ".holdfast" / "reserve"
    before = path.stat().st_mtime_ns
    fire("claude", start("claude", project, "resume"), project)
    assert path.stat().st_mtime_ns == before
    path.unlink()
    fire("claude", edit_call("claude", project, "src/a.py"), project)
    assert not path.exists(), "no event but a start looks for it"
    fire("claude", start("claude", project, "resume"), project)
    assert path.stat().st_size == 64 << 10


@pytest.mark.parametrize("words", [["phase", "set", "build"], ["recovery", "checkpoint", "deploy"]])
def test_a_command_makes_it_too(tmp_path, words):
    shop = make_project(tmp_path / "shop")
    path = shop / ".holdfast" / "reserve"
    path.write_bytes(b"cut off")
    assert run(shop, *words).code == 0
    assert path.stat().st_size == 64 << 10


def test_commands_that_only_read_make_none(tmp_path):
    shop = make_project(tmp_path / "shop")
    for words in (["status"], ["state", "read"], ["recovery", "status"], ["recovery", "list"]):
        assert run(shop, *words).code == 0
    assert not (shop / ".holdfast" / "reserve").exists()


def test_where_hooks_are_stopped_a_start_makes_none(project):
    run(project, "mode", "stopped")
    path = project / ".holdfast" / "reserve"
    path.unlink()
    fire("claude", start("claude", project), project)
    assert not path.exists()


def test_a_start_sweeps_what_a_killed_maker_left(project):
    (project / ".holdfast" / f"reserve.{2**22 + 1}.tmp").write_text("left")
    fire("claude", start("claude", project), project)
    assert [path.name for path in (project / ".holdfast").glob("reserve*")] == ["reserve"]


def test_only_a_full_disk_costs_the_reserve(project):
    fire("claude", start("claude", project), project)
    folder = str(project / ".holdfast")
    assert not reserve.gives_way(folder, PermissionError(13, "no"))
    assert os.path.exists(os.path.join(folder, "reserve"))


@needs_mounts
def test_on_a_full_disk_no_event_is_lost_and_all_is_as_before_when_there_is_room(project):
    fire("claude", start("claude", project), project)
    inside(
        FULL
        + """
mounted("256k")
fill()
assert "reserve" in names()
fire_edits(1)
mode = state_of(PROJECT)["degraded_mode"]
assert mode["enabled"] and "no room" in mode["reason"] and "backups" in mode["disabled_features"], mode
assert "reserve" not in names()
fire_edits(29)
assert calls() == 30
copies = {name for name in names() if name.startswith("backups/state-")}
assert state_of(PROJECT)["degraded_mode"]["enabled"], "while there is no room for a reserve"
assert "no room" in fire("claude", start("claude", PROJECT, "resume"), PROJECT).text
assert {name for name in names() if name.startswith("backups/state-")} == copies, "no copies in it"
os.unlink(FOLDER / "ballast")
fire_edits(1)
state = state_of(PROJECT)
assert not state["degraded_mode"]["enabled"]
assert (calls(), state["stats"]["recoveries"]) == (31, 1)
assert (FOLDER / "reserve").stat().st_size == 64 << 10
assert not [name for name in names() if name.startswith("spool/") or name.endswith(".tmp")]
decisions = [line["decision"] for line in audit_of(PROJECT)]
assert decisions.count("degraded") == 1 and decisions.count("recovered") == 1, decisions
assert "lost" not in decisions and "has its reserve back" in fire("claude", start("claude", PROJECT), PROJECT).text
""",
        project,
    )


@needs_mounts
def test_without_its_reserve_a_full_disk_would_lose_the_event(project):
    fire("claude", start("claude", project), project)
    inside(
        FULL
        + """
(FOLDER / "reserve").unlink()
mounted("192k")
fill()
fire_edits(1)
os.unlink(FOLDER / "ballast")
fire_edits(1)
assert calls() == 1
assert "An event was lost" in fire("claude", start("claude", PROJECT, "resume"), PROJECT).text
""",
        project,
    )


@needs_mounts
def test_a_state_too_large_for_the_reserve_leaves_its_room_to_the_spool(project):
    fire("claude", start("claude", project), project)
    tasks = ", ".join(
        f'"t{number}": {{"title": "{"x" * 900}", "status": "pending", "source": "user", "updated_at": 1}}'
        for number in range(90)
    )
    assert run(project, "state", "patch", "-", stdin=f'{{"tasks": {{{tasks}}}}}'.encode()).code == 0
    for path in (project / ".holdfast" / "backups").glob("state-*"):
        path.unlink()
    inside(
        FULL
        + """
mounted("512k")
fill()
before = (FOLDER / "state.json").read_bytes()
assert len(before) > 65536
fire_edits(14)
assert (FOLDER / "state.json").read_bytes() == before
assert calls() == 14 and "reserve" not in names()
assert not [name for name in names() if name.endswith(".lost")]
fire_edits(10)
lost = len([name for name in names() if name.endswith(".lost")])
assert lost, "the reserve is used up"
assert "lost" in [line["decision"] for line in audit_of(PROJECT)], "whole lines, though some found no room"
assert calls() == 24 - lost
os.unlink(FOLDER / "ballast")
fire_edits(1)
assert calls() == 25 - lost
told = fire("claude", start("claude", PROJECT, "resume"), PROJECT).reply["systemMessage"]
assert f"{lost} events were lost" in told, told
assert not state_of(PROJECT)["degraded_mode"]["enabled"] and "reserve" in names()
""",
        project,
    )


@needs_mounts
def test_when_the_reserve_is_used_up_the_oldest_copies_make_room_but_for_three(project):
    fire("claude", start("claude", project), project)
    state = (project / ".holdfast" / "state.json").read_bytes()
    for day in range(10, 20):
        (project / ".holdfast" / "backups" / f"state-202001{day}T000000Z-r1.json").write_bytes(state)
    inside(
        FULL
        + """
(FOLDER / "reserve").unlink()
mounted("192k")
fill()
fire_edits(1)
kept = sorted(name for name in names() if name.startswith("backups/state-2020"))
assert 2 <= len(kept) < 10 and kept[-1].endswith("0119T000000Z-r1.json"), kept
fire_edits(20)
assert calls() == 21, (calls(), names(), audit_of(PROJECT))
assert not [name for name in names() if name.endswith(".lost")]
""",
        project,
    )


@needs_mounts
def test_many_hooks_at_once_on_a_full_disk_lose_nothing(project):
    fire("claude", start("claude", project), project)
    inside(
        FULL
        + """
from concurrent.futures import ThreadPoolExecutor
mounted("256k")
fill()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: fire_edits(1), range(12)))
os.unlink(FOLDER / "ballast")
fire_edits(1)
assert calls() == 13, (calls(), names())
""",
        project,
    )


@needs_mounts
def test_a_command_on_a_full_disk_removes_old_copies_and_goes_on(project):
    fire("claude", start("claude", project), project)
    state = (project / ".holdfast" / "state.json").read_bytes()
    for day in range(10, 20):
        (project / ".holdfast" / "backups" / f"state-202001{day}T000000Z-r1.json").write_bytes(state)
    (project / ".holdfast" / f"state.json.{2**22 + 1}.tmp").write_bytes(b"x" * 9000)
    inside(
        FULL
        + """
mounted("256k")
fill()
said = process(PROJECT, "phase", "set", "build")
assert said.code == 0, said
assert state_of(PROJECT)["phase"] == "build" and state_of(PROJECT)["stats"]["recoveries"] == 1
assert "old backups were removed" in [line for line in audit_of(PROJECT) if line["decision"] == "recovered"][0]["what"]
kept = [name for name in names() if name.startswith("backups/state-")]
assert 3 <= len(kept) <= 4 and not [name for name in names() if name.endswith(".tmp")], names()
os.unlink(FOLDER / sorted(kept)[0])
fill()
said = process(PROJECT, "phase", "set", "ship")
assert said.code == 7 and len(said.err.splitlines()) == 1, said
assert state_of(PROJECT)["phase"] == "build" and "reserve" in names(), "that is for events"
""",
        project,
    )


@needs_mounts
def test_where_there_is_no_room_for_it_none_is_made(project):
    inside(
        FULL
        + """
mounted("88k")
fire("claude", start("claude", PROJECT), PROJECT)
assert state_of(PROJECT)["sessions"] and not [name for name in names() if name.startswith("reserve")]
""",
        project,
    )
