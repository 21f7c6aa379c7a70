"""A loopback server that speaks as model providers do, for tests and benchmarks.

In a test, in a thread of its own: `with ModelServer(policy, latency_s=0.0) as server: server.url, server.requests,
server.counts`. For a benchmark, as a process: `python tools/model_server.py --latency 0.05`, which prints its address;
`GET /stats` and `POST /reset` reach the counts. Standard library only. What each provider's shapes were taken from stands
in the modules `wire_*`.
"""

from __future__ import annotations

from model_server.faults import Fault
from model_server.policies import Answer, Policy, Seen, echo, final, scripted
from model_server.server import Counts, ModelServer

__all__ = ["Answer", "Counts", "Fault", "ModelServer", "Policy", "Seen", "echo", "final", "scripted"]
