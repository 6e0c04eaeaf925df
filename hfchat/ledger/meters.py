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
