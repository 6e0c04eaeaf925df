"""OpenAPI document: what FastAPI makes of the routes, with the headers and errors that the gate adds."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from hfchat.api.bodies import ChatBody, ReplyBody, body_of, errors, takes
from hfchat.api.openai_schema import ANSWER, COMPLETION

Endpoint = Callable[[Request], Awaitable[Response]]

# OpenAPI 3.1 has no words for the events of a stream.
_EVENTS: dict[str, Any] = {"text/event-stream": {"schema": {}}}
_CHAT: dict[str, Any] = {
    "response_model": ReplyBody,
    "response_description": "The reply",
    "responses": {200: {"content": _EVENTS}, **errors(400, 402, 403, 413, 415, 429, 502, 504)},
    "openapi_extra": body_of(ChatBody),
    "operation_id": "chat",
    "summary": "Chat",
}
_COMPLETIONS: dict[str, Any] = {
    "response_description": "The reply",
    "responses": {
        200: {"content": {"application/json": {"schema": ANSWER}, **_EVENTS}},
        **errors(400, 402, 403, 413, 415, 429, 502, 504),
    },
    "openapi_extra": takes(COMPLETION),
    "operation_id": "completions",
    "summary": "Chat completions",
}

_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-Request-Id": ("By this the log tells of the request.", {"type": "string", "pattern": "^[0-9a-f]{16}$"}),
    "RateLimit-Limit": ("Requests in a window.", {"type": "integer", "minimum": 1}),
    "RateLimit-Remaining": ("Requests that are left in it.", {"type": "integer", "minimum": 0}),
    "RateLimit-Reset": ("Seconds until the next one.", {"type": "integer", "minimum": 0}),
    "X-Budget-Remaining": ("Tokens that are left.", {"type": "integer", "minimum": 0}),
    "X-Hfchat-Attempts": ("Calls upstream, where it took more than one.", {"type": "integer", "minimum": 2}),
    "WWW-Authenticate": ("How to sign in.", {"type": "string", "pattern": "^Bearer "}),
    "Retry-After": ("Seconds to wait before the next try.", {"type": "integer", "minimum": 0}),
    "X-Should-Retry": ("Where a try within a minute is of no use.", {"type": "string", "enum": ["false"]}),
    "Accept-Encoding": ("How a body may be coded: not at all.", {"type": "string", "enum": ["identity"]}),
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The token of your invite link; on the chat page, your menu has it under *Use it from a program*.",
}
_TOKEN_HEADER = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Hfchat-Token",
    "description": "The same token, where a proxy or a private Space takes `Authorization` for itself; it goes before that one.",
}
_STANDING = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Budget-Remaining")


def documented(endpoints: Mapping[str, Endpoint]) -> APIRouter:
    """A router with the two chat endpoints, each with its docstring; the gate calls them without it in between."""
    router = APIRouter(tags=["chat"])
    for path, endpoint in endpoints.items():
        router.add_api_route(
            path,
            _route(endpoint),
            methods=["POST"],
            description=inspect.getdoc(type(endpoint).__call__),
            **(_CHAT if path == "/api/ai/chat" else _COMPLETIONS),
        )
    return router


def _route(endpoint: Endpoint) -> Endpoint:
    async def route(request: Request) -> Response:
        return await endpoint(request)

    return route


def openapi_document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What gives the document of this app."""

    @functools.cache  # made at the first request: 40 ms
    def openapi() -> dict[str, Any]:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        components = document.setdefault("components", {})
        components["securitySchemes"] = {"bearer": _BEARER, "token": _TOKEN_HEADER}
        document["security"] = [{"bearer": []}, {"token": []}]
        for operation in _operations(document):
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            components["schemas"].update(body.pop("$defs", {}))
            for status, answer in operation["responses"].items():
                answer["headers"] = _headers(status)
        return document

    return openapi


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        yield from operations.values()


def _headers(status: str) -> dict[str, Any]:
    """The headers of an answer. An error may come before it is known who asks and what they have left."""
    always = {"401": ["WWW-Authenticate"], "415": ["Accept-Encoding"], "429": ["Retry-After"], "200": _STANDING}
    required = always.get(status, ())
    attempts = () if status == "401" else ("X-Hfchat-Attempts",)
    maybe = {"401": (), "200": (), "503": (*_STANDING, "Retry-After")}.get(status, _STANDING) + attempts
    if status != "200":
        maybe = (*maybe, "X-Should-Retry")
    return {
        name: {"description": description, "required": name not in maybe, "schema": schema}
        for name, (description, schema) in _HEADERS.items()
        if name in ("X-Request-Id", *required, *maybe)
    }
