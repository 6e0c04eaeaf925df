"""Chat endpoint: `POST /api/ai/chat`, answered as JSON or as server-sent events."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hfchat.api.bodies import ChatBody
from hfchat.api.turn import TurnAnswers
from hfchat.chat.reasoning import ReasoningSplitter
from hfchat.http.validation import parse
from hfchat.i18n.endings import ending
from hfchat.i18n.language import Language, language_of
from hfchat.types import ChatRequest, Delta, Finish, Message

MAX_BODY_BYTES = 1024 * 1024
# As many messages as are taken have 2,000 in all, and each that is wrong makes an error of its own.
MAX_VALUES = 5000
# The ends of a reply that are said in words: of these a caller need not know the names.
_NOTED = ("content_filter", "tool_calls", "function_call")


class ChatEndpoint:
    """`POST /api/ai/chat`. The gate has let in only who has a bearer token."""

    def __init__(self, turns: TurnAnswers) -> None:
        self._turns = turns

    async def __call__(self, request: Request) -> Response:
        """Answer the last message of the conversation.

        With `"stream": true`: `data: {"delta": "..."}` events, then `event: done` with the body that a plain call
        would have got, or `event: error` with the error's body. What a model thinks aloud is no part of it: where that is known
        by its end only, the deltas have it, and the `reply` of the last event has not.

        Where a filter of the provider cut the reply, or the model only wanted a tool, `finish_reason` and `note` say so.

        With an `Idempotency-Key` header a retry of the same body within a day gets the same answer, one call and one charge.
        It waits while the first call runs. Another body under the same key is refused. A call that failed, or was left, is not
        kept. The kept answer is sealed with the key and the body, which are kept nowhere.

        A body is JSON in UTF-8, not compressed, of up to 1 MB and 500 messages. Half an emoji becomes U+FFFD.
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
        form = _ChatForm(language_of(request.headers.get("accept-language", "")))
        return await self._turns.answer(request, sent, chat_request, form)


class _ChatForm:
    """This door's own, plain form: the answer, without what the model thinks aloud."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._splitter = ReasoningSplitter()
        self._tools: list[str] = []

    def delta(self, part: Delta) -> bytes:
        if part.extras is not None:
            self._tools += part.extras.tools
        return self._event(self._splitter.add(part.content)) if part.content else b""

    def done(self, finish: Finish) -> bytes:
        return self._event(self._splitter.end()) + b"event: done\ndata: " + self.whole(finish) + b"\n\n"

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
        self._splitter.end()
        _, reply = self._splitter.split()
        body = {"reply": reply, "model": finish.model, "usage": counted}
        if finish.finish_reason in _NOTED or (self._tools and not reply.strip()):
            note = ending(finish.finish_reason, self._tools, self._language, empty=not reply.strip())
            body |= {"finish_reason": finish.finish_reason, "note": note} if note else {}
        return json.dumps(body).encode("ascii")

    def _event(self, text: str) -> bytes:
        # ASCII only: U+2028 and its like are line ends to careless readers.
        return f'data: {{"delta": {json.dumps(text)}}}\n\n'.encode("ascii") if text else b""
