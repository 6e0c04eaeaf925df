"""Gate: authentication middleware in front of every route, closed by default. A route that is not listed is refused.

It verifies the bearer token or, for pages, the cookie that holds the same token. Rules against cross-site requests (CSRF) are in
access.py. Routes behind it find in `scope["state"]`: `caller`, the verified `Caller`; `quota`, what they have left; `on_quota`, a
function to call when that changes; `on_attempts`, one to call with the number of calls upstream; and, where a route is direct,
`held`, an `ExitStack` that is closed at the end of the request.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hfchat import errors as e
from hfchat.auth.authenticator import Authenticator
from hfchat.chat.early_refusal import RecentRefusals, is_small, refuse_used_up
from hfchat.gate.access import (
    HUB_ROUTES,
    OPEN,
    READ,
    check_opening,
    is_cross_site,
    is_page,
    methods_of,
    not_found,
    same_origin_shown,
)
from hfchat.gate.browser_session import refuse_program
from hfchat.gate.drain import Drain
from hfchat.gate.language_cookie import chosen_first
from hfchat.gate.refusals import log_refusal, refusal_response
from hfchat.gate.response_headers import ResponseHeaders
from hfchat.http.body import check_codings, content_length
from hfchat.http.content_security_policy import small_page_policy
from hfchat.http.html import STYLE
from hfchat.http.session_cookie import SessionCookie
from hfchat.ids import random_id
from hfchat.ledger.quota import Quota
from hfchat.logs import log_crash
from hfchat.types import Caller

logger = logging.getLogger(__name__)

# Headers that name another host are dropped. `X-Forwarded-Proto: https` is kept: forging it harms only the sender.
_DROPPED = re.compile(rb"x-forwarded-.*|forwarded|x-gradio-server|x-original-.*")
# Nobody sends more than five. To read the 30,000 that a head has room for takes 20 to 200 ms.
MAX_QUERY_FIELDS = 100
# For a program whose `Authorization` a proxy, or a private Space, takes for itself.
TOKEN_HEADER = "x-hfchat-token"  # noqa: S105
_LONGEST_CONNECTION_S = 86_400.0
LAST_WORDS_S = 2.0
_HEARTBEAT = "/gradio_api/heartbeat/"

Endpoint = Callable[[Request], Awaitable[Response]]


class Gate:
    """ASGI middleware; outermost of the app's own."""

    def __init__(
        self,
        app: ASGIApp | None = None,
        *,
        authenticate: Authenticator,
        drain: Drain,
        cookie: SessionCookie | None = None,
        origins: Iterable[str] = (),
        public_url: str | None = None,
        direct: Mapping[str, Endpoint] | None = None,
        hub_sign_in: bool = False,
    ) -> None:
        """`direct` are endpoints that answer without the rest of the application in between; `public_url` is the server's own
        origin, where a proxy does not pass the `Host` header on. Without `hub_sign_in` there are no HUB_ROUTES.
        """
        self._app = app or _nothing
        self._direct = direct or {}
        self._open = (
            OPEN if hub_sign_in else {path: methods for path, methods in OPEN.items() if path not in HUB_ROUTES}
        )
        self._authenticate = authenticate
        self._drain = drain
        self._cookie = cookie or SessionCookie()
        self._origins = frozenset(origins)
        self._public_url = public_url
        self._small_page_csp = small_page_policy(STYLE, form=False, on_space=self._cookie.framed)
        self._refused = RecentRefusals()

    def wrap(self, app: ASGIApp) -> "Gate":
        """This gate, in front of this application from now on: what `Middleware` calls."""
        self._app = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a refusal."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guard(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # nothing here speaks websocket

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = chosen_first(scope["headers"])
        headers = Headers(scope=scope)
        request_id = random_id(64)
        caller: Caller | None = None
        response_headers = ResponseHeaders(
            send, request_id, self._allowed_origin(headers), scope["path"], small_page_csp=self._small_page_csp
        )
        try:
            if not self._is_preflight(scope, headers):
                caller = await self._admit(scope, headers, response_headers)
            if scope["method"] not in READ:
                check_codings(scope["headers"])
            state = {
                "caller": caller,
                "request_id": request_id,
                "quota": response_headers.quota,
                "on_quota": response_headers.set_quota,
                "on_attempts": response_headers.set_attempts,
            }
            scope["state"] = {**scope.get("state", {}), **state}
            scope["headers"] = [
                (name, value)
                for name, value in scope["headers"]
                if not _DROPPED.fullmatch(name) or (name, value) == (b"x-forwarded-proto", b"https")
            ]
            response_headers.translates = caller is not None and is_page(scope["path"])
            await self._pass(scope, receive, response_headers, caller)
            if response_headers.withheld is not None:
                raise response_headers.withheld
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as failure:
            # Also what is no Exception, as a panic of a library in Rust: the server would answer it with a text of its own.
            if isinstance(failure, asyncio.CancelledError) and response_headers.began:
                raise
            error = self._error(failure, request_id)
            if caller is not None and isinstance(error, e.LimitReached):
                self._refused.note(caller, error)
            if caller is not None and response_headers.quota is None and isinstance(failure, Exception):
                error = await self._quota_first(caller, response_headers, error)
            response_headers.translates = False
            if response_headers.began:
                await response_headers.cut()
            else:
                if error.request_id is None:  # a turn has its own line in the log
                    log_refusal(error, scope["method"], request_id, caller)
                response = refusal_response(error, scope, headers, request_id, caller)
                await response(scope, receive, response_headers)
            if isinstance(failure, asyncio.CancelledError):
                raise  # the server's own: it ends what has not ended in time

    def _error(self, failure: BaseException, request_id: str) -> e.HfchatError:
        if isinstance(failure, e.HfchatError):
            return failure
        if isinstance(failure, asyncio.CancelledError) and self._drain.began:
            return e.Overloaded()
        # After a restart Gradio raises HTTPException in a stream, for a session that it does not know.
        if not isinstance(failure.__cause__, HTTPException):
            log_crash(logger, failure, request_id=request_id)
        return e.InternalError()

    async def _quota_first(
        self, caller: Caller, response_headers: ResponseHeaders, error: e.HfchatError
    ) -> e.HfchatError:
        """The refusal of a turn that did not come to reserve: whoever may not come in is told that first."""
        try:
            response_headers.quota = await self._authenticate.quota(caller)
        except e.HfchatError as refused:
            return refused
        return error

    async def _admit(self, scope: Scope, headers: Headers, response_headers: ResponseHeaders) -> Caller | None:
        """Who may pass; None where nobody has to be known. Raises: the refusal."""
        path, method = scope["path"], scope["method"]
        if scope["query_string"].count(b"&") > MAX_QUERY_FIELDS:
            raise e.InvalidRequest("unreadable", param="query")
        methods = self._open.get(path)
        if methods is not None and method in methods:
            check_opening(headers, path, method, framed=self._cookie.framed, public_url=self._public_url)
            return None
        caller = await self._caller(scope, headers, method)
        # A chat turn's reservation checks the same: it needs no look before.
        turn = path in self._direct and method == "POST"
        if not turn or caller in self._refused:
            response_headers.quota = await self._authenticate.quota(caller)
        try:
            if turn and response_headers.quota is not None:
                _refuse_early(response_headers.quota, headers)
            methods = methods or methods_of(path)
            if methods is None:
                raise not_found(path, method)
            if method not in methods:
                raise e.MethodNotAllowed("methods", params={"value": ", ".join(sorted(methods))})
            if self._drain.began:
                raise e.Overloaded
        except e.HfchatError as refused:
            refused.subject, refused.token_id = caller.subject, caller.token_id
            raise
        return caller

    async def _caller(self, scope: Scope, headers: Headers, method: str) -> Caller:
        """By our own header; else, on a page, by the cookie, since a proxy may send its own `Authorization` with it; else by
        `Authorization`.
        """
        own = headers.getlist(TOKEN_HEADER)
        if own:
            if len(own) > 1 or not own[0].strip():
                raise e.InvalidToken("token_header")
            return await self._authenticate.verify(own[0].strip())
        authorization = headers.getlist("authorization")
        if is_page(scope["path"]):
            try:
                visitor = await self._visitor(scope, headers, method)
            except e.CallerError:
                if not any(value.lower().startswith("bearer ") for value in authorization):
                    raise
                visitor = None
            if visitor is not None:
                return visitor
        if not authorization:
            raise e.MissingToken
        scheme, _, token = authorization[0].partition(" ")
        if len(authorization) > 1 or scheme.lower() != "bearer" or not token.strip():
            raise e.InvalidToken("token_scheme")
        return await self._authenticate.verify(token.strip())

    async def _visitor(self, scope: Scope, headers: Headers, method: str) -> Caller | None:
        """Whose cookie it is; None without one. Raises: the refusal, also of what another site's page sends."""
        path = scope["path"]
        token = self._cookie.token(scope)
        if not token:
            return None
        caller = await self._authenticate.verify(token)
        refuse_program(caller)
        follows_a_link = method in READ and headers.get("sec-fetch-mode") == "navigate"
        if is_cross_site(headers, self._public_url) and (not follows_a_link or path.startswith("/gradio_api/")):
            raise e.MissingToken("cross_site")
        if method not in READ and not same_origin_shown(headers):
            raise e.MissingToken("cross_site")
        return caller

    async def _pass(self, scope: Scope, receive: Receive, send: Send, caller: Caller | None) -> None:
        endpoint = self._direct.get(scope["path"])
        if endpoint is not None and caller is not None:
            with ExitStack() as held:
                scope["state"]["held"] = held
                response = await endpoint(Request(scope, receive))
                return await response(scope, receive, send)
        if caller is None or not scope["path"].startswith("/gradio_api/"):
            return await self._app(scope, receive, send)
        # A stream of the page ends when its caller's replies must, and a heartbeat, which never ends, with the server too.
        # It ends LAST_WORDS_S later than the turn, so that the turn's final error can still be sent.
        grace_s = LAST_WORDS_S if scope["path"].startswith(("/gradio_api/queue/data", "/gradio_api/call/")) else 0
        left_s = min(max(caller.replies_end_at - time.time() + grace_s, 0), _LONGEST_CONNECTION_S)
        limit = asyncio.timeout(left_s)
        try:
            async with limit:
                if scope["path"].startswith(_HEARTBEAT):
                    self._drain.watch(limit)
                await self._app(scope, receive, send)
        except TimeoutError as ended:
            if not limit.expired():
                raise
            raise (e.Overloaded if self._drain.began else e.ExpiredToken) from ended
        finally:
            self._drain.forget(limit)

    def _allowed_origin(self, headers: Headers) -> str | None:
        origin = headers.get("origin")
        return origin if origin in self._origins else None

    def _is_preflight(self, scope: Scope, headers: Headers) -> bool:
        """The Fetch standard sends no credentials with a preflight; CORSMiddleware answers it, no route does."""
        asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        return asks and self._allowed_origin(headers) is not None and not is_page(scope["path"])


def _refuse_early(quota: Quota, headers: Headers) -> None:
    """Raises: the refusal of a turn for which nothing is left, before its body is read."""
    # A kept answer costs nothing, and is looked for by the body.
    if "idempotency-key" not in headers or not is_small(content_length(headers)):
        refuse_used_up(quota)


async def _nothing(_: Scope, __: Receive, ___: Send) -> None:
    raise LookupError("nothing is behind the gate yet")
