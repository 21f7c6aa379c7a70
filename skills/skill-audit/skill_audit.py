"""A static scan of agent skills for what a person should see before using them.

Nothing of a skill is imported or run. As a program: `python skill_audit.py FOLDER...` prints JSON (or a Markdown
page) and exits 1 when a finding is at least as bad as `--fail-on`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from audit_rules import declared, javascript, markdown, parcels, python_code, report
from audit_rules.commands import command_findings, script_commands
from audit_rules.finding import SEVERITIES, Finding
from audit_rules.frontmatter import declared_names, read_frontmatter, read_manifest
from audit_rules.invisible import invisible_text
from audit_rules.specification import specification_findings
from audit_rules.tree import TextFile, Tree, find_skills, read_tree, skill_file

N_FINDINGS_OF_A_RULE = 20  # in one file; the rest is counted, not listed


class Context(Protocol):
    """What the orchestrator hands to a function that calls skills. As a program there is none."""

    skills: Any


def audit(ctx: Context | None, folder: str) -> dict[str, Any]:
    """The findings of one skill, worst first; skills inside it are audited by calls of their own.

    Raises FileNotFoundError when the folder holds no SKILL.md.
    """
    root = Path(folder)
    main = skill_file(root)
    if main is None:
        raise FileNotFoundError(f"no SKILL.md in `{folder}`")
    tree = read_tree(root)
    findings = _limited(sorted(set(_findings(tree, main.name)), key=_order))
    nested, not_audited = _audit_nested(ctx, tree.nested)
    counts = Counter(finding.severity for finding in findings)
    return {
        "skill": _name(tree, main.name) or root.resolve().name,
        "folder": folder,
        "findings": [finding.as_json() for finding in findings],
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "files_scanned": tree.n_files,
        "nested": nested,
        "not_audited": not_audited,
    }


def find(folders: Sequence[str]) -> dict[str, Any]:
    """The folder of every skill below the given ones, without skills inside skills; missing folders are no error."""
    roots = [Path(folder) for folder in folders]
    found, passed = find_skills([root for root in roots if root.is_dir()])
    missing = [(root, "no such folder") for root in roots if not root.is_dir()]
    return {
        "skills": [path.as_posix() for path in found],
        "passed_over": [{"folder": path.as_posix(), "why": why} for path, why in [*passed, *missing]],
    }


def render(results: Sequence[dict[str, Any]], not_audited: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """The results of `audit` as one Markdown page, with totals over nested skills too."""
    skills = list(report.flattened(results))
    inner = [item for result in skills for item in result["not_audited"]]
    return {
        "markdown": report.as_markdown(results, [*not_audited, *inner]),
        "counts": report.totals(results),
        "n_skills": len(skills),
        "n_files": sum(result["files_scanned"] for result in skills),
    }


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 when nothing is as bad as `--fail-on`, 1 when something is, 2 when nothing was found."""
    parser = argparse.ArgumentParser(
        description="Scan agent skills for what a person should see before using them."
    )
    parser.add_argument("folders", nargs="+", help="skill folders, or folders of skills at any depth")
    parser.add_argument("--format", choices=["json", "markdown"], default="json", help="what is printed")
    parser.add_argument("--fail-on", choices=SEVERITIES, default="high", help="exit 1 from this severity on")
    options = parser.parse_args(arguments)
    found = find(options.folders)
    if not found["skills"]:
        print(f"skill_audit: no SKILL.md below {', '.join(options.folders)}", file=sys.stderr)
        return 2
    results = [audit(None, folder) for folder in found["skills"]]
    rendered = render(results, found["passed_over"])
    markdown_page = rendered.pop("markdown")
    if options.format == "markdown":
        print(markdown_page, end="")
    else:
        print(json.dumps({**rendered, "skills": results, "not_audited": found["passed_over"]}, indent=2))
    worst = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1]
    return int(any(rendered["counts"][severity] for severity in worst))


def _audit_nested(ctx: Context | None, folders: Sequence[Path]) -> tuple[list[Any], list[dict[str, str]]]:
    """Results of skills inside this one, each by a call of this skill, and those calls that failed."""
    names = [folder.as_posix() for folder in folders]
    if ctx is None:
        return [audit(None, name) for name in names], []
    if not names:
        return [], []
    # A failed slot of a batch holds the error itself, which is falsy: one broken skill spoils no other's result.
    slots = ctx.skills.skill_audit.audit.map([{"folder": name} for name in names])
    nested, failed = [], []
    for name, slot in zip(names, slots):  # noqa: B905  # `strict` needs Python 3.10
        if slot:
            nested.append(slot)
        else:
            failed.append({"folder": name, "why": str(slot)})
    return nested, failed


def _findings(tree: Tree, main_name: str) -> Iterator[Finding]:
    text = next((file.text for file in tree.texts if file.name == main_name), "")
    frontmatter = read_frontmatter(text)
    manifest = next((file.text for file in tree.texts if file.name == "manifest.yaml"), None)
    promised = read_manifest(manifest)
    yield from specification_findings(frontmatter, tree.folder.resolve().name, main_name)
    if promised.problem:
        yield Finding("specification", "low", "manifest.yaml", promised.problem_line, "", promised.problem)
    yield from declared.undeclared_findings(tree.texts, promised, declared_names(frontmatter))
    for file in tree.texts:
        yield from invisible_text(file)
        yield from parcels.long_line_findings(file)
        yield from _code_findings(file, frontmatter.body_line if file.name == main_name else 1)
    yield from (found for link in tree.links if (found := parcels.link_finding(link)))
    yield from (found for binary in tree.binaries if (found := parcels.binary_finding(binary)))
    yield from (Finding("unreadable", "info", name, 0, "", why) for name, why in tree.unread)


def _code_findings(file: TextFile, first_line: int) -> Iterator[Finding]:
    if file.kind == "markdown":
        yield from markdown.markdown_findings(file, first_line)
    elif file.kind == "python":
        yield from python_code.python_findings(file)
    elif file.kind == "javascript":
        yield from javascript.javascript_findings(file)
    elif file.kind == "shell":
        yield from command_findings(script_commands(file.name, enumerate(file.lines, 1)))


def _name(tree: Tree, main_name: str) -> str:
    text = next((file.text for file in tree.texts if file.name == main_name), "")
    name = read_frontmatter(text).values.get("name")
    return name if isinstance(name, str) else ""


def _order(finding: Finding) -> tuple[int, str, int, str]:
    return SEVERITIES.index(finding.severity), finding.file, finding.line, finding.rule


def _limited(findings: list[Finding]) -> list[Finding]:
    """At most so many of one rule in one file, and one of each rule in one line; the worst are kept."""
    kept, lines, numbers = [], set(), Counter[tuple[str, str]]()
    for finding in findings:
        place = (finding.rule, finding.file, finding.line)
        if (finding.line and place in lines and finding.rule != "specification") or numbers[
            place[:2]
        ] >= N_FINDINGS_OF_A_RULE:
            continue
        lines.add(place)
        numbers[place[:2]] += 1
        kept.append(finding)
    return kept


if __name__ == "__main__":
    sys.exit(main())
