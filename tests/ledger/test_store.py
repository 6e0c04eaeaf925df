"""The ledger's rules, the same on every store: all or nothing, fixed windows, leases, late settling, revocations."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hfchat.errors import BudgetExceeded, HfchatError, RateLimitExceeded, TooManyStreams
from hfchat.ledger.copied_store import CopiedStore
from hfchat.ledger.meters import (
    CLOCK_STEP_S,
    LAPSED_RETENTION_S,
    MAX_ANSWER_S,
    REQUESTS,
    TOKENS,
    Counters,
    OnceState,
    Principal,
    Reservation,
    UsageTotals,
    meters_of,
    refusal,
)
from hfchat.ledger.open_store import open_store
from hfchat.ledger.quota import Quota, Remaining
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.ledger.store import Store
from hfchat.limits import Limit
from hfchat.types import Policy, Usage
from tests.support.late_bucket import LateBucket
from tests.support.ledger_questions import ALICE, DAY, NOON, account, ask, reserve, used
from tests.support.redis_server import RedisServer, redis_server
from tests.support.rows import each_row

pytestmark = pytest.mark.anyio

STORES = ("memory", "sqlite", "redis", "copied")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def store_url(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        server.set_quota("FLUSHALL")
        return server.url
    return "memory://" if kind == "memory" else f"sqlite:///{folder}/ledger.db"


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "copied":
        # Its clock says which windows have ended: none of those in these tests.
        copied = CopiedStore(SqliteStore(None), LateBucket(), clock=lambda: 0, write_every_s=0)
        await copied.open()
        while not copied.is_open:
            await asyncio.sleep(0)
        yield copied
        await copied.close()
        return
    opened = open_store(store_url(request.param, tmp_path, request))
    yield opened
    await opened.close()


# --- reserve


async def test_a_reservation_takes_of_every_meter_at_once(store: Store) -> None:
    counters = await reserve(store, ask())
    assert counters == Counters(((int(NOON), 1), (DAY, 100)), 1)
    assert await used(store) == (1, 100, 1)


NO: dict[str, tuple[dict[str, Any], int]] = {
    "requests": ({"rate": 1}, 0),
    "tokens": ({"budget": 199}, 1),
    "streams": ({"streams": 1}, 2),
    "the first of several": ({"rate": 1, "budget": 1, "streams": 0}, 0),
}


@pytest.mark.parametrize(("limits", "refused"), NO.values(), ids=NO)
async def test_where_one_meter_says_no_nothing_is_taken_of_any(
    store: Store, limits: dict[str, Any], refused: int
) -> None:
    await reserve(store, ask("first"))
    counters = await reserve(store, ask("second", **limits))
    assert (counters.refused, counters.held) == (refused, 100)
    # But that a request was made, unless the rate itself refused it.
    requests = 1 if refused == 0 else 2
    assert [count for _, count in counters.used] == [requests, 100]
    assert await used(store) == (requests, 100, 1)
    assert (await account(store)).requests == 1


@pytest.mark.parametrize("limits", [{"budget": 100}, {"budget": 99}, {"streams": 1}], ids=str)
async def test_what_is_refused_is_a_request_until_the_rate_refuses_it(store: Store, limits: dict[str, Any]) -> None:
    await reserve(store, ask("first"))
    refusals = [(await reserve(store, ask(str(n), rate=4, **limits))).refused for n in range(6)]
    assert refusals == [2 if "streams" in limits else 1] * 3 + [0] * 3
    assert (await used(store))[0] == 4
    assert (await reserve(store, ask("next", rate=4), NOON + 60)).refused is None


async def test_what_is_refused_counts_in_every_window_of_the_rate(store: Store) -> None:
    meters = meters_of(Policy("m", None, rate=(Limit(9, "minute"), Limit(9, "day")), budget=(Limit(10, "day"),)), 11)
    reservation = replace(ask("big"), meters=meters)
    assert [count for _, count in (await reserve(store, reservation)).used] == [1, 1, 0]
    assert [count for _, count in (await reserve(store, reservation, NOON + 60)).used] == [1, 2, 0]


async def test_a_revoked_token_makes_no_request(store: Store) -> None:
    await store.revoke("jti-1", now=NOON, until=NOON + 100)
    assert (await reserve(store, ask(budget=1))).revoked
    assert (await used(store))[0] == 0


async def test_a_limit_may_be_used_to_its_last(store: Store) -> None:
    assert (await reserve(store, ask(rate=1, budget=100, streams=1))).refused is None


async def test_without_a_limit_of_streams_none_is_refused(store: Store) -> None:
    for number in range(5):
        assert (await reserve(store, ask(str(number), streams=None))).refused is None


async def test_of_many_at_once_as_many_are_admitted_as_the_limit_says(store: Store) -> None:
    readings = await asyncio.gather(
        *(reserve(store, ask(str(n), rate=25, budget=10**9, streams=None)) for n in range(400))
    )
    assert sum(counters.refused is None for counters in readings) == 25
    assert await used(store) == (25, 2500, 25)


async def test_people_do_not_share_and_two_issuers_have_two_of_a_name(store: Store) -> None:
    others = (Principal("hfchat", "bob"), Principal("https://idp.example", "alice"), Principal("", "alice"))
    await reserve(store, ask("a"))
    for number, other in enumerate(others):
        assert (await reserve(store, ask(str(number), principal=other, rate=1))).refused is None
    assert await used(store) == (1, 100, 1)
    found = await store.totals("alice", now=NOON)
    assert [account.issuer for account in found] == ["", "hfchat", "https://idp.example"]
    assert [account.subject for account in await store.totals(None, now=NOON)] == ["alice"] * 3 + ["bob"]


async def test_two_tokens_of_a_person_count_on_the_same_meter(store: Store) -> None:
    await reserve(store, ask("a", token_id="t1"))
    assert (await reserve(store, ask("b", token_id="t2", rate=1))).refused == 0


async def test_the_same_reservation_asked_twice_is_taken_once_or_not_at_all(store: Store) -> None:
    await reserve(store, ask("same"))
    with suppress(HfchatError):
        await reserve(store, ask("same"))
    assert await used(store) == (1, 100, 1)


# --- windows and the clock


async def test_a_new_window_is_whole_again(store: Store) -> None:
    await reserve(store, ask("a", rate=1))
    assert (await reserve(store, ask("b", rate=1), NOON + 59.9)).refused == 0
    assert (await reserve(store, ask("c", rate=1), NOON + 60)).refused is None
    assert await used(store, NOON + 60) == (1, 200, 1)
    assert await used(store, DAY + 86_400) == (0, 0, 0)


async def test_a_clock_that_jumps_back_gives_nobody_anything(store: Store) -> None:
    await reserve(store, ask("today", rate=1, budget=100))
    for back_s in (1, 61, 3600, 86_400, 10 * 86_400):
        counters = await reserve(store, ask(f"back {back_s}", rate=1, budget=10**6), NOON - back_s)
        assert counters.refused == 0
        counters = await reserve(store, ask(f"back {back_s}", rate=10**6, budget=100), NOON - back_s)
        assert counters.refused == 1


async def test_small_steps_of_a_clock_give_nobody_anything(store: Store) -> None:
    """NTP sets a clock right by a step: forth and back over the end of a window."""
    admitted = 0
    for number, step_s in enumerate([-0.2, 0.2, -0.2, 60.2, -CLOCK_STEP_S + 60, 0.1, 59.9, -1, 30] * 3):
        counters = await reserve(store, ask(str(number), rate=2, budget=10**6, streams=None), NOON + step_s)
        admitted += counters.refused is None
    # The minute before noon, that of noon and the next.
    assert admitted <= 3 * 2


@pytest.mark.parametrize("ahead_s", [3600, 86_400, 10 * 365 * 86_400], ids=["hour", "day", "ten years"])
async def test_a_clock_that_ran_ahead_blocks_and_frees_nothing_for_long(store: Store, ahead_s: int) -> None:
    await reserve(store, ask("ahead", rate=1, budget=100, streams=1), NOON + ahead_s)
    # What it counted counts in the windows of now, whose ends are these.
    ((start, _), *_) = (await store.quota(ALICE, "jti-1", ask().meters, now=NOON)).used
    assert start == int(NOON)
    assert (await reserve(store, ask("now", rate=1, streams=None))).refused == 0
    later = NOON + 60
    assert (await reserve(store, ask("later", rate=1, streams=1), later)).refused is None
    assert (await reserve(store, ask("one more", rate=1, streams=None), later)).refused == 0
    tomorrow = DAY + 86_400.0
    assert (await reserve(store, ask("tomorrow", rate=1, budget=100, streams=1), tomorrow)).refused is None
    assert (await reserve(store, ask("and again", budget=100, streams=None), tomorrow)).refused == 1


async def test_the_lease_of_a_clock_that_ran_ahead_holds_no_place_until_it_is_renewed(store: Store) -> None:
    ahead = NOON + 10 * 365 * 86_400
    await reserve(store, ask("r1", streams=1), ahead)
    assert (await used(store))[2] == 0
    books = await account(store)
    assert (books.estimated_tokens, books.held_tokens) == (100, 0)
    await store.renew(["r1"], now=NOON, lease_ends=NOON + 60)
    assert (await used(store))[2] == 1
    assert (await account(store)).held_tokens == 100
    assert (await reserve(store, ask("r2", streams=1), NOON + 59)).refused == 2
    assert (await reserve(store, ask("r2", streams=1), NOON + 60)).refused is None


async def test_the_lease_of_a_clock_that_ran_ahead_is_tidied_up(store: Store) -> None:
    await reserve(store, ask("r1"), NOON + 10 * 365 * 86_400)
    await store.renew([], now=NOON, lease_ends=NOON + 60)
    before = await account(store)
    assert (before.prompt_tokens, before.completion_tokens, before.held_tokens) == (60, 40, 0)
    await store.settle(ask("r1"), Usage(1, 1), now=NOON)
    assert await account(store) == before


async def test_when_somebody_was_last_seen_is_set_right_too(store: Store) -> None:
    await reserve(store, ask("ahead"), NOON + 10 * 365 * 86_400)
    await reserve(store, ask("now"), NOON)
    assert (await account(store)).last_seen == NOON
    await reserve(store, ask("a little back"), NOON - 1)
    assert (await account(store)).last_seen == NOON


async def test_a_clock_that_runs_ahead_makes_no_revoked_token_good_again(store: Store) -> None:
    ahead = NOON + 10 * 365 * 86_400
    await store.revoke("jti-1", now=NOON, until=NOON + 3600)
    await store.revoke("other", now=ahead, until=ahead + 3600)
    await store.revoke("jti-1", now=ahead, until=NOON + 3600)
    assert await store.revoked(["jti-1"], now=ahead) == set()
    assert await store.revoked(["jti-1"], now=NOON) == {"jti-1"}


async def test_an_answer_that_a_clock_ran_ahead_to_keep_ends_all_the_same(
    store: Store, request: pytest.FixtureRequest
) -> None:
    now = time.time()
    ahead = now + 10 * 365 * 86_400
    await store.begin_once("name", "body", "owner", now=ahead, until=ahead + 30)
    await store.store_answer("name", "owner", b"kept", until=ahead + 86_400)
    if request.node.callspec.params["store"] == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        left_ms = int(server.set_quota("PTTL", "hfchat:answer:name").strip(b":\r\n"))
        assert 0 < left_ms <= (MAX_ANSWER_S + 1) * 1000
    else:
        assert await store.begin_once("name", "body", "other", now=now, until=now + 30) == OnceState()


async def test_a_clock_that_jumps_back_leaves_a_token_revoked(store: Store) -> None:
    await store.revoke("jti-1", now=NOON, until=NOON + 10)
    assert (await reserve(store, ask(), NOON - 86_400)).revoked


# --- settle


SETTLED: dict[str, tuple[Usage, int]] = {
    "less": (Usage(7, 5), 12),
    "nothing": (Usage(0, 0), 0),
    "all": (Usage(60, 40), 100),
    "more than was reserved": (Usage(60, 140), 200),
}


@pytest.mark.parametrize(("usage", "tokens"), SETTLED.values(), ids=SETTLED)
async def test_settling_writes_what_was_used_and_gives_back_the_rest(store: Store, usage: Usage, tokens: int) -> None:
    await reserve(store, ask())
    counters = await store.settle(ask(), usage, now=NOON)
    assert counters == Counters(((int(NOON), 1), (DAY, tokens)), 0)
    books = await account(store)
    assert books == UsageTotals("hfchat", "alice", 1, usage.prompt_tokens, usage.completion_tokens, 0, 0, NOON)


async def test_settling_twice_counts_once(store: Store) -> None:
    await reserve(store, ask())
    for usage in (Usage(7, 5), Usage(1, 1), Usage(60, 40)):
        await store.settle(ask(), usage, now=NOON)
    assert await used(store) == (1, 12, 0)
    assert (await account(store)).prompt_tokens == 7


async def test_settling_what_was_never_reserved_changes_nothing(store: Store) -> None:
    await reserve(store, ask("mine"))
    await store.settle(ask("never"), Usage(7, 5), now=NOON)
    assert await used(store) == (1, 100, 1)


async def test_estimated_tokens_are_told_apart(store: Store) -> None:
    for number, estimated in enumerate((False, True)):
        await reserve(store, ask(str(number)))
        await store.settle(ask(str(number)), Usage(7, 5, estimated), now=NOON)
    books = await account(store)
    assert (books.prompt_tokens, books.completion_tokens, books.estimated_tokens) == (14, 10, 12)


async def test_settling_after_the_window_has_passed_leaves_the_new_one_alone(store: Store) -> None:
    await reserve(store, ask("a"), DAY - 5, lease_s=100)
    await reserve(store, ask("b"), DAY + 5)
    await store.settle(ask("a"), Usage(7, 5), now=DAY + 6)
    assert (await used(store, DAY + 6))[1] == 100
    assert (await account(store, DAY + 6)).prompt_tokens == 7


# --- leases


async def test_a_reservation_that_is_never_settled_counts_in_full_for_ever_and_frees_its_place(store: Store) -> None:
    await reserve(store, ask(streams=1))
    assert (await account(store, NOON + 59)).held_tokens == 100
    assert (await reserve(store, ask("b", streams=1), NOON + 59.9)).refused == 2
    assert (await reserve(store, ask("b", streams=1), NOON + 60)).refused is None
    books = await account(store, NOON + 60)
    assert (books.prompt_tokens, books.completion_tokens, books.estimated_tokens, books.held_tokens) == (
        60,
        40,
        100,
        100,
    )
    assert await used(store, NOON + 60) == (1, 200, 1)


async def test_a_lease_that_is_renewed_holds_its_place_and_is_never_shortened(store: Store) -> None:
    await reserve(store, ask(streams=1))
    await store.renew(["r1", "unknown"], now=NOON + 50, lease_ends=NOON + 110)
    await store.renew(["r1"], now=NOON + 50, lease_ends=NOON + 70)
    assert (await used(store, NOON + 109))[2] == 1
    assert (await used(store, NOON + 110))[2] == 0


async def test_settling_late_sets_right_what_had_lapsed(store: Store) -> None:
    await reserve(store, ask())
    await store.settle(ask(), Usage(7, 5), now=NOON + 3600)
    assert (await used(store, NOON + 3600))[1] == 12
    books = await account(store, NOON + 3600)
    assert (books.prompt_tokens, books.completion_tokens, books.estimated_tokens) == (7, 5, 0)


async def test_what_lapsed_long_ago_is_tidied_up_and_stays_spent(store: Store) -> None:
    await reserve(store, ask())
    later = NOON + 61 + LAPSED_RETENTION_S
    before = await account(store, later)
    await store.renew([], now=later, lease_ends=later + 60)
    assert await account(store, later) == before
    await store.settle(ask(), Usage(1, 1), now=later)
    assert await account(store, later) == before


# --- revocations


async def test_a_revoked_token_reserves_nothing(store: Store) -> None:
    await store.revoke("jti-1", now=NOON, until=NOON + 100)
    counters = await reserve(store, ask())
    assert (counters.revoked, counters.refused) == (True, None)
    assert await used(store) == (0, 0, 0)
    assert (await store.quota(ALICE, "jti-1", (), now=NOON)).revoked
    assert not (await store.quota(ALICE, "jti-2", (), now=NOON)).revoked
    assert (await reserve(store, ask(token_id="jti-2"))).refused is None


async def test_revoked_tokens_are_found_among_others(store: Store) -> None:
    odd = ["a'b", 'a"b', "a\\b", "日本", "x" * 255, "a b", "%", "[1]"]
    for token_id in odd:
        await store.revoke(token_id, now=NOON, until=NOON + 10)
    assert await store.revoked([*odd, "good", "a"], now=NOON) == set(odd)
    assert await store.revoked([], now=NOON) == set()


async def test_a_revocation_ends_when_the_token_does_and_is_never_shortened(store: Store) -> None:
    await store.revoke("jti-1", now=NOON, until=NOON + 100)
    await store.revoke("jti-1", now=NOON, until=NOON + 50)
    assert await store.revoked(["jti-1"], now=NOON + 99.9) == {"jti-1"}
    assert await store.revoked(["jti-1"], now=NOON + 100) == set()
    assert not (await store.quota(ALICE, "jti-1", (), now=NOON + 100)).revoked


# --- sealed


async def test_what_is_sealed_is_there_until_it_ends_or_is_deleted(store: Store) -> None:
    now = time.time()  # Redis has a clock of its own
    assert await store.read_record("one", now=now) is None
    await store.store_record("one", b"\x00\xff", now=now, until=now + 3600)
    await store.store_record("two", b"2", now=now, until=now + 3600)
    await store.store_record("one", b"new", now=now, until=now + 3600)
    assert (await store.read_record("one", now=now), await store.read_record("two", now=now)) == (b"new", b"2")
    await store.delete_record("one")
    await store.delete_record("three")
    assert (await store.read_record("one", now=now), await store.read_record("two", now=now)) == (None, b"2")


async def test_what_was_sealed_for_a_time_ends_with_it(store: Store) -> None:
    now = time.time()
    await store.store_record("old", b"1", now=now - 20, until=now - 10)
    assert await store.read_record("old", now=now) is None


# --- all stores against each other, and the pure part


class Books:
    """The rules once more, in the plainest form."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, int], int] = {}
        self.live: dict[str, tuple[Reservation, float, int]] = {}

    def tokens(self, now: float) -> int:
        return self.used.get((TOKENS, int(now // 86_400)), 0)

    def reserve(self, reservation: Reservation, now: float, lease_ends: float) -> bool:
        minute, day = (REQUESTS, int(now // 60)), (TOKENS, int(now // 86_400))
        streams = sum(ends > now for _, ends, _ in self.live.values())
        amount = reservation.prompt_tokens + reservation.completion_tokens
        if self.used.get(minute, 0) >= reservation.meters[0].limit:
            return False
        self.used[minute] = self.used.get(minute, 0) + 1
        fits = self.tokens(now) + amount <= reservation.meters[1].limit
        if not fits or (reservation.streams is not None and streams >= reservation.streams):
            return False
        self.used[day] = self.tokens(now) + amount
        self.live[reservation.id] = (reservation, lease_ends, day[1])
        return True

    def settle(self, id_: str, usage: Usage) -> None:
        if id_ in self.live:
            reservation, _, day = self.live.pop(id_)
            self.used[(TOKENS, day)] += usage.total_tokens - reservation.prompt_tokens - reservation.completion_tokens


@pytest.mark.parametrize("seed", range(3))
async def test_a_long_random_life_is_the_same_as_by_the_plainest_books(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    books, now, open_ = Books(), NOON, [ask("never")]
    for step in range(150):
        now += dice.choice([0, 0.5, 20, 45, 7000])
        if dice.random() < 0.6:
            reservation = ask(str(step), rate=3, budget=2000, streams=2, prompt=dice.randrange(400), completion=50)
            reservation = replace(reservation, streams=dice.choice([2, None]))
            admitted = (await reserve(store, reservation, now)).refused is None
            assert admitted == books.reserve(reservation, now, now + 60)
            open_ += [reservation] if admitted else []
        else:
            settled = open_.pop(dice.randrange(len(open_))) if len(open_) > 1 else open_[0]
            usage = Usage(dice.randrange(settled.prompt_tokens + 1), dice.randrange(60))
            await store.settle(settled, usage, now=now)
            books.settle(settled.id, usage)
        assert (await used(store, now))[1] == books.tokens(now)
        assert (await used(store, now))[2] == sum(ends > now for _, ends, _ in books.live.values())


POLICY = Policy(
    "m",
    None,
    rate=(Limit(30, "minute"), Limit(100, "day")),
    budget=(Limit(50_000, "day"),),
    streams=4,
)


def read(minute: int, day: int, tokens: int, streams: int = 0) -> Counters:
    return Counters(((int(NOON), minute), (DAY, day), (DAY, tokens)), streams)


def test_a_standing_shows_the_limit_that_says_no_first() -> None:
    left = Quota(POLICY, read(10, 10, 20_000, 1), NOON + 48)
    assert left.rate == Remaining(30, 20, 12, "minute")
    assert left.budget == Remaining(50_000, 30_000, 43_152, "day")
    assert left.streams == Remaining(4, 3)
    assert Quota(POLICY, read(10, 95, 0), NOON).rate == Remaining(100, 5, 43_200, "day")
    assert Quota(POLICY, read(0, 0, 60_000, 9), NOON).budget == Remaining(50_000, 0, 43_200, "day")
    assert Quota(Policy("m", None), Counters((), 5), NOON).streams is None


SAYS_NO: dict[str, tuple[int, int, int, int, type[HfchatError], str, int]] = {
    "requests a minute": (0, 500, 0, 0, RateLimitExceeded, "rate_used", 12),
    "requests a day": (1, 500, 0, 0, RateLimitExceeded, "rate_used", 43_152),
    "all tokens used": (2, 500, 50_000, 0, BudgetExceeded, "budget_used", 43_152),
    "too few tokens left": (2, 500, 49_600, 0, BudgetExceeded, "budget_short", 43_152),
    "held by other replies": (2, 500, 49_600, 200, BudgetExceeded, "budget_held", 5),
    "more than all there is": (2, 50_001, 0, 0, BudgetExceeded, "budget_never", 43_152),
    "replies at once": (3, 500, 0, 0, TooManyStreams, "streams_used", 5),
}


@each_row(("place", "needs", "tokens", "held", "kind", "detail", "wait_s"), SAYS_NO.values(), ids=SAYS_NO)
def test_a_refusal_says_which_meter_said_no_and_until_when(
    place: int, needs: int, tokens: int, held: int, kind: type[HfchatError], detail: str, wait_s: int
) -> None:
    reservation = Reservation("r", ALICE, "j", meters_of(POLICY, needs), 4, needs, 0)
    counters = replace(read(30, 100, tokens, 4), held=held)
    error = refusal(reservation, counters, place, NOON + 48)
    assert (type(error), error.reason, error.retry_after_s) == (kind, detail, wait_s)
