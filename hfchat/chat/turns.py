"""Turns in progress: the reservation and the usage of each, and how one is ended from outside: by revocation, expiry or
shutdown. A caller's own stop is in api/streaming.py and page/respond.py.

While there are any, their leases are renewed, and it is checked whether their tokens are revoked or their people blocked, which
another process may write.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hfchat.chat.stream_queue import StreamQueue
from hfchat.chat.token_count import UsageCounter, max_prompt_tokens
from hfchat.errors import ExpiredToken, HfchatError, RevokedToken, StoreUnavailable
from hfchat.http.in_thread import in_thread
from hfchat.ledger.ledger import LEASE_S, NOTHING, Ledger, OnQuota, blocked_error
from hfchat.ledger.meters import Principal, Reservation
from hfchat.ledger.quota import Quota
from hfchat.logs import log_crash
from hfchat.types import LONGEST_TURN_S, Call, Caller, Finish, Part, Usage

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The interval of the check for revocation and blocks: such a reply ends within 2 s, with a busy store too.
WATCH_S = 0.5
# How long an ended turn may take to send its error.
CUT_S = 1.0


class Turn:
    """One turn: reserve before it, settle after it. `on_quota` gets the quota whenever it changes."""

    def __init__(self, ledger: Ledger, caller: Caller, on_quota: OnQuota, turns: "Turns") -> None:
        self.caller = caller
        self._person = Principal.of(caller).key
        self._turns = turns
        self.reservation: Reservation | None = None
        # Whether it ever had one: the limits hold for what follows, and for nothing before it.
        self.reserved = False
        self._ledger = ledger
        self._on_quota = on_quota
        self._quota: Quota | None = None
        self._usage_counter: UsageCounter | None = None
        self._model = ""
        # Once: `current_task` costs a system call.
        self._consumer = asyncio.current_task()
        self._closed = False
        self._error: HfchatError | type[HfchatError] | None = None
        self._waiting = False

    async def reserve(self, call: Call, deadline: float = 0.0) -> None:
        """Reserve the most that the call may cost. Where only a place is missing, wait for one, until `deadline` of the event
        loop's clock.

        Raises: what `Ledger.reserve` raises; the error that ends the turn.
        """
        self._usage_counter, self._model = UsageCounter(call), call.model
        self.reservation = await self._unless_ended(lambda: self._reserve(call, deadline))
        self.reserved = True

    async def _reserve(self, call: Call, deadline: float) -> Reservation:
        if self._turns.leases_late():
            # After an outage of the store, the turns in progress have their leases again before a new one is made.
            await self._turns.renew()
        size = max(call.body_bytes, sum(len(message.content) for message in call.messages))
        prompt_tokens = await in_thread(size, max_prompt_tokens, call.messages, call.options)
        max_usage = Usage(prompt_tokens, call.max_tokens * call.replies)
        quota: Quota | None = None

        def keep(current: Quota) -> None:
            nonlocal quota
            quota = current

        async def attempt(counted: bool) -> Reservation:
            return await self._ledger.reserve(self.caller, max_usage, keep, counted=counted)

        try:
            return await self._turns.queue.take(self._person, self.caller.policy.streams, deadline, attempt)
        finally:
            if quota is not None:
                self._set_quota(quota)

    async def next_part(self, parts: AsyncGenerator[Part, None]) -> Part | None:
        """The next part, counted, or None after the last. A Finish gets its usage, and the turn is settled first.

        Raises: the error that ends the turn from outside, at once, also while the provider is silent.
        """
        usage_counter = self._usage_counter
        if usage_counter is not None and usage_counter.limit_exceeded:
            # A provider that ignores `max_tokens` would exceed the reservation.
            part: Part | None = Finish(self._model, "length", truncated=True)
        else:
            part = await self._unless_ended(lambda: anext(parts, None))
        if part is None or usage_counter is None:
            return part
        usage_counter.add(part)
        if isinstance(part, Finish):
            part.usage = usage_counter.usage()
            # Before the caller gets the end, so that their next request finds it counted.
            await self.settle(quota=self._quota)
        return part

    async def settle(self, failure: BaseException | None = None, quota: Quota | None = None) -> None:
        """Charge the usage, once, and give back the rest; with the `quota` of the reservation, without a wait.

        A failure before the first delta costs nothing. A caller who leaves before it, or whose token ends, pays for the
        prompt: the provider may have processed it.
        """
        reservation, self.reservation = self.reservation, None
        if reservation is None or self._usage_counter is None:
            return
        caller_left = not isinstance(failure, Exception) or isinstance(failure, ExpiredToken | RevokedToken)
        usage = self._usage_counter.usage() if self._usage_counter.began or caller_left else NOTHING
        try:
            await self._ledger.settle(self.caller, reservation, usage, self._on_quota, quota)
        finally:
            self._turns.queue.freed(self._person)

    def end(self, error: HfchatError | type[HfchatError]) -> None:
        """Raise this error where the turn waits, or at its next wait. Called in the event loop.

        A turn that is blocked by its reader is cancelled after CUT_S.
        """
        if self._error is not None:
            return
        self._error = error
        asyncio.get_running_loop().call_later(CUT_S, self._cut)
        if self._waiting and self._consumer is not None:
            self._consumer.cancel()

    def ended(self) -> HfchatError | type[HfchatError] | None:
        """The error that ended it from outside, if any."""
        return self._error

    def close(self) -> None:
        """Mark it as no longer in progress."""
        self._closed = True

    def _set_quota(self, quota: Quota) -> None:
        self._quota = quota
        self._on_quota(quota)

    def _cut(self) -> None:
        if not self._closed and not self._waiting and self._consumer is not None:
            self._consumer.cancel()

    async def _unless_ended(self, start: Callable[[], Awaitable[T]]) -> T:
        """The awaited result of `start()`. Raises: the error that ends the turn from outside, at once."""
        if (ended := self.ended()) is not None:
            raise ended
        self._waiting = True
        try:
            return await start()
        except asyncio.CancelledError:
            # As `asyncio.timeout` does: a cancellation by others takes precedence.
            ended = self.ended()
            if ended is None or self._consumer is None or self._consumer.uncancel():
                raise
            raise ended from None
        finally:
            self._waiting = False


class Turns:
    """All turns in progress in this process."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self.queue = StreamQueue()
        self._turns: set[Turn] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._renewed = 0.0

    @contextmanager
    def begin(self, caller: Caller, on_quota: OnQuota) -> Iterator[Turn]:
        """A turn, in progress until the block ends; it is ended at `replies_end_at` of its caller."""
        turn = Turn(self._ledger, caller, on_quota, self)
        remaining_s = min(max(caller.replies_end_at - self._clock(), 0), LONGEST_TURN_S)
        expiry = asyncio.get_running_loop().call_later(remaining_s, turn.end, ExpiredToken)
        self._turns.add(turn)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            yield turn
        finally:
            expiry.cancel()
            turn.close()
            self._turns.discard(turn)

    def end_all(self, error: type[HfchatError]) -> None:
        """End every turn with this error. Called in the event loop."""
        for turn in self._turns:
            turn.end(error)

    async def close(self) -> None:
        """Stop the watcher."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})

    def leases_late(self) -> bool:
        """Whether leases of turns in progress may end soon."""
        return asyncio.get_running_loop().time() - self._renewed > LEASE_S * 2 / 3

    async def renew(self) -> None:
        """Renew the leases of the turns in progress. Raises: StoreUnavailable."""
        now = asyncio.get_running_loop().time()
        reservations = [turn.reservation for turn in self._turns if turn.reservation]
        if reservations:
            await self._ledger.renew(reservations)
        self._renewed = now

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if not self._turns:
                return
            try:
                revoked = await self._ledger.revoked({turn.caller.token_id for turn in self._turns})
                blocked = await self._ledger.people.blocked({turn.caller.subject for turn in self._turns})
                for turn in self._turns:
                    if turn.caller.token_id in revoked:
                        turn.end(RevokedToken)
                    elif turn.caller.subject in blocked:
                        turn.end(blocked_error(turn.caller))
                if asyncio.get_running_loop().time() - self._renewed > LEASE_S / 3:
                    await self.renew()
            except StoreUnavailable:
                pass  # turns in progress go on; new ones are refused
            except Exception as crash:
                log_crash(logger, crash)
