"""Sign-in page and invite links. The session cookie holds the signed token itself: no session is stored on the server.

A GET changes no state: an invite link opens a page that says who signs in, and its button sends the form that does it.
"""

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hfchat.auth.authenticator import Authenticator
from hfchat.auth.hub_sessions import HubSessions, frame_id
from hfchat.auth.own_tokens import MAX_TOKEN_BYTES
from hfchat.auth.sign_in_attempt import ATTEMPT_S
from hfchat.errors import HfchatError, InvalidToken, SignInFailed, catalogue
from hfchat.gate.browser_session import current_caller, log_sign_in, log_sign_in_refusal, refuse_program
from hfchat.http.body import read_body
from hfchat.http.content_security_policy import small_page_policy
from hfchat.http.error_response import error_headers, in_words, say
from hfchat.http.html import STYLE, template
from hfchat.http.session_cookie import COMPACT, MAX_COOKIE_TOKEN, SessionCookie
from hfchat.i18n.errors import SIGN_IN_DETAILS, TOKEN_PAGE
from hfchat.i18n.language import Language, language_of
from hfchat.i18n.sentences import PAGE
from hfchat.types import OWN_ISSUER, Caller

MAX_FORM_BYTES = 2 * MAX_TOKEN_BYTES
# Anybody may send one, so nobody is waited for as long as a caller who is known.
FORM_TIMEOUT_S = 10.0
FRAME_COOKIE = "hfchat_frame"
_REASONS = (
    "invalid_token",
    "expired_token",
    "revoked_token",
    "missing_token",
    "insufficient_scope",
    "sign_in_failed",
    "overloaded",
    "store_unavailable",
)
_BAD_TOKEN = frozenset({"invalid_token", "revoked_token"})
_SIGN_IN = template("gate/templates/sign_in.html")
_CONFIRM = template("gate/templates/confirm.html")
_SET_UP = template("gate/templates/set_up.html")


