"""What people mistype: each gets a sentence, a hint and exit code 2, and never a traceback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.interfaces.arguments import build_parser, command_names

Orchestrate = Callable[..., subprocess.CompletedProcess[str]]

WRONG = {
    "chekc": ("error: `chekc` is neither a command nor a file\nhint: did you mean `orchestrate check`?\n"),
    "digset.md": "error: `digset.md` is neither a command nor a file\nhint: did you mean `digest.md`?\n",
    "weekly": "error: `weekly` is neither a command nor a file\nhint: did you mean `workflows/weekly-digest.md`?\n",
    "zzzzzz": (
        "error: `zzzzzz` is neither a command nor a file\n"
        f"hint: the commands are: {', '.join(command_names(build_parser()))}\n"
    ),
    "digest.md --jsno": "error: `orchestrate run` has no option `--jsno`\nhint: did you mean `--json`?\n",
    "digest.md --frobnicate": (
        "error: `orchestrate run` has no option `--frobnicate`\nhint: `orchestrate run --help` shows what it takes\n"
    ),
    "digest.md more words": (
        "error: `more` is one word too many\nhint: `orchestrate run --help` shows what it takes\n"
    ),
    "digest.md --executor rai": (
        "error: no executor named `rai`\nhint: did you mean `ray`? the executors are: local, ray, ray:HOST:PORT\n"
    ),
    "digest.md --executor ray --environment process": (
        "error: `--executor ray` has its workers in the environment `confined`, not in `process`\n"
        "hint: leave out `--environment`, or say `--executor local`\n"
    ),
    "digest.md --executor ray:head": (
        "error: `ray:head` has no port\nhint: say `ray:HOST:PORT`, as `ray start --head` prints it\n"
    ),
    "digest.md --executor ray:ray://head:10001": (
        "error: `ray:ray://head:10001`: a run reaches a cluster from one of its nodes, not through a Ray client\n"
        "hint: make this machine a node (`ray start --address=HOST:PORT`), or run `orchestrate` on one\n"
    ),
    "digest.md --input folder": (
        "error: `--input folder` is no name=value\nhint: write --input name=value, quoted if it has spaces\n"
    ),
    "digest.md --budget =3": (
        "error: `--budget =3` is no name=value\nhint: write --budget name=value, quoted if it has spaces\n"
    ),
    "digest.md --input": (
        "error: argument --input: expected at least one argument\nhint: `orchestrate run --help` shows what it takes\n"
    ),
    "digest.md --input-json none.json": (
        "error: can't read `--input-json none.json`: No such file or directory\n"
        "hint: name a file with a JSON object, or -\n"
    ),
    "digest.md --input-json digest.md": (
        "error: `--input-json digest.md` holds no JSON: Expecting value: line 1 column 1 (char 0)\n"
        'hint: it has to be an object, as {"days": 7}\n'
    ),
    "digest.md --input-json list.json": (
        """error: `--input-json list.json` holds no JSON object\nhint: write {"days": 7}\n"""
    ),
    "digest.md --input-json nan.json": (
        "error: `--input-json nan.json` holds no JSON: `NaN` is no number of JSON\n"
        'hint: it has to be an object, as {"days": 7}\n'
    ),
    "digest.md --input-json huge.json": (
        "error: `--input-json huge.json` holds no JSON: `1e999` is no number of JSON\n"
        'hint: it has to be an object, as {"days": 7}\n'
    ),
    "days.md --input days=NaN": (
        "error: days.md: input `days`: expected number as JSON, got `NaN`: `NaN` is no number of JSON\n"
        "hint: give inputs as `--input name=value` or `--input-json FILE`\n"
    ),
    "run": "error: no workflow was named\nhint: orchestrate WORKFLOW.md, or `orchestrate init` to make one\n",
    "--json": "error: no workflow was named\nhint: orchestrate WORKFLOW.md, or `orchestrate init` to make one\n",
    "check": (
        "error: the following arguments are required: FILE\nhint: `orchestrate check --help` shows what it takes\n"
    ),
    "strategies froget x": "error: `orchestrate strategies` has no `froget`\nhint: did you mean `forget`? it has: list, show, forget\n",
    "skills frob": "error: `orchestrate skills` has no `frob`\nhint: it has: list, show, test, trust, audit\n",
    "skills show": "error: `orchestrate skills show` needs the name of a skill\nhint: `orchestrate skills` lists them\n",
    "suggest": (
        "error: no task was given\n"
        'hint: orchestrate suggest "what is to be done", or - to read it from stdin\n'
    ),
    "suggest adding -k 0": "error: `-k 0` asks for no skill\nhint: write -k and a number from 1\n",
    "suggest adding -k few": (
        "error: argument -k: invalid int value: 'few'\nhint: `orchestrate suggest --help` shows what it takes\n"
    ),
    "review aply 1a2b": "error: `orchestrate review` has no `aply`\nhint: did you mean `apply`? without a word it reviews; else: apply ID, rollback ID\n",
    "review apply": "error: `orchestrate review apply` needs the id of a proposal\nhint: `orchestrate review` shows them\n",
    "review --json --heartbeat": "error: `--json` and `--heartbeat` are two forms of one answer\nhint: take one of them\n",
    "import": (
        "error: the following arguments are required: FILE\nhint: `orchestrate import --help` shows what it takes\n"
    ),
    "import gone.json": (
        "error: gone.json: can't be read: No such file or directory\nhint: name files, not folders\n"
    ),
    "schedule install": "error: `orchestrate schedule` has no `install`\nhint: it has: print; it installs nothing\n",
    "schedule print --for corn": (
        "error: no timer named `corn` (4 known: cron, systemd, launchd, openclaw)\nhint: did you mean `cron`?\n"
    ),
    "schedule print --for launchd --at noon": (
        "error: `--at noon` is no time of the week\n"
        'hint: write a day and a time, as --at "mon 04:17", or a time alone for every day\n'
    ),
    "view --serve --port 70000": (
        "error: `--port 70000` is no port\nhint: name one from 1 to 65535, or none\n"
    ),
    "view --serve --out page.html": (
        "error: `--serve` writes no file\nhint: leave `--out` and `--learning` away; it serves every page\n"
    ),
    "view --port 8000": (
        "error: `--port` is for `--serve`\nhint: `orchestrate view --serve --port N` serves all pages\n"
    ),
    "view latest --learning": (
        "error: `--learning` shows a whole workspace, and no run\nhint: `orchestrate view latest` shows the run\n"
    ),
    "view 2026 --serve": (
        "error: no run `2026` in `{here}` (0 known)\nhint: `orchestrate status` lists the runs\n"
    ),
    "watch digest.md": (
        "error: a workflow is run on files, so both have to be named\n"
        "hint: orchestrate watch WORKFLOW --on 'inbox/*'; `orchestrate watch` alone checks the workspace\n"
    ),
    "watch --sub-model x": (
        "error: `--sub-model` is for runs, and nothing is to be run\n"
        "hint: orchestrate watch WORKFLOW --on 'inbox/*'; `orchestrate watch` alone checks the workspace\n"
    ),
    "watch digest.md --on x/* --jobs 0": "error: `--jobs 0`: not one run could begin\nhint: give 1 or more\n",
    "watch digest.md --on x/* --in-a-row 0": "error: `--in-a-row 0`: not one run could begin\nhint: give 1 or more\n",
    "watch digest.md --on x/*": (
        "error: the workflow has no input with `format: path`: where does the file's path go?\n"
        "hint: say so with --input NAME={}\n"
    ),
    "run days.md --as me": "error: `--as me` is no run's id\nhint: leave it out: a run finds its own\n",
    "init digest.md": (
        "error: `digest.md` is no folder\nhint: name a folder, new or not: orchestrate init DIR\n"
    ),
    "init ~nosuch/x": (
        "error: `~nosuch/x` can't be expanded: `~nosuch` is no home folder here\n"
        "hint: write the whole path, or `./~nosuch/x` for a name that starts with `~`\n"
    ),
    "status --workspace ~nosuch": (
        "error: `~nosuch` can't be expanded: `~nosuch` is no home folder here\n"
        "hint: write the whole path, or `./~nosuch` for a name that starts with `~`\n"
    ),
    "status --workspace digest.md": (
        "error: the workspace `{here}/digest.md` is no folder\nhint: name a folder with --workspace DIR\n"
    ),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with two workflows and a JSON file."""
    (tmp_path / "digest.md").write_text("# Digest\n\nSum up.\n\n```repl\nFINAL(1)\n```\n")
    (tmp_path / "days.md").write_text(
        "---\nname: days\ninputs: {days: number}\n---\n```repl\nFINAL(1)\n```\n"
    )
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "nan.json").write_text('{"days": [NaN]}')
    (tmp_path / "huge.json").write_text('{"days": 1e999}')
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "weekly-digest.md").write_text("# Weekly\n")
    return tmp_path


