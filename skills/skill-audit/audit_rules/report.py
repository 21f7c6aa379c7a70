"""The findings of many skills as one Markdown page, worst first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audit_rules.finding import SEVERITIES

N_SHOWN = 25


def flattened(results: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every skill's result, those of nested skills after the one that holds them."""
    for result in results:
        yield result
        yield from flattened(result.get("nested", ()))


def totals(results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many findings of each severity all the results hold, nested ones included."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for result in flattened(results):
        for severity in SEVERITIES:
            counts[severity] += result["counts"][severity]
    return counts


def as_markdown(results: Sequence[Mapping[str, Any]], not_audited: Sequence[Mapping[str, Any]]) -> str:
    """A page with the totals, a table of all skills and the findings of each, worst skills first."""
    skills = sorted(flattened(results), key=_badness, reverse=True)
    counts = totals(results)
    found = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES)
    n_files = sum(result["files_scanned"] for result in skills)
    lines = [
        "# Skill audit",
        "",
        f"{_plural(len(skills), 'skill')}, {_plural(n_files, 'file')}; findings: {found}.",
        "",
        "A finding is a place to look at, not a verdict. `high` means: read this before the skill is used.",
        "",
        "| skill | high | medium | low | info | folder |",
        "|---|--:|--:|--:|--:|---|",
        *(_row(result) for result in skills),
    ]
    for result in skills:
        lines.extend(_section(result))
    if not_audited:
        lines += ["", "## Not audited", ""]
        lines += [f"- {_code(str(item['folder']))}: {_plain(str(item['why']))}" for item in not_audited]
    return "\n".join(lines) + "\n"


def _badness(result: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(result["counts"][severity] for severity in SEVERITIES)


def _row(result: Mapping[str, Any]) -> str:
    counts = " | ".join(str(result["counts"][severity]) for severity in SEVERITIES)
    return f"| {_plain(result['skill'])} | {counts} | {_cell(result['folder'])} |"


def _section(result: Mapping[str, Any]) -> Iterator[str]:
    shown = [finding for finding in result["findings"] if finding["severity"] != "info"]
    if not shown:
        return
    yield from ("", f"## {_plain(result['skill'])}", "")
    for finding in shown[:N_SHOWN]:
        where = finding["file"] + (f":{finding['line']}" if finding["line"] else "")
        yield f"- **{finding['severity']}** {finding['rule']}, {_code(where)}: {_plain(finding['why'])}"
        if finding["excerpt"]:
            yield f"  {_code(finding['excerpt'])}"
    if len(shown) > N_SHOWN:
        yield f"- and {len(shown) - N_SHOWN} more"


def _code(text: str) -> str:
    """A code span that the text can't get out of."""
    inner = text.replace("\n", " ")
    longest = max((len(run) for run in re.findall(r"`+", inner)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def _cell(text: str) -> str:
    """A code span in a table, where even in code a bar would begin the next cell."""
    return _code(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """Text of a skill as text of our page: no markup, no links, no table cells of its own."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", text.replace("\n", " "))


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
