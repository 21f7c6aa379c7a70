"""litellm is imported late, quietly, and without asking the network for anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("providers")

CODE = """
import socket, sys
asked = []
def refuse(*words, **_):
    asked.append(words[:2])
    raise OSError("no network here")
socket.getaddrinfo = refuse
socket.create_connection = refuse
from orchestrator.models.names import Target
from orchestrator.models.through_litellm import ThroughLitellm, warm
ThroughLitellm(Target("m", "litellm", "anthropic/m"), {})
assert "litellm" not in sys.modules
warm()
assert "litellm" in sys.modules
import time
time.sleep(0)
assert asked == [], asked
"""


def test_importing_litellm_asks_nobody_and_says_nothing():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
