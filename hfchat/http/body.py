"""Request body: read within limits of size and time, and of how much one person may have unfinished."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from hfchat.errors import InvalidRequest, PayloadTooLarge, TooManyStreams, UnsupportedEncoding

BODY_TIMEOUT_S = 60.0
# Of one person at once: three of the largest bodies, which have pictures; and more than a busy program has in flight.
MAX_UNFINISHED_BYTES = 48 * 1024 * 1024
MAX_UNFINISHED_BODIES = 200
# Some programs name the charset there by mistake.
_READ_AS_IT_IS = frozenset((b"", b"identity", b"chunked", b"utf-8", b"utf8"))


class BodyReader:
    """Reads bodies, and counts the unfinished ones of each person. Used in one event loop."""

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
        """The whole body of a person's request. `check_size` is called with the announced size, then with the size so far at
        each piece; it may raise.

        Raises: PayloadTooLarge past `limit` bytes, before reading where the size is announced; TooManyStreams where this
        person has too much unfinished; InvalidRequest after a timeout or a disconnect.
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
    """The whole body. `on_bytes` is called with the size of each piece, and may raise.

    Raises: PayloadTooLarge past `limit` bytes; InvalidRequest after a timeout or a disconnect.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, limit, on_bytes)
    except TimeoutError as error:
        raise InvalidRequest("unreadable", param="body") from error


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
    """A `receive` with this body, then with the messages of the connection, such as its disconnect."""
    done = False

    async def receive_again() -> Message:
        nonlocal done
        if done:
            return await receive()
        done = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def content_length(headers: Headers) -> int | None:
    """The announced size of the body in bytes; None without one, as with chunks."""
    value = headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


def check_codings(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a body that is compressed: unpacked, some kilobytes of it could be gigabytes. Raises: UnsupportedEncoding."""
    for name, value in headers:
        if name in (b"content-encoding", b"transfer-encoding"):
            codings = (coding.strip().lower() for coding in value.split(b","))
            if refused := next((coding for coding in codings if coding not in _READ_AS_IT_IS), b""):
                coding = refused[:40].decode("ascii", errors="replace")
                raise UnsupportedEncoding("coding", params={"value": coding}, param="Content-Encoding")


def _lower(counts: Counter[str], person: str, by: int) -> None:
    counts[person] -= by
    if counts[person] <= 0:
        del counts[person]
