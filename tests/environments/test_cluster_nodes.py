"""Workers on the nodes of a cluster whose hosts are in this process: what the owner does when a node is not as it should be."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.environments import confine
from orchestrator.environments.cluster import Cluster
from orchestrator.environments.cluster_host import Host, Start
from orchestrator.environments.cluster_ray import why
from orchestrator.environments.confined import Confined
from orchestrator.errors import EnvironmentUnavailable, WorkerLost
from orchestrator.values import Cell, Grants, WorkerLimits, WorkerSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from orchestrator.environments.session import Session

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(confine.obstacle()), reason="hosts confine their workers"
)

WHERE = "import os\nos.getcwd()"
LONG_S = 60.0

WRITES = """
import os, time
for n in range(4):
    with open(os.environ["HOME"] + f"/{n}", "wb") as file:
        file.write(b"x" * 3_000_000)
time.sleep(60)
"""
STARTS = """
import subprocess
for _ in [subprocess.Popen(["sleep", "60"]) for _ in range(12)]: _.wait()
"""
SHARES = """
import mmap, time
held = mmap.mmap(-1, 200 << 20)
for at in range(0, 200 << 20, 4096): held[at] = 1
time.sleep(60)
"""


class _Nothing:
    """A service that is asked nothing."""

    async def answer(self, what: Any) -> Any:
        """Is not called."""
        raise AssertionError(what)

    async def close(self) -> None:
        """Nothing is held."""


class HostHere:
    """A host of this process. True after `kill`: each call of it ends with ConnectionError."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._is_gone = asyncio.Event()

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What the method returns."""
        asked = asyncio.ensure_future(self._asked(method, *arguments, **options))
        gone = asyncio.ensure_future(self._is_gone.wait())
        try:
            await asyncio.wait([asked, gone], return_when=asyncio.FIRST_COMPLETED)
            if self._is_gone.is_set():
                raise ConnectionError("the host is gone")
            return await asked
        finally:
            asked.cancel()
            gone.cancel()

    async def _asked(self, method: str, *arguments: Any, **options: Any) -> Any:
        if self._is_gone.is_set():  # since the call was made
            raise ConnectionError("the host is gone")
        return await getattr(self._host, method)(*arguments, **options)

    async def kill(self) -> None:
        """End it with its workers."""
        self._is_gone.set()
        await self._host.close()


@dataclass
class Few:
    """A cluster of few nodes. `refusals`: how many more times a node refuses to have a host, and why."""

    names: list[str]
    refusals: dict[str, int] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)
    hosts: dict[str, HostHere] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def nodes(self) -> dict[str, float]:
        """All of them."""
        return dict.fromkeys(self.names, 1.0)

    async def host(self, node: str) -> HostHere:
        """A host, unless it refuses."""
        self.tried.append(node)
        if self.refusals.get(node, 0):
            self.refusals[node] -= 1
            raise ConnectionError("not now")
        self.hosts[node] = HostHere(Host(f"{node}-{next(self.numbers)}", _Nothing, end=lambda _: None))
        return self.hosts[node]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    mask = os.umask(0o077)
    yield
    os.umask(mask)


@dataclass
class Rig:
    """Starts workers on the nodes of a cluster."""

    cluster: Cluster
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def start(self, **spec: Any) -> Session:
        scratch = self.folder / f"scratch-{next(self.numbers)}"
        scratch.mkdir()
        session = await self.cluster.start(WorkerSpec(scratch, scratch, travels=True, **spec))
        await session.init()
        return session

    async def node(self) -> str:
        """The node that a new worker is on."""
        session = await self.start()
        try:
            done = await session.cell(Cell(1, WHERE), _refuse, LONG_S)
            return done.output.head.partition("/nodes/")[2].partition("-")[0]
        finally:
            await session.close()


async def _refuse(fn: str, _: dict[str, Any]) -> Any:
    raise AssertionError(fn)


@contextlib.asynccontextmanager
async def _rig(folder: Path, reach: Few, look_s: float) -> AsyncIterator[Rig]:
    cluster = Cluster("few", reach, Confined(), look_s=look_s)
    try:
        await cluster.open()
        yield Rig(cluster, folder)
    finally:
        await cluster.close()


def test_a_node_that_refused_at_first_is_tried_again_and_used(tmp_path: Path) -> None:
    reach = Few(["a", "b"], {"b": 2})

    async def run() -> None:
        async with asyncio.timeout(LONG_S), _rig(tmp_path, reach, look_s=0.02) as rig:
            kept = await rig.start()  # so that `a` has more to do
            while await rig.node() != "b":
                pass
            await kept.close()

    asyncio.run(run())
    assert reach.tried.count("b") == 3
    assert reach.tried.count("a") == 1


def test_a_node_that_refuses_is_left_alone_for_a_while(tmp_path: Path) -> None:
    reach = Few(["a", "b"], {"b": 2})

    async def run() -> list[str]:
        async with _rig(tmp_path, reach, look_s=3600) as rig:
            return [await rig.node() for _ in range(5)]

    assert asyncio.run(run()) == ["a"] * 5
    assert sorted(reach.tried) == ["a", "b"]


def test_where_every_node_refuses_the_run_is_told_why_at_once(tmp_path: Path) -> None:
    reach = Few(["a", "b"], {"a": 9, "b": 9})

    async def run() -> None:
        async with _rig(tmp_path, reach, look_s=3600):
            pass

    with pytest.raises(
        EnvironmentUnavailable, match=r"^no node of `few` can have workers: node a: not now; node b: not now$"
    ):
        asyncio.run(run())


def test_the_only_node_gets_a_new_host_when_its_host_was_killed(tmp_path: Path) -> None:
    reach = Few(["a"])

    async def run() -> str:
        async with _rig(tmp_path, reach, look_s=0.02) as rig:
            worker = await rig.start()
            await reach.hosts["a"].kill()
            with pytest.raises(WorkerLost) as lost:
                await worker.cell(Cell(1, WHERE), _refuse, LONG_S)
            assert lost.value.killed
            return await rig.node()

    assert (asyncio.run(run()), reach.tried) == ("a", ["a", "a"])


@pytest.mark.parametrize("n_turns", range(1, 9))
def test_a_node_that_is_lost_at_any_moment_of_a_start_leaves_nobody_waiting(
    tmp_path: Path, n_turns: int
) -> None:
    reach = Few(["a"])

    async def run() -> None:
        async with asyncio.timeout(20), _rig(tmp_path, reach, look_s=0.05) as rig:
            kept = await rig.start()
            losing = asyncio.create_task(reach.hosts["a"].kill())
            for _ in range(n_turns):
                await asyncio.sleep(0)
            with contextlib.suppress(EnvironmentUnavailable, WorkerLost):  # where it is not on the next host
                await (await rig.start()).close()
            await losing
            with pytest.raises(WorkerLost):
                await kept.cell(Cell(1, WHERE), _refuse, LONG_S)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "The actor died because of an error raised in its creation task, \x1b[36mray::Host.__init__()\x1b[39m (pid=7)\n"
            "  File \"a.py\", line 1, in load\nModuleNotFoundError: No module named 'orchestrator'\n",
            "ModuleNotFoundError: No module named 'orchestrator'",
        ),
        ("The actor died unexpectedly.\n\tclass_name: Host\n", "The actor died unexpectedly."),
    ],
)
def test_what_ray_says_of_a_host_is_told_by_the_line_with_the_reason(said: str, reason: str) -> None:
    assert why(said) == reason


def test_a_file_of_two_names_is_on_the_node_under_both(tmp_path: Path) -> None:
    folder = tmp_path / "granted"
    folder.mkdir()
    (folder / "one").write_text("said")
    (folder / "two").hardlink_to(folder / "one")

    async def run() -> Any:
        async with _rig(tmp_path, Few(["a"]), look_s=3600) as rig:
            worker = await rig.start(grants=Grants(read=(folder,)))
            names = {"paths": [str(folder / "one"), str(folder / "two")]}
            try:
                return (await worker.expression("[open(path).read() for path in paths]", names, LONG_S)).value
            finally:
                await worker.close()

    assert asyncio.run(run()) == ["said", "said"]


@pytest.mark.parametrize(
    ("source", "limits", "reason"),
    [
        (WRITES, WorkerLimits(written_bytes=5_000_000), "the worker wrote 12,"),
        pytest.param(
            STARTS, WorkerLimits(n_processes=4), "the worker had started ",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="the kernel counts them of all but root"),
        ),
        (SHARES, WorkerLimits(memory_bytes=100 << 20), "the worker and its processes held "),
    ],
    ids=["files", "processes", "memory"],
)  # fmt: skip
def test_a_worker_beyond_its_bounds_is_killed_and_its_author_told_why(
    tmp_path: Path, source: str, limits: WorkerLimits, reason: str
) -> None:
    async def run() -> WorkerLost:
        async with _rig(tmp_path, Few(["a"]), look_s=3600) as rig:
            worker = await rig.start(limits=limits, grants=Grants(processes=True))
            with pytest.raises(WorkerLost) as lost:
                await worker.cell(Cell(1, source), _refuse, LONG_S)
            return lost.value

    lost = asyncio.run(run())
    assert lost.reason.startswith(reason)
    assert lost.reason.endswith(" are allowed, and was killed")
    assert not lost.killed  # so it is not tried again


def test_a_worker_that_cannot_be_started_there_says_why(tmp_path: Path) -> None:
    async def run() -> None:
        async with _rig(tmp_path, Few(["a"]), look_s=3600) as rig:
            (workers,) = (tmp_path / "home").glob(".cache/orchestrate/nodes/*/workers")
            workers.rmdir()
            workers.touch()
            await rig.start()

    with pytest.raises(EnvironmentUnavailable, match=r"could not be started: .*NotADirectoryError"):
        asyncio.run(run())


def test_a_host_whose_owner_is_silent_ends_with_all_its_workers(tmp_path: Path) -> None:
    """As behind a cable that was cut, where nobody can tell it that the owner is gone."""

    async def run() -> int:
        ended = asyncio.get_running_loop().create_future()
        host = Host("alone", _Nothing, alone_s=0.2, end=ended.set_result)
        await host.hello()
        await host.tell([("start", 1, Start((), str(tmp_path), WorkerLimits()))])
        async with asyncio.timeout(LONG_S):
            code: int = await ended
        return code

    assert asyncio.run(run()) == 0
    assert not list((tmp_path / "home").glob(".cache/orchestrate/nodes/alone*"))


@pytest.mark.parametrize("folder", ["workers", "files"])
def test_a_node_that_cannot_start_workers_gets_none_while_others_can(tmp_path: Path, folder: str) -> None:
    """As one whose disk is full: it has the fewest workers, and would be chosen again and again."""
    granted = tmp_path / "granted"
    granted.write_text("read me")

    async def run() -> list[str]:
        async with _rig(tmp_path, Few(["a", "b"]), look_s=3600) as rig:
            (place,) = (tmp_path / "home").glob(f".cache/orchestrate/nodes/a-*/{folder}")
            place.rmdir()
            place.touch()
            with pytest.raises(EnvironmentUnavailable, match="Not a directory"):
                await rig.start(grants=Grants(read=(granted,)))
            workers = [await rig.start(grants=Grants(read=(granted,))) for _ in range(3)]
            shown = [(await one.cell(Cell(1, WHERE), _refuse, LONG_S)).output.head for one in workers]
            for one in workers:
                await one.close()
            return shown

    shown = asyncio.run(run())
    assert ["/nodes/b-" in one for one in shown] == [True] * 3
