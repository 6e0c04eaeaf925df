"""Copied store: the SQLite store on a disk that forgets, with a copy in a bucket from which every start continues exactly.

What a person may use is persisted ahead of use (high_water_marks.py, copy_writer.py). A revocation and a person's limits are
persisted before they are confirmed. Where the copy cannot be read or written, the answer is no. One program at a time uses a copy
(copy_claim.py).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from hfchat.errors import StoreUnavailable
from hfchat.ledger.bucket import Bucket, tried, unavailable
from hfchat.ledger.copy_claim import LEASE_S, Claim, changes_in
from hfchat.ledger.copy_files import all_closed, read_change, read_state, superseded
from hfchat.ledger.copy_writer import WRITE_EVERY_S, CopyWriter
from hfchat.ledger.meters import Counters, Meter, Principal, Reservation, UsageTotals
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import window_end, window_start
from hfchat.logs import log_crash, log_event

logger = logging.getLogger(__name__)

# A call may wait for a write that has begun, and for the next one, each about 1 s.
COPY_TIMEOUT_S = 10.0
# Listings of the bucket in LEASE_S: two may fail, and a program that takes over is found in time to hand over.
CHECKS_IN_A_LEASE = 3
# A caller waits no longer for the next listing.
CHECK_WAIT_S = 1.0
MAX_RETRY_S = 30.0


class CopiedStore:
    """The store `local`, with its copy in `bucket`. `open` it; until the copy is read, every call raises StoreUnavailable."""

    in_order = True

    def __init__(
        self,
        local: SqliteStore,
        bucket: Bucket,
        *,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
        write_every_s: float = WRITE_EVERY_S,
    ) -> None:
        self._local = local
        self._bucket = bucket
        self._clock = clock
        self._lease_s = lease_s
        self._write_every_s = write_every_s
        self._claim, self._writer = self._new_claim()
        self._opened, self._closing = False, False
        # Nothing is granted before: the minute in which a program may have been killed has to be over.
        self._opens_at = 0.0
        self._failure = unavailable("it is not read yet")
        self._running: asyncio.Task[None] | None = None
        self._check: asyncio.Task[None] | None = None
        # A reservation may be settled at any time. Idempotency keys and sign-ins are not copied: a restart loses them. Names are.
        self.settle, self.renew = local.settle, local.renew
        self.begin_once, self.renew_once, self.end_once = local.begin_once, local.renew_once, local.end_once
        self.store_answer, self.store_record = local.store_answer, local.store_record
        self.read_record, self.delete_record = local.read_record, local.delete_record

    @property
    def is_open(self) -> bool:
        """Whether the copy is read."""
        return self._opened

    async def open(self) -> None:
        """Begin to read the copy."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Counters:
        """Count all of it or nothing, and wait until the copy has it."""
        await self._enter(now)
        counters = await self._local.reserve(reservation, now=now, lease_ends=lease_ends)
        # What was counted after the last state was read is not in it.
        self._raise_closed()
        if counters.refused is not None or counters.revoked or counters.limits != reservation.limits:
            return counters
        person, used = reservation.principal.key, tuple(zip(reservation.meters, counters.used, strict=True))
        marks = self._writer.marks
        granted, wants = marks.grant(person, used), marks.wants(person, used)
        if granted:
            self._writer.persist_ahead(wants)
            return counters
        await self._writer.persist(wants)
        await self._enter(now)
        if not marks.cover(person, used):
            raise unavailable("the window of a limit ended while its use was written")
        return counters

    async def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Counters:
        """What is used of these meters. Who is seen for the first time in a window gets a mark, before they need it."""
        await self._enter(now)
        counters = await self._local.quota(principal, token_id, meters, now=now)
        if not counters.revoked:
            used = tuple(zip(meters, counters.used, strict=True))
            self._writer.persist_ahead(self._writer.marks.wants(principal.key, used))
        return counters

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse the token from now on."""
        await self._enter(now)
        await self._local.revoke(token_id, now=now, until=until)
        await self._writer.persist()

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those of the tokens that are revoked."""
        await self._enter(now)
        return await self._local.revoked(token_ids, now=now)

    async def limits(self, subjects: Collection[str]) -> dict[str, str]:
        """The limits of those who have some."""
        await self._enter(self._clock())
        return await self._local.limits(subjects)

    async def set_limits(self, subject: str, before: str, after: str) -> bool:
        """Set them where they are still the same."""
        await self._enter(self._clock())
        done = await self._local.set_limits(subject, before, after)
        if done:
            await self._writer.persist()
        return done

    async def reset(self, subject: str) -> None:
        """Forget what is used."""
        await self._enter(self._clock())
        await self._local.reset(subject)
        await self._writer.persist()

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """The totals, sorted by name."""
        await self._enter(now)
        return await self._local.totals(subject, now=now)

    async def close(self) -> None:
        """Write exact counts, then close the file."""
        self._closing = True
        for task in (self._running, self._check):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, StoreUnavailable):
                    await task
        try:
            if not self._claim.lost:
                await self._close_copy()
        finally:
            await self._local.close()

    def _new_claim(self) -> tuple[Claim, CopyWriter]:
        writer = CopyWriter(self._local, self._bucket, clock=self._clock, every_s=self._write_every_s)
        return Claim(self._bucket, lease_s=self._lease_s), writer

    async def _enter(self, now: float) -> None:
        """Raises: StoreUnavailable, unless this program alone may grant."""
        self._raise_closed()
        if now < self._opens_at:
            raise unavailable("the program before was killed; nothing is granted until the minute is over")
        if not self._claim.held:
            await self._check_claim()
            self._raise_closed()

    def _raise_closed(self) -> None:
        self._claim.raise_lost()
        if self._closing:
            raise unavailable("hfchat is about to stop")
        if not self._opened:
            raise StoreUnavailable from self._failure.__cause__

    async def _run(self) -> None:
        try:
            await self._look_after()
        except Exception as crash:
            log_crash(logger, crash)  # else nobody would know why it stays closed

    async def _look_after(self) -> None:
        """Open the copy and list it again and again; hand it over to who takes over, and open it again after them."""
        while True:
            await self._open_patiently()
            while not self._claim.lost:
                await asyncio.sleep(self._lease_s / CHECKS_IN_A_LEASE)
                with suppress(StoreUnavailable):
                    await self._check_claim()
            log_event(logger, logging.ERROR, "store_copy_lost", says="another program has taken over the copy")
            with suppress(StoreUnavailable):
                await self._close_copy()
            await self._wait_for_the_other()
            self._opened = False
            self._claim, self._writer = self._new_claim()

    async def _open_patiently(self) -> None:
        pause_s = self._lease_s / 20
        while not self._opened and not self._claim.lost:
            try:
                await self._open()
            except StoreUnavailable as failure:
                self._note(failure)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_RETRY_S)

    async def _wait_for_the_other(self) -> None:
        closed = False
        while not closed:
            await asyncio.sleep(self._lease_s / CHECKS_IN_A_LEASE)
            with suppress(StoreUnavailable):
                closed = all_closed(await self._bucket.names())

    async def _open(self) -> None:
        pause_s = self._lease_s / 20
        if not await tried(self._bucket.private, pause_s=pause_s):
            raise unavailable("its bucket is public, and what is in it names people: make the bucket private")
        state, killed = await self._claim.take()
        if state is not None:
            copy = read_state(await tried(lambda: self._bucket.read(state), pause_s=pause_s))
            await self._local.restore(copy)
            self._writer.changes = copy.changes
        changes = await self._apply_changes(await tried(self._claim.check, pause_s=pause_s))
        await tried(lambda: self._writer.begin(self._claim.epoch), pause_s=pause_s)
        names = await tried(self._claim.check, pause_s=pause_s)
        self._claim.confirm()
        await self._tidy(changes, names)
        if killed:
            self._opens_at = window_end("minute", window_start("minute", self._clock()))
        self._opened = True
        log_event(logger, logging.INFO, "store_copy_open", killed=killed or None)

    async def _check_claim(self) -> None:
        """Look into the bucket, once for all who wait for it. Raises: StoreUnavailable."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._look())
            self._check.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait({self._check}, timeout=CHECK_WAIT_S)
        if not self._claim.held:
            self._claim.raise_lost()
            raise unavailable(f"its bucket was not listed for {self._lease_s:g} s")

    async def _look(self) -> None:
        names = await self._claim.check()
        changes = await self._apply_changes(names)
        if changes:
            await self._writer.persist()
        self._claim.confirm()
        await self._tidy(changes, names)

    async def _apply_changes(self, names: list[str]) -> list[str]:
        """Do what commands want; the names of their files, which may be deleted once the copy has it."""
        changes = changes_in(names)
        for name in changes:
            if name in self._writer.changes:
                continue
            await self._local.apply(read_change(await self._bucket.read(name)))
            self._writer.changes.append(name)
        return changes

    async def _tidy(self, changes: list[str], names: list[str]) -> None:
        state = self._writer.acknowledged
        needless = [*changes, *(superseded(names, state) if state else [])]
        if needless:
            with suppress(StoreUnavailable):  # the next one does it
                await self._bucket.delete(needless)

    async def _close_copy(self) -> None:
        """Write exact counts, for the next program."""
        await self._writer.stop()
        if self._opened:
            await tried(self._writer.close, pause_s=0, tries=2)  # whoever stops it does not wait for long

    def _note(self, failure: StoreUnavailable) -> None:
        if str(failure.__cause__) != str(self._failure.__cause__):
            log_event(logger, logging.ERROR, "store_copy_closed", says=str(failure.__cause__ or ""))
        self._failure = failure
