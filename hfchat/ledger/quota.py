"""Quota: what a caller may still use of rate, budget and concurrent replies, as response headers and the page show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from hfchat.ledger.meters import TOKENS, Counters, Reservation, seconds_left
from hfchat.limits import Limit
from hfchat.types import Policy, Usage


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of one limit. `window` and `reset_s` are None for concurrent replies, which no time gives back."""

    limit: int
    remaining: int
    reset_s: int | None = None
    window: str | None = None


class Quota:
    """What a caller may still use, computed on access from the counters of `meters_of(policy)`.

    Of several limits it is the one with the least left; None where there is no limit.
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
        """Concurrent replies."""
        limit = self._policy.streams
        return None if limit is None else Remaining(limit, max(limit - self._counters.streams, 0))

    def settled(self, reservation: Reservation, usage: Usage) -> "Quota":
        """What is left once the reservation that these counters include is settled."""
        unused = reservation.prompt_tokens + reservation.completion_tokens - usage.total_tokens
        used = tuple(
            (start, count - unused if meter.name == TOKENS else count)
            for meter, (start, count) in zip(reservation.meters, self._counters.used, strict=True)
        )
        return Quota(self._policy, Counters(used, max(self._counters.streams - 1, 0)), self._now)

    def _least(self, limits: Sequence[Limit], counts: Sequence[tuple[int, int]]) -> Remaining | None:
        remaining = [
            Remaining(limit.amount, max(limit.amount - used, 0), seconds_left(limit, start, self._now), limit.window)
            for limit, (start, used) in zip(limits, counts, strict=True)
        ]
        return min(remaining, key=lambda limit: limit.remaining, default=None)
