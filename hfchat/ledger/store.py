"""The ledger's protocol, which SQLite and Redis both keep: meters, reservations, revocations, and what each person used.

A meter counts in fixed windows. What a reservation takes is counted in full at once; settling gives back what was not
used. One that is never settled holds its place among the replies in progress until its lease ends, and its tokens stay
counted. A refused reservation counts as a request, unless the rate itself refused it.

Clocks: what a clock that ran ahead wrote never blocks for long. Of two windows of one meter the later one stays while it
begins at most CLOCK_STEP_S from now, so small steps of a clock, forth and back, give nobody anything; what is used in one
that begins later is counted in the current window and ends with it. Replicas' clocks must agree within CLOCK_STEP_S.
"""

import math
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hfchat.errors import BudgetExceeded, LimitReached, RateLimitExceeded, TooManyStreams
from hfchat.limits import Limit, window_end, window_start
from hfchat.types import Caller, Policy, Usage

REQUESTS, TOKENS = "requests", "tokens"
# A reservation whose lease has ended is kept for this long: a store that was away makes settling late.
KEPT_AFTER_LEASE_S = 86_400
# How far a clock may step back: NTP sets a clock right at once by up to some minutes after a pause of the machine.
CLOCK_STEP_S = 300
# A lease, or an idempotent answer, that ends later than this from now was written by a clock that ran ahead. Leases are
# of a minute, answers of a day.
MAX_LEASE_S = 2 * CLOCK_STEP_S
MAX_ANSWER_S = 86_400 + CLOCK_STEP_S


@dataclass(frozen=True, slots=True)
class Meter:
    """So much of `name` may be used in each `window`; `amount` is what one turn takes."""

    name: str
    window: str
    limit: int
    amount: int = 0

    @property
    def key(self) -> str:
        """What tells it from a person's other meters."""
        return f"{self.name}/{self.window}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose account it is. Two issuers' subjects of the same name are two people."""

    issuer: str
    subject: str

    @staticmethod
    def of(caller: Caller) -> "Principal":
        """Whose account this caller's is."""
        return Principal(caller.issuer, caller.subject)

    @property
    def key(self) -> str:
        """Both in one text: neither can have a control character."""
        return f"{self.issuer}\x1f{self.subject}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a turn may take at most. `streams` is how many of the person's replies may be in progress, this one too."""

    id: str
    principal: Principal
    token_id: str
    meters: tuple[Meter, ...]
    streams: int | None
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What the books say: for each meter asked about, when its window began and what is used in it.

    `refused` is the place of the first meter that said no, `len(used)` for the replies in progress. `held` are tokens of
    replies in progress, counted in full; it is known where a meter said no.
    """

    used: tuple[tuple[int, int], ...]
    streams: int
    revoked: bool = False
    refused: int | None = None
    held: int = 0


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """All that a person ever used. `held_tokens` are those of replies in progress, in full; they are not in the others."""

    issuer: str
    subject: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    estimated_tokens: int
    held_tokens: int
    last_seen: float


@dataclass(frozen=True, slots=True)
class OnceState:
    """What is known of an answer that is to be given once: another try is `running`, it had an `other` body, or its answer.

    None of these: it is claimed now.
    """

    running: bool = False
    other: bool = False
    answer: bytes | None = field(default=None, repr=False)


class Store(Protocol):
    """One store. `now` and `until` are in seconds since 1970. Raises: StoreUnavailable, everywhere, and nothing else.

    `in_order`: what one process asks is answered in the order it is asked, so that nobody there need wait to see it done.
    """

    in_order: bool

    def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Awaitable[Counters]:
        """Take all that is asked for, or nothing; nothing where the token is revoked, too.

        What tokens or replies in progress refuse is a request all the same, and counts as one.
        """
        ...

    def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, look: bool = True
    ) -> Awaitable[Counters | None]:
        """Write what was really used and give back the rest, once: what is not reserved any more stays as it is.

        What is used then it says only where it is to `look`.
        """
        ...

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Keep these reservations; and tidy up what lapsed long ago."""
        ...

    def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Awaitable[Counters]:
        """What is used, and whether the token is revoked."""
        ...

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse this token from now on, until it would have expired.

        It is never deleted: it is the owner's word, and a clock that runs ahead must not make the token good again.
        """
        ...

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those of the tokens that are revoked."""
        ...

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Claim the answer of that name for this owner, or say what is known of it."""
        ...

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Keep the owner's claim until then."""
        ...

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Keep the answer that the owner has claimed until then."""
        ...

    async def end_once(self, name: str, owner: str) -> None:
        """Give up the owner's claim."""
        ...

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """Everybody's account, or those of one subject, by name."""
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...


