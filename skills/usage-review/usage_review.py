"""What has changed in the usage record between a window of time and the one before it, where chance would hardly do it.

The record (`memory/usage.jsonl`, one JSON object a line) is read leniently. As a program: `python usage_review.py`. The
statistics are in `chance.py`, which `orchestrate review` has too.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from chance import Share, alone, at_most, effective, fisher, holm, n_calls, wilson

ERROR = 0.05
"""How often a review may say something where nothing has changed."""

ENOUGH = 10
"""Calls that stand for themselves, below which nothing is said of a share."""

FAILURES = frozenset({"error", "invalid", "timeout", "budget"})
SURROUNDINGS = frozenset({
    "cancelled", "not_run", "no_model", "auth", "quota", "rate", "server", "connection", "unknown_model",
    "missing_binary", "missing_env", "missing_package", "network", "disk_full",
})  # fmt: skip
"""Kinds of failures that come from where a call was made."""

_SPAN = re.compile(r"(\d{1,5})([dhw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_UTC = timezone.utc  # noqa: UP017  # 3.9 has no `UTC`
_UNNAMED = "line "


@dataclass
class Calls:
    """One subject in one window: its judged calls and successes by run, and the latest runs with a failure, and any."""

    by_run: dict[str, list[int]] = field(default_factory=dict)
    failing: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    latest: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    def add(self, run: str, well: bool, is_attempt: bool) -> None:
        """Count a call that says something; of attempts at one thing, that one of them did well."""
        counts = self.by_run.setdefault(run, [0, 0])
        if is_attempt:
            counts[:] = 1, counts[1] or int(well)
        else:
            counts[:] = counts[0] + 1, counts[1] + well
        for runs in (self.latest,) if well else (self.latest, self.failing):
            if not runs or runs[-1] != run:
                runs.append(run)

    def failed(self) -> list[str]:
        """Runs with a failure, the newest first."""
        return [run for run in self.named(self.failing) if self.by_run[run][1] < self.by_run[run][0]]

    def named(self, runs: deque[str]) -> list[str]:
        """Runs that have an id, each once, the newest first."""
        return [run for run in dict.fromkeys(reversed(runs)) if not run.startswith(_UNNAMED)]

    def runs(self) -> dict[tuple[int, int], int]:
        """How many runs there are with so many calls, so many of them well."""
        counted: dict[tuple[int, int], int] = {}
        for n, ok in self.by_run.values():
            counted[n, ok] = counted.get((n, ok), 0) + 1
        return counted


def review(record: str = "memory/usage.jsonl", since: str = "7d", smallest: float = 0.1) -> dict[str, Any]:
    """Findings of the window that begins at `since` and ends now, as data and as Markdown.

    Without a record there are no findings. Raises ValueError for a `since` that is neither a time nor a length.
    """
    end = datetime.now(_UTC).replace(microsecond=0) + timedelta(seconds=1)
    start = begin(since, end)
    before, now, n_records = _read(Path(record), start - (end - start), start, end)
    tests = [
        test
        for subject in sorted(now)
        for test in _tests(subject, before.get(subject, Calls()), now[subject])
    ]
    chances = holm([chance for _, chance, _ in tests])
    found = [
        finding
        for (finding, _, effect), chance in zip(tests, chances)  # noqa: B905  # 3.9 has no `strict`
        if chance <= ERROR and effect >= smallest
    ]
    window = {"from": _iso(start), "to": _iso(end)}
    n_compared = sum(finding["kind"] == "success" for finding, _, _ in tests)
    page = as_markdown(found, window, n_records, n_compared)
    return {
        "window": window,
        "findings": found,
        "n_records": n_records,
        "n_compared": n_compared,
        "markdown": page,
    }


def begin(since: str, end: datetime) -> datetime:
    """When the window begins: so long before `end`, or at a date. Raises ValueError."""
    span = _SPAN.fullmatch(since)
    try:
        start = end - int(span[1]) * _UNITS[span[2]] if span else _time(since)
        earlier = start - (end - start)
    except (ValueError, OverflowError):
        raise ValueError(
            f"`{since}` is no date such as 2026-01-31 and no length such as 7d, 12h or 2w"
        ) from None
    if not earlier < start < end:
        raise ValueError(f"`{since}` leaves no time to look at")
    return start


def as_markdown(found: list[dict[str, Any]], window: dict[str, str], n_records: int, n_compared: int) -> str:
    """The findings as a page."""
    lines = [
        f"# Changes from {window['from']} to {window['to']}",
        "",
        f"{n_records:,} records with the window before; {n_compared:,} skills, strategies and workflows compared.",
        "",
    ]
    if not found:
        lines.append("Nothing has changed that chance would hardly do.")
    for one in found:
        low, high = one["interval"]
        rests = f"{one['n']:,} calls; {low:.0%} to {high:.0%}"
        before = "" if one["before"] is None else f", was {one['before']:.0%}"
        word = "succeeds in less than half of its calls" if one["kind"] == "fails" else "success has changed"
        runs = ", ".join(_plain(run) for run in one["runs"][:5]) or "none on record"
        lines.append(
            f"- {_plain(one['subject'])} {word}: {one['after']:.0%}{before} ({rests}). Runs: {runs}."
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 when it has looked, 1 when there is no record, 2 for a bad `--since`."""
    parser = argparse.ArgumentParser(description="What has changed in the usage record of a workspace.")
    parser.add_argument("--workspace", default=".", help="the folder that holds memory/")
    parser.add_argument("--since", default="7d", help="a length such as 7d, or a date such as 2026-01-31")
    parser.add_argument(
        "--smallest", type=float, default=0.1, help="the smallest change of a share that is said"
    )
    parser.add_argument("--format", choices=["json", "markdown"], default="json", help="what is printed")
    options = parser.parse_args(arguments)
    record = Path(options.workspace) / "memory" / "usage.jsonl"
    try:
        result = review(str(record), options.since, options.smallest)
    except (OSError, ValueError) as error:
        print(f"usage_review: {error}", file=sys.stderr)
        return 2
    page = result.pop("markdown")
    print(page if options.format == "markdown" else json.dumps(result, indent=2, ensure_ascii=False))
    return 0 if record.exists() else 1


