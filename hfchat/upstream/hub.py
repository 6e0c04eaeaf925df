"""The router, or another server that speaks chat completions, through the hub client; nothing else in the program knows it.

The hub client says where a call goes, signs and bills it. It neither sends the call nor reads the answer: that is done by
`hfchat.pool`, `hfchat.sse` and `hfchat.reply`, because the hub client's own reading loses errors and connections.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

import aiohttp
import orjson
from huggingface_hub import AsyncInferenceClient

from hfchat import errors as e
from hfchat.types import ROUTER_URL, Call, Delta, Finish, ModelFacts
from hfchat.upstream.coalescing import Coalescer
from hfchat.upstream.connections import Pool
from hfchat.upstream.failure_text import parsed, sentences
from hfchat.upstream.idle_timeout import IdleTimeout
from hfchat.upstream.model_list import read_models
from hfchat.upstream.reply import Reply
from hfchat.upstream.request_body import call_body
from hfchat.upstream.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from hfchat.upstream.translate import Refusal, translate

MAX_REFUSAL_BYTES = 64 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024
# How long the end of a body is waited for after [DONE]: its connection can then be used again. And how long for usage or
# [DONE] after the last delta: some servers send neither.
DRAIN_S = 0.3
AFTER_FINISH_S = 2.0
MODELS_TIMEOUT_S = 10.0
# What is not streamed is silent until it is whole.
WHOLE_ANSWERS_TAKE = 10
# `get_token` of the hub client would look for a saved token of the machine's user, on disk and on the network.
_NO_TOKEN = "none"  # noqa: S105


class HubUpstream:
    """Chat completions by the hub client. Made inside a running event loop and used in that one; `close` it.

    `base_url` None is the router, with auto routing; then `hf_token` must start with `hf_`.
    """

    def __init__(
        self, *, hf_token: str | None, base_url: str | None = None, bill_to: str | None = None, timeout_s: float = 60
    ) -> None:
        self._hf_token = hf_token
        self._base_url = base_url
        self._bill_to = bill_to
        self._timeout_s = timeout_s
        self._usage_can_be_asked = True
        self._pool = Pool()
        self._coalescer = Coalescer()

    async def close(self) -> None:
        """Close the pool and its connections."""
        await self._pool.close()

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of a reply as they come, then a Finish. Closing it, or cancelling, ends the call at the provider.

        Raises: an error of `hfchat.errors` and nothing else, also after deltas were given.
        """
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._send(call)
            reply, decoder, more = Reply(call, response.headers), SSEDecoder(), True
            if _comes_whole(response, call):
                yield reply.whole(await _body(response, MAX_JSON_BYTES))
            else:
                _stop_timing(response)
                passed_at = 0.0
                content = response.content
                with IdleTimeout(self._timeout_s, lambda: content.set_exception(TimeoutError())) as idle_timeout:
                    while more and not reply.done:
                        if reply.finish_reason:
                            idle_timeout.limit(min(self._timeout_s, AFTER_FINISH_S))
                        idle_timeout.start()
                        came, more = await _next_events(content, decoder, reply)
                        idle_timeout.stop()
                        for delta in reply.take(came):
                            yield delta
                        delay_s, passed_at = self._coalescer.delay_s(len(came), passed_at)
                        if delay_s:
                            await asyncio.sleep(delay_s)
                await _drain(content)
            yield reply.finish()
        except Exception as failure:
            error = translate(failure)
            if not isinstance(error, e.LimitReached):
                error.model = call.model
            if error is failure:
                raise
            raise error from failure
        finally:
            if response is not None:
                self._pool.done(response)

    async def models(self) -> list[ModelFacts]:
        """What the server lists. Raises: an error of `hfchat.errors` where it does not."""
        headers = {"authorization": f"Bearer {self._hf_token}"} if self._hf_token else {}
        url = f"{self._base_url or ROUTER_URL}/models"
        try:
            return read_models(orjson.loads(await self._pool.get(url, headers, MODELS_TIMEOUT_S, MAX_JSON_BYTES)))
        except Exception as failure:
            raise translate(failure) from failure

    def _silence_s(self, call: Call) -> float:
        return self._timeout_s if call.stream else self._timeout_s * WHOLE_ANSWERS_TAKE

    async def _send(self, call: Call) -> aiohttp.ClientResponse:
        """The answer, which is no refusal; whoever gets it gives it back to the pool."""
        ask_usage = self._usage_can_be_asked
        response = await self._post(call, ask_usage=ask_usage)
        if response.status == 200:
            return response
        refusal = await self._refusal(response)
        if not ask_usage or not _refuses_the_usage_question(refusal):
            raise translate(refusal)
        response = await self._post(call, ask_usage=False)
        if response.status != 200:
            raise translate(await self._refusal(response))
        # Only a server that answers without the question is one that cannot take it.
        self._usage_can_be_asked = False
        return response

    async def _post(self, call: Call, *, ask_usage: bool) -> aiohttp.ClientResponse:
        try:
            url, headers = await self._destination(call.model)
            return await self._pool.post(url, headers, call_body(call, ask_usage=ask_usage), self._silence_s(call))
        except Exception as failure:
            error = translate(failure)
            if error is failure:
                raise
            # Nothing had come that could have been interrupted.
            raise (e.UpstreamUnavailable() if isinstance(error, e.UpstreamInterrupted) else error) from failure

    async def _destination(self, model: str) -> tuple[str, dict[str, str]]:
        """The address and the headers of a call, as the hub client has them. Raises: InvalidRequest for a model that is an
        address, which the hub client would post to, with the owner's token.
        """
        if "://" in model:
            raise e.InvalidRequest("model_id", param="model")
        client = _Preparing(
            base_url=self._base_url,
            provider="auto" if self._base_url is None else None,
            api_key=self._hf_token or _NO_TOKEN,
            bill_to=self._bill_to,
            headers={} if self._hf_token else {"authorization": None},  # type: ignore[dict-item]
        )
        await client.chat_completion([], model=model, stream=True)
        prepared = client.prepared
        headers = {name: value for name, value in prepared.headers.items() if value is not None}
        return prepared.url, {**headers, "content-type": "application/json"}

    async def _refusal(self, response: aiohttp.ClientResponse) -> Refusal:
        try:
            return Refusal(response.status, await _body(response, MAX_REFUSAL_BYTES), response.headers)
        finally:
            self._pool.done(response)


