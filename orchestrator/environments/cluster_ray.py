"""A Ray cluster as nodes for workers: the one module that imports `ray`, when `--executor ray` asks for it.

Each host is an asynchronous actor, bound to its node and owned by this process: Ray ends it when this process ends, and
tells when its node is lost. It asks for no processors, since what works is not the actor but its workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from orchestrator.environments.cluster_host import Host
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from orchestrator.environments.cluster_host import Service

EXTRA = "install it with: python -m pip install 'skill-orchestrator[ray]'   (from a clone: '.[ray]')"
MOST_AT_ONCE = 1000
NAMES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # a second each, for a head that refuses us; it has 20
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else what is asked after the end of a run starts a cluster
}
GREET_S = 5.0
"""How long a head may take to greet; Ray itself would ask for minutes."""

CLOSE_S = 10.0
"""How long the end of a run waits for Ray to let go of the cluster, which behind a cut cable takes two minutes."""

GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How HTTP/2 begins, which a head speaks: a preface and empty settings (RFC 9113, sections 3.4 and 6.5)."""


def imported() -> ModuleType:
    """Ray. Raises EnvironmentUnavailable where it is not installed, naming the extra."""
    for name, value in NAMES.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise EnvironmentUnavailable(
            f"`--executor ray` needs a package that is not installed: {error}", hint=EXTRA
        ) from error
    _quieten()
    module: ModuleType = ray  # of no type where it is not installed
    return module


def _quieten() -> None:
    """Keep Ray off our standard output, which is the answer's alone.

    It prints there what befalls nodes ("Raylet is terminated"), whatever `log_to_driver` says, and has no setting for that.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


class RayReach:
    """The nodes of a Ray cluster. Made by `connected`; closing it lets go of the cluster."""

    def __init__(self, ray: ModuleType, run: str, service: Callable[[], Service]) -> None:
        self._ray, self._run, self._service = ray, run, service

    async def nodes(self) -> dict[str, float]:
        """Living nodes that have processors to give; all that live where none has. Raises ConnectionError."""
        try:
            found = await asyncio.to_thread(self._ray.nodes)
        except (self._ray.exceptions.RayError, RuntimeError) as error:  # it says the one or the other
            raise ConnectionError(why(str(error))) from error
        living = {one["NodeID"]: float(one["Resources"].get("CPU", 0)) for one in found if one["Alive"]}
        return {name: number for name, number in living.items() if number} or living

    async def host(self, node: str) -> RayHost:
        """A new actor there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        def make() -> Any:
            return (
                self._ray.remote(Host)
                .options(
                    num_cpus=0, max_concurrency=MOST_AT_ONCE, max_restarts=0, max_task_retries=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                .remote(f"{self._run}-{node[:16]}-{os.urandom(3).hex()}", self._service)  # its own: one before may live
            )  # fmt: skip

        try:
            return RayHost(self._ray, await asyncio.to_thread(make))
        except Exception as error:  # as in `RayHost.call`
            raise ConnectionError(why(str(error))) from error

    async def close(self) -> None:
        """Disconnect; a cluster that was started for this run ends. Ray may go on with that until this process ends."""
        loop, is_closed = asyncio.get_running_loop(), asyncio.Event()

        def shut() -> None:
            self._ray.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(is_closed.set)

        # Not a thread of the loop's, whose end the loop would wait for; and no daemon, which Ray would crash with.
        threading.Thread(target=shut).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await is_closed.wait()


class RayHost:
    """An actor."""

    def __init__(self, ray: ModuleType, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What the actor's method returns. Raises ConnectionError when the actor or its node is lost."""
        try:
            return await getattr(self._actor, method).remote(*arguments, **options)
        except Exception as error:  # Ray raises its own, and plain Exception where it can't submit
            raise ConnectionError(why(str(error))) from error

    async def kill(self) -> None:
        """Kill the actor's process."""
        with contextlib.suppress(Exception):  # whatever Ray says: it is lost already
            await asyncio.to_thread(self._ray.kill, self._actor)


def why(said: str) -> str:
    """The line that tells the reason: of a traceback the last one, else the first."""
    lines = said.strip().split("\n")
    return lines[-1 if any(line.startswith("  File ") for line in lines) else 0].strip()


def connected(address: str, run: str, service: Callable[[], Service]) -> RayReach:
    """The cluster at `HOST:PORT`; without one the cluster of this machine, else one that is started here for this run.

    `service` makes what each host has beside its workers; it is looked up by its name there. Call it in another thread than the main one, where Ray would put a handler of its own for SIGTERM in the place of ours.
    Raises EnvironmentUnavailable.
    """
    ray = imported()
    if address and (why := why_not_there(address)):
        raise EnvironmentUnavailable(
            f"no Ray cluster answers at `{address}`: {why}",
            hint="`ray start --head` prints the address of a cluster; its port has to be open to this machine",
        )
    logging.getLogger("ray").setLevel(logging.ERROR)  # what it warns of is of its own inside
    try:
        ray.init(
            address=address or None, namespace=f"orchestrate-{run}", include_dashboard=False,
            log_to_driver=False, configure_logging=False, logging_level=logging.ERROR,
        )  # fmt: skip
    except Exception as error:
        why = " ".join(str(error).split())[:500]
        raise EnvironmentUnavailable(
            f"no Ray cluster answers at `{address or 'this machine'}`: {why}",
            hint=f"this machine has to be a node of it (`ray start --address={address or 'HOST:PORT'}`), with the same versions, "
            "the head's token in ~/.ray/auth_token and RAY_AUTH_MODE=token",
        ) from error
    return RayReach(ray, run, service)


def why_not_there(address: str) -> str:
    """Why nothing at `HOST:PORT` greets as a head does; empty where something does."""
    host, _, port = address.rpartition(":")
    first = b""
    try:
        with socket.create_connection((host.strip("[]"), int(port)), GREET_S) as sock:
            if os.environ.get("RAY_USE_TLS", "0") in ("1", "true", "True"):
                return ""
            sock.sendall(GREETING)
            while len(first) < 9 and (part := sock.recv(9 - len(first))):
                first += part
    except OSError as error:
        return str(error)
    return "" if first[3:4] == b"\x04" else "what answers there is no Ray head"
