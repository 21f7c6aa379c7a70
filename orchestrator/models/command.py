"""A program as a model: messages on its standard input, a reply on its standard output.

It is the user's own program with the user's own rights, such as `claude -p`. It is started in an empty folder, in a
process group of its own, which is killed when the reply is no longer wanted, and by the kernel when this process dies
(Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed, ModelUnavailable
from orchestrator.models.model import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.models.model import Prompt
    from orchestrator.models.names import Target
    from orchestrator.models.settings import CommandSettings

MAX_OUTPUT_BYTES = 64 << 20
STDERR_CHARS = 500
PART_BYTES = 1 << 16
PR_SET_PDEATHSIG = 1


class Command:
    """One configured program. Each request starts it anew."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self._target = target
        self._command: CommandSettings = target.command
        names = self._command.env
        self._environ = (
            dict(environ) if names is None else {one: environ[one] for one in names if one in environ}
        )
        self._environ.setdefault("PATH", environ.get("PATH", os.defpath))

    async def complete(self, prompt: Prompt) -> Reply:
        """What the program prints. Raises ModelFailed, and ModelUnavailable where there is no such program."""
        with tempfile.TemporaryDirectory(prefix="orchestrate-command-") as folder:
            code, printed, said = await self._ran(folder, _stdin(prompt, self._command.input))
        if code:
            end = said.decode("utf-8", "replace").strip()[-STDERR_CHARS:]
            raise ModelFailed(
                f"`{self._command.argv[0]}` exited with code {code}" + (f": {end}" if end else ""),
                "server", retryable=True, was_sent=True,
            )  # fmt: skip
        return _reply(printed.decode("utf-8", "replace"), self._command)

    async def close(self) -> None:
        """Nothing is held."""

    async def _ran(self, folder: str, stdin: bytes) -> tuple[int, bytes, bytes]:
        try:
            program = await asyncio.create_subprocess_exec(
                *self._command.argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, cwd=folder, env=self._environ, start_new_session=True,
                preexec_fn=_dies_with_us(),
            )  # fmt: skip
        except OSError as error:
            raise ModelUnavailable(
                f"`{self._command.argv[0]}` can't be started: {error.strerror}",
                hint=f"install it, or correct [commands.{self._target.model}] in orchestrate.toml",
            ) from error
        try:
            async with asyncio.timeout(self._target.timeout_s):
                printed, said, _ = await asyncio.gather(
                    _head(program.stdout), _tail(program.stderr), _feed(program.stdin, stdin)
                )
                await program.wait()
        except TimeoutError:
            raise ModelFailed(
                f"`{self._command.argv[0]}` gave no reply within {self._target.timeout_s:g} s", "timeout",
                retryable=True, was_sent=True,
            ) from None  # fmt: skip
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(program.pid, signal.SIGKILL)  # also what it left in the background
            await program.wait()
        if len(printed) > MAX_OUTPUT_BYTES:
            raise ModelFailed(
                f"`{self._command.argv[0]}` printed more than {MAX_OUTPUT_BYTES >> 20} MiB",
                "junk",
                was_sent=True,
            )
        return program.returncode or 0, printed, said


async def _head(stream: Any) -> bytes:
    """All that comes, up to one part more than may come; the rest is read and left, so that nothing waits for us."""
    parts, n_bytes = [], 0
    while part := await stream.read(PART_BYTES):
        if n_bytes <= MAX_OUTPUT_BYTES:
            parts.append(part)
        n_bytes += len(part)
    return b"".join(parts)


async def _tail(stream: Any) -> bytes:
    """The end of what comes."""
    end = b""
    while part := await stream.read(PART_BYTES):
        end = (end + part)[-PART_BYTES:]
    return end


async def _feed(stream: Any, data: bytes) -> None:
    """Everything, to a program that may not read it."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.close()
        await stream.wait_closed()


def _dies_with_us() -> Callable[[], None] | None:
    """What a child does before it becomes the program. Prepared here: after a fork nothing may be imported."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) and None


def _stdin(prompt: Prompt, form: str) -> bytes:
    """The messages as JSON, or as a text in which each but a single one is headed by its role."""
    messages = [{"role": one.role, "content": one.content} for one in prompt.messages]
    if form == "json":
        value: dict[str, Any] = {"messages": messages, "max_tokens": prompt.max_tokens}
        if prompt.schema is not None:
            value["schema"] = dict(prompt.schema)
        return json.dumps(value).encode()
    if len(messages) == 1:
        return messages[0]["content"].encode("utf-8", "replace")
    text = "\n\n".join(f"[{one['role']}]\n{one['content']}" for one in messages)
    return f"{text}\n\n[assistant]\n".encode("utf-8", "replace")


def _reply(printed: str, command: CommandSettings) -> Reply:
    output = command.output
    if output is None:
        return Reply(printed.strip())
    try:
        value = json.loads(printed)
    except (ValueError, RecursionError):
        raise ModelFailed(
            f"`{command.argv[0]}` printed no JSON: {printed[:200]!r}", "junk", retryable=True, was_sent=True
        ) from None
    text = _at(value, output.field)
    if not isinstance(text, str):
        raise ModelFailed(
            f"`{command.argv[0]}` printed JSON without a text at `{output.field}`", "junk", was_sent=True,
            hint="`output = {field = ...}` says where the reply stands",
        )  # fmt: skip
    usd = _number(_at(value, output.usd))
    return Reply(text, _count(_at(value, output.tokens_in)), _count(_at(value, output.tokens_out)), usd)


def _at(value: Any, path: str | None) -> Any:
    for step in path.split(".") if path else ():
        value = value.get(step) if isinstance(value, dict) else None
    return value if path else None


def _number(value: Any) -> float | None:
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        else None
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
