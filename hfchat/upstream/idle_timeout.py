"""A limit on how long a reader waits for what comes next, with one timer for a whole reply: one for each piece costs more."""

import asyncio
from collections.abc import Callable
from typing import Self


class Silence:
    """Calls `too_long` after `limit_s` seconds of it. Used as a context.

    Only between `begins` and `ends` is it waited for: the time that a slow caller takes is not the provider's.
    """

    def __init__(self, limit_s: float, too_long: Callable[[], None]) -> None:
        self._too_long = too_long
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._waits = False
        self._timer = self._loop.call_later(limit_s, self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def begins(self) -> None:
        """Something is waited for from now on."""
        self._since = self._loop.time()
        self._waits = True

    def ends(self) -> None:
        """It is there."""
        self._waits = False

    def limit(self, limit_s: float) -> None:
        """From now on, no longer than this."""
        self._limit_s = limit_s
        self._timer.cancel()
        self._timer = self._loop.call_later(limit_s, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        left_s = self._since + self._limit_s - now if self._waits else self._limit_s
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._too_long()
