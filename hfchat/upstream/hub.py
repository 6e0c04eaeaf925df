"""Hub client: chat completions by Hugging Face's router, or another server, as a stream of deltas.

`destination` has the address and the headers by `huggingface_hub`. `connections` sends the call, `sse` and `reply` read the
response, because the hub client's own reading loses errors and connections.
"""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp
import orjson

from hfchat import errors as e
from hfchat.types import ROUTER_URL, Call, Delta, Finish, ModelFacts
from hfchat.upstream.call_form import CallForms
from hfchat.upstream.coalescing import Coalescer
from hfchat.upstream.connections import Pool, read_body
from hfchat.upstream.destination import Destinations
from hfchat.upstream.idle_timeout import IdleTimeout
from hfchat.upstream.model_list import read_models
from hfchat.upstream.reply import Reply
from hfchat.upstream.request_body import call_body
from hfchat.upstream.sse import EventTooLarge, ServerSentEvent
from hfchat.upstream.stream_body import MAX_JSON_BYTES, StreamBody, is_event_stream
from hfchat.upstream.translate import Refusal, translate

MAX_REFUSAL_BYTES = 64 * 1024
# DRAIN_S: the wait for the end of a body after [DONE], so that its connection can be used again. AFTER_FINISH_S: the wait for
# usage or [DONE] after the finish reason; some servers send neither.
DRAIN_S = 0.3
AFTER_FINISH_S = 2.0
MODELS_TIMEOUT_S = 10.0
# A reply that is not streamed sends nothing until it is whole: its timeout is longer by this factor.
WHOLE_REPLY_FACTOR = 10


