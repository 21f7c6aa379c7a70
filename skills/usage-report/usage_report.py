"""The usage record of a workspace as tables: how often each skill, strategy and workflow was used and how it did.

The record (`memory/usage.jsonl`, one JSON object a line) is read leniently: lines that are none are counted and
passed over. Without it, the summary (`skill-usage.json`) is shown. As a program: `python usage_report.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

TABLES = ("skills", "strategies", "workflows")
FAILURES = frozenset({"error", "invalid", "timeout", "denied", "budget"})
_WINDOW = re.compile(r"(\d+)([dhw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass
class Row:
    """The figures of one skill, strategy or workflow. `durations` is empty where only their sum is known."""

    name: str
    calls: int = 0
    ok: int = 0
    unverified: int = 0
    failed: int = 0
    error_kinds: Counter[str] = field(default_factory=Counter)
    durations: list[float] = field(default_factory=list)
    duration_s: float = 0.0
    tokens: int = 0
    usd: float = 0.0
    last_used: str | None = None

    def add(self, record: dict[str, Any]) -> None:
        """Count one record."""
        outcome = str(record.get("outcome"))
        self.calls += 1
        self.ok += outcome == "ok"
        self.unverified += outcome == "unverified"
        if outcome in FAILURES:
            self.failed += 1
            self.error_kinds[str(record.get("error_kind") or outcome)] += 1
        duration = _number(record.get("duration_s"))
        self.durations.append(duration)
        self.duration_s += duration
        self.tokens += int(_number(record.get("tokens_in")) + _number(record.get("tokens_out")))
        self.usd += _number(record.get("usd"))
        at = record.get("at")
        if isinstance(at, str) and at > (self.last_used or ""):
            self.last_used = at

    def as_json(self) -> dict[str, Any]:
        """The row with its rates: `success` is the part of ok among ok and failed, null where there is neither."""
        judged = self.ok + self.failed
        return {
            "name": self.name,
            "calls": self.calls,
            "ok": self.ok,
            "unverified": self.unverified,
            "failed": self.failed,
            "success": round(self.ok / judged, 4) if judged else None,
            "mean_s": round(self.duration_s / self.calls, 4) if self.calls else None,
            "p95_s": round(_percentile(self.durations, 0.95), 4) if self.durations else None,
            "tokens": self.tokens,
            "usd": round(self.usd, 6),
            "last_used": self.last_used,
            "error_kinds": dict(self.error_kinds.most_common()),
        }


def report(
    record: str = "memory/usage.jsonl",
    summary: str = "skill-usage.json",
    since: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Tables of the record, most used first, as data and as Markdown.

    `since` is a date (`2026-01-31`) or a window (`7d`, `12h`, `2w`); a summary knows no dates and then shows nothing.
    `limit` bounds the rows of each Markdown table, not the data. Raises ValueError for a `since` that is neither.
    """
    earliest = moment(since) if since else None
    lines = _lines(Path(record))
    if lines is not None:
        rows, n_records, n_skipped = _counted(lines, earliest)
        source = "record"
    else:
        tables = _summary(Path(summary)) if earliest is None else {}
        rows, n_records, n_skipped = _from_summary(tables)
        source = "summary" if tables else "none"
    data: dict[str, list[dict[str, Any]]] = {
        kind: [row.as_json() for row in sorted(rows[kind].values(), key=lambda row: (-row.calls, row.name))]
        for kind in TABLES
    }
    about = {"source": source, "n_records": n_records, "n_skipped": n_skipped}
    return {**data, **about, "markdown": as_markdown(data, source, n_records, limit)}


def moment(text: str) -> datetime:
    """The time that a date or a window names. Raises ValueError."""
    window = _WINDOW.fullmatch(text)
    if window:
        return datetime.now(timezone.utc) - int(window[1]) * _UNITS[window[2]]  # noqa: UP017  # 3.9 has no `UTC`
    try:
        return _time(text)
    except ValueError:
        raise ValueError(
            f"`{text}` is no date such as 2026-01-31 and no window such as 7d, 12h or 2w"
        ) from None


