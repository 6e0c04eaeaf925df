"""`/api/ai/*`: the chat for programs, as JSON and as server-sent events."""

import codecs
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Receive, Scope, Send

from hfchat.chat import Chat
from hfchat.conversation import MAX_MESSAGES
from hfchat.error_body import error_body, error_headers
from hfchat.errors import HfchatError, InvalidRequest
from hfchat.page_sessions import read_body
from hfchat.texts import language_of
from hfchat.types import ADMIN_SCOPE, Caller, ChatRequest, Finish, Message, Part

MAX_BODY_BYTES = 1024 * 1024
_STRICT = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class ChatMessage(BaseModel):
    """One message; the owner's system prompt is the owner's to set."""

    model_config = _STRICT
    role: Literal["user", "assistant"]
    content: str


class ChatBody(BaseModel):
    """What `POST /api/ai/chat` takes."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}]},
    )
    messages: Annotated[list[ChatMessage], Field(description=f"1 to {MAX_MESSAGES}; the last one is the user's.")]
    model: Annotated[str | None, Field(min_length=1, max_length=200, description="One that this chat offers.")] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000, description="Cut to the owner's limit.")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False, description="0 to 2.")] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False, description="Above 0, up to 1.")] = None
    stream: Annotated[bool | None, Field(description="Server-sent events instead of one JSON object.")] = None


class UsageBody(BaseModel):
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ReplyBody(BaseModel):
    """The answer. `usage` is null where the provider does not count."""

    reply: str
    model: str
    usage: UsageBody | None


class ErrorObject(BaseModel):
    """What went wrong, whose fault it is, and what to do."""

    code: str
    message: str
    hint: str
    fault: Literal["caller", "owner", "upstream"]
    retryable: bool
    retry_after_s: int | None
    param: str | None
    type: str
    request_id: str


class ErrorBody(BaseModel):
    """Every error, on every route."""

    error: ErrorObject


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": said}
    for status, said in {
        400: "The request is wrong, or the model cannot take it",
        401: "No token, or not a good one",
        403: "The token does not allow it",
        413: "The body is too large",
        429: "Too often; see Retry-After",
        502: "The provider failed, or the owner's set-up did",
        503: "Try again; see Retry-After",
        504: "The provider took too long",
    }.items()
}
_CHAT_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": ChatBody.model_json_schema()}}}
}


def api_router(chat: Chat) -> APIRouter:
    """The routes of the API. The gate has let in only who has a bearer token."""
    router = APIRouter(prefix="/api/ai", tags=["chat"])

    # The schema of the body stands in `openapi_extra`: the body is read here, so that every fault has our form and place.
    @router.post(
        "/chat",
        response_model=ReplyBody,
        response_description="The reply",
        responses=_ERRORS,
        openapi_extra=_CHAT_BODY,
        summary="Chat",
    )
    async def chat_route(request: Request) -> Response:
        """Answer the last message of the conversation.

        With `"stream": true`: `data: {"delta": "..."}` events, then `event: done` with the body that a plain call
        would have got, or `event: error` with the error's body.
        """
        body = _parse(await read_body(request.receive, MAX_BODY_BYTES))
        asked = ChatRequest(
            tuple(Message(message.role, message.content) for message in body.messages),
            body.model,
            body.max_tokens,
            body.temperature,
            body.top_p,
        )
        caller: Caller = request.state.caller
        turn = chat.stream(caller, asked, request_id=request.state.request_id)
        return _Turn(turn, stream=bool(body.stream), request=request)

    return router


class _Turn(Response):
    """A turn as an answer. Its status waits for the first delta, so a refusal comes before the first byte.

    A caller who leaves ends the turn at once, streamed or not, before the first delta too.
    """

    def __init__(self, turn: AsyncGenerator[Part, None], *, stream: bool, request: Request) -> None:
        self._turn = turn
        self._stream = stream
        self._language = language_of(request.headers.get("accept-language", ""))
        self._request_id: str = request.state.request_id
        self._to_owner = ADMIN_SCOPE in request.state.caller.scopes
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:

            async def stop_when_the_caller_leaves() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(stop_when_the_caller_leaves)
            async with aclosing(self._turn) as turn:
                response = await (self._events(turn, send) if self._stream else self._whole(turn))
            if response is not None:
                await response(scope, receive, send)
            group.cancel_scope.cancel()

    async def _whole(self, turn: AsyncGenerator[Part, None]) -> Response:
        pieces: list[str] = []
        try:
            async for part in turn:
                if isinstance(part, Finish):
                    return JSONResponse(_reply("".join(pieces), part))
                pieces.append(part.content)
            raise AssertionError("a turn ends with a Finish or an error")
        except HfchatError as error:
            return JSONResponse(self._error(error), error.status, headers=error_headers(error))

    async def _events(self, turn: AsyncGenerator[Part, None], send: Send) -> Response | None:
        pieces: list[str] = []
        began = False
        try:
            async for part in turn:
                if not began:
                    began = True
                    await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
                if isinstance(part, Finish):
                    await send(_event(_reply("".join(pieces), part), "done"))
                elif part.content:
                    pieces.append(part.content)
                    await send(_event({"delta": part.content}))
        except HfchatError as error:
            if not began:
                return JSONResponse(self._error(error), error.status, headers=error_headers(error))
            await send(_event(self._error(error), "error"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return None

    def _error(self, error: HfchatError) -> dict[str, Any]:
        return error_body(error, self._language, request_id=self._request_id, to_owner=self._to_owner)


# The last two keep nginx and a Space's proxy from holding the events back.
_SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


def _event(data: dict[str, Any], event: str = "") -> dict[str, Any]:
    name = f"event: {event}\n" if event else ""
    # ASCII only: U+2028 and its like are line ends to careless readers.
    return {"type": "http.response.body", "body": f"{name}data: {json.dumps(data)}\n\n".encode(), "more_body": True}


def _reply(text: str, finish: Finish) -> dict[str, Any]:
    usage = finish.usage
    counted = usage and {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    return {"reply": text, "model": finish.model, "usage": counted}


# pydantic's error types as our sentences; `{...}` is taken from the error's context.
_FAULTS = {
    "json_invalid": "not_json",
    "model_type": "object",
    "list_type": "list",
    "string_type": "text",
    "int_type": "whole_number",
    "int_from_float": "whole_number",
    "float_type": "number",
    "finite_number": "number",
    "bool_type": "boolean",
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "literal_error": "one_of|{expected}",
    "greater_than_equal": "at_least|{ge}",
    "less_than_equal": "at_most|{le}",
    "greater_than": "at_least|> {gt}",
    "string_too_short": "required",
    "string_too_long": "at_most|{max_length}",
}


def _parse(body: bytes) -> ChatBody:
    try:
        return ChatBody.model_validate_json(body.removeprefix(codecs.BOM_UTF8))
    except ValidationError as invalid:
        faults = invalid.errors(include_url=False, include_input=False)
        # A mistyped name first: it is why the right one is missing.
        fault = min(faults, key=lambda found: found["type"] != "extra_forbidden")
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]).lstrip(".")
        detail = _FAULTS.get(fault["type"], "unreadable").format(**fault.get("ctx", {}))
        raise InvalidRequest(detail, param=place[:200] or "body") from None
