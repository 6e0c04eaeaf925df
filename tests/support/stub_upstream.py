"""The wire's fake: a chat completions server on loopback that says exactly the bytes it is told, and watches its sockets."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What is said to a request: `pieces` one by one with `pause_s` between, each its own chunk unless `chunked` is False.

    `ending`: "end" ends the body, "cut" drops the connection in its middle, "hang" stays silent with the body open.
    """

    status: int = 200
    content_type: str | None = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    pause_s: float = 0.0
    ending: str = "end"
    chunked: bool = True
    before_s: float = 0.0


def event(content: str | None = None, *, finish_reason: str | None = None, **more: Any) -> bytes:
    """One SSE event of a reply."""
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish_reason}
    chunk = {"id": "x", "object": "chat.completion.chunk", "choices": [choice], **more}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def usage_event(prompt_tokens: int, completion_tokens: int) -> bytes:
    """The event that counts."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def reply(words: list[str], *, pause_s: float = 0.0, **more: Any) -> Answer:
    """A whole and proper streamed reply."""
    ending = [event(finish_reason="stop"), usage_event(7, len(words)), DONE]
    return Answer(pieces=[*(event(word) for word in words), *ending], pause_s=pause_s, **more)


def echo(request: dict[str, Any]) -> Answer:
    """A reply that repeats the last message, so that it is seen whose it is."""
    return reply([f"{word} " for word in request["messages"][-1]["content"].split()])


class StubUpstream:
    """Runs in a thread of its own, on a free port. `answer` makes an Answer of each request's body.

    `listing` is the answer to who asks for the models; that is no request to count.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Answer] = echo) -> None:
        self.answer = answer
        self.listing = Answer(404, "application/json", pieces=[b"{}"])
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections = 0
        self.open_connections = 0
        self.in_progress = 0
        self.peak = 0
        self.left_early = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def forget(self) -> None:
        """Be as when it was started: it echoes, and has heard nothing."""
        self.answer = echo
        for heard in (self.requests, self.headers, self.paths):
            heard.clear()
        self.connections = self.peak = self.left_early = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> "StubUpstream":
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=2048, limit=1 << 24)

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        self.paths.append(head[0].split()[1])
        if head[0].startswith("GET ") and self.paths[-1].endswith("/models"):
            answer = self.listing
        else:
            self.headers.append(headers)
            self.requests.append(body)
            answer = self.answer(body)
        self.in_progress += 1
        self.peak = max(self.peak, self.in_progress)
        try:
            async for _ in self._watched(reader, self._say(answer, writer)):
                pass
        finally:
            self.in_progress -= 1
        if answer.ending == "cut":
            while writer.transport.get_write_buffer_size() and not writer.is_closing():
                await asyncio.sleep(0.001)  # what was said before is heard: an abort would drop it
            writer.transport.abort()
        return answer.ending == "end" and answer.chunked

    async def _watched(self, reader: asyncio.StreamReader, saying: AsyncIterator[None]) -> AsyncIterator[None]:
        """Say on until the caller closes the socket; that is noticed at once, also while nothing is said."""
        leaving = asyncio.ensure_future(_left(reader))
        try:
            while True:
                step = asyncio.ensure_future(anext(saying, StopAsyncIteration))
                await asyncio.wait({step, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    step.cancel()
                    self.left_early += 1
                    raise ConnectionResetError
                if step.result() is StopAsyncIteration:
                    return
                yield
        finally:
            leaving.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await leaving

    async def _say(self, answer: Answer, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        if answer.before_s:
            await asyncio.sleep(answer.before_s)
        head = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in answer.headers.items())]
        if answer.content_type is not None:
            head.append(f"content-type: {answer.content_type}")
        head.append("transfer-encoding: chunked" if answer.chunked else "connection: close")
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
        yield
        for piece in filter(None, answer.pieces):  # an empty chunk would be the end
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece)
            await writer.drain()
            if answer.pause_s:
                await asyncio.sleep(answer.pause_s)
            yield
        if answer.ending == "hang":
            await asyncio.sleep(3600)
        if answer.ending == "end" and answer.chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        yield


async def _left(reader: asyncio.StreamReader) -> None:
    # A socket that is closed with bytes unread ends in a reset: that is an exception, and no end of file.
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.02)
