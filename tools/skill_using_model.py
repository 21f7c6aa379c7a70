"""A loopback model that has Claude Code use one skill after the other, then says it is done.

It speaks as much of Anthropic's messages ("Create a message", "Streaming messages", "Tool use") as a run without a
terminal asks for.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a text that nobody may record"


@contextmanager
def skill_using_model(*skills: str) -> Iterator[str]:
    """The address of a model that uses these skills in turn, each with `SECRET` as its arguments."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if "messages" not in body or "count_tokens" in self.path:
                self._send("application/json", json.dumps({"input_tokens": 1}))
                return
            n_used = json.dumps(body["messages"]).count('"tool_result"')
            has_tool = any(tool.get("name") == "Skill" for tool in body.get("tools", []))
            skill = skills[n_used] if has_tool and n_used < len(skills) else None
            reply = _reply(body.get("model"), skill, n_used)
            if body.get("stream"):
                self._send("text/event-stream", "".join(_events(reply)))
            else:
                self._send("application/json", json.dumps(reply))

        def do_GET(self) -> None:
            self._send("application/json", "{}")

        def log_message(self, *_: object) -> None:
            pass

        def _send(self, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _reply(model: Any, skill: str | None, number: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": "done"}
    if skill is not None:
        arguments = {"skill": skill, "args": SECRET}
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": "Skill", "input": arguments}
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block],
        "stop_reason": "end_turn" if skill is None else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _events(reply: dict[str, Any]) -> Iterator[str]:
    (block,) = reply["content"]
    if block["type"] == "text":
        begun: dict[str, Any] = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    else:
        begun = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    stop = {"stop_reason": reply["stop_reason"], "stop_sequence": None}
    yield _event(type="message_start", message={**reply, "content": [], "stop_reason": None})
    yield _event(type="content_block_start", index=0, content_block=begun)
    yield _event(type="content_block_delta", index=0, delta=delta)
    yield _event(type="content_block_stop", index=0)
    yield _event(type="message_delta", delta=stop, usage={"output_tokens": 1})
    yield _event(type="message_stop")


def _event(**data: Any) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"
