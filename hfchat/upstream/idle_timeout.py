"""Idle timeout: limits each wait for the next chunk, with one timer for a whole reply; a timer for each chunk costs more."""

import asyncio
from collections.abc import Callable
from typing import Self


class IdleTimeout:
    """Calls `on_timeout` after a wait of `limit_s` seconds. Used as a context.

    Only the time between `start` and `stop` counts: a slow reader is not the provider's fault.
    """

    def __init__(self, limit_s: float, on_timeout: Callable[[], None]) -> None:
        self._on_timeout = on_timeout
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._running = False
        self._timer = self._loop.call_later(limit_s, self._check)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def start(self) -> None:
        """A wait begins."""
        self._started_at = self._loop.time()
        self._running = True

    def stop(self) -> None:
        """The wait is over."""
        self._running = False

    def limit(self, limit_s: float) -> None:
        """Set another limit."""
        self._limit_s = limit_s
        self._timer.cancel()
        self._timer = self._loop.call_later(limit_s, self._check)

    def _check(self) -> None:
        now = self._loop.time()
        left_s = self._started_at + self._limit_s - now if self._running else self._limit_s
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._check)
        else:
            self._on_timeout()
