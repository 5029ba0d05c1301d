"""Settings files of others: what is not ours stays as it is, to the byte."""

import json
import re

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from holdfast.install import registration, settings_edit, targets
from holdfast.install.environment import Runtime
from holdfast.install.settings_edit import Document, SettingsError

HERE = Runtime("/opt/hold fast/bin/python", "/opt/hold fast/hooks", "manifests")
ELSEWHERE = Runtime("/srv/bin/python", "/srv/hooks", "manifests")
EXAMPLES = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
EVENTS = ["SessionStart", "Stop", "PostToolUse", "Notification"]

text = st.text(st.characters(codec="utf-8"), max_size=8)
leaf = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | text
)
values = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
foreign_handler = st.fixed_dictionaries(
    {"type": st.just("command"), "command": text}, optional={"timeout": st.integers(1, 99)}
)
foreign_group = st.one_of(
    st.fixed_dictionaries({"hooks": st.lists(foreign_handler, max_size=2)}, optional={"matcher": text}), values
)
foreign_hooks = st.dictionaries(st.sampled_from(EVENTS), st.lists(foreign_group, max_size=2), max_size=4)


def wanted_for(host, runtime):
    return registration.handlers(targets.HOSTS[host], Runtime(runtime.python, runtime.hooks, manifests_folder()))


def manifests_folder():
    from holdfast.install import environment

    return environment.running().manifests


def ours(host):
    return registration.ours(targets.HOSTS[host])


@st.composite
def contents(draw):
    """What a user's file says: an object, with hooks of others or without."""
    content = draw(st.dictionaries(text.filter(lambda key: key != "hooks"), values, max_size=3))
    if draw(st.booleans()):
        content["hooks"] = draw(foreign_hooks)
        if draw(st.booleans()):
            content = dict(reversed(content.items()))
    return content


@st.composite
def written(draw, content, comments):
    """A text that says `content`: dumped in a usual style, or with white space and comments between any two tokens."""
    style = draw(st.sampled_from(["wild", "wild", "wild", "compact", "spaced", "two", "four", "tab"]))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    ascii_only = draw(st.booleans())
    if style != "wild":
        indent = {"two": 2, "four": 4, "tab": "\t"}.get(style)
        separators = (",", ":") if style == "compact" else None
        out = json.dumps(content, indent=indent, separators=separators, ensure_ascii=ascii_only)
        out = out.replace("\n", newline) + draw(st.sampled_from(["", newline]))
    else:
        gaps = ["", "", " ", newline, newline + "  ", "\t"]
        if comments:
            gaps += [' // it\'s "mine", {' + newline, "/* , */", "/*" + newline + "*/ ", " //" + newline]
        gap = st.sampled_from(gaps)
        out = _wild(draw, content, gap, comments, ascii_only)
        out = draw(gap) + out + draw(gap)
    return draw(st.sampled_from(["", settings_edit.BOM])) + out


def _wild(draw, value, gap, comments, ascii_only):
    if not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=ascii_only)
    parts = []
    for item in value:
        part = _wild(draw, value[item] if isinstance(value, dict) else item, gap, comments, ascii_only)
        if isinstance(value, dict):
            part = json.dumps(item, ensure_ascii=ascii_only) + draw(gap) + ":" + draw(gap) + part
        parts.append(draw(gap) + part + draw(gap))
    inside = ",".join(parts) or draw(gap)
    if parts and comments and draw(st.booleans()):
        inside += "," + draw(gap)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + inside + closing


@st.composite
def cases(draw):
    """A host, what the user's file says, and its text."""
    host = draw(st.sampled_from(["gemini", "gemini", "claude", "codex", "copilot"]))  # Gemini's dialect is the richest
    content = draw(contents())
    return host, content, draw(written(content, comments=host == "gemini"))


def read(host, said):
    known = targets.HOSTS[host]
    return settings_edit.read(said.encode(), comments=known.comments, grouped=known.grouped)


def register(host, said, runtime=HERE):
    mark, document = read(host, said)
    made = settings_edit.register(document, wanted_for(host, runtime), ours(host))
    return mark + document.text, made


def unregister(host, said, made):
    mark, document = read(host, said)
    settings_edit.unregister(document, made, ours(host))
    return mark + document.text


def plain(host, said):
    return read(host, said)[1].root.plain()


def with_ours(host, content, runtime=HERE):
    """What the file must say after an installation."""
    hooks = {event: list(groups) for event, groups in content.get("hooks", {}).items()}
    for event, handler in wanted_for(host, runtime).items():
        hooks.setdefault(event, []).append({"hooks": [handler]} if targets.HOSTS[host].grouped else handler)
    return {**content, "hooks": hooks}


