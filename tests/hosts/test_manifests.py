"""The manifests meet the published schemas, agree with each other and with the package, and name what is there."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from jsonschema.validators import validator_for

from orchestrator import __version__
from orchestrator.interfaces.arguments import build_parser, command_names

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "schemas"
AGENT_PLUGINS = "agent-plugins-1.0.0.plugin.schema.json"
MANIFESTS = {
    "plugin.json": AGENT_PLUGINS,
    ".claude-plugin/plugin.json": "claude-code-plugin-manifest.json",
    ".claude-plugin/marketplace.json": "claude-code-marketplace.json",
}


def load(path):
    return json.loads(path.read_text("utf-8"))


def problems(document, schema):
    kind = validator_for(schema)
    kind.check_schema(schema)
    return [f"{error.json_path}: {error.message}" for error in kind(schema).iter_errors(document)]


@pytest.mark.parametrize(("manifest", "schema"), MANIFESTS.items())
def test_a_manifest_meets_its_published_schema(manifest, schema):
    assert problems(load(ROOT / manifest), load(SCHEMAS / schema)) == []


@pytest.mark.parametrize(("manifest", "schema"), MANIFESTS.items())
def test_a_manifest_uses_no_key_that_its_schema_does_not_know(manifest, schema):
    assert set(load(ROOT / manifest)) <= set(load(SCHEMAS / schema)["properties"])


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (AGENT_PLUGINS, {"name": "Skill Orchestrator"}),
        (AGENT_PLUGINS, {"hooks": "./hooks/hooks.json"}),
        ("claude-code-plugin-manifest.json", {"name": ""}),
        ("claude-code-plugin-manifest.json", {"keywords": "skills"}),
    ],
)
def test_a_wrong_manifest_is_caught(schema, wrong):
    manifest = next(path for path, name in MANIFESTS.items() if name == schema)
    assert problems({**load(ROOT / manifest), **wrong}, load(SCHEMAS / schema)) != []


def test_the_plugins_manifests_say_the_same_and_have_the_packages_version():
    plain, claude = ({**load(ROOT / path), "$schema": ""} for path in list(MANIFESTS)[:2])
    assert plain == claude
    assert plain["version"] == __version__


def test_the_marketplace_lists_the_plugin_at_its_own_root():
    plugin, marketplace = load(ROOT / "plugin.json"), load(ROOT / ".claude-plugin" / "marketplace.json")
    (listed,) = marketplace["plugins"]
    assert (listed["name"], listed["description"]) == (plugin["name"], plugin["description"])
    assert (ROOT / listed["source"]).resolve() == ROOT


def test_hooks_meet_the_schema_of_hooks():
    schema = load(SCHEMAS / "claude-code-plugin-manifest.json")
    inline = schema["properties"]["hooks"]["anyOf"][1]
    hooks = load(ROOT / "hooks" / "hooks.json")
    assert problems(hooks["hooks"], {"$schema": schema["$schema"], **inline}) == []
    assert set(hooks) == {"description", "hooks"}


def test_hooks_run_a_command_that_is_there_end_soon_and_never_fail_the_host():
    events = load(ROOT / "hooks" / "hooks.json")["hooks"]
    for event in events.values():
        for hook in (hook for matcher in event for hook in matcher["hooks"]):
            words = re.fullmatch(
                r'(?:\[ "\$ORCHESTRATE_SUGGEST" = 1 \] && )?"\$\{CLAUDE_PLUGIN_ROOT\}"/(\S+) (\w+)[-\w ]* \|\| true',
                hook["command"],
            )
            assert os.access(ROOT / words[1], os.X_OK)
            assert words[2] in command_names(build_parser())
            assert hook["timeout"] <= 5


def test_hooks_listen_to_the_skill_tool_to_typed_skills_and_to_prompts_only():
    events = load(ROOT / "hooks" / "hooks.json")["hooks"]
    matchers = {name: [matcher.get("matcher") for matcher in event] for name, event in events.items()}
    assert matchers == {
        "PostToolUse": ["Skill"],
        "PostToolUseFailure": ["Skill"],
        "UserPromptSubmit": [None],
        "UserPromptExpansion": [None],
    }


def test_skills_are_offered_only_where_it_is_asked_for(tmp_path):
    (matcher,) = load(ROOT / "hooks" / "hooks.json")["hooks"]["UserPromptSubmit"]
    plugin = tmp_path / "a plugin"
    (plugin / "bin").mkdir(parents=True)
    (plugin / "bin" / "orchestrate").write_text('#!/bin/sh\necho "$@"\n')
    (plugin / "bin" / "orchestrate").chmod(0o755)
    said = {}
    for value in ("", "0", "1"):
        env = {"PATH": os.defpath, "CLAUDE_PLUGIN_ROOT": str(plugin), "ORCHESTRATE_SUGGEST": value}
        line = ["sh", "-c", matcher["hooks"][0]["command"]]
        done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
        said[value] = done.stdout
    assert said == {"": "", "0": "", "1": "suggest --hook -k 3\n"}
