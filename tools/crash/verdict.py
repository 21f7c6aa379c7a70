"""Whether a run that was killed came to the same as the one that nobody disturbed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crash.kills import Kill
    from crash.trial import Played


ENDED = (0, 1)
"""Exit codes of a run that came to its end: with an answer that passed its checks, or without one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What held in one trial. `faults` say what did not, for a person to read.

    A worker that is killed costs its cell, and what the cell would have done: then the run has to end by itself, and
    must do nothing twice.
    """

    kills: tuple[Kill, ...]
    n_kills: int  # that came before the run had ended
    is_ended: bool  # with an answer or without, and never for the want of a worker
    is_equal: bool  # answer and exit code
    is_once: bool  # every effect on the world: exactly once
    n_asked: int  # calls in doubt
    n_repeated: int  # requests that were made again
    n_beyond: int  # of these, not in flight at a kill
    is_counted: bool  # what was reported is what was sent
    is_whole: bool  # the journal can be read and shown, and nobody was left behind
    n_diverged: int
    faults: list[str] = field(default_factory=list)


def judge(kills: tuple[Kill, ...], played: Played, undisturbed: Played) -> Verdict:
    """Compare a run with the one that nobody disturbed."""
    again = played.asked - undisturbed.asked
    beyond = again - played.in_flight
    lost_cells = any(kill.who == "worker" for kill in kills)
    more = played.effects - undisturbed.effects
    verdict = Verdict(
        kills,
        played.n_kills,
        played.code in ENDED and not played.n_given_up,
        (played.code, played.result.get("answer")) == (undisturbed.code, undisturbed.result.get("answer")),
        played.effects == undisturbed.effects if not lost_cells else not more,
        len(played.in_doubt),
        again.total(),
        0 if lost_cells else beyond.total(),
        _is_counted(played, lost_cells=lost_cells),
        not played.problems,
        len(played.diverged),
    )
    if played.code not in ENDED or not (verdict.is_equal or lost_cells):
        verdict.faults.append(_differs(played, undisturbed))
    if not verdict.is_once:
        fewer = undisturbed.effects - played.effects
        verdict.faults.append(f"effects too often: {dict(more)}; missing: {dict(fewer)}")
    if verdict.n_beyond:
        verdict.faults.append(f"asked again: {dict(beyond)}; in flight: {dict(played.in_flight)}")
    if not verdict.is_counted:
        verdict.faults.append(_miscounted(played))
    verdict.faults.extend([*played.problems, *(f"diverged: {one}" for one in played.diverged)])
    return verdict


def unsound(undisturbed: Played) -> list[str]:
    """Why a run that nobody disturbed is no measure for others."""
    found = [*undisturbed.problems, *(f"diverged: {one}" for one in undisturbed.diverged)]
    if undisturbed.code or undisturbed.in_doubt:
        found.append(
            f"exit {undisturbed.code}, in doubt: {undisturbed.in_doubt}: {undisturbed.lives[-1].stderr[-600:]}"
        )
    if set(undisturbed.effects.values()) != {1}:
        found.append(f"not every effect once: {dict(undisturbed.effects)}")
    if not _is_counted(undisturbed):
        found.append(_miscounted(undisturbed))
    return found


def _is_counted(played: Played, *, lost_cells: bool = False) -> bool:
    """Whether the run's account has each request that was about to be sent, and those are what the model saw.

    What a kill kept from being sent was in flight; what was lost with a cell may not have been sent either.
    """
    if played.hosted:  # a need is a question, however often it is shown
        return True
    n_seen, n_reported = played.asked.total(), played.result.get("usage", {}).get("calls")
    return n_reported == played.n_requests and (
        n_seen <= played.n_requests and (lost_cells or played.n_requests <= n_seen + played.in_flight.total())
    )


def _differs(played: Played, undisturbed: Played) -> str:
    said = played.lives[-1].stderr[-600:] if played.code != undisturbed.code else ""
    answer, before = played.result.get("answer"), undisturbed.result.get("answer")
    return f"exit {played.code}, answer {answer!r}; undisturbed {undisturbed.code}, {before!r} {said}"


def _miscounted(played: Played) -> str:
    n_seen, n_lost = played.asked.total(), played.in_flight.total()
    usage = played.result.get("usage")
    return f"the model saw {n_seen} requests, the journal has {played.n_requests} ({n_lost} lost), reported {usage}"
