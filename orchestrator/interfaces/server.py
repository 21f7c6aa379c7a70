"""The pages of a workspace over HTTP, for browsers of this machine alone.

What runs were told and answered is behind it, so a page of another site must not reach it, nor another user:
- it listens on the loopback interface only;
- every address begins with a random token, compared in constant time: who has not been given it gets 403;
- the Host header must name this server: a name of somebody else's that leads here (DNS rebinding) gets 403;
- no other origin is allowed to read (no CORS headers, Cross-Origin-Resource-Policy), to frame, or to be told the
  address (no Referer); nothing can be changed: there is only GET;
- pages carry their own Content-Security-Policy (`pages.rendering`); values of runs go out as plain text in a sandbox.
Not covered: who can read this process' memory or your browser's history has the token.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from orchestrator.errors import OrchestratorError
from orchestrator.interfaces.pages.learning import learning_page
from orchestrator.interfaces.pages.run_page import run_changes, run_page
from orchestrator.interfaces.pages.runs_page import MAX_RUNS, runs_page
from orchestrator.runs.history import list_runs, run_info
from orchestrator.runs.journal import FILE_NAME
from orchestrator.runs.live import LiveRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from orchestrator.workspace import Workspace

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOK_S = 0.2
"""How often a run's journal is looked at while its page is open; what takes long is done more seldom."""

LOOK_AROUND_S = 1.0
"""The same of the list of runs and of what was learned."""

REST = 10
"""After work of a second it rests for so many: a page that is open costs no more than a tenth of a processor."""

HEARTBEAT_S = 5.0
"""After so long without news a stream says that it is there; a reader that is gone is noticed by that."""

MAX_STREAMS = 40

MAX_DIGITS = 18
"""Of the number of an event: Python refuses to read one of thousands."""

SHUTDOWN_S = 0.5

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "orchestrate",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PLAIN = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox"}

_RUN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_BLOB = re.compile(r"[0-9a-f]{64}")

Told = tuple[str, str]
"""An event of a stream: its name and its data on one line; without a name, a heartbeat."""


