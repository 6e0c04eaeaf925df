"""OpenAI-compatible endpoint: `POST /v1/chat/completions`. The provider's answer is passed on as it is.

But thoughts that have a field of their own, whatever its name, or parts of the content, are in `reasoning_content` as well;
those between tags in the content stay there, as the model wrote them. Where the provider streams and the caller did not ask for
it, or the other way round, nothing is lost.
"""

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
from hfchat.upstream.chunks import dumps, loads
from hfchat.upstream.completion import completion_of

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

        The fields that are listed are passed on, and so is the provider's answer. Another field is refused, with its name as
        `param`: it could cost more than is reserved, or go around the owner's system prompt. All system and developer messages
        go on as one in front, the owner's first. A model that refuses the role `system`, `max_tokens` or `stream_options` is
        asked again without. Where a server streams and was not asked to, or the other way round, the answer is converted.

        Thoughts that have a field or a part of their own are in `reasoning_content` too. Those between tags stay in `content`.

        A picture is a `data:image/...` URL, or an https address that the model's server fetches. The owner may limit its hosts.
        Films, sounds and files are refused. A body has up to 16 MB and 2,000 messages, in UTF-8, not compressed.

        In an error the hint stands in `message` too, since OpenAI's clients show nothing else.

        With an `Idempotency-Key` header a retry of the same body within a day gets the same answer, one call and one charge.
        """
        body = await self._turns.read_body(request, MAX_BODY_BYTES, MAX_VALUES, pictures=True)
        chat_request = await in_thread(len(body), read_completion, body, self._media_hosts)
        caller: Caller = request.state.caller
        model = chat_request.model or caller.policy.default_model
        form = _OpenAiForm(model, request.state.request_id, stream=chat_request.stream)
        return await self._turns.answer(request, body, chat_request, form)


class _OpenAiForm:
    """The provider's own events, or the one answer that they are; for an upstream that has none, the stand-in, the same made of
    its words.
    """

    def __init__(self, model: str, request_id: str, *, stream: bool) -> None:
        self._model = model
        self._request_id = request_id
        self._stream = stream
        self._made = int(time.time())
        self._began = self._own_words = False
        # The events of an answer that is not streamed.
        self._events: list[str] = []

    def delta(self, part: Delta) -> bytes:
        events = part.events
        if events is None:
            if not part.content:
                return b""
            self._own_words = True
            first = {} if self._began else {"role": "assistant"}
            self._began = True
            events = [self._chunk({"delta": {**first, "content": part.content}, "finish_reason": None})]
        if self._stream:
            return "".join([_event_of(data) for data in events]).encode(errors="replace")
        self._events += events
        return b""

    def done(self, finish: Finish) -> bytes:
        ending = b""
        if self._own_words or finish.truncated:
            ending = _event_of(self._chunk({"delta": {}, "finish_reason": finish.finish_reason})).encode()
        return ending + b"data: [DONE]\n\n"

    def failed(self, body: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(hint_in_message(body)) + b"\n\n"

    def whole(self, finish: Finish) -> bytes:
        if finish.data is not None:
            return finish.data.encode(errors="replace")
        completion = {**self._head("chat.completion"), **completion_of(map(loads, self._events))}
        if self._own_words or finish.truncated:
            for choice in completion["choices"]:
                choice["finish_reason"] = finish.finish_reason
        if (usage := finish.usage) is not None:
            completion["usage"] = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
                **(completion.get("usage") or {}),
            }
        return dumps(completion).encode(errors="replace")

    def _chunk(self, choice: dict[str, Any]) -> str:
        return dumps({**self._head("chat.completion.chunk"), "choices": [{"index": 0, **choice}]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self._request_id}", "object": kind, "created": self._made, "model": self._model}


def _event_of(data: str) -> str:
    return f"data: {data}\n\n" if "\n" not in data else "data: " + data.replace("\n", "\ndata: ") + "\n\n"
