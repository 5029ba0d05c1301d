"""The lean parts of the standard library say what the standard library says."""

import hashlib
import json
import math
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import lean

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=20)  # lone surrogates too
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**300), max_value=10**300),
    st.floats(allow_nan=False, allow_infinity=False),
    ANY_TEXT,
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)
BOTH = pytest.mark.parametrize("pair", [lean._fast, lean._slow], ids=["fast", "slow"])


def no_constant(name):
    """JSON has no NaN; the lean parser reads null, whatever the host meant by it."""
    return None if name in ("NaN", "Infinity", "-Infinity") else name


def by_json(text):
    try:
        return json.loads(text, parse_constant=no_constant)
    except ValueError:
        return ValueError


def by(load, text):
    try:
        return load(text)
    except ValueError:
        return ValueError


@BOTH
@given(document=DOCUMENTS)
def test_what_is_written_is_what_json_writes_and_reads_back(pair, document):
    load, dump = pair()
    text = dump(document)
    assert text == json.dumps(document, separators=(",", ":"))
    assert load(text) == json.loads(text)
    assert load(json.dumps(document, indent=2, ensure_ascii=False)) == document


@BOTH
@given(
    document=DOCUMENTS,
    changes=st.lists(
        st.tuples(
            st.integers(0, 10_000),
            st.sampled_from(
                [
                    "",
                    "{",
                    "}",
                    "[",
                    "]",
                    '"',
                    ",",
                    ":",
                    "\\",
                    "0",
                    "-",
                    ".",
                    "e",
                    "\t",
                    " ",
                    "\ufeff",
                    "\x00",
                    "nul",
                    "true",
                    "NaN",
                    "-Infinity",
                    "\\ud800",
                    "\\u12",
                ]
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    drop=st.booleans(),
)
def test_a_damaged_document_is_refused_or_read_as_json_would(pair, document, changes, drop):
    load, _dump = pair()
    text = json.dumps(document, ensure_ascii=False)
    for place, piece in changes:
        cut = place % (len(text) + 1)
        text = text[:cut] + piece + text[cut + drop :]
    expected = by_json(text)
    found = by(load, text)
    assert found == expected and type(found) is type(expected)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data):
    expected = ValueError
    try:
        expected = by_json(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    assert by(lean.loads, data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\n\t",
        b"nul",
        b"{",
        b"[1,]",
        b"{} {}",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b'"\n"',
        b"1" * 5000,
        "\ud800",
        b'{"a":1,}',
        b"'a'",
    ],
    ids=repr,
)
def test_what_is_no_json_is_a_value_error(data):
    if sys.version_info < (3, 10, 7) and data == b"1" * 5000:
        pytest.skip("the limit on digits came with 3.10.7")
    with pytest.raises(ValueError, match=r"."):
        lean.loads(data)


@pytest.mark.parametrize("text", [" {} ", "\n\t[1]\r\n", " 5", "null\n", b'\r\n"x"'])
def test_blanks_around_a_document_do_not_count(text):
    assert lean.loads(text) == json.loads(text)


@BOTH
def test_constants_that_json_lacks_are_read_as_null_and_never_written(pair):
    load, dump = pair()
    assert load('[NaN, Infinity, -Infinity, {"a": NaN}]') == [None, None, None, {"a": None}]
    for value in (math.nan, math.inf, -math.inf, [math.nan], {"a": math.inf}):
        with pytest.raises(ValueError, match="float"):
            dump(value)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_read_until_it_is_too_deep_and_then_refused(opening):
    closing = "]" if opening == "[" else "}"
    document = lean.loads(opening * 100 + "1" + closing * 100)
    assert lean.loads(lean.dumps(document)) == document
    for text in (opening * 100_000, opening * 100_000 + "1" + closing * 100_000):
        with pytest.raises(ValueError, match="deep"):
            lean.loads(text)


def test_what_cannot_be_written_is_refused():
    looped = []
    looped.append(looped)
    with pytest.raises(ValueError, match="deep"):
        lean.dumps(looped)
    for value in (object(), {1, 2}, b"bytes", {"a": object()}, {(1, 2): 3}):
        with pytest.raises(TypeError):
            lean.dumps(value)


@pytest.mark.parametrize("value", [True, False, None, 0, -1, 1.5, "", 'a"b\\c\n\u2028é😀\ud800', 10**40])
def test_a_bare_value_is_written_like_one_in_a_list(value):
    assert lean.dumps(value) == json.dumps(value)


@given(st.lists(ANY_TEXT, max_size=4))
def test_a_digest_is_the_beginning_of_the_checksum(parts):
    whole = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
    assert lean.digest(*parts) == whole[:12]


def test_a_variable_is_read_as_it_is_now(monkeypatch):
    monkeypatch.setenv("HOLDFAST_PROBE", "ä b")
    assert lean.getenv("HOLDFAST_PROBE") == "ä b"
    monkeypatch.delenv("HOLDFAST_PROBE")
    assert lean.getenv("HOLDFAST_PROBE") == ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("/a/", "/a"), ("a/b", "a"), ("a", ""), ("", ""), ("/a//b", "/a/")],
)
def test_the_folder_of_a_path(path, expected):
    assert lean.parent(path) == expected


@given(st.text(alphabet="a/.", max_size=12))
def test_going_up_from_a_path_comes_to_an_end(path):
    seen = 0
    while (above := lean.parent(path)) != path:
        assert len(above) < len(path)
        path, seen = above, seen + 1
    assert path in ("/", "")
    assert seen <= 12


def test_a_file_is_read_whole_or_as_far_as_asked(tmp_path):
    data = os.urandom(3 << 20)
    path = tmp_path / "data"
    path.write_bytes(data)
    assert lean.read(str(path)) == data
    assert lean.read(str(path), 2_000_000) == data[:2_000_000]
    assert lean.read(str(path), 0) == b""
    with pytest.raises(OSError, match=r"."):
        lean.read(str(tmp_path))


def test_all_is_written_where_a_single_write_takes_a_part(monkeypatch):
    written = []

    class Reluctant:
        @staticmethod
        def write(_fd, data):
            written.append(bytes(data[:7]))
            return len(written[-1])

    monkeypatch.setattr(lean, "os", Reluctant)
    lean.write(1, b"what is longer than seven bytes")
    assert b"".join(written) == b"what is longer than seven bytes"
