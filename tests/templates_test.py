"""The templates: what a new project starts with reads without a word, and its rules tell a test run from what looks like one."""

import importlib
import re
import sys

import pytest

from holdfast.errors import ValidationFailed
from holdfast.workflow import commands, loader, templates
from holdfast.workflow.regexes import compile_glob

parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

TEST_RUNS = [
    "pytest",
    " pytest;\n",
    "python -m pytest -q",
    "python3.12 -m pytest tests/x.py::t",
    "python -W error -m pytest",
    "python -m unittest discover -s tests",
    "python manage.py test",
    ".venv/bin/python -m pytest",
    ".venv/bin/pytest -q > out.txt 2>&1",
    "source .venv/bin/activate && pytest",
    "uv run pytest",
    "uv run --extra dev --with pytest-cov python -m pytest -n 4",
    "poetry run pytest",
    "coverage run -m pytest",
    "pytest --cov=src --cov-report=term",
    "pytest --cache-clear",
    'pytest -k "a or b"',
    "pytest $(git diff --name-only)",
    "pytest -q && git push",
    "pytest 2>&1 && echo ok",
    "npm test",
    "npm run test:unit",
    "npm ci && npm test -- --coverage",
    "npm --prefix web run test:ci",
    "npm -w web test",
    "pnpm test",
    "pnpm --filter web test",
    "yarn test",
    "yarn workspace web test",
    "npx vitest run",
    "npx -y vitest run",
    'npx vitest -t "x & y"',
    "npx jest",
    "npx playwright test",
    "go test ./...",
    "go test -run 'TestA|TestB' ./...",
    "cargo test",
    "cargo +nightly test --workspace -- --nocapture",
    "cargo nextest run",
    "make test",
    "make check",
    "make -j4 test",
    "make -C backend test",
    "make clean test",
    "make test-unit",
    "make unit-test",
    "tox",
    "nox",
    "./gradlew test",
    "./gradlew test -i",
    "./gradlew clean :app:test --info",
    "./gradlew testDebugUnitTest",
    "mvn -q test",
    "mvn -B -pl core verify",
    "./mvnw clean test -Dtest=FooTest",
    "bundle exec rspec",
    "bin/rails test",
    "php artisan test",
    "vendor/bin/phpunit",
    "dotnet test",
    "./run_tests.sh",
    "bash scripts/test.sh",
    "docker compose exec -T web pytest -q",
    "CI=1 pytest",
    "FOO=\"a b\" BAR='c' pytest -x",
    "timeout 60 pytest",
    "time pytest",
    "cd x && pytest -q 2>&1",
    "cd x; pytest",
    "set -e\npytest -q\n",
    "(cd backend && pytest -q)",
    "cd x && \\\n  pytest -q \\\n  tests/a.py",
    "server & pytest",
]
NO_TEST_RUNS = [
    "pip install pytest",
    "pip install \\\n pytest",
    "pipx install pytest",
    "uv add pytest",
    "uv pip install pytest",
    "poetry add --group dev pytest",
    "apt-get install -y pytest",
    "npm install jest",
    "npm install test",
    "npm init test",
    "pytest | tail -3",
    "pytest 2>&1 | tail -5",
    "set -o pipefail; pytest | tail",
    "pytest || true",
    "pytest && x || true",
    "pytest && x; y",
    "pytest; echo done",
    "pytest; exit 0",
    "pytest\necho done",
    "if pytest; then echo y; fi",
    "! pytest",
    "foo || pytest",
    "pytest &",
    "pytest -q & echo x",
    "pytest -q &> log & tail -f log",
    "pytest --version",
    "pytest -h",
    "pytest --collect-only",
    "pytest --co -q",
    "cargo test --no-run",
    "dotnet test --list-tests",
    "npx jest --listTests",
    "npm test --if-present",
    "go test -c ./x",
    "tox -l",
    "nox --list",
    "grep pytest x",
    "echo pytest",
    'echo "a && pytest"',
    "echo $(cd x && pytest)",
    "echo `cd x && pytest`",
    "echo 2>&1 pytest",
    "cat pytest.ini",
    "cat > run.sh <<EOF\npytest\nEOF",
    "which pytest",
    "command -v pytest",
    "python -m venv pytest",
    'python -c "import pytest"',
    "vim tests/pytest_x.py",
    "pytest.ini",
    "pytest-watch",
    'git commit -m "run pytest"',
    'git commit -m "fix; pytest"',
    'git commit -m "a; pytest" -m "b"',
    'git commit -m "title\n\npytest passes now"',
    "git checkout test",
    "git push origin test",
    "ssh host 'cd x; pytest'",
    "docker build -t test .",
    "test -f pytest.ini",
    "rm -rf tests",
    "npm run build test",
    "npm run check",
    "npm run test:types",
    "npm -w test run build",
    "pnpm --filter test build",
    "make build",
    "make -n test",
    "make test -n",
    "make -C tests clean",
    "make test-data",
    "make latest",
    "mvn -DskipTests verify",
    "mvn verify -DskipTests",
    "mvn -pl test compile",
    "./gradlew build -x test",
    "./gradlew check -x test",
    "./gradlew testClasses",
    "cargo run test",
    "cargo clippy --tests",
]
COMMITS = [
    "git commit -m x",
    "git commit --amend --no-edit",
    "git -C x commit -am 'a;b' 2>&1",
    "git commit -m x && git push",
    "git commit -m 'no --dry-run here'",
    "git add -A && git commit -m \"$(cat <<'EOF'\nTitle; a | b\n\ndon't & x\nEOF\n)\"",
]
NO_COMMITS = [
    "git commit --dry-run",
    'git commit -m "x" --dry-run',
    "git commit -m x || true",
    "git commit -m x | tail",
    "git commit -m x; echo y",
    "git commit -m x &",
    "git commit-tree",
    "git log --grep commit",
    "echo git commit",
    'echo "x; git commit"',
]
SHIPPINGS = [
    "git push",
    "git push -u origin main 2>&1",
    "git commit -m x && git push",
    "git tag v1.0",
    "git tag -a v1 -m 'x'",
    "npm publish",
    "TOKEN=x twine upload dist/*",
    "npm run deploy",
    "make release",
    "vercel deploy --prod",
    "./deploy.sh prod",
    "terraform apply -auto-approve",
]
NO_SHIPPINGS = [
    "git push --dry-run",
    "git push -n",
    "git push --delete origin x",
    "git push | tail",
    "git push || true",
    "git push &",
    "git stash push",
    "git tag",
    "git tag -l",
    "git tag -d v1",
    "git tag --list 'v*'",
    "git commit -m 'x; git push'",
    "npm publish --dry-run",
    "cat deploy.sh",
    "vim scripts/deploy",
    "grep -rn deploy .",
    "terraform plan",
]


