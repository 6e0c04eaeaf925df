"""The sign-in page, invite links and the session cookie, which holds the signed token itself: no session is stored."""

import logging
import re
import time
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hfchat.authentication import Authentication
from hfchat.error_body import error_headers, say
from hfchat.error_texts import DETAILS, TOKEN_PAGE
from hfchat.errors import HfchatError, InvalidToken, catalogue
from hfchat.logs import log_event
from hfchat.page_sessions import COOKIE, MAX_COOKIE_TOKEN, read_body, session_token
from hfchat.pages import page
from hfchat.texts import PAGE, Language, language_of

logger = logging.getLogger(__name__)

MAX_FORM_BYTES = 16 * 1024
# RFC 7515 section 7.1; so nothing in it can end the cookie or the header.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REASONS = (
    "invalid_token",
    "expired_token",
    "revoked_token",
    "missing_token",
    "insufficient_scope",
    "store_unavailable",
)


class SignIn:
    """`GET` and `POST /login`, `POST /logout`. `framed` where the page is shown in another site's frame, as on a Space.

    `set_up` closes the sign-in and shows the owner how to set the program up instead.
    """

    def __init__(
        self, authenticate: Authentication, *, https: bool = False, framed: bool = False, set_up: bool = False
    ) -> None:
        self._authenticate = authenticate
        self._https = https
        self._framed = framed
        self._set_up = set_up

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        return [
            Route("/login", self._show, methods=["GET"]),
            Route("/login", self._sign_in, methods=["POST"]),
            Route("/logout", self._sign_out, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        """An invite link signs in at once; either way the token leaves the address bar."""
        language = language_of(request.headers.get("accept-language", ""))
        if self._set_up:
            return HTMLResponse(_set_up_page(language))
        token = request.query_params.get("token", "")
        if token:
            try:
                return await self._signed_in(request, token)
            except HfchatError as refused:
                _log_refusal(request, refused)
                key = refused.detail.partition("|")[0]
                return RedirectResponse(f"/login?why={refused.code}&detail={key}", status_code=303)
        why = request.query_params.get("why", "")
        if why not in _REASONS:
            signed_in = await self._has_session(request)
            return RedirectResponse("/", status_code=303) if signed_in else _sign_in_page(language)
        detail = request.query_params.get("detail", "")
        # What comes in the address may choose one of our sentences and say nothing of its own.
        reason = catalogue()[why](detail if detail in DETAILS else "")
        return _sign_in_page(language, reason)

    async def _sign_in(self, request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        if self._set_up:
            return HTMLResponse(_set_up_page(language))
        form = parse_qs((await read_body(request.receive, MAX_FORM_BYTES)).decode("utf-8", errors="replace"))
        token = form.get("token", [""])[0].strip().rpartition("token=")[2]  # a whole invite link will do
        try:
            return await self._signed_in(request, token)
        except HfchatError as refused:
            _log_refusal(request, refused)
            return _sign_in_page(language, refused)

    async def _sign_out(self, request: Request) -> Response:
        response = RedirectResponse("/login", status_code=303)
        response.headers["Set-Cookie"] = self._cookie(request, "", 0)
        return response

    async def _signed_in(self, request: Request, token: str) -> Response:
        if len(token) > MAX_COOKIE_TOKEN:
            raise InvalidToken("token_too_long")
        if not _COMPACT.fullmatch(token):
            raise InvalidToken("token_malformed")
        caller = await self._authenticate(token)
        log_event(
            logger,
            logging.INFO,
            "signed_in",
            request_id=request.state.request_id,
            subject=caller.subject,
            jti=caller.token_id,
        )
        response = RedirectResponse("/", status_code=303)
        response.headers["Set-Cookie"] = self._cookie(request, token, int(caller.expires_at - time.time()))
        return response

    async def _has_session(self, request: Request) -> bool:
        token = session_token(request.headers)
        try:
            return bool(token) and await self._authenticate(token) is not None
        except HfchatError:
            return False

    def _cookie(self, request: Request, token: str, max_age_s: int) -> str:
        """The header's value, by hand: Python writes `Partitioned` from 3.14 on. In a frame only this form is kept."""
        https = self._https or request.headers.get("x-forwarded-proto") == "https" or request.scope["scheme"] == "https"
        rules = "SameSite=None; Secure; Partitioned" if self._framed else f"SameSite=Lax{'; Secure' if https else ''}"
        return f"{COOKIE}={token}; Path=/; HttpOnly; Max-Age={max(max_age_s, 0)}; {rules}"


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


def _sign_in_page(language: Language, reason: HfchatError | None = None) -> HTMLResponse:
    texts = PAGE[language]
    bad = ""
    if reason is not None:
        # Only a page that was signed in a moment ago sends people here for want of a token.
        words = texts["session_over"] if reason.code == "missing_token" else " ".join(say(reason, language))
        bad = f'<p class="bad" role="alert">{escape(words)}</p>'
    body = (
        f"<p>{texts['sign_in_lead']}</p>{bad}"
        f'<form method="post" action="/login"><label for="token">{texts["token"]}</label>'
        '<input id="token" name="token" type="password" required autofocus autocomplete="off" spellcheck="false" '
        f'autocapitalize="off"><button>{texts["sign_in_button"]}</button></form>'
        f'<p class="soft">{texts["sign_in_help"]}</p>'
    )
    if reason is None:
        return HTMLResponse(page(language, texts["sign_in"], body))
    return HTMLResponse(page(language, texts["sign_in"], body), reason.status, error_headers(reason))


def _set_up_page(language: Language) -> str:
    texts = PAGE[language]
    steps = (
        f'{texts["set_up_1"]}<pre>python -c "import secrets; print(secrets.token_urlsafe(32))"</pre>',
        texts["set_up_2"],
        f'{texts["set_up_3"]} <a href="{escape(TOKEN_PAGE)}" rel="noreferrer">{escape(TOKEN_PAGE)}</a>',
        f"{texts['set_up_4']}<pre>JWT_SECRET=... python -m hfchat token issue alice --days 30</pre>",
    )
    items = "".join(f"<li>{step}</li>" for step in steps)
    return page(language, texts["set_up"], f"<p>{texts['set_up_lead']}</p><ol>{items}</ol>", wide=True)
