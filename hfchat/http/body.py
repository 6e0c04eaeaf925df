"""Request bodies read within bounds: of bytes, of time, and of how much one person may be in the middle of sending, or has
sent that is not counted yet.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from hfchat.errors import InvalidRequest, PayloadTooLarge, TooManyStreams

BODY_TIMEOUT_S = 60.0
# Of one person at once: three of the largest, which have pictures in them; and more than a busy program has in flight.
MAX_UNFINISHED_BYTES = 48 * 1024 * 1024
MAX_UNFINISHED_BODIES = 200


class BodyReader:
    """Reads bodies, and counts what of each person's is not there yet. Used in one event loop."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_UNFINISHED_BYTES,
        max_bodies: int = MAX_UNFINISHED_BODIES,
        timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_bodies = max_bodies
        self._timeout_s = timeout_s
        self._bytes: Counter[str] = Counter()
        self._bodies: Counter[str] = Counter()

    async def read(
        self,
        person: str,
        headers: Headers,
        receive: Receive,
        limit: int,
        check_size: Callable[[int], None] = lambda _: None,
    ) -> bytes:
        """The whole body of a person's request. `check_size` is called with the size that the head announces, and with
        what has come so far, again and again; it may raise.

        Raises: PayloadTooLarge past `limit` bytes, before any is read where the head says so; TooManyStreams where this
        person is in the middle of sending too much; InvalidRequest where it is not there in time, or the caller left.
        """
        announced = content_length(headers) or 0
        if announced > limit:
            raise PayloadTooLarge("body_bytes", params={"value": limit}, param="body")
        check_size(announced)
        if self._bodies[person] >= self._max_bodies:
            raise TooManyStreams("bodies_used", params={"value": self._max_bodies})
        size = 0

        def grow(count: int) -> None:
            nonlocal size
            size += count
            self._bytes[person] += count
            check_size(size)
            if self._bytes[person] > self._max_bytes:
                raise TooManyStreams("bodies_used", params={"value": self._max_bodies})

        self._bodies[person] += 1
        try:
            return await read_body(receive, limit, self._timeout_s, grow)
        finally:
            _lower(self._bodies, person, 1)
            _lower(self._bytes, person, size)

    def hold(self, person: str, size: int) -> Callable[[], None]:
        """Count so many bytes of a body that is there as if they were still being sent. Gives what ends that, once."""
        self._bytes[person] += size
        return partial(_lower, self._bytes, person, size)

    @property
    def unfinished(self) -> int:
        """How many bodies are being read."""
        return self._bodies.total()


async def read_body(
    receive: Receive, limit: int, timeout_s: float = BODY_TIMEOUT_S, on_bytes: Callable[[int], None] | None = None
) -> bytes:
    """The whole body. `on_bytes` is called with the size of each piece that came, and may raise.

    Raises: PayloadTooLarge past `limit` bytes; InvalidRequest where it is not there in time, or the caller left.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, limit, on_bytes)
    except TimeoutError as slow:
        raise InvalidRequest("unreadable", param="body") from slow


async def _read(receive: Receive, limit: int, on_bytes: Callable[[int], None] | None) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("unreadable", param="body")
        piece = message.get("body", b"")
        if on_bytes is not None and piece:
            on_bytes(len(piece))
        body += piece
        if len(body) > limit:
            raise PayloadTooLarge("body_bytes", params={"value": limit}, param="body")
        if not message.get("more_body", False):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body once, then what the connection says: that the caller has left."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def content_length(headers: Headers) -> int | None:
    """How many bytes the head of the request announces; None where it announces nothing, as with chunks."""
    value = headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


def _lower(counts: Counter[str], person: str, by: int) -> None:
    counts[person] -= by
    if counts[person] <= 0:
        del counts[person]