class SignIn:
    """`GET` and `POST /login`, `POST /logout`. The gate has refused what another site's page sends.

    `set_up` closes the sign-in and shows the owner how to set the program up instead. `hub_link` is the address of the sign-in
    with Hugging Face, whose sessions are `sessions`, where there is one; `with_token`: tokens and invite links are taken.
    """

    def __init__(
        self,
        authenticate: Authenticator,
        cookie: SessionCookie | None = None,
        *,
        set_up: bool = False,
        with_token: bool = True,
        hub_link: str | None = None,
        sessions: HubSessions | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._cookie = cookie or SessionCookie()
        self._form_csp = small_page_policy(STYLE, form=True, on_space=self._cookie.framed)
        self._set_up = set_up
        self._with_token = with_token
        self._hub_link = hub_link
        self._sessions = sessions
        self._frame_cookie = SessionCookie(https=True, framed=True, name=FRAME_COOKIE)

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        return [
            Route("/login", self._show, methods=["GET"]),
            Route("/login", self._sign_in, methods=["POST"]),
            Route("/logout", self._sign_out, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        """The form; for an invite link, the page that asks whether to sign in with its token."""
        language = language_of(request.headers.get("accept-language", ""))
        if self._set_up:
            return HTMLResponse(_set_up_page(language))
        token = request.query_params.get("token", "")
        if token and self._with_token:
            return await self._show_link(request, token, language)
        if (session_token := await self._claimed(request)) is not None:
            return await self._signed_in(request, session_token)
        why = request.query_params.get("why", "")
        if why in _REASONS:
            detail = request.query_params.get("detail", "")
            # What comes in the address may choose one of our sentences and say nothing of its own.
            reason = catalogue()[why](detail if detail in SIGN_IN_DETAILS else "")
            return self._sign_in_page(request, reason, reason.status)
        try:
            session = await current_caller(request, self._cookie, self._authenticate)
        except InvalidToken as refused:
            return self._sign_in_page(request, refused)
        return self._sign_in_page(request) if session is None else RedirectResponse("/", status_code=303)

    async def _show_link(self, request: Request, token: str, language: Language) -> Response:
        try:
            caller = await self._verified(token)
            session = await current_caller(request, self._cookie, self._authenticate)
        except HfchatError as refused:
            log_sign_in_refusal(request, refused)
            key = refused.reason
            return RedirectResponse(f"/login?why={refused.code}&detail={key}", status_code=303)
        if self._cookie.token(request.scope) == token:
            return RedirectResponse("/", status_code=303)
        texts = PAGE[language]
        return self._with_form(
            _CONFIRM.render(
                language=language, texts=texts, token=token, caller=caller, session=session, own_issuer=OWN_ISSUER
            )
        )

    def _sign_in_page(self, request: Request, error: HfchatError | None = None, status: int = 200) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        # Hugging Face shows its own sign-in in no frame, and a frame has cookies of its own: it is done in a tab, and the frame
        # gets the session by a secret that only its own cookie has.
        in_frame = _in_frame(request) and self._hub_link is not None
        frame_secret = (self._frame_secret(request) or secrets.token_urlsafe(32)) if in_frame else ""
        page = _SIGN_IN.render(
            language=language,
            texts=PAGE[language],
            reason="" if error is None else _words(error, language, with_hub=self._hub_link is not None),
            with_token=self._with_token,
            hub_link=f"{self._hub_link}?frame={frame_id(frame_secret)}" if in_frame else self._hub_link,
            in_frame=in_frame,
        )
        headers = error_headers(error) if error is not None and status != 200 else {}
        if in_frame:
            headers["Set-Cookie"] = self._frame_cookie.header(request.scope, frame_secret, ATTEMPT_S)
        return self._with_form(page, status, headers)

    def _frame_secret(self, request: Request) -> str:
        try:
            return self._frame_cookie.token(request.scope)
        except InvalidToken:
            return ""

    async def _claimed(self, request: Request) -> str | None:
        """The token of the session that was begun in a tab for the frame that asks; None without one."""
        frame_secret = self._frame_secret(request) if _in_frame(request) else ""
        return await self._sessions.claim(frame_secret) if self._sessions is not None and frame_secret else None

    def _with_form(self, document: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        return HTMLResponse(document, status, {**(headers or {}), "Content-Security-Policy": self._form_csp})

    async def _sign_in(self, request: Request) -> Response:
        if self._set_up:
            return HTMLResponse(_set_up_page(language_of(request.headers.get("accept-language", ""))))
        form = parse_qs(
            (await read_body(request.receive, MAX_FORM_BYTES, FORM_TIMEOUT_S)).decode("utf-8", errors="replace")
        )
        token = form.get("token", [""])[0].strip().rpartition("token=")[2]  # a whole invite link will do
        try:
            if not self._with_token:
                raise SignInFailed("sign_in_tokens")
            return await self._signed_in(request, token)
        except HfchatError as refused:
            log_sign_in_refusal(request, refused)
            return self._sign_in_page(request, refused, refused.status)

    async def _sign_out(self, request: Request) -> Response:
        """Delete the cookie; a session with Hugging Face ends with all that was made from it. Raises: StoreUnavailable."""
        if self._sessions is not None:
            with suppress(InvalidToken):  # of two cookies it is unknown which one is the visitor's
                await self._sessions.end(self._cookie.token(request.scope))
        response = RedirectResponse("/login", status_code=303)
        response.headers["Set-Cookie"] = self._cookie.header(request.scope, "", 0)
        return response

    async def _verified(self, token: str) -> Caller:
        if len(token) > MAX_COOKIE_TOKEN:
            raise InvalidToken("token_too_long" if len(token) > MAX_TOKEN_BYTES else "token_too_long_for_cookie")
        if not COMPACT.fullmatch(token):
            raise InvalidToken("token_malformed")
        caller = await self._authenticate(token)
        refuse_program(caller)
        return caller

    async def _signed_in(self, request: Request, token: str) -> Response:
        self._cookie.token(request.scope)  # where there are two of them, a third would not be read either
        caller = await self._verified(token)
        log_sign_in(request, caller)
        response = RedirectResponse("/", status_code=303)
        lasts_s = int(caller.expires_at - time.time())
        response.headers["Set-Cookie"] = self._cookie.header(request.scope, token, lasts_s)
        return response


def _in_frame(request: Request) -> bool:
    return request.headers.get("sec-fetch-dest") == "iframe"


def _words(error: HfchatError, language: Language, *, with_hub: bool) -> str:
    if error.code == "missing_token" or (with_hub and error.code == "expired_token"):
        # Only a page that was signed in a moment ago sends people here for want of a token.
        return PAGE[language]["session_over"]
    if error.reason == "two_sessions":
        return in_words(error, language)  # it says what to do; a new token would not help
    message, hint = say(error, language)
    # Who can sign in with Hugging Face need not ask anybody for a token.
    return message if with_hub and error.code in _BAD_TOKEN else f"{message} {hint}"


def _set_up_page(language: Language) -> str:
    return _SET_UP.render(language=language, texts=PAGE[language], token_page=TOKEN_PAGE)
