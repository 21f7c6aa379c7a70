"""Models behind endpoints that speak OpenAI's chat completions, over one pool of connections for each."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed
from orchestrator.models.chat_wire import body_of, failure_of, refuses_schema, reply_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.model import Prompt, Reply
    from orchestrator.models.names import Target

MAX_BODY_BYTES = 64 << 20
CONNECT_S = 10.0
PART_BYTES = 1 << 16
HIDDEN = "[key]"


class Chat:
    """One model at one endpoint. The run makes it and closes it; connections are opened when they are needed.

    The key is in `_headers` alone, and taken out of everything that an endpoint says.
    """

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self._target = target
        self._url = f"{target.api_base}/chat/completions"
        self._key = next((environ[one] for one in target.key_env if environ.get(one)), "")
        self._headers = _headers(target, self._key, environ)
        self._takes_schema = target.json_schema
        self._session: Any = None

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply. Raises ModelFailed."""
        with_schema = self._takes_schema and prompt.schema is not None
        body = body_of(prompt, self._target, with_schema=with_schema)
        try:
            return await self._asked(body)
        except ModelFailed as error:
            if with_schema and refuses_schema(error):
                self._takes_schema = False
                error.retryable = True  # the next try goes without, and the reply is checked all the same
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
                timeout=aiohttp.ClientTimeout(total=self._target.timeout_s, sock_connect=CONNECT_S),
                headers=self._headers,
                proxy=_proxy(self._url),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                data = await _read(response)
                if response.status != 200:
                    raise self._hidden(failure_of(response.status, data, response.headers))
                try:
                    return reply_of(data, response.content_type)
                except ModelFailed as error:
                    raise self._hidden(error) from None
        except aiohttp.ClientConnectorError as error:
            raise ModelFailed(
                f"`{self._target.api_base}` can't be reached: {error.strerror or error}", "connection", retryable=True,
                hint="is the server running, and is the address right?",
            ) from None  # fmt: skip
        except TimeoutError:
            raise ModelFailed(
                f"no reply within {self._target.timeout_s:g} s", "timeout", retryable=True, was_sent=True,
                hint="allow more with `timeout_s` in orchestrate.toml",
            ) from None  # fmt: skip
        except (aiohttp.InvalidURL, ValueError) as error:
            raise ModelFailed(f"`{self._url}` is no address: {error}", "rejected") from None
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            raise ModelFailed(
                f"the connection was cut: {said}", "connection", retryable=True, was_sent=True
            ) from None

    def _hidden(self, error: ModelFailed) -> ModelFailed:
        """The error without the key, should the endpoint have said it."""
        if self._key and self._key in str(error):
            error.args = (str(error).replace(self._key, HIDDEN),)
        return error


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


def _headers(target: Target, key: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Headers of every request; one that names a variable which is not set is left out."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers[target.key_header] = f"Bearer {key}" if target.key_header == "Authorization" else key
    for name, value in target.headers.items():
        try:
            headers[name] = string.Template(value).substitute(environ)
        except (KeyError, ValueError):
            if "$" not in value:
                headers[name] = value
    return headers