class HubUpstream:
    """Chat completions by the hub client. Made inside a running event loop and used in that one; `close` it.

    `base_url` None is the router, with auto routing; then `hf_token` must start with `hf_`.
    """

    def __init__(
        self, *, hf_token: str | None, base_url: str | None = None, bill_to: str | None = None, timeout_s: float = 60
    ) -> None:
        self._hf_token = hf_token
        self._base_url = base_url
        self._destinations = Destinations(hf_token=hf_token, base_url=base_url, bill_to=bill_to)
        self._timeout_s = timeout_s
        self._forms = CallForms()
        self._pool = Pool()
        self._coalescer = Coalescer()

    async def close(self) -> None:
        """Close the pool and its connections."""
        await self._pool.close()

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of a reply as they come, then a Finish. Closing it, or cancelling, ends the call at the provider.

        Raises: an error of `hfchat.errors` and nothing else, also after deltas.
        """
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._send(call)
            reply, decoder, more = Reply(call, response.headers), StreamBody(), True
            if _is_whole(response, call):
                body = await read_body(response, MAX_JSON_BYTES)
                if not is_event_stream(body):
                    yield reply.whole(body)
                else:
                    for delta in reply.deltas([*decoder.feed(body), *decoder.close()]):
                        yield delta
            else:
                _disable_read_timeout(response)
                passed_at = 0.0
                content = response.content
                with IdleTimeout(self._timeout_s, lambda: content.set_exception(TimeoutError())) as idle_timeout:
                    while more and not reply.done:
                        if reply.finish_reason:
                            idle_timeout.limit(min(self._timeout_s, AFTER_FINISH_S))
                        idle_timeout.start()
                        events, more = await _next_events(content, decoder, reply)
                        idle_timeout.stop()
                        for delta in reply.deltas(events):
                            yield delta
                        delay_s, passed_at = self._coalescer.delay_s(len(events), passed_at)
                        if delay_s:
                            await asyncio.sleep(delay_s)
                await _drain(content)
            yield reply.finish()
        except Exception as failure:
            error = translate(failure)
            if not isinstance(error, e.LimitReached):
                error.model = call.model
            if call.own_token is not None:
                error.blame_payer()
            if error is failure:
                raise
            raise error from failure
        finally:
            if response is not None:
                self._pool.done(response)

    async def models(self) -> list[ModelFacts]:
        """The models that the server lists. Raises: an error of `hfchat.errors`."""
        headers = {"authorization": f"Bearer {self._hf_token}"} if self._hf_token else {}
        url = f"{self._base_url or ROUTER_URL}/models"
        try:
            return read_models(orjson.loads(await self._pool.get(url, headers, MODELS_TIMEOUT_S, MAX_JSON_BYTES)))
        except Exception as failure:
            raise translate(failure) from failure

    def _read_timeout_s(self, call: Call) -> float:
        return self._timeout_s if call.stream else self._timeout_s * WHOLE_REPLY_FACTOR

    async def _send(self, call: Call) -> aiohttp.ClientResponse:
        """The response, of status 200; the caller must give it back to the pool.

        Where the refusal says that the model wants the call in another form, it is sent again in that form, each form once.
        """
        form = self._forms.get(call.model)
        while True:
            sent = form.of(call)
            response = await self._post(sent, ask_usage=form.ask_usage)
            if response.status == 200:
                # Only now is it certain that the form was the reason.
                self._forms.remember(call.model, form)
                return response
            refusal = await self._refusal(response)
            other = form.other(sent, refusal)
            if other is None:
                raise translate(refusal)
            form = other

    async def _post(self, call: Call, *, ask_usage: bool) -> aiohttp.ClientResponse:
        try:
            own_token = await call.own_token() if call.own_token is not None else None
            url, headers = await self._destinations.of(call.model, own_token)
            return await self._pool.post(url, headers, call_body(call, ask_usage=ask_usage), self._read_timeout_s(call))
        except Exception as failure:
            error = translate(failure)
            if error is failure:
                raise
            # No reply had begun that could be interrupted.
            raise (e.UpstreamUnavailable() if isinstance(error, e.UpstreamInterrupted) else error) from failure

    async def _refusal(self, response: aiohttp.ClientResponse) -> Refusal:
        try:
            return Refusal(response.status, await read_body(response, MAX_REFUSAL_BYTES), response.headers)
        finally:
            self._pool.done(response)


def _is_whole(response: aiohttp.ClientResponse, call: Call) -> bool:
    """Whether the reply is not streamed: some servers never stream, others always do, whatever the call says."""
    media_type = response.content_type
    return media_type == "application/json" or not (call.stream or media_type == "text/event-stream")


async def _next_events(
    content: aiohttp.StreamReader, decoder: StreamBody, reply: Reply
) -> tuple[list[ServerSentEvent], bool]:
    """The next events, and whether there may be more. SSE comments are no events: they do not hide a stalled model.

    Until the first word is sent, only one piece of the body is read, to keep time to first token low.
    """
    try:
        while piece := await (content.readany() if reply.first_word_sent else _one_piece(content)):
            if events := decoder.feed(piece):
                return events, True
        return decoder.close(), False
    except EventTooLarge as error:
        raise e.UpstreamInvalidResponse from error
    except (aiohttp.ClientError, TimeoutError, OSError) as failure:
        if events := decoder.feed(_unread(content, failure)):
            return events, True
        if not reply.finish_reason:
            raise
    return [], False


async def _one_piece(content: aiohttp.StreamReader) -> bytes:
    """One chunk of the body as the provider sent it; empty at the end."""
    piece, more = await content.readchunk()
    while more and not piece:
        piece, more = await content.readchunk()
    return piece


def _disable_read_timeout(response: aiohttp.ClientResponse) -> None:
    """Turn off aiohttp's timer for each piece; IdleTimeout takes its place."""
    connection = response.connection
    if connection is not None and connection.protocol is not None:
        connection.protocol.read_timeout = None


def _unread(content: aiohttp.StreamReader, failure: BaseException) -> bytes:
    """The bytes received before the connection broke, which aiohttp holds back behind its exception."""
    if content.exception() is None:
        return b""
    content.set_exception(None)  # type: ignore[arg-type]
    try:
        return content.read_nowait()
    finally:
        content.set_exception(failure)


async def _drain(content: aiohttp.StreamReader) -> None:
    if content.at_eof():
        return
    try:
        async with asyncio.timeout(DRAIN_S):
            while await content.readany():
                pass
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass  # the connection is closed instead of reused
