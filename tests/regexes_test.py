"""Regexes and globs: what the index keeps of them matches exactly what the user wrote, without the `re` module."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.lean import dumps, loads
from holdfast.workflow import patterns
from holdfast.workflow.regexes import compile_glob, compile_regex, literals

# A small grammar: letters that meet in case (s and the long s, k and the Kelvin sign), classes, groups, repeats, anchors, flags.
LETTERS = "aAbBkKsS1 /_\u017f\u212aßéÉ\n"
ATOMS = st.sampled_from(
    [*"abKS1", "ab", "Ask", "kiss", "é", "ß", "\u017f", ".", r"\w", r"\s", r"\b", "[ab]", "[^a]", "^", "$", r"\A"]
)


def combine(inner):
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map("".join),
        several.map(lambda parts: f"(?:{'|'.join(parts)})"),
        several.map(lambda parts: f"({'|'.join(parts)})"),
        inner.map(lambda part: f"(?i:{part})"),
        inner.map(lambda part: f"(?={part})"),
        inner.map(lambda part: f"(?!{part})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{0,2}", "{1,2}", "{2}", "+?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    )


SOURCES = st.tuples(
    st.sampled_from(["", "", "(?i)", "(?s)", "(?x)", "(?a)"]), st.recursive(ATOMS, combine, max_leaves=6)
).map("".join)
TEXTS = st.one_of(st.text(alphabet=LETTERS, max_size=12), st.text(max_size=8))


def matches(compiled, text):
    return patterns.search(compiled, text, text.lower())


@given(source=SOURCES, text=TEXTS, fold=st.booleans())
def test_a_compiled_regex_matches_what_re_matches(source, text, fold):
    kept = loads(dumps(compile_regex(source, fold=fold)))
    expected = re.search(source, text, re.IGNORECASE if fold else 0) is not None
    assert matches(kept, text) == expected
    assert matches({**kept, "code": None}, text) == expected, "as on an interpreter that cannot run the code"


@given(source=SOURCES, text=TEXTS, fold=st.booleans())
def test_one_of_the_literals_is_in_every_ascii_text_that_matches(source, text, fold):
    kept = compile_regex(source, fold=fold)
    if kept["literals"] and text.isascii() and re.search(source, text, kept["flags"]):
        seen = text.lower() if kept["fold"] else text
        assert any(literal in seen for literal in kept["literals"])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("kelvin", "\u212aELVIN"),
        ("kiss", "ki\u017fS"),
        ("(?i)kiss", "ki\u017fs"),
        ("\u212a", "k"),
        ("Straße", "STRAßE"),
    ],
)
def test_letters_that_meet_only_in_case_beyond_ascii_match(source, text):
    kept = compile_regex(source, fold=True)
    assert matches(kept, text)
    assert re.search(source, text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("source", "flags", "expected"),
    [
        ("pytest|npm test", 0, ["npm test", "pytest"]),
        ("(write|draft).*(spec|prd)", re.IGNORECASE, ["draft", "write"]),
        ("charge.{0,20}card", 0, ["charge"]),
        ("(?:ab)+", 0, ["ab"]),
        ("(?:ab)*", 0, None),
        ("a.b", 0, None),
        ("abc|.", 0, None),
        ("(?i:ABC)d", 0, None),
        ("(?i)ABC", re.IGNORECASE, ["abc"]),
        ("straße", re.IGNORECASE, None),
        ("", 0, None),
    ],
)
def test_the_literals_of_a_regex(source, flags, expected):
    assert literals(source, flags) == expected


def test_a_text_is_shown_to_patterns_by_its_beginning_and_its_end():
    text = "first" + "x" * 200_000 + "last"
    shown = patterns.shown(text)
    assert len(shown) == patterns.LONGEST
    assert shown.startswith("firstx") and shown.endswith("xlast")
    assert patterns.shown("x" * patterns.LONGEST) == "x" * patterns.LONGEST


def test_what_is_no_regex_is_refused():
    with pytest.raises(re.error):
        compile_regex("(", fold=True)


GLOBS = [
    # glob, paths that it matches, paths that it does not
    ("*.md", ["a.md", "docs/a.md", "docs/x/a.md", ".md"], ["a.mdx", "a.md/x", "amd"]),
    ("/*.md", ["a.md"], ["docs/a.md"]),
    ("docs/*.md", ["docs/a.md"], ["a.md", "docs/x/a.md", "x/docs/a.md"]),
    ("/docs/*.md", ["docs/a.md"], ["x/docs/a.md"]),
    ("docs/**/*.md", ["docs/a.md", "docs/x/a.md", "docs/x/y/a.md"], ["a.md", "x/docs/a.md", "docs/a.txt"]),
    ("docs/**", ["docs/a", "docs/x/a.md"], ["docs", "docsx/a", "x/docs/a"]),
    ("**/docs/**", ["docs/a", "x/docs/a", "x/y/docs/z/a"], ["docs", "xdocs/a"]),
    ("**/a.md", ["a.md", "x/a.md", "x/y/a.md"], ["xa.md"]),
    ("**", ["a", "a/b", ".a"], []),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "x/a/b"]),
    ("a/**/b/**/c", ["a/b/c", "a/x/b/y/z/c"], ["a/c", "a/b"]),
    ("src/", ["src/a", "src/x/a", "x/src/a"], ["src", "srcs/a"]),
    ("/src/", ["src/a"], ["x/src/a"]),
    ("a/b/", ["a/b/c"], ["x/a/b/c", "a/b"]),
    ("foo", ["foo", "x/foo"], ["foo/x", "xfoo"]),
    ("foo*", ["foo", "foobar", "x/foo.py"], ["foo/x", "xfoo"]),
    ("f?o", ["fxo", "x/f.o"], ["fo", "f/o", "fxxo"]),
    ("a?b/c", ["axb/c"], ["a/b/c"]),
    ("**foo", ["foo", "xfoo", "x/yfoo"], ["foo/x"]),
    ("a/**b", ["a/b", "a/xb"], ["a/x/b"]),
    ("a**/b", ["a/b", "ax/b"], ["a/x/b"]),
    ("src/**.py", ["src/a.py"], ["src/x/a.py"]),
    ("[ab].py", ["a.py", "x/b.py"], ["c.py", "ab.py"]),
    ("[!ab].py", ["c.py", "x/d.py"], ["a.py", ".py"]),
    ("[^ab].py", ["c.py"], ["a.py"]),
    ("[a-c]1", ["a1", "b1"], ["d1", "-1"]),
    ("[]a]", ["]", "a"], ["b", "[]a]"]),
    ("[!]a]", ["b"], ["]", "a"]),
    ("a[/]b", [], ["a/b"]),
    ("a[!x]b", ["ayb"], ["a/b"]),
    ("a[+-9]b", ["a1b", "a,b"], ["a/b"]),
    ("a[[&&|~]b", ["a[b", "a&b", "a~b"], ["ab", "axb"]),
    ("[\\]x", ["\\x"], ["x"]),
    ("*.{js,ts}", ["a.js", "x/a.ts"], ["a.tsx", "a.{js,ts}"]),
    ("{src,lib}/**/*.py", ["src/a.py", "lib/x/a.py"], ["bin/a.py", "x/src/a.py"]),
    ("{docs,**/spec}/a.md", ["docs/a.md", "spec/a.md", "x/spec/a.md"], ["x/docs/a.md"]),
    ("src/{**,x}", ["src/a/b", "src/x"], ["src"]),
    ("{a,{b,c}}.md", ["a.md", "b.md", "c.md"], ["d.md"]),
    ("a{b", ["a{b", "x/a{b"], ["ab"]),
    ("a,b}", ["a,b}"], ["a", "b"]),
    (r"\*.md", ["*.md"], ["a.md"]),
    (r"a\{b,c\}", ["a{b,c}"], ["ab"]),
    ("a b.md", ["a b.md", "x/a b.md"], ["ab.md"]),
    (".github/**", [".github/x.yml"], ["github/x.yml"]),
    ("a.b", ["a.b"], ["axb"]),
    ("a+(b)$", ["a+(b)$"], ["aab"]),
    ("**/*", ["a", "x/a", ".x/.a"], []),
    ("Docs/*", ["Docs/a"], ["docs/a"]),
]


@pytest.mark.parametrize(("glob", "path"), [(glob, path) for glob, yes, _no in GLOBS for path in yes])
def test_a_glob_matches(glob, path):
    assert matches(compile_glob(glob), path)


@pytest.mark.parametrize(("glob", "path"), [(glob, path) for glob, _yes, no in GLOBS for path in no])
def test_a_glob_does_not_match(glob, path):
    assert not matches(compile_glob(glob), path)


@pytest.mark.parametrize("glob", ["[", "a[b", "[!]", "[z-a]", "src/[a"])
def test_a_glob_with_a_broken_set_is_refused(glob):
    with pytest.raises(re.error):
        compile_glob(glob)


def alternatives(glob):
    """The globs that one with braces stands for."""
    if "{" not in glob:
        return [glob]
    head, _, rest = glob.partition("{")
    inside, _, tail = rest.partition("}")
    return [whole for choice in inside.split(",") for whole in alternatives(head + choice + tail)]


def slow(glob, path):
    """What a glob matches, said again without regexes: segment by segment, as gitignore's manual puts it."""
    floating = "/" not in glob[:-1]
    glob = (glob + "**" if glob.endswith("/") else glob).removeprefix("/")
    return walk((["**"] if floating else []) + glob.split("/"), path.split("/"))


