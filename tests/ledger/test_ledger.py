"""Accounts over a ledger that is slow, fails or loses its voice: in time, nothing lost, nothing taken for nothing."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hfchat.errors import BudgetExceeded, RateLimitExceeded, RevokedToken, StoreUnavailable, TooManyStreams
from hfchat.ledger import ledger as accounts_module
from hfchat.ledger.ledger import NOTHING, Accounts
from hfchat.ledger.sqlite_store import SqliteLedger
from hfchat.ledger.store import Account, Claim, Ledger, Meter, Person, Reading, Reservation, Standing
from hfchat.limits import Limit
from hfchat.types import Caller, Policy, Usage
from tests.conftest import wait_until
from tests.support.raw_client import logged

pytestmark = pytest.mark.anyio

NOW = 1_780_315_200.0
POLICY = Policy("m", None, (), 100, (Limit(3, "minute"),), (Limit(1000, "day"),), 2)
ALICE = Caller("alice", "j1", NOW + 3600, POLICY)
MOST = Usage(77, 100)
BOB = Caller("bob", "j2", NOW + 3600, Policy("m", None, (), 100))
HELD = 64 + 5 + 8 + 100


class Faulty:
    """A ledger that does what it is told before or after the real one does its work."""

    in_order = False

    def __init__(self) -> None:
        self.real = SqliteLedger(None)
        self.before: Callable[[str], Awaitable[None]] = _pass
        self.after: Callable[[str], Awaitable[None]] = _pass
        self.asked: list[str] = []

    async def _do(self, what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        self.asked.append(what)
        await self.before(what)
        done = await work()
        await self.after(what)
        return done

    async def reserve(self, asked: Reservation, *, now: float, lease_ends: float) -> Reading:
        return await self._do("reserve", lambda: self.real.reserve(asked, now=now, lease_ends=lease_ends))

    async def settle(self, reserved: Reservation, usage: Usage, *, now: float, look: bool = True) -> Reading | None:
        return await self._do("settle", lambda: self.real.settle(reserved, usage, now=now, look=look))

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        await self._do("renew", lambda: self.real.renew(reservation_ids, now=now, lease_ends=lease_ends))

    async def look(self, person: Person, token_id: str, meters: Sequence[Meter], *, now: float) -> Reading:
        return await self._do("look", lambda: self.real.look(person, token_id, meters, now=now))

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        await self._do("revoke", lambda: self.real.revoke(token_id, now=now, until=until))

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        return await self._do("revoked", lambda: self.real.revoked(token_ids, now=now))

    async def claim(self, name: str, body: str, owner: str, *, now: float, until: float) -> Claim:
        return await self._do("claim", lambda: self.real.claim(name, body, owner, now=now, until=until))

    async def keep(self, name: str, owner: str, *, until: float, answer: bytes | None = None) -> None:
        await self._do("keep", lambda: self.real.keep(name, owner, until=until, answer=answer))

    async def release(self, name: str, owner: str) -> None:
        await self._do("release", lambda: self.real.release(name, owner))

    async def accounts(self, subject: str | None, *, now: float) -> list[Account]:
        return await self._do("accounts", lambda: self.real.accounts(subject, now=now))

    async def close(self) -> None:
        await self.real.close()


async def _pass(_: str) -> None:
    pass


def left_of(standing: Standing) -> tuple[object, ...]:
    return standing.rate, standing.budget, standing.streams


def ignore(_: Standing) -> None:
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
async def ledger() -> Faulty:
    return Faulty()


@pytest.fixture
async def accounts(ledger: Faulty, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Accounts]:
    monkeypatch.setattr("hfchat.ledger.ledger.RETRY_S", 0.05)
    made = Accounts(ledger, clock=lambda: NOW, timeout_s=0.5)
    yield made
    ledger.before = ledger.after = _pass
    await made.close()


async def held(ledger: Ledger) -> int:
    return sum(account.held_tokens for account in await ledger.accounts(None, now=NOW))


async def settled(ledger: Faulty) -> None:
    """Wait until nothing is held; asked of the real ledger."""
    async with asyncio.timeout(30):
        while await held(ledger.real):
            await asyncio.sleep(0.01)


async def test_a_turn_takes_its_most_and_gives_back_what_it_did_not_use(accounts: Accounts, ledger: Faulty) -> None:
    told: list[Standing] = []
    reserved = await accounts.reserve(ALICE, MOST, told.append)
    (left,) = told
    assert (left.rate.remaining, left.budget.remaining, left.streams.remaining) == (2, 1000 - HELD, 1)  # type: ignore[union-attr]
    await accounts.settle(ALICE, reserved, Usage(7, 5), told.append)
    after = told[-1]
    assert (after.rate.remaining, after.budget.remaining, after.streams.remaining) == (2, 988, 2)  # type: ignore[union-attr]
    assert left_of(await accounts.look(ALICE)) == left_of(after)
    (books,) = await accounts.everybody("alice")
    assert (books.requests, books.prompt_tokens, books.completion_tokens) == (1, 7, 5)


async def test_each_limit_says_no_by_its_own_name(accounts: Accounts) -> None:
    alice = replace(ALICE, policy=replace(POLICY, rate=(Limit(4, "minute"),)))
    told: list[Standing] = []
    first = await accounts.reserve(alice, MOST, told.append)
    await accounts.reserve(alice, MOST, told.append)
    with pytest.raises(TooManyStreams):
        await accounts.reserve(alice, MOST, told.append)
    await accounts.settle(alice, first, Usage(900, 0), ignore)
    with pytest.raises(BudgetExceeded):
        await accounts.reserve(alice, MOST, told.append)
    with pytest.raises(RateLimitExceeded):
        await accounts.reserve(alice, MOST, told.append)
    # What is refused is a request all the same, and whoever sent it is told.
    assert [standing.rate.remaining for standing in told] == [3, 2, 1, 0, 0]  # type: ignore[union-attr]
    bob = Caller("bob", "j2", NOW + 60, Policy("m", None, (), 100, (Limit(1, "hour"),)))
    await accounts.reserve(bob, MOST, ignore)
    with pytest.raises(RateLimitExceeded) as refused:
        await accounts.reserve(bob, MOST, ignore)
    assert refused.value.retry_after_s == 3600


async def test_a_revoked_token_looks_at_nothing_and_takes_nothing(accounts: Accounts) -> None:
    await accounts.revoke("j1", NOW + 3600, subject="alice")
    for refused in (accounts.look(ALICE), accounts.reserve(ALICE, MOST, ignore)):
        with pytest.raises(RevokedToken) as revoked:
            await refused
        assert (revoked.value.subject, revoked.value.token_id) == ("alice", "j1")
    assert await accounts.revoked({"j1", "j2"}) == {"j1"}


@pytest.mark.parametrize("fault", [fails, hangs, crashes])
async def test_a_store_that_does_not_answer_is_a_no_everywhere(
    accounts: Accounts, ledger: Faulty, fault: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.REPORT_TIMEOUT_S", 0.5)
    ledger.before = fault
    answers = await asyncio.gather(
        accounts.look(ALICE),
        accounts.reserve(ALICE, MOST, ignore),
        accounts.renew([]),
        accounts.revoke("x", NOW),
        accounts.revoked({"x"}),
        accounts.everybody(),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 6
    assert not await accounts.answers()
    ledger.before = _pass
    assert await accounts.answers()


CALLS: dict[str, Callable[[Accounts], Awaitable[object]]] = {
    "look": lambda accounts: accounts.look(ALICE),
    "reserve": lambda accounts: accounts.reserve(ALICE, MOST, ignore),
    "settle": lambda accounts: accounts.settle(ALICE, NEVER, Usage(1, 1), ignore),
    "renew": lambda accounts: accounts.renew([NEVER]),
    "revoke": lambda accounts: accounts.revoke("x", NOW),
    "revoked": lambda accounts: accounts.revoked({"x"}),
    "claim": lambda accounts: accounts.claim("name", "body", "owner", until=NOW),
    "keep": lambda accounts: accounts.keep("name", "owner", until=NOW),
    "release": lambda accounts: accounts.release("name", "owner"),
    "accounts": lambda accounts: accounts.everybody(),
    "health": lambda accounts: accounts.answers(),
}
NEVER = Reservation("never", Person("hfchat", "alice"), "j1", (), None, 1, 1)


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


def plain_accounts(kind: str, answer: Callable[[], Awaitable[object]]) -> tuple[Accounts, Plain]:
    ledger = Plain(kind, answer)
    return Accounts(ledger, clock=lambda: NOW, timeout_s=0.2), ledger  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_ledger_that_hangs_is_a_no_in_time_and_never_a_cancellation(
    call: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.REPORT_TIMEOUT_S", 0.2)
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    accounts, _ = plain_accounts(kind, lambda: asyncio.sleep(3600))
    async with asyncio.timeout(5):
        if call in ("settle", "health"):
            assert not await CALLS[call](accounts)
        else:
            with pytest.raises(StoreUnavailable):
                await CALLS[call](accounts)
    await accounts.close()


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
@pytest.mark.parametrize("call", CALLS)
async def test_whoever_leaves_while_a_ledger_hangs_is_cancelled(
    call: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    accounts, _ = plain_accounts(kind, lambda: asyncio.sleep(3600))
    calling = asyncio.ensure_future(CALLS[call](accounts))
    await asyncio.sleep(0.02)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await accounts.close()


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
@pytest.mark.parametrize("call", CALLS)
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

    accounts, _ = plain_accounts(kind, deaf)
    async with asyncio.timeout(5):
        if call in ("settle", "health"):
            assert not await CALLS[call](accounts)
        else:
            with pytest.raises(StoreUnavailable):
                await CALLS[call](accounts)
        over.set()
        await accounts.close()


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
async def test_an_answer_in_the_last_step_counts(kind: str) -> None:
    accounts, _ = plain_accounts(kind, lambda: asyncio.sleep(0.15, {"x"}))
    assert await accounts.revoked({"x"}) == {"x"}


async def test_an_answer_in_the_turn_of_the_loop_in_which_time_is_up_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts, ledger = plain_accounts("future", lambda: asyncio.sleep(0))
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    ledger.__dict__["revoked"] = lambda *_, **__: answer
    done_within = accounts_module._done_within

    async def at_the_end(seconds: float, future: asyncio.Future[object], loop: asyncio.AbstractEventLoop) -> None:
        await done_within(seconds, future, loop)
        at_the_end.steps += 1  # type: ignore[attr-defined]
        if at_the_end.steps == 2:  # type: ignore[attr-defined]
            answer.set_result({"x"})

    at_the_end.steps = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(accounts_module, "_done_within", at_the_end)
    assert await accounts.revoked({"x"}) == {"x"}


@pytest.mark.parametrize("kind", ["coroutine", "task", "future"])
async def test_a_ledger_that_is_cancelled_from_below_is_a_no(kind: str) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    accounts, ledger = plain_accounts("task" if kind == "future" else kind, cancelled)
    if kind == "future":
        gone: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        gone.cancel()
        ledger.__dict__["look"] = lambda *_, **__: gone
    with pytest.raises(StoreUnavailable):
        await accounts.look(ALICE)


async def test_that_the_store_is_away_is_logged_once_and_that_it_is_back(accounts: Accounts, ledger: Faulty) -> None:
    with logged() as lines:
        ledger.before = fails
        for _ in range(5):
            assert not await accounts.answers()
        ledger.before = _pass
        assert await accounts.answers()
        assert await accounts.answers()
    assert [line.split()[1] for line in lines] == ["store_unavailable", "store_is_back"]


async def test_where_only_writing_fails_that_is_logged_once_too(accounts: Accounts, ledger: Faulty) -> None:
    async def fails_to_write(what: str) -> None:
        if what in ("reserve", "settle"):
            raise StoreUnavailable

    with logged() as lines:
        ledger.before = fails_to_write
        for _ in range(3):
            await accounts.look(ALICE)
            with pytest.raises(StoreUnavailable):
                await accounts.reserve(ALICE, MOST, ignore)
        ledger.before = _pass
        await accounts.reserve(ALICE, MOST, ignore)
    assert [line.split()[1] for line in lines] == ["store_unavailable", "store_is_back"]


async def test_a_store_that_is_only_busy_is_waited_for(accounts: Accounts, ledger: Faulty) -> None:
    turn = asyncio.Lock()

    async def one_by_one(_: str) -> None:
        async with turn:
            await asyncio.sleep(0.03)

    ledger.before = one_by_one
    standings = await asyncio.gather(*(accounts.look(ALICE) for _ in range(40)))
    assert len(standings) == 40


async def test_a_client_that_swallows_a_cancellation_delays_nobody(accounts: Accounts, ledger: Faulty) -> None:
    over = asyncio.Event()

    async def deaf(_: str) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    ledger.before = deaf
    with pytest.raises(StoreUnavailable):
        await accounts.look(ALICE)
    asking = asyncio.create_task(accounts.look(ALICE))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    over.set()


@pytest.mark.parametrize("fault", [fails, hangs, crashes])
async def test_a_reservation_that_was_taken_and_nobody_heard_of_is_given_back(
    accounts: Accounts, ledger: Faulty, fault: Callable[[str], Awaitable[None]]
) -> None:
    ledger.after = fault
    with pytest.raises(StoreUnavailable):
        await accounts.reserve(ALICE, MOST, ignore)
    ledger.after = _pass
    await settled(ledger)
    (books,) = await ledger.real.accounts(None, now=NOW)
    assert (books.requests, books.prompt_tokens, books.completion_tokens) == (1, 0, 0)


async def test_whoever_leaves_while_it_is_reserved_holds_nothing(accounts: Accounts, ledger: Faulty) -> None:
    ledger.after = hangs
    reserving = asyncio.create_task(accounts.reserve(ALICE, MOST, ignore))
    while await held(ledger.real) == 0:
        await asyncio.sleep(0)
    reserving.cancel()
    with suppress(asyncio.CancelledError):
        await reserving
    ledger.after = _pass
    await settled(ledger)


@pytest.mark.parametrize("fault", [fails, hangs, crashes])
async def test_what_cannot_be_settled_at_once_is_settled_when_the_store_is_back(
    accounts: Accounts, ledger: Faulty, fault: Callable[[str], Awaitable[None]]
) -> None:
    reserved = [await accounts.reserve(ALICE, MOST, ignore) for _ in range(2)]
    ledger.before = fault
    told: list[Standing] = []
    for one in reserved:
        await accounts.settle(ALICE, one, Usage(7, 5), told.append)
    assert told == []
    assert await held(ledger.real) == 2 * HELD
    ledger.before = _pass
    await settled(ledger)
    (books,) = await accounts.everybody()
    assert (books.prompt_tokens, books.completion_tokens) == (14, 10)


async def test_with_a_ledger_in_order_nobody_waits_and_what_comes_next_finds_it_settled(
    accounts: Accounts, ledger: Faulty
) -> None:
    ledger.in_order = True
    told: list[Standing] = []
    reserved = await accounts.reserve(ALICE, MOST, told.append)
    release = asyncio.Event()
    ledger.before = lambda _: _ignored(release.wait())
    await accounts.settle(ALICE, reserved, Usage(7, 5), told.append, told[-1])
    after = told[-1]
    assert (after.rate.remaining, after.budget.remaining, after.streams.remaining) == (2, 988, 2)  # type: ignore[union-attr]
    assert await held(ledger.real) == HELD
    release.set()
    await settled(ledger)
    assert left_of(await accounts.look(ALICE)) == left_of(after)


@pytest.mark.parametrize(("fault", "says"), [(fails, "store_unavailable"), (crashes, "crash")])
async def test_what_nobody_waits_for_is_settled_when_the_store_is_back(
    accounts: Accounts, ledger: Faulty, fault: Callable[[str], Awaitable[None]], says: str
) -> None:
    ledger.in_order = True
    told: list[Standing] = []
    reserved = await accounts.reserve(ALICE, MOST, told.append)
    ledger.before = fault
    with logged() as lines:
        await accounts.settle(ALICE, reserved, Usage(7, 5), ignore, told[-1])
        async with asyncio.timeout(30):
            while ledger.asked.count("settle") < 2:
                await asyncio.sleep(0.01)
        assert await held(ledger.real) == HELD
        ledger.before = _pass
        await settled(ledger)
        await accounts.look(ALICE)
    (books,) = await accounts.everybody()
    assert (books.prompt_tokens, books.completion_tokens) == (7, 5)
    assert any(line.split()[1] == says for line in lines)
    assert not any("as uvloop does" in line for line in lines)


async def test_settling_goes_on_where_whoever_waits_for_it_is_cancelled_twice(
    accounts: Accounts, ledger: Faulty
) -> None:
    reserved = await accounts.reserve(ALICE, MOST, ignore)
    ledger.before = lambda _: asyncio.sleep(0.05)
    settling = asyncio.create_task(accounts.settle(ALICE, reserved, Usage(7, 5), ignore))
    for _ in range(2):
        await asyncio.sleep(0)
        settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    await settled(ledger)


async def test_closing_waits_for_what_is_being_settled(ledger: Faulty) -> None:
    accounts = Accounts(ledger, clock=lambda: NOW)
    reserved = await accounts.reserve(ALICE, MOST, ignore)
    seen: list[int] = []
    real_close = ledger.real.close

    async def note_and_close() -> None:
        seen.append(await held(ledger.real))
        await real_close()

    ledger.real.close = note_and_close  # type: ignore[method-assign]
    ledger.before = lambda _: asyncio.sleep(0.05)
    settling = asyncio.create_task(accounts.settle(ALICE, reserved, NOTHING, ignore))
    await asyncio.sleep(0)
    await accounts.close()
    await settling
    assert seen == [0]


async def test_what_cannot_be_settled_holds_up_nothing_else(
    accounts: Accounts, ledger: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.SETTLED_AT_ONCE", 1)
    fails_always, other = [await accounts.reserve(ALICE, MOST, ignore) for _ in range(2)]
    settle = ledger.settle

    async def settle_others(reserved: Reservation, usage: Usage, **more: Any) -> Reading | None:
        if reserved is fails_always:
            raise StoreUnavailable
        return await settle(reserved, usage, **more)

    ledger.before = fails
    for one in (fails_always, other):
        await accounts.settle(ALICE, one, Usage(7, 5), ignore)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "settle", settle_others)
        ledger.before = _pass
        async with asyncio.timeout(30):
            while await held(ledger.real) > HELD:
                await asyncio.sleep(0.01)
    await settled(ledger)


async def test_a_failure_that_nobody_foresaw_is_in_the_log_once_until_the_store_is_back(
    accounts: Accounts, ledger: Faulty
) -> None:
    ledger.before = crashes
    with logged() as lines:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await accounts.look(ALICE)
        ledger.before = _pass
        await accounts.look(ALICE)
    assert [line.split()[1] for line in lines] == ["crash", "store_is_back"]


async def test_what_is_not_settled_at_the_end_is_in_the_log(ledger: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.LAST_SETTLING_S", 0.01)
    accounts = Accounts(ledger, clock=lambda: NOW)
    reserved = await accounts.reserve(ALICE, MOST, ignore)
    ledger.before = fails
    with logged() as lines:
        await accounts.settle(ALICE, reserved, NOTHING, ignore)
        await accounts.close()
    assert any("not_settled" in line and "'reservations': 1" in line for line in lines)


async def test_what_fails_for_good_is_kept_within_bounds(
    accounts: Accounts, ledger: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.ledger.MAX_UNSETTLED", 3)
    ledger.before = fails
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            await accounts.reserve(ALICE, MOST, ignore)
    assert len(accounts._unsettled) == 3
    ledger.before = _pass
    kept = [await accounts.reserve(BOB, MOST, ignore) for _ in range(3)]
    ledger.before = fails
    for reserved in kept:
        await accounts.settle(BOB, reserved, Usage(1, 1), ignore)
    with pytest.raises(StoreUnavailable):
        await accounts.reserve(ALICE, MOST, ignore)
    # What was really used goes before what may never have been taken.
    assert [used for _, used in accounts._unsettled.values()] == [Usage(1, 1)] * 3
    ledger.before = _pass
    await asyncio.to_thread(wait_until, lambda: not accounts._unsettled)


ONE_ID_IN_EACH_OF_TWO = """
import os
from hfchat.ledger import ledger as accounts
from hfchat.gate import gate
child = os.fork()
if child:
    os.waitpid(child, 0)
print(accounts._IDS.getrandbits(96), gate._IDS.getrandbits(64))
"""


def test_processes_that_a_server_forks_have_ids_of_their_own() -> None:
    said = subprocess.run([sys.executable, "-c", ONE_ID_IN_EACH_OF_TWO], capture_output=True, text=True, check=True)
    ids = said.stdout.split()
    assert len(set(ids)) == len(ids) == 4
