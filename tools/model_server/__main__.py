"""The model server as a process: prints its address, and ends with its standard input or its parent."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from typing import TYPE_CHECKING

from model_server.faults import fault_of
from model_server.policies import named
from model_server.server import ModelServer

if TYPE_CHECKING:
    from model_server.faults import Fault

LOOK_S = 1.0
"""So often it looks whether its parent lives."""


def main() -> None:
    """Serve until standard input ends, the parent dies, or a signal comes."""
    parent = os.getppid()  # now: it may be gone as soon as it has read the address
    parser = argparse.ArgumentParser(description="A loopback server that speaks as model providers do.")
    parser.add_argument("--host", default="127.0.0.1", help="on which address it listens (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="where it listens (any free port)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="seconds until a reply")
    parser.add_argument("--policy", default="final", help="echo, final or script:FILE (final)")
    parser.add_argument(
        "--faults",
        default="",
        metavar="LIST",
        help="of the first requests, as status:429:0.5,none,slow:2,cut",
    )
    parser.add_argument(
        "--faults-every", type=int, default=0, metavar="N", help="every Nth request meets one of them"
    )
    parser.add_argument("--fail-every", type=int, default=0, metavar="N", help="every Nth request gets a 500")
    args = parser.parse_args()
    every = args.fail_every or args.faults_every
    faults = _faults(parser, "status:500" if args.fail_every else args.faults)
    try:
        policy = named(args.policy)
    except (OSError, ValueError) as error:
        parser.error(f"--policy {args.policy}: {error}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with ModelServer(
        policy, latency_s=args.latency, host=args.host, port=args.port, faults=faults, faults_every=every
    ) as server:
        print(server.url, flush=True)
        _wait(parent)


def _faults(parser: argparse.ArgumentParser, text: str) -> list[Fault | None]:
    try:
        return [fault_of(part) for part in text.split(",")] if text else []
    except ValueError as error:
        parser.error(f"--faults {text}: {error}")


def _wait(parent: int) -> None:
    """Return when standard input ends or the parent is another."""
    read_from = [sys.stdin.fileno()] if sys.stdin is not None else []
    while os.getppid() == parent:
        ready, _, _ = select.select(read_from, [], [], LOOK_S)
        if ready and not os.read(ready[0], 1 << 16):
            return


if __name__ == "__main__":
    main()
