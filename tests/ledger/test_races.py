"""One ledger under real processes: exact among them, whoever leaves, is killed, or takes the store away."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hfchat.auth.policy import PolicyClaim, read_policy
from hfchat.chat.token_count import estimated_prompt_tokens, max_prompt_tokens
from hfchat.errors import StoreUnavailable
from hfchat.ledger.meters import Counters, Meter, Principal, UsageTotals
from hfchat.ledger.open_store import open_store
from hfchat.ledger.store import Store
from hfchat.types import Message
from tests.conftest import KEY, make_token, wait_until
from tests.support.process import REPOSITORY, Process, forked
from tests.support.redis_server import RedisServer, redis_server
from tests.support.stub_upstream import Answer, StubUpstream, event, reply

pytestmark = [pytest.mark.anyio, pytest.mark.whole]

LEASE_S = 60


def answer(request: dict[str, Any]) -> Answer:
    """As the question says: how many words, and how it ends."""
    words, ending = request["messages"][-1]["content"].split()
    pieces = ["ab "] * int(words)
    if ending == "refused":
        return Answer(500, "application/json", pieces=[b'{"error": "no"}'])
    if ending in ("cut", "hang"):
        return Answer(pieces=[event(word) for word in pieces], ending=ending)
    return reply(pieces, pause_s=0.002)


@dataclass
class Setup:
    """A store, two processes on it, and a way to take the store away and bring it back."""

    url: str
    variables: dict[str, str]
    programs: tuple[Process, Process]
    take_away: Callable[[], None]
    bring_back: Callable[[], None]

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        opened = open_store(self.url)
        try:
            yield opened
        finally:
            await opened.close()

    async def account(self, subject: str, now: float | None = None) -> UsageTotals:
        async with self.store() as store:
            (found,) = await store.totals(subject, now=now or time.time())
            return found


@pytest.fixture(scope="module")
def stub() -> Iterator[StubUpstream]:
    with StubUpstream(answer) as upstream:
        yield upstream


def in_place(server: RedisServer | None, file: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """How the store is taken away, and brought back."""
    if server is not None:
        return server.kill, server.start
    here, away = file.parent, file.parent.with_name("away")

    def take_away() -> None:
        here.rename(away)

    def bring_back() -> None:
        away.rename(here)

    return take_away, bring_back


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def setup(
    request: pytest.FixtureRequest, stub: StubUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as opened:
        server = opened.enter_context(redis_server(folder)) if request.param == "redis" else None
        file = folder / "books" / "ledger.db"
        variables = {
            "JWT_SECRET": KEY,
            "HFCHAT_STORE": server.url if server else f"sqlite:///{file}",
            "HF_CHAT_BASE_URL": stub.base_url,
            "HF_CHAT_MODEL": "m",
            "HF_CHAT_MAX_TOKENS": "100",
            "HFCHAT_RATE": "1000000/day",
            "HFCHAT_BUDGET": "1000000000/day",
            "HFCHAT_STREAMS": "10000",
            "HFCHAT_PATIENCE_S": "0",
        }
        programs = [opened.enter_context(forked(folder, **variables)) for _ in range(2)]
        first, second = (program.listening() for program in programs)
        yield Setup(variables["HFCHAT_STORE"], variables, (first, second), *in_place(server, file))


def token_for(subject: str, **policy: Any) -> str:
    return make_token(subject, policy=read_policy(policy) if policy else PolicyClaim())


@asynccontextmanager
async def client(token: str) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=500)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, limits=limits) as made:
        yield made


def body(words: int, ending: str = "whole", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"{words} {ending}"}], **more}


def messages(words: int, ending: str) -> tuple[Message, ...]:
    return (Message("user", f"{words} {ending}"),)


async def test_of_400_at_once_over_two_processes_the_25_that_are_left_are_admitted(setup: Setup) -> None:
    async with client(token_for("crowd", rate="25/day")) as web:
        answers = await asyncio.gather(
            *(web.post(f"{setup.programs[n % 2].url}/api/ai/chat", json=body(3)) for n in range(400))
        )
    statuses = [said.status_code for said in answers]
    assert (statuses.count(200), statuses.count(429)) == (25, 375)
    refused = next(said for said in answers if said.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert int(refused.headers["Retry-After"]) > 0
    books = await setup.account("crowd")
    assert (books.requests, books.prompt_tokens, books.completion_tokens, books.held_tokens) == (25, 175, 75, 0)


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await fact():
            await asyncio.sleep(0.02)


async def one_stream(web: httpx2.AsyncClient, url: str, words: int, ending: str, leave: bool) -> int:
    """How many tokens it must cost."""
    prompt = estimated_prompt_tokens(messages(words, ending))
    async with web.stream("POST", f"{url}/api/ai/chat", json=body(words, ending, stream=True)) as said:
        if said.status_code != 200:
            refused = json.loads(await said.aread())["error"]["code"]
            assert refused == "budget_exceeded" or (refused, ending) == ("upstream_unavailable", "refused")
            return 0
        heard = 0
        async for line in said.aiter_lines():
            if line.startswith('data: {"delta"'):
                heard += len(json.loads(line.removeprefix("data: "))["delta"].split())
            if leave and heard == words:
                return prompt + words
    assert heard == words
    return prompt + words if ending == "cut" else 7 + words


async def test_the_books_of_300_streams_are_exact_and_the_budget_is_never_overshot(
    setup: Setup, stub: StubUpstream
) -> None:
    budget, dice = 9_000, random.Random(5)
    token = token_for("streamer", budget=f"{budget}/day")
    plans = [("hang", True)] * 100 + [("refused", False)] * 15 + [("cut", False)] * 15 + [("whole", False)] * 170
    dice.shuffle(plans)
    at_once, over, costs = asyncio.Semaphore(60), asyncio.Event(), list[int]()

    async def run(number: int, ending: str, leave: bool) -> None:
        async with at_once:
            words = dice.randrange(1, 60)
            costs.append(await one_stream(web, setup.programs[number % 2].url, words, ending, leave))

    async def watch() -> int:
        meter = Meter("tokens", "day", budget)
        most = 0
        async with setup.store() as store:
            while not over.is_set():
                counters = await store.quota(Principal("hfchat", "streamer"), "-", [meter], now=time.time())
                most = max(most, counters.used[0][1])
                await asyncio.sleep(0.005)
        return most

    async with client(token) as web:
        watching = asyncio.create_task(watch())
        await asyncio.gather(*(run(number, *plan) for number, plan in enumerate(plans)))
        over.set()
        most = await watching
    books = await settled(setup, "streamer")
    assert books.prompt_tokens + books.completion_tokens == sum(costs)
    assert budget - 500 < most <= budget
    assert 100 < books.requests < 300
    assert await reading_of(setup, "streamer", budget) == (sum(costs), 0)
    await asyncio.to_thread(wait_until, lambda: stub.in_progress == 0)


async def settled(setup: Setup, subject: str) -> UsageTotals:
    """Their account once nothing is held any more."""

    async def nothing_is_held() -> bool:
        return (await setup.account(subject)).held_tokens == 0

    await until(nothing_is_held)
    return await setup.account(subject)


async def in_progress(setup: Setup, subject: str, streams: int) -> None:
    """Wait until they have so many streams."""

    async def they_are() -> bool:
        return (await reading_of(setup, subject, 1))[1] == streams

    await until(they_are)


async def reading_of(setup: Setup, subject: str, budget: int, now: float | None = None) -> tuple[int, int]:
    """Tokens of today, replies in progress."""
    async with setup.store() as store:
        meter = Meter("tokens", "day", budget)
        counters: Counters = await store.quota(Principal("hfchat", subject), "-", [meter], now=now or time.time())
        return counters.used[0][1], counters.streams


async def test_killed_in_the_middle_of_50_streams_nothing_is_granted_twice_or_stuck_past_its_lease(
    setup: Setup, tmp_path: Path
) -> None:
    held = max_prompt_tokens(messages(5, "hang")) + 100
    budget = 50 * held + 50
    token = token_for("victim", budget=f"{budget}/day", streams=50)
    with forked(tmp_path, **setup.variables) as program:
        program.listening()
        async with client(token) as web:
            streams = [
                asyncio.create_task(web.post(f"{program.url}/api/ai/chat", json=body(5, "hang", stream=True)))
                for _ in range(50)
            ]
            await in_progress(setup, "victim", 50)
            program.process.kill()
            await asyncio.gather(*streams, return_exceptions=True)
    with forked(tmp_path, **setup.variables) as program:
        program.listening()
        async with client(token) as web:
            refused = await web.post(f"{program.url}/api/ai/chat", json=body(1))
            assert refused.status_code == 429
            assert await reading_of(setup, "victim", budget) == (50 * held, 50)
            later = time.time() + LEASE_S
            spent = await setup.account("victim", later)
            assert (spent.requests, spent.held_tokens) == (50, 0)
            assert spent.prompt_tokens + spent.completion_tokens == spent.estimated_tokens == 50 * held
            assert (await reading_of(setup, "victim", budget, later))[1] == 0
            assert refused.json()["error"]["code"] == "budget_exceeded"


@pytest.mark.parametrize("by", ["command", "admin"])
async def test_a_revoked_token_is_out_of_both_processes_and_its_streams_end(setup: Setup, by: str) -> None:
    token = token_for(f"outcast-{by}")
    urls = [f"{program.url}/api/ai/chat" for program in setup.programs]

    async def listen(url: str) -> str:
        async with web.stream("POST", url, json=body(3, "hang", stream=True)) as said:
            return (await said.aread()).decode()

    async with client(token) as web:
        streams = [asyncio.create_task(listen(url)) for url in urls]
        await in_progress(setup, f"outcast-{by}", 2)
        if by == "command":
            command = [sys.executable, "-m", "hfchat", "token", "revoke", token]
            await asyncio.to_thread(
                subprocess.run, command, check=True, cwd=REPOSITORY, env=setup.variables, capture_output=True
            )
        else:
            admin = {"Authorization": f"Bearer {make_token('root', scopes=('admin',))}"}
            said = await web.post(f"{setup.programs[0].url}/api/ai/revoke", json={"token": token}, headers=admin)
            assert said.status_code == 200
        refusals = [await web.post(url, json=body(1)) for url in urls]
        heard = await asyncio.gather(*streams)
    assert [said.json()["error"]["code"] for said in refusals] == ["revoked_token"] * 2
    assert all(text.count("ab ") == 3 and '"code": "revoked_token"' in text for text in heard)
    books = await setup.account(f"outcast-{by}")
    assert books.held_tokens == 0
    assert books.completion_tokens == 6


async def test_a_person_who_is_blocked_while_50_call_is_out_of_both_processes_and_their_streams_end(
    setup: Setup,
) -> None:
    tokens = [token_for("mallory") for _ in range(5)]
    urls = [f"{program.url}/api/ai/chat" for program in setup.programs]
    over, late = asyncio.Event(), []

    async def listen(url: str) -> str:
        async with web.stream("POST", url, json=body(3, "hang", stream=True)) as said:
            return (await said.aread()).decode()

    async def call(number: int) -> None:
        headers = {"Authorization": f"Bearer {tokens[number % 5]}"}
        code = ""
        while code != "revoked_token":
            began_after = over.is_set()
            said = await web.post(urls[number % 2], json=body(1), headers=headers)
            code = said.json().get("error", {}).get("code", "ok")
            assert code in ("ok", "revoked_token")
            if began_after:
                late.append(code)

    async with client(tokens[0]) as web:
        streams = [asyncio.create_task(listen(url)) for url in urls]
        calls = [asyncio.create_task(call(number)) for number in range(50)]
        command = [sys.executable, "-m", "hfchat", "person", "mallory", "--block"]
        await asyncio.to_thread(
            subprocess.run, command, check=True, cwd=REPOSITORY, env=setup.variables, capture_output=True
        )
        over.set()
        await asyncio.gather(*calls)
        late += [(await web.post(url, json=body(1))).json()["error"]["code"] for url in urls]
        heard = await asyncio.gather(*streams)
    assert set(late) == {"revoked_token"}
    assert all('"code": "revoked_token"' in text for text in heard)
    assert (await settled(setup, "mallory")).held_tokens == 0


async def test_while_the_store_is_away_nobody_is_admitted_and_it_goes_on_by_itself(
    setup: Setup, stub: StubUpstream
) -> None:
    away, back = asyncio.Event(), asyncio.Event()
    during: list[tuple[int, str]] = []
    seen: dict[str, int] = {"before": 0, "after": 0}
    refused: set[tuple[int, str]] = set()

    async def load(web: httpx2.AsyncClient, number: int) -> None:
        url = f"{setup.programs[number % 2].url}/api/ai/chat"
        while seen["after"] < 40:
            sent_while_away = away.is_set() and not back.is_set()
            response = await web.post(url, json=body(2))
            code = response.json().get("error", {}).get("code", "")
            if response.status_code != 200:
                refused.add((response.status_code, code))
            if sent_while_away and not back.is_set():
                during.append((response.status_code, code))
            elif response.status_code == 200:
                seen["after" if back.is_set() else "before"] += 1
            await asyncio.sleep(0.01)

    async with client(token_for("loyal")) as web:
        tasks = [asyncio.create_task(load(web, number)) for number in range(16)]
        await asyncio.to_thread(wait_until, lambda: seen["before"] >= 40)
        await asyncio.to_thread(setup.take_away)
        await asyncio.sleep(0.1)
        away.set()
        reservation = len(stub.requests)
        await asyncio.to_thread(wait_until, lambda: len(during) >= 40)
        assert len(stub.requests) == reservation
        await asyncio.to_thread(setup.bring_back)
        back.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)
    assert set(during) == refused == {(503, "store_unavailable")}
    books = await settled(setup, "loyal")
    assert books.completion_tokens <= 2 * books.requests


async def test_the_page_that_says_it_is_ready_asks_the_store(setup: Setup) -> None:
    async with httpx2.AsyncClient() as web:
        assert (await web.get(f"{setup.programs[0].url}/readyz")).status_code == 200
        await asyncio.to_thread(setup.take_away)
        try:
            assert (await web.get(f"{setup.programs[0].url}/readyz")).status_code == 503
            assert (await web.get(f"{setup.programs[0].url}/healthz")).status_code == 200
        finally:
            await asyncio.to_thread(setup.bring_back)
        assert (await web.get(f"{setup.programs[0].url}/readyz")).status_code == 200


async def test_this_ledger_here_is_the_processes_own(setup: Setup) -> None:
    async with setup.store() as store:
        try:
            assert await store.totals("nobody", now=time.time()) == []
        except StoreUnavailable:
            pytest.fail("the store is not there")
