"""The ledger's copy: what survives a kill, a sleep, a late bucket and two programs at once."""

import asyncio
import gzip
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest

from hfchat.errors import StoreUnavailable
from hfchat.ledger.command_store import CommandStore
from hfchat.ledger.copied_store import CopiedStore
from hfchat.ledger.copy_files import (
    Change,
    LedgerState,
    change_name,
    latest_state,
    pack_change,
    pack_state,
    read_state,
    state_name,
)
from hfchat.ledger.high_water_marks import step_of
from hfchat.ledger.meters import REQUESTS, TOKENS, Counters, Meter, Principal, Reservation
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import window_start
from hfchat.types import Usage
from tests.support.late_bucket import LateBucket
from tests.support.ledger_questions import ALICE, NOON, ask, reserve
from tests.support.rows import each_row

pytestmark = pytest.mark.anyio

T = TypeVar("T")
LEASE_S = 0.03
PEOPLE = [ALICE, Principal("hfchat", "bob"), Principal("hfchat", "carol")]
AMOUNT = 50
BUDGET, RATE, HOURLY = (
    Meter(TOKENS, "day", 2000, AMOUNT),
    Meter(REQUESTS, "minute", 8, 1),
    Meter(REQUESTS, "hour", 60, 1),
)
METERS = (RATE, HOURLY, BUDGET)


@dataclass
class World:
    """The clock, and what was really granted: of each person, meter and window, what is settled or was in progress."""

    budget: int = 2000
    now: float = NOON
    used: dict[tuple[str, str, int], int] = field(default_factory=dict)
    # Requests that were not granted, which may count all the same, as on every store.
    failed: dict[tuple[str, str, int], int] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    made: int = 0

    @property
    def meters(self) -> tuple[Meter, ...]:
        return RATE, HOURLY, Meter(TOKENS, "day", self.budget, AMOUNT)

    def count(self, principal: Principal, meter: Meter, amount: int) -> None:
        key = (principal.key, meter.key, window_start(meter.window, self.now))
        self.used[key] = self.used.get(key, 0) + amount
        assert self.used[key] <= meter.limit, f"{key} was granted {self.used[key]} of {meter.limit}"

    def at(self, principal: Principal, meter: Meter) -> int:
        key = (principal.key, meter.key, window_start(meter.window, self.now))
        return self.used.get(key, 0) + self.failed.get(key, 0)


class Program:
    """One process: its memory and disk are gone once it is killed."""

    def __init__(self, world: World, bucket: LateBucket) -> None:
        self.world = world
        self.local = SqliteStore(None)
        self.store = CopiedStore(self.local, bucket, clock=lambda: world.now, lease_s=LEASE_S, write_every_s=0.002)

    async def start(self) -> None:
        """Until it answers: after a kill, the minute has to be over."""
        await self.store.open()
        for _ in range(3000):
            with suppress(StoreUnavailable):
                await self.store.revoked(["-"], now=self.world.now)
                return
            self.world.now += 1
            await asyncio.sleep(0.002)
        raise AssertionError("it never opened")

    async def turn(self, principal: Principal, actual: int, *, settles: bool = True) -> bool:
        """Reserve, and settle for what was used. Whether it was granted."""
        world = self.world
        world.made += 1
        reservation = Reservation(f"r{world.made}", principal, "jti", world.meters, None, AMOUNT, 0)
        granted = False
        try:
            counters = await self.store.reserve(reservation, now=world.now, lease_ends=world.now + 60)
            granted = counters.refused is None and not counters.revoked
        except StoreUnavailable:
            await self.store.settle(reservation, Usage(0, 0), now=world.now)
        finally:
            if not granted:
                key = (principal.key, HOURLY.key, window_start("hour", world.now))
                world.failed[key] = world.failed.get(key, 0) + 1
        if not granted:
            return False
        for meter in world.meters:
            world.count(principal, meter, meter.amount)
        if settles:
            await asyncio.sleep(0)
            world.count(principal, world.meters[-1], actual - AMOUNT)
            await self.store.settle(reservation, Usage(actual, 0), now=world.now)
        return True

    async def revoke(self, token_id: str) -> None:
        with suppress(StoreUnavailable):
            await self.store.revoke(token_id, now=self.world.now, until=self.world.now + 1e8)
            self.world.revoked.add(token_id)

    async def used(self, principal: Principal = ALICE) -> Counters:
        return await self.store.quota(principal, "jti", self.world.meters, now=self.world.now)

    async def tokens(self) -> int:
        """What alice used of the day's budget."""
        return (await answered(self.used)).used[-1][1]

    async def kill(self) -> None:
        """Without notice: nothing of it goes on but what the bucket has been sent."""
        tasks = [self.store._running, self.store._check, self.store._writer._task]
        for task in filter(None, tasks):
            task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)
        await self.local.close()

    async def stop(self) -> None:
        await self.store.close()


