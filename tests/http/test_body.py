"""One person cannot be in the middle of sending as much as they like."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from hfchat.errors import InvalidRequest, PayloadTooLarge, TooManyStreams
from hfchat.http.body import BodyReader

pytestmark = pytest.mark.anyio
NO_HEADERS = Headers()


class Sender:
    """Sends a body piece by piece, as it is told to."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def leave(self) -> None:
        self._pieces.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        return await self._pieces.get()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def begin(reader: BodyReader, person: str, sender: Sender, **more: Any) -> "asyncio.Task[bytes]":
    return asyncio.create_task(reader.read(person, NO_HEADERS, sender.receive, 100, **more))


async def test_as_many_bodies_as_are_taken_and_no_more() -> None:
    reader = BodyReader(max_bodies=2)
    senders = [Sender(), Sender()]
    reading = [begin(reader, "ann", sender) for sender in senders]
    await settled()
    with pytest.raises(TooManyStreams):
        await reader.read("ann", NO_HEADERS, Sender().receive, 100)
    other = begin(reader, "bob", another := Sender())
    another.send(b"x", more=False)
    assert await other == b"x"
    for sender in senders:
        sender.send(b"whole", more=False)
    assert [await task for task in reading] == [b"whole"] * 2
    assert reader.unfinished == 0
    again = begin(reader, "ann", sender := Sender())
    sender.send(b"", more=False)
    assert await again == b""


async def test_the_bytes_of_all_of_a_persons_bodies_count_together() -> None:
    reader = BodyReader(max_bytes=10)
    first, second = Sender(), Sender()
    reading = begin(reader, "ann", first)
    first.send(b"123456")
    await settled()
    refused = begin(reader, "ann", second)
    second.send(b"12345")
    with pytest.raises(TooManyStreams):
        await refused
    first.send(b"7890", more=False)
    assert await reading == b"1234567890"
    assert reader.unfinished == 0


def leaves(sender: Sender) -> None:
    sender.send(b"12")
    sender.leave()


ENDINGS: dict[str, tuple[Callable[[Sender], None], type[Exception]]] = {
    "it is too large": (lambda sender: sender.send(b"x" * 101), PayloadTooLarge),
    "the caller leaves": (leaves, InvalidRequest),
    "it takes too long": (lambda sender: sender.send(b"x"), InvalidRequest),
}


@pytest.mark.parametrize(("act", "error"), ENDINGS.values(), ids=ENDINGS)
async def test_what_is_not_read_to_its_end_counts_no_more(
    act: Callable[[Sender], None], error: type[Exception]
) -> None:
    reader = BodyReader(max_bodies=1, max_bytes=200, timeout_s=0.05)
    for _ in range(3):
        reading = begin(reader, "ann", sender := Sender())
        act(sender)
        with pytest.raises(error):
            await reading
        assert reader.unfinished == 0


async def test_what_the_head_says_is_too_large_is_not_read() -> None:
    headers = Headers({"content-length": "101"})
    with pytest.raises(PayloadTooLarge):
        await BodyReader().read("ann", headers, Sender().receive, 100)


async def test_the_size_is_checked_before_and_while_it_comes() -> None:
    sizes: list[int] = []
    reading = begin(BodyReader(), "ann", sender := Sender(), check_size=sizes.append)
    sender.send(b"ab")
    sender.send(b"cde", more=False)
    assert await reading == b"abcde"
    assert sizes == [0, 2, 5]
