"""The hooks write without pydantic, so these tests hold them and the schema together."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import spooled
from holdfast.errors import ValidationFailed
from holdfast.events import KINDS, OUTCOMES
from holdfast.state import document, schema
from worlds import event, index_of, new, run, tool

INDEX = index_of()
OTHER = index_of(
    "version: 1\nname: other\nphases: [{id: alone, next: [A, B]}]\nsignals: {A: {tool: plan}, B: {tool: edit}}\n"
)

texts = st.text(max_size=40) | st.sampled_from(
    ["refund the spec", "deploy", "pytest", "make\x00 check", "\ud800", "x" * 3000]
)
paths = st.lists(
    st.sampled_from(["docs/spec/a.md", "src/b.py", "/etc/passwd", "migrations/1", "a\nb", "<b>"]) | texts, max_size=4
)
todos = st.lists(
    st.fixed_dictionaries(
        {"title": texts, "status": st.sampled_from(["pending", "completed", "in_progress", "deleted", "odd", ""])},
        optional={"ref": st.sampled_from(["", "1", "2"])},
    ),
    max_size=5,
)
tools = st.builds(
    tool,
    st.sampled_from(KINDS),
    texts,
    paths=paths,
    command=texts,
    todos=todos,
    whole_list=st.booleans(),
    skill=texts,
    outcome=st.sampled_from(OUTCOMES),
    exit_code=st.none() | st.integers(-300, 300),
)
moments = st.sampled_from(["session_start", "prompt", "tool_done", "before_compaction", "turn_end", "session_end"])
changes = st.fixed_dictionaries(
    {},
    optional={
        "prompt": texts,
        "source": st.sampled_from(["startup", "resume", "compact", "clear", "odd\x07"]),
        "subagent": st.sampled_from(["", "agent-1"]),
        "unheard": st.booleans(),
        "transcript": texts,
        "cwd": texts,
    },
)


@st.composite
def events(draw):
    moment = draw(moments)
    made = event(moment, draw(st.sampled_from([f"s{n}" for n in range(25)])), **draw(changes))
    if moment == "tool_done":
        made.tool = draw(tools)
    return made


def accepted(state):
    """The schema takes the state, and gives it back unchanged, to the byte."""
    given_back = schema.validate(json.loads(document.encode(state)), "state")
    assert document.encode(given_back) == document.encode(state)


@settings(max_examples=150, deadline=None)
@given(st.lists(events(), max_size=40), st.lists(st.sampled_from([INDEX, OTHER]), max_size=40), st.integers(0, 2))
def test_whatever_the_hooks_write_the_schema_accepts_and_gives_back_unchanged(made, indexes, mode):
    state = new()
    state["mode"] = ("monitoring", "paused", "monitoring")[mode]
    for place, one in enumerate(made):
        index = indexes[place] if place < len(indexes) else INDEX
        revision = state["revision"]
        run(state, index, one)
        assert revision <= state["revision"]
        document.bound(state)
        document.stamp(state, one.at, f"{one.host}:{one.session}")
    accepted(state)
    assert document.decode(document.encode(state)) == state
    lazy = document.decode(document.encode(state), lazily=True)
    assert document.decode(document.encode(lazy)) == state, "what nobody asked for is written back as it is"
    assert document.whole(lazy) == state


@settings(max_examples=50, deadline=None)
@given(events())
def test_an_event_comes_back_from_the_spool_as_it_was(made):
    record = json.loads(json.dumps(spooled.to_dict(made)))
    again = spooled.from_dict(record)
    assert spooled.to_dict(again) == spooled.to_dict(made)
    assert again.prompt == ""


def test_a_new_state_is_valid():
    accepted(new())


def test_the_state_stays_small_however_much_happens():
    state = new()
    for number in range(1500):
        session = f"session-{number % 40}"
        made = tool("edit", paths=[f"src/{'deep/' * 8}file-{number}.py"])
        run(state, INDEX, event("tool_done", session, tool=made))
        items = [{"title": f"task number {number} {'x' * 90}", "status": "pending"}]
        run(state, INDEX, event("tool_done", session, tool=tool("plan", "TodoWrite", todos=items)))
        document.bound(state)
    accepted(state)
    assert len(state["sessions"]) == document.SESSIONS
    assert len(state["tasks"]) == document.TASKS
    assert len(state["recent"]) == document.RECENT
    assert len(document.encode(state)) < 64_000


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"phse": "x"}, "phse"),
        ({"mode": "asleep"}, "mode"),
        ({"revision": -1}, "revision"),
        ({"revision": "1"}, "revision"),
        ({"stats": {"prompts": 1}}, "stats.saves_count"),
        ({"tasks": {"a": {"title": "x"}}}, "tasks.a.status"),
        ({"sessions": {"s": {}}}, "sessions.s.host"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(change, key):
    with pytest.raises(ValidationFailed, match=key):
        schema.validate({**new(), **change}, "state.json")
