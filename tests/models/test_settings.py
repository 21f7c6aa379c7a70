"""`orchestrate.toml`: what it says, and everything that may be wrong with it at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DocumentError
from orchestrator.models.settings import (
    CommandOutput,
    CommandSettings,
    ModelSettings,
    Settings,
    load_settings,
)

WHOLE = """\
[models.default]
model = "openai/gpt-5-mini"
api_base = "http://localhost:1/v1"
key_env = "MY_KEY"
headers = {x-team = "$TEAM"}
window = 1000
max_tokens = 200
usd_in = 1
usd_out = 2.5
timeout_s = 10
retries = 0
stream = true
json_schema = false
fallbacks = ["small"]
options = {temperature = 0}

[models.small]
model = "ollama/llama3"

[commands.claude]
argv = ["claude", "-p"]
input = "json"
output = {field = "result", usd = "cost"}

[fan_out]
usd = 0.5
otherwise = "shrink"

[executor]
kind = "ray"
"""


def test_every_key_is_read(tmp_path):
    path = tmp_path / "orchestrate.toml"
    path.write_text(WHOLE)
    assert load_settings(path) == Settings(
        models={
            "default": ModelSettings(
                "openai/gpt-5-mini", "http://localhost:1/v1", "MY_KEY", {"x-team": "$TEAM"}, 1000, 200, 1.0, 2.5, 10.0, 0,
                True, False, ("small",), {"temperature": 0},
            ),
            "small": ModelSettings("ollama/llama3"),
        },
        commands={"claude": CommandSettings(("claude", "-p"), "json", CommandOutput("result", "cost"))},
        fan_out={"usd": 0.5, "otherwise": "shrink"},
        executor={"kind": "ray"},
    )  # fmt: skip


def test_later_files_win_name_by_name(tmp_path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('[models.x]\nmodel = "a"\n[models.y]\nmodel = "a"\n')
    second.write_text('[models.x]\nmodel = "b"\n')
    settings = load_settings(first, second, tmp_path / "missing.toml")
    assert settings.models == {"x": ModelSettings("b"), "y": ModelSettings("a")}


def test_all_problems_come_at_once_with_their_lines(tmp_path):
    path = tmp_path / "orchestrate.toml"
    path.write_text(
        '[models.a]\nmodel = 3\nretries = -1\n\n[models.b]\nkey_env = "sk-abcdefghijklmnopqrstuvwxyz"\n\n'
        '[commands.c]\nargv = []\n\n[fan_out]\notherwise = "cry"\n'
    )
    with pytest.raises(DocumentError) as caught:
        load_settings(path)
    said = [(problem.line, problem.message) for problem in caught.value.problems]
    assert said == [
        (2, "`model` of [models.a] has to be text"),
        (3, "`retries` of [models.a] has to be a whole number from 0"),
        (
            6,
            "`key_env` of [models.b] has to be the name of a variable: write the variable's name, and put the key into the variable",
        ),
        (5, "[models.b] has no `model`"),
        (9, "`argv` of [commands.c] has to be a list of words, not empty"),
        (12, '`otherwise` of [fan_out] has to be "refuse" or "shrink"'),
    ]


def test_unknown_keys_are_warnings_with_the_closest_one(tmp_path):
    path = tmp_path / "orchestrate.toml"
    path.write_text('[modls.a]\nx = 1\n[models.a]\nmodel = "m"\nmax_token = 3\n')
    warnings = load_settings(path).warnings
    assert [(one.line, one.message, one.hint) for one in warnings] == [
        (0, "unknown key `modls`", "did you mean `models`?"),
        (5, "unknown key `max_token` in [models.a]", "did you mean `max_tokens`?"),
    ]


@pytest.mark.parametrize(("text", "line"), [("[models", 1), ('[models.a]\nmodel = "x\n', 2)])
def test_what_is_no_toml_says_where(tmp_path, text, line):
    path = tmp_path / "orchestrate.toml"
    path.write_text(text)
    with pytest.raises(DocumentError, match="this is no TOML") as caught:
        load_settings(path)
    assert caught.value.problems[0].line == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 5000, ":1: this is no TOML"),
        ("[models.a]\nusd_in = 1" + "0" * 5000, ": this is no TOML"),
        ('[models.a]  # mine\nmodel = "m"\nusd_in = 1' + "0" * 400, ":3: `usd_in` of [models.a] has to be"),
        ('[models.a]\nmodel = "m"\n[models.a.headers]\nx = 3', ":3: `headers` of [models.a] has to be"),
    ],
)
def test_numbers_and_nesting_beyond_sense_are_problems(tmp_path, text, said):
    path = tmp_path / "orchestrate.toml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_settings(path)
    assert said in str(caught.value)


def test_a_program_given_as_a_path_is_looked_for_beside_the_file(tmp_path):
    path = tmp_path / "orchestrate.toml"
    path.write_text(
        '[commands.a]\nargv = ["bin/answer", "-x"]\n[commands.b]\nargv = ["claude"]\n[commands.c]\nargv = ["/bin/cat"]'
    )
    argvs = [command.argv for command in load_settings(path).commands.values()]
    assert argvs == [(str(tmp_path / "bin/answer"), "-x"), ("claude",), ("/bin/cat",)]


@given(st.text(max_size=200) | st.lists(st.sampled_from(WHOLE.splitlines()), max_size=8).map("\n".join))
def test_any_text_is_settings_or_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "orchestrate.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load_settings(path), Settings)
    except DocumentError as error:
        assert error.problems  # noqa: PT017  (both ends are fine; which one it is, is the text's)


def test_environments_have_settings_of_their_own(tmp_path):
    path = tmp_path / "orchestrate.toml"
    path.write_text(
        '[environments.docker]\nimage = "mine:1"\noptions = ["--cpus", "2"]\n[environments.ssh]\nport = 2222\n'
        '[environments.dokcer]\nimage = "x"\n'
    )
    settings = load_settings(path)
    assert settings.environments == {"docker": {"image": "mine:1", "options": ("--cpus", "2")}, "ssh": {}}
    assert [(one.line, one.message, one.hint) for one in settings.warnings] == [
        (6, "unknown key `dokcer` in [environments]", "did you mean `docker`?"),
        (5, "unknown key `port` in [environments.ssh]", "known: python, options"),
    ]
    path.write_text('[environments.podman]\ncommand = "podman"\n')
    with pytest.raises(
        DocumentError, match=r":2: `command` of \[environments.podman\] has to be a list of words"
    ):
        load_settings(path)
