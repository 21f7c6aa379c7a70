import asyncio

import pytest

from orchestrator.errors import BudgetExhausted
from orchestrator.runs.budget import Ledger
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
