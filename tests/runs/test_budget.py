import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BudgetExhausted
from orchestrator.runs.amount import Amount
from orchestrator.runs.budget import Estimate, Ledger
from orchestrator.values import Limits


def test_no_more_work_at_once_than_the_concurrency_allows():
    async def run() -> int:
        ledger, working, most = Ledger(Limits(concurrency=3)), 0, 0

        async def work() -> None:
            nonlocal working, most
            async with ledger.slot(1):
                working += 1
                most = max(most, working)
                await asyncio.sleep(0)
                working -= 1

        await asyncio.gather(*(work() for _ in range(20)))
        return most

    assert asyncio.run(run()) == 3


@pytest.mark.parametrize("n_slots", [1, 2])
def test_a_tree_deeper_than_the_slots_comes_to_an_end(n_slots):
    async def run() -> int:
        ledger = Ledger(Limits(concurrency=n_slots))

        async def node(depth: int) -> int:
            async with ledger.slot(1) as slot:
                if depth == 0:
                    return 1
                async with slot.lent():
                    counts = await asyncio.gather(*(node(depth - 1) for _ in range(3)))
                return 1 + sum(counts)

        async with asyncio.timeout(30):
            return await node(4)

    assert asyncio.run(run()) == 121


def test_a_slot_lent_for_several_waits_is_held_once_again_after_the_last():
    async def run() -> None:
        ledger = Ledger(Limits(concurrency=1))
        async with ledger.slot(1) as slot:
            async with slot.lent():
                async with slot.lent(), ledger.slot(1):  # free for others while both waits go on
                    pass
                async with ledger.slot(1):
                    pass
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), ledger.slot(1):
                    pass

    asyncio.run(run())


def test_a_timeout_is_cut_to_the_time_that_is_left():
    async def run() -> None:
        assert Ledger(Limits(seconds=None)).within(60.0) == 60.0
        assert Ledger(Limits(seconds=5.0)).within(60.0) <= 5.0
        with pytest.raises(BudgetExhausted, match="`seconds`"):
            Ledger(Limits(seconds=0.0)).within(60.0)

    asyncio.run(run())


def test_a_free_place_goes_to_the_deepest_call_that_waits():
    async def run() -> list[str]:
        ledger, order = Ledger(Limits(concurrency=1)), []

        async def work(name: str, depth: int) -> None:
            async with ledger.slot(depth):
                order.append(name)
                await asyncio.sleep(0)

        async def caller() -> None:
            async with ledger.slot(1) as slot:
                tasks = [asyncio.create_task(work(name, depth)) for name, depth in (("new", 1), ("newer", 1))]
                await asyncio.sleep(0)
                async with slot.lent():
                    await work("callee", 2)
                order.append("caller")
            await asyncio.gather(*tasks)

        await caller()
        return order

    assert asyncio.run(run()) == ["callee", "caller", "new", "newer"]


