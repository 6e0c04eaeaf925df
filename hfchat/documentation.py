"""The two chat endpoints as the OpenAPI document has them; the gate calls them without a router in between."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from hfchat.api_bodies import ERRORS, ChatBody, ReplyBody, body_of
from hfchat.gate import Endpoint

_CHAT: dict[str, Any] = {
    "response_model": ReplyBody,
    "response_description": "The reply",
    "openapi_extra": body_of(ChatBody),
    "summary": "Chat",
}


def documented(endpoints: Mapping[str, Endpoint]) -> APIRouter:
    """A router with these endpoints, each with its docstring."""
    router = APIRouter(tags=["chat"])
    for path, endpoint in endpoints.items():
        more = _CHAT if path == "/api/ai/chat" else {"summary": "Chat completions"}

        router.add_api_route(
            path,
            _route(endpoint),
            methods=["POST"],
            responses=ERRORS,
            description=type(endpoint).__call__.__doc__,
            **more,
        )
    return router


def _route(endpoint: Endpoint) -> Endpoint:
    async def route(request: Request) -> Response:
        return await endpoint(request)

    return route
