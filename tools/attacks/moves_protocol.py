"""Moves on the parent through the stream that it reads, and on workers that come after."""

from __future__ import annotations

import base64
import json
import os
import pickle
import struct
from typing import Any

from attacks.kit import say


def forge_an_answer_by_printing(it: dict[str, Any]) -> Any:
    body = json.dumps({**it["done"], "answer": it["forged"], "value": it["forged"]}).encode()
    for fd in (1, 2):
        os.write(fd, struct.pack(">I", len(body)) + body)


def write_junk_to_the_stream(it: dict[str, Any]) -> Any:
    say(b"[[[[[" + b"\xff" * 64)


def ask_for_a_file_as_a_text(it: dict[str, Any]) -> Any:
    """A reference to a text, for the parent to read."""
    text = {"path": it["file"], "n_bytes": 100, "sha256": "0" * 64, "offset": 0}
    say(json.dumps({**it["done"], "answer": {"$text": text}, "value": {"$text": text}}).encode())


def have_a_frame_read_through_a_link(it: dict[str, Any]) -> Any:
    name = ".frame-" + "0" * 24
    os.symlink(it["frame"], it["scratch"] + "/" + name)
    say(json.dumps({"kind": "file", "name": name}).encode())


def have_a_frame_read_through_a_hard_link(it: dict[str, Any]) -> Any:
    name = ".frame-" + "2" * 24
    os.link(it["frame"], it["scratch"] + "/" + name)
    say(json.dumps({"kind": "file", "name": name}).encode())


def have_a_frame_read_by_dots(it: dict[str, Any]) -> Any:
    say(json.dumps({"kind": "file", "name": os.path.relpath(it["frame"], it["scratch"])}).encode())


def let_the_parent_wait_for_a_pipe(it: dict[str, Any]) -> Any:
    name = ".frame-" + "1" * 24
    os.mkfifo(it["scratch"] + "/" + name)
    say(json.dumps({"kind": "file", "name": name}).encode())


def send_a_pickle(it: dict[str, Any]) -> Any:
    class Payload:
        def __reduce__(self) -> Any:
            return (eval, (f"open({it['outside'] + '/new'!r}, 'w').write('x')",))

    say(pickle.dumps(Payload()))


def answer_with_a_pickle(it: dict[str, Any]) -> Any:
    class Payload:
        def __reduce__(self) -> Any:
            return (eval, (f"open({it['outside'] + '/new'!r}, 'w').write('x')",))

    return {"pickle": base64.b64encode(pickle.dumps(Payload())).decode()}


def nest_without_end(it: dict[str, Any]) -> Any:
    say(b'{"kind":"done","id":2,"value":' + b"[" * 200_000)


def name_a_huge_frame(it: dict[str, Any]) -> Any:
    """The parent is to wait for it, or to make room."""
    say(b"", 0xFFFFFFF0)


def poison_what_is_built_in(it: dict[str, Any]) -> Any:
    import builtins
    import sys

    builtins.open = lambda *_, **__: it["mark"]
    builtins.poisoned = it["mark"]  # type: ignore[attr-defined]  # the same
    json.poisoned = it["mark"]  # type: ignore[attr-defined]  # the same
    sys.modules["csv"] = it["mark"]
    os.environ["POISONED"] = it["mark"]


def look_for_poison(it: dict[str, Any]) -> Any:
    import builtins
    import sys

    found = [getattr(builtins, "poisoned", ""), getattr(json, "poisoned", ""), os.environ.get("POISONED", "")]
    return [*found, str(sys.modules.get("csv"))]
