"""Workers on the nodes of a cluster: what `--executor` puts around the environment of a run.

The unit that travels is a worker: of a skill call, or of a recursive child's cells. Its bytes go over the cluster to the
host of its node (`cluster_host.py`) and back; all it asks for is served here, by the run's owner, as for a worker beside
it. So the ledger, trust and the record of use know nothing of nodes; the journal names the one on which a call was.

What stays here, in the environment that it is put around: the workflow's own cells and checks, and skills that may write files (but
where the nodes share the owner's files). A recursive child on a node has no `out/`.

Covered: what `confined` covers, on the node. A node that is lost kills its workers, no more: the run takes that as it takes any worker that
was killed. Not covered: whoever may start programs on the cluster can do to its nodes what the nodes' account can.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator import __version__
from orchestrator.environments.cluster_files import Archives
from orchestrator.environments.cluster_node import Node
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from orchestrator.environments.cluster_node import HostThere
    from orchestrator.environments.environment import Environment
    from orchestrator.environments.session import Session
    from orchestrator.values import WorkerSpec

LOOK_S = 5.0
"""How often it is looked for nodes that have joined, or can be tried again."""

MOST_PAUSE_S = 60.0
"""Between two tries to have a host on a node; the first pauses are shorter. One that was lost after a longer life begins anew."""

MOST_LOOKS = 15
"""So often it is looked for a node where all were lost: for longer than the longest pause."""

OPEN_S = 60.0
"""How long a host may take to say hello."""

TOGETHER_S = 30.0
"""How long a run waits at its start for nodes that are slower than the first."""


class Reach(Protocol):
    """A cluster: its nodes, and hosts on them."""

    async def nodes(self) -> dict[str, float]:
        """The nodes that live and may have workers, with their processors. Raises ConnectionError."""
        ...

    async def host(self, node: str) -> HostThere:
        """A new host on that node; it ends with this process. Raises ConnectionError."""
        ...

    async def close(self) -> None:
        """Let go of the cluster."""
        ...


class Cluster:
    """An environment whose workers are spread over nodes. A run makes and closes one; it belongs to one event loop.

    True between events: `_nodes` holds the last try of each node that was seen: under way, failed, or a node that lives
    or is lost. A node without a living host is tried again once the time in `_due` has come.
    """

    def __init__(
        self, name: str, reach: Reach, here: Environment, *, shared: bool = False, look_s: float = LOOK_S
    ) -> None:
        self.name = name
        self.covers = here.covers
        self._reach, self._here, self._shared = reach, here, shared
        self._nodes: dict[str, asyncio.Task[Node]] = {}
        self._due: dict[str, tuple[float, float]] = {}  # when it may be tried again, and the pause after that
        self._look_s, self._looked_at = look_s, float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._archives = Archives()

    async def open(self) -> None:
        """Have a host on every node that is not too slow. Raises EnvironmentUnavailable when there is none."""
        await self._living()
        await asyncio.wait(self._nodes.values(), timeout=TOGETHER_S)

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker, on the node with the fewest for its processors. Raises EnvironmentUnavailable."""
        if not spec.travels or (spec.grants.write and not spec.drops_writes and not self._shared):
            return await self._here.start(spec)
        archives = {} if self._shared else await self._archives.of(spec)
        nodes = await self._living()
        node = min(nodes, key=lambda one: (one.is_unfit, one.load))
        session = await node.start(spec, archives, shared=self._shared)
        session.node = node.name
        return session

    async def ask(self, what: Any) -> Any:
        """What the service of a node answers: of the node with the fewest open questions for its processors.

        Raises ConnectionError when that is lost meanwhile, EnvironmentUnavailable when there is no node.
        """
        node = min(await self._living(), key=lambda one: one.n_asked_share)
        return await node.ask(what)

    async def close(self) -> None:
        """End all hosts, and with them all workers there."""
        for task in (*self._nodes.values(), *([self._looking] if self._looking else [])):
            task.cancel()
        nodes = [
            one.result()
            for one in self._nodes.values()
            if one.done() and not one.cancelled() and not one.exception()
        ]
        await asyncio.gather(*(node.close() for node in nodes))
        await self._reach.close()
        await self._here.close()

    async def _living(self) -> list[Node]:
        """The nodes that can be asked; waits for the first where none can yet, or for one to come back where all were lost."""
        n_looks = 0
        while True:
            self._look_if_due()
            tries = list(self._nodes.values())
            found = [task.result() for task in tries if task.done() and not task.exception()]
            if living := [node for node in found if not node.is_lost]:
                return living
            if under_way := [task for task in (*tries, self._looking) if task and not task.done()]:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            elif found and n_looks < MOST_LOOKS:
                n_looks += 1
                await asyncio.sleep(self._look_s)
            else:
                break
        why = "; ".join(str(task.exception()) for task in tries if task.exception())
        raise EnvironmentUnavailable(
            f"no node of `{self.name}` can have workers" + (f": {why}" if why else ""),
            hint="`ray status` lists the nodes; each needs this version of the package and a Linux with Landlock",
        )

    def _look_if_due(self) -> None:
        # Beside what asks for workers: a cluster that does not answer holds up nobody who has nodes.
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= self._look_s and (self._looking is None or self._looking.done()):
            self._looked_at = now
            self._looking = asyncio.create_task(self._look(now))

    async def _look(self, now: float) -> None:
        """Start hosts on nodes that are new, or may be tried again."""
        try:
            nodes = await self._reach.nodes()
        except ConnectionError:
            return  # those that we have may live; the next look may see more
        for name, n_processors in nodes.items():
            due, pause_s = self._due.get(name, (now, self._look_s))
            if now - due > MOST_PAUSE_S:
                pause_s = self._look_s
            if now >= due and self._may_be_tried(name):
                self._due[name] = now + pause_s, min(2 * pause_s, MOST_PAUSE_S)
                self._nodes[name] = asyncio.create_task(self._opened(name, n_processors))

    def _may_be_tried(self, name: str) -> bool:
        task = self._nodes.get(name)
        return task is None or (task.done() and (task.exception() is not None or task.result().is_lost))

    async def _opened(self, name: str, n_processors: float) -> Node:
        host: HostThere | None = None
        try:
            async with asyncio.timeout(OPEN_S):
                host = await self._reach.host(name)
                hello = await host.call("hello")
            _check(hello)
        except (ConnectionError, TimeoutError, EnvironmentUnavailable) as error:
            if host is not None:
                await host.kill()
            why = f"no hello in {OPEN_S:g} s" if isinstance(error, TimeoutError) else error
            raise EnvironmentUnavailable(f"node {name[:8]}: {why}") from None
        return Node(f"{hello['host']}/{name[:6]}", host, hello, n_processors)


def _check(hello: dict[str, Any]) -> None:
    """Whether this host can have our workers. Raises EnvironmentUnavailable."""
    if hello["version"] != __version__:
        raise EnvironmentUnavailable(
            f"`{hello['host']}` has version {hello['version']} of the package, and this is {__version__}"
        )
    if hello["obstacle"]:
        raise EnvironmentUnavailable(f"`{hello['host']}` can't confine workers: {hello['obstacle']}")
