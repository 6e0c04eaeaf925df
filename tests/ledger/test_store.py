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
from hfchat.ledger.open_store import open_ledger
from hfchat.ledger.store import (
    CLOCK_STEP_S,
    KEPT_AFTER_LEASE_S,
    MAX_ANSWER_S,
    REQUESTS,
    TOKENS,
    Account,
    Allowance,
    Claim,
    Ledger,
    Person,
    Reading,
    Reservation,
    Standing,
    meters_of,
    refusal,
)
from hfchat.limits import Limit
from hfchat.types import Policy, Usage
from tests.support.ledger_questions import ALICE, DAY, NOON, account, ask, reserve, used
from tests.support.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

STORES = ("memory", "sqlite", "redis")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def store_url(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        server.tell("FLUSHALL")
        return server.url
    return "memory://" if kind == "memory" else f"sqlite:///{folder}/ledger.db"


@pytest.fixture(params=STORES)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = open_ledger(store_url(request.param, tmp_path, request))
    yield opened
    await opened.close()


# --- reserve


async def test_a_reservation_takes_of_every_meter_at_once(ledger: Ledger) -> None:
    reading = await reserve(ledger, ask())
    assert reading == Reading(((int(NOON), 1), (DAY, 100)), 1)
    assert await used(ledger) == (1, 100, 1)


NO: dict[str, tuple[dict[str, Any], int]] = {
    "requests": ({"rate": 1}, 0),
    "tokens": ({"budget": 199}, 1),
    "streams": ({"streams": 1}, 2),
    "the first of several": ({"rate": 1, "budget": 1, "streams": 0}, 0),
}


@pytest.mark.parametrize(("limits", "refused"), NO.values(), ids=NO)
async def test_where_one_meter_says_no_nothing_is_taken_of_any(
    ledger: Ledger, limits: dict[str, Any], refused: int
) -> None:
    await reserve(ledger, ask("first"))
    reading = await reserve(ledger, ask("second", **limits))
    assert (reading.refused, reading.held) == (refused, 100)
    # But that a request was made, unless the rate itself refused it.
    requests = 1 if refused == 0 else 2
    assert [count for _, count in reading.used] == [requests, 100]
    assert await used(ledger) == (requests, 100, 1)
    assert (await account(ledger)).requests == 1


@pytest.mark.parametrize("limits", [{"budget": 100}, {"budget": 99}, {"streams": 1}], ids=str)
async def test_what_is_refused_is_a_request_until_the_rate_refuses_it(ledger: Ledger, limits: dict[str, Any]) -> None:
    await reserve(ledger, ask("first"))
    refusals = [(await reserve(ledger, ask(str(n), rate=4, **limits))).refused for n in range(6)]
    assert refusals == [2 if "streams" in limits else 1] * 3 + [0] * 3
    assert (await used(ledger))[0] == 4
    assert (await reserve(ledger, ask("next", rate=4), NOON + 60)).refused is None


async def test_what_is_refused_counts_in_every_window_of_the_rate(ledger: Ledger) -> None:
    meters = meters_of(Policy("m", None, rate=(Limit(9, "minute"), Limit(9, "day")), budget=(Limit(10, "day"),)), 11)
    asked = replace(ask("big"), meters=meters)
    assert [count for _, count in (await reserve(ledger, asked)).used] == [1, 1, 0]
    assert [count for _, count in (await reserve(ledger, asked, NOON + 60)).used] == [1, 2, 0]


async def test_a_revoked_token_makes_no_request(ledger: Ledger) -> None:
    await ledger.revoke("jti-1", now=NOON, until=NOON + 100)
    assert (await reserve(ledger, ask(budget=1))).revoked
    assert (await used(ledger))[0] == 0


async def test_a_limit_may_be_used_to_its_last(ledger: Ledger) -> None:
    assert (await reserve(ledger, ask(rate=1, budget=100, streams=1))).refused is None


async def test_without_a_limit_of_streams_none_is_refused(ledger: Ledger) -> None:
    for number in range(5):
        assert (await reserve(ledger, ask(str(number), streams=None))).refused is None


async def test_of_many_at_once_as_many_are_admitted_as_the_limit_says(ledger: Ledger) -> None:
    readings = await asyncio.gather(
        *(reserve(ledger, ask(str(n), rate=25, budget=10**9, streams=None)) for n in range(400))
    )
    assert sum(reading.refused is None for reading in readings) == 25
    assert await used(ledger) == (25, 2500, 25)


async def test_people_do_not_share_and_two_issuers_have_two_of_a_name(ledger: Ledger) -> None:
    others = (Person("hfchat", "bob"), Person("https://idp.example", "alice"), Person("", "alice"))
    await reserve(ledger, ask("a"))
    for number, other in enumerate(others):
        assert (await reserve(ledger, ask(str(number), person=other, rate=1))).refused is None
    assert await used(ledger) == (1, 100, 1)
    found = await ledger.accounts("alice", now=NOON)
    assert [account.issuer for account in found] == ["", "hfchat", "https://idp.example"]
    assert [account.subject for account in await ledger.accounts(None, now=NOON)] == ["alice"] * 3 + ["bob"]


async def test_two_tokens_of_a_person_count_on_the_same_meter(ledger: Ledger) -> None:
    await reserve(ledger, ask("a", token_id="t1"))
    assert (await reserve(ledger, ask("b", token_id="t2", rate=1))).refused == 0


async def test_the_same_reservation_asked_twice_is_taken_once_or_not_at_all(ledger: Ledger) -> None:
    await reserve(ledger, ask("same"))
    with suppress(HfchatError):
        await reserve(ledger, ask("same"))
    assert await used(ledger) == (1, 100, 1)


# --- windows and the clock


async def test_a_new_window_is_whole_again(ledger: Ledger) -> None:
    await reserve(ledger, ask("a", rate=1))
    assert (await reserve(ledger, ask("b", rate=1), NOON + 59.9)).refused == 0
    assert (await reserve(ledger, ask("c", rate=1), NOON + 60)).refused is None
    assert await used(ledger, NOON + 60) == (1, 200, 1)
    assert await used(ledger, DAY + 86_400) == (0, 0, 0)


async def test_a_clock_that_jumps_back_gives_nobody_anything(ledger: Ledger) -> None:
    await reserve(ledger, ask("today", rate=1, budget=100))
    for back_s in (1, 61, 3600, 86_400, 10 * 86_400):
        reading = await reserve(ledger, ask(f"back {back_s}", rate=1, budget=10**6), NOON - back_s)
        assert reading.refused == 0
        reading = await reserve(ledger, ask(f"back {back_s}", rate=10**6, budget=100), NOON - back_s)
        assert reading.refused == 1


async def test_small_steps_of_a_clock_give_nobody_anything(ledger: Ledger) -> None:
    """NTP sets a clock right by a step: forth and back over the end of a window."""
    admitted = 0
    for number, step_s in enumerate([-0.2, 0.2, -0.2, 60.2, -CLOCK_STEP_S + 60, 0.1, 59.9, -1, 30] * 3):
        reading = await reserve(ledger, ask(str(number), rate=2, budget=10**6, streams=None), NOON + step_s)
        admitted += reading.refused is None
    # The minute before noon, that of noon and the next.
    assert admitted <= 3 * 2


@pytest.mark.parametrize("ahead_s", [3600, 86_400, 10 * 365 * 86_400], ids=["hour", "day", "ten years"])
async def test_a_clock_that_ran_ahead_blocks_and_frees_nothing_for_long(ledger: Ledger, ahead_s: int) -> None:
    await reserve(ledger, ask("ahead", rate=1, budget=100, streams=1), NOON + ahead_s)
    # What it counted counts in the windows of now, whose ends are these.
    ((start, _), *_) = (await ledger.look(ALICE, "jti-1", ask().meters, now=NOON)).used
    assert start == int(NOON)
    assert (await reserve(ledger, ask("now", rate=1, streams=None))).refused == 0
    later = NOON + 60
    assert (await reserve(ledger, ask("later", rate=1, streams=1), later)).refused is None
    assert (await reserve(ledger, ask("one more", rate=1, streams=None), later)).refused == 0
    tomorrow = DAY + 86_400.0
    assert (await reserve(ledger, ask("tomorrow", rate=1, budget=100, streams=1), tomorrow)).refused is None
    assert (await reserve(ledger, ask("and again", budget=100, streams=None), tomorrow)).refused == 1


async def test_the_lease_of_a_clock_that_ran_ahead_holds_no_place_until_it_is_renewed(ledger: Ledger) -> None:
    ahead = NOON + 10 * 365 * 86_400
    await reserve(ledger, ask("r1", streams=1), ahead)
    assert (await used(ledger))[2] == 0
    books = await account(ledger)
    assert (books.estimated_tokens, books.held_tokens) == (100, 0)
    await ledger.renew(["r1"], now=NOON, lease_ends=NOON + 60)
    assert (await used(ledger))[2] == 1
    assert (await account(ledger)).held_tokens == 100
    assert (await reserve(ledger, ask("r2", streams=1), NOON + 59)).refused == 2
    assert (await reserve(ledger, ask("r2", streams=1), NOON + 60)).refused is None


async def test_the_lease_of_a_clock_that_ran_ahead_is_tidied_up(ledger: Ledger) -> None:
    await reserve(ledger, ask("r1"), NOON + 10 * 365 * 86_400)
    await ledger.renew([], now=NOON, lease_ends=NOON + 60)
    before = await account(ledger)
    assert (before.prompt_tokens, before.completion_tokens, before.held_tokens) == (60, 40, 0)
    await ledger.settle(ask("r1"), Usage(1, 1), now=NOON)
    assert await account(ledger) == before


async def test_when_somebody_was_last_seen_is_set_right_too(ledger: Ledger) -> None:
    await reserve(ledger, ask("ahead"), NOON + 10 * 365 * 86_400)
    await reserve(ledger, ask("now"), NOON)
    assert (await account(ledger)).last_seen == NOON
    await reserve(ledger, ask("a little back"), NOON - 1)
    assert (await account(ledger)).last_seen == NOON


async def test_a_clock_that_runs_ahead_makes_no_revoked_token_good_again(ledger: Ledger) -> None:
    ahead = NOON + 10 * 365 * 86_400
    await ledger.revoke("jti-1", now=NOON, until=NOON + 3600)
    await ledger.revoke("other", now=ahead, until=ahead + 3600)
    await ledger.revoke("jti-1", now=ahead, until=NOON + 3600)
    assert await ledger.revoked(["jti-1"], now=ahead) == set()
    assert await ledger.revoked(["jti-1"], now=NOON) == {"jti-1"}


async def test_an_answer_that_a_clock_ran_ahead_to_keep_ends_all_the_same(
    ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    now = time.time()
    ahead = now + 10 * 365 * 86_400
    await ledger.claim("name", "body", "owner", now=ahead, until=ahead + 30)
    await ledger.keep("name", "owner", until=ahead + 86_400, answer=b"kept")
    if request.node.callspec.params["ledger"] == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        left_ms = int(server.tell("PTTL", "hfchat:answer:name").strip(b":\r\n"))
        assert 0 < left_ms <= (MAX_ANSWER_S + 1) * 1000
    else:
        assert await ledger.claim("name", "body", "other", now=now, until=now + 30) == Claim()


async def test_a_clock_that_jumps_back_leaves_a_token_revoked(ledger: Ledger) -> None:
    await ledger.revoke("jti-1", now=NOON, until=NOON + 10)
    assert (await reserve(ledger, ask(), NOON - 86_400)).revoked


# --- settle


SETTLED: dict[str, tuple[Usage, int]] = {
    "less": (Usage(7, 5), 12),
    "nothing": (Usage(0, 0), 0),
    "all": (Usage(60, 40), 100),
    "more than was reserved": (Usage(60, 140), 200),
}


@pytest.mark.parametrize(("usage", "tokens"), SETTLED.values(), ids=SETTLED)
async def test_settling_writes_what_was_used_and_gives_back_the_rest(ledger: Ledger, usage: Usage, tokens: int) -> None:
    await reserve(ledger, ask())
    reading = await ledger.settle(ask(), usage, now=NOON)
    assert reading == Reading(((int(NOON), 1), (DAY, tokens)), 0)
    books = await account(ledger)
    assert books == Account("hfchat", "alice", 1, usage.prompt_tokens, usage.completion_tokens, 0, 0, NOON)


async def test_settling_twice_counts_once(ledger: Ledger) -> None:
    await reserve(ledger, ask())
    for usage in (Usage(7, 5), Usage(1, 1), Usage(60, 40)):
        await ledger.settle(ask(), usage, now=NOON)
    assert await used(ledger) == (1, 12, 0)
    assert (await account(ledger)).prompt_tokens == 7


async def test_settling_what_was_never_reserved_changes_nothing(ledger: Ledger) -> None:
    await reserve(ledger, ask("mine"))
    await ledger.settle(ask("never"), Usage(7, 5), now=NOON)
    assert await used(ledger) == (1, 100, 1)


async def test_estimated_tokens_are_told_apart(ledger: Ledger) -> None:
    for number, estimated in enumerate((False, True)):
        await reserve(ledger, ask(str(number)))
        await ledger.settle(ask(str(number)), Usage(7, 5, estimated), now=NOON)
    books = await account(ledger)
    assert (books.prompt_tokens, books.completion_tokens, books.estimated_tokens) == (14, 10, 12)


async def test_settling_after_the_window_has_passed_leaves_the_new_one_alone(ledger: Ledger) -> None:
    await reserve(ledger, ask("a"), DAY - 5, lease_s=100)
    await reserve(ledger, ask("b"), DAY + 5)
    await ledger.settle(ask("a"), Usage(7, 5), now=DAY + 6)
    assert (await used(ledger, DAY + 6))[1] == 100
    assert (await account(ledger, DAY + 6)).prompt_tokens == 7


# --- leases


async def test_a_reservation_that_is_never_settled_counts_in_full_for_ever_and_frees_its_place(ledger: Ledger) -> None:
    await reserve(ledger, ask(streams=1))
    assert (await account(ledger, NOON + 59)).held_tokens == 100
    assert (await reserve(ledger, ask("b", streams=1), NOON + 59.9)).refused == 2
    assert (await reserve(ledger, ask("b", streams=1), NOON + 60)).refused is None
    books = await account(ledger, NOON + 60)
    assert (books.prompt_tokens, books.completion_tokens, books.estimated_tokens, books.held_tokens) == (
        60,
        40,
        100,
        100,
    )
    assert await used(ledger, NOON + 60) == (1, 200, 1)


async def test_a_lease_that_is_renewed_holds_its_place_and_is_never_shortened(ledger: Ledger) -> None:
    await reserve(ledger, ask(streams=1))
    await ledger.renew(["r1", "unknown"], now=NOON + 50, lease_ends=NOON + 110)
    await ledger.renew(["r1"], now=NOON + 50, lease_ends=NOON + 70)
    assert (await used(ledger, NOON + 109))[2] == 1
    assert (await used(ledger, NOON + 110))[2] == 0


async def test_settling_late_sets_right_what_had_lapsed(ledger: Ledger) -> None:
    await reserve(ledger, ask())
    await ledger.settle(ask(), Usage(7, 5), now=NOON + 3600)
    assert (await used(ledger, NOON + 3600))[1] == 12
    books = await account(ledger, NOON + 3600)
    assert (books.prompt_tokens, books.completion_tokens, books.estimated_tokens) == (7, 5, 0)


async def test_what_lapsed_long_ago_is_tidied_up_and_stays_spent(ledger: Ledger) -> None:
    await reserve(ledger, ask())
    later = NOON + 61 + KEPT_AFTER_LEASE_S
    before = await account(ledger, later)
    await ledger.renew([], now=later, lease_ends=later + 60)
    assert await account(ledger, later) == before
    await ledger.settle(ask(), Usage(1, 1), now=later)
    assert await account(ledger, later) == before


# --- revocations


async def test_a_revoked_token_reserves_nothing(ledger: Ledger) -> None:
    await ledger.revoke("jti-1", now=NOON, until=NOON + 100)
    reading = await reserve(ledger, ask())
    assert (reading.revoked, reading.refused) == (True, None)
    assert await used(ledger) == (0, 0, 0)
    assert (await ledger.look(ALICE, "jti-1", (), now=NOON)).revoked
    assert not (await ledger.look(ALICE, "jti-2", (), now=NOON)).revoked
    assert (await reserve(ledger, ask(token_id="jti-2"))).refused is None


async def test_revoked_tokens_are_found_among_others(ledger: Ledger) -> None:
    odd = ["a'b", 'a"b', "a\\b", "日本", "x" * 255, "a b", "%", "[1]"]
    for token_id in odd:
        await ledger.revoke(token_id, now=NOON, until=NOON + 10)
    assert await ledger.revoked([*odd, "good", "a"], now=NOON) == set(odd)
    assert await ledger.revoked([], now=NOON) == set()


async def test_a_revocation_ends_when_the_token_does_and_is_never_shortened(ledger: Ledger) -> None:
    await ledger.revoke("jti-1", now=NOON, until=NOON + 100)
    await ledger.revoke("jti-1", now=NOON, until=NOON + 50)
    assert await ledger.revoked(["jti-1"], now=NOON + 99.9) == {"jti-1"}
    assert await ledger.revoked(["jti-1"], now=NOON + 100) == set()
    assert not (await ledger.look(ALICE, "jti-1", (), now=NOON + 100)).revoked


# --- all stores against each other, and the pure part


class Books:
    """The rules once more, in the plainest form."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, int], int] = {}
        self.live: dict[str, tuple[Reservation, float, int]] = {}

    def tokens(self, now: float) -> int:
        return self.used.get((TOKENS, int(now // 86_400)), 0)

    def reserve(self, asked: Reservation, now: float, lease_ends: float) -> bool:
        minute, day = (REQUESTS, int(now // 60)), (TOKENS, int(now // 86_400))
        streams = sum(ends > now for _, ends, _ in self.live.values())
        amount = asked.prompt_tokens + asked.completion_tokens
        if self.used.get(minute, 0) >= asked.meters[0].limit:
            return False
        self.used[minute] = self.used.get(minute, 0) + 1
        fits = self.tokens(now) + amount <= asked.meters[1].limit
        if not fits or (asked.streams is not None and streams >= asked.streams):
            return False
        self.used[day] = self.tokens(now) + amount
        self.live[asked.id] = (asked, lease_ends, day[1])
        return True

    def settle(self, id_: str, usage: Usage) -> None:
        if id_ in self.live:
            asked, _, day = self.live.pop(id_)
            self.used[(TOKENS, day)] += usage.total_tokens - asked.prompt_tokens - asked.completion_tokens


@pytest.mark.parametrize("seed", range(3))
async def test_a_long_random_life_is_the_same_as_by_the_plainest_books(ledger: Ledger, seed: int) -> None:
    dice = random.Random(seed)
    books, now, open_ = Books(), NOON, [ask("never")]
    for step in range(150):
        now += dice.choice([0, 0.5, 20, 45, 7000])
        if dice.random() < 0.6:
            asked = ask(str(step), rate=3, budget=2000, streams=2, prompt=dice.randrange(400), completion=50)
            asked = replace(asked, streams=dice.choice([2, None]))
            admitted = (await reserve(ledger, asked, now)).refused is None
            assert admitted == books.reserve(asked, now, now + 60)
            open_ += [asked] if admitted else []
        else:
            settled = open_.pop(dice.randrange(len(open_))) if len(open_) > 1 else open_[0]
            usage = Usage(dice.randrange(settled.prompt_tokens + 1), dice.randrange(60))
            await ledger.settle(settled, usage, now=now)
            books.settle(settled.id, usage)
        assert (await used(ledger, now))[1] == books.tokens(now)
        assert (await used(ledger, now))[2] == sum(ends > now for _, ends, _ in books.live.values())


POLICY = Policy(
    "m",
    None,
    rate=(Limit(30, "minute"), Limit(100, "day")),
    budget=(Limit(50_000, "day"),),
    streams=4,
)


def read(minute: int, day: int, tokens: int, streams: int = 0) -> Reading:
    return Reading(((int(NOON), minute), (DAY, day), (DAY, tokens)), streams)


def test_a_standing_shows_the_limit_that_says_no_first() -> None:
    left = Standing(POLICY, read(10, 10, 20_000, 1), NOON + 48)
    assert left.rate == Allowance(30, 20, 12, "minute")
    assert left.budget == Allowance(50_000, 30_000, 43_152, "day")
    assert left.streams == Allowance(4, 3)
    assert Standing(POLICY, read(10, 95, 0), NOON).rate == Allowance(100, 5, 43_200, "day")
    assert Standing(POLICY, read(0, 0, 60_000, 9), NOON).budget == Allowance(50_000, 0, 43_200, "day")
    assert Standing(Policy("m", None), Reading((), 5), NOON).streams is None


SAYS_NO: dict[str, tuple[int, int, int, int, type[HfchatError], str, int]] = {
    "requests a minute": (0, 500, 0, 0, RateLimitExceeded, "rate_used", 12),
    "requests a day": (1, 500, 0, 0, RateLimitExceeded, "rate_used", 43_152),
    "all tokens used": (2, 500, 50_000, 0, BudgetExceeded, "budget_used", 43_152),
    "too few tokens left": (2, 500, 49_600, 0, BudgetExceeded, "budget_short", 43_152),
    "held by other replies": (2, 500, 49_600, 200, BudgetExceeded, "budget_held", 5),
    "more than all there is": (2, 50_001, 0, 0, BudgetExceeded, "budget_never", 43_152),
    "replies at once": (3, 500, 0, 0, TooManyStreams, "streams_used", 5),
}


@pytest.mark.parametrize(
    ("place", "needs", "tokens", "held", "kind", "detail", "wait_s"), SAYS_NO.values(), ids=SAYS_NO
)
def test_a_refusal_says_which_meter_said_no_and_until_when(
    place: int, needs: int, tokens: int, held: int, kind: type[HfchatError], detail: str, wait_s: int
) -> None:
    asked = Reservation("r", ALICE, "j", meters_of(POLICY, needs), 4, needs, 0)
    reading = replace(read(30, 100, tokens, 4), held=held)
    error = refusal(asked, reading, place, NOON + 48)
    assert (type(error), error.detail, error.retry_after_s) == (kind, detail, wait_s)
