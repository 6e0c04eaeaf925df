"""The ledger over a store that is slow, fails or does not answer: answers in time, and no charge is lost or made twice."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hfchat.errors import BudgetExceeded, RateLimitExceeded, RevokedToken, StoreUnavailable, TooManyStreams
from hfchat.ledger import store_timeout
from hfchat.ledger.ledger import NOTHING, Ledger
from hfchat.ledger.meters import Counters, Meter, OnceState, Principal, Reservation, UsageTotals
from hfchat.ledger.quota import Quota
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.ledger.store import Store
from hfchat.limits import Limit
from hfchat.types import Caller, Policy, Usage
from tests.conftest import wait_until
from tests.support.raw_client import logged
from tests.support.rows import each_row

pytestmark = pytest.mark.anyio

NOW = 1_780_315_200.0
POLICY = Policy("m", None, max_tokens=100, rate=(Limit(3, "minute"),), budget=(Limit(1000, "day"),), streams=2)
ALICE = Caller("alice", "j1", NOW + 3600, POLICY)
MOST = Usage(77, 100)
BOB = Caller("bob", "j2", NOW + 3600, Policy("m", None, (), 100))
HELD = 64 + 5 + 8 + 100


class Faulty:
    """A ledger that does what it is told before or after the real one does its work."""

    in_order = False

    def __init__(self) -> None:
        self.real = SqliteStore(None)
        self.before: Callable[[str], Awaitable[None]] = _pass
        self.after: Callable[[str], Awaitable[None]] = _pass
        self.calls: list[str] = []

    async def _do(self, what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append(what)
        await self.before(what)
        done = await work()
        await self.after(what)
        return done

    async def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Counters:
        return await self._do("reserve", lambda: self.real.reserve(reservation, now=now, lease_ends=lease_ends))

    async def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, read_counters: bool = True
    ) -> Counters | None:
        return await self._do(
            "settle", lambda: self.real.settle(reservation, usage, now=now, read_counters=read_counters)
        )

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        await self._do("renew", lambda: self.real.renew(reservation_ids, now=now, lease_ends=lease_ends))

    async def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Counters:
        return await self._do("look", lambda: self.real.quota(principal, token_id, meters, now=now))

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        await self._do("revoke", lambda: self.real.revoke(token_id, now=now, until=until))

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        return await self._do("revoked", lambda: self.real.revoked(token_ids, now=now))

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        return await self._do("claim", lambda: self.real.begin_once(name, body, owner, now=now, until=until))

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        await self._do("renew_once", lambda: self.real.renew_once(name, owner, until=until))

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        await self._do("store_answer", lambda: self.real.store_answer(name, owner, answer, until=until))

    async def end_once(self, name: str, owner: str) -> None:
        await self._do("release", lambda: self.real.end_once(name, owner))

    async def store_record(self, name: str, sealed: bytes, *, now: float, until: float) -> None:
        await self._do("store_record", lambda: self.real.store_record(name, sealed, now=now, until=until))

    async def read_record(self, name: str, *, now: float) -> bytes | None:
        return await self._do("read_record", lambda: self.real.read_record(name, now=now))

    async def delete_record(self, name: str) -> None:
        await self._do("delete_record", lambda: self.real.delete_record(name))

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        return await self._do("accounts", lambda: self.real.totals(subject, now=now))

    async def close(self) -> None:
        await self.real.close()


async def _pass(_: str) -> None:
    pass


def left_of(quota: Quota) -> tuple[object, ...]:
    return quota.rate, quota.budget, quota.streams


def ignore(_: Quota) -> None:
    pass


async def _ignored(waiting: Awaitable[object]) -> None:
    await waiting


async def fails(_: str) -> None:
    raise StoreUnavailable


async def hangs(_: str) -> None:
    await asyncio.sleep(3600)


async def crashes(_: str) -> None:
    raise RuntimeError("as uvloop does, of a connection that was reset")


@pytest.fixture
async def store() -> Faulty:
    return Faulty()


@pytest.fixture
async def ledger(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    monkeypatch.setattr("hfchat.ledger.ledger.RETRY_S", 0.05)
    made = Ledger(store, clock=lambda: NOW, timeout_s=0.5)
    yield made
    store.before = store.after = _pass
    await made.close()


async def held(store: Store) -> int:
    return sum(account.held_tokens for account in await store.totals(None, now=NOW))


async def settled(store: Faulty) -> None:
    """Wait until nothing is held; asked of the real ledger."""
    async with asyncio.timeout(30):
        while await held(store.real):
            await asyncio.sleep(0.01)


async def test_a_turn_takes_its_most_and_gives_back_what_it_did_not_use(ledger: Ledger, store: Faulty) -> None:
    on_quota: list[Quota] = []
    reservation = await ledger.reserve(ALICE, MOST, on_quota.append)
    (left,) = on_quota
    assert (left.rate.remaining, left.budget.remaining, left.streams.remaining) == (2, 1000 - HELD, 1)  # type: ignore[union-attr]
    await ledger.settle(ALICE, reservation, Usage(7, 5), on_quota.append)
    after = on_quota[-1]
    assert (after.rate.remaining, after.budget.remaining, after.streams.remaining) == (2, 988, 2)  # type: ignore[union-attr]
    assert left_of(await ledger.quota(ALICE)) == left_of(after)
    (books,) = await ledger.totals("alice")
    assert (books.requests, books.prompt_tokens, books.completion_tokens) == (1, 7, 5)


async def test_each_limit_says_no_by_its_own_name(ledger: Ledger) -> None:
    alice = replace(ALICE, policy=replace(POLICY, rate=(Limit(4, "minute"),)))
    on_quota: list[Quota] = []
    first = await ledger.reserve(alice, MOST, on_quota.append)
    await ledger.reserve(alice, MOST, on_quota.append)
    with pytest.raises(TooManyStreams):
        await ledger.reserve(alice, MOST, on_quota.append)
    await ledger.settle(alice, first, Usage(900, 0), ignore)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(alice, MOST, on_quota.append)
    with pytest.raises(RateLimitExceeded):
        await ledger.reserve(alice, MOST, on_quota.append)
    # What is refused is a request all the same, and whoever sent it is told.
    assert [quota.rate.remaining for quota in on_quota] == [3, 2, 1, 0, 0]  # type: ignore[union-attr]
    bob = Caller("bob", "j2", NOW + 60, Policy("m", None, max_tokens=100, rate=(Limit(1, "hour"),)))
    await ledger.reserve(bob, MOST, ignore)
    with pytest.raises(RateLimitExceeded) as refused:
        await ledger.reserve(bob, MOST, ignore)
    assert refused.value.retry_after_s == 3600


async def test_a_revoked_token_looks_at_nothing_and_takes_nothing(ledger: Ledger) -> None:
    await ledger.revoke("j1", NOW + 3600, subject="alice")
    for refused in (ledger.quota(ALICE), ledger.reserve(ALICE, MOST, ignore)):
        with pytest.raises(RevokedToken) as revoked:
            await refused
        assert (revoked.value.subject, revoked.value.token_id) == ("alice", "j1")
    assert await ledger.revoked({"j1", "j2"}) == {"j1"}


@pytest.mark.parametrize("fault", [fails, hangs, crashes])
async def test_a_store_that_does_not_answer_is_a_no_everywhere(
    ledger: Ledger, store: Faulty, fault: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.REPORT_TIMEOUT_S", 0.5)
    store.before = fault
    answers = await asyncio.gather(
        ledger.quota(ALICE),
        ledger.reserve(ALICE, MOST, ignore),
        ledger.renew([]),
        ledger.revoke("x", NOW),
        ledger.revoked({"x"}),
        ledger.totals(),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 6
    assert not await ledger.healthy()
    store.before = _pass
    assert await ledger.healthy()


CALLS: dict[str, Callable[[Ledger], Awaitable[object]]] = {
    "look": lambda ledger: ledger.quota(ALICE),
    "reserve": lambda ledger: ledger.reserve(ALICE, MOST, ignore),
    "settle": lambda ledger: ledger.settle(ALICE, NEVER, Usage(1, 1), ignore),
    "renew": lambda ledger: ledger.renew([NEVER]),
    "revoke": lambda ledger: ledger.revoke("x", NOW),
    "revoked": lambda ledger: ledger.revoked({"x"}),
    "claim": lambda ledger: ledger.begin_once("name", "body", "owner", until=NOW),
    "renew_once": lambda ledger: ledger.renew_once("name", "owner", until=NOW),
    "store_answer": lambda ledger: ledger.store_answer("name", "owner", b"sealed", until=NOW),
    "release": lambda ledger: ledger.end_once("name", "owner"),
    "store_record": lambda ledger: ledger.store_record("name", b"sealed", until=NOW),
    "read_record": lambda ledger: ledger.read_record("name"),
    "delete_record": lambda ledger: ledger.delete_record("name"),
    "accounts": lambda ledger: ledger.totals(),
    "health": lambda ledger: ledger.healthy(),
}
NEVER = Reservation("never", Principal("hfchat", "alice"), "j1", (), None, 1, 1)


class Plain:
    """A ledger whose every answer is the same, as a plain future, as SQLite's are, or from a coroutine."""

    in_order = False

    def __init__(self, kind: str, answer: Callable[[], Awaitable[object]]) -> None:
        self._kind = kind
        self._answer = answer
        self.tasks: list[asyncio.Future[object]] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        def begin(*_: object, **__: object) -> Awaitable[object]:
            if self._kind == "coroutine":
                return self._answer()
            task = asyncio.ensure_future(self._answer())
            self.tasks.append(task)
            if self._kind == "task":
                return task
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            task.add_done_callback(lambda done: future.done() or future.set_result(done.result()))
            return future

        return begin

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()


