"""What one input may cost: time of the processor, time at all, memory."""

from __future__ import annotations

import resource
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 1.0
"""Processor time that an input of up to 64 KiB may take. A loaded machine makes nobody's input slow by this measure."""

WAIT_S = 20.0
"""Time at all, for what waits and does not compute."""

MEMORY_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Flaw:
    """What an input brought about: `kind` and `place` are the same for inputs that find the same."""

    kind: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.place}: {self.message}"


class _TooSlow(BaseException):
    """Raised by a timer in the midst of a target."""


def limit_memory() -> None:
    """Give this process no more than `MEMORY_BYTES`."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, hard))


def tried(target: Callable[[bytes], None], data: bytes, limit_s: float = LIMIT_S) -> Flaw | None:
    """What comes of one input. Main thread only: it uses the process's timers."""
    for number, timer, seconds in (
        (signal.SIGVTALRM, signal.ITIMER_VIRTUAL, limit_s),
        (signal.SIGALRM, signal.ITIMER_REAL, WAIT_S),
    ):
        signal.signal(number, _too_slow)
        signal.setitimer(timer, seconds)
    began = time.process_time()
    try:
        target(data)
    except (Exception, _TooSlow) as error:  # noqa: BLE001  (any of them is what we look for)
        return _flaw(error)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    took_s = time.process_time() - began
    # A timer is noticed between two steps of Python only, and its error may have been caught.
    return Flaw("slow", "the target", f"{took_s:.1f} s") if took_s > limit_s else None


def _too_slow(number: int, _: object) -> None:
    raise _TooSlow("it computes on" if number == signal.SIGVTALRM else "it waits")


def _flaw(error: BaseException) -> Flaw:
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    ours = [place for place in places if "/orchestrator/" in place]
    place = (ours or places)[-1].rpartition("/orchestrator/")[2]
    kind = "slow" if isinstance(error, _TooSlow) else type(error).__name__
    return Flaw(kind, place, str(error)[:200])
