"""The ledger's copy: what survives a kill, a sleep, a late bucket and two programs at once."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest

from hfchat.errors import StoreUnavailable
from hfchat.ledger.copied_store import CopiedStore
from hfchat.ledger.marks import step_of
from hfchat.ledger.meters import REQUESTS, TOKENS, Counters, Meter, Principal, Reservation
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import window_start
from hfchat.types import Usage
from tests.support.late_bucket import LateBucket
from tests.support.ledger_questions import NOON

pytestmark = pytest.mark.anyio

T = TypeVar("T")
LEASE_S = 0.04
PEOPLE = [Principal("hfchat", name) for name in ("alice", "bob", "carol")]
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

    now: float = NOON
    used: dict[tuple[str, str, int], int] = field(default_factory=dict)
    # Requests that were not granted, which may count all the same, as on every store.
    failed: dict[tuple[str, str, int], int] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    made: int = 0

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
        reservation = Reservation(f"r{world.made}", principal, "jti", METERS, None, AMOUNT, 0)
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
        for meter in METERS:
            world.count(principal, meter, meter.amount)
        if settles:
            await asyncio.sleep(0)
            world.count(principal, BUDGET, actual - AMOUNT)
            await self.store.settle(reservation, Usage(actual, 0), now=world.now)
        return True

    async def revoke(self, token_id: str) -> None:
        with suppress(StoreUnavailable):
            await self.store.revoke(token_id, now=self.world.now, until=self.world.now + 1e8)
            self.world.revoked.add(token_id)

    async def used(self, principal: Principal, meters: tuple[Meter, ...] = METERS) -> Counters:
        return await self.store.quota(principal, "jti", meters, now=self.world.now)

    async def kill(self) -> None:
        """Without notice: nothing of it goes on but what the bucket has been sent."""
        tasks = [self.store._running, self.store._check, self.store._writer._task]
        for task in filter(None, tasks):
            task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)
        await self.local.close()


@pytest.fixture
async def bucket() -> AsyncIterator[LateBucket]:
    late = LateBucket()
    yield late
    await late.settle()


@pytest.fixture
async def start(bucket: LateBucket) -> AsyncIterator[Callable[[], "Program"]]:
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
        for meter, (start, count) in zip(METERS, counters.used, strict=True):
            key = (principal.key, meter.key, start)
            excess = count - world.at(principal, meter)
            if meter is not RATE:
                assert count >= world.used.get(key, 0)
                assert excess - lost.get(key, 0) <= step_of(meter)
                lost[key] = max(excess, 0)
    assert await answered(partial(program.store.revoked, world.revoked, now=world.now)) == world.revoked


@pytest.mark.parametrize("seed", range(4))
async def test_25_kills_grant_nothing_too_much_and_cost_at_most_a_step(seed: int) -> None:
    chance = random.Random(seed)
    bucket, world = LateBucket(seed=seed), World()
    lost: dict[tuple[str, str, int], int] = {}
    for _ in range(25):
        program = Program(world, bucket)
        await program.start()
        await check_start(program, lost)
        await traffic(program, chance)
        if chance.random() < 0.2:
            with suppress(StoreUnavailable):
                await program.store.close()
        else:
            await program.kill()
        world.now += chance.choice([0, 0, 10, 600, 4000])
    assert sum(world.used.values()) > 1000
    await bucket.settle()


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """The result, once there is one."""
    for _ in range(1000):
        with suppress(StoreUnavailable):
            return await call()
        await asyncio.sleep(0.002)
    raise AssertionError("no answer")
