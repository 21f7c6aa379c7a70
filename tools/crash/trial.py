"""One run of a case, from life to life until it has ended: killed as planned, its questions answered."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crash import record
from crash.answering import answer, messages
from crash.keeper import LONGEST_S, Life, Order, lived
from crash.places import TURN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from crash.kills import Kill
    from crash.places import Place

MOST_LIVES = 60
KILLED = -9
SUSPENDED = 3
UNAVAILABLE = 69


@dataclass(slots=True)
class Played:
    """How a run went. `asked` are all that models and the host were asked; `in_flight` what was lost in kills."""

    code: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    journal: Path | None = None
    n_events: int = 0
    n_requests: int = 0  # on record as about to be sent
    lives: list[Life] = field(default_factory=list)
    n_kills: int = 0
    n_begun_anew: int = 0  # killed before the run had a record
    n_given_up: int = 0  # ended for the want of its worker, and could be resumed
    hosted: dict[str, str] = field(default_factory=dict)  # what the host was asked, by the ids of needs
    asked: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    in_doubt: dict[str, Any] = field(default_factory=dict)  # the answers, by the ids of needs
    diverged: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ran_s(self) -> float:
        """How long all its lives were, each from its first event on."""
        return sum(life.ran_s for life in self.lives)


def play(place: Place, kills: Iterable[Kill] = ()) -> Played:
    """Run the case of a place, with these kills one after the other, until it has ended."""
    played, waiting = Played(), deque(kills)
    words = place.case.words
    while len(played.lives) < MOST_LIVES:
        life = _live(place, words, waiting[0] if waiting else None)
        played.lives.append(life)
        _note_end(place, played, life, waiting)
        if life.code == UNAVAILABLE and life.is_killed:  # the worker, while it was started
            played.n_given_up += 1
        elif life.code != KILLED and life.code != SUSPENDED:
            break
        words = _go_on(place, played, life)
    else:
        played.problems.append(f"it had not ended after {MOST_LIVES} lives")
    _close(place, played)
    return played


def _live(place: Place, words: Sequence[str], kill: Kill | None) -> Life:
    """One life of the run: in a process that kills itself at an event, or one that is killed at an instant."""
    by_itself = kill is not None and kill.seq is not None
    watch = ["crash.runner", str(kill.seq), kill.moment, kill.who] if kill and by_itself else ["orchestrator"]
    order = Order(
        place.command(words, watch), str(place.root), place.env, str(place.runs), None if by_itself else kill
    )
    return lived(order)


def _note_end(place: Place, played: Played, life: Life, waiting: deque[Kill]) -> None:
    """Take in how a life ended, and what it left."""
    if life.left:
        played.problems.append(f"left alive: {life.left}")
    if life.is_hung:
        played.problems.append("it hung")
    journal = _journal(place)
    if life.code == KILLED or life.is_killed:
        played.n_kills += 1
        waiting.popleft()
        if journal is not None and life.code == KILLED:
            played.in_flight += record.in_flight(record.events(journal))
    elif waiting:
        waiting[0] = waiting[0].outlived(life.ran_s)


def _go_on(place: Place, played: Played, life: Life) -> list[str]:
    """The command line of the next life, with the answers to what this one asked."""
    journal = _journal(place)
    if journal is None:
        played.n_begun_anew += 1
        return place.case.words
    words = ["resume", journal.parent.name, "--workspace", ".", "--json"]
    if life.code != SUSPENDED:
        return words
    answers = {}
    for need in json.loads(life.stdout)["needs"]:
        given = answer(need, place.case, place.effects())
        answers[need["id"]] = given
        if need["kind"] == "model":
            played.hosted[need["id"]] = TURN if need["role"] == "root" else messages(need)[-1]["content"]
        elif need["kind"] == "in_doubt":
            played.in_doubt[need["id"]] = given
    file = place.root / "home" / "answers.json"
    file.write_text(json.dumps(answers), encoding="utf-8")
    return [*words, "--answers", str(file)]


def _close(place: Place, played: Played) -> None:
    """Look at what came of it all."""
    last = played.lives[-1]
    played.code = last.code
    try:
        played.result = json.loads(last.stdout)
    except ValueError:
        played.problems.append(f"exit {last.code} without a result: {last.stderr[-1500:]}")
    played.asked = place.asked() + Counter(played.hosted.values())
    played.effects = place.effects()
    played.journal = _journal(place)
    if played.journal is None:
        played.problems.append("there is no journal")
        return
    told = record.events(played.journal)
    played.n_events = len(told)
    played.n_requests = sum(event["event"] == "request" for event in told)
    played.problems += record.problems(told)
    played.diverged = record.diverged(told)
    command = place.command(["show", played.journal.parent.name, "--workspace", "."])
    show = subprocess.run(
        command, cwd=place.root, env=place.env, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    if show.returncode:
        played.problems.append(f"`orchestrate show` ended with {show.returncode}: {show.stderr[-500:]}")


def _journal(place: Place) -> Path | None:
    """The journal of the newest run that has a record to go on from: a whole first line."""
    found = [path for path in place.runs.glob("*/journal.jsonl") if b"\n" in path.read_bytes()]
    return max(found, default=None)
