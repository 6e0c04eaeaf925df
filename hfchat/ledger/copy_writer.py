"""Copy writer: writes the state of the store into the bucket, for all who wait at once, one file after the other.

A file is named by its number, never overwritten, and the last acknowledged one is never deleted. So a write that fails, or that
takes effect late or twice, changes nothing that was acknowledged.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from hfchat.errors import StoreUnavailable
from hfchat.ledger.bucket import Bucket
from hfchat.ledger.copy_files import pack_state, state_name
from hfchat.ledger.high_water_marks import Key, Marks, Want
from hfchat.ledger.sqlite_store import SqliteStore

# Between the beginnings of two writes. A write is two requests of the Hub's API, which allows 1,000 in five minutes.
WRITE_EVERY_S = 1.5

CHANGES_KEPT = 1000


class CopyWriter:
    """Writes the states of one epoch. `marks` are in force as far as they are acknowledged."""

    def __init__(
        self, local: SqliteStore, bucket: Bucket, *, clock: Callable[[], float], every_s: float = WRITE_EVERY_S
    ) -> None:
        self.marks = Marks()
        # Files of changes that were made: none is made twice where its file appears again.
        self.changes: list[str] = []
        # The state that was acknowledged last.
        self.acknowledged: str | None = None
        self._local = local
        self._bucket = bucket
        self._clock = clock
        self._every_s = every_s
        self._epoch = ""
        self._sequence = 0
        self._began = 0.0
        self._wants: dict[Key, Want] = {}
        self._round: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    async def begin(self, epoch: str) -> None:
        """Write the first state of this epoch: what the store has. Raises: StoreUnavailable."""
        if epoch != self._epoch:
            self._epoch, self._sequence = epoch, 0
        await self._write({})

    async def persist(self, wants: Mapping[Key, Want] | None = None) -> None:
        """Return once what the store has now, and these marks, are acknowledged. Raises: StoreUnavailable."""
        await asyncio.shield(self._next(wants or {}))

    def persist_ahead(self, wants: Mapping[Key, Want]) -> None:
        """Write these marks soon, if there are any; nobody waits for it."""
        if wants and not self._stopped:
            self._next(wants)

    async def close(self) -> None:
        """Write the last state of this epoch: exact counts. Raises: StoreUnavailable."""
        await self.stop()
        await self._write({}, closed=True)

    async def stop(self) -> None:
        """Stop writing; who waits gets StoreUnavailable."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._round is not None:
            self._round.set_exception(StoreUnavailable())
            self._round = None

    def _next(self, wants: Mapping[Key, Want]) -> "asyncio.Future[None]":
        """The outcome of the next write that has not begun."""
        if self._stopped:
            raise StoreUnavailable
        self._wants |= wants
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
            self._round.add_done_callback(lambda done: done.exception())  # else asyncio logs that nobody waited
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return self._round

    async def _work(self) -> None:
        while self._round is not None:
            await asyncio.sleep(max(self._began + self._every_s - time.monotonic(), 0))
            waiting, self._round = self._round, None
            wants, self._wants = self._wants, {}
            try:
                await self._write(wants)
                waiting.set_result(None)
            except StoreUnavailable as failure:
                waiting.set_exception(failure)
            finally:
                if not waiting.done():
                    waiting.set_exception(StoreUnavailable())

    async def _write(self, wants: Mapping[Key, Want], *, closed: bool = False) -> None:
        self._began = time.monotonic()
        self.marks.snapshot()
        snapshot = await self._local.snapshot(now=self._clock())
        state = snapshot.state
        marks = self.marks.begin(state.meters, snapshot.held, wants)
        if not closed:
            rows = [(person, meter, start, used) for (person, meter), (start, used) in marks.items()]
            state = replace(state, meters=rows)
        state = replace(state, changes=self.changes[-CHANGES_KEPT:])
        content = await asyncio.to_thread(pack_state, state)
        self._sequence += 1
        name = state_name(self._epoch, self._sequence, closed=closed)
        await self._bucket.write(name, content)
        self.marks.end(marks)
        self.acknowledged = name
