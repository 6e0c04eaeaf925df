"""A connection to Redis that breaks anywhere in a turn, and a caller who leaves anywhere: only what was used is charged."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from hfchat.chat.chat import Chat
from hfchat.chat.token_count import estimated_prompt_tokens
from hfchat.errors import HfchatError, StoreUnavailable
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import open_store
from hfchat.ledger.store import Store
from hfchat.types import Call, Caller, ChatRequest, Delta, Finish, Message, Policy, Usage
from tests.support.redis_proxy import RedisProxy, redis_proxy, resets_at_once
from tests.support.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.whole]

ASKED = ChatRequest((Message("user", "a question"),))
PROMPT = estimated_prompt_tokens(ASKED.messages)
WHOLE = (7, 5)
# Prompt and completion of a whole reply, and of a part of it.
USED = {WHOLE, *((PROMPT, words) for words in range(3))}


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop that uvicorn takes: it has its own words for a connection that broke."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[RedisProxy]:
    async with redis_proxy(server.port) as found:
        yield found


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Store]:
    """The ledger as it is, past the proxy."""
    opened = open_store(server.url)
    yield opened
    await opened.close()


class TwoWords:
    """An upstream that says them, and what they cost."""

    def __init__(self) -> None:
        self.called = False

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        self.called = True
        await asyncio.sleep(0)
        yield Delta("a ")
        await asyncio.sleep(0.005)  # time to hear that a connection broke
        yield Delta("b ")
        yield Finish(call.model, "stop", Usage(*WHOLE))

    async def close(self) -> None:
        pass


class Turn:
    """One person's one turn over this store: whether the model was asked, and how it ended."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        self._ledger = Ledger(self.store)
        self._upstream = TwoWords()
        self._chat = Chat(self._upstream, self._ledger)
        self.subject = secrets.token_hex(8)
        self.ended = "cancelled"

    async def run(self) -> None:
        who = Caller(self.subject, "jti", time.time() + 3600, Policy("m", None, (), 100))
        try:
            async with aclosing(self._chat.stream(who, ASKED, request_id="r")) as parts:
                async for _ in parts:
                    pass
        except HfchatError as error:
            self.ended = error.code
        else:
            self.ended = "ok"

    @property
    def called(self) -> bool:
        return self._upstream.called

    async def close(self) -> None:
        """Settle what is not settled yet."""
        await self._chat.close()
        await self._ledger.close()


async def charged(store: Store, turn: Turn) -> tuple[int, int]:
    """Prompt and completion, where nothing is held."""
    for books in await store.totals(turn.subject, now=time.time()):
        assert books.held_tokens == 0
        return books.prompt_tokens, books.completion_tokens
    return 0, 0


CUTS = ("lost", "lost away", "unheard", "unheard away", "heard", "heard away", "late", "late away", "mute")


@pytest.mark.parametrize("cut", CUTS)
async def test_wherever_its_connection_breaks_a_turn_costs_what_it_used(
    server: RedisServer, proxy: RedisProxy, store: Store, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.RETRY_S", 0.01)
    way, _, away = cut.partition(" ")
    if way == "mute":
        monkeypatch.setattr("hfchat.ledger.redis_store.SOCKET_TIMEOUT_S", 0.05)
    at, whole = 0, False
    while not whole:
        at += 1
        server.set_quota("SCRIPT", "FLUSH")
        proxy.arm(at, way, away=bool(away))
        turn = Turn(f"redis://127.0.0.1:{proxy.port}/0")
        await turn.run()
        whole = turn.ended == "ok" and not proxy.reached
        proxy.arm(0, "")
        await turn.close()
        await proxy.deliver()
        paid = await charged(store, turn)
        assert (turn.ended, turn.called, paid) in (("ok", True, WHOLE), ("store_unavailable", False, (0, 0))), at
    assert at > 10


async def test_connections_that_were_reset_while_nobody_used_them_are_no_reason_to_refuse(
    proxy: RedisProxy, store: Store
) -> None:
    turn = Turn(f"redis://127.0.0.1:{proxy.port}/0")
    for _ in range(3):
        await asyncio.gather(*(turn.store.revoked(["x"], now=0) for _ in range(5)))
        proxy.reset_all()
        await asyncio.sleep(0.02)
    await turn.run()
    await turn.close()
    assert (turn.ended, await charged(store, turn)) == ("ok", WHOLE)


async def test_a_server_that_resets_whoever_connects_is_a_no() -> None:
    with resets_at_once() as port:
        store = open_store(f"redis://127.0.0.1:{port}/0")
        # How a reset shows itself depends on the instant it is heard of.
        for _ in range(200):
            with pytest.raises(StoreUnavailable):
                await store.revoked(["x"], now=0)
        await store.close()


@pytest.mark.parametrize("way", ["before", "after"])
async def test_at_whichever_command_a_caller_leaves_they_pay_for_what_they_used(
    server: RedisServer, proxy: RedisProxy, store: Store, way: str
) -> None:
    at, ended = 0, ""
    while ended != "ok":
        at += 1
        server.set_quota("SCRIPT", "FLUSH")
        proxy.arm(at, way)
        turn = Turn(f"redis://127.0.0.1:{proxy.port}/0")
        running = asyncio.create_task(turn.run())
        proxy.then = running.cancel
        await asyncio.wait({running})
        ended = turn.ended
        await turn.close()
        assert await charged(store, turn) in (USED if turn.called else {(0, 0)}), at
    assert at > 10


class CancelledAt:
    """Awaits a coroutine, and cancels the task that does where it waits for the time of this number, and so many more."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], at: int, times: int) -> None:
        self._coroutine = coroutine
        self._cancelled = range(at, at + times)
        self._waited = 0
        self.reached = False

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        running, failure = self._coroutine.__await__(), None
        while True:
            try:
                waits_for = running.throw(failure) if failure else next(running)
            except StopIteration:
                return
            self._waited += 1
            if self._waited in self._cancelled:
                self.reached = True
                task.cancel()
            failure = None
            try:
                yield waits_for
            except BaseException as thrown:
                failure = thrown


@pytest.mark.parametrize("times", [1, 2, 9], ids="cancelled_{}".format)
@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_wherever_a_caller_waits_and_leaves_they_pay_for_what_they_used(
    server: RedisServer, tmp_path: Path, store: str, times: int
) -> None:
    url = server.url if store == "redis" else f"sqlite:///{tmp_path}/ledger.db"
    store, at, reached = open_store(url), 0, True
    while reached:
        at += 1
        turn = Turn(url)
        leaving = CancelledAt(turn.run(), at, times)
        await asyncio.wait({asyncio.create_task(awaited(leaving))})
        reached = leaving.reached
        await turn.close()
        paid = await charged(store, turn)
        assert paid in (USED if turn.called else {(0, 0)}), at
    assert (turn.ended, paid) == ("ok", WHOLE)
    assert at > 3
    await store.close()


async def awaited(leaving: CancelledAt) -> None:
    await leaving
