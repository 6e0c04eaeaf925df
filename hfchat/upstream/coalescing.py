"""Coalescing: under load, passes each reply on in fewer and larger chunks, so that time to first token stays low."""

import time
from collections.abc import Callable

# Chunks a second, of all replies together, from which on they are coalesced: a good part of what one core can pass on.
BUSY_CHUNKS_PER_S = 4000
# The time between two chunks of a coalesced reply: 20 a second still read as a steady flow.
STEP_S = 0.05
WINDOW_S = 0.25


class Coalescer:
    """Measures the chunks of all replies of one process. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._chunks = self._events = 0
        self._busy = False

    def delay_s(self, events: int, passed_at: float) -> tuple[float, float]:
        """How long to wait before the next chunk of a reply is read, and the time now, to pass in as `passed_at` next time.

        This chunk has so many `events`; the one before it was passed on at `passed_at`. A slow reply is never delayed, nor are
        a few fast ones.
        """
        now = self._clock()
        self._chunks += 1
        self._events += events
        if (passed_s := now - self._since) >= WINDOW_S:
            # Coalescing lowers the number of chunks, but not of events.
            self._busy = (self._events if self._busy else self._chunks) > BUSY_CHUNKS_PER_S * passed_s
            self._since, self._chunks, self._events = now, 0, 0
        return (STEP_S if self._busy and now - passed_at < 2 * STEP_S else 0.0), now
