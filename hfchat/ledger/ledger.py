"""Ledger: reserve, settle and revoke, for the rest of the program. A limit that is reached becomes an error to raise.

Fails closed: without an answer of the store nothing is reserved. A settlement that fails is retried until the store is back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from hfchat.errors import RevokedToken, StoreUnavailable
from hfchat.ids import random_id
from hfchat.ledger.meters import Counters, OnceState, Principal, Reservation, UsageTotals, meters_of, refusal
from hfchat.ledger.people import People
from hfchat.ledger.person_limits import limited, read_person_limits
from hfchat.ledger.quota import Quota
from hfchat.ledger.store import Store
from hfchat.ledger.store_timeout import REPORT_TIMEOUT_S, STORE_TIMEOUT_S, StoreTimeout
from hfchat.logs import log_event
from hfchat.types import Caller, Policy, Usage

logger = logging.getLogger(__name__)

OnQuota = Callable[[Quota], None]
LEASE_S = 60.0
RETRY_S = 1.0
MAX_UNSETTLED = 10_000
SETTLING_BATCH = 64
LAST_SETTLING_S = 3.0
# People whose own limits are remembered between two calls. For anyone else, the store is asked once more.
MAX_KNOWN_LIMITS = 10_000
NOTHING = Usage(0, 0)


class Ledger:
    """The usage of all principals, in one store. Used in one event loop; `close` it."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.time, timeout_s: float = STORE_TIMEOUT_S
    ) -> None:
        self._store = store
        self._clock = clock
        self._timeout = StoreTimeout(timeout_s)
        self._unsettled: dict[str, tuple[Reservation, Usage]] = {}
        self._settling: set[asyncio.Future[Any]] = set()
        self._retrying: asyncio.Task[None] | None = None
        # By subject, as they were last read. The store compares them in each transaction, so an old one is never used.
        self._known_limits: dict[str, str] = {}
        self.people = People(store, clock, self._timeout)

    async def quota(self, caller: Caller) -> Quota:
        """What the caller may still use. Raises: RevokedToken, also for a person who is blocked; StoreUnavailable."""
        limits = self._known_limits.get(caller.subject, "")
        while True:
            now, policy = self._clock(), _policy(caller, limits)
            counters = await self._timeout.wait(
                self._store.quota(Principal.of(caller), caller.token_id, meters_of(policy), now=now), reads=True
            )
            if self._hold(caller, limits, counters):
                return Quota(policy, counters, now)
            limits = counters.limits

    async def reserve(
        self, caller: Caller, max_usage: Usage, on_quota: OnQuota, *, counted: bool = False
    ) -> Reservation:
        """Reserve `max_usage`, the most that a call may cost; `on_quota` gets the quota afterwards, also of a refusal.
        `counted`: the rate has this request already, from an attempt that was refused.

        Raises: RevokedToken, also for a person who is blocked, RateLimitExceeded, BudgetExceeded, TooManyStreams,
        StoreUnavailable; then nothing is reserved.
        """
        limits = self._known_limits.get(caller.subject, "")
        while True:
            now, policy = self._clock(), _policy(caller, limits)
            reservation = Reservation(
                id=random_id(96),
                principal=Principal.of(caller),
                token_id=caller.token_id,
                meters=meters_of(
                    policy, max_usage.prompt_tokens + max_usage.completion_tokens, requests=0 if counted else 1
                ),
                streams=policy.streams,
                prompt_tokens=max_usage.prompt_tokens,
                completion_tokens=max_usage.completion_tokens,
                limits=limits,
            )
            try:
                counters = await self._timeout.wait(self._store.reserve(reservation, now=now, lease_ends=now + LEASE_S))
            except (StoreUnavailable, asyncio.CancelledError):
                # The store may have reserved all the same: it is given back.
                self._settle_later(reservation, NOTHING)
                raise
            if self._hold(caller, limits, counters):
                break
            limits = counters.limits
        on_quota(Quota(policy, counters, now))
        if counters.refused is not None:
            raise refusal(reservation, counters, counters.refused, now)
        return reservation

    async def settle(
        self, caller: Caller, reservation: Reservation, usage: Usage, on_quota: OnQuota, quota: Quota | None = None
    ) -> None:
        """Charge what was used and give back the rest; `on_quota` gets the quota afterwards, where it is known.

        With the `quota` of the reservation, and a store that works `in_order`, it returns at once. Never fails, and goes on
        where the waiting task is cancelled: settling twice counts once.
        """
        now = self._clock()
        if not self._store.in_order:
            quota = None
        settling = asyncio.ensure_future(self._store.settle(reservation, usage, now=now, read_counters=quota is None))
        self._settling.add(settling)
        if quota is not None:
            settling.add_done_callback(partial(self._settled, reservation, usage))
            on_quota(quota.settled(reservation, usage))
            return
        try:
            counters = await self._timeout.wait(settling)
        except StoreUnavailable:
            self._settle_later(reservation, usage)
        except asyncio.CancelledError:
            self._settle_later(reservation, usage)
            raise
        else:
            if counters is not None:
                on_quota(Quota(_policy(caller, reservation.limits), counters, now))
        finally:
            self._settling.discard(settling)

    async def renew(self, reservations: Sequence[Reservation]) -> None:
        """Extend these reservations by a lease. Raises: StoreUnavailable."""
        now = self._clock()
        ids = [reservation.id for reservation in reservations]
        await self._timeout.wait(self._store.renew(ids, now=now, lease_ends=now + LEASE_S))

    async def revoke(self, token_id: str, until: float, *, subject: str | None = None) -> None:
        """Refuse this token from now on. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.revoke(token_id, now=self._clock(), until=until))
        log_event(logger, logging.INFO, "token_revoked", subject=subject, jti=token_id)

    async def revoked(self, token_ids: Collection[str]) -> set[str]:
        """Those of the tokens that are revoked. Raises: StoreUnavailable."""
        return await self._timeout.wait(self._store.revoked(token_ids, now=self._clock()), reads=True)

    async def begin_once(self, name: str, body: str, owner: str, *, until: float) -> OnceState:
        """Take an idempotency key, or return its state. Raises: StoreUnavailable."""
        return await self._timeout.wait(self._store.begin_once(name, body, owner, now=self._clock(), until=until))

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Extend the hold of an idempotency key. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.renew_once(name, owner, until=until))

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Store the answer under an idempotency key. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.store_answer(name, owner, answer, until=until))

    async def end_once(self, name: str, owner: str) -> None:
        """Free an idempotency key. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.end_once(name, owner))

    async def store_record(self, name: str, content: bytes, *, until: float) -> None:
        """Store a record under this name, in place of what is there; a secret comes sealed. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.store_record(name, content, now=self._clock(), until=until))

    async def read_record(self, name: str) -> bytes | None:
        """What is stored under this name and has not ended. Raises: StoreUnavailable."""
        return await self._timeout.wait(self._store.read_record(name, now=self._clock()), reads=True)

    async def delete_record(self, name: str) -> None:
        """Delete what is stored under this name. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.delete_record(name))

    async def totals(self, subject: str | None = None) -> list[UsageTotals]:
        """The totals of everybody, or of one subject. Raises: StoreUnavailable."""
        totals = self._store.totals(subject, now=self._clock())
        return await self._timeout.wait(totals, reads=True, timeout_s=REPORT_TIMEOUT_S)

    async def healthy(self) -> bool:
        """Whether the store answers."""
        try:
            await self.revoked(["-"])
        except StoreUnavailable:
            return False
        return True

    async def open(self) -> None:
        """Let the store begin what takes long, before the first call needs it. Raises: StoreUnavailable."""
        await self._timeout.wait(self._store.open(), reads=True, timeout_s=REPORT_TIMEOUT_S)

    async def close(self) -> None:
        """Wait up to LAST_SETTLING_S for settlements, then close the store."""
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

    def _hold(self, caller: Caller, limits: str, counters: Counters) -> bool:
        """Whether these limits of the person still hold, so that the counters are of their meters.

        Raises: RevokedToken; StoreUnavailable for limits that are unreadable.
        """
        if counters.revoked:
            raise _revoked(caller)
        if counters.limits == limits:
            return True
        if read_person_limits(counters.limits).blocked:
            # Not remembered, so that the store is asked again.
            raise blocked_error(caller)
        self._known_limits.pop(caller.subject, None)
        if counters.limits:
            self._known_limits[caller.subject] = counters.limits
            if len(self._known_limits) > MAX_KNOWN_LIMITS:
                del self._known_limits[next(iter(self._known_limits))]
        return False

    def _settled(self, reservation: Reservation, usage: Usage, settling: "asyncio.Future[Any]") -> None:
        self._settling.discard(settling)
        failure = None if settling.cancelled() else settling.exception()
        if failure is not None:
            self._timeout.note_failure(failure)
        if settling.cancelled() or failure is not None:
            self._settle_later(reservation, usage)

    def _settle_later(self, reservation: Reservation, usage: Usage) -> None:
        unsettled = self._unsettled
        if len(unsettled) >= MAX_UNSETTLED:
            # Real usage goes before reservations that may never have been made.
            unused = next((id_ for id_, (_, usage_) in unsettled.items() if usage_ is NOTHING), None)
            if usage is NOTHING or unused is None:
                log_event(logger, logging.ERROR, "not_settled", subject=reservation.principal.subject)
                return
            del unsettled[unused]
        unsettled[reservation.id] = (reservation, usage)
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._retry())

    async def _retry(self) -> None:
        while self._unsettled:
            batch = dict(islice(self._unsettled.items(), SETTLING_BATCH))
            settling = [
                self._store.settle(reservation, usage, now=self._clock(), read_counters=False)
                for reservation, usage in batch.values()
            ]
            results = await asyncio.gather(*map(self._timeout.wait, settling), return_exceptions=True)
            failed = [isinstance(result, BaseException) for result in results]
            for reservation_id, retry in zip(batch, failed, strict=True):
                settlement = self._unsettled.pop(reservation_id, None)
                if retry and settlement is not None:
                    self._unsettled[reservation_id] = settlement  # behind the others, which may succeed
            if any(failed):
                await asyncio.sleep(RETRY_S)


def blocked_error(caller: Caller) -> RevokedToken:
    """The error for a caller whose person is blocked: no token of theirs is good any more."""
    return _revoked(caller, "token_person_blocked")


def _policy(caller: Caller, limits: str) -> Policy:
    if not limits:
        return caller.policy
    policy = limited(caller.policy, read_person_limits(limits))
    # A budget protects the owner's credit: who pays for themself has none.
    return replace(policy, budget=()) if caller.own_credit else policy


def _revoked(caller: Caller, reason: str = "") -> RevokedToken:
    error = RevokedToken(reason)
    error.subject, error.token_id = caller.subject, caller.token_id
    return error
