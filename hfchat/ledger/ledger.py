"""The ledger as the rest of the program uses it: limits become refusals, every answer comes in time, nothing is lost.

Where the store does not answer, the answer is no. What cannot be settled at once is settled when the store is back.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from hfchat.errors import RevokedToken, StoreUnavailable
from hfchat.ledger.meters import OnceState, Principal, Reservation, UsageTotals, meters_of, refusal
from hfchat.ledger.quota import Quota
from hfchat.ledger.store import Store
from hfchat.logs import log_crash, log_event
from hfchat.types import Caller, Usage

logger = logging.getLogger(__name__)

T = TypeVar("T")
OnQuota = Callable[[Quota], None]
# A request is answered within two seconds; a store that is locked or gone says so itself, and sooner.
STORE_TIMEOUT_S = 1.5
MAX_BUSY_S = 10.0
STEP_S = 0.1
# Everybody's account is not asked for in a request.
REPORT_TIMEOUT_S = 60.0
LEASE_S = 60.0
RETRY_S = 1.0
MAX_UNSETTLED = 10_000
SETTLED_AT_ONCE = 64
LAST_SETTLING_S = 3.0
NOTHING = Usage(0, 0)
# They have to be different, not secret; asking the system for each costs more than the rest of it.
_IDS = random.Random()
os.register_at_fork(after_in_child=_IDS.seed)


class Ledger:
    """Everybody's account in one ledger. Used in one event loop; `close` it."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.time, timeout_s: float = STORE_TIMEOUT_S
    ) -> None:
        self._store = store
        self._clock = clock
        self._timeout_s = timeout_s
        self._unsettled: dict[str, tuple[Reservation, Usage]] = {}
        self._settling: set[asyncio.Future[Any]] = set()
        self._retrying: asyncio.Task[None] | None = None
        # When it last answered, and whether it last failed: to be read, and to be written.
        self._answered = {True: 0.0, False: 0.0}
        self._down: set[bool] = set()

    async def quota(self, caller: Caller) -> Quota:
        """What the caller may still use. Raises: RevokedToken, StoreUnavailable."""
        now = self._clock()
        meters = meters_of(caller.policy)
        counters = await self._in_time(
            self._store.quota(Principal.of(caller), caller.token_id, meters, now=now), reads=True
        )
        if counters.revoked:
            raise _revoked(caller)
        return Quota(caller.policy, counters, now)

    async def reserve(self, caller: Caller, most: Usage, on_quota: OnQuota) -> Reservation:
        """Take `most`, what a call may cost at most; `on_quota` hears what is left then, also where it is refused.

        Raises: RevokedToken, RateLimitExceeded, BudgetExceeded, TooManyStreams, StoreUnavailable; nothing is taken then.
        """
        now = self._clock()
        reservation = Reservation(
            id=f"{_IDS.getrandbits(96):024x}",
            principal=Principal.of(caller),
            token_id=caller.token_id,
            meters=meters_of(caller.policy, most.prompt_tokens + most.completion_tokens),
            streams=caller.policy.streams,
            prompt_tokens=most.prompt_tokens,
            completion_tokens=most.completion_tokens,
        )
        try:
            counters = await self._in_time(self._store.reserve(reservation, now=now, lease_ends=now + LEASE_S))
        except (StoreUnavailable, asyncio.CancelledError):
            # It may have been taken all the same, and nobody will use it.
            self._settle_later(reservation, NOTHING)
            raise
        if counters.revoked:
            raise _revoked(caller)
        on_quota(Quota(caller.policy, counters, now))
        if counters.refused is not None:
            raise refusal(reservation, counters, counters.refused, now)
        return reservation

    async def settle(
        self, caller: Caller, reservation: Reservation, usage: Usage, on_quota: OnQuota, quota: Quota | None = None
    ) -> None:
        """Charge what was used and give back the rest; `on_quota` hears what is left then, where the store says it.

        With the `quota` that the reservation left, and a ledger that does things in order, nobody waits for it. Fails
        never, and goes on where whoever waits for it is cancelled: settling twice counts once.
        """
        now = self._clock()
        if not self._store.in_order:
            quota = None
        settling = asyncio.ensure_future(self._store.settle(reservation, usage, now=now, look=quota is None))
        self._settling.add(settling)
        if quota is not None:
            settling.add_done_callback(partial(self._settled, reservation, usage))
            on_quota(quota.settled(reservation, usage))
            return
        try:
            counters = await self._in_time(settling)
        except StoreUnavailable:
            self._settle_later(reservation, usage)
        except asyncio.CancelledError:
            self._settle_later(reservation, usage)
            raise
        else:
            if counters is not None:
                on_quota(Quota(caller.policy, counters, now))
        finally:
            self._settling.discard(settling)

    async def renew(self, reservations: Sequence[Reservation]) -> None:
        """Keep these reservations for another lease. Raises: StoreUnavailable."""
        now = self._clock()
        ids = [reservation.id for reservation in reservations]
        await self._in_time(self._store.renew(ids, now=now, lease_ends=now + LEASE_S))

    async def revoke(self, token_id: str, until: float, *, subject: str | None = None) -> None:
        """Refuse this token from now on, at every door. Raises: StoreUnavailable."""
        await self._in_time(self._store.revoke(token_id, now=self._clock(), until=until))
        log_event(logger, logging.INFO, "token_revoked", subject=subject, jti=token_id)

    async def revoked(self, token_ids: Collection[str]) -> set[str]:
        """Those of the tokens that are revoked. Raises: StoreUnavailable."""
        return await self._in_time(self._store.revoked(token_ids, now=self._clock()), reads=True)

    async def begin_once(self, name: str, body: str, owner: str, *, until: float) -> OnceState:
        """Claim an answer that is to be given once. Raises: StoreUnavailable."""
        return await self._in_time(self._store.begin_once(name, body, owner, now=self._clock(), until=until))

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Keep the claim. Raises: StoreUnavailable."""
        await self._in_time(self._store.renew_once(name, owner, until=until))

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Keep the answer. Raises: StoreUnavailable."""
        await self._in_time(self._store.store_answer(name, owner, answer, until=until))

    async def end_once(self, name: str, owner: str) -> None:
        """Give the claim up. Raises: StoreUnavailable."""
        await self._in_time(self._store.end_once(name, owner))

    async def totals(self, subject: str | None = None) -> list[UsageTotals]:
        """All accounts, or those of one subject. Raises: StoreUnavailable."""
        everybody = self._store.totals(subject, now=self._clock())
        return await self._in_time(everybody, reads=True, timeout_s=REPORT_TIMEOUT_S)

    async def healthy(self) -> bool:
        """Whether the store does."""
        try:
            await self.revoked(["-"])
        except StoreUnavailable:
            return False
        return True

    async def close(self) -> None:
        """Settle what can be, for a moment, and close the ledger."""
        if self._settling:
            await asyncio.wait(self._settling, timeout=LAST_SETTLING_S)
        if self._retrying is not None:
            await asyncio.wait({self._retrying}, timeout=LAST_SETTLING_S)
            self._retrying.cancel()
        if self._unsettled:
            log_event(logger, logging.ERROR, "not_settled", reservations=len(self._unsettled))
        try:
            await self._store.close()
        except StoreUnavailable:
            log_event(logger, logging.WARNING, "store_unavailable", cause="while closing")

    def _settled(self, reservation: Reservation, usage: Usage, settling: "asyncio.Future[Any]") -> None:
        self._settling.discard(settling)
        failure = None if settling.cancelled() else settling.exception()
        if failure is not None:
            self._note_failure(False, failure)
        if settling.cancelled() or failure is not None:
            self._settle_later(reservation, usage)

    def _settle_later(self, reservation: Reservation, usage: Usage) -> None:
        waiting = self._unsettled
        if len(waiting) >= MAX_UNSETTLED:
            # What was used goes before what may never have been taken.
            given_up = next((id_ for id_, (_, used) in waiting.items() if used is NOTHING), next(iter(waiting)))
            if usage is NOTHING or waiting[given_up][1] is not NOTHING:
                log_event(logger, logging.ERROR, "not_settled", subject=reservation.principal.subject)
                return
            del waiting[given_up]
        waiting[reservation.id] = (reservation, usage)
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._retry())

    async def _retry(self) -> None:
        while self._unsettled:
            some = dict(islice(self._unsettled.items(), SETTLED_AT_ONCE))
            settling = [
                self._store.settle(reservation, usage, now=self._clock(), look=False)
                for reservation, usage in some.values()
            ]
            ends = await asyncio.gather(*map(self._in_time, settling), return_exceptions=True)
            failed = [isinstance(end, BaseException) for end in ends]
            for reservation_id, again in zip(some, failed, strict=True):
                waiting = self._unsettled.pop(reservation_id, None)
                if again and waiting is not None:
                    self._unsettled[reservation_id] = waiting  # behind the others, which may not fail
            if any(failed):
                await asyncio.sleep(RETRY_S)

    async def _in_time(self, answer: Awaitable[T], *, reads: bool = False, timeout_s: float = 0) -> T:
        """The answer, or StoreUnavailable where it does not come in time, or fails in a way that nobody foresaw.

        It is a future of its own: a client underneath that swallows a cancellation, as `asyncio.wait_for` of Python 3.11 may,
        then delays nobody, and an answer that came at the last moment counts. CancelledError comes out of it only where
        whoever waits here is cancelled.
        """
        loop = asyncio.get_running_loop()
        future = asyncio.ensure_future(answer)
        began, waited_s, in_time = loop.time(), 0.0, False
        try:
            # In short steps: where this process itself gets no time, each takes longer and counts no more. And while the
            # store answers others, it is only busy.
            while not future.done() and waited_s < (timeout_s or self._timeout_s):
                since = loop.time()
                await _done_within(STEP_S, future, loop)
                busy = self._answered[reads] > since and since - began < MAX_BUSY_S
                waited_s = 0.0 if busy else waited_s + STEP_S
            # Decided before it is cancelled: a plain future, unlike a task, is done as soon as it is cancelled.
            in_time = future.done() and not future.cancelled()
        finally:
            if not in_time:
                future.cancel()
                future.add_done_callback(_heard)
        if not in_time:
            self._note_down(reads, TimeoutError())
            raise StoreUnavailable from TimeoutError()
        try:
            result = future.result()
        except StoreUnavailable as failure:
            self._note_failure(reads, failure)
            raise
        except Exception as crash:
            # Nor does anybody know whether it was done.
            self._note_failure(reads, crash)
            raise StoreUnavailable from crash
        self._answered[reads] = loop.time()
        if self._down:
            self._note_up(reads)
        return result

    def _note_failure(self, reads: bool, failure: BaseException) -> None:
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


async def _done_within(seconds: float, asking: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop) -> None:
    """As `asyncio.wait` of one task, in a third of its time."""
    over = loop.create_future()

    def end(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    timer = loop.call_later(seconds, end)
    asking.add_done_callback(end)
    try:
        await over
    finally:
        timer.cancel()
        asking.remove_done_callback(end)


def _heard(asking: "asyncio.Future[Any]") -> None:
    # What nobody waits for any more may fail without a word: it was said to be unavailable.
    if not asking.cancelled():
        asking.exception()


def _revoked(caller: Caller) -> RevokedToken:
    error = RevokedToken()
    error.subject, error.token_id = caller.subject, caller.token_id
    return error
