"""Graceful shutdown: replies in progress finish, nothing new begins."""

import asyncio
from collections.abc import Callable


class Drain:
    """Whether the server is about to stop: replies in progress go on, nothing new begins, idle streams end."""

    def __init__(self, last_call: Callable[[], None] = lambda: None, *, after_s: float = 27.0) -> None:
        self.began = False
        self._last_call = last_call
        self._after_s = after_s
        self._idle: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """Start draining; `last_call` follows `after_s` seconds later, in time for last words. Called in the event loop."""
        self.began = True
        asyncio.get_running_loop().call_later(self._after_s, self._last_call)
        for idle in self._idle:
            if not idle.expired():
                idle.reschedule(asyncio.get_running_loop().time())

    def watch(self, idle: asyncio.Timeout) -> None:
        """End this stream when draining begins."""
        self._idle.add(idle)

    def forget(self, idle: asyncio.Timeout) -> None:
        """The stream has ended."""
        self._idle.discard(idle)
