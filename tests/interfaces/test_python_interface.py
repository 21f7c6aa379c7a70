"""What programs call."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

import orchestrator
from orchestrator.app import run_id

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


def test_run_takes_what_arun_takes() -> None:
    signature = inspect.signature(orchestrator.run)
    assert signature == inspect.signature(orchestrator.arun)
    names = [
        "workflow",
        "inputs",
        "workspace",
        "model",
        "sub_model",
        "strategy",
        "environment",
        "budget",
        "answers",
    ]
    assert list(signature.parameters) == names
    assert {parameter.default for parameter in list(signature.parameters.values())[1:]} == {None}
    assert not inspect.iscoroutinefunction(orchestrator.run)
    assert (orchestrator.run.__name__, orchestrator.run.__module__) == ("run", "orchestrator.app")


@given(MOMENTS, st.integers(1, 10**9))
def test_later_runs_have_later_ids(moment: datetime, n_milliseconds: int) -> None:
    first, second = run_id(moment), run_id(moment + timedelta(milliseconds=n_milliseconds))
    assert first < second
    assert len(first) == len("20260101-120000-a1b2c3")
