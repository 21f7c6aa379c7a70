"""The time that a review looks at, and the equally long one before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from orchestrator.errors import UsageError

DEFAULT = timedelta(days=7)

LONGEST = timedelta(days=36500)

_SPAN = re.compile(r"(\d{1,6})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True)
class Window:
    """From `start` to before `end`, whole seconds in UTC; what it is compared with begins as long before `start`."""

    start: datetime
    end: datetime

    @property
    def before(self) -> datetime:
        """Where the window before begins."""
        return self.start - (self.end - self.start)

    def place(self, at: str) -> int | None:
        """1 for a time in the window, 0 in the one before, None in neither. Raises ValueError for what is no time."""
        if at[-1:] != "Z" or at[10:11] != "T":  # our own lines end so, of which there may be a million
            moment = datetime.fromisoformat(at)
            at = iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        before, start, end = self._bounds
        at = at[:19]
        return None if at < before or at >= end else 1 if at >= start else 0

    @cached_property
    def days(self) -> tuple[bytes, bytes]:
        """Dates outside of which no time of either window can lie, whatever its offset from UTC."""
        first, last = self.before - timedelta(days=2), self.end + timedelta(days=2)
        return iso(first)[:10].encode(), iso(last)[:10].encode()

    @cached_property
    def _bounds(self) -> tuple[str, str, str]:
        return iso(self.before)[:19], iso(self.start)[:19], iso(self.end)[:19]


def window(now: datetime, since: str | None, last: datetime | None) -> Window:
    """The window that ends now: of the length or from the date that `since` names, else since the last review.

    Without either, the last 7 days. Raises UsageError for a `since` that means nothing or lies ahead.
    """
    end = _whole(now + timedelta(seconds=1))
    start = _start(end, since) if since is not None else last or end - DEFAULT
    start = _whole(start)
    if not end - LONGEST <= start < end:
        if since is None:  # the clock was set back since the last review
            return Window(end - DEFAULT, end)
        raise UsageError(
            f"`--since {since}` leaves no time to look at", hint="write 7d, 12h, 2w or a date in the past"
        )
    return Window(max(start, datetime.min.replace(tzinfo=UTC) + LONGEST), end)


def iso(moment: datetime) -> str:
    """A time as reviews write it, `2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _start(end: datetime, since: str) -> datetime:
    if (span := _SPAN.fullmatch(since)) is not None:
        length = int(span[1]) * _UNITS[span[2]]
        return end - min(length, LONGEST)
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(
            f"`--since {since}` is no time", hint="write 7d, 12h, 2w or a date such as 2026-01-31"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
