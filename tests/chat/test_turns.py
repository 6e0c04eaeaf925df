"""A turn's account: reserved before it, charged once however it ends, given back, renewed, and ended when its token is."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from hfchat import errors as e
from hfchat.chat.chat import Chat
from hfchat.chat.token_count import estimated_prompt_tokens
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import Counters, Reservation, UsageTotals
from hfchat.ledger.quota import Quota
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import Limit
from hfchat.types import Call, Caller, ChatRequest, Delta, Finish, Message, Policy, Usage
from tests.support.raw_client import logged

pytestmark = pytest.mark.anyio

POLICY = Policy(
    "own/default",
    None,
    ("own/fallback",),
    max_tokens=100,
    rate=(Limit(50, "day"),),
    budget=(Limit(100_000, "day"),),
    streams=5,
)
ASKED = ChatRequest((Message("user", "a question of some length, so that it costs something"),))
PROMPT = estimated_prompt_tokens(ASKED.messages)
WAIT = "wait"
Script = list[Delta | Finish | BaseException | str]


class Scripted:
    """Says what its script has, model by model; at `WAIT` it is silent until it is closed."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts
        self.closed = 0
        self.waiting = asyncio.Event()

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        try:
            for said in self.scripts[call.model.partition("/")[2]]:
                await asyncio.sleep(0)
                if isinstance(said, BaseException):
                    raise said
                if isinstance(said, str):
                    self.waiting.set()
                    await asyncio.sleep(3600)
                else:
                    yield said
        finally:
            self.closed += 1

    async def close(self) -> None:
        pass


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    made = Ledger(SqliteStore(None))
    yield made
    await made.close()


def caller(policy: Policy = POLICY, *, ttl_s: float = 3600) -> Caller:
    return Caller("alice", "jti-1", time.time() + ttl_s, policy)


async def books(ledger: Ledger) -> UsageTotals:
    (found,) = await ledger.totals("alice")
    return found


async def run(chat: Chat, who: Caller, *, leave_after: int | None = None) -> str:
    """How it ended."""
    heard = 0
    try:
        async with aclosing(chat.stream(who, ASKED, request_id="r")) as parts:
            async for _ in parts:
                heard += 1
                if heard == leave_after:
                    return "left"
    except e.HfchatError as error:
        return error.code
    except asyncio.CancelledError:
        return "cancelled"
    return "ok"


A, B = Delta("a "), Delta("b ")
ENDINGS: dict[str, tuple[Script, int | None, str, Usage]] = {
    "whole": ([A, B, Finish("m", usage=Usage(7, 5))], None, "ok", Usage(7, 5)),
    "whole and not counted": ([A, B, Finish("m")], None, "ok", Usage(PROMPT, 2, True)),
    "left after two": ([A, B, WAIT], 2, "left", Usage(PROMPT, 2, True)),
    "left at the end": ([A, Finish("m", usage=Usage(7, 1))], 2, "left", Usage(7, 1)),
    "cancelled before anything came": ([WAIT], None, "cancelled", Usage(PROMPT, 0, True)),
    "cancelled in the middle": ([A, B, WAIT], None, "cancelled", Usage(PROMPT, 2, True)),
    "cut in the middle": ([A, e.UpstreamInterrupted()], None, "upstream_interrupted", Usage(PROMPT, 1, True)),
    "failed before anything came": ([e.CreditsExhausted()], None, "credits_exhausted", Usage(0, 0)),
    "a fault of ours before anything came": ([RuntimeError("x")], None, "internal_error", Usage(0, 0)),
    "a fault of ours in the middle": ([A, RuntimeError("x")], None, "internal_error", Usage(PROMPT, 1, True)),
}


