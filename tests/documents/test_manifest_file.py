"""manifest.yaml: what it declares, and what is wrong with one."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from orchestrator.documents.manifest import Manifest, parse_manifest
from orchestrator.documents.skill import load_skill
from orchestrator.documents.types import Example, Function, Requires
from orchestrator.values import Permissions, Problem

SKILL_PY = '''\
"""Importing this would be noticed."""
from __future__ import annotations
raise SystemExit("imported")

def count(path: str, unit: str = "words") -> dict[str, int]:
    """Count what a file holds.

    More.
    """

async def fetch(ctx, url: "str", *, tries: int | None = 3, **more): ...

def loose(a, b=object()): ...

def positional(a: int, /, b: int = 1): ...

if sys.version_info > (3, 12):
    def conditional(): ...
else:
    try:
        def conditional(x: Literal["a", "b"]): ...
    finally:
        pass

class Box:
    def inside(self): ...
'''

CONTRACT = """\
schema: orchestrate.skill/1
functions:
  count:
    description: Count words in a file.
    entry: {python: "skill.py:count"}
    input:  {type: object, required: [path], properties: {path: {type: string, format: path}, unit: {enum: [words, lines], default: words}}, additionalProperties: false}
    output: {type: object, required: [total], properties: {total: {type: integer}}}
    effects: read
    idempotent: true
    timeout_s: 30
default: count
uses: [other-skill]
permissions: {network: [example.org], read: [in], write: [], env: [LANG]}
requires: {bins: [git], env: [], packages: [rich]}
examples: [{input: {path: examples/a.txt}, output: {total: 3}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "word-count"
    (folder / "scripts").mkdir(parents=True)
    (folder / "skill.py").write_text(SKILL_PY)
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "scripts" / "run.sh").write_text("echo {}")
    (folder / "prompt.md").write_text("Do it.")
    (tmp_path / "outside.py").write_text("def count(): ...")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    return folder


def functions(folder: Path, text: str) -> dict[str, Function]:
    manifest = parse_manifest("schema: orchestrate.skill/1\nfunctions:\n" + text, folder)
    assert manifest.problems == ()
    return dict(manifest.functions)


def problems(folder: Path, text: str) -> list[tuple[int, str, str]]:
    manifest = parse_manifest("schema: orchestrate.skill/1\n" + dedent(text), folder)
    assert {(each.path, each.severity) for each in manifest.problems} <= {
        (str(folder / "manifest.yaml"), "error")
    }
    return [(each.line, each.message, each.hint) for each in manifest.problems]


def test_the_contracts_example_is_read_whole(folder: Path) -> None:
    assert parse_manifest(CONTRACT, folder) == Manifest(
        exists=True,
        functions={
            "count": Function(
                name="count",
                kind="python",
                entry="skill.py:count",
                description="Count words in a file.",
                input={
                    "type": "object",
                    "required": ["path"],
                    "properties": {
                        "path": {"type": "string", "format": "path"},
                        "unit": {"enum": ["words", "lines"], "default": "words"},
                    },
                    "additionalProperties": False,
                },
                output={
                    "type": "object",
                    "required": ["total"],
                    "properties": {"total": {"type": "integer"}},
                },
                effects="read",
                idempotent=True,
                timeout_s=30.0,
            )
        },
        default="count",
        uses=("other-skill",),
        permissions=Permissions(network=("example.org",), read=("in",), env=("LANG",)),
        requires=Requires(bins=("git",), packages=("rich",)),
        examples=(Example({"path": "examples/a.txt"}, {"total": 3}),),
    )


@pytest.mark.parametrize(
    ("written", "function"),
    [
        (
            "f: {entry: {script: scripts/run.sh, style: stdin-json}, approval: true}",
            Function("f", "script", "scripts/run.sh", style="stdin-json", approval=True),
        ),
        ("f: {entry: {script: scripts/run.sh}}", Function("f", "script", "scripts/run.sh")),
        (
            "f: {entry: {prompt: prompt.md}, effects: none}",
            Function("f", "prompt", "prompt.md", effects="none"),
        ),
        ("f: {entry: {workflow: ./prompt.md}}", Function("f", "workflow", "./prompt.md")),
    ],
)
def test_an_entry_may_be_a_script_a_prompt_or_a_workflow(
    folder: Path, written: str, function: Function
) -> None:
    assert functions(folder, f"  {written}\n") == {"f": function}


@pytest.mark.parametrize(
    ("name", "schema", "description"),
    [
        (
            "count",
            {
                "type": "object",
                "required": ["path"],
                "properties": {"path": {"type": "string"}, "unit": {"type": "string", "default": "words"}},
                "additionalProperties": False,
            },
            "Count what a file holds.",
        ),
        (
            "fetch",
            {
                "type": "object",
                "required": ["url"],
                "properties": {
                    "url": {"type": "string"},
                    "tries": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3},
                },
            },
            "",
        ),
        (
            "loose",
            {
                "type": "object",
                "required": ["a"],
                "properties": {"a": {}, "b": {}},
                "additionalProperties": False,
            },
            "",
        ),
        (
            "conditional",
            {
                "type": "object",
                "required": ["x"],
                "properties": {"x": {"enum": ["a", "b"]}},
                "additionalProperties": False,
            },
            "",
        ),
        ("positional", None, ""),
    ],
)
def test_an_input_left_out_comes_from_the_type_hints(
    folder: Path, name: str, schema: dict[str, Any] | None, description: str
) -> None:
    read = functions(folder, f"  f: {{entry: {{python: 'skill.py:{name}'}}}}\n")

    assert read == {
        "f": Function(
            "f", "python", f"skill.py:{name}", description, input=schema, inferred=schema is not None
        )
    }
    assert "skill" not in sys.modules


