"""Endpoint `POST /payer`: a member who signed in with Hugging Face chooses who pays from now on, the owner or they themself.

Only a script of the page itself may: no form and no link can send the header, and the gate takes a cookie with a POST from no
other site.
"""

import time
from typing import Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hfchat.auth.hub_sessions import HubSessions
from hfchat.errors import InvalidRequest
from hfchat.gate.browser_session import refuse_program
from hfchat.gate.own_token import HEADER
from hfchat.http.body import read_body
from hfchat.http.session_cookie import SessionCookie
from hfchat.http.validation import STRICT, parse
from hfchat.types import Caller

MAX_BODY_BYTES = 1024


class PayerBody(BaseModel):
    """Who pays: the `owner`, or the caller them`self`."""

    model_config = STRICT
    payer: Literal["owner", "self"]


def payer_route(cookie: SessionCookie, sessions: HubSessions | None) -> Route:
    """The route, for the app: the session goes on with another token, of the same `jti` and the same end."""

    async def choose(request: Request) -> Response:
        if HEADER not in request.headers:
            raise InvalidRequest("required", param=HEADER)
        body = parse(PayerBody, await read_body(request.receive, MAX_BODY_BYTES))
        caller: Caller = request.state.caller
        refuse_program(caller)
        if sessions is None or not cookie.token(request.scope):
            raise InvalidRequest("payer", param="payer")
        token = sessions.with_payer(caller, own_credit=body.payer == "self")
        response = Response(status_code=204)
        response.headers["Set-Cookie"] = cookie.header(request.scope, token, int(caller.expires_at - time.time()))
        return response

    return Route("/payer", choose, methods=["POST"])
