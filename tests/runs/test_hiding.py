"""Secrets in variables stay out of the record, and a run that goes on works with them all the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runs.hiding import Hiding, secrets_in

TOKEN = 'ghp_"quoted"\\and-long-0123'
HEAD = "skills: [maths, teller]\npermissions: {env: [SOME_TOKEN]}"


@pytest.fixture
def place(place, monkeypatch):
    """A workspace with a skill that tells a secret variable, which is granted to it."""
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    place.write("skills/teller/SKILL.md", "---\nname: teller\ndescription: Tells.\n---\n")
    place.write(
        "skills/teller/t.py", "import os\n\ndef tell() -> str:\n    return os.environ['SOME_TOKEN']\n"
    )
    place.write(
        "skills/teller/manifest.yaml",
        "schema: orchestrate.skill/1\nfunctions:\n  tell: {entry: {python: 't.py:tell'}, effects: none}\n"
        "default: tell\npermissions: {env: [SOME_TOKEN]}\n",
    )
    return place


def everything(place) -> str:
    """What lies in the workspace's memory, and what those who watch were told."""
    files = [path for path in (place.root / "memory").rglob("*") if path.is_file()]
    told = json.dumps([dict(event.fields) for event in place.events], default=str, ensure_ascii=False)
    return told + "\n".join(path.read_text("utf-8", "replace") for path in files)


def is_hidden(text: str) -> bool:
    return (
        not any(form in text for form in (TOKEN, json.dumps(TOKEN)[1:-1])) and "[hidden:SOME_TOKEN:" in text
    )


@pytest.mark.parametrize(
    "cell",
    [
        "FINAL(skills.teller())",
        "print(skills.teller())\nFINAL(1)",
        "raise ValueError(skills.teller())",
        "log(skills.teller())\nFINAL(1)",
        "FINAL({'it is': ['x' * 20000 + skills.teller()]})",
        "import os\nanswer['content'] = os.environ['SOME_TOKEN']",
        "skills.maths.double(n=skills.teller())",
    ],
    ids=["answer", "output", "error", "log", "blob", "partial", "argument"],
)
def test_a_secret_is_nowhere_in_the_record(place, cell):
    place.run(cell, head=HEAD)
    assert is_hidden(everything(place))


def test_a_model_is_shown_no_secret(place):
    first = {"role": "root", "reply": "```repl\nprint(skills.teller())\n```"}
    second = {"role": "root", "reply": "```repl\nFINAL(1)\n```"}
    place.solve(first, second, head=HEAD)
    assert is_hidden(place.shown_to_root()[1])


def test_the_answer_and_what_cells_work_with_are_whole(place):
    result = place.run("x = skills.teller()", "FINAL([x, len(x)])", head=HEAD)
    assert result.answer == [TOKEN, len(TOKEN)]


def test_an_error_of_a_run_hides_it(place):
    result = place.run("raise ValueError(skills.teller())", head=HEAD)
    assert is_hidden(result.message)


def test_a_run_that_goes_on_works_with_the_secret(place):
    cells = ("x = skills.teller()", "y = skills.maths.double(n=len(x))['n']", "FINAL([x, y])")
    result = place.run(*cells, head=HEAD)
    n_calls = len(place.usage())
    events = [json.loads(line)["event"] for line in place.journal(result.run).read_text().splitlines()]
    place.cut(result.run, [n for n, name in enumerate(events) if name == "cell_finished"][1] + 1)
    again = place.resume(result.run)
    assert again.answer == [TOKEN, 2 * len(TOKEN)]
    assert len(place.usage()) == n_calls + 1  # the root's attempt; no skill was called again
    assert not any(event.event == "diverged" for event in place.events)


def test_a_secret_input_is_there_when_a_run_goes_on_and_a_replay_finds_no_difference(place):
    head = "inputs: {word: {type: string}}\npermissions: {env: [SOME_TOKEN]}"
    result = place.run("x = 1", "FINAL(len(inputs['word']))", head=head, inputs={"word": TOKEN})
    assert is_hidden(everything(place))
    events = [json.loads(line)["event"] for line in place.journal(result.run).read_text().splitlines()]
    place.cut(result.run, events.index("cell_finished") + 1)
    assert place.resume(result.run).answer == len(TOKEN)


def test_a_mark_that_somebody_made_up_stands_for_nothing():
    hiding = Hiding("run", {"SOME_TOKEN": TOKEN})
    made_up = {"value": "[hidden:SOME_TOKEN:00000000]"}
    assert hiding.restored(made_up) == made_up
    other = Hiding("another run", {"SOME_TOKEN": TOKEN}).text(TOKEN)
    assert hiding.restored({"value": other}) == {"value": other}


