"""Refusals of the gate: their line in the log, and their answer: JSON, a redirect to the sign-in, or a page that loads anew."""

import logging

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from hfchat.errors import HfchatError
from hfchat.gate.access import READ, is_page, speaks_openai
from hfchat.http.error_response import error_body, error_headers, hint_in_message, say
from hfchat.http.html import template
from hfchat.i18n.errors import SIGN_IN_DETAILS
from hfchat.i18n.language import language_of
from hfchat.logs import log_event
from hfchat.types import ADMIN_SCOPE, Caller

logger = logging.getLogger(__name__)

_RETRY = template("gate/templates/retry.html")


def log_refusal(error: HfchatError, method: str, request_id: str, caller: Caller | None) -> None:
    """One line in the log."""
    log_event(
        logger,
        logging.INFO,
        "refused",
        request_id=request_id,
        code=error.code,
        method=method,
        subject=caller.subject if caller else error.subject,
        jti=caller.token_id if caller else error.token_id,
    )


def refusal_response(
    error: HfchatError, scope: Scope, headers: Headers, request_id: str, caller: Caller | None
) -> Response:
    """The answer to a request that is refused."""
    navigates = scope["method"] in READ and "text/html" in headers.get("accept", "")
    if error.status == 401 and navigates and is_page(scope["path"]) and not scope["path"].startswith("/gradio_api/"):
        detail = f"&detail={error.reason}" if error.reason in SIGN_IN_DETAILS else ""
        # Nobody writes headers of their own in a browser: one that is no bearer is a proxy's.
        unsigned = error.code == "missing_token" or error.reason == "token_scheme"
        why = "" if unsigned else f"?why={error.code}{detail}"
        return RedirectResponse(f"/login{why}", status_code=303)
    language = language_of(headers.get("accept-language", ""))
    if error.status in (429, 503) and navigates and is_page(scope["path"]):
        # It loads anew by itself.
        message, hint = say(error, language)
        retry = {**error_headers(error), "Refresh": str(error.retry_after_s or 5)}
        return HTMLResponse(_RETRY.render(language=language, title=message, hint=hint), error.status, headers=retry)
    to_owner = caller is not None and ADMIN_SCOPE in caller.scopes
    body = error_body(error, language, request_id=request_id, to_owner=to_owner)
    body = hint_in_message(body) if speaks_openai(scope["path"]) else body
    return JSONResponse(body, error.status, headers=error_headers(error))
