"""Where many replies come at once, each is passed on in larger steps: nobody sees it, and whoever begins is not kept waiting."""

import time
from collections.abc import Callable

# So many pieces a second, of all replies together, are a crowd: a good part of what one core passes on one by one.
CROWD_PER_S = 4000
# In a crowd a reply is passed on every so often, as fast as the pictures of an old film follow each other.
STEP_S = 0.05
WINDOW_S = 0.25


class Crowd:
    """All replies of one process. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._pieces = self._events = 0
        self._crowded = False

    def pause_s(self, events: int, passed_at: float) -> tuple[float, float]:
        """How long a reply is to wait before more of it is read, and when this piece of it was passed on: now.

        The piece has so many `events`; the one before it was passed on at `passed_at`. A reply that comes slowly never
        waits, nor a few that come fast.
        """
        now = self._clock()
        self._pieces += 1
        self._events += events
        if (passed_s := now - self._since) >= WINDOW_S:
            # In a crowd the pieces are fewer, and the events stay as many.
            self._crowded = (self._events if self._crowded else self._pieces) > CROWD_PER_S * passed_s
            self._since, self._pieces, self._events = now, 0, 0
        return (STEP_S if self._crowded and now - passed_at < 2 * STEP_S else 0.0), now