def test_what_a_model_was_shown_stays_hidden_when_it_is_read_again():
    hiding = Hiding("run", {"SOME_TOKEN": TOKEN})
    shown = {"output": hiding.text(TOKEN)}
    assert hiding.restored(hiding.fields(shown)) == shown


def test_a_mark_that_a_model_was_shown_and_writes_brings_no_secret():
    hiding = Hiding("run", {"SOME_TOKEN": TOKEN})
    reply = {"text": f"print('{hiding.text(TOKEN)}', '{hiding.text(TOKEN)[:-1]}:]')"}
    assert hiding.restored(hiding.fields(reply)) == reply


def test_a_secret_is_hidden_within_json_within_a_text():
    hiding = Hiding("run", {"SOME_TOKEN": TOKEN})
    printed = {"output": json.dumps({"token": TOKEN})}
    assert is_hidden(hiding.fields(printed)["output"])
    assert hiding.restored(hiding.fields(printed)) == printed


def test_secrets_that_are_parts_of_each_other_and_of_marks_are_hidden_and_come_back():
    secrets = {
        "A_KEY": "abcdefgh",
        "B_KEY": "abcdefghij",
        "C_KEY": "[hidden:",
        "D_TOKEN": "A_KEY:A_KEY",
        "E_KEY": "B_KEY:.*",
    }
    hiding = Hiding("run", secrets)
    whole = {"value": "".join(secrets.values()) * 2, "name": "abcdefgh.put [hidden:abcdefgh:00000000]"}
    hidden = hiding.fields(whole)
    assert "abcdefgh" not in str(hidden)
    assert hiding.restored(hidden) == whole


def test_a_finished_write_is_not_repeated_where_a_secret_is_a_part_of_the_skills_name(place, monkeypatch):
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    place.write("skills/postgres/SKILL.md", "---\nname: postgres\ndescription: Writes.\n---\n")
    place.write("skills/postgres/p.py", "def put(path: str) -> None:\n    open(path, 'a').write('x')\n")
    place.write(
        "skills/postgres/manifest.yaml",
        "schema: orchestrate.skill/1\nfunctions:\n  put: {entry: {python: 'p.py:put'}, effects: write}\n"
        "default: put\npermissions: {write: ['out/**']}\n",
    )
    cells = ("skills.postgres(path='out/postgres.txt')", "FINAL(open('out/postgres.txt').read())")
    head = "skills: [postgres]\npermissions: {write: ['out/**'], read: ['out/**']}"
    result = place.run(*cells, head=head)
    events = [json.loads(line)["event"] for line in place.journal(result.run).read_text().splitlines()]
    place.cut(result.run, events.index("cell_finished") + 1)
    assert place.resume(result.run).answer == "x"
    assert not any(event.event == "diverged" for event in place.events)


def test_which_variables_hold_secrets():
    environ = {
        "OPENAI_API_KEY": "sk-0123456789", "AWS_SECRET_ACCESS_KEY": "abcdefgh12", "MY_PASSWORD": "correct horse",
        "db_password": "12345678", "GH_PAT": "github_pat_1", "DATABASE_URL": "postgres://me:hunter2hunter2@host/db",
        "MINE": "as I said so", "PGPASSWORD": "hunter2hunter2", "MYSQL_PWD": "hunter3hunter3",
        "AWS_SECRET_KEY": "/wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKE", "OLD_PWD": "/home/me/work", "PATH": "/usr/bin:/bin", "SSL_KEY": "/etc/ssl/key.pem", "SHORT_TOKEN": "abc",
        "TOKENIZERS_PARALLELISM": "false-false", "PWD": "/home/me/work", "DESKTOP_SESSION": "ubuntu-xorg",
        "KEYBOARD": "us-international", "HOMEPAGE": "https://example.org/a:b@c",
    }  # fmt: skip
    assert secrets_in(environ, ["MINE"]) == {
        "OPENAI_API_KEY": "sk-0123456789", "AWS_SECRET_ACCESS_KEY": "abcdefgh12", "MY_PASSWORD": "correct horse",
        "db_password": "12345678", "GH_PAT": "github_pat_1", "DATABASE_URL": "hunter2hunter2", "MINE": "as I said so",
        "PGPASSWORD": "hunter2hunter2", "MYSQL_PWD": "hunter3hunter3",
        "AWS_SECRET_KEY": "/wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKE",
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(alphabet='ab"\\é0 \n', min_size=7), JSON, st.text())
def test_what_was_hidden_comes_back_and_is_nowhere_before(rest, value, around):
    secret = f"§{rest.strip()}§§§§§§§"
    hiding = Hiding("run", {"A_KEY": secret})
    whole = {"value": {"a": value, "b": [around + secret + around]}}
    hidden = hiding.fields(whole)
    assert secret not in str(hidden["value"]["b"])
    assert hiding.restored(hidden) == whole
