"""Chat endpoint: `POST /api/ai/chat`, answered as JSON or as server-sent events."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hfchat.api.bodies import ChatBody
from hfchat.api.turn import TurnAnswers
from hfchat.http.validation import parse
from hfchat.types import ChatRequest, Delta, Finish, Message

MAX_BODY_BYTES = 1024 * 1024
# As many messages as are taken have 2,000 in all, and each that is wrong makes an error of its own.
MAX_VALUES = 5000


class ChatEndpoint:
    """`POST /api/ai/chat`. The gate has let in only who has a bearer token."""

    def __init__(self, turns: TurnAnswers) -> None:
        self._turns = turns

    async def __call__(self, request: Request) -> Response:
        """Answer the last message of the conversation.

        With `"stream": true`: `data: {"delta": "..."}` events, then `event: done` with the body that a plain call
        would have got, or `event: error` with the error's body.

        With an `Idempotency-Key` header a retry of the same body within a day gets the same answer, one call and one charge.
        """
        sent = await self._turns.read_body(request, MAX_BODY_BYTES, MAX_VALUES, pictures=False)
        body = parse(ChatBody, sent)
        chat_request = ChatRequest(
            tuple(Message(message.role, message.content) for message in body.messages),
            body.model,
            body.max_tokens,
            body.temperature,
            body.top_p,
            stream=bool(body.stream),
        )
        return await self._turns.answer(request, sent, chat_request, _ChatForm())


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
