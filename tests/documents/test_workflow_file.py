"""What a workflow file says, and every problem of one that is wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.documents.types import Check, Workflow
from orchestrator.documents.workflow import MAX_BYTES, load_workflow, parse_workflow
from orchestrator.errors import DocumentError
from orchestrator.values import Cell, Limits, Permissions, Problem

HERE = Path("flow.md")

FULL = """\
---
name: weekly-digest
description: One sentence. Use when ...
inputs:
  type: object
  required: [folder]
  properties:
    folder: {type: string, format: path, description: Folder with notes}
    days: {type: integer, default: 7, minimum: 1}
output: {type: object, required: [summary]}
skills: [summarize, "team/*"]
context: ["memory/*.md", "{{folder}}/**/*.md"]
model: {root: default, sub: small}
strategies: [written, rlm]
budget: {depth: 2, iterations: 31, calls: 501, tokens: 2000001, usd: 5.5, seconds: 1801, errors: 11, concurrency: 17}
permissions: {network: [], read: ["{{folder}}"], write: ["out/**"], env: [LANG]}
approvals: ["skill:send-mail"]
remember: ["digest/*.md"]
checks:
  - {name: has findings, expr: "len(answer['findings']) > 0"}
  - {name: file exists, shell: "test -s out/digest.md"}
  - {name: quotes are real, skill: verify-quotes, with: {report: "{{answer}}"}}
  - {name: tone, judge: "The summary names no person.", runs: 3, pass: 2}
