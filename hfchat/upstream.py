"""The router, or another server that speaks chat completions, through the hub client; nothing else in the program knows it.

The hub client sends, signs and bills; its own reading of a stream loses errors and connections, so the body is read here,
by `hfchat.sse`, to its end. For that, the client factory (`huggingface_hub.set_async_client_factory`) lends each throwaway
hub client our one pooled `httpx2.AsyncClient`, and keeps the response it was given.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
from huggingface_hub import AsyncInferenceClient, set_async_client_factory

from hfchat import errors as e
from hfchat.provider_words import parsed, sentences
from hfchat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from hfchat.translate import Refusal, translate
from hfchat.types import Call, Delta, Finish, Usage

CONNECT_TIMEOUT_S = 5.0
POOL_TIMEOUT_S = 5.0
KEEPALIVE_S = 30.0
MAX_CONNECTIONS = 2000
MAX_REFUSAL_BYTES = 64 * 1024
MAX_JSON_BYTES = 4 * 1024 * 1024
# How long the end of a body is waited for after [DONE]: its connection can then be used again. And how long for usage or
# [DONE] after the last delta: some servers send neither.
DRAIN_S = 0.3
AFTER_FINISH_S = 2.0
# `get_token` of the hub client would look for a saved token of the machine's user, on disk and on the network.
_NO_TOKEN = "none"  # noqa: S105


class _Loan:
    """What the hub client gets for one call: our pool, which leaving does not close, and which keeps the response."""

    def __init__(self, pool: httpx2.AsyncClient) -> None:
        self._pool = pool
        self.response: httpx2.Response | None = None

    async def __aenter__(self) -> "_Loan":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def forget(self) -> None:
        self.response = None

    @asynccontextmanager
    async def stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[httpx2.Response]:
        async with self._pool.stream(*args, **kwargs) as self.response:
            yield self.response


_loan: ContextVar[_Loan | None] = ContextVar("hfchat_loan", default=None)


def _lend() -> Any:
    # The factory is one for the process: other code than ours gets a client of its own, as without us.
    return _loan.get() or httpx2.AsyncClient(follow_redirects=True, timeout=None)


class HubUpstream:
    """Chat completions by the hub client. Made inside a running event loop and used in that one; `close` it.

    `base_url` None is the router, with auto routing; then `hf_token` must start with `hf_`.
    """

    def __init__(
        self, *, hf_token: str | None, base_url: str | None = None, bill_to: str | None = None, timeout_s: float = 60
    ) -> None:
        set_async_client_factory(_lend)
        self._hf_token = hf_token
        self._base_url = base_url
        self._bill_to = bill_to
        self._timeout_s = timeout_s
        self._usage_can_be_asked = True
        self._pool = httpx2.AsyncClient(
            limits=httpx2.Limits(
                max_connections=MAX_CONNECTIONS, max_keepalive_connections=200, keepalive_expiry=KEEPALIVE_S
            ),
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close the pool and its connections."""
        await self._pool.aclose()

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of a reply as they come, then a Finish. Closing it, or cancelling, ends the call at the provider.

        Raises: an error of `hfchat.errors` and nothing else, also after deltas were given.
        """
        try:
            async with self._send(call) as response, aclosing(self._read(response, call.model)) as parts:
                async for part in parts:
                    yield part
        except Exception as failure:
            error = translate(failure)
            error.model = call.model
            if error is failure:
                raise
            raise error from failure

    @asynccontextmanager
    async def _send(self, call: Call) -> AsyncIterator[httpx2.Response]:
        client, loan = self._client(), _Loan(self._pool)
        async with client:
            ask_usage = self._usage_can_be_asked
            refusal = await self._post(client, loan, call, ask_usage=ask_usage)
            if refusal is not None and ask_usage and _refuses_the_usage_question(refusal):
                refusal = await self._post(client, loan, call, ask_usage=False)
                # Only a server that answers without the question is one that cannot take it.
                if refusal is None:
                    self._usage_can_be_asked = False
            if refusal is not None or loan.response is None:
                raise translate(refusal or Refusal(502))
            yield loan.response

    async def _post(self, client: AsyncInferenceClient, loan: _Loan, call: Call, *, ask_usage: bool) -> Refusal | None:
        if "://" in call.model:
            raise e.InvalidRequest("model_id", param="model")
        loan.forget()
        token = _loan.set(loan)
        try:
            await client.chat_completion(
                messages=[{"role": message.role, "content": message.content} for message in call.messages],
                model=call.model,
                max_tokens=call.max_tokens,
                temperature=call.temperature,
                top_p=call.top_p,
                stream=True,
                stream_options={"include_usage": True} if ask_usage else None,  # type: ignore[arg-type]
            )
        except Exception as failure:
            # How the hub client reads a refusal loses its status or its words, or raises something of its own.
            if loan.response is None or loan.response.status_code < 300:
                error = translate(failure)
                # Nothing had come that could have been interrupted.
                raise (e.UpstreamUnavailable() if isinstance(error, e.UpstreamInterrupted) else error) from failure
        finally:
            _loan.reset(token)
        response = loan.response
        if response is None or response.status_code == 200:
            return None
        body = await _body(response, MAX_REFUSAL_BYTES, self._timeout_s)
        return Refusal(response.status_code, body, response.headers)

    def _client(self) -> AsyncInferenceClient:
        headers = {} if self._hf_token else {"authorization": None}
        return AsyncInferenceClient(
            base_url=self._base_url,
            provider="auto" if self._base_url is None else None,
            api_key=self._hf_token or _NO_TOKEN,
            bill_to=self._bill_to,
            headers=headers,  # type: ignore[arg-type]
            # The hub client hands its own time-out, None unless told, to every call: the pool's would not count.
            timeout=httpx2.Timeout(self._timeout_s, connect=CONNECT_TIMEOUT_S, pool=POOL_TIMEOUT_S),  # type: ignore[arg-type]
        )

    async def _read(self, response: httpx2.Response, model: str) -> AsyncGenerator[Delta | Finish, None]:
        reply = _Reply(model, response.headers)
        if response.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            yield reply.whole(await _body(response, MAX_JSON_BYTES, self._timeout_s))
        else:
            decoder = SSEDecoder()
            async with aclosing(_pieces(response)) as pieces:
                more = True
                while more and not reply.done:
                    events, more = await self._next_events(pieces, decoder, reply)
                    for event in events:
                        delta = reply.take(event)
                        if delta is not None:
                            yield delta
                await _drain(pieces)
        yield reply.finish()

    async def _next_events(
        self, pieces: AsyncGenerator[bytes, None], decoder: SSEDecoder, reply: "_Reply"
    ) -> tuple[list[ServerSentEvent], bool]:
        """The next events, and whether there may be more. Comments are no events: they do not hide a stalled model."""
        limit_s = min(self._timeout_s, AFTER_FINISH_S) if reply.finish_reason else self._timeout_s
        try:
            async with asyncio.timeout(limit_s):
                async for piece in pieces:
                    if events := decoder.feed(piece):
                        return events, True
                return decoder.close(), False
        except EventTooLarge as endless:
            raise e.UpstreamInvalidResponse from endless
        except (httpx2.TransportError, TimeoutError):
            if not reply.finish_reason:
                raise
        return [], False


class _Reply:
    """What is known of a reply while its events come in."""

    def __init__(self, model: str, headers: httpx2.Headers) -> None:
        self.model = model
        self.provider = headers.get("x-inference-provider")
        self.finish_reason = ""
        self.done = False
        self.usage: Usage | None = None
        self._began = False

    def take(self, event: ServerSentEvent) -> Delta | None:
        """What the event adds to the reply. Raises: the error that it carries, or UpstreamInvalidResponse."""
        data = event.data.strip()
        if data == "[DONE]":
            self.done = True
            return None
        if event.event == "error":
            raise translate(Refusal(200, data))
        if not data or self.done:
            return None
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as broken:
            raise e.UpstreamInvalidResponse from broken
        return self._add(chunk, "delta") if isinstance(chunk, dict) else None

    def whole(self, body: bytes) -> Delta:
        """A server that does not stream answers all at once. Raises: as `take`."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as broken:
            raise e.UpstreamInvalidResponse from broken
        delta = self._add(answer, "message") if isinstance(answer, dict) else None
        if not self._began:
            raise e.UpstreamInvalidResponse
        self.done = True
        return delta or Delta()

    def finish(self) -> Finish:
        """The end. Raises: where the reply never began, or was cut: a short answer must not pass for a whole one."""
        if not self._began:
            raise e.UpstreamInvalidResponse
        if not self.finish_reason and not self.done:
            raise e.UpstreamInterrupted
        reason = {"eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "": "stop"}
        return Finish(self.model, reason.get(self.finish_reason, self.finish_reason), self.usage, self.provider)

    def _add(self, chunk: dict[str, Any], key: str) -> Delta | None:
        if chunk.get("error"):
            raise translate(Refusal(200, chunk))
        if isinstance(chunk.get("usage"), dict):
            self.usage = _usage(chunk["usage"]) or self.usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
        if choice is None and choices is None and (chunk.get("detail") or chunk.get("message")):
            raise translate(Refusal(200, chunk))
        if choice is None:
            return None
        self._began = True
        if isinstance(choice.get("finish_reason"), str) and choice["finish_reason"]:
            self.finish_reason = choice["finish_reason"]
        if self.finish_reason == "error":
            raise e.UpstreamUnavailable
        said = choice.get(key)
        if not isinstance(said, dict):
            return None
        content = said.get("content")
        if isinstance(content, list):
            content = "".join(
                part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
            )
        thought = said.get("reasoning") or said.get("reasoning_content") or said.get("reasoning_text")
        content, thought = (text if isinstance(text, str) else "" for text in (content, thought))
        return Delta(content, thought) if content or thought else None


def _usage(counted: dict[str, Any]) -> Usage | None:
    prompt, completion = counted.get("prompt_tokens"), counted.get("completion_tokens")
    good = all(isinstance(count, int) and 0 <= count < 1 << 40 for count in (prompt, completion))
    return Usage(prompt, completion) if good else None  # type: ignore[arg-type]


def _refuses_the_usage_question(refusal: Refusal) -> bool:
    said = sentences(parsed(refusal.body)) if refusal.status in (400, 422) else []
    return any(re.search(r"stream[_ ]?options|include[_ ]?usage", sentence) for sentence in said)


async def _pieces(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    async for piece in response.aiter_bytes():
        yield piece


async def _body(response: httpx2.Response, limit: int, silence_s: float) -> bytes:
    """The body, or as much of it as `limit` and the provider allow: of a refusal a part is better than nothing."""
    body = b""
    try:
        async with aclosing(_pieces(response)) as pieces:
            while len(body) <= limit:
                async with asyncio.timeout(silence_s):
                    body += await anext(pieces)
    except StopAsyncIteration:
        pass
    except (httpx2.TransportError, TimeoutError):
        if response.status_code == 200:
            raise
    return body[:limit]


async def _drain(pieces: AsyncGenerator[bytes, None]) -> None:
    try:
        async with asyncio.timeout(DRAIN_S):
            async for _ in pieces:
                pass
    except (httpx2.TransportError, TimeoutError):
        pass  # the connection is closed instead of used again
