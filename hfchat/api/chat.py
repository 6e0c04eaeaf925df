"""`/api/ai/chat`: the chat for programs, as JSON and as server-sent events."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hfchat.api.bodies import ChatBody
from hfchat.api.idempotency import OnceResponse, Try, key_of
from hfchat.api.idempotency_runs import Runs
from hfchat.api.streaming import TurnResponse
from hfchat.api.turn_body import TurnBodies
from hfchat.chat.chat import Chat, authorize
from hfchat.http.validation import parse
from hfchat.i18n.language import language_of
from hfchat.ledger.ledger import Ledger
from hfchat.types import ADMIN_SCOPE, Caller, ChatRequest, Delta, Finish, Message

MAX_BODY_BYTES = 1024 * 1024
# As many messages as are taken have 2,000 in all, and each that is wrong makes an error of its own.
MAX_VALUES = 5000


class ChatEndpoint:
    """`POST /api/ai/chat`. The gate has let in only who has a bearer token."""

    def __init__(self, chat: Chat, ledger: Ledger, bodies: TurnBodies, runs: Runs) -> None:
        self._chat = chat
        self._ledger = ledger
        self._bodies = bodies
        self._runs = runs

    async def __call__(self, request: Request) -> Response:
        """Answer the last message of the conversation.

        With `"stream": true`: `data: {"delta": "..."}` events, then `event: done` with the body that a plain call
        would have got, or `event: error` with the error's body.

        With an `Idempotency-Key` header a retry of the same body within a day gets the same answer, one call and one charge.
        """
        sent = await self._bodies.read(request, MAX_BODY_BYTES, MAX_VALUES, pictures=False)
        body = parse(ChatBody, sent)
        asked = ChatRequest(
            tuple(Message(message.role, message.content) for message in body.messages),
            body.model,
            body.max_tokens,
            body.temperature,
            body.top_p,
            stream=bool(body.stream),
        )
        state = request.state
        caller: Caller = state.caller
        response = TurnResponse(
            self._chat.stream(caller, asked, request_id=state.request_id, on_quota=state.on_quota),
            _ChatForm(),
            stream=bool(body.stream),
            language=language_of(request.headers.get("accept-language", "")),
            request_id=state.request_id,
            to_owner=ADMIN_SCOPE in caller.scopes,
        )
        key = key_of(request.headers)
        if key is None:
            return response
        authorize(caller, asked)
        tried = await Try.soon(caller, request.url.path, key, sent)
        return OnceResponse(response, self._ledger, self._runs, caller, tried, state.on_quota)


class _ChatForm:
    """This door's own, plain form."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def delta(self, part: Delta) -> bytes:
        if not part.content:
            return b""
        self._pieces.append(part.content)
        # ASCII only: U+2028 and its like are line ends to careless readers.
        return f'data: {{"delta": {json.dumps(part.content)}}}\n\n'.encode("ascii")

    def done(self, finish: Finish) -> bytes:
        return b"event: done\ndata: " + self.whole(finish) + b"\n\n"

    def failed(self, body: dict[str, Any]) -> bytes:
        return f"event: error\ndata: {json.dumps(body)}\n\n".encode("ascii")

    def whole(self, finish: Finish) -> bytes:
        usage = finish.usage
        counted = usage and {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            **({"estimated": True} if usage.estimated else {}),
        }
        return json.dumps({"reply": "".join(self._pieces), "model": finish.model, "usage": counted}).encode("ascii")
