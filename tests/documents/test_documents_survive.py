"""No bytes make a loader raise anything but its own error."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.documents.manifest import parse_manifest
from orchestrator.documents.skill import load_skill
from orchestrator.documents.types import Skill, Workflow
from orchestrator.documents.workflow import load_workflow, parse_workflow
from orchestrator.errors import DocumentError

WORKFLOW_LINES = [
    "---", "name: a", "name: [", "inputs: {folder: string}", "inputs: {type: object, required: 3}", "inputs: x",
    "output: {$ref: '#'}", "output: {properties: {a: {type: [", "]}}}", "skills: all", "context: ['{{folder}}/*']",
    "budget: {usd: 1e999, depth: -1, calls: yes}", "permissions: {read: [1]}", "model: {root: 3}", "model: x", "checks:",
    "  - {expr: '(' }", "  - {skill: s, with: {a: '{{answer}}'}}", "  - x", "retry: {max: []}", "a: &a [*a]", "? [1]",
    "<<: *a", "!x y: !y z", "\tx: 1", "cell_timeout_s: .nan", "approvals: null", "x: \"\\UFFFFFFFF\"", "%YAML 3", "...",
    "# T", "```repl", "```", "~~~ repl", "> ```repl", "- ```repl", "x = (", "{{folder}} {{x}}", "\0", "\x07", "\ud800",
    "\u2028", "\x85", "schema: orchestrate.skill/1", "functions:", "  f: {entry: {python: 'a.py:f'}, input: {required: 3}}",
    "  g: {entry: {script: '\0'}}", "  1: {entry: {prompt: ../x}, timeout_s: x}", "default: f", "examples: [{input: 3}]",
]  # fmt: skip
LINES = st.lists(st.sampled_from(WORKFLOW_LINES) | st.text(max_size=12), max_size=14)
TEXTS = LINES.map("\n".join) | st.text()
BYTES = st.binary(max_size=200) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
SLOW_DISK = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


@SLOW_DISK
@given(BYTES)
def test_a_workflow_is_read_or_refused_with_problems(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "flow.md"
    path.write_bytes(data)
    outcome = _loaded_or_refused(path)
    if isinstance(outcome, DocumentError):
        assert any(problem.severity == "error" for problem in outcome.problems)
    problems = outcome.problems if isinstance(outcome, DocumentError) else outcome.warnings
    assert all(problem.line <= data.count(b"\n") + data.count(b"\r") + 1 for problem in problems)


def _loaded_or_refused(path: Path) -> Workflow | DocumentError:
    try:
        return load_workflow(path)
    except DocumentError as refused:
        return refused


@SLOW_DISK
@given(LINES)
def test_a_frontmatter_is_read_or_refused_with_problems(lines: list[str]) -> None:
    text = "\n".join(["---", "name: a", *(line for line in lines if line != "---"), "---", "body"])
    with suppress(DocumentError):
        parse_workflow(text, Path("flow.md"), strict=True)


@SLOW_DISK
@given(BYTES, st.sampled_from(["SKILL.md", "skill.md"]))
def test_any_skill_md_is_a_skill(tmp_path: Path, data: bytes, name: str) -> None:
    folder = tmp_path / "demo"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)

    skill = load_skill(folder / name)

    assert isinstance(skill, Skill)
    assert skill.name
    assert {problem.severity for problem in skill.diagnostics} <= {"warning"}


@SLOW_DISK
@given(BYTES)
def test_any_manifest_leaves_a_skill(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "SKILL.md").write_text("---\nname: a\ndescription: b\n---\n")
    (tmp_path / "a.py").write_bytes(data)
    (tmp_path / "manifest.yaml").write_bytes(b"schema: orchestrate.skill/1\n" + data)

    assert isinstance(load_skill(tmp_path / "SKILL.md"), Skill)


@SLOW_DISK
@given(st.lists(st.sampled_from(WORKFLOW_LINES), max_size=14))
def test_a_manifest_is_read_whatever_its_lines_are(lines: list[str]) -> None:
    parse_manifest("schema: orchestrate.skill/1\n" + "\n".join(lines), Path("nowhere"))
