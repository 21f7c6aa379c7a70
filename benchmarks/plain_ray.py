"""A tree of 1,000 leaves of 20 ms at depth 3 in Ray itself: no journal, no budget, no worker that is held back.

    python benchmarks/plain_ray.py tasks|light|actors HOST:PORT ROUNDS

`cluster.py plain` starts it on a node. `tasks` are nested tasks that wait for theirs with `ray.get`, as a beginner writes
them: Ray gives each a processor, and a process, which it keeps while it waits. `light` are the same with a share of a processor
each, so that on two nodes of two as many sleep at once as in our runs, 64. `actors` are one asynchronous actor a node, whose
methods only sleep: the floor of what Ray can do. Prints `took SECONDS` for each tree, among what Ray prints; the first is cold.
A tree that takes over 120 s is not waited for, and is the last.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LEAF_S = 0.02
N_CHILDREN = 10
DEPTH = 3
MOST_AT_ONCE = 2000
MOST_S = 120.0


def main() -> None:
    """Grow the trees."""
    if len(sys.argv) != 4:  # `make bench` runs every script of this folder
        print("plain_ray.py is started by `cluster.py plain`")
        return
    import ray

    form, address, n_rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    grow = FORMS[form](ray)
    for _ in range(n_rounds):
        began = time.monotonic()
        try:
            n_leaves = sum(ray.get(grow(), timeout=MOST_S))
        except ray.exceptions.GetTimeoutError:
            break
        if n_leaves != N_CHILDREN**DEPTH:
            sys.exit(f"{n_leaves} leaves")
        print("took", time.monotonic() - began, flush=True)
    ray.shutdown()


def _light(ray: Any) -> Callable[[], list[Any]]:
    return _tasks(ray, n_processors=1 / 16)


def _tasks(ray: Any, n_processors: float = 1) -> Callable[[], list[Any]]:
    @ray.remote(num_cpus=n_processors)
    def leaf() -> int:
        time.sleep(LEAF_S)
        return 1

    @ray.remote(num_cpus=n_processors)
    def branch(depth: int) -> int:
        return sum(
            ray.get([branch.remote(depth - 1) if depth > 1 else leaf.remote() for _ in range(N_CHILDREN)])
        )

    return lambda: [branch.remote(DEPTH - 1) for _ in range(N_CHILDREN)]


def _actors(ray: Any) -> Callable[[], list[Any]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    class Sleeper:
        """Calls are spread in turn, as over hosts of equal load."""

        def know(self, actors: list[Any]) -> None:
            self.next = itertools.cycle(actors)

        async def leaf(self) -> int:
            await asyncio.sleep(LEAF_S)
            return 1

        async def branch(self, depth: int) -> int:
            children = [next(self.next) for _ in range(N_CHILDREN)]
            return sum(
                await asyncio.gather(
                    *(one.branch.remote(depth - 1) if depth > 1 else one.leaf.remote() for one in children)
                )
            )

    actors = [
        ray.remote(Sleeper)
        .options(
            num_cpus=0,
            max_concurrency=MOST_AT_ONCE,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        .remote()
        for node in ray.nodes()
        if node["Alive"]
    ]
    ray.get([actor.know.remote(actors) for actor in actors])
    turns = itertools.cycle(actors)
    return lambda: [next(turns).branch.remote(DEPTH - 1) for _ in range(N_CHILDREN)]


FORMS = {"tasks": _tasks, "light": _light, "actors": _actors}

if __name__ == "__main__":
    main()