def as_markdown(data: dict[str, list[dict[str, Any]]], source: str, n_records: int, limit: int) -> str:
    """One table for each kind that has rows."""
    names = {"record": "the record", "summary": "the summary", "none": "no record"}
    lines = [f"# Usage\n\n{n_records:,} records, from {names[source]}."]
    for kind in TABLES:
        rows = data[kind]
        if not rows:
            continue
        lines.append(f"\n## {kind.capitalize()}\n")
        lines.append("| name | calls | success | failed | mean s | p95 s | usd | last used | failures |")
        lines.append("|---|--:|--:|--:|--:|--:|--:|---|---|")
        lines.extend(_row(row) for row in rows[:limit])
        if len(rows) > limit:
            lines.append(f"\nand {len(rows) - limit} more")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 with the tables, 1 when there is nothing to show, 2 for a bad `--since`."""
    parser = argparse.ArgumentParser(description="The usage record of a workspace as tables.")
    parser.add_argument("--workspace", default=".", help="the folder that holds memory/ and skill-usage.json")
    parser.add_argument("--since", help="a date such as 2026-01-31, or a window such as 7d")
    parser.add_argument("--limit", type=int, default=50, help="rows of each Markdown table")
    parser.add_argument("--format", choices=["json", "markdown"], default="json", help="what is printed")
    options = parser.parse_args(arguments)
    root = Path(options.workspace)
    try:
        result = report(
            str(root / "memory" / "usage.jsonl"), str(root / "skill-usage.json"), options.since, options.limit
        )
    except (OSError, ValueError) as error:
        print(f"usage_report: {error}", file=sys.stderr)
        return 2
    page = result.pop("markdown")
    print(page if options.format == "markdown" else json.dumps(result, indent=2, ensure_ascii=False))
    return 0 if result["n_records"] else 1


def _lines(path: Path) -> Iterator[bytes] | None:
    try:
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _read(stream)


def _read(stream: Any) -> Iterator[bytes]:
    with stream:
        yield from stream


def _counted(lines: Iterator[bytes], earliest: datetime | None) -> tuple[dict[str, dict[str, Row]], int, int]:
    """Rows by table and name, the number of records in them, and of lines that are no records."""
    rows: dict[str, dict[str, Row]] = {kind: {} for kind in TABLES}
    n_records = n_skipped = 0
    for line in lines:
        record = _record(line)
        if record is None:
            n_skipped += bool(line.strip())
            continue
        if earliest is not None and _time(record["at"]) < earliest:
            continue
        n_records += 1
        for kind, name in _subjects(record):
            rows[kind].setdefault(name, Row(name)).add(record)
    return rows, n_records, n_skipped


def _record(line: bytes) -> dict[str, Any] | None:
    """The record in a line, or None where a killed writer or another program left something else."""
    try:
        record = json.loads(line)
        _time(record["at"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _subjects(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The rows that a record counts in; for its workflow only when it is no call inside one."""
    skill, strategy, workflow = record.get("skill"), record.get("strategy"), record.get("workflow")
    if isinstance(skill, str):
        yield "skills", skill
    if isinstance(strategy, str):
        yield "strategies", strategy
    if isinstance(workflow, str) and not isinstance(skill, str):
        yield "workflows", workflow


def _summary(path: Path) -> dict[str, Any]:
    """The summary's tables, or nothing where the file is missing, damaged or another program's."""
    try:
        tables = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return tables if isinstance(tables, dict) and isinstance(tables.get("meta"), dict) else {}


def _from_summary(tables: dict[str, Any]) -> tuple[dict[str, dict[str, Row]], int, int]:
    rows: dict[str, dict[str, Row]] = {kind: {} for kind in TABLES}
    for kind in TABLES:
        documents = tables.get(kind)
        for document in documents.values() if isinstance(documents, dict) else ():
            if isinstance(document, dict) and isinstance(document.get("name"), str):
                rows[kind][document["name"]] = _summary_row(document)
    meta: Any = next(iter(tables.get("meta", {}).values()), {})
    counts = [
        int(_number(meta.get(name))) if isinstance(meta, dict) else 0 for name in ("n_records", "n_skipped")
    ]
    return rows, counts[0], counts[1]


def _summary_row(document: dict[str, Any]) -> Row:
    kinds = document.get("error_kinds")
    last_used = document.get("last_used")
    return Row(
        name=document["name"],
        calls=int(_number(document.get("calls"))),
        ok=int(_number(document.get("ok"))),
        unverified=int(_number(document.get("unverified"))),
        failed=int(_number(document.get("failed"))),
        error_kinds=Counter(
            {str(kind): int(_number(n)) for kind, n in kinds.items()} if isinstance(kinds, dict) else {}
        ),
        duration_s=_number(document.get("duration_s")),
        tokens=int(_number(document.get("tokens_in")) + _number(document.get("tokens_out"))),
        usd=_number(document.get("usd")),
        last_used=last_used if isinstance(last_used, str) else None,
    )


def _row(row: dict[str, Any]) -> str:
    success = "" if row["success"] is None else f"{row['success']:.0%}"
    times = ["" if row[key] is None else f"{row[key]:.2f}" for key in ("mean_s", "p95_s")]
    failures = ", ".join(f"{_plain(kind)} {n}" for kind, n in list(row["error_kinds"].items())[:3])
    last = (row["last_used"] or "")[:10]
    cells = [
        _plain(row["name"]),
        row["calls"],
        success,
        row["failed"],
        *times,
        f"{row['usd']:.4f}",
        last,
        failures,
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text.replace("\n", " "))


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)  # noqa: UP017  # 3.9 has no `UTC`


def _number(value: object) -> float:
    """A finite number as it is, anything else as 0: one odd record must not spoil a table."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e18 else 0.0  # type: ignore[arg-type]  # checked above


def _percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


if __name__ == "__main__":
    sys.exit(main())
