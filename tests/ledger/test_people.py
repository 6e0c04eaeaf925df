"""Limits of a person in the ledger, on every store: in force with the next call of every process, and what a reset forgets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hfchat.errors import BudgetExceeded, HfchatError, RevokedToken, TooManyStreams
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import Reservation
from hfchat.ledger.open_store import open_store
from hfchat.ledger.person_limits import PersonLimits
from hfchat.ledger.quota import Quota
from hfchat.ledger.store import Store
from hfchat.limits import Limit, Limits, parse_limit
from hfchat.types import Caller, Policy, Usage
from tests.support.ledger_questions import NOON, ask, reserve, used
from tests.support.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

POLICY = Policy("m", None, rate=(Limit(1000, "minute"),), budget=(Limit(1000, "day"),), streams=400)
ALICE = Caller("alice", "jti-1", 2**40, POLICY)
TURN = Usage(60, 40)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
async def ledgers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two replicas on one store."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        server.set_quota("FLUSHALL")
        url = server.url
    opened = [Ledger(open_store(url), clock=lambda: NOON) for _ in range(2)]
    yield opened[0], opened[1]
    for ledger in opened:
        await ledger.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/ledger.db"}.get(request.param)
    if url is None:
        server: RedisServer = request.getfixturevalue("redis")
        server.set_quota("FLUSHALL")
        url = server.url
    opened = open_store(url)
    yield opened
    await opened.close()


def ignore(_: Quota) -> None:
    pass


async def spend(ledger: Ledger, caller: Caller = ALICE) -> Reservation:
    reservation = await ledger.reserve(caller, TURN, ignore)
    await ledger.settle(caller, reservation, TURN, ignore)
    return reservation


def to(**changed: object) -> Callable[[PersonLimits], PersonLimits]:
    """A change of a person's limits to these."""
    return lambda limits: replace(limits, **changed)  # type: ignore[arg-type]


async def outcome(ledger: Ledger, caller: Caller = ALICE) -> str:
    try:
        await spend(ledger, caller)
    except HfchatError as error:
        return f"{error.code} {error.reason}".strip()
    return "ok"


