"""Every bundled manifest is without problems, and its examples run, relative to the skill's folder."""

import importlib
import inspect
import sys
from pathlib import Path

import jsonschema
import pytest

from orchestrator.documents.skill import load_skill

FOLDERS = sorted(
    path.parent for path in (Path(__file__).resolve().parents[2] / "skills").glob("*/manifest.yaml")
)
EXAMPLES = [
    pytest.param(folder, number, id=f"{folder.name}-{number}")
    for folder in FOLDERS
    for number in range(len(load_skill(folder / "SKILL.md").examples))
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_manifest_has_no_problem_and_fits_the_code(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(folder))
    skill = load_skill(folder / "SKILL.md")
    assert skill.diagnostics == ()
    assert skill.default in skill.functions
    for function in skill.functions.values():
        file, _, name = function.entry.partition(":")
        signature = inspect.signature(getattr(importlib.import_module(Path(file).stem), name))
        parameters = [name for name in signature.parameters if name != "ctx"]
        assert parameters == list(function.input["properties"])
        for parameter, schema in function.input["properties"].items():
            default = signature.parameters[parameter].default
            if "default" in schema:
                assert schema["default"] == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize(("folder", "number"), EXAMPLES)
def test_example_gives_what_the_manifest_says(folder, number, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    skill = load_skill(folder / "SKILL.md")
    example = skill.examples[number]
    function = skill.functions[example.function or skill.default]
    file, _, name = function.entry.partition(":")
    call = getattr(importlib.import_module(Path(file).stem), name)
    context = {"ctx": None} if "ctx" in inspect.signature(call).parameters else {}
    jsonschema.Draft202012Validator(function.input).validate(dict(example.input))
    value = call(**context, **example.input)
    jsonschema.Draft202012Validator(function.output).validate(value)
    if example.output is not None:
        assert value == example.output
