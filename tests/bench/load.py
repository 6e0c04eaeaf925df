"""The callers: each sends its next question when the reply to the last one is whole, and every reply is checked.

Their own share is kept small (uvloop, httptools, a regular expression per reply), so that what is measured is the server.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle, pairwise
from typing import Any

import httptools
import orjson

from tests.bench.replies import Shape, is_whole

# A word of a stream, and a whole reply, in any door's form; the stub's words need no escapes.
_WORD = re.compile(rb'"(?:content|delta)":\s*"([^"]+)"')
_WHOLE = re.compile(rb'"(?:content|reply)":\s*"([^"]+)"')
_REPEATED = re.compile(rb'"reply":\s*"([^"]+)"')
_CLOCK = re.compile(rb"@(\d+)")
_ENDS = (b"data: [DONE]", b"event: done")
_numbers = count(1)


def next_number() -> bytes:
    """The number of a question that nobody asked yet: its reply has it too."""
    return b"%08d" % next(_numbers)


@dataclass(frozen=True)
class Door:
    """Where the callers call: each has its own of `bearers`, or with `fresh` every request takes the next."""

    port: int
    path: str
    bearers: tuple[str, ...]
    fresh: bool = False


@dataclass(frozen=True)
class Load:
    """What the callers do: `seconds` long and `each` replies per caller on average, whichever takes longer.

    Before that they do the same for `warm_s` and a reply per caller, which does not count. With `once` each asks once, and
    that counts. `over_s` is the time over which they begin, evenly.
    """

    shape: Shape
    stream: bool
    callers: int
    seconds: float = 2.0
    warm_s: float = 0.3
    each: int = 5
    once: bool = False
    over_s: float = 0.0
    messages: int = 1
    at_most_s: float = 40.0


@dataclass
class Outcome:
    """What came of it. Times in nanoseconds, of replies that came whole within `seconds`; `errors` of all.

    Of paced replies, `on_the_way` is how long each chunk took from the stub to its caller, `gaps` the times between them.
    """

    seconds: float = 0.0
    requests: int = 0
    unfinished: int = 0
    totals: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    on_the_way: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Crowd:
    """All callers of one load."""

    def __init__(self, load: Load, door: Door) -> None:
        self.load = load
        self.door = door
        self.outcome = Outcome()
        self.going = True
        self.active = 0
        self.all_begun = asyncio.Event()
        self._begun = 0
        self._idle = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._bearers = cycle(door.bearers)
        self._before, self._after = _body(load)
        self.counting = True
        self.done = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[list["Caller"]]:
        """All callers, connected."""
        callers = [Caller(self, self.next_bearer()) for _ in range(self.load.callers)]
        try:
            for caller in callers:
                await caller.connect()
            yield callers
        finally:
            for caller in callers:
                caller.close()

    def next_bearer(self) -> str:
        return next(self._bearers)

    def body(self, number: bytes) -> bytes:
        return self._before + number + self._after

    def body_bytes(self) -> int:
        return len(self._before) + 8 + len(self._after)

    def first_word_came(self) -> None:
        self._begun += 1
        if self._begun == self.load.callers:
            self.all_begun.set()

    def ended(self) -> None:
        """A caller asks no more."""
        self.active -= 1
        if not self.active:
            self._idle.set()

    async def run(self, callers: list["Caller"]) -> Outcome:
        """Let them ask, and wait until the last has its reply."""
        load, outcome = self.load, self.outcome
        began = time.monotonic()
        self.active = len(callers)
        for position, caller in enumerate(callers):
            self._loop.call_later(load.over_s * position / load.callers, caller.ask)
        if not load.once:
            self.counting = False
            await self._until(began, load.warm_s, load.callers)
            self.counting, since = True, time.monotonic()
            await self._until(began, since - began + load.seconds, self.done + load.each * load.callers)
            self.counting, outcome.seconds = False, time.monotonic() - since
        self.going = False
        try:
            async with asyncio.timeout(load.at_most_s):
                await self._idle.wait()
        except TimeoutError:
            outcome.unfinished = self.active
        outcome.seconds = outcome.seconds or time.monotonic() - began
        return outcome

    async def _until(self, began: float, seconds: float, replies: int) -> None:
        """Wait until so much time has passed and so many replies came, or the time is up, or something is wrong."""
        await asyncio.sleep(began + seconds - time.monotonic())
        while self.done < replies and time.monotonic() - began < self.load.at_most_s and not self.outcome.errors:
            await asyncio.sleep(0.02)


class Caller(asyncio.Protocol):
    """One caller with one connection, kept open from question to question."""

    def __init__(self, crowd: Crowd, bearer: str) -> None:
        self._crowd = crowd
        self._bearer = bearer
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._asking = False
        self._pieces: list[bytes] = []
        self._times: list[int] = []

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        await loop.create_connection(lambda: self, "127.0.0.1", self._crowd.door.port)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._asking:
            self._crowd.outcome.errors["the connection was closed in the middle of a reply"] += 1
            self._asking = False
            self._crowd.ended()

    def close(self) -> None:
        self._asking = False
        if self._transport is not None:
            self._transport.abort()

    def ask(self) -> None:
        """Send the next question."""
        if self._transport is None or self._transport.is_closing():
            asyncio.get_running_loop().create_task(self._ask_anew())
            return
        if not self._head or self._crowd.door.fresh:
            if self._head:
                self._bearer = self._crowd.next_bearer()
            self._head = _request_head(self._crowd.door, self._bearer, self._crowd.body_bytes())
        self._number = next_number()
        self._pieces, self._times, self._first_ns = [], [], 0
        self._asking = True
        self._crowd.outcome.requests += 1
        self._began_ns = time.monotonic_ns()
        self._transport.write(self._head + self._crowd.body(self._number))

    async def _ask_anew(self) -> None:
        try:
            await self.connect()
        except OSError as refused:
            self._crowd.outcome.errors[f"no connection: {type(refused).__name__}"] += 1
            self._crowd.ended()
        else:
            self.ask()

    def data_received(self, data: bytes) -> None:
        self._now_ns = time.monotonic_ns()
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        if self._crowd.load.shape.per_second:
            self._times.append(self._now_ns)
        if not self._first_ns and (not self._crowd.load.stream or _WORD.search(body)):
            self._first_ns = self._now_ns
            self._crowd.first_word_came()

    def on_message_complete(self) -> None:
        ended_ns = time.monotonic_ns()
        crowd, outcome = self._crowd, self._crowd.outcome
        self._asking = False
        crowd.done += 1
        if wrong := self._what_is_wrong():
            outcome.errors[wrong] += 1
        elif crowd.counting:
            outcome.totals.append(ended_ns - self._began_ns)
            outcome.firsts.append((self._first_ns or ended_ns) - self._began_ns)
            outcome.on_the_way.extend(self._on_the_way())
            outcome.gaps.extend(later - came for came, later in pairwise(self._times))
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        if crowd.going and not crowd.load.once:
            self.ask()
        else:
            crowd.ended()

    def _what_is_wrong(self) -> str:
        status = self._parser.get_status_code()
        body = b"".join(self._pieces)
        if status != 200:
            return f"status {status}: {body[:200].decode(errors='replace')}"
        load = self._crowd.load
        said = (_WORD if load.stream else _WHOLE).findall(body)
        if not is_whole(b"".join(said), self._number, load.shape):
            return "a reply was not the whole of what was asked for"
        if load.stream and not any(end in body for end in _ENDS):
            return "a stream did not say that it ended"
        repeated = _REPEATED.search(body) if load.stream else None
        if repeated and not is_whole(repeated[1], self._number, load.shape):
            return "a stream's end had another reply than the stream"
        return ""

    def _on_the_way(self) -> Iterator[int]:
        for piece, came_ns in zip(self._pieces, self._times, strict=False):
            for word in _WORD.findall(piece):
                yield from (came_ns - int(clock) for clock in _CLOCK.findall(word))


def _body(load: Load) -> tuple[bytes, bytes]:
    """A request's body, before and after the number of its question."""
    # The last of them is the question, so that roles are counted from the end.
    turns = [
        {"role": "assistant" if left % 2 else "user", "content": f"{left} turns ago. " + "So it goes. " * 10}
        for left in range(load.messages - 1, 0, -1)
    ]
    messages = [*turns, {"role": "user", "content": "#@@@@@@@@# Why is the sky blue?"}]
    asked = {"model": load.shape.model, "messages": messages, "stream": load.stream}
    before, _, after = orjson.dumps(asked).partition(b"@@@@@@@@")
    return before, after


def _request_head(door: Door, bearer: str, body_bytes: int) -> bytes:
    return (
        f"POST {door.path} HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nAuthorization: Bearer {bearer}\r\n"
        f"Content-Type: application/json\r\nAccept: */*\r\nContent-Length: {body_bytes}\r\n\r\n"
    ).encode()


async def run(load: Load, door: Door) -> Outcome:
    """The outcome of this load at this door."""
    crowd = Crowd(load, door)
    async with crowd.connected() as callers:
        return await crowd.run(callers)
