"""Sign-in page and invite links. The session cookie holds the signed token itself: no session is stored on the server.

A GET changes no state: an invite link opens a page that says who signs in, and its button sends the form that does it.
"""

import logging
import time
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hfchat.auth.authenticator import Authenticator
from hfchat.auth.own_tokens import MAX_TOKEN_BYTES
from hfchat.errors import HfchatError, InvalidToken, catalogue
from hfchat.http.body import read_body
from hfchat.http.content_security_policy import small_page_policy
from hfchat.http.error_response import error_headers, in_words, say
from hfchat.http.html import STYLE, template
from hfchat.http.session_cookie import COMPACT, MAX_COOKIE_TOKEN, SessionCookie
from hfchat.i18n.errors import SIGN_IN_DETAILS, TOKEN_PAGE
from hfchat.i18n.language import Language, language_of
from hfchat.i18n.sentences import PAGE
from hfchat.logs import log_event
from hfchat.types import OWN_ISSUER, Caller

logger = logging.getLogger(__name__)

MAX_FORM_BYTES = 2 * MAX_TOKEN_BYTES
# Anybody may send one, so nobody is waited for as long as a caller who is known.
FORM_TIMEOUT_S = 10.0
_REASONS = (
    "invalid_token",
    "expired_token",
    "revoked_token",
    "missing_token",
    "insufficient_scope",
    "store_unavailable",
)
_SIGN_IN = template("gate/templates/sign_in.html")
_CONFIRM = template("gate/templates/confirm.html")
_SET_UP = template("gate/templates/set_up.html")


class SignIn:
    """`GET` and `POST /login`, `POST /logout`. The gate has refused what another site's page sends.

    `set_up` closes the sign-in and shows the owner how to set the program up instead.
    """

    def __init__(
        self, authenticate: Authenticator, cookie: SessionCookie | None = None, *, set_up: bool = False
    ) -> None:
        self._authenticate = authenticate
        self._cookie = cookie or SessionCookie()
        self._form_csp = small_page_policy(STYLE, form=True, on_space=self._cookie.framed)
        self._set_up = set_up

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
        if token:
            return await self._show_link(request, token, language)
        why = request.query_params.get("why", "")
        if why in _REASONS:
            detail = request.query_params.get("detail", "")
            # What comes in the address may choose one of our sentences and say nothing of its own.
            reason = catalogue()[why](detail if detail in SIGN_IN_DETAILS else "")
            return self._with_form(_sign_in_page(language, reason), reason.status, error_headers(reason))
        try:
            session = await self._session(request)
        except InvalidToken as refused:
            return self._with_form(_sign_in_page(language, refused))
        return self._with_form(_sign_in_page(language)) if session is None else RedirectResponse("/", status_code=303)

    async def _show_link(self, request: Request, token: str, language: Language) -> Response:
        try:
            caller = await self._verified(token)
            session = await self._session(request)
        except HfchatError as refused:
            _log_refusal(request, refused)
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

    def _with_form(self, document: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        return HTMLResponse(document, status, {**(headers or {}), "Content-Security-Policy": self._form_csp})

    async def _sign_in(self, request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        if self._set_up:
            return HTMLResponse(_set_up_page(language))
        form = parse_qs(
            (await read_body(request.receive, MAX_FORM_BYTES, FORM_TIMEOUT_S)).decode("utf-8", errors="replace")
        )
        token = form.get("token", [""])[0].strip().rpartition("token=")[2]  # a whole invite link will do
        try:
            return await self._signed_in(request, token)
        except HfchatError as refused:
            _log_refusal(request, refused)
            return self._with_form(_sign_in_page(language, refused), refused.status, error_headers(refused))

    async def _sign_out(self, request: Request) -> Response:
        response = RedirectResponse("/login", status_code=303)
        response.headers["Set-Cookie"] = self._cookie.header(request.scope, "", 0)
        return response

    async def _verified(self, token: str) -> Caller:
        if len(token) > MAX_COOKIE_TOKEN:
            raise InvalidToken("token_too_long" if len(token) > MAX_TOKEN_BYTES else "token_too_long_for_cookie")
        if not COMPACT.fullmatch(token):
            raise InvalidToken("token_malformed")
        return await self._authenticate(token)

    async def _signed_in(self, request: Request, token: str) -> Response:
        self._cookie.token(request.scope)  # where there are two of them, a third would not be read either
        caller = await self._verified(token)
        log_event(
            logger,
            logging.INFO,
            "signed_in",
            request_id=request.state.request_id,
            subject=caller.subject,
            jti=caller.token_id,
        )
        response = RedirectResponse("/", status_code=303)
        lasts_s = int(caller.expires_at - time.time())
        response.headers["Set-Cookie"] = self._cookie.header(request.scope, token, lasts_s)
        return response

    async def _session(self, request: Request) -> Caller | None:
        """Who is signed in in this browser. Raises: InvalidToken for two session cookies."""
        token = self._cookie.token(request.scope)
        try:
            return await self._authenticate(token) if token else None
        except HfchatError:
            return None


def _log_refusal(request: Request, refused: HfchatError) -> None:
    log_event(
        logger,
        logging.INFO,
        "sign_in_refused",
        request_id=request.state.request_id,
        code=refused.code,
        subject=refused.subject,
        jti=refused.token_id,
    )


def _sign_in_page(language: Language, error: HfchatError | None = None) -> str:
    reason = "" if error is None else _words(error, language)
    return _SIGN_IN.render(language=language, texts=PAGE[language], reason=reason)


def _words(error: HfchatError, language: Language) -> str:
    if error.code == "missing_token":
        # Only a page that was signed in a moment ago sends people here for want of a token.
        return PAGE[language]["session_over"]
    if error.reason == "two_sessions":
        return in_words(error, language)  # it says what to do; a new token would not help
    return " ".join(say(error, language))


def _set_up_page(language: Language) -> str:
    return _SET_UP.render(language=language, texts=PAGE[language], token_page=TOKEN_PAGE)
