"""What `skills/orchestrate/SKILL.md` teaches an agent is what the command line has."""

import re
from pathlib import Path

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
