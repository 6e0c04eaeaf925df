"""The sign-in page and invite links. The session cookie holds the signed token itself: no session is stored on the server.

A GET changes no state: an invite link opens a page that says who signs in, and its button sends the form that does it.
"""

import logging
import time
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hfchat.authentication import Authentication
from hfchat.error_body import error_headers, say
from hfchat.error_texts import SIGN_IN_DETAILS, TOKEN_PAGE
from hfchat.errors import HfchatError, InvalidToken, catalogue
from hfchat.logs import log_event
from hfchat.page_sessions import read_body
from hfchat.pages import page
from hfchat.session_cookie import COMPACT, MAX_COOKIE_TOKEN, SessionCookie
from hfchat.texts import PAGE, Language, language_of
from hfchat.types import OWN_ISSUER, Caller

logger = logging.getLogger(__name__)

MAX_FORM_BYTES = 16 * 1024
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


class SignIn:
    """`GET` and `POST /login`, `POST /logout`. The gate has refused what another site's page sends.

    `set_up` closes the sign-in and shows the owner how to set the program up instead.
    """

    def __init__(
        self, authenticate: Authentication, cookie: SessionCookie | None = None, *, set_up: bool = False
    ) -> None:
        self._authenticate = authenticate
        self._cookie = cookie or SessionCookie()
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
            try:
                caller = await self._verified(token)
            except HfchatError as refused:
                _log_refusal(request, refused)
                key = refused.detail.partition("|")[0]
                return RedirectResponse(f"/login?why={refused.code}&detail={key}", status_code=303)
            session = await self._session(request)
            if session is not None and session.token_id == caller.token_id:
                return RedirectResponse("/", status_code=303)
            return HTMLResponse(_confirm_page(language, token, caller, session))
        why = request.query_params.get("why", "")
        if why not in _REASONS:
            session = await self._session(request)
            return RedirectResponse("/", status_code=303) if session is not None else _sign_in_page(language)
        detail = request.query_params.get("detail", "")
        # What comes in the address may choose one of our sentences and say nothing of its own.
        reason = catalogue()[why](detail if detail in SIGN_IN_DETAILS else "")
        return _sign_in_page(language, reason)

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
            return _sign_in_page(language, refused)

    async def _sign_out(self, request: Request) -> Response:
        response = RedirectResponse("/login", status_code=303)
        response.headers["Set-Cookie"] = self._cookie.header(request.scope, "", 0)
        return response

    async def _verified(self, token: str) -> Caller:
        if len(token) > MAX_COOKIE_TOKEN:
            raise InvalidToken("token_too_long")
        if not COMPACT.fullmatch(token):
            raise InvalidToken("token_malformed")
        return await self._authenticate(token)

    async def _signed_in(self, request: Request, token: str) -> Response:
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
        """Who is signed in in this browser."""
        try:
            token = self._cookie.token(request.scope)
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


def _confirm_page(language: Language, token: str, caller: Caller, session: Caller | None) -> str:
    """Who signs in, and who is signed in already; one button."""
    texts, name = PAGE[language], _name(caller)
    already = ""
    if session is not None:
        already = (
            f'<p class="bad" role="alert">{texts["already_signed_in"].format(name=_name(session))}</p>'
            f'<p><a href="/">{texts["stay_signed_in"].format(name=_name(session))}</a></p>'
        )
    body = (
        f"<p>{texts['confirm_lead'].format(name=name)}</p>{already}"
        f'<form method="post" action="/login"><input type="hidden" name="token" value="{escape(token)}">'
        f"<button autofocus>{texts['confirm_button'].format(name=name)}</button></form>"
        f'<p class="soft">{texts["confirm_help"]}</p>'
    )
    return page(language, texts["sign_in"], body)


def _name(caller: Caller) -> str:
    """The person as HTML; with the issuer where another one signed the token, who may have people of the same name."""
    issuer = "" if caller.issuer == OWN_ISSUER else f" (<bdi>{escape(caller.issuer)}</bdi>)"
    return f"<bdi><strong>{escape(caller.subject)}</strong></bdi>{issuer}"


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
