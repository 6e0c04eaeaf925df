"""Many at once and many in a row: nothing is lost, mixed or left open."""

import asyncio
import gc
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.conftest import CALL, RunningApp, make_settings, make_token, page_client, running, wait_until
from tests.support.raw_client import UNSET
from tests.support.stub_upstream import StubUpstream, reply

PEOPLE = 50
TURNS = 800
AT_ONCE = 50


@pytest.fixture(scope="module")
def upstream() -> Iterator[StubUpstream]:
    with StubUpstream() as stub:
        yield stub


@pytest.fixture
def app(upstream: StubUpstream) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_BASE_URL=upstream.base_url)) as served:
        yield served


def rss_kib() -> int:
    gc.collect()
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_fifty_people_chat_at_once_on_the_pages_own_api(app: RunningApp, upstream: StubUpstream) -> None:
    upstream.answer = lambda request: reply([f"{request['messages'][-1]['content']} "] * 20, pause_s=0.05)
    heard: dict[int, list[str]] = {}
    clients = {}

    def arrive(number: int) -> None:
        clients[number] = page_client(app, make_token(f"person-{number}"))

    def chat(number: int) -> None:
        for question in (f"q{number}", f"again{number}"):
            heard.setdefault(number, []).append(clients[number].predict(question, api_name="/chat"))

    def all_at_once(what: Any) -> None:
        threads = [threading.Thread(target=what, args=(number,)) for number in range(PEOPLE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

    all_at_once(arrive)
    all_at_once(chat)
    memory = rss_kib()
    all_at_once(chat)
    assert rss_kib() - memory < 30_000
    for number in range(PEOPLE):
        assert heard[number] == [f"q{number} " * 20, f"again{number} " * 20] * 2
    assert upstream.peak > PEOPLE // 2
    histories = [request["messages"] for request in upstream.requests if len(request["messages"]) == 3]
    assert len(histories) == PEOPLE
    assert all(first["content"][1:] == last["content"][5:] for first, _, last in histories)
    all_at_once(lambda number: clients[number].close())  # each waits a second for its next heartbeat


async def turn(app: RunningApp, number: int, leave_after: float | None) -> bytes:
    """What one caller hears; with `leave_after`, hangs up after that many seconds."""
    content = {"messages": [{"role": "user", "content": f"n{number}"}], "stream": number % 3 != 0}
    body = json.dumps(content).encode()
    token = make_token(f"person-{number % 20}")
    if number % 10 == 0:
        return await page_turn(app, number, token, leave_after)
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    head = f"POST /api/ai/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    heard = b""
    try:
        async with asyncio.timeout(leave_after or 60):
            heard = await reader.read(-1)
    except TimeoutError:
        assert leave_after is not None, "a reply did not end"
    finally:
        writer.close()
    return heard


async def page_turn(app: RunningApp, number: int, token: str, leave_after: float | None) -> bytes:
    """The same by the page's own API."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=app.url, headers=headers, **CALL) as client:
        asked = {"data": [f"n{number}", [], *UNSET], "session_hash": f"s{number}"}
        event_id = (await client.post("/gradio_api/call/chat", json=asked)).json()["event_id"]
        try:
            async with asyncio.timeout(leave_after):
                return (await client.get(f"/gradio_api/call/chat/{event_id}")).content
        except TimeoutError:
            return b""


async def soak(app: RunningApp, turns: int) -> tuple[int, int]:
    """How many replies were whole, and how many callers left."""
    whole = left = 0
    dice = random.Random(7)
    limit = anyio.Semaphore(AT_ONCE)

    async def one(number: int, leave_after: float | None) -> None:
        nonlocal whole, left
        async with limit:
            heard = await turn(app, number, leave_after)
        if leave_after is None:
            assert f"n{number} n{number} ".encode() in heard
            whole += 1
        else:
            left += 1

    async with anyio.create_task_group() as group:
        for number in range(turns):
            group.start_soon(one, number, dice.choice([None, None, dice.uniform(0, 0.08)]))
    return whole, left


def test_a_soak_with_callers_leaving_at_random_leaves_nothing_open(app: RunningApp, upstream: StubUpstream) -> None:
    upstream.answer = lambda request: reply([f"{request['messages'][-1]['content']} "] * 2, pause_s=0.01)
    asyncio.run(soak(app, 200))
    wait_until(lambda: upstream.in_progress == 0)
    tasks = app.in_loop(lambda: len(asyncio.all_tasks()))
    memory, files = rss_kib(), open_files()

    whole, left = asyncio.run(soak(app, TURNS))

    assert whole + left == TURNS
    assert min(whole, left) > TURNS // 5
    wait_until(lambda: upstream.in_progress == 0)
    wait_until(lambda: app.in_loop(lambda: len(asyncio.all_tasks())) <= tasks, 20)
    wait_until(lambda: open_files() <= files + AT_ONCE)
    assert upstream.open_connections <= AT_ONCE
    assert upstream.connections < TURNS
    assert rss_kib() - memory < 30_000
