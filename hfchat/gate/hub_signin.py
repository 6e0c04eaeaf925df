"""Sign-in with Hugging Face: `/login/huggingface`, its callback, and the client's metadata document (CIMD).

No parameter says where a browser goes: it goes to Hugging Face, and then to the page.
"""

import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from hfchat.auth.authenticator import Authenticator
from hfchat.auth.hub_sessions import HubSessions
from hfchat.auth.sign_in_attempt import ATTEMPT_S
from hfchat.errors import HfchatError, InvalidToken, NotFound, RevokedToken, SignInFailed
from hfchat.gate.access import CLIENT_METADATA, HUB_CALLBACK, HUB_ROUTES, is_cross_site
from hfchat.gate.browser_session import current_caller, log_sign_in, log_sign_in_refusal
from hfchat.http.session_cookie import SessionCookie
from hfchat.types import Caller

ATTEMPT_COOKIE = "hfchat_sign_in"
MAX_PARAMETER_CHARS = 4096
_FRAME_ID = re.compile(r"[0-9a-f]{64}")
_PARAMETERS = ("code", "state", "iss", "error")


class HubSignIn:
    """The routes. `origin` is the public address that Hugging Face sends people back to, and `cookie` the session's.

    `client_metadata` is the document of a client that is known by its address alone; None where it is a registered one.
    """

    def __init__(
        self,
        sessions: HubSessions,
        authenticate: Authenticator,
        cookie: SessionCookie,
        *,
        origin: str,
        client_metadata: dict[str, Any] | None,
    ) -> None:
        self._sessions = sessions
        self._authenticate = authenticate
        self._cookie = cookie
        self._attempt_cookie = SessionCookie(https=True, framed=cookie.framed, name=ATTEMPT_COOKIE)
        self._origin = origin
        self._client_metadata = client_metadata

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        endpoints = (self._start, self._finish, self._metadata)
        return [Route(path, endpoint, methods=["GET"]) for path, endpoint in zip(HUB_ROUTES, endpoints, strict=True)]

    async def _start(self, request: Request) -> Response:
        """Send the browser to Hugging Face; one that another site sent here first to our own page."""
        if is_cross_site(request.headers, self._origin):
            return RedirectResponse("/login", status_code=303)
        address, attempt = await self._sessions.start(_frame(request))
        response = RedirectResponse(address, status_code=303)
        response.headers["Set-Cookie"] = self._attempt_cookie.header(request.scope, attempt, ATTEMPT_S)
        return response

    async def _finish(self, request: Request) -> Response:
        """Sign in whom Hugging Face names. Raises: SignInFailed, and what `HubSessions.finish` does."""
        try:
            current = await current_caller(request, self._cookie, self._authenticate)
            token = await self._sessions.finish(_answer(request), self._attempt(request), current)
            caller = await self._admitted(token)
        except HfchatError as refused:
            log_sign_in_refusal(request, refused)
            raise
        log_sign_in(request, caller)
        response = RedirectResponse("/", status_code=303)
        lasts_s = int(caller.expires_at - time.time())
        response.headers.append("Set-Cookie", self._cookie.header(request.scope, token, lasts_s))
        response.headers.append("Set-Cookie", self._attempt_cookie.header(request.scope, "", 0))
        return response

    async def _admitted(self, token: str) -> Caller:
        """Who has this session, which ends where its person is blocked: nobody would sign out of it."""
        try:
            return await self._authenticate(token)
        except RevokedToken:
            await self._sessions.end(token)
            raise

    def _attempt(self, request: Request) -> str:
        try:
            return self._attempt_cookie.token(request.scope)
        except InvalidToken:
            return ""

    async def _metadata(self, _: Request) -> Response:
        if self._client_metadata is None:
            raise NotFound
        return JSONResponse(self._client_metadata)


def client_metadata(origin: str, title: str) -> dict[str, Any]:
    """The document at CLIENT_METADATA, whose address is the client's id (OAuth Client ID Metadata Document)."""
    return {
        "client_id": f"{origin}{CLIENT_METADATA}",
        "client_name": title,
        "client_uri": origin,
        "redirect_uris": [f"{origin}{HUB_CALLBACK}"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


def _frame(request: Request) -> str:
    """The id of the frame whose own link was followed. A link of another origin, or one that a person typed, could name the
    frame of somebody else, who would get the session.
    """
    frames = request.query_params.getlist("frame")
    ours = request.headers.getlist("sec-fetch-site") == ["same-origin"]
    return frames[0] if ours and len(frames) == 1 and _FRAME_ID.fullmatch(frames[0]) else ""


def _answer(request: Request) -> dict[str, str]:
    """What the provider says in the address. Raises: SignInFailed where it says a thing twice."""
    answer: dict[str, str] = {}
    for name in _PARAMETERS:
        values = request.query_params.getlist(name)
        if len(values) > 1 or any(len(value) > MAX_PARAMETER_CHARS for value in values):
            raise SignInFailed("sign_in_attempt")
        if values:
            answer[name] = values[0]
    return answer
