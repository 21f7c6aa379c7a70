"""Stands between lines of text and the bytes of a program, inside a cloud sandbox. Standard library only, CPython 3.9.

Streams of such sandboxes carry text only, or show again what they were sent, or have no end, or do not end when we
do. So bytes go in lines, both ways, and what is no such line is none of ours:

    to the program     `>BASE64`       bytes; none at all only says that somebody is there
                       `.`             the end
    from the program   `<BASE64`       bytes
                       `=CODE BASE64`  its exit code, negative for a signal, and the last it said on standard error

It is the leash as well. When no line came for so many seconds, or a `.`, the program gets the end of its input, and
what is left of its process group a little later is killed.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading

LINE_BYTES = 96 << 10
"""How many bytes go in one line."""

GRACE_S = 5
SAID_BYTES = 2000


def main() -> None:
    """Run a program: `SILENCE_S PROGRAM WORD...`. It gets no variables but where programs and its home are."""
    ours, theirs = socket.socketpair()
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with tempfile.TemporaryFile() as stderr:
        program = subprocess.Popen(
            sys.argv[2:],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=stderr,
            env=variables,
            start_new_session=True,
        )
        theirs.close()
        threading.Thread(target=_take, args=(ours, program, float(sys.argv[1])), daemon=True).start()
        with contextlib.suppress(ConnectionError):
            while data := ours.recv(LINE_BYTES):
                _say(b"<" + base64.b64encode(data))
        code = program.wait()
        stderr.seek(max(0, os.fstat(stderr.fileno()).st_size - SAID_BYTES))
        _say(b"=%d " % code + base64.b64encode(stderr.read()))


def _take(ours: socket.socket, program: subprocess.Popen[bytes], silence_s: float) -> None:
    with contextlib.suppress(OSError, ValueError):
        _pass_on(ours, silence_s)
    with contextlib.suppress(OSError):
        ours.shutdown(socket.SHUT_WR)
    try:
        program.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)


def _pass_on(ours: socket.socket, silence_s: float) -> None:
    rest = b""
    while select.select([0], [], [], silence_s)[0]:
        data = os.read(0, 1 << 20)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.strip() == b".":
                return
            if line.startswith(b">"):
                ours.sendall(base64.b64decode(line[1:]))


def _say(line: bytes) -> None:
    line += b"\n"
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    main()
