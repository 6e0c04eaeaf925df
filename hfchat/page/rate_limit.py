"""Rate limit of the page, in memory: how many steps each person's pages may ask for, and how many connections they hold open.
The rate limit of turns is in ledger/meters.py.

A turn has limits in the ledger. Everything else that a page asks for costs nothing there, and work here all the same.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hfchat.errors import RateLimitExceeded, TooManyStreams

# A page asks for 7 steps when it opens and for 9 in each turn. Gradio takes 1 ms at most for so many bytes, or JSON values,
# and a step that has more counts as several.
STEPS_A_SECOND = 40.0
BURST_STEPS = 400.0
BYTES_A_STEP = 32 * 1024
VALUES_A_STEP = 250
# A tab has one during a turn.
MAX_CONNECTIONS = 100
MAX_PEOPLE = 10_000


class PageRateLimit:
    """A token bucket and a count of connections for each person. Used in one event loop."""

    def __init__(
        self,
        *,
        steps_a_second: float = STEPS_A_SECOND,
        burst: float = BURST_STEPS,
        max_connections: int = MAX_CONNECTIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps_a_second = steps_a_second
        self._burst = burst
        self._max_connections = max_connections
        self._clock = clock
        # How many steps are left, and when that was so. Whoever is not here has all.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._open: Counter[str] = Counter()

    def check(self, person: str) -> None:
        """Raises: RateLimitExceeded where this person has no step left."""
        left = self._left_of(person)
        if left < 1:
            wait_s = math.ceil((1 - left) / self._steps_a_second)
            raise RateLimitExceeded("page_steps_used", params={"reset_s": wait_s}, retry_after_s=wait_s)

    def take(self, person: str, steps: float) -> None:
        """Count these steps; what is left may be less than nothing then."""
        self._left[person] = (self._left_of(person) - steps, self._clock())
        self._left.move_to_end(person)
        if len(self._left) > MAX_PEOPLE:
            self._left.popitem(last=False)

    @contextmanager
    def connected(self, person: str) -> Iterator[None]:
        """While one more connection of this person is open. Raises: TooManyStreams where that is one too many."""
        if self._open[person] >= self._max_connections:
            raise TooManyStreams("connections_used", params={"value": self._max_connections})
        self._open[person] += 1
        try:
            yield
        finally:
            self._open[person] -= 1
            if not self._open[person]:
                del self._open[person]

    def _left_of(self, person: str) -> float:
        known = self._left.get(person)
        if known is None:
            return self._burst
        left, then = known
        return min(left + (self._clock() - then) * self._steps_a_second, self._burst)
