"""A loopback server that speaks as model providers do, for tests and benchmarks."""

from __future__ import annotations

from model_server.policies import Answer, Seen, echo, final, scripted
from model_server.server import Fault, ModelServer

__all__ = ["Answer", "Fault", "ModelServer", "Seen", "echo", "final", "scripted"]