class _Preparing(AsyncInferenceClient):
    """The hub client, up to where it would send: `prepared` has the request's `url` and `headers`.

    `_inner_post` is private; huggingface_hub is bounded below its next minor version, and a test holds this.
    """

    prepared: Any

    async def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> AsyncIterable[str]:  # type: ignore[override]
        self.prepared = request_parameters
        return _nothing()


async def _nothing() -> AsyncGenerator[str, None]:
    return
    yield


def _comes_whole(response: aiohttp.ClientResponse, call: Call) -> bool:
    """Some servers do not stream, whatever they are asked for, and others always do."""
    kind = response.content_type
    return kind == "application/json" or not (call.stream or kind == "text/event-stream")


async def _next_events(
    content: aiohttp.StreamReader, decoder: SSEDecoder, reply: Reply
) -> tuple[list[ServerSentEvent], bool]:
    """The next events, and whether there may be more. Comments are no events: they do not hide a stalled model.

    Whoever waits for the first word need not wait for what came with it to be read.
    """
    try:
        while piece := await (content.readany() if reply.first_word_sent else _one_piece(content)):
            if events := decoder.feed(piece):
                return events, True
        return decoder.close(), False
    except EventTooLarge as endless:
        raise e.UpstreamInvalidResponse from endless
    except (aiohttp.ClientError, TimeoutError, OSError) as failure:
        if events := decoder.feed(_unread(content, failure)):
            return events, True
        if not reply.finish_reason:
            raise
    return [], False


async def _one_piece(content: aiohttp.StreamReader) -> bytes:
    """What the provider sent at once, where there is more already; nothing at the end."""
    piece, more = await content.readchunk()
    while more and not piece:
        piece, more = await content.readchunk()
    return piece


def _stop_timing(response: aiohttp.ClientResponse) -> None:
    """Take from aiohttp its timer for each piece that comes."""
    connection = response.connection
    if connection is not None and connection.protocol is not None:
        connection.protocol.read_timeout = None


def _unread(content: aiohttp.StreamReader, failure: BaseException) -> bytes:
    """What came before the connection broke: aiohttp would keep it back, and say only that it broke."""
    if content.exception() is None:
        return b""
    content.set_exception(None)  # type: ignore[arg-type]
    try:
        return content.read_nowait()
    finally:
        content.set_exception(failure)


def _refuses_the_usage_question(refusal: Refusal) -> bool:
    said = sentences(parsed(refusal.body)) if refusal.status in (400, 422) else []
    return any(re.search(r"stream[_ ]?options|include[_ ]?usage", sentence) for sentence in said)


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or as much of it as `limit` and the provider allow: of a refusal a part is better than nothing."""
    body = bytearray()
    try:
        while len(body) <= limit and (piece := await response.content.readany()):
            body += piece
    except (aiohttp.ClientError, TimeoutError, OSError):
        if response.status == 200:
            raise
    return bytes(body[:limit])


async def _drain(content: aiohttp.StreamReader) -> None:
    if content.at_eof():
        return
    try:
        async with asyncio.timeout(DRAIN_S):
            while await content.readany():
                pass
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass  # the connection is closed instead of used again
