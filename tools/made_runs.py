"""Runs as journals of any size and content, for pages and measurements: written by the real journal, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.runs.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

FINISHED: dict[str, Any] = {
    "outcome": "ok", "error": None, "duration_s": 0.02, "calls": 1, "tokens": 240, "usd": 0.0003, "tokens_in": 200,
    "tokens_out": 40, "model": "small",
}  # fmt: skip


def made_run(folder: Path, n_calls: int, text: str = "a text of no meaning") -> Path:
    """The folder of a finished run of `n_calls` calls, in a tree of three levels, which says `text` wherever it can."""
    run = folder / f"20261126-120000-{n_calls:06x}"
    run.mkdir(parents=True)
    with Journal(run, run.name) as journal:
        _begin(journal, text)
        left, branch, n_all = n_calls - 1, 0, 0
        while left > 0:
            branch += 1
            n_leaves = min(left - 1, 99)
            _branch(journal, f"0.{branch}", n_leaves, text)
            left -= 1 + n_leaves
            n_all += n_leaves
        _end(journal, text, n_all)
    return run


def _begin(journal: Journal, text: str) -> None:
    journal.append(
        "run_started", "0", workflow=text, path="w.md", version="0" * 64, environment="confined", covers="", limits={},
        strategies=["rlm"], models={"root": "large", "sub": "small"}, skills={}, source=f"# {text}\n", inputs={"text": text},
        budget={}, strategy=None, accepts_prices=True, seed=1, process={"pid": 1, "began": "0"},
    )  # fmt: skip
    journal.append(
        "call_started", "0", parent=None, kind="root", name=text, arguments={"text": text}, depth=0
    )
    messages = [{"role": "system", "content": text}, {"role": "user", "content": text}]
    journal.append("iteration", "0", strategy="rlm", iteration=1, model="large", messages=messages)
    said = {"text": text, "calls": 1, "tokens_in": 900, "tokens_out": 60, "usd": 0.01, "duration_s": 0.5}
    journal.append("reply", "0", iteration=1, model="large", **said)
    journal.append("cell_started", "0", cell=1, source=f"print('''{text}''')  # {text}\n")


def _branch(journal: Journal, call: str, n_leaves: int, text: str) -> None:
    journal.append(
        "call_started", call, parent="0", kind="rlm", name="rlm_query", arguments={"prompt": text}, depth=1
    )
    for number in range(1, n_leaves + 1):
        leaf = f"{call}.{number}"
        arguments = {"prompt": f"{text} {number}"}
        journal.append(
            "call_started", leaf, parent=call, kind="llm", name="llm_query", arguments=arguments, depth=2
        )
        journal.append("call_finished", leaf, value=f"{text}, said of {number}", **FINISHED)
    cost = {"calls": n_leaves, "tokens": 240 * n_leaves, "usd": 0.0003 * n_leaves}
    journal.append("call_finished", call, value=text, **{**FINISHED, **cost, "duration_s": 0.1})


def _end(journal: Journal, text: str, n_leaves: int) -> None:
    cost = {"calls": 1 + n_leaves, "tokens": 960 + 240 * n_leaves, "usd": 0.01 + 0.0003 * n_leaves}
    journal.append(
        "cell_finished", "0", cell=1, output=text, error=None, answered=True, duration_s=1.0, answer={"text": text},
        partial=None, loaded=True,
    )  # fmt: skip
    journal.append("check", "0", name=text, passed=False, message=text)
    journal.append(
        "call_finished",
        "0",
        value={"text": text},
        **{**FINISHED, **cost, "duration_s": 1.2, "outcome": "error", "error": text},
    )
    usage = {**cost, "seconds": 1.2}
    journal.append(
        "run_finished", "0", status="failed", answer={"text": text}, strategy="rlm", checks=[], usage=usage, message=text,
        attempts=[{"strategy": "rlm", "outcome": "error", "checks": [], "usage": usage}],
    )  # fmt: skip