def tokens(said):
    """A text without its white space outside of strings: what must never change."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda match: match[1] or "", said)


@EXAMPLES
@given(cases())
def test_a_settings_file_is_read_as_its_host_reads_it(case):
    host, content, said = case
    assert plain(host, said) == content


@settings(deadline=None)
@given(st.text('{}[]",:0123456789.-+eE \\/ntrufalse\n\x01é', max_size=30))
@example('{"a": 01}')
@example('{"a": "\t"}')
@example('{"a": "\\x"}')
@example("[1,]")
@example("\x0b1")
def test_the_strict_reader_takes_what_a_json_parser_takes_and_nothing_else(said):
    def refuse(name):
        raise ValueError(name)

    try:
        value = json.loads(said, parse_constant=refuse)
    except ValueError:
        with pytest.raises(SettingsError):
            Document(said, comments=False)
    else:
        assert Document(said, comments=False).root.plain() == value


@EXAMPLES
@given(cases())
def test_an_installation_adds_our_entries_and_nothing_else(case):
    host, content, said = case
    after, _ = register(host, said)
    assert plain(host, after) == with_ours(host, content)
    kept = iter(tokens(after))
    assert all(character in kept for character in tokens(said)), "something of the user's is gone or moved"
    assert list(plain(host, after)["hooks"])[: len(content.get("hooks", {}))] == list(content.get("hooks", {}))


@EXAMPLES
@given(cases())
def test_a_second_installation_changes_nothing(case):
    host, _, said = case
    after, _ = register(host, said)
    assert register(host, after) == (after, [])


@EXAMPLES
@given(cases())
def test_an_installation_elsewhere_replaces_our_entries_in_place(case):
    host, content, said = case
    first, made = register(host, said)
    second, more = register(host, first, ELSEWHERE)
    assert more == []
    assert plain(host, second) == with_ours(host, content, ELSEWHERE)
    assert unregister(host, second, made) == unregister(host, first, made)


@EXAMPLES
@given(cases())
def test_taking_our_entries_out_leaves_what_was_there(case):
    host, content, said = case
    after, made = register(host, said)
    back = unregister(host, after, made)
    assert plain(host, back) == content
    assert tokens(back) == tokens(said)


@EXAMPLES
@given(cases())
def test_in_files_without_empty_containers_taking_out_is_exact_to_the_byte(case):
    host, content, said = case
    hooks = content.get("hooks", {"-": [0]})
    assume(content and hooks and all(hooks.values()))
    after, made = register(host, said)
    assert unregister(host, after, made) == said


@EXAMPLES
@given(cases(), st.data())
def test_an_edit_made_in_between_survives(case, data):
    host, content, said = case
    after, made = register(host, said)
    mark, document = read(host, after)
    holders = [document.root, document.root.get("hooks"), *(item.node for item in document.root.get("hooks").items)]
    holder = data.draw(st.sampled_from(holders))
    at = "end" if holder.is_array() else None
    value = {"hooks": [{"type": "command", "command": "echo mine"}]} if at else [7]
    document.append(holder, value, None if at else "theirs")
    event = next((item.key for item in document.root.get("hooks").items if item.node.start == holder.start), None)

    back = plain(host, unregister(host, mark + document.text, made))

    expected = json.loads(json.dumps(content))
    if holder.parent is None:
        expected["theirs"] = [7]
    elif at:
        expected.setdefault("hooks", {}).setdefault(event, []).append(value)
    else:
        expected.setdefault("hooks", {})["theirs"] = [7]
    assert back == expected


@EXAMPLES
@given(cases())
def test_without_a_record_our_entries_go_with_the_containers_that_only_they_filled(case):
    host, content, said = case
    after, _ = register(host, said)
    back = plain(host, unregister(host, after, None))
    back.setdefault("hooks", {})
    left = {event: groups for event, groups in back["hooks"].items() if groups}
    assert left == {event: groups for event, groups in content.get("hooks", {}).items() if groups}
    assert {key: value for key, value in back.items() if key != "hooks"} == {
        k: v for k, v in content.items() if k != "hooks"
    }


def test_our_handler_in_a_group_of_the_users_is_taken_out_alone():
    said, made = register("claude", "{}")
    content = json.loads(said)
    content["hooks"]["Stop"][0]["hooks"].insert(0, {"type": "command", "command": "echo mine"})
    back = json.loads(unregister("claude", json.dumps(content), made))
    assert back == {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "echo mine"}]}]}}


def test_entries_that_stand_twice_or_for_an_event_of_an_older_release_become_one_each():
    content = json.loads(register("claude", "{}")[0])
    entry = content["hooks"]["Stop"][0]
    content["hooks"]["Stop"].append(entry)
    content["hooks"]["OldEvent"] = [entry, {"hooks": []}]
    after = plain("claude", register("claude", json.dumps(content))[0])
    assert after == {"hooks": {**json.loads(register("claude", "{}")[0])["hooks"], "OldEvent": [{"hooks": []}]}}


def test_commands_of_others_that_look_like_ours_are_left_alone():
    theirs = [
        "python hooks/post_tool_use.py --host claude",  # no folder before hooks
        "/x/hooks/my_hook.py --host claude",
        "/x/hooks/post_tool_use.py --host codex",  # another host's, in Claude's file
        "/x/hooks/post_tool_use.py --host claudette",
        "/x/hooks/post_tool_use.py",
    ]
    assert not any(ours("claude")(command) for command in theirs)
    for host in targets.HOSTS:
        handlers = wanted_for(host, HERE).values()
        assert all(ours(host)(handler.get("command") or handler["bash"]) for handler in handlers)
    assert ours("claude")("'/it'\"'\"'s here/hooks/turn_end.py' --host claude || true")


def test_new_entries_follow_the_files_own_indentation_and_line_ends():
    said = '{\r\n\t"model": "x",\r\n\t"hooks": {\r\n\t\t"Stop": []\r\n\t}\r\n}\r\n'
    after, _ = register("claude", said)
    assert '\r\n\t\t\t{\r\n\t\t\t\t"hooks": [\r\n' in after
    assert after.count("\n") == after.count("\r\n")
    assert after.endswith("\r\n\t}\r\n}\r\n")


def test_a_comment_behind_the_last_entry_stays_on_its_line():
    said = '{\n  "a": 1 // one\n  // the end\n}\n'
    after, made = register("gemini", said)
    assert '"a": 1, // one\n  "hooks": {' in after
    assert after.endswith("  }\n  // the end\n}\n")
    assert unregister("gemini", after, made) == said


@pytest.mark.parametrize("said", ['{"hooks": {"Stop": []}}', '{\n  "hooks": {\n    "Stop": []\n  }\n}\n', "{}", "{}\n"])
def test_containers_that_were_empty_are_empty_again(said):
    after, made = register("claude", said)
    assert unregister("claude", after, made) == said


def test_what_stands_behind_our_entry_does_not_become_part_of_a_comment_before_it():
    said, made = register("gemini", '{"hooks": {"Stop": []}}')
    command = wanted_for("gemini", HERE)["AfterAgent"]["command"]
    group = json.dumps({"hooks": [{"command": command}]})
    said = '{"hooks": {"AfterAgent": [ // ours:\n ' + group + ', {"hooks": []}]}}'
    assert plain("gemini", unregister("gemini", said, made)) == {"hooks": {"AfterAgent": [{"hooks": []}]}}


@pytest.mark.parametrize("host", ["claude", "codex"])
@pytest.mark.parametrize("said", ["{} // mine", '{"a": 1,}', "/* mine */ {}", '{"a": [1,]}'])
def test_hosts_that_take_no_comments_have_them_refused(host, said):
    with pytest.raises(SettingsError, match="line 1, column"):
        read(host, said)
    read("gemini", said)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('{"hooks": [}', "line 1, column 12: expected a value"),
        ('{\n  "a": "b\n', "line 2, column 8: this string has no end"),
        ('{"a": 1 /* b', "line 1, column 9: this comment has no end"),
        ("[]", "the file holds no object"),
        ("null", "the file holds no object"),
        ('{"hooks": []}', "line 1, column 11: hooks is no object"),
        ('{"hooks": null}', "hooks is no object"),
        ('{"hooks": {}, "hooks": {}}', "hooks stands in it twice"),
        ('{"hooks": {"SessionEnd": {}}}', "line 1, column 26: hooks.SessionEnd is no list"),
        ('{"hooks": {"SessionEnd": [], "SessionEnd": []}}', "hooks.SessionEnd stands in it twice"),
        ("{} {}", "line 1, column 4: expected the end of the file"),
        ('{"a": ' + "[" * 300 + "]" * 300 + "}", "nested deeper than 200"),
    ],
)
def test_a_file_that_cannot_be_added_to_is_refused_and_it_is_said_where(said, why):
    with pytest.raises(SettingsError, match=re.escape(why)):
        register("gemini", said)


def test_a_file_in_another_encoding_is_refused():
    with pytest.raises(SettingsError, match="byte 1 is no UTF-8"):
        settings_edit.read('{"a": 1}'.encode("utf-16"), comments=False)


@pytest.mark.parametrize("said", ["", "\n", "\ufeff"])
def test_an_empty_file_counts_as_one_without_settings(said):
    after, _ = register("claude", said)
    assert plain("claude", after) == with_ours("claude", {})


def test_a_number_that_no_machine_holds_is_no_obstacle():
    said = '{"a": ' + "9" * 5000 + "}"
    assert ("9" * 5000) in register("claude", said)[0]
