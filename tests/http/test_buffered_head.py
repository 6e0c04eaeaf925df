"""How answers are written to a connection."""

import asyncio
from typing import cast

import pytest

from hfchat.http.buffered_head import BufferedHead

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Recorded:
    """A transport that remembers what it was told to do."""

    def __init__(self) -> None:
        self.did: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.did.append(data)

    def close(self) -> None:
        self.did.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.did


@pytest.fixture
async def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def transport(recorded: Recorded) -> BufferedHead:
    return BufferedHead(cast(asyncio.Transport, recorded))


async def test_the_head_goes_with_the_first_of_the_body_and_the_rest_as_it_comes(
    transport: BufferedHead, recorded: Recorded
) -> None:
    for data in (HEAD, b"first", b"second", HEAD, b"third"):
        transport.write(data)
    assert recorded.did == [HEAD + b"first", b"second", HEAD + b"third"]
    await asyncio.sleep(0)
    assert len(recorded.did) == 3


async def test_a_head_whose_body_is_late_is_sent_without_it(transport: BufferedHead, recorded: Recorded) -> None:
    transport.write(HEAD)
    assert not recorded.did
    await asyncio.sleep(0)
    assert recorded.did == [HEAD]
    transport.write(b"late")
    assert recorded.did == [HEAD, b"late"]


async def test_two_heads_in_a_row_are_both_sent(transport: BufferedHead, recorded: Recorded) -> None:
    transport.write(HEAD)
    transport.write(HEAD)
    await asyncio.sleep(0)
    assert b"".join(recorded.did) == HEAD * 2


async def test_nothing_is_lost_where_it_is_closed_at_once(transport: BufferedHead, recorded: Recorded) -> None:
    transport.write(HEAD)
    transport.close()
    assert recorded.did == [HEAD, b"closed"]
    assert transport.is_closing()