retry: {max: 2}
cell_timeout_s: 90
---
# Goal
Look into `{{folder}}`.
```repl
FINAL(inputs)
```
"""


def problems_of(text: str, *, strict: bool = False) -> list[Problem]:
    with pytest.raises(DocumentError) as caught:
        parse_workflow(dedent(text), HERE, strict=strict)
    return list(caught.value.problems)


def error(line: int, message: str, hint: str = "") -> Problem:
    return Problem("flow.md", line, message, hint)


def warning(line: int, message: str, hint: str = "") -> Problem:
    return Problem("flow.md", line, message, hint, "warning")


def test_every_key_of_the_contract_is_read() -> None:
    workflow = parse_workflow(FULL, HERE)

    assert workflow == Workflow(
        name="weekly-digest",
        description="One sentence. Use when ...",
        path=HERE,
        body="# Goal\nLook into `{{folder}}`.\n```repl\nFINAL(inputs)\n```\n",
        cells=(Cell(1, "FINAL(inputs)\n", 30),),
        inputs={
            "type": "object",
            "required": ["folder"],
            "properties": {
                "folder": {"type": "string", "format": "path", "description": "Folder with notes"},
                "days": {"type": "integer", "default": 7, "minimum": 1},
            },
        },
        version=workflow.version,
        output={"type": "object", "required": ["summary"]},
        skills=("summarize", "team/*"),
        context=("memory/*.md", "{{folder}}/**/*.md"),
        root_model="default",
        sub_model="small",
        strategies=("written", "rlm"),
        limits=Limits(2, 31, 501, 2000001, 5.5, 1801.0, 11, 17),
        written_limits=frozenset(Limits.__dataclass_fields__),
        permissions=Permissions(read=("{{folder}}",), write=("out/**",), env=("LANG",)),
        approvals=("skill:send-mail",),
        remember=("digest/*.md",),
        checks=(
            Check("has findings", "expr", "len(answer['findings']) > 0", line=20),
            Check("file exists", "shell", "test -s out/digest.md", line=21),
            Check("quotes are real", "skill", "verify-quotes", {"report": "{{answer}}"}, line=22),
            Check("tone", "judge", "The summary names no person.", runs=3, passes=2, line=23),
        ),
        max_retries=2,
        cell_timeout_s=90.0,
        warnings=(),
    )


def test_name_is_enough_and_the_rest_has_the_contracts_defaults() -> None:
    workflow = parse_workflow("---\nname: a\n---\n", HERE)

    assert workflow == Workflow(
        "a", "", HERE, body="", cells=(), inputs={"type": "object"}, version=workflow.version
    )
    assert workflow.limits == Limits(3, 30, 500, 2_000_000, 5.0, 1800.0, 10, 16)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("# Weekly *Digest* of `notes`\n", "weekly-digest-of-notes"),
        ("## Not this\n\nBut this\n===\n", "but-this"),
        ("```\n# code\n```\n# Größe\n", "groe"),
        ("Just prose\n", "my-flow-2"),
        ("# 日本語\n", "my-flow-2"),
        ("", "my-flow-2"),
    ],
)
def test_plain_markdown_runs_named_for_its_title_or_its_file(text: str, name: str) -> None:
    path = Path("some/My Flow_2.md")
    workflow = parse_workflow(text, path)

    assert workflow == Workflow(
        name, "", path, body=text, cells=(), inputs={"type": "object"}, version=workflow.version
    )


def test_plain_markdown_may_hold_braces_and_has_cells() -> None:
    workflow = parse_workflow("# T\n{{what}}\n```REPL x\r\nx = 1\r\n```\r\n", HERE)

    assert workflow.cells == (Cell(1, "x = 1\n", 4),)
    assert workflow.warnings == ()


def test_line_ends_and_byte_order_mark_change_nothing() -> None:
    workflow = parse_workflow(FULL, HERE)

    assert parse_workflow("\ufeff" + FULL.replace("\n", "\r\n"), HERE) == workflow
    assert parse_workflow(FULL.replace("\n", "\r"), HERE) == workflow
    assert parse_workflow(FULL + " ", HERE).version != workflow.version


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("skills: all", {"skills": None}),
        ("skills: []", {"skills": ()}),
        ("model: big", {"root_model": "big"}),
        ("model: {sub: small}", {"sub_model": "small"}),
        (
            "budget: {usd: null, calls: 7}",
            {"limits": Limits(usd=None, calls=7), "written_limits": frozenset({"calls"})},
        ),
        ("budget:", {}),
        ("checks: [{expr: 'True'}]", {"checks": (Check("True", "expr", "True", line=3),)}),
        ("checks: [{judge: Ok., runs: 3}]", {"checks": (Check("Ok.", "judge", "Ok.", {}, 3, 3, 3),)}),
    ],
)
def test_short_forms_mean_what_the_contract_says(line: str, changed: dict[str, object]) -> None:
    workflow = parse_workflow(f"---\nname: a\n{line}\n---\n", HERE)

    assert workflow == replace(
        parse_workflow("---\nname: a\n---\n", HERE), version=workflow.version, **changed
    )


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        (
            "{folder: string, n: integer}",
            {
                "type": "object",
                "required": ["folder", "n"],
                "properties": {"folder": {"type": "string"}, "n": {"type": "integer"}},
            },
        ),
        (
            "{folder: string, n: {type: integer, default: 1}}",
            {
                "type": "object",
                "required": ["folder"],
                "properties": {"folder": {"type": "string"}, "n": {"type": "integer", "default": 1}},
            },
        ),
        (
            "{type: string, title: string}",
            {
                "type": "object",
                "required": ["type", "title"],
                "properties": {"type": {"type": "string"}, "title": {"type": "string"}},
            },
        ),
        ("{properties: {a: true}}", {"type": "object", "properties": {"a": True}}),
        ("{}", {"type": "object"}),
    ],
)
def test_inputs_are_a_schema_or_its_shorthand(written: str, schema: dict[str, object]) -> None:
    assert parse_workflow(f"---\nname: a\ninputs: {written}\n---\n", HERE).inputs == schema


def test_all_problems_of_a_file_are_reported_at_once_in_the_order_of_lines() -> None:
    text = """\
        ---
        name: Weekly Digest
        budgt: {usd: 1}
        budget: {dept: 3, calls: "3", usd: true, concurrency: 0}
        inputs: {folder: strng}
        output: [object]
        context: ["{{foldr}}/*.md"]
        skills: summarize
        permissions: {write: out}
        checks:
          - {expr: "1 +"}
          - {name: two, shell: ls, skill: b}
          - {judge: Fine., runs: 2, pass: 3}
          - {shell: ls, with: {a: 1}}
        cell_timeout_s: 0
        ---
        Look at {{folde}}.
        ```repl
        x = 1
        """
    assert problems_of(text) == [
        error(2, "`name` may hold a-z, 0-9 and `-`, up to 64 of them, not `Weekly Digest`", "as `weekly-digest`"),
        warning(3, "unknown key `budgt`", "did you mean `budget`?"),
        error(4, '`budget.calls` has to be a whole number, not `3`'),
        error(4, "`budget.usd` has to be a number, not `true`"),
        error(4, "`budget.concurrency` has to be at least 1, not `0`"),
        warning(4, "unknown key `budget.dept`", "did you mean `depth`?"),
        error(5, "`inputs`: `strng` is no type", "did you mean `string`?"),
        error(6, "`output` has to be a JSON Schema, not a list", "as `{type: object}`"),
        error(7, "`{{foldr}}` names no input", "did you mean `{{folder}}`?"),
        error(8, "`skills` has to be a list, not `summarize`", "as `[one, two]`"),
        error(9, "`permissions.write` has to be a list, not `out`", "as `[one, two]`"),
        error(11, "`expr` is no Python expression: invalid syntax", "as `len(answer['findings']) > 0`"),
        error(12, "`checks[1]`: a check has to be of one kind, this has 2", "write one of `expr`, `shell`, `skill`, `judge`"),
        error(13, "`checks[2]`: `pass: 3` can't be reached in `runs: 2`", "raise `runs`"),
        error(14, "`checks[3]`: `with` belongs to a `skill` check", "remove it"),
        error(15, "`cell_timeout_s` has to be more than 0, not `0`"),
        error(17, "`{{folde}}` names no input", "did you mean `{{folder}}`?"),
        error(18, "this `repl` cell is never closed", "end it with a fence as deep in its list or quotation as the first"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("---\nname: a\n", error(1, "the frontmatter is never closed", "put a line of `---` below its last key")),
        ("---\n---\n", error(1, "`name` is missing", "add `name: flow`")),
        ("---\ndescription: d\n---\n", error(1, "`name` is missing", "add `name: flow`")),
        ("---\n- a\n---\n", error(2, "the frontmatter has to be a mapping, not a list", "as `name: digest`")),
        ("a\n\0\n", error(2, "this is no text: it holds a NUL byte", "a workflow is a Markdown file in UTF-8")),
        (
            "---\nname: a\nname: b\n---\n",
            error(3, "`name` stands twice, first on line 2", "keep one of them"),
        ),
        (
            "---\nname: a\ncontext: &x [a]\napprovals: *x\n---\n",
            error(4, "the alias `*x` is not followed", "write the value out; quote text that starts with `*`"),
        ),
        (
            "---\nname: a\ndescription: !!python/object/apply:os.getcwd []\n---\n",
            error(
                3,
                "the tag `tag:yaml.org,2002:python/object/apply:os.getcwd` is not read",
                "remove it; quote text that starts with `!`",
            ),
        ),
        (
            "---\nname: a\ninputs: {$ref: 'https://example.org/s.json'}\n---\n",
            error(
                3,
                "`inputs`: `$ref: https://example.org/s.json` leaves the schema; nothing is fetched",
                "copy what it names below `$defs:` and refer to `#/$defs/NAME`",
            ),
        ),
        (
            "---\nname: a\ninputs: {type: array, items: {}}\n---\n",
            error(3, "`inputs`: inputs have to be of type `object`", "write the inputs below `properties:`"),
        ),
    ],
)  # fmt: skip
def test_a_file_with_one_mistake_has_one_problem(text: str, problem: Problem) -> None:
    assert [found for found in problems_of(text) if found.severity == "error"][:1] == [problem]


