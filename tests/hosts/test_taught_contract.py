"""What `skills/orchestrate/SKILL.md` teaches an agent is what the command line has and does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.interfaces.arguments import EXIT_CODES, build_parser, subparsers

TEXT = (Path(__file__).parents[2] / "skills" / "orchestrate" / "SKILL.md").read_text("utf-8")
LINES = [
    line.partition(" # ")[0].split()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]


def test_it_is_short_enough_to_be_read_whole():
    assert TEXT.count("\n") < 500


def test_it_teaches_every_exit_code_and_no_other():
    taught = [int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    assert taught == [code for code, _ in EXIT_CODES]


def test_every_command_and_option_that_it_shows_is_there():
    commands = subparsers(build_parser())
    unknown = []
    for program, *words in LINES:
        command = commands["run"] if words[0].endswith(".md") else commands.get(words[0])
        options = (
            {option for action in command._actions for option in action.option_strings} if command else set()
        )
        shown = {word for word in words if word.startswith("--")}
        if program != "orchestrate" or command is None or not shown <= options:
            unknown.append(" ".join([program, *words]))
    assert unknown == []


@pytest.fixture
def work(tmp_path):
    """A workspace of the agent, with a note and three workflows: the one that is taught, and two that ask."""
    (tmp_path / "skills").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("The tide rises.\nA tide falls.\n")
    (taught,) = re.findall(r"^````markdown\n(.*?)^````", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "taught.md").write_text(taught)
    ask = "# Ask\n```repl\nFINAL(llm_query_batched(['one?', 'two?']))\n```\n"
    (tmp_path / "ask.md").write_text(ask)
    (tmp_path / "may.md").write_text(
        taught.replace("skills: [", 'approvals: ["skill:text-search"]\nskills: [')
    )
    return tmp_path


@pytest.fixture
def agent(work):
    """Runs the command as an agent's shell does; the value is the exit code and the object on stdout."""

    def shell(*words, answers=None):
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words, "--json"],
            cwd=work,
            env={"PATH": os.environ["PATH"], "HOME": str(work), "LANG": "C.UTF-8"},
            input=json.dumps(answers),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return shell


INPUTS = ("--input", "folder=notes", "word=tide")


def test_the_workflow_that_it_shows_is_answered_with_the_object_that_it_shows(agent):
    (shown,) = (json.loads(line) for line in TEXT.splitlines() if line.startswith('{"status": "answered"'))
    code, result = agent("taught.md", *INPUTS)
    assert (code, result["status"], result["answer"]) == (0, "answered", {"total": 1})
    assert list(result) == list(shown)


def test_the_replies_of_a_host_model_go_in_by_id_some_now_and_the_others_later(agent):
    code, asked = agent("ask.md", "--model", "host")
    needs = {need["messages"][-1]["content"]: need for need in asked["needs"]}
    assert (code, list(needs)) == (3, ["one?", "two?"])
    named = re.search(r"Each has (.*?)\.\n", TEXT, re.DOTALL)[1]
    told = set(re.findall(r"`(\w+)`", named)) - {"messages_path"}
    assert told == {"role", "messages", "model", "reply_form"}
    assert all(told <= set(need) and need["role"] == "sub" for need in needs.values())
    code, later = agent("resume", asked["run"], "--answers", "-", answers={needs["two?"]["id"]: "2"})
    assert (code, [need["id"] for need in later["needs"]]) == (3, [needs["one?"]["id"]])
    code, result = agent("resume", asked["run"], "--answers", "-", answers={needs["one?"]["id"]: "1"})
    assert (code, result["answer"]) == (0, ["1", "2"])


@pytest.mark.parametrize(("word", "ends"), [("--approve", (0, {"total": 1})), ("--deny", (1, None))])
def test_an_approval_is_given_or_refused_by_id(agent, word, ends):
    code, asked = agent("may.md", *INPUTS)
    (need,) = asked["needs"]
    assert (code, need["kind"], need["arguments"]["pattern"]) == (3, "approval", "tide")
    code, result = agent("resume", asked["run"], word, need["id"])
    assert (code, result["answer"]) == ends
