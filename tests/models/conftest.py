"""A home without anything, the variables of no provider but those that a test sets, and a server that says one thing."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PREFIXES = (
    "OPENAI",
    "ANTHROPIC",
    "GEMINI",
    "GOOGLE",
    "AZURE",
    "OPENROUTER",
    "PORTKEY",
    "HOSTED_VLLM",
    "OLLAMA",
    "DEEPSEEK",
    "GROQ",
    "LM_STUDIO",
)


@pytest.fixture
def clean_variables(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return monkeypatch


@contextmanager
def saying(status: int, body: bytes, content_type: str = "application/json"):
    """The address of a server that answers every request with `body`, in which `@@` is what its own headers were."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            own = [name for name in self.headers if name.lower().startswith(("auth", "x-t", "x-none"))]
            heads = "; ".join(f"{name}: {self.headers[name]}" for name in own)
            said = body.replace(b"@@", heads.encode())
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def one_answer():
    return saying