def template(name):
    return loader.load(templates.text(name), f"{name}.yaml")


def command(signal, name="feature"):
    return re.compile(commands.resolve(template(name).signals[signal].command))


@pytest.mark.parametrize("name", templates.NAMES)
def test_a_template_reads_without_a_problem_or_a_warning(name):
    workflow, odd = loader.check(templates.text(name), f"{name}.yaml")
    assert workflow.name == name
    assert odd == []
    assert workflow.skills == {}  # a project's skills have names of their own


@pytest.mark.parametrize("name", templates.NAMES)
def test_the_examples_in_a_templates_comments_read_too(name):
    text = re.sub(r"(?m)^#(?=  )", "", templates.text(name))
    workflow, odd = loader.check(text, f"{name}.yaml")
    assert workflow.skills
    assert odd == []


def test_the_examples_of_the_blank_template_show_every_key():
    text = re.sub(r"(?m)^#(?=  )", "", templates.text("blank"))
    workflow = loader.load(text, "blank.yaml")
    parts = [workflow, workflow.phases[0], workflow.briefing, workflow.backups, *workflow.skills.values()]
    for part in parts:
        assert part.model_fields_set == set(type(part).model_fields), part
    signals = set().union(*(signal.model_fields_set for signal in workflow.signals.values()))
    assert signals == {"tool", "path", "command", "outcome", "after"}


def test_the_phases_are_those_that_the_templates_are_named_for():
    assert [phase.id for phase in template("feature").phases] == ["spec", "plan", "build", "review", "ship"]
    assert [phase.id for phase in template("bugfix").phases] == ["reproduce", "fix", "verify"]
    assert len(template("blank").phases) == 1
    assert templates.starter() == templates.text("feature")


@pytest.mark.parametrize("name", ["feature", "bugfix"])
def test_every_phase_says_what_to_do_and_ends_on_declared_signals(name):
    workflow = template(name)
    for phase in workflow.phases:
        assert phase.guidance and phase.next
        assert set(phase.next) <= set(workflow.signals)


def test_an_unknown_template_is_refused_with_those_that_there_are():
    with pytest.raises(ValidationFailed, match=r"'../x'.*feature, bugfix, blank"):
        templates.text("../x")


