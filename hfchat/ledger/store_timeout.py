"""Store timeout: every call is answered in time or raises StoreUnavailable, and an outage of the store is logged once."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from hfchat.errors import StoreUnavailable
from hfchat.logs import log_crash, log_event

logger = logging.getLogger(__name__)

T = TypeVar("T")
# A request is answered within 2 s. A store that is locked or gone raises sooner by itself.
STORE_TIMEOUT_S = 1.5
# Reports are read for the owner, not in a caller's request.
REPORT_TIMEOUT_S = 60.0
MAX_BUSY_S = 10.0
STEP_S = 0.1


class StoreTimeout:
    """Awaits answers of one store, and remembers whether it is available, for reads and for writes."""

    def __init__(self, timeout_s: float = STORE_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        # By `reads`: when the store last answered, and whether the last call failed.
        self._answered_at = {True: 0.0, False: 0.0}
        self._down: set[bool] = set()

    async def wait(self, answer: Awaitable[T], *, reads: bool = False, timeout_s: float = 0) -> T:
        """The result. Raises: StoreUnavailable where it is late or fails; CancelledError only where this task is cancelled.

        The answer is awaited as a future of its own: a client that swallows a cancellation, as `asyncio.wait_for` of Python
        3.11 may, then delays nobody, and an answer at the last moment counts.
        """
        loop = asyncio.get_running_loop()
        future = asyncio.ensure_future(answer)
        began, waited_s, in_time = loop.time(), 0.0, False
        try:
            # Steps are counted, not seconds: a process that gets no processor time does not time out. And while the store
            # answers other calls it is only busy.
            while not future.done() and waited_s < (timeout_s or self._timeout_s):
                step_began = loop.time()
                await _done_within(STEP_S, future, loop)
                busy = self._answered_at[reads] > step_began and step_began - began < MAX_BUSY_S
                waited_s = 0.0 if busy else waited_s + STEP_S
            # Before `cancel`: a plain future, unlike a task, is done as soon as it is cancelled.
            in_time = future.done() and not future.cancelled()
        finally:
            if not in_time:
                future.cancel()
                future.add_done_callback(_retrieve_exception)
        if not in_time:
            self._note_down(reads, TimeoutError())
            raise StoreUnavailable from TimeoutError()
        try:
            result = future.result()
        except StoreUnavailable as failure:
            self.note_failure(failure, reads=reads)
            raise
        except Exception as crash:
            self.note_failure(crash, reads=reads)
            raise StoreUnavailable from crash
        self._answered_at[reads] = loop.time()
        if self._down:
            self._note_up(reads)
        return result

    def note_failure(self, failure: BaseException, *, reads: bool = False) -> None:
        """Log the first failure of an outage."""
        if isinstance(failure, StoreUnavailable):
            self._note_down(reads, failure.__cause__)
            return
        if not self._down:
            log_crash(logger, failure)
        self._down.add(reads)

    def _note_down(self, reads: bool, cause: BaseException | None) -> None:
        if not self._down:
            kind = type(cause).__name__ if cause else None
            log_event(logger, logging.ERROR, "store_unavailable", cause=kind, says=str(cause or ""))
        self._down.add(reads)

    def _note_up(self, reads: bool) -> None:
        self._down.discard(reads)
        if not self._down:
            log_event(logger, logging.WARNING, "store_is_back")


async def _done_within(seconds: float, future: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop) -> None:
    """As `asyncio.wait` of one task, in a third of its time."""
    wakeup = loop.create_future()

    def wake(_: object = None) -> None:
        if not wakeup.done():
            wakeup.set_result(None)

    timer = loop.call_later(seconds, wake)
    future.add_done_callback(wake)
    try:
        await wakeup
    finally:
        timer.cancel()
        future.remove_done_callback(wake)


def _retrieve_exception(future: "asyncio.Future[Any]") -> None:
    # Else asyncio logs that nobody did; the failure was raised as StoreUnavailable already.
    if not future.cancelled():
        future.exception()
