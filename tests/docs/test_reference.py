"""The reference pages name every key there is, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from guide import File, steps

from orchestrator.documents.functions import OBJECT_METHODS
from orchestrator.documents.models import Keys, ManifestKeys, WorkflowKeys
from orchestrator.documents.skill import load_skill
from orchestrator.documents.workflow import parse_workflow
from orchestrator.models.settings import known_keys
from orchestrator.runs.history import RunStatus
from orchestrator.runs.skills import INTERPRETERS
from orchestrator.values import Limits, Status

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
WORKFLOW, SKILL = REFERENCE / "workflow.md", REFERENCE / "skill.md"
SETTINGS = REFERENCE / "settings.md"


def keys_of(model: type[Keys], above: str = "") -> Iterator[str]:
    """Each key of a model and of the models in it, as the pages write them: `checks[].name`, `functions.NAME.input`."""
    for name, field in model.model_fields.items():
        key = above + (field.alias or name)
        yield key
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Keys):
                holder = {list: "[].", dict: ".NAME."}.get(getattr(field.annotation, "__origin__", None), ".")
                yield from keys_of(part, key + holder)


def rows(page: Path, heading: str) -> Iterator[list[str]]:
    """The cells of each row of the tables whose first column has this heading."""
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text("utf-8"), re.MULTILINE):
        cells = [re.split(r" *(?<!\\)\| *", line.strip("| ")) for line in table.splitlines()]
        if cells[0][0] == heading:
            yield from cells[2:]


@pytest.mark.parametrize(("page", "model"), [(WORKFLOW, WorkflowKeys), (SKILL, ManifestKeys)])
def test_a_reference_page_has_a_row_for_each_key_and_for_nothing_else(page, model):
    told = [row[0].strip("`") for row in rows(page, "key")]
    assert sorted(told) == sorted(keys_of(model))


def test_the_limits_of_a_budget_are_told_with_their_defaults():
    told = {
        row[0].strip("`"): float(row[2]) for row in rows(WORKFLOW, "key") if row[0].startswith("`budget.")
    }
    assert told == {f"budget.{name}": getattr(Limits(), name) for name in Limits.__dataclass_fields__}


def test_every_status_is_told():
    text = WORKFLOW.read_text("utf-8")
    assert {row[0].strip("`") for row in rows(WORKFLOW, "status")} == set(get_args(Status))
    assert all(f"`{status}`" in text for status in get_args(RunStatus))


def test_every_kind_of_program_and_every_taken_name_is_told():
    text = SKILL.read_text("utf-8")
    assert [name for name in (*OBJECT_METHODS, *INTERPRETERS) if f"`{name}`" not in text] == []


def test_the_example_of_a_workflow_uses_every_key_and_is_right():
    (example,) = (step for step in steps(WORKFLOW) if isinstance(step, File))
    parse_workflow(example.text, Path(example.path), strict=True)
    assert [key for key in WorkflowKeys.model_fields if f"\n{key}:" not in example.text] == []


def test_the_example_of_a_manifest_uses_every_key_and_is_right(tmp_path):
    folder = tmp_path / "word-count"
    (folder / "scripts").mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: word-count\ndescription: Counts words.\n---\n")
    for name in ("publish.sh", "totals.py"):
        (folder / "scripts" / name).touch()
    files = {step.path: step.text for step in steps(SKILL) if isinstance(step, File)}
    for path, text in files.items():
        (folder / path).write_text(text)
    skill = load_skill(folder / "SKILL.md")
    assert skill.diagnostics == ()
    assert set(skill.functions) == {"count", "publish", "totals"}
    manifest = files["manifest.yaml"]
    assert [field.alias or key for key, field in ManifestKeys.model_fields.items()
            if f"\n{field.alias or key}:" not in f"\n{manifest}"] == []  # fmt: skip


def test_a_key_that_no_page_tells_is_caught():
    class More(ManifestKeys):
        colour: str = ""

    assert set(keys_of(More)) - set(keys_of(ManifestKeys)) == {"colour"}


def test_every_setting_is_told():
    text = SETTINGS.read_text("utf-8")
    sections = {part.partition("]")[0]: part for part in text.split("\n## [")[1:]}
    assert [(table, key) for table, key in known_keys() if f"`{key}`" not in sections[table]] == []


def test_links_between_the_pages_lead_somewhere():
    root = REFERENCE.parents[1]
    broken = []
    for page in [root / "README.md", *root.glob("docs/**/*.md")]:
        prose = re.sub(r"^(`{3,}).*?^\1[ \t]*$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target, anchor in re.findall(r"\]\((?!https?:|benchmarks/)([^)#\s]*)(?:#([^)\s]+))?\)", prose):
            to = (page.parent / target).resolve() if target else page
            if not to.exists() or (anchor and anchor not in anchors(to)):
                broken.append(f"{page.relative_to(root)}: {target}#{anchor}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """What headings are linked by: lower case, `-` for a space, no signs."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