@pytest.mark.parametrize(
    "text",
    ["", "schema: other/1\nfunctions: []\n", "- orchestrate.skill/1\n", "a: [\n", "x: orchestrate.skill/1\n"],
)
def test_a_manifest_without_the_marker_is_an_asset(folder: Path, text: str) -> None:
    manifest = parse_manifest(text, folder)

    assert manifest == Manifest(exists=text.startswith("-"), problems=manifest.problems)
    assert [each.message for each in manifest.problems] == (
        ["a manifest has to be a mapping, not a list"] if text.startswith("-") else []
    )


WRONG: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "another version": (
        "",
        [(1, "`orchestrate.skill/2` is not known here", "write `schema: orchestrate.skill/1`")],
    ),
    "no entry": ("functions: {f: {}}", [(2, "`functions.f.entry` is missing", "add it")]),
    "two entries": (
        "functions: {f: {entry: {script: a, prompt: b}}}",
        [(2, "`functions.f.entry`: an entry has one of `python`, `script`, `prompt`, `workflow`; this has 2",
          'as `{python: "skill.py:count"}` or `{script: scripts/count.py}`')],
    ),
    "a style for Python": (
        "functions: {f: {entry: {python: 'skill.py:count', style: argparse}}}",
        [(2, "`functions.f.entry`: `style` belongs to a `script` entry", "remove it")],
    ),
    "a wrong word": (
        "functions: {f: {entry: {prompt: prompt.md}, effects: wirte}}",
        [(2, "`functions.f.effects` has to be `none`, `read` or `write`, not `wirte`", "did you mean `write`?")],
    ),
    "no file": (
        "functions:\n  f:\n    entry:\n      script: scripts/rum.sh\n",
        [(5, "function `f`: the entry `scripts/rum.sh` does not exist", "name a file inside the skill's folder, with `/`")],
    ),
    "a folder": (
        "functions: {f: {entry: {script: scripts}}}",
        [(2, "function `f`: the entry `scripts` does not exist", "name a file inside the skill's folder, with `/`")],
    ),
    "above": (
        "functions: {f: {entry: {script: ../outside.py}}}",
        [(2, "function `f`: the entry `../outside.py` leaves the skill's folder", "name a file inside the skill's folder, with `/`")],
    ),
    "absolute": (
        "functions: {f: {entry: {script: /bin/sh}}}",
        [(2, "function `f`: the entry `/bin/sh` leaves the skill's folder", "name a file inside the skill's folder, with `/`")],
    ),
    "a link out": (
        "functions: {f: {entry: {python: 'link.py:count'}}}",
        [(2, "function `f`: the entry `link.py` leaves the skill's folder", "name a file inside the skill's folder, with `/`")],
    ),
    "no function named": (
        "functions: {f: {entry: {python: skill.py}}}",
        [(2, "function `f`: `skill.py` names no function", "as `skill.py:count`")],
    ),
    "no such function": (
        "functions: {f: {entry: {python: 'skill.py:cuont'}}}",
        [(2, "function `f`: the entry `skill.py:cuont` can't be called: it has no function `cuont`, only `count`", "")],
    ),
    "a method": (
        "functions: {f: {entry: {python: 'skill.py:inside'}}}",
        [(2, "function `f`: the entry `skill.py:inside` can't be called: it has no function `inside`", "")],
    ),
    "no Python": (
        "functions: {f: {entry: {python: 'broken.py:f'}}}",
        [(2, "function `f`: the entry `broken.py:f` can't be called: line 1 is no Python: invalid syntax", "")],
    ),
    "an input that does not fit": (
        "functions:\n  f:\n    entry: {python: 'skill.py:count'}\n    input: {properties: {pat: {}, unit: {}}}\n",
        [(5, "function `f`: `skill.py:count` does not fit its input: it has no parameter `pat`, only `path`", ""),
         (5, "function `f`: `skill.py:count` does not fit its input: "
             "its parameter `path` has no default, and the input does not require it", "")],
    ),
    "a parameter that has no name to a caller": (
        "functions: {f: {entry: {python: 'skill.py:positional'}, input: {properties: {b: {}}}}}",
        [(2, "function `f`: `skill.py:positional` does not fit its input: its parameter `a` can't be filled by name", "")],
    ),
    "schemas that are none": (
        "functions:\n  f:\n    entry: {prompt: prompt.md}\n    input: {type: array}\n    output: {properties: {a: {type: text}}}\n",
        [(5, "function `f`: `input` has to be of type `object`", "write the arguments below `properties:`"),
         (6, "function `f`: `output`: `text` is no type", "did you mean `string`?")],
    ),
    "a name that every skill has": (
        "functions: {read: {entry: {prompt: prompt.md}}, a b: {entry: {prompt: prompt.md}}}",
        [(2, "function `read`: every skill has a `.read` of its own", "give the function another name"),
         (2, "function `a b`: `a b` is no name for a function", "use letters, digits and `_`")],
    ),
    "a default that is none": (
        "functions: {count: {entry: {prompt: prompt.md}}}\ndefault: cuont\n",
        [(3, "`default: cuont` is no function of this skill", "did you mean `count`?")],
    ),
    "examples of nothing": (
        "functions: {count: {entry: {prompt: prompt.md}}, b: {entry: {prompt: prompt.md}}}\nexamples:\n  - {input: {}}\n  - {function: cuont}\n",
        [(4, "the example names no function", "add `function:`, or a `default:`"),
         (5, "the example's `cuont` is no function", "did you mean `count`?")],
    ),
    "permissions of the wrong shape": (
        "permissions: {read: all}\nuses: other\n",
        [(2, "`permissions.read` has to be a list, not `all`", "as `[one, two]`"),
         (3, "`uses` has to be a list, not `other`", "as `[one, two]`")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_reported_with_its_line_and_left_out(folder: Path, case: str) -> None:
    text, expected = WRONG[case]
    if case == "another version":
        found = parse_manifest("schema: orchestrate.skill/2\n", folder).problems
        assert [(each.line, each.message, each.hint) for each in found] == expected
    else:
        assert problems(folder, text) == expected


def test_the_only_function_is_the_default(folder: Path) -> None:
    one = (
        "schema: orchestrate.skill/1\nfunctions: {f: {entry: {prompt: prompt.md}}}\nexamples: [{input: {}}]\n"
    )

    assert parse_manifest(one, folder) == Manifest(
        exists=True,
        functions={"f": Function("f", "prompt", "prompt.md")},
        default="f",
        examples=(Example({}),),
    )


def test_one_broken_function_costs_that_function_only(folder: Path) -> None:
    text = """\
        functions:
          good: {entry: {prompt: prompt.md}}
          typed: {entry: {prompt: prompt.md}, timeout_s: soon}
          gone: {entry: {prompt: missing.md}}
        default: gone
        uses: [a]
        """
    manifest = parse_manifest("schema: orchestrate.skill/1\n" + dedent(text), folder)

    assert (dict(manifest.functions), manifest.default, manifest.uses) == (
        {"good": Function("good", "prompt", "prompt.md")},
        None,
        ("a",),
    )
    assert [each.line for each in manifest.problems] == [4, 5]


def test_unknown_keys_are_warnings_at_any_depth(folder: Path) -> None:
    text = (
        "schema: orchestrate.skill/1\nfunctions:\n  f:\n    entry: {prompt: prompt.md, styel: x}\n"
        "    timeout: 3\n    input: {requird: []}\ndefualt: f\n"
    )
    path = str(folder / "manifest.yaml")

    assert list(parse_manifest(text, folder).problems) == [
        Problem(path, 4, "unknown key `functions.f.entry.styel`", "did you mean `style`?", "warning"),
        Problem(path, 5, "unknown key `functions.f.timeout`", "did you mean `timeout_s`?", "warning"),
        Problem(
            path,
            6,
            "function `f`: `input`: `requird` is no keyword of JSON Schema and is ignored",
            "did you mean `required`?",
            "warning",
        ),
        Problem(path, 7, "unknown key `defualt`", "did you mean `default`?", "warning"),
    ]


def test_a_skill_carries_its_manifest_and_its_problems(folder: Path) -> None:
    (folder / "SKILL.md").write_text("---\nname: word-count\ndescription: Counts.\n---\n")
    (folder / "manifest.yaml").write_text(CONTRACT.replace("default: count", "default: cont"))

    skill = load_skill(folder / "SKILL.md", source="workspace")

    assert (skill.source, list(skill.functions), skill.default, skill.attribute) == (
        "workspace",
        ["count"],
        None,
        "word_count",
    )
    assert [(each.line, each.severity) for each in skill.diagnostics] == [(11, "error")]
