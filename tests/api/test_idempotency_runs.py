"""Calls that wait for the first of their key: woken, not polling, few of one person, and one of them runs next."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hfchat.api import idempotency_runs
from hfchat.api.idempotency_runs import Claimed, RunKey, Runs
from hfchat.errors import StoreUnavailable, TooManyStreams
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import OnceState
from hfchat.ledger.open_store import open_store
from hfchat.types import Caller, Policy
from tests.support.errors import reason_of

pytestmark = pytest.mark.anyio
KEY = RunKey("name", "body")
ALICE, BOB = (Caller(name, "jti", 0, Policy("m", None, streams=2000)) for name in ("alice", "bob"))


class CountingLedger:
    """A ledger that counts what it is asked for claims."""

    def __init__(self) -> None:
        self._store: Any = open_store("memory://")
        self.claims = 0
        self.away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def begin_once(self, *args: Any, **more: Any) -> OnceState:
        self.claims += 1
        if self.away:
            raise StoreUnavailable
        found: OnceState = await self._store.begin_once(*args, **more)
        return found


@pytest.fixture
async def store() -> CountingLedger:
    return CountingLedger()


@pytest.fixture
async def ledger(store: CountingLedger) -> AsyncIterator[Ledger]:
    ledger: Any = Ledger(store)  # type: ignore[arg-type]
    yield ledger
    await ledger.close()


def until() -> float:
    return time.time() + 30


async def stays() -> None:
    await asyncio.Event().wait()


def waiting(runs: Runs, caller: Caller = ALICE, key: RunKey = KEY, left: Any = stays) -> "asyncio.Task[Claimed | None]":
    return asyncio.create_task(runs.begin_once(key, caller, until, left))


async def until_waiting(runs: Runs, count: int) -> None:
    while runs.waiting != count:
        await asyncio.sleep(0)


@pytest.mark.whole
async def test_two_thousand_who_wait_ask_the_ledger_nothing(ledger: Ledger, store: CountingLedger) -> None:
    runs = Runs(ledger)
    first = await runs.begin_once(KEY, ALICE, until, stays)
    assert first is not None
    assert first.runs
    others = [waiting(runs) for _ in range(2000)]
    await until_waiting(runs, 2000)
    await asyncio.sleep(3 * idempotency_runs.POLL_S)
    assert store.claims == 1
    await ledger.store_answer(KEY.name, first.owner, b"sealed", until=until())
    runs.ended(KEY, b"sealed")
    claims = await asyncio.gather(*others)
    assert {one.state.answer for one in claims if one} == {b"sealed"}
    assert (store.claims, runs.waiting, runs._runs) == (1, 0, {})


async def test_after_a_failure_the_one_who_waited_longest_runs_alone(ledger: Ledger, store: CountingLedger) -> None:
    runs = Runs(ledger)
    first = await runs.begin_once(KEY, ALICE, until, stays)
    assert first is not None
    others = [waiting(runs) for _ in range(20)]
    await until_waiting(runs, 20)
    owner = first.owner
    for place, one in enumerate(others):
        await ledger.end_once(KEY.name, owner)
        runs.ended(KEY, None)
        claimed = await one
        assert claimed is not None
        assert claimed.runs
        owner = claimed.owner
        assert [task.done() for task in others].count(True) == place + 1
    assert store.claims == 21
    await ledger.end_once(KEY.name, owner)
    runs.ended(KEY, None)
    assert runs._runs == {}


async def test_one_poller_asks_for_all_while_another_process_runs_it(
    ledger: Ledger, store: CountingLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_runs, "POLL_S", 0.01)
    here, there = Runs(ledger), Runs(ledger)
    first = await there.begin_once(KEY, ALICE, until, stays)
    assert first is not None
    others = [waiting(here) for _ in range(200)]
    await until_waiting(here, 200)
    before = store.claims
    await asyncio.sleep(0.1)
    # 0.01 s, and each time half as long again.
    assert 1 <= store.claims - before <= 6
    await ledger.store_answer(KEY.name, first.owner, b"sealed", until=until())
    claims = await asyncio.gather(*others)
    assert {one.state.answer for one in claims if one} == {b"sealed"}
    assert here._runs == {}


async def test_when_another_process_fails_one_of_those_here_runs_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_runs, "POLL_S", 0.01)
    here, there = Runs(ledger), Runs(ledger)
    first = await there.begin_once(KEY, ALICE, until, stays)
    assert first is not None
    others = [waiting(here) for _ in range(3)]
    await until_waiting(here, 3)
    await ledger.end_once(KEY.name, first.owner)
    there.ended(KEY, None)
    done, rest = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().runs for task in done if (task.result())] == [True]  # type: ignore[union-attr]
    assert len(rest) == 2
    here.ended(KEY, b"sealed")
    assert {(await task).state.answer for task in rest} == {b"sealed"}  # type: ignore[union-attr]


async def test_of_one_person_no_more_wait_than_may_have_replies(ledger: Ledger) -> None:
    runs = Runs(ledger)
    narrow = Caller("carol", "jti", 0, Policy("m", None, streams=2))
    await runs.begin_once(KEY, narrow, until, stays)
    others = [waiting(runs, narrow) for _ in range(2)]
    await until_waiting(runs, 2)
    with pytest.raises(TooManyStreams) as refused:
        await runs.begin_once(KEY, narrow, until, stays)
    assert reason_of(refused.value) == "waiting_used"
    waits = waiting(runs, BOB)
    await until_waiting(runs, 3)
    runs.ended(KEY, b"sealed")
    await asyncio.gather(*others, waits)
    # Their places are free again.
    again = RunKey("another", "body")
    await runs.begin_once(again, narrow, until, stays)
    other = waiting(runs, narrow, again)
    await until_waiting(runs, 1)
    runs.ended(again, b"sealed")
    assert await other


async def test_where_replies_have_no_limit_those_who_wait_have_one(ledger: Ledger) -> None:
    runs = Runs(ledger)
    free = Caller("dave", "jti", 0, Policy("m", None))
    await runs.begin_once(KEY, free, until, stays)
    others = [waiting(runs, free) for _ in range(idempotency_runs.MAX_WAITING)]
    await until_waiting(runs, idempotency_runs.MAX_WAITING)
    with pytest.raises(TooManyStreams):
        await runs.begin_once(KEY, free, until, stays)
    runs.ended(KEY, b"sealed")
    await asyncio.gather(*others)


async def test_who_leaves_is_forgotten_and_is_not_next(ledger: Ledger) -> None:
    runs = Runs(ledger)
    first = await runs.begin_once(KEY, ALICE, until, stays)
    assert first is not None
    gone = asyncio.Event()

    async def leaves() -> None:
        await gone.wait()

    impatient, patient = waiting(runs, left=leaves), waiting(runs)
    await until_waiting(runs, 2)
    gone.set()
    assert await impatient is None
    assert runs.waiting == 1
    await ledger.end_once(KEY.name, first.owner)
    runs.ended(KEY, None)
    claimed = await patient
    assert claimed is not None
    assert claimed.runs


async def test_who_is_cancelled_when_it_is_their_turn_gives_it_to_the_next(ledger: Ledger) -> None:
    runs = Runs(ledger)
    first = await runs.begin_once(KEY, ALICE, until, stays)
    assert first is not None
    one, two = waiting(runs), waiting(runs)
    await until_waiting(runs, 2)
    await ledger.end_once(KEY.name, first.owner)
    runs.ended(KEY, None)
    (waiter, _) = runs._runs[KEY].waiters
    while not waiter.done():
        await asyncio.sleep(0)
    one.cancel()
    claimed = await two
    assert claimed is not None
    assert claimed.runs
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_store_that_goes_away_is_said_to_all_who_wait(
    ledger: Ledger, store: CountingLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_runs, "POLL_S", 0.01)
    here, there = Runs(ledger), Runs(ledger)
    await there.begin_once(KEY, ALICE, until, stays)
    others = [waiting(here) for _ in range(5)]
    await until_waiting(here, 5)
    store.away = True
    ends = await asyncio.gather(*others, return_exceptions=True)
    assert {type(end) for end in ends} == {StoreUnavailable}
    assert (here.waiting, here._runs) == (0, {})


async def test_what_nobody_foresaw_is_logged_and_ends_the_wait(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(idempotency_runs, "POLL_S", 0.01)
    here, there = Runs(ledger), Runs(ledger)
    await there.begin_once(KEY, ALICE, until, stays)
    times = [until()]
    with pytest.raises(StoreUnavailable):
        await here.begin_once(KEY, ALICE, times.pop, stays)
    assert "crash" in [record.getMessage() for record in caplog.records]


async def test_another_body_under_the_key_does_not_wait(ledger: Ledger) -> None:
    runs = Runs(ledger)
    await runs.begin_once(KEY, ALICE, until, stays)
    other = await runs.begin_once(RunKey(KEY.name, "other"), ALICE, until, stays)
    assert other is not None
    assert other.state.other
    assert not other.runs
