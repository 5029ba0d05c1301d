"""workflow.yaml: every key of it is read; every mistake in it is named with file, line, key and what to do."""

import re
import string
import typing

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.errors import HoldfastError, PermissionDenied, ValidationFailed
from holdfast.workflow import definition, loader
from holdfast.workflow.definition import Workflow

FULL = """\
version: 1
name: feature
phases:                         # in order
  - id: spec
    title: Write the spec
    next: SPEC_WRITTEN
    guidance: One line.
  - id: build
    next: [TESTS_WRITTEN, TESTS_PASSED]
signals:
  SPEC_WRITTEN: {tool: edit, path: "docs/spec/**/*.md"}
  TESTS_PASSED: {tool: shell, command: "pytest|npm test", outcome: ok}
  DEPLOYED:     {tool: [shell, mcp], command: "deploy", outcome: ok, after: TESTS_PASSED}
  APPROVED: {}
  SIGNED:
skills:
  spec-writer:
    priority: high
    enforcement: suggest
    keywords: [spec, requirements]
    patterns: ["(write|draft).*(spec|prd)"]
    files: "docs/spec/**"
    phases: [spec]
    after: [SPEC_REQUESTED]
    description: Writes specs.
plan:
  - "docs/stories/*.md"
briefing: {max_chars: 3000}
backups: {keep: 5, max_age_days: 30}
"""
SMALL = "version: 1\nname: x\nphases: [{id: a}]\n"


def refusal(text):
    with pytest.raises(ValidationFailed) as caught:
        loader.load(text, "w.yaml")
    return str(caught.value).split("\n")


def test_every_key_is_read():
    workflow = loader.load(FULL, "w.yaml")
    assert [(p.id, p.title, p.next, p.guidance) for p in workflow.phases] == [
        ("spec", "Write the spec", ["SPEC_WRITTEN"], "One line."),
        ("build", "build", ["TESTS_WRITTEN", "TESTS_PASSED"], ""),
    ]
    deployed = workflow.signals["DEPLOYED"]
    assert (deployed.tool, deployed.path, deployed.command) == (["shell", "mcp"], [], "deploy")
    assert (deployed.outcome, deployed.after) == ("ok", ["TESTS_PASSED"])
    assert workflow.signals["SPEC_WRITTEN"].tool == ["edit"]
    assert workflow.signals["APPROVED"] == workflow.signals["SIGNED"] == definition.Signal()
    assert workflow.skills["spec-writer"].model_dump() == {
        "priority": "high",
        "enforcement": "suggest",
        "keywords": ["spec", "requirements"],
        "patterns": ["(write|draft).*(spec|prd)"],
        "files": ["docs/spec/**"],
        "phases": ["spec"],
        "after": ["SPEC_REQUESTED"],
        "description": "Writes specs.",
    }
    assert workflow.plan == ["docs/stories/*.md"]
    assert (workflow.briefing.max_chars, workflow.backups.keep, workflow.backups.max_age_days) == (3000, 5, 30)


def test_what_is_not_written_or_left_empty_has_a_default():
    workflow = loader.load(SMALL + "signals:\nskills: {s: }\nplan:\nbriefing:\nbackups: {keep: }\n", "w.yaml")
    assert (workflow.signals, workflow.plan) == ({}, [])
    assert (workflow.skills["s"].priority, workflow.skills["s"].enforcement) == ("medium", "suggest")
    assert (workflow.briefing.max_chars, workflow.backups.keep, workflow.backups.max_age_days) == (2000, 20, None)


def test_a_workflow_gives_itself_back_unchanged():
    workflow = loader.load(FULL, "w.yaml")
    assert loader.load(yaml.safe_dump(workflow.model_dump()), "w.yaml") == workflow


