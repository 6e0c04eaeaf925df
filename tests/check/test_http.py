"""Calls of the check end in time and read no more than they may, whatever answers."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from hfchat.check.http import FAILURES, MAX_BYTES, Response, fetch
from tests.support.rows import each_row

pytestmark = pytest.mark.anyio


@pytest.fixture
async def endless() -> AsyncIterator[str]:
    """A server whose answer does not end; `/slow` sends a byte now and then."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.append(task)
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" if path == b"/slow" else b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0.01 if path == b"/slow" else 0)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    tasks: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_an_answer_that_does_not_end_is_cut(endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await fetch(client, "GET", endless)
        assert (response.status, len(response.body), response.object) == (200, MAX_BYTES, {})
        monkeypatch.setattr("hfchat.check.http.ANSWER_S", 0.1)
        with pytest.raises(TimeoutError):
            await fetch(client, "GET", f"{endless}/slow")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "huggingface.co", "http://a b", "http://[::1", ""]
)
async def test_an_address_that_is_none_fails_like_one_that_is_away(url: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(FAILURES):
            await fetch(client, "GET", url)


@each_row("body", [b"", b"[1]", b"null", b"<html>", b"\xff", b"[" * 100_000, b"{"])
def test_a_body_that_is_no_object_is_an_empty_one(body: bytes) -> None:
    assert Response(200, {}, body).object == {}
