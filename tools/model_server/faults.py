"""What goes wrong on purpose: which request meets which fault, and how one is written on a command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal, get_args

FaultKind = Literal[
    "status",  # an error with the status `value`, in the provider's shape
    "quota",  # 429, and the provider's words for an account without quota
    "inside",  # 200, and an error in the body (or the stream)
    "hang",  # never answered
    "close",  # the connection is closed before an answer
    "cut",  # the connection is closed in the middle of the body
    "junk",  # 200 with what is no JSON
    "html",  # 200 with a page
    "empty",  # 200 with {}
    "invalid_utf8",  # a reply whose text holds bytes that are no UTF-8
    "big",  # a reply of 10 MiB
    "slow",  # a reply `value` seconds later
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. `value` is the status, or the seconds of `slow`.

    `retry_after` is the value of that header: seconds, any text, or `date:SECONDS` for the date that is so far away.
    """

    kind: FaultKind
    value: float = 500
    retry_after: str | float | None = None

    @property
    def retry_header(self) -> str:
        """The header's value now, or nothing."""
        after = "" if self.retry_after is None else str(self.retry_after)
        if not after.startswith("date:"):
            return after
        return format_datetime(datetime.now(UTC) + timedelta(seconds=float(after[5:])), usegmt=True)


Faults = Sequence[Fault | None] | Callable[[int], Fault | None]


def chosen(faults: Faults, every: int, number: int) -> Fault | None:
    """The fault of a request. A sequence meets the first requests in order, or goes round over every `every`th."""
    if callable(faults):
        return faults(number) if not every or number % every == 0 else None
    if not every:
        return faults[number - 1] if number <= len(faults) else None
    return faults[(number // every - 1) % len(faults)] if faults and number % every == 0 else None


def fault_of(text: str) -> Fault | None:
    """A fault as `kind[:value[:retry_after]]`, or `none`. Raises ValueError."""
    kind, _, rest = text.partition(":")
    if kind == "none":
        return None
    kinds: tuple[FaultKind, ...] = get_args(FaultKind)
    known = next((one for one in kinds if one == kind), None)
    if known is None:
        raise ValueError(f"no fault is called {kind!r}; there are none, {', '.join(kinds)}")
    value, _, after = rest.partition(":")
    return Fault(known, float(value or 500), after or None)
