"""Endpoint `POST /own-token`: a signed-in visitor's own token, for their programs, which the session cookie hides from scripts.

Only a script of the page itself gets it: no form and no link can send the header, and the gate takes a cookie with a POST
from no other site.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfchat.auth.hub_sessions import HubSessions
from hfchat.errors import InvalidRequest, MissingToken
from hfchat.gate.browser_session import refuse_program
from hfchat.http.session_cookie import SessionCookie
from hfchat.types import Caller

HEADER = "x-hfchat-asks"


def own_token_route(cookie: SessionCookie, sessions: HubSessions | None = None) -> Route:
    """The route, for the app. The gate has let in only whose cookie is good; its answers are never stored.

    Who signed in with Hugging Face gets a token for programs only, which ends with their session.
    """

    async def own_token(request: Request) -> Response:
        if HEADER not in request.headers:
            raise InvalidRequest("required", param=HEADER)
        token = cookie.token(request.scope)
        if not token:
            raise MissingToken
        caller: Caller = request.state.caller
        refuse_program(caller)
        if sessions is not None and caller.account is not None:
            return JSONResponse({"token": sessions.program_token(caller), "ends_with_session": True})
        return JSONResponse({"token": token})

    return Route("/own-token", own_token, methods=["POST"])
