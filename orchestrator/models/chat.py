"""Models behind endpoints that speak OpenAI's chat completions, over one pool of connections for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed
from orchestrator.models.chat_wire import body_of, failure_of, refuses_schema, reply_of
from orchestrator.models.keys import HIDDEN, headers_of, key_of, secrets_of, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.model import Prompt, Reply
    from orchestrator.models.names import Target

MAX_BODY_BYTES = 64 << 20
CONNECT_S = 10.0


class Chat:
    """One model at one endpoint. The run makes it and closes it; connections are opened when they are needed.

    Keys are in `_headers`, and taken out of everything that an endpoint says.
    """

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self._target = target
        self._url = f"{target.api_base}/chat/completions"
        self._headers = _headers(target, environ)
        self._secrets = secrets_of(target, environ)
        self._session: Any = None

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply. Raises ModelFailed."""
        body = body_of(
            prompt, self._target, with_schema=self._target.json_schema and prompt.schema is not None
        )
        try:
            return await self._asked(body)
        except ModelFailed as error:
            if prompt.schema is not None and self._target.json_schema and refuses_schema(error):
                error.fault = "no_schema"
            raise

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _asked(self, body: bytes) -> Reply:
        import aiohttp  # here: it takes a tenth of a second, and runs without a model need none of it

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(
                    total=self._target.timeout_s, sock_connect=min(CONNECT_S, self._target.timeout_s / 2)
                ),
                headers=self._headers,
                proxy=_proxy(self._url),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                data = await _read(response)
                return self._reply(response, data)
        except aiohttp.ClientConnectorError as error:
            raise ModelFailed(
                f"`{self._target.api_base}` can't be reached: {error.strerror or error}", "connection", retryable=True,
                was_made=False, hint="is the server running, and is the address right?",
            ) from None  # fmt: skip
        except aiohttp.ConnectionTimeoutError:
            raise ModelFailed(
                f"`{self._target.api_base}` can't be reached: no answer to a connection", "connection", retryable=True,
                was_made=False, hint="is the address right, and is a proxy or firewall in the way?",
            ) from None  # fmt: skip
        except TimeoutError:
            raise ModelFailed(
                f"no reply within {self._target.timeout_s:g} s", "timeout", retryable=True, was_sent=True,
                hint="allow more with `timeout_s` in orchestrate.toml",
            ) from None  # fmt: skip
        except aiohttp.InvalidURL:
            raise ModelFailed(
                f"`{self._url}` is no address",
                "rejected",
                was_made=False,
                hint="look at `api_base`, or the provider's *_BASE variable",
            ) from None
        except ValueError as error:  # of headers: a line end in the midst of a key, say
            said = without(str(error), self._secrets)
            raise ModelFailed(
                f"no request can be made for `{self._url}`: {said}", "rejected", was_made=False
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            raise ModelFailed(
                f"the connection was cut: {said}", "connection", retryable=True, was_sent=True
            ) from None

    def _reply(self, response: Any, data: bytes) -> Reply:
        """The reply in a body. Keys are hidden before anything is cut from it: half a key would be left."""
        if response.status != 200:
            raise failure_of(response.status, self._hidden(data), response.headers)
        try:
            return reply_of(data, response.content_type)
        except ModelFailed:
            return reply_of(self._hidden(data), response.content_type)  # raises the same, without keys

    def _hidden(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret.encode(), HIDDEN.encode())
        return data


def _proxy(url: str) -> str | None:
    """The proxy that the variables name for an address. Looked up once: aiohttp would read `.netrc` for each request."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def _read(response: Any) -> bytes:
    parts, n_bytes = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > MAX_BODY_BYTES:
            raise ModelFailed(f"the reply has more than {MAX_BODY_BYTES >> 20} MiB", "junk", was_sent=True)
    return b"".join(parts)


def _headers(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """Headers of every request."""
    headers = {"Content-Type": "application/json"}
    key = key_of(target, environ)
    if key:
        headers[target.key_header] = f"Bearer {key}" if target.key_header == "Authorization" else key
    return headers | headers_of(target, environ)
