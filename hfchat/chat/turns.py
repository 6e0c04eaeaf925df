"""The turns in progress: what each has taken of its person's account, and how each is ended from outside.

While there are any, their leases are renewed, and a token that is taken back, by whichever worker, ends its turns.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hfchat.chat.token_count import UsageCounter, max_prompt_tokens
from hfchat.errors import ExpiredToken, HfchatError, RevokedToken, StoreUnavailable
from hfchat.http.in_thread import in_thread
from hfchat.ledger.ledger import LEASE_S, NOTHING, Ledger, OnQuota
from hfchat.ledger.store import Quota, Reservation
from hfchat.logs import log_crash
from hfchat.types import Call, Caller, Finish, Part, Usage

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How often revocations are looked up. A reply whose token is taken back stops within two seconds, with a busy store too.
WATCH_S = 0.5
# How long a turn that was ended may take to say so.
CUT_S = 1.0
LONGEST_TURN_S = 86_400.0


class Turn:
    """One turn: reserve before it, settle after it. `on_quota` hears what is left whenever that changes."""

    def __init__(self, ledger: Ledger, caller: Caller, on_quota: OnQuota, turns: "Turns") -> None:
        self.caller = caller
        self._turns = turns
        self.reservation: Reservation | None = None
        # Whether it ever had one: the limits hold for what follows, and for nothing before it.
        self.reserved = False
        self._ledger = ledger
        self._on_quota = on_quota
        self._quota: Quota | None = None
        self._usage_counter: UsageCounter | None = None
        self._model = ""
        # Asked once: asking costs a system call.
        self._consumer = asyncio.current_task()
        self._over = False
        self._error: type[HfchatError] | None = None
        self._waits = False

    async def reserve(self, call: Call) -> None:
        """Take what the call may cost at most. Raises: what `Ledger.reserve` does; the error that ends the turn."""
        self._usage_counter, self._model = UsageCounter(call), call.model
        self.reservation = await self._unless_ended(lambda: self._reserve(call))
        self.reserved = True

    async def _reserve(self, call: Call) -> Reservation:
        if self._turns.late():
            # After an outage of the store, the turns in progress have their places again before any is given away.
            await self._turns.renew()
        size = max(call.body_bytes, sum(len(message.content) for message in call.messages))
        prompt_tokens = await in_thread(size, max_prompt_tokens, call.messages, call.options)
        most = Usage(prompt_tokens, call.max_tokens * call.replies)
        return await self._ledger.reserve(self.caller, most, self._set_quota)

    async def next_of(self, parts: AsyncGenerator[Part, None]) -> Part | None:
        """The next part, counted, or None after the last; at the end of the reply it is settled, and has its usage.

        Raises: the error that ends the turn from outside, as soon as it does, also while the provider is silent.
        """
        usage_counter = self._usage_counter
        if usage_counter is not None and usage_counter.over:
            # A provider that does not hold to `max_tokens` would go on beyond what is reserved.
            part: Part | None = Finish(self._model, "length", truncated=True)
        else:
            part = await self._unless_ended(lambda: anext(parts, None))
        if part is None or usage_counter is None:
            return part
        usage_counter.add(part)
        if isinstance(part, Finish):
            part.usage = usage_counter.usage()
            # Before the caller hears of the end: what they ask next finds it counted.
            await self.settle(quota=self._quota)
        return part

    async def settle(self, failure: BaseException | None = None, quota: Quota | None = None) -> None:
        """Charge what came, once, and give back the rest; with the `quota` from before, it need not be waited for.

        A failure before the first delta costs nothing. A caller who leaves before it, or whose token ends, pays for the
        prompt: the provider may have it.
        """
        reservation, self.reservation = self.reservation, None
        if reservation is None or self._usage_counter is None:
            return
        left_by_themself = not isinstance(failure, Exception) or isinstance(failure, ExpiredToken | RevokedToken)
        costs = self._usage_counter.began or left_by_themself
        usage = self._usage_counter.usage() if costs else NOTHING
        await self._ledger.settle(self.caller, reservation, usage, self._on_quota, quota)

    def end(self, error: type[HfchatError]) -> None:
        """Raise this error where the turn waits, or where it next would. Called in the event loop.

        Where it waits for a reader who does not read, it is cut off.
        """
        if self._error is not None:
            return
        self._error = error
        asyncio.get_running_loop().call_later(CUT_S, self._cut)
        if self._waits and self._consumer is not None:
            self._consumer.cancel()

    def ended(self) -> type[HfchatError] | None:
        """The error that ended it from outside."""
        return self._error

    def over(self) -> None:
        """It is no turn any more."""
        self._over = True

    def _set_quota(self, quota: Quota) -> None:
        self._quota = quota
        self._on_quota(quota)

    def _cut(self) -> None:
        if not self._over and not self._waits and self._consumer is not None:
            self._consumer.cancel()

    async def _unless_ended(self, begin: Callable[[], Awaitable[T]]) -> T:
        """The result of what `begin` gives. Raises: the error that ends the turn from outside, as soon as it does."""
        if (ended := self.ended()) is not None:
            raise ended
        self._waits = True
        try:
            return await begin()
        except asyncio.CancelledError:
            # As `asyncio.timeout` does: where the task is cancelled by others too, that goes first.
            ended = self.ended()
            if ended is None or self._consumer is None or self._consumer.uncancel():
                raise
            raise ended from None
        finally:
            self._waits = False


class Turns:
    """All turns in progress in this process."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._turns: set[Turn] = set()
        self._watching: asyncio.Task[None] | None = None
        self._renewed = 0.0

    @contextmanager
    def begin(self, caller: Caller, on_quota: OnQuota) -> Iterator[Turn]:
        """A turn, in progress until the block ends. It ends with its caller's token, at the latest."""
        turn = Turn(self._ledger, caller, on_quota, self)
        left_s = min(max(caller.expires_at - self._clock(), 0), LONGEST_TURN_S)
        expiry = asyncio.get_running_loop().call_later(left_s, turn.end, ExpiredToken)
        self._turns.add(turn)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            yield turn
        finally:
            expiry.cancel()
            turn.over()
            self._turns.discard(turn)

    def end_all(self, error: type[HfchatError]) -> None:
        """End every turn with this error, at once. Called in the event loop."""
        for turn in self._turns:
            turn.end(error)

    async def close(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    def late(self) -> bool:
        """Whether the leases of the turns in progress may soon end."""
        return asyncio.get_running_loop().time() - self._renewed > LEASE_S * 2 / 3

    async def renew(self) -> None:
        """Keep the places of the turns in progress. Raises: StoreUnavailable."""
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
                for turn in self._turns:
                    if turn.caller.token_id in revoked:
                        turn.end(RevokedToken)
                if asyncio.get_running_loop().time() - self._renewed > LEASE_S / 3:
                    await self.renew()
            except StoreUnavailable:
                pass  # what is in progress goes on, and nothing new begins
            except Exception as crash:
                log_crash(logger, crash)
