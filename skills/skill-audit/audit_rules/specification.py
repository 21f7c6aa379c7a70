"""Whether a SKILL.md is what the Agent Skills specification asks for, so that every host loads it.

Source: https://agentskills.io/specification. Its violations are `low`: they keep a skill from loading somewhere,
they harm nobody. Advice is `info`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from audit_rules.finding import Finding, Severity, excerpt
from audit_rules.frontmatter import Frontmatter

KEYS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
N_NAME_CHARS = 64
N_DESCRIPTION_CHARS = 1024
N_COMPATIBILITY_CHARS = 500
N_ADVISED_LINES = 500

# Tools that a pattern allows whole: whoever may run these runs anything.
_EVERYTHING = re.compile(r"\*|Bash|Bash\(\s*(?:\*|\*:\*|:\*)?\s*\)")
_RUNS_ANYTHING = re.compile(
    r"Bash\(\s*(?:sudo|sh|bash|zsh|python3?|node|perl|ruby|eval|env|xargs|curl|wget)\b\s*:?\s*\*\s*\)"
)


def specification_findings(frontmatter: Frontmatter, folder_name: str, file_name: str) -> Iterator[Finding]:
    """Where the frontmatter breaks the specification, and which tools it allows without asking."""

    def found(
        line: int, why: str, rule: str = "specification", severity: Severity = "low", text: str = ""
    ) -> Finding:
        return Finding(rule, severity, file_name, line, excerpt(text), why)

    values, lines = frontmatter.values, frontmatter.key_lines
    if file_name != "SKILL.md":
        yield found(0, f"the file is called `{file_name}`; some hosts look for `SKILL.md` only")
    if frontmatter.problem:
        yield found(frontmatter.problem_line, frontmatter.problem)
    for key in values:
        if key not in KEYS:
            yield found(
                lines.get(key, 1),
                f"`{key}` is no key of the specification; strict hosts refuse the skill",
                text=key,
            )
    yield from (found(lines.get("name", 1), why) for why in name_problems(values.get("name"), folder_name))
    yield from (found(lines.get(key, 1), why) for key, why in _text_problems(values))
    n_lines = frontmatter.body.count("\n") + 1
    if n_lines > N_ADVISED_LINES:
        yield found(
            N_ADVISED_LINES,
            f"the body has {n_lines:,} lines; up to {N_ADVISED_LINES} are advised",
            severity="info",
        )
    for tool in allowed_tools(values.get("allowed-tools")):
        line = lines.get("allowed-tools", 1)
        if _EVERYTHING.fullmatch(tool):
            yield found(line, "allows every command without asking", "broad-tools", "medium", tool)
        elif _RUNS_ANYTHING.fullmatch(tool):
            yield found(line, "allows a program that runs anything", "broad-tools", "low", tool)


def name_problems(name: object, folder_name: str) -> list[str]:
    """What is wrong with a skill's name; empty when nothing is."""
    if name is None:
        return ["`name` is missing"]
    if not isinstance(name, str) or not name:
        return ["`name` is no text"]
    problems = []
    if len(name) > N_NAME_CHARS:
        problems.append(f"`name` has {len(name)} characters; {N_NAME_CHARS} are allowed")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        problems.append("`name` may hold a-z, 0-9 and single hyphens between them only")
    if unicodedata.normalize("NFKC", name) != unicodedata.normalize("NFKC", folder_name):
        problems.append(f"`name` is not the folder's name, `{folder_name}`")
    return problems


def allowed_tools(value: object) -> list[str]:
    """The entries of `allowed-tools`, as a list or a text split at spaces and commas outside brackets."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return re.findall(r"[^\s,(]+(?:\([^)]*\))?", value) if isinstance(value, str) else []


def _text_problems(values: dict[str, object]) -> Iterator[tuple[str, str]]:
    description = values.get("description")
    if description is None or description == "":
        yield "description", "`description` is missing: no agent can know when to use the skill"
    elif not isinstance(description, str):
        yield "description", "`description` is no text"
    elif len(description) > N_DESCRIPTION_CHARS:
        yield (
            "description",
            f"`description` has {len(description):,} characters; {N_DESCRIPTION_CHARS:,} are allowed",
        )
    compatibility = values.get("compatibility")
    if compatibility is not None and not (
        isinstance(compatibility, str) and 1 <= len(compatibility) <= N_COMPATIBILITY_CHARS
    ):
        yield "compatibility", f"`compatibility` is no text of 1 to {N_COMPATIBILITY_CHARS} characters"
    metadata = values.get("metadata")
    if metadata is not None and not _is_text_map(metadata):
        yield "metadata", "`metadata` is no map of text to text"
    tools = values.get("allowed-tools")
    if tools is not None and not isinstance(tools, str):
        yield "allowed-tools", "`allowed-tools` is no text with the tools separated by spaces"


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(not isinstance(item, (dict, list)) for item in value.values())