def test_a_bomb_of_aliases_is_refused_without_being_expanded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]

    found = problems_of("---\nname: a\n" + "\n".join(lines) + "\n---\n")

    assert sum("is not followed" in problem.message for problem in found) == 6


def test_a_frontmatter_nested_without_end_is_refused() -> None:
    found = problems_of("---\nname: " + "[" * 200 + "]" * 200 + "\n---\n")

    assert found == [error(2, "nested more than 32 deep")]


def test_what_is_odd_is_a_warning_and_an_error_when_strict() -> None:
    text = """\
        ---
        name: a
        inputs: {type: object, properties: {folder: {type: string}}, requird: [folder]}
        context: ["{{folder}}/*.md"]
        checks: [{expr: "{{folder}}"}]
        ---
        ```repl
        x = = 1
        ```
        """
    expected = [
        warning(3, "`inputs`: `requird` is no keyword of JSON Schema and is ignored", "did you mean `required`?"),
        warning(4, "the input `folder` may be missing here", "require `folder`, or give it a `default`"),
        warning(5, "`{{folder}}` is not filled in an `expr`", "write `inputs['folder']`"),
        warning(8, "cell 1 is no Python: invalid syntax"),
    ]  # fmt: skip

    assert list(parse_workflow(dedent(text), HERE).warnings) == expected
    assert problems_of(text, strict=True) == [replace(problem, severity="error") for problem in expected]