MISTAKES = {
    "missing": (
        "version: 1\nphases:\n  - id: a\n  - title: b\n",
        ["w.yaml:1: name: is missing", "w.yaml:4: phases[1].id: is missing"],
    ),
    "unknown key": (SMALL + "skils: {}\n", ["w.yaml:4: skils: is no key that is known here (did you mean skills?)"]),
    "unknown key in a part": (
        SMALL + "signals:\n  S:\n    tool: shell\n    comand: x\n",
        ["w.yaml:7: signals.S.comand: is no key that is known here (did you mean command?)"],
    ),
    "no near key": (
        SMALL + "briefing: {zzz: 1}\n",
        ["w.yaml:4: briefing.zzz: is no key that is known here (there are max_chars)"],
    ),
    "no as a text": (
        "version: 1\nname: x\nphases:\n  - id: a\n    next: no\n",
        ['w.yaml:5: phases[0].next: YAML reads no as a yes or no, not as a text (write it in quotes: "no")'],
    ),
    "on as a key": (SMALL + "signals:\n  on: {}\n", ["w.yaml:5: signals.on: YAML reads on as a yes or no"]),
    "a number as a name": (SMALL.replace("name: x", "name: 2024"), ["w.yaml:2: name: YAML reads 2024 as a number"]),
    "a date in a list": (SMALL + "plan: [a, 2024-01-02]\n", ["w.yaml:4: plan[1]: YAML reads 2024-01-02 as a date"]),
    "no date at all": (SMALL + "plan: [2024-99-99]\n", ["w.yaml:4: plan[0]: YAML reads 2024-99-99 as a date"]),
    "a lone special value": (
        SMALL + "plan: [=, <<]\n",
        ["w.yaml:4: plan[0]: YAML reads = as a special", "w.yaml:4: plan[1]: YAML reads <<"],
    ),
    "an empty entry": (SMALL + "plan:\n  -\n", ["w.yaml:5: plan[0]: is empty where a text is needed"]),
    "a blank text": (SMALL + "skills: {s: {keywords: [' ']}}\n", ["w.yaml:4: skills.s.keywords[0]: must not be empty"]),
    "a text as a number": (
        SMALL + 'briefing: {max_chars: "300"}\n',
        ["w.yaml:4: briefing.max_chars: must be a whole number (write it without"],
    ),
    "true as a number": (SMALL + "backups: {keep: yes}\n", ["w.yaml:4: backups.keep: must be a whole number"]),
    "too small": (SMALL + "briefing: {max_chars: 5}\n", ["w.yaml:4: briefing.max_chars: must be at least 200"]),
    "too large": (SMALL + "backups: {keep: 1001}\n", ["w.yaml:4: backups.keep: must be at most 1000"]),
    "another version": (SMALL.replace("version: 1", "version: 2"), ["w.yaml:1: version: must be the number 1"]),
    "version yes": (SMALL.replace("version: 1", "version: yes"), ["w.yaml:1: version: must be the number 1"]),
    "no such tool": (
        SMALL + "signals: {S: {tool: [bash]}}\n",
        ["w.yaml:4: signals.S.tool[0]: must be 'shell', 'edit',"],
    ),
    "no such priority": (
        SMALL + "skills: {s: {priority: urgent}}\n",
        ["w.yaml:4: skills.s.priority: must be 'critical', 'high', 'medium' or 'low', not 'urgent'"],
    ),
    "no tool": (SMALL + "signals: {S: {tool: []}}\n", ["w.yaml:4: signals.S.tool: must have at least 1 entry"]),
    "no phases": ("version: 1\nname: x\nphases: []\n", ["w.yaml:3: phases: must have at least 1 entry"]),
    "phases as a mapping": ("version: 1\nname: x\nphases: {id: a}\n", ["w.yaml:3: phases: must be a list"]),
    "a phase as a text": ("version: 1\nname: x\nphases: [a]\n", ["w.yaml:3: phases[0]: must hold keys and values"]),
    "a signal as a text": (SMALL + "signals: {S: edit}\n", ["w.yaml:4: signals.S: must hold keys and values"]),
    "skills as a list": (SMALL + "skills: [a]\n", ["w.yaml:4: skills: must hold keys and values"]),
    "a bad id": (SMALL.replace("id: a", "id: a b"), ["w.yaml:3: phases[0].id: must be a name"]),
    "a newline after an id": (SMALL.replace("id: a", 'id: "a\\n"'), ["w.yaml:3: phases[0].id: must be a name"]),
    "a bad signal name": (SMALL + "signals:\n  A B: {}\n", ["w.yaml:5: signals.A B: must be a name"]),
    "a bad skill name": (SMALL + 'skills:\n  "a\\n": {}\n', ["w.yaml:5: skills.a\\n: must be a skill's name"]),
    "two phases of one id": (
        "version: 1\nname: x\nphases:\n  - id: a\n  - id: b\n  - id: a\n",
        ["w.yaml:6: phases[2].id: phases[0] has the id a already"],
    ),
    "a skill for no phase": (
        SMALL + "skills: {s: {phases: [a, b]}}\n",
        ["w.yaml:4: skills.s.phases[1]: there is no phase b"],
    ),
    "a bad command": (
        SMALL + "signals:\n  S:\n    command: '(a'\n",
        [
            "w.yaml:6: signals.S.command: is no valid regular expression: missing ), unterminated subpattern at character 1"
        ],
    ),
    "a bad pattern": (
        SMALL + "skills: {s: {patterns: ['*x']}}\n",
        ["w.yaml:4: skills.s.patterns[0]: is no valid regular expression: nothing to repeat"],
    ),
    "a backspace for a word's end": (
        SMALL + 'signals: {S: {command: "\\bx"}}\n',
        ["w.yaml:4: signals.S.command: holds a control character"],
    ),
    "an absolute glob": (SMALL + "plan: [/etc/x]\n", ["w.yaml:4: plan[0]: must be relative to the project's root"]),
    "a home's glob": (SMALL + "plan: [~/x]\n", ["w.yaml:4: plan[0]: must be relative to the project's root"]),
    "a drive's glob": (SMALL + "plan: ['C:/x']\n", ["w.yaml:4: plan[0]: must be relative to the project's root"]),
    "a glob that leaves": (
        SMALL + "signals: {S: {path: a/../../b}}\n",
        ["w.yaml:4: signals.S.path: must stay inside the project"],
    ),
    "a broken glob": (SMALL + "plan: ['a[b']\n", ["w.yaml:4: plan[0]: is no valid glob"]),
    "an empty glob": (SMALL + "plan: ['']\n", ["w.yaml:4: plan[0]: must not be empty"]),
    "a key twice": (SMALL + "plan: []\nname: y\n", ["w.yaml:5: name: is in line 2 already"]),
    "a signal twice": (SMALL + "signals:\n  S: {}\n  S: {}\n", ["w.yaml:6: signals.S: is in line 5 already"]),
    "a merge key": (
        SMALL + "signals:\n  S: &s {tool: edit}\n  T:\n    <<: *s\n",
        ["w.yaml:7: signals.T.<<: is not supported"],
    ),
    "a list as a key": (SMALL + "signals:\n  [a]: {}\n", ["w.yaml:5: signals: a key must be a text"]),
    "a tag": (
        SMALL.replace("name: x", "name: !!python/name:os.system x"),
        ["w.yaml:2: name: the tag tag:yaml.org,2002:python/name:os.system"],
    ),
    "a tab": ("version: 1\n\tname: x\n", ["w.yaml:2:1: a tab stands where"]),
    "a colon too many": ("version: 1\nname: x: y\n", ["w.yaml:2:8: a colon where none may stand"]),
    "no colon": ("version: 1\nname\nphases: []\n", ["w.yaml:3:1: a key without its colon"]),
    "an open quote": ('version: 1\nname: "x\n', ["w.yaml:3:1: a quote is not closed"]),
    "an unknown escape": (
        'version: 1\nname: "\\w"\n',
        ["w.yaml:2:9: an unknown escape between double quotes (use single"],
    ),
    "an open list": ("version: 1\nphases: [a\nname: x\n", ["w.yaml:3:5: a list is not closed"]),
    "an open mapping": ("version: 1\nphases: {a: b\nname: x\n", ["w.yaml:3:5: a { is not closed"]),
    "a star": ("version: 1\nname: *x\n", ["w.yaml:2:7: an alias (*name) for which there is no anchor"]),
    "a backtick": ("version: 1\nname: `x`\n", ["w.yaml:2:7: a text may not start with this character"]),
    "an odd indentation": ("version: 1\nphases:\n  - id: a\n - id: b\n", ["w.yaml:4:2: the indentation does not fit"]),
    "two documents": ("version: 1\n---\nversion: 1\n", ["w.yaml:2:1: a second document"]),
    "a bell": ("version: 1\nname: \a\n", ["w.yaml:2: the character U+0007 may not stand in YAML"]),
    "nothing": ("", ["w.yaml:1: the file is empty"]),
    "comments alone": ("# a\n\n", ["w.yaml:1: the file is empty"]),
    "a list": ("- a\n", ["w.yaml:1: the file must hold keys and values"]),
    "a text": ("\nhello\n", ["w.yaml:2: the file must hold keys and values"]),
    "too deep": (SMALL + "plan: " + "[" * 40 + "]" * 40 + "\n", ["w.yaml:4: plan[0]"]),
    "much too deep": ("[" * 5000, ["w.yaml: is nested too deeply"]),
    "an alias to itself": (SMALL + "plan: &p [*p]\n", ["w.yaml:4: plan[0]"]),
    "too large a file": ("#" * (loader.MAX_SIZE + 1), ["w.yaml: is larger than 1 MiB"]),
    "too many phases": (
        "version: 1\nname: x\nphases:\n" + "".join(f"- id: p{n}\n" for n in range(201)),
        ["w.yaml:3: phases: must have at most 200"],
    ),
    "too many signals": (
        SMALL + "signals:\n" + "".join(f"  s{n}:\n" for n in range(2001)),
        ["w.yaml:4: signals: must have at most 2000"],
    ),
    "too many skills": (
        SMALL + "skills:\n" + "".join(f"  s{n}:\n" for n in range(5001)),
        ["w.yaml:4: skills: must have at most 5000"],
    ),
    "too long a text": (
        SMALL.replace("name: x", f"name: {'x' * 201}"),
        ["w.yaml:2: name: must have at most 200 characters"],
    ),
    "too long a guidance": (
        f"version: 1\nname: x\nphases: [{{id: a, guidance: {'x' * 1001}}}]\n",
        ["w.yaml:3: phases[0].guidance: must have at most 1000"],
    ),
    "a key from a terminal": (SMALL + '"\\e[31m": 1\n', ["w.yaml:4: \\x1b[31m: is no key"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_its_key(name):
    text, expected = MISTAKES[name]
    found = refusal(text)
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)
        assert re.search(r"\(.+\)|must be ['a]|must be at", line), "it must say what to do"


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines():
    text = "version: 2\nname: no\nphases:\n  - id: a\n  - id: a\n    nxt: S\nskills:\n  s: {phases: b, patterns: ['(']}\nname: z\n"
    assert [line.split(": ")[0:2] for line in refusal(text)] == [
        ["w.yaml:1", "version"],
        ["w.yaml:2", "name"],
        ["w.yaml:5", "phases[1].id"],
        ["w.yaml:6", "phases[1].nxt"],
        ["w.yaml:8", "skills.s.phases"],
        ["w.yaml:8", "skills.s.patterns[0]"],
        ["w.yaml:9", "name"],
    ]


def test_aliases_stand_for_what_they_name_and_cannot_grow_without_end():
    text = SMALL + "signals:\n  S: &s {command: &c x}\n  T: *s\n  U: {command: *c}\n"
    signals = loader.load(text, "w.yaml").signals
    assert signals["S"] == signals["T"] == signals["U"]
    bomb = (
        "a: &a ["
        + "x, " * 50
        + "]\n"
        + "".join(f"{new}: &{new} [" + f"*{old}, " * 50 + "]\n" for old, new in zip("abcdef", "bcdefg", strict=True))
    )
    (line,) = refusal(bomb)
    assert "200000 values" in line


def test_oddities_are_warnings_with_their_place_and_no_errors():
    text = FULL.replace("    next: SPEC_WRITTEN\n", "") + "  # end\n"
    text = text.replace("APPROVED: {}", "APPROVED: {tool: edit, command: x}").replace("skills:\n", "skills:\n  idle:\n")
    _, found = loader.check(text, "w.yaml")
    assert [str(problem).split(" (")[0] for problem in found] == [
        "w.yaml:4: phases[0]: nothing ends the phase spec",
        "w.yaml:8: phases[1].next[0]: TESTS_WRITTEN is not under signals: it is only emitted by hand",
        "w.yaml:13: signals.APPROVED.command: only a shell has commands, so this never fires",
        "w.yaml:16: skills.idle: nothing triggers it",
        "w.yaml:24: skills.spec-writer.after[0]: SPEC_REQUESTED is not under signals: it is only emitted by hand",
    ]
    assert len(definition.warnings(loader.load(text, "w.yaml"))) == len(found)


def test_the_models_alone_refuse_what_contradicts_itself():
    with pytest.raises(ValidationError, match="there is no phase b"):
        Workflow.model_validate({"version": 1, "name": "x", "phases": [{"id": "a"}], "skills": {"s": {"phases": "b"}}})


def test_a_pattern_that_python_warns_of_is_read_without_a_word(recwarn):
    loader.load(SMALL + "plan: ['[[a]']\nskills: {s: {patterns: ['[[b]']}}\n", "w.yaml")
    assert not recwarn.list


def test_a_file_is_read_with_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "workflow.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode())
    workflow, odd = loader.read(path)
    assert workflow == loader.load(FULL, "w.yaml")
    assert [problem.file for problem in odd] == [str(path)] * 2


def test_a_file_that_is_no_text_is_refused_with_the_line(tmp_path):
    path = tmp_path / "workflow.yaml"
    path.write_bytes(b"version: 1\nname: \xff\n")
    with pytest.raises(ValidationFailed, match=r"^w\.yaml:2: is not UTF-8"):
        loader.read(path, "w.yaml")


def test_a_file_that_is_not_there_not_plain_or_too_large_is_refused(tmp_path):
    with pytest.raises(ValidationFailed, match=r"no such file.*holdfast workflow init"):
        loader.read(tmp_path / "workflow.yaml")
    with pytest.raises(ValidationFailed, match="no regular file"):
        loader.read(tmp_path)
    (tmp_path / "large").write_bytes(b"#" * (loader.MAX_SIZE + 1))
    with pytest.raises(ValidationFailed, match="larger than 1 MiB"):
        loader.read(tmp_path / "large")
    with pytest.raises(HoldfastError, match="cannot be read"):
        loader.read("a\0b")


def test_a_file_that_may_not_be_read_is_a_matter_of_permission(tmp_path, monkeypatch):
    path = tmp_path / "workflow.yaml"
    path.write_text(FULL)

    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # root may read whatever its mode says
    with pytest.raises(PermissionDenied, match="may not be read"):
        loader.read(path)


def test_the_kinds_of_tools_are_those_of_the_events():
    events = pytest.importorskip("holdfast.events")
    assert set(typing.get_args(definition.ToolKind)) == set(events.KINDS)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5000),
    st.floats(allow_nan=False),
    st.dates(),
    st.sampled_from(["a", "S", "shell", "ok", "high", "src/**", "(", "\\b", "..", "/x", "no", "", "\0", "é\n"]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([*definition.Phase.model_fields, *definition.Skill.model_fields, "tool", "path", "S"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
WORKFLOWS = st.fixed_dictionaries({}, optional=dict.fromkeys([*Workflow.model_fields, "other"], ANYTHING))


@given(WORKFLOWS)
def test_whatever_is_written_is_read_or_refused_in_plain_words(data):
    text = yaml.safe_dump(data, allow_unicode=True)
    try:
        loader.load(text, "w.yaml")
    except ValidationFailed as error:
        for line in str(error).split("\n"):
            assert re.match(r"w\.yaml:\d+: ", line)
            assert line.isprintable()
            assert not re.search(r"Input should|pydantic|valid dictionary|instance of|cannot be read", line)


@given(st.text(alphabet=string.printable + "é\x00\ud800\x85", max_size=60), st.integers(0, len(FULL)))
def test_whatever_is_torn_into_the_text_is_read_or_refused(noise, place):
    try:
        loader.load(FULL[:place] + noise + FULL[place:], "w.yaml")
    except ValidationFailed as error:
        for line in str(error).split("\n"):
            assert re.match(r"w\.yaml:\d+:", line)
            assert line.isprintable()
