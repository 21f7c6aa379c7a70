"""The model server as a process: prints its address, and ends when its standard input does."""

from __future__ import annotations

import argparse
import sys

from model_server.policies import named
from model_server.server import Fault, ModelServer


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="A loopback server that speaks as model providers do.")
    parser.add_argument("--port", type=int, default=0, help="where it listens (any free port)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="seconds until a reply")
    parser.add_argument("--policy", default="final", help="echo, final or script:FILE (final)")
    parser.add_argument("--fail-every", type=int, default=0, metavar="N", help="every Nth request gets a 500")
    args = parser.parse_args()
    every = args.fail_every
    faults = (lambda number: Fault("status", 500) if number % every == 0 else None) if every else ()
    with ModelServer(named(args.policy), latency_s=args.latency, port=args.port, faults=faults) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
