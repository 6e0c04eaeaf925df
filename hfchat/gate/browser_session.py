"""Session of a browser: who is signed in by its cookie, that a program's token is none, and the log of signing in."""

import logging

from starlette.requests import Request

from hfchat.auth.authenticator import Authenticator
from hfchat.errors import HfchatError, InvalidToken
from hfchat.http.session_cookie import SessionCookie
from hfchat.logs import log_event
from hfchat.types import Caller

logger = logging.getLogger(__name__)


async def current_caller(request: Request, cookie: SessionCookie, authenticate: Authenticator) -> Caller | None:
    """Who is signed in in this browser. Raises: InvalidToken for two session cookies."""
    token = cookie.token(request.scope)
    if not token:
        return None
    try:
        caller = await authenticate(token)
        refuse_program(caller)
    except HfchatError:
        return None
    return caller


def refuse_program(caller: Caller) -> None:
    """Raises: InvalidToken for a token that is for programs only."""
    if caller.account is not None and caller.account.program:
        raise InvalidToken("token_program")


def log_sign_in(request: Request, caller: Caller) -> None:
    """One line in the log; with the name by which people know somebody whose subject is a number."""
    log_event(
        logger,
        logging.INFO,
        "signed_in",
        request_id=request.state.request_id,
        subject=caller.subject,
        name=caller.account.name if caller.account else None,
        jti=caller.token_id,
    )


def log_sign_in_refusal(request: Request, refused: HfchatError) -> None:
    """One line in the log."""
    log_event(
        logger,
        logging.INFO,
        "sign_in_refused",
        request_id=request.state.request_id,
        code=refused.code,
        reason=refused.reason,
        subject=refused.subject,
        jti=refused.token_id,
    )
