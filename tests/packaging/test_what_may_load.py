"""Start-up is part of the product: what a command does not need, it does not import."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "orchestrator"

HEAVY = {"asyncio", "dataclasses", "json", "tempfile", "difflib", "subprocess", "logging", "inspect"}


def loaded_by(code: str) -> set[str]:
    """Modules that are there after the code ran, and are not there in a Python that does nothing."""
    script = (
        "import sys\nbefore = set(sys.modules)\n{}\nsys.stderr.write(repr(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script.format(code)], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.replace("'", '"')))


def loaded_by_command(words: list[str]) -> set[str]:
    """What a command loads; what it prints goes nowhere."""
    return loaded_by(
        "import os\nsys.stdout, sys.stderr, kept = open(os.devnull, 'w'), open(os.devnull, 'w'), sys.stderr\n"
        f"from orchestrator.interfaces.cli import main\nmain({words!r})\nsys.stderr = kept"
    )


def third_party(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"orchestrator"}


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "orchestrator"}


def test_importing_the_package_loads_nothing_else() -> None:
    modules = loaded_by("import orchestrator")
    assert ours(modules) == {"orchestrator"}
    assert third_party(modules) == set()
    assert modules & HEAVY == set()


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"], []], ids=" ".join)
def test_help_loads_the_parser_and_nothing_else(words: list[str]) -> None:
    modules = loaded_by_command(words)
    assert ours(modules) == {
        "orchestrator",
        "orchestrator.errors",
        "orchestrator.interfaces",
        "orchestrator.interfaces.arguments",
        "orchestrator.interfaces.cli",
        "orchestrator.interfaces.terminal",
    }
    assert third_party(modules) == set()
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    ("command", "floors", "packages"),
    [
        ("status", {"errors", "interfaces", "memory", "runs", "workspace"}, set()),
        ("show", {"errors", "interfaces", "memory", "runs", "workspace"}, set()),
        ("usage", {"errors", "interfaces", "memory", "values", "workspace"}, set()),
        ("record", {"errors", "interfaces", "memory", "values", "workspace"}, set()),
    ],
)
def test_commands_that_read_the_record_load_nothing_that_runs(
    command: str, floors: set[str], packages: set[str], tmp_path: Path
) -> None:
    run = tmp_path / "memory" / "runs" / "r1"
    run.mkdir(parents=True)
    head = {"v": 1, "seq": 0, "at": "2026-01-01T00:00:00Z", "run": "r1", "call": "0"}
    started = {**head, "event": "run_started", "workflow": "w", "environment": "e"}
    (run / "journal.jsonl").write_text(json.dumps(started) + "\n")
    modules = loaded_by_command([command, "--workspace", str(tmp_path)])
    assert {name.split(".")[1] for name in ours(modules) if "." in name} == floors
    assert third_party(modules) == packages
    assert "asyncio" not in modules


def test_a_suggestion_loads_no_parser_and_nothing_that_runs(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    words = ["suggest", "split a book into chapters", "--workspace", str(tmp_path)]
    loaded_by_command(words)  # reads the skills, and keeps what it read
    modules = loaded_by_command(words)
    floors = {"catalog", "documents", "errors", "interfaces", "memory", "values", "workspace"}
    assert {name.split(".")[1] for name in ours(modules) if "." in name} == floors
    assert third_party(modules) == set()
    assert modules & {"asyncio", "orchestrator.documents.skill", "orchestrator.app"} == set()


@pytest.mark.parametrize(
    "words", [["w.md"], ["w.md", "--dry-run"], ["check", "w.md"], ["skills"], ["doctor"], ["status"]], ids=" ".join
)  # fmt: skip
def test_nothing_that_reaches_models_is_loaded_where_none_is_asked(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "w.md").write_text("# W\n\nAnswer.\n\n```repl\nFINAL(1)\n```\n")
    (tmp_path / "orchestrate.toml").write_text('[models.default]\nmodel = "anthropic/claude-sonnet-4-5"\n')
    words = [str(tmp_path / word) if word == "w.md" else word for word in words]
    modules = loaded_by_command([*words, "--workspace", str(tmp_path)])
    assert third_party(modules) & {"aiohttp", "httpx", "litellm", "mcp", "mcp_types", "openai"} == set()


def test_help_of_the_server_loads_no_sdk() -> None:
    assert third_party(loaded_by_command(["mcp", "--help"])) == set()


def test_every_public_name_can_be_imported() -> None:
    code = "import orchestrator\nprint([getattr(orchestrator, name) for name in orchestrator.__all__])"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, cwd=Path.home(), capture_output=True
    )


def imports_of(path: Path) -> set[str]:
    """Top-level names that a module imports, at any place of its text."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return {name.partition(".")[0] for name in names}


def test_third_party_packages_are_imported_by_the_modules_that_own_them() -> None:
    importers: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in third_party(imports_of(path)):
            importers.setdefault(name, []).append(path.relative_to(PACKAGE).as_posix())
    documents = ["documents/models.py", "documents/validation.py"]  # the models, and their errors as problems
    server = "interfaces/mcp_server.py"  # forms and parameters of the SDK are pydantic's
    assert importers == {
        "aiohttp": ["interfaces/server.py", "models/chat.py"],  # its server side and its client side
        "jinja2": ["interfaces/pages/rendering.py"],
        "jsonschema": ["documents/schemas.py"],
        "litellm": ["models/through_litellm.py"],
        "markdown_it": ["documents/markdown.py"],
        "markupsafe": ["interfaces/pages/rendering.py"],  # what Jinja2 escapes with
        "daytona": ["environments/cloud_daytona.py"],
        "e2b": ["environments/cloud_e2b.py"],
        "modal": ["environments/cloud_modal.py"],
        "prime_sandboxes": ["environments/cloud_prime.py"],
        "mcp": [server],
        "mcp_types": [server],
        "pydantic": [*documents, server],
        "pydantic_core": documents,
        "pygments": ["interfaces/pages/colouring.py"],
        "ray": ["environments/cluster_ray.py"],
        "referencing": ["documents/schemas.py"],
        "rich": ["interfaces/console.py"],
        "tinydb": ["memory/document.py"],
        "watchdog": ["interfaces/file_events.py"],
        "yaml": ["documents/yaml_values.py"],
    }
