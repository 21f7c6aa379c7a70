"""A finding of a review: one number that has changed or is out of bounds, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Kind = Literal["success", "version", "fails", "budget", "regret", "time", "cost", "refused", "unused"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one subject.

    `before` and `after` are shares (of `time` seconds, of `cost` dollars) and mean, by kind:

    success             the window before, and this one
    time, cost          the same of calls that did well, in geometric means
    version             all earlier versions, and the newest one
    fails, budget       the window before where it has enough, and this one
    regret              what the strategies that came first did, and what this one would have done
    refused, unused     None, and 0.0

    `interval` holds `after` 19 times in 20; `n` is how many calls `after` rests on (of `time` and `cost`, runs); `runs` are the newest first, at most 20.
    `about` names what the kind leaves open: a version, a limit, a date, a strategy.
    """

    subject: str
    kind: Kind
    before: float | None
    after: float
    interval: tuple[float, float]
    n: int
    runs: tuple[str, ...] = ()
    about: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look at it: all but what became better, and what only lies there."""
        if self.kind in ("success", "version"):
            return self.before is not None and self.after < self.before
        if self.kind in ("time", "cost"):
            return self.before is not None and self.after > self.before
        return self.kind != "unused"


def to_object(finding: Finding) -> dict[str, Any]:
    """The finding as `review --json` has it."""
    return {
        "subject": finding.subject,
        "kind": finding.kind,
        "before": None if finding.before is None else _rounded(finding.before),
        "after": _rounded(finding.after),
        "interval": [_rounded(bound) for bound in finding.interval],
        "n": finding.n,
        "runs": list(finding.runs),
    }


def from_object(value: Any) -> Finding:
    """The finding of its JSON; what it is about is not told there. Raises ValueError for another shape."""
    try:
        low, high = value["interval"]
        before = value["before"]
        found = Finding(
            str(value["subject"]), value["kind"], None if before is None else float(before), float(value["after"]),
            (float(low), float(high)), int(value["n"]), tuple(str(run) for run in value["runs"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no finding of a review: {error!r:.80}") from error
    if found.kind not in get_args(Kind):
        raise ValueError(f"no finding is of the kind `{found.kind!s:.40}`")
    return found


def sentence(finding: Finding) -> str:
    """The finding in words, without its subject; the same of one that was kept as JSON in between."""
    finding = replace(
        finding,
        before=None if finding.before is None else _rounded(finding.before),
        after=_rounded(finding.after),
        interval=(_rounded(finding.interval[0]), _rounded(finding.interval[1])),
    )
    low, high = finding.interval
    rests = f"{finding.n:,} call{'s' * (finding.n != 1)}; {low:.0%} to {high:.0%}"
    after = f"{finding.after:.0%}"
    before = "" if finding.before is None else f"{finding.before:.0%}"
    match finding.kind:
        case "success":
            return f"success {'fell' if finding.is_bad else 'rose'} from {before} to {after} ({rests})"
        case "version":
            word = "worse" if finding.is_bad else "better"
            return (
                f"version {finding.about[:8]} does {word} than those before: {after}, was {before} ({rests})"
            )
        case "fails":
            return f"fails more often than not: {after} succeed ({rests})"
        case "budget":
            limit = f" `{finding.about}`" if finding.about else ""
            return f"{after} of its runs end at a limit{limit} ({rests})"
        case "regret":
            return f"would have done better than what came first: {after}, that did {before} ({rests})"
        case "time":
            runs = f"{finding.n:,} runs; {low:.3g} to {high:.3g}"
            return f"takes {finding.after:.3g} s where it took {finding.before or 0:.3g} s ({runs})"
        case "cost":
            runs = f"{finding.n:,} runs; {low:.3g} to {high:.3g}"
            return f"costs {finding.after:.3g} dollars where it cost {finding.before or 0:.3g} ({runs})"
        case "refused":
            return f"every one of its {finding.n:,} calls was refused"
        case "unused":
            return f"was not used since {finding.about}" if finding.about else "was not used for long"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) > 1 else round(value, 4)
