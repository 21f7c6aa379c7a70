"""What is read from a script's text, and what is marked because only running it could tell."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalog.argv import branch_of, to_argv
from orchestrator.catalog.scripts import parse_script
from orchestrator.documents.types import Script
from orchestrator.errors import CallError


def read(source: str) -> Script:
    return parse_script(textwrap.dedent(source).encode(), "scripts/tool.py")


def read_arguments(*calls: str) -> Script:
    lines = "".join(f"parser.add_argument({call})\n" for call in calls)
    return read(f"import argparse\nparser = argparse.ArgumentParser()\n{lines}parser.parse_args()\n")


def properties(script: Script) -> dict[str, Any]:
    assert script.input is not None
    return script.input["properties"]


def test_a_schema_says_types_choices_defaults_help_and_that_it_is_inferred() -> None:
    script = read(
        '''
        """Count things.

        At length.
        """
        import argparse
        from pathlib import Path

        UNITS = ("words", "lines")

        def main():
            parser = argparse.ArgumentParser(description=__doc__)
            parser.add_argument("path", type=Path, help="File to read")
            parser.add_argument("-u", "--unit", choices=UNITS, default="words", help="One of 100%% (%(default)s)")
            parser.add_argument("--at-most", type=int, default=10)
            parser.add_argument("--verbose", action="store_true")
            args = parser.parse_args()

        if __name__ == "__main__":
            main()
        '''
    )
    assert script == Script(
        path="scripts/tool.py",
        description="Count things.",
        input={
            "inferred": True,
            "type": "object",
            "description": "Count things.",
            "properties": {
                "path": {"type": "string", "format": "path", "description": "File to read"},
                "unit": {
                    "type": "string",
                    "enum": ["words", "lines"],
                    "description": "One of 100% (words)",
                    "default": "words",
                },
                "at_most": {"type": "integer", "default": 10},
                "verbose": {"type": "boolean", "default": False},
            },
            "required": ["path"],
            "additionalProperties": False,
            "x-argv": [
                {
                    "prefix": "-",
                    "arguments": [
                        {"name": "path", "how": "one"},
                        {"name": "unit", "how": "one", "option": "--unit"},
                        {"name": "at_most", "how": "one", "option": "--at-most"},
                        {"name": "verbose", "how": "flag", "option": "--verbose", "value": True},
                    ],
                }
            ],
        },
    )


def test_commands_become_branches_with_the_options_of_every_level() -> None:
    script = read(
        """
        from argparse import ArgumentParser as Parser

        def common(parser):
            parser.add_argument("--verbose", action="store_true")

        def build():
            parser = Parser()
            common(parser)
            commands = parser.add_subparsers(dest="action", required=True)
            add = commands.add_parser("add", aliases=["plus"], help="Add one")
            add.add_argument("name")
            remote = commands.add_parser("remote").add_subparsers(dest="what")
            remote.add_parser("list")
            return parser

        build().parse_args()
        """
    )
    assert script.input is not None
    assert script.unread == ()
    assert [
        (sorted(branch["properties"]), branch["required"], branch.get("description"))
        for branch in script.input["oneOf"]
    ] == [
        (["action", "name", "verbose"], ["action", "name"], "Add one"),
        (["action", "verbose"], ["action"], None),
        (["action", "verbose", "what"], ["action", "what"], None),
    ]
    assert to_argv(script.input, {"action": "plus", "name": "-x", "verbose": True}) == [
        "--verbose",
        "plus",
        "--",
        "-x",
    ]
    assert to_argv(script.input, {"action": "remote", "what": "list"}) == ["remote", "list"]
    with pytest.raises(CallError, match=r"`action`, `what` must name a command, not 'ad'") as failure:
        to_argv(script.input, {"action": "ad"})
    assert failure.value.hint == "did you mean `add`?"


def test_a_command_that_is_optional_has_a_branch_without_it() -> None:
    script = read(
        """
        import argparse
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers()
        commands.add_parser("run").add_argument("command")
        """
    )
    assert script.input is not None
    assert to_argv(script.input, {}) == []
    assert to_argv(script.input, {"subcommand": "run", "command": "ls"}) == ["run", "--", "ls"]
    assert list(branch_of(script.input, {})["properties"]) == []


def test_parsers_are_followed_through_classes_parents_groups_and_nested_functions() -> None:
    script = read(
        """
        import argparse as ap

        base = ap.ArgumentParser(add_help=False)
        base.add_argument("--config")

        class Parser(ap.ArgumentParser):
            def error(self, message):
                raise SystemExit(message)

        class Tool:
            def __init__(self):
                self.parser = Parser(parents=[base])
                self.fill(self.parser.add_argument_group("output"))

            def fill(self, group):
                group.add_argument("--out", nargs=ap.ONE_OR_MORE)

            def run(self):
                if (args := self.parser.parse_args()):
                    return args

        Tool().run()
        """
    )
    assert sorted(properties(script)) == ["config", "out"]
    assert script.unread == ()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("'--' + name", "an argument is left out: its name or keywords are computed"),
        ("*names", "an argument is left out: its name or keywords are computed"),
        ("'--x', **more", "an argument is left out: its name or keywords are computed"),
        ("'--x', nargs=count()", "`--x` is left out: its action or number of words can't be read"),
        ("'--x', action=Own", "`--x` is left out: its action or number of words can't be read"),
        ("'--x', nargs='...'", "`--x` is left out: its action or number of words can't be read"),
    ],
)
def test_an_argument_of_unknown_shape_is_left_out_and_marked(call: str, sentence: str) -> None:
    script = read_arguments("'--known'", call)
    assert list(properties(script)) == ["known"]
    assert script.unread == (f"line 4: {sentence}",)


@pytest.mark.parametrize(
    ("call", "schema", "sentence"),
    [
        ("'--x', choices=load()", {"type": "string"}, "the choices of `--x` can't be read"),
        ("'--x', choices=[1, 2]", {"type": "string"}, "the choices of `--x` can't be read"),
        ("'--x', default=load()", {"type": "string"}, "the default of `--x` can't be read"),
        ("'--x', type=int, default='auto'", {"type": "integer"}, "the default of `--x` can't be read"),
        ("'--x', type=when", {}, "`--x` is converted by the script's own `when`"),
        ("'--x', required=bool(y)", {"type": "string"}, "whether `--x` is required is computed"),
    ],
)
def test_what_is_computed_is_marked_and_not_guessed(call: str, schema: dict[str, Any], sentence: str) -> None:
    script = read_arguments(call)
    assert properties(script) == {"x": schema}
    assert script.unread == (f"line 3: {sentence}",)


@pytest.mark.parametrize(
    "body",
    [
        "for name in ('--a', '--b'):\n    parser.add_argument(name)",
        "while more():\n    parser.add_argument('--a')",
        "if flag:\n    parser.add_argument('--a')",
        "flag and parser.add_argument('--a')",
        "[parser.add_argument('--' + name) for name in names]",
        "try:\n    import x\nexcept ImportError:\n    parser.add_argument('--a')",
    ],
)
def test_arguments_added_in_a_loop_or_under_a_condition_are_marked(body: str) -> None:
    script = read(
        f"import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--sure')\n{body}\n"
    )
    assert list(properties(script)) == ["sure"]
    assert len(script.unread) == 1
    assert script.unread[0].endswith(
        "what `add_argument` adds is left out: it happens in a loop or under a condition"
    )


def test_a_list_that_the_script_changes_is_not_taken_for_its_first_value() -> None:
    script = read(
        """
        import argparse
        MODES = ["a"]
        MODES.append("b")
        LATER = "x"
        def f():
            global LATER
            LATER = "y"
        parser = argparse.ArgumentParser()
        parser.add_argument("--mode", choices=MODES, default=LATER)
        """
    )
    assert properties(script) == {"mode": {"type": "string"}}
    assert len(script.unread) == 2


def test_a_parser_given_to_foreign_code_is_marked() -> None:
    script = read("import argparse, lib\np = argparse.ArgumentParser()\nlib.add_options(p)\n")
    assert script.unread == ("line 3: `lib.add_options` may add arguments",)


def test_two_parsers_that_are_both_used_give_no_schema() -> None:
    script = read(
        "import argparse\na = argparse.ArgumentParser()\nb = argparse.ArgumentParser()\na.parse_args()\nb.parse_args()\n"
    )
    assert script.input is None
    assert script.unread == ("it makes 2 argument parsers: which one it uses can't be told",)


def test_a_first_parser_that_serves_the_second_does_not_count() -> None:
    script = read(
        """
        import argparse
        early = argparse.ArgumentParser(add_help=False)
        early.add_argument("--config")
        known, rest = early.parse_known_args()
        parser = argparse.ArgumentParser(parents=[early])
        parser.add_argument("--more")
        parser.parse_args(rest)
        """
    )
    assert sorted(properties(script)) == ["config", "more"]


def test_options_that_share_a_keyword_are_one_property() -> None:
    script = read_arguments(
        "'--sum', dest='mode', action='store_const', const='sum', default='sum'",
        "'--max', dest='mode', action='store_const', const='max'",
        "'--loud', dest='voice', action='store_true'",
        "'--quiet', dest='voice', action='store_false'",
    )
    assert properties(script) == {
        "mode": {"enum": ["sum", "max"], "default": "sum"},
        "voice": {"type": "boolean", "default": False},
    }
    assert script.input is not None
    assert to_argv(script.input, {"mode": "max", "voice": True}) == ["--max", "--loud"]


def test_exclusive_arguments_are_refused_together() -> None:
    script = read(
        """
        import argparse
        parser = argparse.ArgumentParser()
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument("--one", action="store_true")
        group.add_argument("--other")
        """
    )
    assert script.input is not None
    assert to_argv(script.input, {"one": False, "other": "x"}) == ["--other=x"]
    with pytest.raises(CallError, match="`one`, `other` exclude each other"):
        to_argv(script.input, {"one": True, "other": "x"})
    with pytest.raises(CallError, match="one of `one`, `other` is needed"):
        to_argv(script.input, {"one": False})


@pytest.mark.parametrize(
    ("calls", "given", "message"),
    [
        (("'--path'",), {"paht": "x"}, "the script has no option `paht`"),
        (("'path'",), {"path": "--"}, "`path` can't be `--`"),
        (("'--path'",), {"path": "a\0b"}, "it holds a NUL"),
        (("'--path'",), {"path": "\ud800"}, "can't be a word of a command line"),
        (("'--path', nargs=2",), {"path": ["a", "-b"]}, "would be taken for an option"),
        (("'a', nargs='?'", "'b', nargs='*'"), {"b": ["x"]}, "positional arguments can't be told apart"),
        (("'rest', nargs='...'",), {"rest": ["-x"]}, "`-x` would be taken for an option"),
        (("'--x', action='store_true', default=None",), {"x": False}, "`x` can't be set to false"),
    ],
)
def test_what_argparse_would_misread_is_refused(
    calls: tuple[str, ...], given: dict[str, Any], message: str
) -> None:
    schema = read_arguments(*calls).input
    assert schema is not None
    with pytest.raises(CallError, match=message) as failure:
        to_argv(schema, given)
    assert failure.value.kind == "invalid"


def test_a_word_that_the_script_would_open_as_a_file_of_arguments_is_refused() -> None:
    schema = read(
        "import argparse\np = argparse.ArgumentParser(fromfile_prefix_chars='@')\np.add_argument('x')\n"
    ).input
    assert schema is not None
    with pytest.raises(CallError, match="`@secret` would be read as a file of arguments"):
        to_argv(schema, {"x": "@secret"})


def test_inline_metadata_gives_dependencies_whatever_the_line_ends() -> None:
    source = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#   "rich",\n#   "httpx<1",\n# ]\n# ///\n'
    for text in (source, source.replace("\n", "\r\n")):
        assert parse_script(text.encode(), "x.py").dependencies == ("rich", "httpx<1")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("# /// script\n# dependencies = [\n# ///\n", "its inline metadata is not read: no TOML"),
        ("# /// script\n# dependencies = []\n", "its inline metadata is not read: no single, closed block"),
        (
            "# /// script\n# dependencies = 'x'\n# ///\n",
            "its inline metadata is not read: `dependencies` is no list of texts",
        ),
        ("def f(:\n", "it can't be read as Python: SyntaxError"),
        ("\0", "it can't be read as Python: "),
        ("(" * 10_000, "it can't be read as Python: "),
        ("x = " + "-" * 200_000 + "1", "it can't be read as Python: "),
        ("import click\n", "its options are declared with `click`, which is not read"),
    ],
)
def test_what_stops_the_reading_is_said(source: str, sentence: str) -> None:
    script = parse_script(source.encode(), "x.py")
    assert script.input is None
    assert script.dependencies == ()
    assert [line for line in script.unread if line.startswith(sentence)]


def test_many_starts_of_metadata_cost_no_time() -> None:
    script = parse_script(b"# /// script\n" * 50_000, "x.py")
    assert script.unread == ("its inline metadata is not read: too many blocks",)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(source: bytes) -> None:
    parse_script(source, "x.py")


TOKENS = """argparse ArgumentParser parser add_argument ( ) [ ] . , = '--x' 'x' nargs '*' dest lambda : for in if def f
x return self add_subparsers add_parser import from class * ** 2 None type int choices default"""
WORDS = st.sampled_from([*TOKENS.split(), "\n"])


@given(st.lists(WORDS, max_size=60))
def test_no_text_that_looks_like_argparse_makes_the_reader_raise(words: list[str]) -> None:
    parse_script(("import argparse\nparser = argparse.ArgumentParser()\n" + " ".join(words)).encode(), "x.py")


CALLS = st.lists(
    st.sampled_from(
        [
            "parser = argparse.ArgumentParser()",
            "parser = parser.add_subparsers()",
            "parser = parser.add_parser('x')",
            "parser = parser.add_mutually_exclusive_group()",
            "parser.add_argument('x', nargs='*')",
            "parser.add_argument('--x', choices=1, default=[1])",
            "parser.add_argument('--x', action='append_const', const=[1])",
            "parser.add_argument('-1', action='count')",
            "parser.add_argument('', dest=3)",
            "parser.add_argument(dest='y', type=[])",
            "parser.set_defaults(x=parser, y=1)",
            "parser.parse_known_args()",
            "def build(p=None): return build(p) or parser",
            "parser = build(parser)",
            "self.parser = parser",
            "parser = self.parser",
            "argparse = 3",
            "parser = argparse.ArgumentParser(parents=[parser], prefix_chars=7, aliases=4)",
        ]
    )
)


@given(CALLS)
def test_no_order_of_calls_makes_the_reader_raise(calls: list[str]) -> None:
    parse_script("\n".join(["import argparse", *calls]).encode(), "x.py")
