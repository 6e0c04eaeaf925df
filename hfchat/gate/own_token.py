"""`POST /own-token`: a signed-in visitor's own token, for their programs, which the session cookie hides from scripts.

Only a script of the page itself gets it: no form and no link can send the header, and the gate takes a cookie with a POST
from no other site.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfchat.errors import InvalidRequest, MissingToken
from hfchat.http.session_cookie import SessionCookie

HEADER = "x-hfchat-asks"


def own_token_route(cookie: SessionCookie) -> Route:
    """The route, for the app. The gate has let in only whose cookie is good; its answers are never stored."""

    async def own_token(request: Request) -> Response:
        if HEADER not in request.headers:
            raise InvalidRequest("required", param=HEADER)
        token = cookie.token(request.scope)
        if not token:
            raise MissingToken
        return JSONResponse({"token": token})

    return Route("/own-token", own_token, methods=["POST"])