class Pages:
    """Serves a workspace's pages. Who makes one starts and stops it.

    Between `start` and `stop` it listens on one port; every request that is answered has passed `_guard`.
    """

    def __init__(self, workspace: Workspace, token: str) -> None:
        self.token = token
        self._workspace = workspace
        self._hosts: frozenset[str] = frozenset()
        self._streams: set[asyncio.Task[Any]] = set()
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(_with_headers)
        app.add_routes(
            [
                web.get("/{token}/", self._runs),
                web.get("/{token}/events", self._events),
                web.get("/{token}/learning", self._learning),
                web.get("/{token}/runs/{run}/", self._run),
                web.get("/{token}/runs/{run}/events", self._run_events),
                web.get("/{token}/runs/{run}/blobs/{blob}", self._blob),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which the system chooses where `port` is 0. Raises OSError."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        found: int = self._runner.addresses[0][1]
        names = [f"{name}:{found}" for name in (host, "localhost")]
        self._hosts = frozenset(names + [host, "localhost"] * (found == 80))
        return found

    async def stop(self) -> None:
        """End every stream and stop listening."""
        for stream in list(self._streams):
            stream.cancel()
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        token = request.path.removeprefix("/").split("/")[0]  # `OPTIONS *` asks for no path
        is_known = hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())
        if request.headers.get("Host", "").lower() not in self._hosts or not is_known:
            return web.Response(
                status=403, text="no page for you here: the whole address that was printed is needed\n"
            )
        try:
            return await handler(request)
        except OrchestratorError as error:
            return web.Response(status=500, text=f"{error.whole}\n", headers=PLAIN)

    async def _runs(self, _: web.Request) -> web.Response:
        return await _html(lambda: runs_page(self._workspace, live="events", learning="learning"))

    async def _learning(self, _: web.Request) -> web.Response:
        return await _html(lambda: learning_page(self._workspace, live="events", home="./"))

    async def _run(self, request: web.Request) -> web.Response:
        live = LiveRun(self._folder(request))

        def drawn() -> str:
            live.read_on()
            return run_page(live.tree, run_info(live.folder), live.folder, live=f"events?after={live.seq}")

        return await _html(drawn)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        """A value of a run that is too long for its page, as text."""
        name = request.match_info["blob"]
        path = self._folder(request) / "blobs" / name
        if not _BLOB.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={**PLAIN, "Content-Type": "text/plain; charset=utf-8"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, _around(self._workspace))

    async def _run_events(self, request: web.Request) -> web.StreamResponse:
        after = request.query.get("after", "")
        is_seq = len(after) <= MAX_DIGITS and after.isdecimal()
        return await self._stream(request, _going_on(self._folder(request), int(after) if is_seq else -1))

    def _folder(self, request: web.Request) -> Path:
        """The folder of a run. Raises HTTPNotFound for what is none: also for every name that leads elsewhere."""
        name = request.match_info["run"]
        folder = self._workspace.runs / name
        if not _RUN.fullmatch(name) or not (folder / FILE_NAME).is_file():
            raise web.HTTPNotFound
        return folder

    async def _stream(self, request: web.Request, told: AsyncIterator[Told]) -> web.StreamResponse:
        """Server-sent events (HTML Living Standard, 9.2) until there are no more, or the reader is gone."""
        if len(self._streams) >= MAX_STREAMS:
            return web.Response(status=503, text="too many pages are open\n")
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            async for name, data in told:
                text = f"event: {name}\ndata: {data}\n\n" if name else ":\n\n"
                await response.write(text.encode("utf-8", "backslashreplace"))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._streams.discard(task)
        return response


async def _html(draw: Callable[[], str]) -> web.Response:
    text = await asyncio.to_thread(draw)
    return web.Response(
        body=text.encode("utf-8", "backslashreplace"), content_type="text/html", charset="utf-8"
    )


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _going_on(folder: Path, after: int) -> AsyncIterator[Told]:
    """What changes in a run, later than its event `after`: its head and the calls that changed."""
    live, before, heard = LiveRun(folder), "", time.monotonic()
    while True:
        began = time.monotonic()
        try:
            text, status = await asyncio.to_thread(_changes, live, after, before)
        except OrchestratorError as error:
            yield "problem", json.dumps(str(error))
            return
        if text or began - heard > HEARTBEAT_S:
            heard = began
            yield ("run" if text else ""), text
        if live.is_over and status == before:
            yield "end", ""
            return
        took = (
            time.monotonic() - began if before else 0.0
        )  # what was there before is read once, and is no measure
        before = status
        await asyncio.sleep(max(LOOK_S, REST * took))


def _changes(live: LiveRun, after: int, before: str) -> tuple[str, str]:
    """What is new of a run as JSON, empty where nothing is, and its status."""
    changed = live.read_on(after)
    info = run_info(live.folder)
    if not changed and info.status == before:
        return "", info.status
    return json.dumps(run_changes(live.tree, info, live.folder, changed)), info.status


async def _around(workspace: Workspace) -> AsyncIterator[Told]:
    """That something changed in the list of runs, or in what was learned."""
    seen, heard = await asyncio.to_thread(_look, workspace), time.monotonic()
    while True:
        began = time.monotonic()
        now = await asyncio.to_thread(_look, workspace)
        if now != seen or began - heard > HEARTBEAT_S:
            heard = began
            yield ("changed" if now != seen else ""), "now"
        seen = now
        await asyncio.sleep(max(LOOK_AROUND_S, REST * (time.monotonic() - began)))


def _look(workspace: Workspace) -> tuple[Any, ...]:
    """What is different after a change: the runs with their status, the record, learned programs, skills."""
    runs = tuple((info.run, info.status) for info in list_runs(workspace, MAX_RUNS))
    files = [
        workspace.usage_log,
        *sorted(workspace.memory.glob("strategies/*/*.md")),
        *sorted(workspace.skills.glob("*/*")),
    ]
    return runs, tuple((str(path), _stamp(path)) for path in files)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