def test_braces_in_code_are_no_placeholders() -> None:
    body = 'Say {{ name }}.\n```repl\nprint(f"{{x}}")\n```\n\n    {{indented}}\n\n~~~jinja\n{{ page }}\n~~~\n'
    workflow = parse_workflow(f"---\nname: a\ninputs: {{name: string}}\n---\n{body}", HERE)

    assert workflow.warnings == ()


def test_schemas_whose_inputs_cannot_be_listed_accept_any_placeholder() -> None:
    text = "---\nname: a\ninputs: {type: object, $ref: '#/$defs/i', $defs: {i: {}}}\n---\n{{anything}}\n"

    assert parse_workflow(text, HERE).warnings == ()


@pytest.mark.parametrize(
    ("name", "content", "line", "message", "hint"),
    [
        ("missing.md", None, 0, "there is no such file", "did you mean `{folder}/missin.md`?"),
        ("folder", "folder", 0, "this is a folder", "name the Markdown file in it"),
        ("binary.md", b"# T\n\n\x80\xff", 3, "byte 5 is no UTF-8", "a workflow is a Markdown file in UTF-8"),
        ("nul.md", b"# T\n\0", 2, "this is no text: it holds a NUL byte", "a workflow is a Markdown file in UTF-8"),
        (
            "big.md",
            b"#" * (MAX_BYTES + 1),
            0,
            "it is larger than 1,048,576 bytes",
            "give large texts as an input or by `context:`",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: bytes | str | None, line: int, message: str, hint: str
) -> None:
    (tmp_path / "missin.md").write_text("near")
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()

    with pytest.raises(DocumentError) as caught:
        load_workflow(path)

    assert list(caught.value.problems) == [Problem(str(path), line, message, hint.format(folder=tmp_path))]


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "missing/folder.md"])
def test_a_path_that_can_be_no_file_is_a_problem(tmp_path: Path, name: str) -> None:
    with pytest.raises(DocumentError):
        load_workflow(tmp_path / name)


def test_a_workflow_without_schemas_imports_no_jsonschema_and_plain_markdown_no_pydantic(
    tmp_path: Path,
) -> None:
    (tmp_path / "plain.md").write_text("# T\n```repl\nFINAL(1)\n```\n")
    (tmp_path / "full.md").write_text(FULL)
    script = (
        "import sys; from orchestrator.documents.workflow import load_workflow; "
        "load_workflow(sys.argv[1]); print(sorted({'jsonschema', 'pydantic'} & set(sys.modules)))"
    )

    def loaded(name: str) -> str:
        command = [sys.executable, "-c", script, str(tmp_path / name)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert loaded("plain.md") == "[]"
    assert loaded("full.md") == "['pydantic']"
