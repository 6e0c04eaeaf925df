"""Rate limit, token budget and reservation: the meters that both stores count alike, and which of them refuses a turn.

A meter counts in fixed windows. A reservation counts in full at once; settling gives back what was not used. One that is
never settled counts as a reply in progress until its lease ends, and its tokens stay counted. A refused reservation counts
as a request, unless the rate itself refused it.

Clocks: a count that a fast clock wrote never blocks for long. Of two windows of one meter the later one stays while it
begins at most CLOCK_STEP_S from now, so a clock that steps back and forth gives nobody anything. What was used in a window
that begins later is counted in the current one and ends with it. Replicas' clocks must agree within CLOCK_STEP_S.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hfchat.errors import BudgetExceeded, LimitReached, RateLimitExceeded, TooManyStreams
from hfchat.limits import Limit, window_end, window_start
from hfchat.types import Caller, Policy

REQUESTS, TOKENS = "requests", "tokens"
# How long a reservation outlives its lease: after an outage of the store, settling is late.
LAPSED_RETENTION_S = 86_400
# How far a clock may step back: NTP sets a clock right at once by up to some minutes after a pause of the machine.
CLOCK_STEP_S = 300
# A lease (60 s) or an idempotent answer (a day) that ends later than this from now was written by a clock that ran ahead.
MAX_LEASE_S = 2 * CLOCK_STEP_S
MAX_ANSWER_S = 86_400 + CLOCK_STEP_S


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit of `name`, requests or tokens, in each `window`; `amount` is what one turn takes of it."""

    name: str
    window: str
    limit: int
    amount: int = 0

    @property
    def key(self) -> str:
        """Unique among the meters of one person."""
        return f"{self.name}/{self.window}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose usage is counted. The same subject at two issuers is two people."""

    issuer: str
    subject: str

    @staticmethod
    def of(caller: Caller) -> "Principal":
        """The principal of this caller."""
        return Principal(caller.issuer, caller.subject)

    @property
    def key(self) -> str:
        """Issuer and subject in one text: neither can have a control character."""
        return f"{self.issuer}\x1f{self.subject}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """The most that a turn may use. `streams` is the limit of the person's replies in progress, this one included.

    `limits` are those of the person that `meters` and `streams` were made of, as the store keeps them.
    """

    id: str
    principal: Principal
    token_id: str
    meters: tuple[Meter, ...]
    streams: int | None
    prompt_tokens: int
    completion_tokens: int
    limits: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """What is counted: for each meter of the query, the start of its window and what is used in it.

    `refused` is the index of the first meter that refuses, `len(used)` where the replies in progress do. `held` are tokens
    of replies in progress, counted in full; it is read only after a refusal. `limits` are those of the person now: where they
    are not the reservation's, nothing was counted.
    """

    used: tuple[tuple[int, int], ...]
    streams: int
    revoked: bool = False
    refused: int | None = None
    held: int = 0
    limits: str = ""


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """All that a person ever used. `held_tokens` are reserved by replies in progress, in full, and in no other sum."""

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
    """The state of an idempotency key: another request with it is `running`, it had an `other` body, or it has an answer.

    None of these: the key is this request's now.
    """

    running: bool = False
    other: bool = False
    answer: bytes | None = field(default=None, repr=False)


def meters_of(policy: Policy, tokens: int = 0, *, requests: int = 1) -> tuple[Meter, ...]:
    """The meters of a caller with this policy, for a turn that may use so many tokens."""
    return (
        *(Meter(REQUESTS, limit.window, limit.amount, requests) for limit in policy.rate),
        *(Meter(TOKENS, limit.window, limit.amount, tokens) for limit in policy.budget),
    )


def window_count(meter: Meter, start: int | None, used: int, now: float) -> tuple[int, int]:
    """The start and use of a meter's window: the stored one, or a new window where the stored one has ended.

    A stored window that begins too far in the future is counted as the current one.
    """
    current = window_start(meter.window, now)
    if start is None or start < current:
        return current, 0
    return (start if start <= now + CLOCK_STEP_S else current), used


def first_refusal(reservation: Reservation, used: Sequence[tuple[int, int]], streams: int) -> int | None:
    """The index of the first meter that the reservation exceeds; None where it fits."""
    for index, (meter, (_, count)) in enumerate(zip(reservation.meters, used, strict=True)):
        if count + meter.amount > meter.limit:
            return index
    return len(used) if reservation.streams is not None and streams >= reservation.streams else None


def after_refusal(
    reservation: Reservation, used: Sequence[tuple[int, int]], refused: int
) -> tuple[tuple[int, int], ...]:
    """What is used after the meter at index `refused` said no: one request more, unless the rate itself refused.

    It is written in both cases: else a count from a clock that ran ahead would be carried into every later window.
    """
    if refused < len(reservation.meters) and reservation.meters[refused].name == REQUESTS:
        return tuple(used)
    return tuple(
        (start, count + meter.amount if meter.name == REQUESTS else count)
        for meter, (start, count) in zip(reservation.meters, used, strict=True)
    )


def refusal(reservation: Reservation, counters: Counters, refused: int, now: float) -> LimitReached:
    """The error for a reservation that the meter at index `refused` refuses, with the time until its window ends."""
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