@pytest.mark.parametrize("line", TEST_RUNS)
def test_a_test_run_is_seen(line):
    assert command("TESTS_PASSED").search(line)


@pytest.mark.parametrize("line", NO_TEST_RUNS)
def test_what_only_looks_like_a_test_run_or_hides_its_failure_is_not(line):
    assert not command("TESTS_PASSED").search(line)


def test_the_bugfix_template_knows_the_same_test_runs_passed_and_failed():
    signals = template("bugfix").signals
    assert signals["BUG_REPRODUCED"].command == signals["TESTS_PASSED"].command
    assert signals["TESTS_PASSED"].command == template("feature").signals["TESTS_PASSED"].command
    assert (signals["BUG_REPRODUCED"].outcome, signals["TESTS_PASSED"].outcome) == ("failed", "ok")


@pytest.mark.parametrize(
    ("signal", "seen", "unseen"), [("COMMITTED", COMMITS, NO_COMMITS), ("SHIPPED", SHIPPINGS, NO_SHIPPINGS)]
)
def test_commits_and_shipping_are_seen_and_their_lookalikes_are_not(signal, seen, unseen):
    pattern = command(signal)
    assert [line for line in seen if not pattern.search(line)] == []
    assert [line for line in unseen if pattern.search(line)] == []


@pytest.mark.parametrize(
    ("signal", "seen", "unseen"),
    [
        (
            "SPEC_WRITTEN",
            ["docs/spec/x.md", "docs/specs/a/b.md", "docs/spec.md", "specs/1.md", "SPEC.md"],
            ["README.md"],
        ),
        ("PLAN_WRITTEN", ["docs/plan/x.md", "docs/stories/1.md", "PLAN.md"], ["docs/explanation.md", "docs/spec/x.md"]),
        ("CODE_WRITTEN", ["a.py", "src/x/y.tsx", "tests/test_a.py"], ["docs/spec/x.md", "README.md", "src/x.json"]),
    ],
)
def test_written_files_are_told_apart(signal, seen, unseen):
    globs = [re.compile(compile_glob(glob)["source"]) for glob in template("feature").signals[signal].path]
    assert [path for path in seen if not any(glob.search(path) for glob in globs)] == []
    assert [path for path in unseen if any(glob.search(path) for glob in globs)] == []


def test_nothing_ships_before_the_tests_passed_on_written_code():
    signals = template("feature").signals
    assert signals["SHIPPED"].after == ["TESTS_PASSED"]
    assert signals["TESTS_PASSED"].after == ["CODE_WRITTEN"]


def repeats(items, inside=()):
    """(highest count, the counts of the repeats around it) for each repeat in a parsed regex."""
    for item in items:
        if isinstance(item, tuple) and str(item[0]) in ("MAX_REPEAT", "MIN_REPEAT"):
            _, highest, body = item[1]
            yield int(highest), inside
            yield from repeats(body, (*inside, int(highest)))
        elif isinstance(item, tuple | list | parser.SubPattern):
            yield from repeats(item, inside)


def patterns():
    for name in templates.NAMES:
        yield from ((name, n, commands.resolve(s.command)) for n, s in template(name).signals.items() if s.command)


def test_no_pattern_nests_unbounded_repeats():
    """So its work is bounded by construction: an unbounded repeat stands alone, all others have a small limit."""
    endless = int(parser.MAXREPEAT)
    found = list(repeats(parser.parse(r"(?:(a|b+)*c)?")))
    assert (endless, (1, endless)) in found  # the walk sees what it looks for
    for name, signal, pattern in patterns():
        for highest, inside in repeats(parser.parse(pattern)):
            assert highest <= 4000 or all(count == 1 for count in inside), (name, signal, highest, inside)
            assert endless not in inside, (name, signal)


@pytest.mark.parametrize(
    "piece",
    [
        ";pytest",
        "&&pytest ",
        "\n",
        "; ",
        "(",
        ";make x x x x x ",
        ";a/",
        ";--with env --with env ",
        "pytest 'a' ",
        'pytest "&&',
        ";git commit ",
        "a=b ",
        ";npm -w a -w a -w a ",
        "\\\n",
        ";git push && ",
        "git commit 'a' ",
        ";" + "a" * 200 + "/",
    ],
)
def test_a_long_command_made_to_confuse_is_no_match_and_ends(piece):
    long = piece * (100_000 // len(piece))
    for _, _, pattern in patterns():
        compiled = re.compile(pattern)
        for text in (long + "|", "pytest " + long + "|", long + "git push" + "&&a " * 200 + "|"):
            assert not compiled.search(text)