def test_a_place_is_not_lost_with_one_who_stopped_waiting():
    async def run() -> None:
        ledger = Ledger(Limits(concurrency=1))

        async def take() -> None:
            async with ledger.slot(1):
                pass

        async with ledger.slot(1):
            waiting = [asyncio.create_task(take()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        waiting[1].cancel()  # after the place was given back, before it was handed out
        await asyncio.gather(*waiting, return_exceptions=True)
        async with asyncio.timeout(5), ledger.slot(1):
            pass

    asyncio.run(run())


def reserving(limits: Limits, *jobs: tuple[Estimate, int]) -> tuple[Ledger, list[object]]:
    """Requests made all at once, each with its estimate and the tokens that its reply really has."""
    ledger = Ledger(limits)

    async def ask(estimate: Estimate, n_tokens: int) -> object:
        try:
            reservation = await ledger.reserve(estimate)
        except BudgetExhausted as error:
            return error.limit
        await asyncio.sleep(0)
        n_tokens = min(n_tokens, reservation.reply_tokens)
        reservation.settle(estimate.amount(n_tokens))
        return n_tokens

    async def run() -> list[object]:
        async with asyncio.timeout(30):
            return await asyncio.gather(*(ask(*job) for job in jobs))

    return ledger, asyncio.run(run())


def test_of_many_requests_at_once_those_that_fit_are_made_and_no_limit_is_passed():
    ledger, ended = reserving(Limits(tokens=13_500), *[(Estimate(1000, 4000), 20)] * 40)
    assert ended.count(20) == 13
    assert ended.count("tokens") == 27
    assert ledger.spent == Amount(13, 13 * 1020, 0.0)


def test_what_does_not_fit_waits_until_others_cost_less_than_they_might_have():
    ledger, ended = reserving(Limits(tokens=5000), *[(Estimate(100, 4000), 50)] * 20)
    assert ended == [50] * 20
    assert ledger.spent.tokens == 3000


def test_the_last_request_that_fits_gets_a_shorter_reply():
    _, ended = reserving(Limits(tokens=1500), (Estimate(1000, 4000), 9999))
    assert ended == [500]
    _, ended = reserving(Limits(usd=0.003), (Estimate(1000, 4000, 1e-6, 2e-6), 9999))
    assert ended == [1000]


@pytest.mark.parametrize(
    ("limits", "limit"),
    [(Limits(calls=0), "calls"), (Limits(tokens=1200), "tokens"), (Limits(usd=0.001), "usd")],
)
def test_what_never_fits_is_refused_at_once_naming_the_limit(limits, limit):
    ledger, ended = reserving(limits, (Estimate(1000, 4000, 1e-6, 1e-6), 10))
    assert ended == [limit]
    assert ledger.spent == Amount()


def test_a_reservation_is_not_lost_with_one_who_stopped_waiting():
    async def run() -> None:
        ledger = Ledger(Limits(tokens=1000))
        first = await ledger.reserve(Estimate(400, 500))
        waiting = [asyncio.create_task(ledger.reserve(Estimate(400, 500))) for _ in range(2)]
        await asyncio.sleep(0)
        first.settle(Amount(1, 10, 0.0))
        waiting[0].cancel()  # after it was granted, before it could be told
        second = await waiting[1]
        second.settle(Amount(1, 20, 0.0))
        assert ledger.spent == Amount(2, 30, 0.0)
        assert ledger.room("tokens") == 970

    asyncio.run(run())


@given(
    st.builds(
        Limits,
        calls=st.none() | st.integers(0, 30),
        tokens=st.none() | st.integers(0, 20_000),
        usd=st.none() | st.floats(0, 0.02),
    ),
    st.lists(
        st.tuples(
            st.builds(
                Estimate,
                st.integers(0, 3000),
                st.integers(1, 3000),
                st.just(1e-6),
                st.sampled_from([0.0, 2e-6]),
            ),
            st.integers(0, 5000),
        ),
        max_size=25,
    ),
)
def test_no_limit_is_ever_passed_and_everybody_gets_an_answer(limits, jobs):
    ledger, ended = reserving(limits, *jobs)
    assert len(ended) == len(jobs)
    assert ledger.spent.calls == sum(isinstance(one, int) for one in ended)
    for name in ("calls", "tokens", "usd"):
        assert getattr(limits, name) is None or getattr(ledger.spent, name) <= getattr(limits, name) + 1e-6


@given(
    st.integers(1, 3), st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=6)
)
def test_places_are_neither_lost_nor_made_by_waits_that_overlap(n_slots, holders):
    async def run() -> None:
        ledger = Ledger(Limits(concurrency=n_slots))

        async def wait(slot, n_turns: int) -> None:
            async with slot.lent():
                for _ in range(n_turns):
                    await asyncio.sleep(0)

        async def hold(waits: list[int]) -> None:
            async with ledger.slot(1) as slot:
                await asyncio.gather(*(wait(slot, n_turns) for n_turns in waits))
                await wait(slot, 0)

        async with asyncio.timeout(30):
            await asyncio.gather(*(hold(waits) for waits in holders))
            await asyncio.sleep(0)
            async with AsyncExitStack() as stack:  # all places can be had again
                for _ in range(n_slots):
                    await stack.enter_async_context(ledger.slot(1))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await stack.enter_async_context(ledger.slot(1))

    asyncio.run(run())