async def test_a_block_holds_at_once_in_every_process_and_so_does_its_end(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    for ledger in ledgers:
        assert await outcome(ledger) == "ok"
    await here.people.change("alice", to(blocked=True))
    for ledger in (*ledgers, *ledgers):
        assert await outcome(ledger) == "revoked_token token_person_blocked"
        with pytest.raises(RevokedToken, match="token_person_blocked") as refused:
            await ledger.quota(ALICE)
        assert (refused.value.subject, refused.value.token_id) == ("alice", "jti-1")
    assert await outcome(there, replace(ALICE, token_id="another")) == "revoked_token token_person_blocked"
    assert await outcome(there, replace(ALICE, issuer="https://id.example")) == "revoked_token token_person_blocked"
    assert await outcome(there, replace(ALICE, subject="alice2")) == "ok"
    assert await there.people.blocked(["alice", "bob", "alice2"]) == {"alice"}
    assert await there.people.blocked([]) == set()
    await there.people.change("alice", to(blocked=False))
    for ledger in ledgers:
        assert await outcome(ledger) == "ok"
    (totals,) = [total for total in await here.totals("alice") if total.issuer == "hfchat"]
    assert (totals.requests, totals.held_tokens) == (4, 0)


async def test_a_raised_budget_holds_at_once_and_a_lowered_one_too(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    for _ in range(10):
        await spend(here)
    assert await outcome(there) == "budget_exceeded budget_used"
    await here.people.change("alice", to(budget=parse_limit("1200/day")))
    assert [await outcome(ledger) for ledger in (there, here, there)] == ["ok", "ok", "budget_exceeded budget_used"]
    quota = await here.quota(ALICE)
    assert quota.budget is not None
    assert (quota.budget.limit, quota.budget.remaining) == (1200, 0)
    await there.people.change("alice", to(budget=parse_limit("5000/day")))
    assert await outcome(here) == "ok"
    await there.people.change("alice", to(budget=parse_limit("500/day")))
    assert await outcome(here) == "budget_exceeded budget_used"
    await there.people.change("alice", to(budget=None))
    assert await outcome(here) == "budget_exceeded budget_used"
    assert (await here.people.person("alice", POLICY)).limits == PersonLimits()


async def test_a_token_still_narrows_what_its_person_has(ledgers: tuple[Ledger, Ledger]) -> None:
    here, _ = ledgers
    narrow = replace(POLICY, budget=(Limit(100, "day"),), token_limits=Limits(budget=Limit(100, "day")))
    await here.people.change("alice", to(budget=parse_limit("5000/day"), streams=1))
    assert await outcome(here, replace(ALICE, policy=narrow)) == "ok"
    assert await outcome(here, replace(ALICE, policy=narrow)) == "budget_exceeded budget_used"
    assert await outcome(here) == "ok"
    await here.reserve(ALICE, TURN, ignore)
    with pytest.raises(TooManyStreams):
        await here.reserve(ALICE, TURN, ignore)


async def test_after_a_settlement_the_quota_is_of_the_persons_limits(ledgers: tuple[Ledger, Ledger]) -> None:
    for ledger in ledgers:
        await ledger.people.change("alice", to(budget=parse_limit("5000/week"), rate=parse_limit("7/hour"), streams=3))
        quotas: list[Quota] = []
        reservation = await ledger.reserve(ALICE, TURN, quotas.append)
        await ledger.settle(ALICE, reservation, Usage(1, 1), quotas.append)
        limits = [(quota.rate, quota.budget, quota.streams) for quota in (*quotas, await ledger.quota(ALICE))]
        assert [[remaining.limit for remaining in row if remaining] for row in limits] == [[7, 5000, 3]] * 3


async def test_of_two_changes_at_once_both_take_effect(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    changes = [to(blocked=True), to(streams=2), to(rate=parse_limit("5/minute")), to(budget=parse_limit("9/day"))]
    await asyncio.gather(*((here, there)[n % 2].people.change("alice", change) for n, change in enumerate(changes)))
    limits = (await here.people.person("alice", POLICY)).limits
    assert limits == PersonLimits(parse_limit("5/minute"), parse_limit("9/day"), 2, blocked=True)


async def test_limits_that_are_spelled_otherwise_can_be_changed(store: Store) -> None:
    people = Ledger(store, clock=lambda: NOON).people
    assert await store.set_limits("alice", "", '{"streams":2,  "blocked":false}')
    async with asyncio.timeout(10):
        await people.change("alice", to(blocked=True))
    assert await store.limits(["alice"]) == {"alice": str(PersonLimits(streams=2, blocked=True))}


async def test_of_50_that_reserve_while_their_person_is_blocked_none_is_let_in_afterwards(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    here, there = ledgers
    blocked = asyncio.Event()
    late: list[str] = []

    async def call(number: int) -> str:
        await asyncio.sleep(number % 10 / 1000)
        began_after = blocked.is_set()
        said = await outcome(ledgers[number % 2], replace(ALICE, policy=replace(POLICY, budget=())))
        if began_after:
            late.append(said)
        return said

    async def block() -> None:
        await asyncio.sleep(0.004)
        await there.people.change("alice", to(blocked=True))
        blocked.set()

    *outcomes, _ = await asyncio.gather(*map(call, range(50)), block())
    late += [await outcome(ledger) for ledger in ledgers]
    assert set(late) == {"revoked_token token_person_blocked"}
    assert set(outcomes) <= {"ok", "revoked_token token_person_blocked"}
    (totals,) = await here.totals("alice") or [None]
    assert (totals.requests if totals else 0) == outcomes.count("ok")


async def test_a_budget_that_is_lowered_while_50_reserve_is_not_exceeded(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    await here.people.change("alice", to(budget=parse_limit("100000/day")))

    async def lower() -> None:
        await asyncio.sleep(0.002)
        await there.people.change("alice", to(budget=parse_limit("300/day")))

    before = await asyncio.gather(*(outcome(ledgers[n % 2]) for n in range(50)), lower())
    expected = "budget_exceeded budget_used" if before.count("ok") >= 3 else "ok"
    assert await outcome(here) == expected


async def test_a_reservation_of_other_limits_counts_nothing(store: Store) -> None:
    assert await store.set_limits("alice", "", "A")
    counters = await reserve(store, ask())
    assert (counters.limits, counters.refused) == ("A", None)
    assert await used(store) == (0, 0, 0)
    assert await store.totals("alice", now=NOON) == []
    assert (await reserve(store, replace(ask(), limits="A"))).limits == "A"
    assert await used(store) == (1, 100, 1)
    refused = await reserve(store, replace(ask("r2", budget=1), limits="A"))
    assert (refused.limits, refused.refused) == ("A", 1)
    await store.settle(replace(ask(), limits="A"), Usage(7, 5), now=NOON)
    assert await used(store) == (2, 12, 0)


async def test_limits_are_set_only_where_they_are_what_they_were(store: Store) -> None:
    odd = "José: \x07*?[a]"
    for subject in ("alice", odd):
        assert not await store.set_limits(subject, "A", "B")
        assert await store.set_limits(subject, "", "A")
        assert not await store.set_limits(subject, "", "B")
    assert await store.limits(["alice", odd, "bob"]) == {"alice": "A", odd: "A"}
    assert await store.set_limits("alice", "A", "")
    assert await store.limits(["alice", odd]) == {odd: "A"}
    assert await store.limits([]) == {}


async def test_a_reset_forgets_what_is_used_but_no_total_and_gives_nothing_back_twice(store: Store) -> None:
    await reserve(store, ask("settled"))
    await store.settle(ask("settled"), Usage(60, 40), now=NOON)
    await reserve(store, ask("running"))
    bob = replace(ask("bobs"), principal=replace(ask().principal, subject="bob"))
    theirs = replace(ask("theirs"), principal=replace(ask().principal, issuer="https://id.example"))
    for reservation in (bob, theirs):
        await reserve(store, reservation)
    await store.reset("alice")
    assert await used(store) == (0, 0, 1)
    assert await used(store, principal=theirs.principal) == (0, 0, 1)
    assert await used(store, principal=bob.principal) == (1, 100, 1)
    await reserve(store, ask("after"))
    await store.settle(ask("running"), Usage(1, 1), now=NOON)
    assert await used(store) == (1, 100, 1)
    (totals,) = [total for total in await store.totals("alice", now=NOON) if total.issuer == "hfchat"]
    assert (totals.requests, totals.prompt_tokens, totals.completion_tokens, totals.held_tokens) == (3, 61, 41, 100)


async def test_what_holds_and_what_is_used_is_told_by_issuer(store: Store) -> None:
    ledger = Ledger(store, clock=lambda: NOON)
    await spend(ledger)
    await ledger.reserve(replace(ALICE, issuer="https://id.example"), TURN, ignore)
    await ledger.people.change("alice", to(streams=2))
    person = await ledger.people.person("alice", POLICY)
    assert (person.policy.streams, person.policy.budget, person.limits) == (2, POLICY.budget, PersonLimits(streams=2))
    rows = [(use.issuer, [count for _, count in use.used], use.streams) for use in person.uses]
    assert rows == [("hfchat", [1, 100], 0), ("https://id.example", [1, 100], 1)]
    assert (await ledger.people.person("nobody", POLICY)).uses == ()


async def test_a_budget_used_up_is_whole_again_after_a_reset(ledgers: tuple[Ledger, Ledger]) -> None:
    here, there = ledgers
    for _ in range(10):
        await spend(here)
    with pytest.raises(BudgetExceeded):
        await spend(there)
    await there.people.reset("alice")
    assert await outcome(here) == "ok"
