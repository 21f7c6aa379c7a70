"""The `modal` environment: each worker in a sandbox of Modal. What is covered: see `cloud.py`.

A sandbox has no network unless granted (`block_network`), lives at most as long as was asked for, and ends by itself
when nothing has run in it for a few minutes.

Written by the text of modal 1.6 and checked against its types; it has not been run against Modal's service by us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.environments.cloud import LIFETIME_S, Cloud, Stream, Wanted, no_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import modal

APP = "orchestrate"
IDLE_S = 180
"""Longer than the silence after which a worker is ended."""


def environment(
    image: str = "python:3.12-slim", python: str = "python3", timeout_s: int = LIFETIME_S
) -> Cloud[modal.Sandbox]:
    """Workers in Modal's sandboxes. `image` is one of a registry."""
    return Cloud("modal", _Modal(image), python, timeout_s)


class _Modal:
    def __init__(self, image: str) -> None:
        self._image = image

    async def start(self, wanted: Wanted) -> modal.Sandbox:
        import modal
        from modal.config import config

        if not config.get("token_id") or not config.get("token_secret"):
            raise no_key(
                "modal", "`MODAL_TOKEN_ID` or `MODAL_TOKEN_SECRET`", "set both, or run: modal token new"
            )
        app = await modal.App.lookup.aio(APP, create_if_missing=True)
        return await modal.Sandbox.create.aio(
            "sleep",
            str(wanted.lifetime_s),
            app=app,
            image=modal.Image.from_registry(self._image),
            timeout=wanted.lifetime_s,
            idle_timeout=min(IDLE_S, wanted.lifetime_s),
            block_network=not wanted.network,
        )

    async def open(self, sandbox: modal.Sandbox, argv: Sequence[str]) -> Stream:
        process = await sandbox.exec.aio(*argv, text=False)

        async def send(text: str) -> None:
            process.stdin.write(text)
            await process.stdin.drain.aio()

        return Stream(send, process.stdout.__aiter__())

    async def end(self, sandbox: modal.Sandbox) -> None:
        await sandbox.terminate.aio()
