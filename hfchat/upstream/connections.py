"""Connection pool to the provider: one aiohttp session, its limits and timeouts, and the retry on a stale connection."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

from hfchat.errors import Overloaded

CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 30.0
MAX_CONNECTIONS = 2000
# aiohttp warns of a larger body as bytes.
LARGE_BYTES = 512 * 1024
READ_BUFFER_BYTES = 256 * 1024


class Pool:
    """A connection pool of one event loop, in which it is made; `close` it."""

    def __init__(self) -> None:
        self._open = 0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S, ssl=httpx2.create_ssl_context()),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_BUFFER_BYTES,
            trace_configs=[_trace_reuse()],
        )
        # With `trust_env`, aiohttp would look for a netrc file at every call.
        self._proxies = getproxies()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> aiohttp.ClientResponse:
        """The response, after its head; `timeout_s` limits each silence, before the head and after. The caller must call `done`.
        Raises: what aiohttp raises; Overloaded.
        """
        if self._open >= MAX_CONNECTIONS:
            raise Overloaded
        self._open += 1
        try:
            while True:
                context = _TraceContext()
                try:
                    return await self._post(url, headers, body, timeout_s, context)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    # A kept-alive connection that the server has just closed: retried on another, as browsers do.
                    if not context.reused:
                        raise
        except BaseException:
            self._open -= 1
            raise

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float, context: "_TraceContext"
    ) -> aiohttp.ClientResponse:
        return await self._session.post(
            url,
            headers=headers,
            data=body if len(body) < LARGE_BYTES else io.BytesIO(body),
            allow_redirects=False,
            proxy=self._proxy(url),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s),
            trace_request_ctx=context,
        )

    def done(self, response: aiohttp.ClientResponse) -> None:
        """Close the response: its connection too, unless it was read to its end."""
        self._open -= 1
        response.close()

    def _proxy(self, url: str) -> str | None:
        if not self._proxies:
            return None
        scheme, _, rest = url.partition("://")
        return None if proxy_bypass(rest.partition("/")[0]) else self._proxies.get(scheme, self._proxies.get("all"))

    async def get(self, url: str, headers: Mapping[str, str], timeout_s: float, limit: int) -> bytes:
        """The body of a small document. Raises: what aiohttp raises; UnicodeError for another status or a larger body."""
        async with (
            asyncio.timeout(timeout_s),
            self._session.get(url, headers=headers, allow_redirects=False, proxy=self._proxy(url)) as response,
        ):
            body = await read_body(response, limit)
            if response.status != 200 or len(body) > limit:
                raise UnicodeError(f"HTTP {response.status}, {len(body)} bytes")
            return body


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, cut after `limit` + 1 bytes; of a refusal, also the part before the connection broke."""
    body = bytearray()
    try:
        while len(body) <= limit and (piece := await response.content.readany()):
            body += piece
    except (aiohttp.ClientError, TimeoutError, OSError):
        if response.status == 200:
            raise
    return bytes(body[: limit + 1])


@dataclass(slots=True)
class _TraceContext:
    """Whether a call used a kept-alive connection."""

    reused: bool = False


def _trace_reuse() -> aiohttp.TraceConfig:
    async def set_reused(_: aiohttp.ClientSession, context: Any, __: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(set_reused)
    return config
