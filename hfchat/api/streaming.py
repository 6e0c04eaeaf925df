"""Streaming response: a turn as server-sent events, or gathered into one JSON object.

The status is sent with the first delta, so that a refusal can have a status of its own. After that, comments keep the connection
alive while a model thinks for long. A caller who disconnects ends the turn at once, streamed or not, before the first delta too.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hfchat.errors import HfchatError
from hfchat.http.error_response import error_body
from hfchat.i18n.language import Language
from hfchat.types import Delta, Finish, Part

# Proxies close what is silent: nginx after 60 s, some after 30.
KEEPALIVE_S = 10.0
_SSE_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8")]
_JSON_HEADERS = [(b"content-type", b"application/json")]


class Form(Protocol):
    """How an endpoint writes a reply. One for each turn: it may remember what it wrote."""

    def delta(self, part: Delta) -> bytes:
        """The event of a piece of the reply; nothing where it shows none."""
        ...

    def done(self, finish: Finish) -> bytes:
        """The last events of a streamed reply."""
        ...

    def failed(self, body: dict[str, Any]) -> bytes:
        """The event of a failure in the middle, and the end."""
        ...

    def whole(self, finish: Finish) -> bytes:
        """The JSON of a reply that is not streamed, of which every `delta` was written."""
        ...


class TurnResponse(Response):
    """Streams the turn, or gathers it. `to_owner` shows the owner's hints in errors. `finished`: the reply is whole."""

    def __init__(
        self,
        turn: AsyncGenerator[Part, None],
        form: Form,
        *,
        stream: bool,
        language: Language,
        request_id: str,
        to_owner: bool,
    ) -> None:
        self._turn = turn
        self._form = form
        self._stream = stream
        self._language = language
        self._request_id = request_id
        self._to_owner = to_owner
        self._began = False
        self.finished = False
        self._left = False
        self._sent_at = asyncio.get_running_loop().time()
        self._waking: asyncio.TimerHandle | None = None
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises: HfchatError where the turn fails before anything was said."""
        answering = asyncio.current_task()
        watching = asyncio.create_task(self._watch(receive, answering))
        if self._stream:
            self._keep_awake(send)
        try:
            async with aclosing(self._turn) as turn:
                try:
                    await (self._events(turn, send) if self._stream else self._gather(turn, send))
                except HfchatError as error:
                    if not self._began:
                        raise  # the gate answers refusals
                    await self._send_event(self._form.failed(self._body(error)), send, more=False)
        except asyncio.CancelledError:
            if not self._left or answering is None or answering.uncancel():
                raise
        finally:
            watching.cancel()
            if self._waking is not None:
                self._waking.cancel()

    async def _watch(self, receive: Receive, answering: asyncio.Task[Any] | None) -> None:
        """End the turn when the caller leaves."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left = True
        if answering is not None:
            answering.cancel()

    def _keep_awake(self, send: Send) -> None:
        """Send a comment where nothing was sent for KEEPALIVE_S, and check again later."""
        loop = asyncio.get_running_loop()
        left_s = self._sent_at + KEEPALIVE_S - loop.time()
        if left_s <= 0:
            self._comment = loop.create_task(self._send_event(b": keep-alive\n\n", send))
        self._waking = loop.call_later(left_s if left_s > 0 else KEEPALIVE_S, self._keep_awake, send)

    async def _events(self, turn: AsyncGenerator[Part, None], send: Send) -> None:
        async for part in turn:
            if isinstance(part, Finish):
                self.finished = True
                await self._send_event(self._form.done(part), send, more=False)
            elif events := self._form.delta(part):
                await self._send_event(events, send)

    async def _gather(self, turn: AsyncGenerator[Part, None], send: Send) -> None:
        async for part in turn:
            if not isinstance(part, Finish):
                self._form.delta(part)
                continue
            self.finished = True
            body = self._form.whole(part)
            headers = [*_JSON_HEADERS, (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _send_event(self, events: bytes, send: Send, *, more: bool = True) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        if not self._began:
            self._began = True
            await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
        await send({"type": "http.response.body", "body": events, "more_body": more})

    def _body(self, error: HfchatError) -> dict[str, Any]:
        return error_body(error, self._language, request_id=self._request_id, to_owner=self._to_owner)