Start = Callable[[], Program]


@pytest.fixture
async def bucket() -> AsyncIterator[LateBucket]:
    late = LateBucket()
    yield late
    await late.settle()


@pytest.fixture
async def start(bucket: LateBucket) -> AsyncIterator["Start"]:
    """A function that makes a program; all are stopped in the end."""
    programs: list[Program] = []
    world = World()

    def make() -> Program:
        programs.append(Program(world, bucket))
        return programs[-1]

    yield make
    for program in programs:
        await program.kill()


async def traffic(program: Program, chance: random.Random) -> None:
    """Three people at once, some of whose replies are in progress when it ends."""

    async def person(principal: Principal) -> None:
        for _ in range(chance.randrange(1, 5)):
            await program.turn(principal, chance.randrange(AMOUNT + 1), settles=chance.random() < 0.9)
            program.world.now += chance.random()
            await asyncio.sleep(chance.random() * 0.002)

    people = [asyncio.create_task(person(principal)) for principal in PEOPLE]
    if chance.random() < 0.3:
        people.append(asyncio.create_task(program.revoke(f"t{chance.randrange(10_000)}")))
    done, pending = await asyncio.wait(people, timeout=chance.choice([0.002, 0.01, 1.0]))
    for task in pending:
        task.cancel()
    for outcome in await asyncio.gather(*done, *pending, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def check_start(program: Program, lost: dict[tuple[str, str, int], int]) -> None:
    """Counting resumes at what was used or up to a step further, and what was revoked is revoked."""
    world = program.world
    for principal in PEOPLE:
        counters = await answered(partial(program.used, principal))
        for meter, (start, count) in zip(world.meters, counters.used, strict=True):
            key = (principal.key, meter.key, start)
            excess = count - world.at(principal, meter)
            if meter is not RATE:
                assert count >= world.used.get(key, 0)
                assert excess - lost.get(key, 0) <= step_of(meter)
                lost[key] = max(excess, 0)
    assert await answered(partial(program.store.revoked, world.revoked, now=world.now)) == world.revoked


@each_row(("seed", "budget"), [(0, 1000), (1, 1000), (2, 20_000), (3, 20_000)], at_once=True)
async def test_25_kills_grant_nothing_too_much_and_cost_at_most_a_step(seed: int, budget: int) -> None:
    chance = random.Random(seed)
    bucket, world = LateBucket(seed=seed), World(budget)
    lost: dict[tuple[str, str, int], int] = {}
    for _ in range(25):
        program = Program(world, bucket)
        await program.start()
        await check_start(program, lost)
        while not world.revoked:
            await program.revoke("t1")
        await traffic(program, chance)
        if chance.random() < 0.2:
            with suppress(StoreUnavailable):
                await program.store.close()
        else:
            await program.kill()
        world.now += chance.choice([0, 0, 10, 600, 4000])
    assert sum(world.used.values()) > 100
    await bucket.settle()


async def test_two_programs_at_once_grant_nothing_too_much() -> None:
    """The old one of a new version is still there, and people come to both."""
    chance = random.Random(7)
    bucket, world = LateBucket(seed=7), World(1500)
    old = Program(world, bucket)
    await old.start()
    for _ in range(12):
        new = Program(world, bucket)
        begins = asyncio.create_task(new.start())
        while not begins.done():
            await traffic(old, chance)
        await begins
        assert not await old.turn(ALICE, 0)
        await check_start(
            new,
            {
                (principal.key, meter.key, window_start(meter.window, world.now)): 9999
                for principal in PEOPLE
                for meter in world.meters
            },
        )
        await traffic(new, chance)
        await old.kill()
        old = new
    await old.kill()
    await bucket.settle()


async def test_an_ordinary_restart_loses_nothing(start: Start) -> None:
    program = start()
    await program.start()
    for actual in (10, 20, 30):
        assert await program.turn(ALICE, actual)
    await program.revoke("t1")
    assert await program.store.set_limits("bob", "", '{"blocked": true}')
    totals = await program.store.totals(None, now=program.world.now)
    await program.stop()
    after = start()
    await after.start()
    assert await after.tokens() == 60
    assert [count for _, count in (await after.used()).used[:2]] == [3, 3]
    assert await after.store.revoked(["t1", "t2"], now=after.world.now) == {"t1"}
    assert await after.store.limits(["alice", "bob"]) == {"bob": '{"blocked": true}'}
    assert await after.store.totals(None, now=after.world.now) == totals


async def test_a_kill_costs_a_step_and_no_decision(start: Start) -> None:
    program = start()
    await program.start()
    assert await program.turn(ALICE, 10)
    await program.revoke("t1")
    assert await program.store.set_limits("bob", "", '{"blocked": true}')
    await program.kill()
    after = start()
    await after.start()
    assert await after.tokens() == step_of(after.world.meters[-1])
    assert await after.store.revoked(["t1"], now=after.world.now) == {"t1"}
    assert await after.store.limits(["bob"]) == {"bob": '{"blocked": true}'}


async def test_a_reset_outlasts_a_kill(start: Start) -> None:
    program = start()
    await program.start()
    assert await program.turn(ALICE, 50)
    await program.store.reset("alice")
    await program.kill()
    after = start()
    await after.start()
    assert await after.tokens() == 0


async def test_after_a_kill_nothing_is_granted_until_the_minute_is_over(start: Start) -> None:
    program = start()
    await program.start()
    assert await program.turn(ALICE, 1)
    await program.kill()
    after = start()
    await after.start()
    assert after.world.now == NOON + 60


async def test_a_person_causes_few_writes_and_waits_for_one(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    program.world.budget = 100_000
    before = len(bucket.writes)
    for _ in range(HOURLY.limit):
        program.world.now += 10
        assert await program.turn(ALICE, 50)
        await asyncio.sleep(0.001)
    assert len(bucket.writes) - before <= 25


async def test_who_has_been_seen_does_not_wait(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    await program.used()
    await asyncio.sleep(0.02)
    bucket.down = True
    assert await program.turn(ALICE, 50)


async def test_many_who_wait_share_a_write(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    before = len(bucket.writes)
    people = [Principal("hfchat", f"p{number}") for number in range(40)]
    assert all(await asyncio.gather(*(program.turn(person, 1) for person in people)))
    assert len(bucket.writes) - before <= 3


async def test_where_the_copy_cannot_be_written_the_answer_is_no(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    bucket.down = True
    with pytest.raises(StoreUnavailable):
        await program.store.revoke("t1", now=NOON, until=NOON + 9)
    with pytest.raises(StoreUnavailable):
        await program.store.set_limits("bob", "", '{"blocked": true}')
    assert not await program.turn(ALICE, 1)
    await asyncio.sleep(LEASE_S)
    with pytest.raises(StoreUnavailable):
        await program.used()
    bucket.down = False
    assert await answered(program.used)


async def test_until_the_copy_is_read_the_answer_is_no(start: Start, bucket: LateBucket) -> None:
    program = start()
    bucket.down = True
    await program.store.open()
    await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable):
        await program.used()
    assert not await program.turn(ALICE, 1)
    bucket.down = False
    assert await answered(program.used)


async def test_the_old_program_hands_over_exact_counts_and_goes_on_after_the_new_one(start: Start) -> None:
    old, new = start(), start()
    await old.start()
    assert await old.turn(ALICE, 10)
    await asyncio.gather(new.start(), answered(old.used))
    assert await new.tokens() == 10
    assert new.world.now < NOON + 60
    with pytest.raises(StoreUnavailable) as refused:
        await old.used()
    assert "taken over" in str(refused.value.__cause__)
    assert await new.turn(ALICE, 20)
    await new.revoke("t1")
    await new.stop()
    assert await old.tokens() == 30
    assert await old.store.revoked(["t1"], now=old.world.now) == {"t1"}
    assert await old.turn(ALICE, 5)


async def test_after_a_program_that_was_killed_the_old_one_stays_closed(start: Start) -> None:
    old, new = start(), start()
    await old.start()
    await new.start()
    await new.kill()
    await asyncio.sleep(2 * LEASE_S)
    with pytest.raises(StoreUnavailable):
        await old.used()


async def test_what_was_counted_after_a_program_took_over_is_not_granted(start: Start) -> None:
    program = start()
    await program.start()
    assert await program.turn(ALICE, 1)
    turn = asyncio.create_task(program.turn(ALICE, 1))
    await asyncio.sleep(0)
    program.store._claim.lost = True
    assert not await turn


async def test_a_ledger_that_was_there_before_its_copy_is_brought_in(start: Start) -> None:
    program = start()
    await program.local.revoke("t1", now=NOON, until=NOON + 1e8)
    await reserve(program.local, ask(budget=2000))
    await program.start()
    await program.kill()
    after = start()
    await after.start()
    assert await after.store.revoked(["t1"], now=after.world.now) == {"t1"}
    assert await after.tokens() == 100


async def test_a_public_bucket_is_refused_until_it_is_private(start: Start, bucket: LateBucket) -> None:
    program = start()
    bucket.is_private = False
    await program.store.open()
    await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable) as refused:
        await program.used()
    assert "public" in str(refused.value.__cause__)
    assert not bucket.files
    bucket.is_private = True
    assert await answered(program.used)


EPOCH = "0000000001-" + "a" * 16
BAD = {
    "a foreign file": {"notes.txt": b"x"},
    "a foreign state": {"states/5": b"x"},
    "a torn file": {state_name(EPOCH, 1): pack_state(LedgerState())[:-9]},
    "no compression": {state_name(EPOCH, 1): b"{}"},
    "another form": {state_name(EPOCH, 1, closed=True): gzip.compress(b'{"form": "hfchat-ledger-2"}')},
    "not an object": {state_name(EPOCH, 1, closed=True): gzip.compress(b"[]")},
    "no rows": {state_name(EPOCH, 1, closed=True): gzip.compress(b'{"form": "hfchat-ledger-1"}')},
    "a change of no kind": {change_name(1, "b" * 16): pack_change(Change("forgive", "alice"))},
    "a change without a time": {change_name(1, "b" * 16): pack_change(Change("revoke", "t1", "soon"))},
}


@pytest.mark.parametrize("files", BAD.values(), ids=BAD)
async def test_a_copy_that_is_not_understood_grants_nothing(
    start: Start, bucket: LateBucket, files: dict[str, bytes]
) -> None:
    bucket.files |= files
    program = start()
    await program.store.open()
    await asyncio.sleep(4 * LEASE_S)
    with pytest.raises(StoreUnavailable) as refused:
        await program.used()
    assert re.search(r"not hfchat's|damaged", str(refused.value.__cause__))
    assert files.items() <= bucket.files.items()


async def test_a_bucket_that_is_emptied_closes_the_program(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    bucket.files.clear()
    await asyncio.sleep(2 * LEASE_S)
    with pytest.raises(StoreUnavailable):
        await program.used()


async def test_the_bucket_stays_small(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    for _ in range(10):
        await program.revoke("t1")
        program.world.now += 86_400
        assert await program.turn(ALICE, 1)
    for _ in range(50):
        await answered(program.used)
        await asyncio.sleep(LEASE_S / 10)
    assert len(bucket.files) <= 4
    state = read_state(bucket.files[latest_state(list(bucket.files)) or ""])
    assert len(state.meters) == 3


async def test_a_command_reads_the_copy_and_its_changes_are_made(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    assert await program.turn(ALICE, 50)
    command = CommandStore(bucket)
    await command.open()
    assert [total.subject for total in await command.totals(None, now=NOON)] == ["alice"]
    await command.revoke("t1", now=NOON, until=NOON + 1e8)
    assert await command.set_limits("alice", "", '{"streams": 1}')
    assert not await command.set_limits("alice", "", '{"streams": 2}')
    await command.reset("alice")
    changes = {name: content for name, content in bucket.files.items() if name.startswith("changes/")}
    again = CommandStore(bucket)
    await again.open()
    assert await again.revoked(["t1"], now=NOON) == {"t1"}
    for _ in range(100):
        await answered(program.used)
        if not changes.keys() & bucket.files.keys():
            break
        await asyncio.sleep(LEASE_S / 10)
    assert await program.store.revoked(["t1"], now=NOON) == {"t1"}
    assert await program.store.limits(["alice"]) == {"alice": '{"streams": 1}'}
    assert await program.tokens() == 0
    # A file that comes back, because its request was sent twice, is not made again.
    assert await program.store.set_limits("alice", '{"streams": 1}', "")
    bucket.files |= changes
    await program.kill()
    after = start()
    await after.start()
    assert await after.store.limits(["alice"]) == {}
    await command.close()
    await again.close()


async def test_names_survive_and_secrets_are_in_no_copy(start: Start, bucket: LateBucket) -> None:
    program = start()
    await program.start()
    for name, content in (("name:hf:1", "zoë".encode()), ("hub:t1", b"a sealed token")):
        await program.store.store_record(name, content, now=NOON, until=NOON + 1e8)
    assert await program.turn(ALICE, 50)
    await program.kill()
    command = CommandStore(bucket)
    await command.open()
    assert await command.read_record("name:hf:1", now=NOON) == "zoë".encode()
    assert await command.read_record("hub:t1", now=NOON) is None
    await command.close()
    after = start()
    await after.start()
    assert await after.store.read_record("name:hf:1", now=NOON) == "zoë".encode()


async def test_a_change_is_made_at_the_next_start(start: Start, bucket: LateBucket) -> None:
    command = CommandStore(bucket)
    await command.open()
    await command.revoke("t1", now=NOON, until=NOON + 1e8)
    await command.close()
    program = start()
    await program.start()
    assert await program.store.revoked(["t1"], now=NOON) == {"t1"}


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """The result, once there is one."""
    for _ in range(1000):
        with suppress(StoreUnavailable):
            return await call()
        await asyncio.sleep(0.002)
    raise AssertionError("no answer")
