"""How well `orchestrate suggest` ranks and abstains, before and after feedback, and how long it takes in a cold process.

    python benchmarks/suggest.py [CATALOGUE.jsonl PROMPTS.jsonl]...

A catalogue has a line {"id", "name", "description"} for each skill, a file of prompts a line {"prompt", "skill", "also",
"kind"} for each request: `skill` is the id of the right one, null where none is; those of `also` are right too. Without
files only the time is measured.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import report, timed, users_environment

from orchestrator.memory.matching.index import SkillIndex, Subject, index_of
from orchestrator.memory.matching.lessons import Lessons, taught, teach
from orchestrator.memory.matching.terms import terms
from orchestrator.memory.relevance import scores, words
from orchestrator.memory.suggestions import THRESHOLD
from orchestrator.memory.taught import gist

N_SKILLS = 300
N = 30
WORDS = (
    "invoice", "report", "chart", "meeting", "sensor", "ticket", "recipe", "garden", "router", "ledger", "poem", "map", "song",
    "test", "deploy", "budget",
)  # fmt: skip

Prompt = dict[str, Any]
Scorer = Callable[[str], list[float]]


@dataclass(frozen=True)
class Requests:
    """A catalogue and the requests to it."""

    name: str
    ids: list[str]
    subjects: list[Subject]
    prompts: list[Prompt]


def main() -> None:
    """Measure quality for each pair of files, then the time."""
    files = sys.argv[1:]
    columns = [
        "side",
        "hit@1",
        "hit@3",
        "MRR",
        "AUROC none",
        f"kept at {THRESHOLD}",
        f"none told at {THRESHOLD}",
    ]
    for catalogue, prompts in zip(files[::2], files[1::2], strict=True):
        requests = read(Path(catalogue), Path(prompts))
        report(
            f"Suggest: {len(requests.ids)} skills, {len(requests.prompts)} requests of {requests.name}",
            [*columns, *(f"hit@1 {kind}" for kind in kinds(requests.prompts))],
            [*texts(requests), *feedback(requests), *other_phrasing(requests)],
            "`kept`: share of the requests with a right skill for which something was suggested; `none told`: share of "
            "those without for which nothing was. Feedback: after each request of a round, that the right skill was right "
            "for it, and that a suggested wrong one was wrong.",
        )
    with tempfile.TemporaryDirectory(prefix="suggest ") as work:
        report(
            f"Suggest: a cold process, {N_SKILLS} skills, a warm index",
            ["what", "median (min-max) ms", "aim, ms"],
            latency(Path(work)),
        )


def read(catalogue: Path, prompts: Path) -> Requests:
    """The requests of two files."""
    skills = [json.loads(line) for line in catalogue.read_text("utf-8").splitlines()]
    asked = [json.loads(line) for line in prompts.read_text("utf-8").splitlines()]
    subjects = [Subject(skill["name"], skill["description"], skill.get("body", "")) for skill in skills]
    return Requests(
        f"{catalogue.parent.name}/{catalogue.name}", [skill["id"] for skill in skills], subjects, asked
    )


def texts(requests: Requests) -> list[list[object]]:
    """Rows of what needs no record: the words alone, ours, and ours with parts left out."""
    index = index_of(requests.subjects)
    names_only = index_of([Subject(one.name) for one in requests.subjects])
    sides: dict[str, Scorer] = {
        "BM25 over name and description": bm25(requests.subjects),
        "ours": said(index),
        "ours without topics": said(dataclasses.replace(index, topics={})),
        "ours without words": said(dataclasses.replace(index, words={}, triples={})),
        "ours without near spellings": said(dataclasses.replace(index, triples={})),
        "ours over names only": said(names_only),
    }
    return [row(side, scorer, requests, requests.prompts) for side, scorer in sides.items()]


def feedback(requests: Requests) -> list[list[object]]:
    """Rows after 1 and 3 rounds over all requests."""
    index, lessons, rows = index_of(requests.subjects), {}, []
    for number in (1, 2, 3):
        one_round(requests, index, lessons, requests.prompts)
        if number != 2:
            scorer = learned(requests, index, lessons)
            rows.append(row(f"ours, feedback of {number} rounds", scorer, requests, requests.prompts))
    return rows


def other_phrasing(requests: Requests) -> list[list[object]]:
    """Rows after 3 rounds over the requests of one kind, measured on those of the others."""
    rows, index = [], index_of(requests.subjects)
    for kind in kinds(requests.prompts):
        lessons: Lessons = {}
        others = [one for one in requests.prompts if one["kind"] != kind or one["skill"] is None]
        rows.append(row(f"ours, all but `{kind}`", said(index), requests, others))
        for _ in range(3):
            one_round(requests, index, lessons, [one for one in requests.prompts if one["kind"] == kind])
        scorer = learned(requests, index, lessons)
        rows.append(row(f"the same, feedback of 3 rounds of `{kind}` only", scorer, requests, others))
    return rows


def one_round(requests: Requests, index: SkillIndex, lessons: Lessons, prompts: Sequence[Prompt]) -> None:
    """Give feedback on each of the prompts, in turn."""
    scorer = learned(requests, index, lessons)
    for one in prompts:
        kept = gist(one["prompt"])
        score, first = max(zip(scorer(one["prompt"]), requests.ids, strict=True), key=lambda pair: pair[0])
        if one["skill"] is not None:
            teach(lessons, one["skill"], kept.words, kept.topics, success=True)
        if score >= THRESHOLD and first not in (one["skill"], *one.get("also", ())):
            teach(lessons, first, kept.words, kept.topics, success=False)


def bm25(subjects: Sequence[Subject]) -> Scorer:
    """What was there before: the words that task and skill share."""
    said_of = [f"{one.name} {one.description}" for one in subjects]
    unit = math.log(1 + (len(subjects) - 0.5) / 1.5)

    def scored(prompt: str) -> list[float]:
        asked = " ".join(word for word in words(prompt) if terms(word))
        return [score / unit for score in scores(asked, said_of)]

    return scored


def said(index: SkillIndex) -> Scorer:
    """By what is said of the skills."""
    return lambda prompt: index.scores(index.asked(prompt))


def learned(requests: Requests, index: SkillIndex, lessons: Lessons) -> Scorer:
    """By what is said and what was learned so far."""

    def scored(prompt: str) -> list[float]:
        asked = index.asked(prompt)
        added = taught(lessons, index, asked, requests.ids)
        return [one + more for one, more in zip(index.scores(asked), added, strict=True)]

    return scored


def row(side: str, scorer: Scorer, requests: Requests, prompts: Sequence[Prompt]) -> list[object]:
    """One line of the table."""
    places, best, none = [], [], []
    for one in prompts:
        ranked = sorted(zip(scorer(one["prompt"]), requests.ids, strict=True), key=lambda pair: -pair[0])
        if one["skill"] is None:
            none.append(ranked[0][0])
            continue
        right = (one["skill"], *one.get("also", ()))
        best.append(ranked[0][0])
        places.append(
            (one["kind"], next(place for place, (_, name) in enumerate(ranked, 1) if name in right))
        )
    found = [place for _, place in places]
    by_kind = [[place for kind, place in places if kind == wanted] for wanted in kinds(requests.prompts)]
    return [
        side, share(place == 1 for place in found), share(place <= 3 for place in found), share(1 / place for place in found),
        share((some > other) + (some == other) / 2 for some in best for other in none),
        share(score >= THRESHOLD for score in best), share(score < THRESHOLD for score in none),
        *(share(place == 1 for place in one) for one in by_kind),
    ]  # fmt: skip


def kinds(prompts: Sequence[Prompt]) -> list[str]:
    """The kinds of requests that have a right skill."""
    return list(dict.fromkeys(one["kind"] for one in prompts if one["skill"] is not None))


def share(values: Any) -> str:
    """The mean, as a table shows it."""
    listed = [float(value) for value in values]
    return f"{sum(listed) / len(listed):.3f}" if listed else ""


def latency(work: Path) -> list[list[object]]:
    """Rows of the times of whole processes."""
    for number in range(N_SKILLS):
        name = f"{WORDS[number % 16]}-{WORDS[number // 16 % 16]}-{number}"
        folder = work / "skills" / name
        folder.mkdir(parents=True)
        about = f"Works on each {WORDS[number % 16]} and {WORDS[number * 7 % 16]}. Use when a {WORDS[number // 16 % 16]} is wanted."
        body = f"# {name}\n\nRead the {WORDS[number % 16]}, then write what was found.\n" * 20
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {about}\n---\n{body}")
        os.utime(folder / "SKILL.md", (1_700_000_000, 1_700_000_000))
    command = str(Path(sys.executable).with_name("orchestrate"))
    env = {**users_environment(), "HOME": str(work / "home"), "XDG_DATA_HOME": str(work / "data")}
    event = {
        "hook_event_name": "UserPromptSubmit",
        "session_id": "s",
        "cwd": str(work),
        "prompt": "chart of the budget",
    }

    def run(*argv: str, given: str = "") -> str:
        def once() -> None:
            done = subprocess.run(argv, cwd=work, env=env, input=given, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

        return timed(once, n=N, warm_up=5).ms

    time_to_settle = 2.1  # what was written less than two seconds before it is read, is read again
    subprocess.run(["sleep", str(time_to_settle)], check=True)
    return [
        ["`python -c pass`", run(sys.executable, "-c", "pass"), ""],
        ["`orchestrate --help`", run(command, "--help"), ""],
        ["`orchestrate suggest`", run(command, "suggest", "draw a chart of the budget for the meeting"), 150],
        ["`orchestrate suggest --hook`", run(command, "suggest", "--hook", given=json.dumps(event)), 150],
        ["the hook where it is off", run("sh", "-c", '[ "$ORCHESTRATE_SUGGEST" = 1 ] && x || true'), ""],
    ]


if __name__ == "__main__":
    main()
