"""The turns in progress: what each has taken of its person's account, and how each is ended from outside.

While there are any, their leases are renewed, and a token that is taken back, by whichever worker, ends its turns.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hfchat.chat.token_count import Tally, prompt_at_most
from hfchat.errors import ExpiredToken, HfchatError, RevokedToken, StoreUnavailable
from hfchat.ledger.ledger import LEASE_S, NOTHING, Accounts, Told
from hfchat.ledger.store import Reservation, Standing
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
    """One turn: reserve before it, settle after it. `told` hears what is left whenever that changes."""

    def __init__(self, accounts: Accounts, caller: Caller, told: Told, turns: "Turns") -> None:
        self.caller = caller
        self._turns = turns
        self.reserved: Reservation | None = None
        self._accounts = accounts
        self._told = told
        self._standing: Standing | None = None
        self._tally: Tally | None = None
        self._model = ""
        # Asked once: asking costs a system call.
        self._consumer = asyncio.current_task()
        self._over = False
        self._error: type[HfchatError] | None = None
        self._waits = False

    async def reserve(self, call: Call) -> None:
        """Take what the call may cost at most. Raises: what `Accounts.reserve` does; the error that ends the turn."""
        self._tally, self._model = Tally(call), call.model
        self.reserved = await self._unless_ended(lambda: self._reserve(call))

    async def _reserve(self, call: Call) -> Reservation:
        if self._turns.late():
            # After an outage of the store, the turns in progress have their places again before any is given away.
            await self._turns.renew()
        most = Usage(prompt_at_most(call.messages, call.options), call.max_tokens * call.replies)
        return await self._accounts.reserve(self.caller, most, self._tell)

    async def next_of(self, parts: AsyncGenerator[Part, None]) -> Part | None:
        """The next part, counted, or None after the last; at the end of the reply it is settled, and has its usage.

        Raises: the error that ends the turn from outside, as soon as it does, also while the provider is silent.
        """
        tally = self._tally
        if tally is not None and tally.over:
            # A provider that does not hold to `max_tokens` would go on beyond what is reserved.
            part: Part | None = Finish(self._model, "length", cut=True)
        else:
            part = await self._unless_ended(lambda: anext(parts, None))
        if part is None or tally is None:
            return part
        tally.add(part)
        if isinstance(part, Finish):
            part.usage = tally.usage()
            # Before the caller hears of the end: what they ask next finds it counted.
            await self.settle(standing=self._standing)
        return part

    async def settle(self, failure: BaseException | None = None, standing: Standing | None = None) -> None:
        """Charge what came, once, and give back the rest; with the `standing` from before, it need not be waited for.

        A failure before the first delta costs nothing. A caller who leaves before it, or whose token ends, pays for the
        prompt: the provider may have it.
        """
        reserved, self.reserved = self.reserved, None
        if reserved is None or self._tally is None:
            return
        left_by_themself = not isinstance(failure, Exception) or isinstance(failure, ExpiredToken | RevokedToken)
        costs = self._tally.began or left_by_themself
        usage = self._tally.usage() if costs else NOTHING
        await self._accounts.settle(self.caller, reserved, usage, self._told, standing)

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

    def _tell(self, standing: Standing) -> None:
        self._standing = standing
        self._told(standing)

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

    def __init__(self, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._clock = clock
        self._turns: set[Turn] = set()
        self._watching: asyncio.Task[None] | None = None
        self._renewed = 0.0

    @contextmanager
    def begin(self, caller: Caller, told: Told) -> Iterator[Turn]:
        """A turn, in progress until the block ends. It ends with its caller's token, at the latest."""
        turn = Turn(self._accounts, caller, told, self)
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
        reserved = [turn.reserved for turn in self._turns if turn.reserved]
        if reserved:
            await self._accounts.renew(reserved)
        self._renewed = now

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if not self._turns:
                return
            try:
                revoked = await self._accounts.revoked({turn.caller.token_id for turn in self._turns})
                for turn in self._turns:
                    if turn.caller.token_id in revoked:
                        turn.end(RevokedToken)
                if asyncio.get_running_loop().time() - self._renewed > LEASE_S / 3:
                    await self.renew()
            except StoreUnavailable:
                pass  # what is in progress goes on, and nothing new begins
            except Exception as crash:
                log_crash(logger, crash)