def _told_apart(now: dict[str, Calls]) -> list[str]:
    """The subjects, without strategies that are the only one of their workflow: that is looked at itself."""
    workflows = [subject.rpartition("/")[0] for subject in now if subject.startswith("strategy:")]
    return [
        subject
        for subject in sorted(now)
        if not subject.startswith("strategy:") or workflows.count(subject.rpartition("/")[0]) > 1
    ]


def _tests(subject: str, before: Calls, now: Calls) -> Iterator[tuple[dict[str, Any], float, float]]:
    """A finding, how likely chance does as much, and how large the effect is, for each thing there is to ask."""
    was, is_now = effective(before.runs(), now.runs())
    if min(was.n, is_now.n) >= ENOUGH:
        runs = now.failed() if is_now.rate < was.rate else now.named(now.latest)
        finding = _finding(subject, "success", was.rate, is_now, now, runs)
        yield finding, fisher(was, is_now), abs(is_now.rate - was.rate)
    share, earlier = alone(now.runs()), alone(before.runs())
    if share.n >= ENOUGH:
        rate = earlier.rate if earlier.n >= ENOUGH else None
        yield (
            _finding(subject, "fails", rate, share, now, now.failed()),
            at_most(share, 0.5),
            0.5 - share.rate,
        )


def _finding(
    subject: str, kind: str, before: float | None, share: Share, now: Calls, runs: list[str]
) -> dict[str, Any]:
    return {
        "subject": subject,
        "kind": kind,
        "before": None if before is None else round(before, 4),
        "after": round(share.rate, 4),
        "interval": [round(bound, 4) for bound in wilson(share)],
        "n": n_calls(now.runs()),
        "runs": runs,
    }


def _read(
    path: Path, before: datetime, start: datetime, end: datetime
) -> tuple[dict[str, Calls], dict[str, Calls], int]:
    """The subjects of the window before, of the window, and the number of records in both."""
    windows: tuple[dict[str, Calls], dict[str, Calls]] = {}, {}
    n_records = 0
    try:
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return {}, {}, 0
    with stream:
        for number, line in enumerate(stream):
            record, at = _record(line)
            if at is None or not before <= at < end:
                continue
            n_records += 1
            well = _well(record)
            if well is None:
                continue
            run = record["run"] if isinstance(record.get("run"), str) else f"{_UNNAMED}{number}"
            for subject in _subjects(record):
                windows[at >= start].setdefault(subject, Calls()).add(
                    run, well, subject.startswith("workflow:")
                )
    return windows[0], windows[1], n_records


def _record(line: bytes) -> tuple[dict[str, Any], datetime | None]:
    """The record in a line and its time; None where a killed writer or another program left something else."""
    try:
        record = json.loads(line)
        return (record, _time(record["at"])) if isinstance(record, dict) else ({}, None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}, None


def _well(record: dict[str, Any]) -> bool | None:
    """Whether a call did well; None where that says nothing of what was called."""
    if record.get("error_kind") in SURROUNDINGS:
        return None
    outcome = record.get("outcome")
    return True if outcome in ("ok", "unverified") else False if outcome in FAILURES else None


def _subjects(record: dict[str, Any]) -> Iterator[str]:
    """What a record counts for; for its workflow only when it is an attempt of the run itself."""
    skill, strategy, workflow = record.get("skill"), record.get("strategy"), record.get("workflow")
    if isinstance(skill, str):
        yield f"skill:{skill}"
    if isinstance(strategy, str):
        yield f"strategy:{workflow}/{strategy}"
    if isinstance(workflow, str) and not isinstance(skill, str) and not record.get("depth"):
        yield f"workflow:{workflow}"


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=_UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(_UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text.replace("\n", " "))


if __name__ == "__main__":
    sys.exit(main())