@pytest.mark.parametrize(("script", "leave_after", "ending", "usage"), ENDINGS.values(), ids=ENDINGS)
async def test_a_turn_is_charged_once_however_it_ends(
    ledger: Ledger, script: Script, leave_after: int | None, ending: str, usage: Usage
) -> None:
    upstream = Scripted(default=script)
    chat, who = Chat(upstream, ledger), caller(replace(POLICY, fallback_models=()))
    if ending == "cancelled":
        task = asyncio.create_task(run(chat, who))
        await upstream.waiting.wait()
        task.cancel()
        assert await task == ending
    else:
        assert await run(chat, who, leave_after=leave_after) == ending
    found = await books(ledger)
    assert (found.requests, found.held_tokens) == (1, 0)
    assert (found.prompt_tokens, found.completion_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    assert found.estimated_tokens == (usage.total_tokens if usage.estimated else 0)
    left = await ledger.quota(who)
    assert left.budget is not None
    assert left.budget.remaining == 100_000 - usage.total_tokens
    assert upstream.closed == 1


async def test_of_several_models_only_the_one_that_answers_is_charged(ledger: Ledger) -> None:
    upstream = Scripted(default=[e.ModelLoading()], fallback=[A, Finish("f", usage=Usage(3, 1))])
    assert await run(Chat(upstream, ledger), caller()) == "ok"
    found = await books(ledger)
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (1, 3, 1)


async def test_a_provider_that_does_not_stop_at_the_limit_is_stopped_there(ledger: Ledger) -> None:
    upstream = Scripted(default=[Delta("word ")] * 500)
    parts = [part async for part in Chat(upstream, ledger).stream(caller(), ASKED, request_id="r")]
    # A sixth more than the 100 tokens that were asked for, and what came is charged.
    assert 100 < len(parts) < 200
    found = await books(ledger)
    charged = found.completion_tokens
    assert parts[-1] == Finish("own/default", "length", Usage(PROMPT, charged, estimated=True), truncated=True)
    assert 100 < charged < 130
    assert (found.held_tokens, upstream.closed) == (0, 1)


async def test_a_turn_that_ends_while_its_reader_does_not_read_is_cut_off(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.chat.turns.CUT_S", 0.02)
    upstream = Scripted(default=[A] * 5)
    chat, stopped = Chat(upstream, ledger), asyncio.Event()

    async def read_one_and_stop() -> None:
        async with aclosing(chat.stream(caller(), ASKED, request_id="r")) as parts:
            await anext(parts)
            stopped.set()
            await asyncio.sleep(3600)

    with logged() as lines:
        counters = asyncio.create_task(read_one_and_stop())
        await stopped.wait()
        chat.end_turns(e.RevokedToken)
        with pytest.raises(asyncio.CancelledError):
            await counters
    assert (upstream.closed, (await books(ledger)).held_tokens) == (1, 0)
    assert any("turn" in line and "revoked_token" in line for line in lines)


async def test_after_an_outage_the_turns_in_progress_have_their_places_before_new_ones(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.chat.turns.LEASE_S", 0.15)
    monkeypatch.setattr("hfchat.ledger.ledger.LEASE_S", 0.15)
    upstream = Scripted(default=[A, WAIT])
    chat, who = Chat(upstream, ledger), caller(replace(POLICY, streams=2))

    async def away(*_: object, **__: object) -> None:
        raise e.StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "revoked", away)
        running = [asyncio.create_task(run(chat, who)) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0.1)
        assert await run(chat, who) == "too_many_streams"
    for task in running:
        task.cancel()
    await asyncio.gather(*running)


REFUSED = {
    "no message": ChatRequest(()),
    "an unknown model": ChatRequest(ASKED.messages, "other/model"),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
async def test_what_may_not_be_asked_costs_not_even_a_request(ledger: Ledger, request_: ChatRequest) -> None:
    who = caller(replace(POLICY, models=frozenset({"own/default"})))
    chat = Chat(Scripted(), ledger)
    with pytest.raises(e.CallerError):
        async for _ in chat.stream(who, request_, request_id="r"):
            pass
    assert await ledger.totals() == []


async def test_at_the_end_of_a_reply_it_is_settled_already_and_told(ledger: Ledger) -> None:
    on_quota: list[Quota] = []
    chat = Chat(Scripted(default=[A, Finish("m")]), ledger)
    async with aclosing(chat.stream(caller(), ASKED, request_id="r", on_quota=on_quota.append)) as parts:
        async for part in parts:
            if isinstance(part, Finish):
                assert part.usage == Usage(PROMPT, 1, estimated=True)
                assert (await books(ledger)).held_tokens == 0
                assert len(on_quota) == 2
    reserved, settled = on_quota
    assert reserved.streams is not None
    assert settled.streams is not None
    assert (reserved.streams.remaining, settled.streams.remaining) == (4, 5)
    assert (await ledger.quota(caller())).streams == settled.streams


ENDED: dict[str, tuple[Script, type[e.HfchatError], Usage]] = {
    "stopped server, nothing came": ([WAIT], e.Overloaded, Usage(0, 0)),
    "stopped server": ([A, WAIT], e.Overloaded, Usage(PROMPT, 1)),
    "token over, nothing came": ([WAIT], e.ExpiredToken, Usage(PROMPT, 0)),
    "token over": ([A, WAIT], e.ExpiredToken, Usage(PROMPT, 1)),
}


@pytest.mark.parametrize(("script", "error", "usage"), ENDED.values(), ids=ENDED)
async def test_a_turn_that_is_ended_from_outside_pays_for_what_came(
    ledger: Ledger, script: Script, error: type[e.HfchatError], usage: Usage
) -> None:
    upstream = Scripted(default=script)
    chat = Chat(upstream, ledger)
    task = asyncio.create_task(run(chat, caller()))
    await upstream.waiting.wait()
    chat.end_turns(error)
    assert await task == error.code
    found = await books(ledger)
    assert (found.prompt_tokens, found.completion_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    assert (found.held_tokens, upstream.closed) == (0, 1)


async def test_a_token_that_is_taken_back_ends_its_turns_and_no_others(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.chat.turns.WATCH_S", 0.01)
    upstream = Scripted(default=[A, WAIT])
    chat = Chat(upstream, ledger)
    revoked = [asyncio.create_task(run(chat, caller())) for _ in range(2)]
    other = asyncio.create_task(run(chat, replace(caller(), token_id="jti-2")))
    await upstream.waiting.wait()
    await ledger.revoke("jti-1", time.time() + 60)
    assert await asyncio.gather(*revoked) == ["revoked_token"] * 2
    assert not other.done()
    other.cancel()
    assert await other == "cancelled"
    assert upstream.closed == 3


async def test_a_long_turn_keeps_its_place_and_a_store_that_is_away_does_not_end_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.chat.turns.WATCH_S", 0.01)
    monkeypatch.setattr("hfchat.chat.turns.LEASE_S", 0.3)
    monkeypatch.setattr("hfchat.ledger.ledger.LEASE_S", 0.3)
    upstream = Scripted(default=[A, WAIT])
    task = asyncio.create_task(run(Chat(upstream, ledger), caller()))
    await upstream.waiting.wait()

    async def away(*_: object, **__: object) -> None:
        raise e.StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "revoked", away)
        for _ in range(5):
            await asyncio.sleep(0.02)
    for _ in range(8):
        await asyncio.sleep(0.1)
        left = await ledger.quota(caller())
        assert left.streams is not None
        assert left.streams.remaining == 4
    assert not task.done()
    task.cancel()
    assert await task == "cancelled"


async def test_a_call_that_is_refused_is_not_sent(ledger: Ledger) -> None:
    upstream = Scripted(default=[A, Finish("m")])
    chat = Chat(upstream, ledger)
    one_request = replace(POLICY, rate=(Limit(1, "day"),))
    assert await run(chat, caller(one_request)) == "ok"
    assert await run(chat, caller(one_request)) == "rate_limit_exceeded"
    assert upstream.closed == 1


class SlowLedger(SqliteStore):
    """Answers a reservation only when it is `free`."""

    def __init__(self) -> None:
        super().__init__(None)
        self.free, self.reserving = asyncio.Event(), asyncio.Event()

    async def reserve(self, asked: Reservation, *, now: float, lease_ends: float) -> Counters:  # type: ignore[override]
        counters = await super().reserve(asked, now=now, lease_ends=lease_ends)
        self.reserving.set()
        await self.free.wait()
        return counters


async def test_whoever_leaves_while_it_is_reserved_pays_nothing_and_nothing_is_sent() -> None:
    store, upstream = SlowLedger(), Scripted(default=[A, Finish("m")])
    ledger = Ledger(store)
    task = asyncio.create_task(run(Chat(upstream, ledger), caller()))
    await store.reserving.wait()
    task.cancel()
    assert await task == "cancelled"
    while (await books(ledger)).held_tokens:
        await asyncio.sleep(0)
    account = await books(ledger)
    assert (account.requests, account.prompt_tokens, upstream.closed) == (1, 0, 0)
    await ledger.close()


async def test_a_turn_that_is_ended_while_it_is_reserved_says_so_at_once() -> None:
    store, upstream = SlowLedger(), Scripted(default=[A, Finish("m")])
    ledger = Ledger(store)
    chat = Chat(upstream, ledger)
    task = asyncio.create_task(run(chat, caller()))
    await store.reserving.wait()
    chat.end_turns(e.Overloaded)
    assert await task == "overloaded"
    assert upstream.closed == 0
    await ledger.close()


async def test_replies_at_once_are_limited_and_a_place_is_free_when_one_ends(ledger: Ledger) -> None:
    upstream = Scripted(default=[A, WAIT])
    chat, who = Chat(upstream, ledger), caller(replace(POLICY, streams=2))
    first, second = (asyncio.create_task(run(chat, who)) for _ in range(2))
    while upstream.closed == 0 and (await ledger.quota(who)).streams.remaining:  # type: ignore[union-attr]
        await asyncio.sleep(0)
    assert await run(chat, who) == "too_many_streams"
    first.cancel()
    await first
    assert await run(chat, who, leave_after=1) == "left"
    second.cancel()
    await second
    assert (await ledger.quota(who)).streams.remaining == 2  # type: ignore[union-attr]


async def test_two_people_of_one_name_and_two_issuers_have_two_accounts(ledger: Ledger) -> None:
    chat = Chat(Scripted(default=[A, Finish("m", usage=Usage(1, 1))]), ledger)
    await run(chat, caller())
    await run(chat, replace(caller(), issuer="https://idp.example"))
    assert [account.requests for account in await ledger.totals("alice")] == [1, 1]