@pytest.mark.parametrize("words", WRONG, ids=str)
def test_wrong_words_get_a_sentence_and_a_hint(words: str, here: Path, orchestrate: Orchestrate) -> None:
    done = orchestrate(*words.split(), cwd=here)
    assert done.stderr == WRONG[words].replace("{here}", str(here))
    assert (done.stdout, done.returncode) == ("", 2)


def test_no_words_at_all_get_the_help(orchestrate: Orchestrate) -> None:
    done = orchestrate()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: orchestrate")


def test_help_and_version_are_answers(orchestrate: Orchestrate) -> None:
    shown = orchestrate("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "orchestrate WORKFLOW" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    version = orchestrate("--version")
    assert (version.returncode, version.stdout[:12]) == (0, "orchestrate ")


def test_a_mistyped_run_names_the_closest(orchestrate: Orchestrate, tmp_path: Path) -> None:
    done = orchestrate("show", "20260101", "--workspace", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no run `20260101` in `{tmp_path}` (0 known)\nhint: ")


@pytest.mark.parametrize(
    "command", ["doctor", "status", "usage", "review", "skills", "show", "suggest adding", "view", "watch"]
)
def test_workspace_that_is_not_there_has_nothing_to_read(
    command: str, here: Path, orchestrate: Orchestrate
) -> None:
    done = orchestrate(*command.split(), "--workspace", "gone", cwd=here)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == (
        f"error: there is no folder `{here}/gone`\nhint: name a workspace that is there with --workspace DIR\n"
    )
