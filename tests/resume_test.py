from holdfast.workflow import compiler
from holdfast.workflow.index import Index
from worlds import FLOW, edit, event, index_of, new, prompt, run, shell, start

INDEX = index_of()


def test_the_briefing_says_where_the_work_stands():
    state = new()
    start(state, INDEX, session="one", host="codex")
    edit(state, INDEX, "docs/spec/refund.md", session="one", host="codex")
    edit(state, INDEX, "src/refund.py", session="one", host="codex")
    shell(state, INDEX, "make check", "failed", session="one", host="codex")
    run(state, INDEX, event("session_end", session="one", host="codex"))
    told = start(state, INDEX, session="two", host="gemini")
    for part in ("shop", "Phase 2 of 3", "Build it", "TESTS_PASSED", "already there: CODE_WRITTEN", "src/refund.py"):
        assert part in told
    assert "make check" in told
    assert "codex, session one" in told
    current = state["current_session"]
    assert (current["id"], current["host"]) == ("two", "gemini")
    assert (current["steps_completed"], current["last_step"], current["total_steps"]) == ([1], 1, 3)


def test_the_same_state_gives_the_same_text():
    state = new()
    edit(state, INDEX, "src/a.py")
    first = start(state, INDEX, "resume")
    run(state, INDEX, event("turn_end"))
    assert start(state, INDEX, "resume") == first


def test_the_briefing_is_cut_at_the_bound_least_important_last():
    index = index_of(FLOW + "briefing: {max_chars: 300}\n")
    state = new()
    for number in range(30):
        edit(state, index, f"src/a-rather-long-name-of-a-file-{number}.py", session=f"s{number % 5}")
    told = start(state, index, session="last")
    assert len(told) <= 300
    assert "Write the spec" in told


def test_a_repeated_start_is_briefed_again_and_counted_once():
    state = new()
    start(state, INDEX, "resume")
    revision, resumes = state["revision"], state["stats"]["total_resumes"]
    assert "Write the spec" in start(state, INDEX, "resume")
    assert (state["revision"], state["stats"]["total_resumes"]) == (revision, resumes) == (1, 1)


def test_ends_and_compactions_that_repeat_are_the_same_event():
    state = new()
    start(state, INDEX)
    for moment in ("before_compaction", "session_end"):
        run(state, INDEX, event(moment, source="x"))
        revision = state["revision"]
        run(state, INDEX, event(moment, source="x"))
        assert state["revision"] == revision


def test_a_spooled_start_that_is_folded_twice_counts_once():
    state = new()
    spooled = event("session_start", source="resume", key="spooled-1")
    run(state, INDEX, spooled)
    edit(state, INDEX, "src/a.py")
    run(state, INDEX, spooled)
    assert state["stats"]["total_resumes"] == 1


def test_paused_records_sessions_and_nothing_else():
    state = new()
    state["mode"] = "paused"
    assert start(state, INDEX) == ""
    assert state["current_session"]["id"] == "s1"
    assert prompt(state, INDEX, "refund") == ""
    edit(state, INDEX, "docs/spec/a.md")
    assert (state["stats"]["prompts"], state["stats"]["tool_calls"], state["phase"]) == (0, 0, None)
    run(state, INDEX, event("session_end"))
    assert state["sessions"]["s1"]["ended_at"]


def test_stopped_does_nothing_at_all():
    state = new()
    state["mode"] = "stopped"
    start(state, INDEX)
    prompt(state, INDEX, "refund")
    edit(state, INDEX, "docs/spec/a.md")
    assert state == {**new(), "mode": "stopped"}


def test_a_broken_workflow_is_told_at_each_start_until_it_is_mended():
    index = index_of()
    index.header["error"] = "workflow.yaml:3: phases: is missing"
    state = new()
    assert "workflow.yaml:3" in start(state, index, session="a")
    assert "workflow.yaml:3" in start(state, index, session="b")
    assert "workflow.yaml:3" not in start(state, INDEX, session="c")


def test_a_workflow_without_phases_briefs_on_what_there_is():
    index = Index(compiler.render(compiler.EMPTY, {}, [-1, 0], ""))
    state = new()
    assert start(state, index) == ""
    assert state["phase"] is None