def plain_accounts(kind: str, answer: Callable[[], Awaitable[object]]) -> tuple[Ledger, Plain]:
    store = Plain(kind, answer)
    return Ledger(store, clock=lambda: NOW, timeout_s=0.2), store  # type: ignore[arg-type]


@each_row("kind", ["coroutine", "task", "future"], at_once=True)
@each_row("call", CALLS, at_once=True)
async def test_a_ledger_that_hangs_is_a_no_in_time_and_never_a_cancellation(
    call: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.REPORT_TIMEOUT_S", 0.2)
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    ledger, _ = plain_accounts(kind, lambda: asyncio.sleep(3600))
    async with asyncio.timeout(5):
        if call in ("settle", "health"):
            assert not await CALLS[call](ledger)
        else:
            with pytest.raises(StoreUnavailable):
                await CALLS[call](ledger)
    await ledger.close()


@each_row("kind", ["coroutine", "task", "future"], at_once=True)
@each_row("call", CALLS, at_once=True)
async def test_whoever_leaves_while_a_ledger_hangs_is_cancelled(
    call: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    ledger, _ = plain_accounts(kind, lambda: asyncio.sleep(3600))
    calling = asyncio.ensure_future(CALLS[call](ledger))
    await asyncio.sleep(0.02)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await ledger.close()


@each_row("kind", ["coroutine", "task", "future"], at_once=True)
@each_row("call", CALLS, at_once=True)
async def test_a_ledger_that_swallows_a_cancellation_delays_nobody(
    call: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.REPORT_TIMEOUT_S", 0.2)
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    over = asyncio.Event()

    async def deaf() -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    ledger, _ = plain_accounts(kind, deaf)
    async with asyncio.timeout(5):
        if call in ("settle", "health"):
            assert not await CALLS[call](ledger)
        else:
            with pytest.raises(StoreUnavailable):
                await CALLS[call](ledger)
        over.set()
        await ledger.close()


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
async def test_an_answer_in_the_last_step_counts(kind: str) -> None:
    ledger, _ = plain_accounts(kind, lambda: asyncio.sleep(0.15, {"x"}))
    assert await ledger.revoked({"x"}) == {"x"}


async def test_an_answer_in_the_turn_of_the_loop_in_which_time_is_up_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, store = plain_accounts("future", lambda: asyncio.sleep(0))
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    store.__dict__["revoked"] = lambda *_, **__: answer
    done_within = store_timeout._done_within

    async def at_the_end(seconds: float, future: asyncio.Future[object], loop: asyncio.AbstractEventLoop) -> None:
        await done_within(seconds, future, loop)
        at_the_end.steps += 1  # type: ignore[attr-defined]
        if at_the_end.steps == 2:  # type: ignore[attr-defined]
            answer.set_result({"x"})

    at_the_end.steps = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(store_timeout, "_done_within", at_the_end)
    assert await ledger.revoked({"x"}) == {"x"}


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
async def test_a_ledger_that_is_cancelled_from_below_is_a_no(kind: str) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    ledger, store = plain_accounts("task" if kind == "future" else kind, cancelled)
    if kind == "future":
        gone: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        gone.cancel()
        store.__dict__["look"] = lambda *_, **__: gone
    with pytest.raises(StoreUnavailable):
        await ledger.quota(ALICE)


async def test_that_the_store_is_away_is_logged_once_and_that_it_is_back(ledger: Ledger, store: Faulty) -> None:
    with logged() as lines:
        store.before = fails
        for _ in range(5):
            assert not await ledger.healthy()
        store.before = _pass
        assert await ledger.healthy()
        assert await ledger.healthy()
    assert [line.split()[1] for line in lines] == ["store_unavailable", "store_is_back"]


async def test_where_only_writing_fails_that_is_logged_once_too(ledger: Ledger, store: Faulty) -> None:
    async def fails_to_write(what: str) -> None:
        if what in ("reserve", "settle"):
            raise StoreUnavailable

    with logged() as lines:
        store.before = fails_to_write
        for _ in range(3):
            await ledger.quota(ALICE)
            with pytest.raises(StoreUnavailable):
                await ledger.reserve(ALICE, MOST, ignore)
        store.before = _pass
        await ledger.reserve(ALICE, MOST, ignore)
    assert [line.split()[1] for line in lines] == ["store_unavailable", "store_is_back"]


async def test_a_store_that_is_only_busy_is_waited_for(ledger: Ledger, store: Faulty) -> None:
    turn = asyncio.Lock()

    async def one_by_one(_: str) -> None:
        async with turn:
            await asyncio.sleep(0.03)

    store.before = one_by_one
    standings = await asyncio.gather(*(ledger.quota(ALICE) for _ in range(40)))
    assert len(standings) == 40


async def test_a_client_that_swallows_a_cancellation_delays_nobody(ledger: Ledger, store: Faulty) -> None:
    over = asyncio.Event()

    async def deaf(_: str) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    store.before = deaf
    with pytest.raises(StoreUnavailable):
        await ledger.quota(ALICE)
    asking = asyncio.create_task(ledger.quota(ALICE))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    over.set()


@pytest.mark.parametrize("fault", [fails, hangs, crashes])
async def test_a_reservation_that_was_taken_and_nobody_heard_of_is_given_back(
    ledger: Ledger, store: Faulty, fault: Callable[[str], Awaitable[None]]
) -> None:
    store.after = fault
    with pytest.raises(StoreUnavailable):
        await ledger.reserve(ALICE, MOST, ignore)
    store.after = _pass
    await settled(store)
    (books,) = await store.real.totals(None, now=NOW)
    assert (books.requests, books.prompt_tokens, books.completion_tokens) == (1, 0, 0)


async def test_whoever_leaves_while_it_is_reserved_holds_nothing(ledger: Ledger, store: Faulty) -> None:
    store.after = hangs
    reserving = asyncio.create_task(ledger.reserve(ALICE, MOST, ignore))
    while await held(store.real) == 0:
        await asyncio.sleep(0)
    reserving.cancel()
    with suppress(asyncio.CancelledError):
        await reserving
    store.after = _pass
    await settled(store)


@pytest.mark.parametrize("fault", [fails, hangs, crashes])
async def test_what_cannot_be_settled_at_once_is_settled_when_the_store_is_back(
    ledger: Ledger, store: Faulty, fault: Callable[[str], Awaitable[None]]
) -> None:
    reservation = [await ledger.reserve(ALICE, MOST, ignore) for _ in range(2)]
    store.before = fault
    on_quota: list[Quota] = []
    for one in reservation:
        await ledger.settle(ALICE, one, Usage(7, 5), on_quota.append)
    assert on_quota == []
    assert await held(store.real) == 2 * HELD
    store.before = _pass
    await settled(store)
    (books,) = await ledger.totals()
    assert (books.prompt_tokens, books.completion_tokens) == (14, 10)


async def test_with_a_ledger_in_order_nobody_waits_and_what_comes_next_finds_it_settled(
    ledger: Ledger, store: Faulty
) -> None:
    store.in_order = True
    on_quota: list[Quota] = []
    reservation = await ledger.reserve(ALICE, MOST, on_quota.append)
    release = asyncio.Event()
    store.before = lambda _: _ignored(release.wait())
    await ledger.settle(ALICE, reservation, Usage(7, 5), on_quota.append, on_quota[-1])
    after = on_quota[-1]
    assert (after.rate.remaining, after.budget.remaining, after.streams.remaining) == (2, 988, 2)  # type: ignore[union-attr]
    assert await held(store.real) == HELD
    release.set()
    await settled(store)
    assert left_of(await ledger.quota(ALICE)) == left_of(after)


@pytest.mark.parametrize(("fault", "says"), [(fails, "store_unavailable"), (crashes, "crash")])
async def test_what_nobody_waits_for_is_settled_when_the_store_is_back(
    ledger: Ledger, store: Faulty, fault: Callable[[str], Awaitable[None]], says: str
) -> None:
    store.in_order = True
    on_quota: list[Quota] = []
    reservation = await ledger.reserve(ALICE, MOST, on_quota.append)
    store.before = fault
    with logged() as lines:
        await ledger.settle(ALICE, reservation, Usage(7, 5), ignore, on_quota[-1])
        async with asyncio.timeout(30):
            while store.calls.count("settle") < 2:
                await asyncio.sleep(0.01)
        assert await held(store.real) == HELD
        store.before = _pass
        await settled(store)
        await ledger.quota(ALICE)
    (books,) = await ledger.totals()
    assert (books.prompt_tokens, books.completion_tokens) == (7, 5)
    assert any(line.split()[1] == says for line in lines)
    assert not any("as uvloop does" in line for line in lines)


async def test_settling_goes_on_where_whoever_waits_for_it_is_cancelled_twice(ledger: Ledger, store: Faulty) -> None:
    reservation = await ledger.reserve(ALICE, MOST, ignore)
    store.before = lambda _: asyncio.sleep(0.05)
    settling = asyncio.create_task(ledger.settle(ALICE, reservation, Usage(7, 5), ignore))
    for _ in range(2):
        await asyncio.sleep(0)
        settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    await settled(store)


async def test_closing_waits_for_what_is_being_settled(store: Faulty) -> None:
    ledger = Ledger(store, clock=lambda: NOW)
    reservation = await ledger.reserve(ALICE, MOST, ignore)
    seen: list[int] = []
    real_close = store.real.close

    async def note_and_close() -> None:
        seen.append(await held(store.real))
        await real_close()

    store.real.close = note_and_close  # type: ignore[method-assign]
    store.before = lambda _: asyncio.sleep(0.05)
    settling = asyncio.create_task(ledger.settle(ALICE, reservation, NOTHING, ignore))
    await asyncio.sleep(0)
    await ledger.close()
    await settling
    assert seen == [0]


async def test_what_cannot_be_settled_holds_up_nothing_else(
    ledger: Ledger, store: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.SETTLING_BATCH", 1)
    fails_always, other = [await ledger.reserve(ALICE, MOST, ignore) for _ in range(2)]
    settle = store.settle

    async def settle_others(reservation: Reservation, usage: Usage, **more: Any) -> Counters | None:
        if reservation is fails_always:
            raise StoreUnavailable
        return await settle(reservation, usage, **more)

    store.before = fails
    for one in (fails_always, other):
        await ledger.settle(ALICE, one, Usage(7, 5), ignore)
    with monkeypatch.context() as patched:
        patched.setattr(store, "settle", settle_others)
        store.before = _pass
        async with asyncio.timeout(30):
            while await held(store.real) > HELD:
                await asyncio.sleep(0.01)
    await settled(store)


async def test_a_failure_that_nobody_foresaw_is_in_the_log_once_until_the_store_is_back(
    ledger: Ledger, store: Faulty
) -> None:
    store.before = crashes
    with logged() as lines:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await ledger.quota(ALICE)
        store.before = _pass
        await ledger.quota(ALICE)
    assert [line.split()[1] for line in lines] == ["crash", "store_is_back"]


async def test_what_is_not_settled_at_the_end_is_in_the_log(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    ledger = Ledger(store, clock=lambda: NOW)
    reservation = await ledger.reserve(ALICE, MOST, ignore)
    store.before = fails
    with logged() as lines:
        await ledger.settle(ALICE, reservation, NOTHING, ignore)
        await ledger.close()
    assert any("not_settled" in line and "'reservations': 1" in line for line in lines)


async def test_what_fails_for_good_is_kept_within_bounds(
    ledger: Ledger, store: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.MAX_UNSETTLED", 3)
    store.before = fails
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            await ledger.reserve(ALICE, MOST, ignore)
    assert len(ledger._unsettled) == 3
    store.before = _pass
    kept = [await ledger.reserve(BOB, MOST, ignore) for _ in range(3)]
    store.before = fails
    for reservation in kept:
        await ledger.settle(BOB, reservation, Usage(1, 1), ignore)
    with pytest.raises(StoreUnavailable):
        await ledger.reserve(ALICE, MOST, ignore)
    # What was really used goes before what may never have been taken.
    assert [used for _, used in ledger._unsettled.values()] == [Usage(1, 1)] * 3
    store.before = _pass
    await asyncio.to_thread(wait_until, lambda: not ledger._unsettled)


ONE_ID_IN_EACH_OF_TWO = """
import os
from hfchat.ids import random_id
child = os.fork()
if child:
    os.waitpid(child, 0)
print(random_id(96), random_id(64))
"""


def test_processes_that_a_server_forks_have_ids_of_their_own() -> None:
    completed = subprocess.run(
        [sys.executable, "-c", ONE_ID_IN_EACH_OF_TWO], capture_output=True, text=True, check=True
    )
    ids = completed.stdout.split()
    assert len(set(ids)) == len(ids) == 4
