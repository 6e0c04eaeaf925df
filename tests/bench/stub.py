"""The upstream: `python -m tests.bench.stub PORT TLS_PORT CERTIFICATE` answers on loopback.

It says nothing that it has not ready, so that it is several times faster than what is measured, and counts what it sees:
`GET /counted` says and forgets it.
"""

import asyncio
import gc
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import httptools
import orjson
import uvloop

from tests.bench.replies import NUMBER, PROMPT_TOKENS, Shape, paced_word, words

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
PLACE = "@number@"


@dataclass
class Counted:
    """What was seen since it was last asked for."""

    connections: int = 0
    requests: int = 0
    left_early: int = 0
    open_streams: int = 0
    most_streams: int = 0
    prompt_messages: int = 0


def _framed(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def _event(model: str, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return b"data: " + orjson.dumps({**_head(model, "chat.completion.chunk"), "choices": [choice]}) + b"\n\n"


def _head(model: str, kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-7d2f0f6f2f9f4c6c9a3e1b5d",
        "object": kind,
        "created": 1760000000,
        "model": model,
        "system_fingerprint": "fp_stub",
    }


def _usage(model: str) -> dict[str, int]:
    tokens = Shape.of(model).tokens
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}


@lru_cache
def _finish(model: str, counts: bool) -> bytes:
    usage = {**_head(model, "chat.completion.chunk"), "choices": [], "usage": _usage(model)}
    counted = [b"data: " + orjson.dumps(usage) + b"\n\n"] if counts else []
    return _framed(_event(model, {}, "stop"), *counted, b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _word_event(model: str, word: str) -> bytes:
    return _event(model, {"role": "assistant", "content": word})


@lru_cache
def _stream_parts(model: str, chunks: int, counts: bool) -> tuple[bytes, bytes]:
    """A whole stream, all of it but the number of its question."""
    first = _framed(_word_event(model, "#" * 8 + " "))
    rest = _framed(*(_word_event(model, word) for word in words(chunks))) + _finish(model, counts)
    before, _, after = (STREAM_HEAD + first).partition(b"#" * 8)
    return before, after + rest


@lru_cache
def _json_parts(model: str, chunks: int) -> tuple[bytes, bytes]:
    """A whole answer that is not streamed, the same way."""
    message = {"role": "assistant", "content": "#" * 8 + " " + "".join(words(chunks))}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = orjson.dumps({**_head(model, "chat.completion"), "choices": [choice], "usage": _usage(model)})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    before, _, after = (head + body).partition(b"#" * 8)
    return before, after


class Connection(asyncio.Protocol):
    """One connection of a caller's."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._streaming = False
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._counted.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._streaming:
            self._counted.left_early += 1
            self._counted.open_streams -= 1
            self._streaming = False

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._url == b"/counted":
            self._say_what_was_counted()
        elif self._url.endswith(b"/chat/completions"):
            self._answer(b"".join(self._body))
        else:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    def _say_what_was_counted(self) -> None:
        body = orjson.dumps(asdict(self._counted))
        still_open = self._counted.open_streams
        self._counted.__init__(open_streams=still_open, most_streams=still_open)  # type: ignore[misc]
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    def _answer(self, body: bytes) -> None:
        request = orjson.loads(body)
        asked = NUMBER.search(body)
        number = asked[1] if asked else b"00000000"
        model = request["model"]
        shape = Shape.of(model)
        self._counted.requests += 1
        self._counted.prompt_messages += len(request["messages"])
        if not request.get("stream"):
            before, after = _json_parts(model, shape.chunks)
            self._transport.write(before + number + after)
            return
        counts = bool((request.get("stream_options") or {}).get("include_usage"))
        self._counted.open_streams += 1
        self._counted.most_streams = max(self._counted.most_streams, self._counted.open_streams)
        if shape.per_second:
            self._streaming = True
            self._transport.write(STREAM_HEAD)
            self._pace(Paced(model, shape, number.decode(), _finish(model, counts)), self._loop.time())
        else:
            before, after = _stream_parts(model, shape.chunks, counts)
            self._transport.write(before + number + after)
            self._counted.open_streams -= 1

    def _pace(self, reply: "Paced", due: float) -> None:
        if not self._streaming:
            return
        chunk = reply.next()
        if reply.left:
            due += 1 / reply.shape.per_second
            self._transport.write(chunk)
            self._loop.call_at(due, self._pace, reply, due)
        else:
            self._streaming = False
            self._counted.open_streams -= 1
            self._transport.write(chunk + reply.finish)


class Paced:
    """A reply that comes a chunk at a time."""

    def __init__(self, model: str, shape: Shape, number: str, finish: bytes) -> None:
        self.shape = shape
        self.finish = finish
        self.left = shape.chunks
        self._number = number
        self._before, _, self._after = _word_event(model, PLACE).partition(PLACE.encode())

    def next(self) -> bytes:
        word = paced_word(self._number, self.shape.chunks - self.left, time.monotonic_ns())
        self.left -= 1
        event = self._before + word.encode() + self._after
        return b"%x\r\n%b\r\n" % (len(event), event)


async def serve(port: int, tls_port: int, certificate: str) -> None:
    """Answer on both ports until it is ended; `certificate` is a file with the key in it too."""
    counted = Counted()
    loop = asyncio.get_running_loop()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    listening = [
        await loop.create_server(lambda: Connection(counted), "127.0.0.1", where, ssl=how, backlog=4096)
        for where, how in ((tls_port, tls), (port, None))
    ]
    gc.freeze()
    await asyncio.gather(*(server.serve_forever() for server in listening))


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
