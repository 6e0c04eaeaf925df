"""Queue for a person's concurrent replies (streams): first come, first served, for as long as a caller has patience.

The limit itself is checked in ledger/meters.py. Each person waits for their own replies only, so that nobody's queue delays
another person. A place is the right to one more reply in progress.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from hfchat.errors import BudgetExceeded, HfchatError, TooManyStreams

T = TypeVar("T")

# How often the first of a queue checks whether another process has freed a place. In this process it is noticed at once.
POLL_S = 0.5
# Waiting calls hold memory and a connection each: any more of one person are refused at once.
WAITING_PER_STREAM = 4


class StreamQueue:
    """Who waits for a place, by person. Used in one event loop."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[asyncio.Event]] = {}

    def freed(self, person: str) -> None:
        """A reply of this person has ended: the first who waits looks for a place."""
        if queue := self._queues.get(person):
            queue[0].set()

    async def take(
        self, person: str, streams: int | None, deadline: float, attempt: Callable[[bool], Awaitable[T]]
    ) -> T:
        """The result of `attempt(again)`, tried until there is a place, or until `deadline` of the event loop's clock.

        `again` is whether an attempt of this call was refused before: the rate has counted it. Raises: what `attempt` raises.
        """
        loop, again = asyncio.get_running_loop(), False

        async def taken() -> tuple[T] | None:
            nonlocal again
            try:
                return (await attempt(again),)
            except (TooManyStreams, BudgetExceeded) as error:
                if not waits_for_a_place(error) or loop.time() >= deadline:
                    raise
                again = True
                return None

        if person not in self._queues and (result := await taken()):
            return result[0]
        queue = self._queues.setdefault(person, deque())
        if len(queue) >= WAITING_PER_STREAM * (streams or 1):
            return await attempt(again)
        freed = asyncio.Event()
        queue.append(freed)
        try:
            while True:
                left_s = deadline - loop.time()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, POLL_S) if queue[0] is freed else left_s):
                        await freed.wait()
                freed.clear()
                if result := await taken():
                    return result[0]
        finally:
            queue.remove(freed)
            if queue:
                queue[0].set()
            else:
                del self._queues[person]


def waits_for_a_place(error: HfchatError) -> bool:
    """Whether the end of another reply of the same person may help: it frees a place, and the tokens that it has reserved."""
    return isinstance(error, TooManyStreams) or error.reason == "budget_held"
