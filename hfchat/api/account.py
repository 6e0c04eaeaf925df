"""Usage and revocation endpoints: `/api/ai/usage` says what a token has left; an admin revokes one at `/api/ai/revoke`."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from hfchat.api.bodies import QuotaBody, RevokeBody, RevokedBody, body_of, errors
from hfchat.auth.own_tokens import MAX_TOKEN_BYTES
from hfchat.auth.revocation import Revoke, token_in
from hfchat.errors import InsufficientScope, InvalidRequest, InvalidToken
from hfchat.http.body import read_body
from hfchat.http.validation import parse
from hfchat.ledger.quota import Quota, Remaining
from hfchat.types import ADMIN_SCOPE, Caller

MAX_BODY_BYTES = 2 * MAX_TOKEN_BYTES


def account_router(revoke: Revoke) -> APIRouter:
    """The routes. The gate has let in only who has a bearer token."""
    router = APIRouter(prefix="/api/ai", tags=["account"])

    @router.get(
        "/usage",
        response_model=QuotaBody,
        response_model_exclude_none=True,
        responses=errors(),
        operation_id="usage",
        summary="Usage",
    )
    async def usage_route(request: Request) -> Response:
        """What this token may still use. Where several limits hold, the one that says no first."""
        caller: Caller = request.state.caller
        quota: Quota = request.state.quota
        left = {name: _allowance(getattr(quota, name)) for name in ("rate", "budget", "streams")}
        return JSONResponse({"subject": caller.subject, **left})

    @router.post(
        "/revoke",
        response_model=RevokedBody,
        responses=errors(400, 403, 413, 415),
        operation_id="revoke",
        openapi_extra=body_of(RevokeBody),
        summary="Take a token back",
    )
    async def revoke_route(request: Request) -> Response:
        """Refuse a token from now on, at every door, and end its replies in progress. Needs the scope `admin`."""
        caller: Caller = request.state.caller
        if ADMIN_SCOPE not in caller.scopes:
            raise InsufficientScope("scope_missing", params={"value": ADMIN_SCOPE})
        body = parse(RevokeBody, await read_body(request.receive, MAX_BODY_BYTES))
        if (body.token is None) == (body.jti is None):
            raise InvalidRequest("one_of", params={"value": "`token`, `jti`"}, param="body")
        if body.token is not None and token_in(body.token) is None:
            raise InvalidRequest("token_malformed", param="token")
        try:
            return JSONResponse({"revoked": await revoke(body.token or body.jti or "")})
        except InvalidToken as invalid:
            # A 401 would say that the token which the request came with is not good.
            param = "token" if body.token else "jti"
            raise InvalidRequest(invalid.reason, params=invalid.params, param=param) from invalid

    return router


def _allowance(allowance: Remaining | None) -> dict[str, Any] | None:
    if allowance is None:
        return None
    return {name: value for name, value in asdict(allowance).items() if value is not None}
