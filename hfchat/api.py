"""`/api/ai/chat`: the chat for programs, as JSON and as server-sent events."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from hfchat.api_bodies import ERRORS, ChatBody, ReplyBody, body_of, parse
from hfchat.chat import Chat
from hfchat.error_body import error_body, error_headers
from hfchat.errors import HfchatError
from hfchat.page_sessions import read_body
from hfchat.texts import language_of
from hfchat.types import ADMIN_SCOPE, Caller, ChatRequest, Finish, Message, Part

MAX_BODY_BYTES = 1024 * 1024


def chat_router(chat: Chat) -> APIRouter:
    """The chat. The gate has let in only who has a bearer token."""
    router = APIRouter(prefix="/api/ai", tags=["chat"])

    # The schema of the body stands in `openapi_extra`: the body is read here, so that every fault has our form and place.
    @router.post(
        "/chat",
        response_model=ReplyBody,
        response_description="The reply",
        responses=ERRORS,
        openapi_extra=body_of(ChatBody),
        summary="Chat",
    )
    async def chat_route(request: Request) -> Response:
        """Answer the last message of the conversation.

        With `"stream": true`: `data: {"delta": "..."}` events, then `event: done` with the body that a plain call
        would have got, or `event: error` with the error's body.
        """
        body = parse(ChatBody, await read_body(request.receive, MAX_BODY_BYTES))
        asked = ChatRequest(
            tuple(Message(message.role, message.content) for message in body.messages),
            body.model,
            body.max_tokens,
            body.temperature,
            body.top_p,
        )
        caller: Caller = request.state.caller
        turn = chat.stream(caller, asked, request_id=request.state.request_id, told=request.state.told)
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
        **({"estimated": True} if usage.estimated else {}),
    }
    return {"reply": text, "model": finish.model, "usage": counted}