def meters_of(policy: Policy, tokens: int = 0, *, requests: int = 1) -> tuple[Meter, ...]:
    """The meters of whoever has this policy, for a turn that may take so many tokens."""
    return (
        *(Meter(REQUESTS, limit.window, limit.amount, requests) for limit in policy.rate),
        *(Meter(TOKENS, limit.window, limit.amount, tokens) for limit in policy.budget),
    )


def counted(meter: Meter, start: int | None, used: int, now: float) -> tuple[int, int]:
    """What counts of a stored count: its window's start and use, or a fresh window where time has passed it.

    What a clock that ran far ahead counted is counted in the current window.
    """
    current = window_start(meter.window, now)
    if start is None or start < current:
        return current, 0
    return (start if start <= now + CLOCK_STEP_S else current), used


def first_refusal(reservation: Reservation, used: Sequence[tuple[int, int]], streams: int) -> int | None:
    """The place of the first meter that the reservation does not fit into; None where it fits."""
    for place, (meter, (_, so_far)) in enumerate(zip(reservation.meters, used, strict=True)):
        if so_far + meter.amount > meter.limit:
            return place
    return len(used) if reservation.streams is not None and streams >= reservation.streams else None


def after_refusal(
    reservation: Reservation, used: Sequence[tuple[int, int]], refused: int
) -> tuple[tuple[int, int], ...]:
    """What is used once the reservation is refused at this place: a request was made, unless it was one too many.

    It is to be written either way: what a clock that ran ahead counted would else be carried into every window to come.
    """
    if refused < len(reservation.meters) and reservation.meters[refused].name == REQUESTS:
        return tuple(used)
    return tuple(
        (start, count + meter.amount if meter.name == REQUESTS else count)
        for meter, (start, count) in zip(reservation.meters, used, strict=True)
    )


def refusal(reservation: Reservation, counters: Counters, refused: int, now: float) -> LimitReached:
    """The error for a reservation that the meter at `refused` said no to: which it is, and when it may say yes."""
    if refused == len(reservation.meters):
        return TooManyStreams("streams_used", params={"limit": reservation.streams or 0})
    meter, (start, used) = reservation.meters[refused], counters.used[refused]
    reset_s = seconds_left(meter, start, now)
    left = max(meter.limit - used, 0)
    params: dict[str, int | str] = {"limit": meter.limit, "window": meter.window, "reset_s": reset_s}
    params |= {"needed": meter.amount, "left": left}
    if meter.name == REQUESTS:
        return RateLimitExceeded("rate_used", params=params, retry_after_s=reset_s)
    if meter.amount > meter.limit:
        return BudgetExceeded("budget_never", params=params, retry_after_s=reset_s)
    if meter.amount <= left + counters.held:
        return BudgetExceeded("budget_held", params=params, retry_after_s=TooManyStreams.wait_s)
    return BudgetExceeded("budget_short" if left else "budget_used", params=params, retry_after_s=reset_s)


def seconds_left(meter: Meter | Limit, start: int, now: float) -> int:
    """Whole seconds, 1 or more, until the window that began at `start` ends."""
    return max(math.ceil(window_end(meter.window, start) - now), 1)


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a limit. `window` and `reset_s` are None for replies at once, which no time gives back."""

    limit: int
    remaining: int
    reset_s: int | None = None
    window: str | None = None


class Quota:
    """What somebody may still use, as a reading of `meters_of(policy)` shows it; worked out where it is asked for.

    Where several limits hold, it is the one that says no first; None where none does.
    """

    def __init__(self, policy: Policy, counters: Counters, now: float) -> None:
        self._policy = policy
        self._counters = counters
        self._now = now

    @property
    def rate(self) -> Remaining | None:
        """Requests."""
        rate = self._policy.rate
        return self._least(rate, self._counters.used[: len(rate)])

    @property
    def budget(self) -> Remaining | None:
        """Tokens."""
        return self._least(self._policy.budget, self._counters.used[len(self._policy.rate) :])

    @property
    def streams(self) -> Remaining | None:
        """Replies at once."""
        most = self._policy.streams
        return None if most is None else Remaining(most, max(most - self._counters.streams, 0))

    def settled(self, reservation: Reservation, usage: Usage) -> "Quota":
        """What is left once this reservation, the last thing that was read, is settled."""
        back = reservation.prompt_tokens + reservation.completion_tokens - usage.total_tokens
        used = tuple(
            (start, count - back if meter.name == TOKENS else count)
            for meter, (start, count) in zip(reservation.meters, self._counters.used, strict=True)
        )
        return Quota(self._policy, Counters(used, max(self._counters.streams - 1, 0)), self._now)

    def _least(self, limits: Sequence[Limit], counts: Sequence[tuple[int, int]]) -> Remaining | None:
        left = [
            Remaining(limit.amount, max(limit.amount - used, 0), seconds_left(limit, start, self._now), limit.window)
            for limit, (start, used) in zip(limits, counts, strict=True)
        ]
        return min(left, key=lambda allowance: allowance.remaining, default=None)
