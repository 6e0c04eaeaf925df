"""OpenAI-compatible endpoint: `POST /v1/chat/completions`. The provider's answer is passed on unchanged."""

import time
from collections.abc import Collection
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from hfchat.api.openai_body import read_completion
from hfchat.api.turn import TurnAnswers
from hfchat.http.error_response import hint_in_message
from hfchat.http.in_thread import in_thread
from hfchat.types import Caller, Delta, Finish

MAX_BODY_BYTES = 16 * 1024 * 1024  # pictures stand in it
MAX_VALUES = 50_000


class CompletionsEndpoint:
    """`POST /v1/chat/completions`. The gate has let in only who has a bearer token.

    `media_hosts`: those from which pictures may be fetched by whoever answers; None is any.
    """

    def __init__(self, turns: TurnAnswers, media_hosts: Collection[str] | None) -> None:
        self._turns = turns
        self._media_hosts = media_hosts

    async def __call__(self, request: Request) -> Response:
        """A chat completion, as OpenAI's API has it, streamed or not.

        With an `Idempotency-Key` header a retry of the same body within a day gets the same answer, one call and one charge.
        """
        body = await self._turns.read_body(request, MAX_BODY_BYTES, MAX_VALUES, pictures=True)
        chat_request = await in_thread(len(body), read_completion, body, self._media_hosts)
        caller: Caller = request.state.caller
        form = _OpenAiForm(chat_request.model or caller.policy.default_model, request.state.request_id)
        return await self._turns.answer(request, body, chat_request, form)


class _OpenAiForm:
    """The provider's own events; for an upstream that has none, the stand-in, the same made of its words."""

    def __init__(self, model: str, request_id: str) -> None:
        self._model = model
        self._request_id = request_id
        self._made = int(time.time())
        self._pieces: list[str] = []
        self._own_words = False

    def delta(self, part: Delta) -> bytes:
        if part.events is not None:
            self._pieces.append(part.content)
            return "".join([_event_of(data) for data in part.events]).encode(errors="replace")
        if not part.content:
            return b""
        self._own_words = True
        first = {} if self._pieces else {"role": "assistant"}
        self._pieces.append(part.content)
        return self._event({"delta": {**first, "content": part.content}, "finish_reason": None})

    def done(self, finish: Finish) -> bytes:
        ending = (
            self._event({"delta": {}, "finish_reason": finish.finish_reason})
            if self._own_words or finish.truncated
            else b""
        )
        return ending + b"data: [DONE]\n\n"

    def failed(self, body: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(hint_in_message(body)) + b"\n\n"

    def whole(self, finish: Finish) -> bytes:
        if finish.data is not None:
            return finish.data.encode(errors="replace")
        usage = finish.usage
        message = {"role": "assistant", "content": "".join(self._pieces)}
        answer = {
            **self._head("chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": finish.finish_reason}],
        }
        if usage is not None:
            answer["usage"] = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
            }
        return orjson.dumps(answer)

    def _event(self, choice: dict[str, Any]) -> bytes:
        chunk = {**self._head("chat.completion.chunk"), "choices": [{"index": 0, **choice}]}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self._request_id}", "object": kind, "created": self._made, "model": self._model}


def _event_of(data: str) -> str:
    return f"data: {data}\n\n" if "\n" not in data else "data: " + data.replace("\n", "\ndata: ") + "\n\n"
