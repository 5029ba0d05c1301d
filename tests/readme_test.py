"""The README's commands and outputs are what really happens."""

import html
import importlib.util
import os
import re
import subprocess
import sys

import pytest

from firing import ROOT
from holdfast.workflow import loader

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(mark, language):
    """The fenced block after `<!-- mark -->`."""
    return re.search(rf"<!-- {mark} -->\n```{language}\n(.*?)```", README, re.DOTALL)[1]


def story():
    spec = importlib.util.spec_from_file_location("make_picture", ROOT / "docs" / "make_picture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.story()


@pytest.fixture
def env(home):
    here = os.path.dirname(sys.executable)
    return {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "PYTHONPATH": str(ROOT / "plugin")}


def test_the_story_and_its_picture_are_what_the_hooks_say():
    lines = story()
    assert block("story", "text").splitlines() == lines
    picture = (ROOT / "docs" / "picture.svg").read_text(encoding="utf-8")
    drawn = [
        html.unescape(text).replace("\xa0", " ").strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    ]
    assert [line.strip() for line in lines] == [text for text in drawn if text and text != "one workflow, two CLIs"]


def test_the_workflow_shown_is_valid_without_a_warning():
    _, problems = loader.check(block("workflow", "yaml"), "README.md")
    assert problems == []


def test_the_session_shown_is_what_the_command_says(tmp_path, env):
    steps = re.split(r"^\$ ", block("session", "console"), flags=re.MULTILINE)[1:]
    assert len(steps) > 3
    for step in steps:
        command, _, shown = step.partition("\n")
        run = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        assert run.stdout.replace(str(tmp_path), ".") == shown, command


def test_a_hook_can_be_run_by_hand(tmp_path, env):
    command = next(line for line in README.splitlines() if "--dry-run <" in line).removeprefix("$ ")
    run = subprocess.run(command, shell=True, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    for part in ("event:", "state:", "reply:", '"Write"'):
        assert part in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_bench_runs_and_names_the_rows_of_the_table(env):
    words = [sys.executable, "-m", "bench.hooks", "--runs", "1", "--skills", "5"]
    run = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\| ([^|]+?) \| \d\.\d \|$", README, re.MULTILINE)
    assert len(rows) == 7
    for row in rows:
        assert row.replace("`", "") in run.stdout


def test_the_set_up_commands_come_first():
    commands = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ ")]
    assert commands[:2] == [
        "python3 install.py --project ~/app",
        "python3 install.py --dev && .venv/bin/python -m pytest",
    ]


def test_every_page_that_is_named_is_there():
    for page in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / page).exists(), page