def walk(globs, parts):
    if not globs:
        return not parts
    if globs[0] == "**":
        if len(globs) == 1:
            return bool(parts)
        return any(walk(globs[1:], parts[skipped:]) for skipped in range(len(parts) + 1))
    return bool(parts) and segment(globs[0], parts[0]) and walk(globs[1:], parts[1:])


def segment(glob, name):
    if not glob:
        return not name
    if glob[0] == "*":
        return any(segment(glob[1:], name[skipped:]) for skipped in range(len(name) + 1))
    return bool(name) and glob[0] in ("?", name[0]) and segment(glob[1:], name[1:])


PIECES = st.sampled_from(["a", "b", "ab", ".a", "*", "?", "a*", "*.b", "**", "**", "{a,b}", "x{a,.b}", "***", "b**"])
SLASHED = st.tuples(st.sampled_from(["", "", "/"]), st.lists(PIECES, min_size=1, max_size=4).map("/".join))
PATHS = st.lists(st.text(alphabet="ab.x", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(start_and_glob=SLASHED, end=st.sampled_from(["", "", "/"]), path=PATHS)
def test_a_glob_matches_what_gitignore_would(start_and_glob, end, path):
    glob = "".join(start_and_glob) + end
    assert matches(compile_glob(glob), path) == any(slow(choice, path) for choice in alternatives(glob))
