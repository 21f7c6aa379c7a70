"""Which executor a run has: over which machines its workers are spread."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

AskedFrom = Literal["auto", "nodes", "owner"]
"""From where models are asked: `auto` from the nodes where a request costs its sender more than it costs to hand it on."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Where the workers of skills and recursive children are: `local`, in this process's environment, or `ray[:ADDRESS]`."""

    name: str = "local"
    shared: bool = False  # the nodes have this machine's files under the same paths
    models: AskedFrom = "auto"

    @property
    def address(self) -> str | None:
        """Of the cluster; empty for the one that this machine is in, None without a cluster."""
        kind, _, address = self.name.partition(":")
        return address if kind == "ray" else None


def executor_of(asked: str | None, settings: Mapping[str, Any], environment: str, usual: str) -> Executor:
    """The executor that was asked for, else the one of the settings. Raises UsageError for one that is none.

    On nodes workers are in the environment `usual`; a run in another one can't be spread.
    """
    if "address" in settings and "kind" not in settings:
        raise UsageError(
            "[executor] of orchestrate.toml has an `address` and no `kind`",
            hint='add `kind = "ray"`, or leave out the address',
        )
    configured = settings.get("kind", "local")
    if configured == "ray" and "address" in settings:
        configured = f"ray:{settings['address']}"
    name = configured if asked is None else asked
    kind, colon, address = name.partition(":")
    if kind not in ("local", "ray") or (colon and (kind == "local" or not address)):
        close = difflib.get_close_matches(kind.lower(), ("local", "ray"), n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise UsageError(
            f"no executor named `{name}`", hint=f"{hint}the executors are: local, ray, ray:HOST:PORT"
        )
    if address.startswith(("ray://", "//")):
        raise UsageError(
            f"`{name}`: a run reaches a cluster from one of its nodes, not through a Ray client",
            hint="make this machine a node (`ray start --address=HOST:PORT`), or run `orchestrate` on one",
        )
    if address and not _is_place(address):
        raise UsageError(f"`{name}` has no port", hint="say `ray:HOST:PORT`, as `ray start --head` prints it")
    if kind == "ray" and environment != usual:
        raise UsageError(
            f"`--executor {name}` has its workers in the environment `{usual}`, not in `{environment}`",
            hint="leave out `--environment`, or say `--executor local`",
        )
    return Executor(name, bool(settings.get("shared", False)), settings.get("models", "auto"))


def _is_place(address: str) -> bool:
    found = re.fullmatch(r"[^\s/]+:(\d{1,5})", address)
    return found is not None and 0 < int(found[1]) < 65536
