"""Idempotency, requests in flight: the calls with a key that run or wait in this process. Those that wait are woken: by the end
of the first, where that runs here; where another process runs it, by one poller for all of them.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hfchat.errors import StoreUnavailable, TooManyStreams
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import OnceState, Principal
from hfchat.logs import log_crash
from hfchat.types import Caller

logger = logging.getLogger(__name__)

# A poll costs the ledger a write. The first comes soon, as most replies end within seconds.
POLL_S = 0.2
MAX_POLL_S = 1.0
# Of one person whose replies at once have no limit.
MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class RunKey:
    """The names that one call has in the ledger: of its key, and of its key and body."""

    name: str
    body: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the ledger says of a call. Where it is claimed now, `owner` runs it, and calls `Runs.ended` in any case."""

    state: OnceState
    owner: str

    @property
    def waits(self) -> bool:
        """Whether another try of the same is running."""
        return self.state.running and not self.state.other

    @property
    def runs(self) -> bool:
        """Whether whoever has this is to run the call."""
        return not self.state.running and not self.state.other and self.state.answer is None


@dataclass(slots=True)
class _Run:
    waiters: dict["asyncio.Future[Claimed]", None] = field(default_factory=dict)
    here: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    polling: asyncio.Task[None] | None = None


class Runs:
    """One for all doors. Used in one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._runs: dict[RunKey, _Run] = {}
        self._waiting: Counter[str] = Counter()

    async def begin_once(
        self, key: RunKey, caller: Caller, until: Callable[[], float], left: Callable[[], Awaitable[None]]
    ) -> Claimed | None:
        """What the ledger says once no other try is running; None where the caller leaves before, which `left` waits for.

        `until` says how long a claim that is made now holds.
        Raises: StoreUnavailable; TooManyStreams where as many calls of this person wait as may have replies in progress.
        """
        if key not in self._runs:
            claimed = await self._ask(key, until())
            if not claimed.waits:
                if claimed.runs:
                    self._runs.setdefault(key, _Run()).here = True
                return claimed
        person, most = Principal.of(caller).key, caller.policy.streams or MAX_WAITING
        if self._waiting[person] >= most:
            raise TooManyStreams("waiting_used")
        self._waiting[person] += 1
        try:
            return await self._wait(key, until, left)
        finally:
            self._waiting[person] -= 1
            if not self._waiting[person]:
                del self._waiting[person]

    def ended(self, key: RunKey, answer: bytes | None) -> None:
        """The run in this process has ended, with this sealed answer or, where another try is to run, with none."""
        run = self._runs.get(key)
        if run is None:
            return
        run.here = False
        if answer is not None:
            _tell_all(run, Claimed(OnceState(answer=answer), ""))
        run.ended.set()
        self._forget(key, run)

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return self._waiting.total()

    async def _ask(self, key: RunKey, until: float) -> Claimed:
        owner = secrets.token_hex(8)
        return Claimed(await self._ledger.begin_once(key.name, key.body, owner, until=until), owner)

    async def _wait(
        self, key: RunKey, until: Callable[[], float], left: Callable[[], Awaitable[None]]
    ) -> Claimed | None:
        run = self._runs.setdefault(key, _Run())
        waiter: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
        run.waiters[waiter] = None
        if run.polling is None:
            run.polling = asyncio.create_task(self._poll(key, run, until))
        leaving = asyncio.ensure_future(left())
        ends: set[asyncio.Future[Any]] = {waiter, leaving}
        taken = False
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            # Who is to run it and has left does so, and ends it at once.
            taken = waiter.done()
            return waiter.result() if taken else None
        finally:
            run.waiters.pop(waiter, None)
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
            if not taken and waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                await self._give_back(key, run, waiter.result())
            waiter.cancel()
            self._forget(key, run)

    async def _poll(self, key: RunKey, run: _Run, until: Callable[[], float]) -> None:
        """Ask the ledger for all who wait, when the run here has ended, and now and then while another process has it."""
        pause_s = POLL_S
        try:
            while run.waiters:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if run.here else pause_s):
                        await run.ended.wait()
                run.ended.clear()
                if run.here or not run.waiters:
                    continue
                pause_s = min(pause_s * 1.5, MAX_POLL_S)
                claimed = await self._ask(key, until())
                if claimed.waits:
                    continue
                if claimed.runs:
                    await self._hand_over(key, run, claimed)
                else:
                    _tell_all(run, claimed)
        except Exception as failure:  # in a task nobody would see it
            if not isinstance(failure, StoreUnavailable):
                log_crash(logger, failure)
            for waiter in run.waiters:
                if not waiter.done():
                    unavailable = StoreUnavailable()
                    unavailable.__cause__ = failure
                    waiter.set_exception(unavailable)
        finally:
            run.polling = None
            self._forget(key, run)

    async def _hand_over(self, key: RunKey, run: _Run, claimed: Claimed) -> None:
        """Let the one who has waited longest run it."""
        waiter = next((waiter for waiter in run.waiters if not waiter.done()), None)
        if waiter is None:
            await self._give_back(key, run, claimed)
            return
        run.here = True
        waiter.set_result(claimed)
        run.waiters.pop(waiter)

    async def _give_back(self, key: RunKey, run: _Run, claimed: Claimed) -> None:
        if claimed.runs:
            with suppress(StoreUnavailable):
                await self._ledger.end_once(key.name, claimed.owner)
            run.here = False
            run.ended.set()

    def _forget(self, key: RunKey, run: _Run) -> None:
        if not run.here and not run.waiters and self._runs.get(key) is run:
            del self._runs[key]


def _tell_all(run: _Run, claimed: Claimed) -> None:
    for waiter in run.waiters:
        if not waiter.done():
            waiter.set_result(claimed)
    run.waiters.clear()
