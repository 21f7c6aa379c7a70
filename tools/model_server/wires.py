"""The providers that the server speaks as, and which of them a request is for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from model_server import wire_anthropic, wire_gemini, wire_openai
from model_server.shapes import Wire

WIRES: tuple[Wire, ...] = (*wire_openai.WIRES, wire_anthropic.WIRE, wire_gemini.WIRE)


def wire_of(path: str, headers: Mapping[str, str]) -> tuple[Wire, re.Match[str]] | None:
    """The provider that a request is for."""
    for wire in WIRES:
        match = wire.path.fullmatch(path)
        if match is not None and wire.is_for(headers):
            return wire, match
    return None
