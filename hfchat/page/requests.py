"""Rate limit and session scope of the page's requests: ASGI middleware in front of Gradio's own application.

Each request counts against what a visitor's pages may ask for, and reaches no session of Gradio's but the visitor's own.
"""

import secrets
from contextlib import nullcontext

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hfchat.http.body import BodyReader
from hfchat.ledger.meters import Principal
from hfchat.page.rate_limit import BYTES_A_STEP, VALUES_A_STEP, PageRateLimit
from hfchat.page.sessions import PageRequest, scope_session
from hfchat.types import Caller

_FILES = ("/assets/", "/static/")


class PageRequestMiddleware:
    """ASGI middleware; the gate in front of it has put the verified `Caller` into the scope."""

    def __init__(self, app: ASGIApp, *, reader: BodyReader, rate_limit: PageRateLimit) -> None:
        self._app = app
        self._reader = reader
        self._rate_limit = rate_limit
        self._session_key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Raises: RateLimitExceeded, TooManyStreams, InvalidRequest, PayloadTooLarge."""
        caller: Caller | None = scope.get("state", {}).get("caller")
        if caller is None or scope["path"].startswith(_FILES):
            return await self._app(scope, receive, send)
        person = Principal.of(caller).key
        self._rate_limit.check(person)
        gradio = scope["path"].startswith("/gradio_api/")
        if gradio:
            receive = await self._own_session(scope, receive, person)
        self._rate_limit.take(person, 1)
        # What stays open: the page's streams.
        stays_open = gradio and scope["method"] in ("GET", "HEAD")
        with self._rate_limit.connected(person) if stays_open else nullcontext():
            await self._app(scope, receive, send)
        return None

    async def _own_session(self, scope: Scope, receive: Receive, person: str) -> Receive:
        """Make the session that the request names this person's own. A request that is refused counts by its bytes."""
        headers = Headers(scope=scope)

        async def read(receive: Receive, limit: int) -> bytes:
            body = await self._reader.read(person, headers, receive, limit)
            self._rate_limit.take(person, len(body) / BYTES_A_STEP)
            return body

        receive = await scope_session(scope, receive, person, self._session_key, read)
        self._rate_limit.take(person, scope[PageRequest.KEY].values / VALUES_A_STEP)
        return receive
