"""Early refusal, before a body is read: of a used-up rate or budget, and of a body that the budget has no room for.

A turn reserves in one round trip to the ledger, after its body is read. Only callers who were refused just now, or who
announce a large body, cost a second round trip before it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from hfchat.chat.token_count import MAX_TOKENS_PER_PICTURE, max_prompt_tokens
from hfchat.errors import BudgetExceeded, LimitReached, RateLimitExceeded
from hfchat.ledger.meters import Principal
from hfchat.ledger.quota import Quota, Remaining
from hfchat.types import Caller

# Reading and parsing so much takes about 1 ms, not much more than the round trip.
SMALL_BODY_BYTES = 64 * 1024
# The longest words that are counted as one token. A character that JSON writes in six bytes (`\u00e9`) is one or more.
MAX_JSON_BYTES_PER_TOKEN = 16
_MIN_TURN_TOKENS = max_prompt_tokens(()) + 1
_MAX_REFUSED = 10_000


class RecentRefusals:
    """Callers who reached a limit, until it may have changed. It refuses nobody: their quota is read first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._until: OrderedDict[Principal, float] = OrderedDict()
        self._clock = clock

    def note(self, caller: Caller, refusal: LimitReached) -> None:
        """Note a refusal of this caller."""
        principal = Principal.of(caller)
        self._until[principal] = self._clock() + (refusal.retry_after_s or 1)
        self._until.move_to_end(principal)
        if len(self._until) > _MAX_REFUSED:
            self._until.popitem(last=False)

    def __contains__(self, caller: Caller) -> bool:
        if not self._until:
            return False
        principal = Principal.of(caller)
        until = self._until.get(principal)
        if until is not None and until <= self._clock():
            del self._until[principal]
            return False
        return until is not None


def refuse_used_up(quota: Quota) -> None:
    """Raises: RateLimitExceeded, BudgetExceeded where no turn, however small, can be reserved. TooManyStreams is never raised
    here: a turn may wait for a place.
    """
    if (rate := quota.rate) is not None and rate.remaining < 1:
        raise RateLimitExceeded("rate_used", params=_params(rate), retry_after_s=rate.reset_s)
    if (budget := quota.budget) is not None and budget.remaining < _MIN_TURN_TOKENS:
        reason = "budget_short" if budget.remaining else "budget_used"
        params = {**_params(budget), "needed": _MIN_TURN_TOKENS}
        raise BudgetExceeded(reason, params=params, retry_after_s=budget.reset_s)


def refuse_too_large(quota: Quota, body_bytes: int, *, pictures: bool) -> None:
    """Raises: BudgetExceeded for a body whose text, in any encoding, takes more tokens than the budget has left.

    `pictures`: whether the body may have some. Their bytes are not counted, so a budget with room for one sets no bound.
    """
    budget = quota.budget
    if budget is None or (pictures and budget.remaining >= MAX_TOKENS_PER_PICTURE):
        return
    tokens = (body_bytes - SMALL_BODY_BYTES) // MAX_JSON_BYTES_PER_TOKEN
    if tokens > budget.remaining:
        reason = "budget_never" if tokens > budget.limit else "budget_short"
        raise BudgetExceeded(reason, params={**_params(budget), "needed": tokens}, retry_after_s=budget.reset_s)


def is_small(body_bytes: int | None) -> bool:
    """Whether a body of this announced size costs less to read than an early check."""
    return body_bytes is not None and body_bytes <= SMALL_BODY_BYTES


def _params(remaining: Remaining) -> dict[str, int | str]:
    return {
        "limit": remaining.limit,
        "window": remaining.window or "",
        "reset_s": remaining.reset_s or 0,
        "left": remaining.remaining,
    }
