"""SQLite job queue: jobs run in order, the brief ones in the event loop, the rest in a thread.

A transaction that does not wait for the disk takes 0.1 ms, and a change of thread takes longer. What may block goes to the
thread: other processes, a slow disk, a retry after a failure. A job that fails there raises StoreUnavailable, and the file
is opened again for the next job.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from hfchat.errors import StoreUnavailable
from hfchat.ledger.sqlite_file import BUSY_S, SqliteFile

T = TypeVar("T")
# Measured on two cores with a file on a virtual disk: turns (a reservation and its settlement) of 1, 16 and 500 callers at once.
# Jobs in one transaction of the thread. Between 16 and 1,024 nothing differs by more than 2 %.
MAX_BATCH = 256
# Jobs in one step of the event loop. Of 500 callers, 8 cost 15 % of the turns a second, and 512 take half as long again.
MAX_BRIEF = 64
# The delay of a `can_wait` job, so that it shares a transaction with the next. Ten ms cost 20 % of the turns a second of 500
# callers; without it the slowest in a hundred of 16 callers' reservations take 0.8 ms, not 0.6 ms.
CAN_WAIT_S = 0.002
# Durability: a power cut loses no commit that is older. Two ms cost a third more processor time of 16 callers; 100 ms save 7 %.
UNSYNCED_S = 0.02
# After SLOW_ONES transactions in a row that take longer than SLOW_S, all go to the thread for LEFT_TO_THREAD_S. With 0.5 ms a
# burst of 500 callers goes there: it waits half as long again. With 10 ms nothing differs on a disk that is not slow.
SLOW_S = 0.002
SLOW_ONES = 5
# One transaction that takes longer than this has the same effect.
STUCK_S = 0.05
LEFT_TO_THREAD_S = 5.0
MAX_WAITING = 20_000


@dataclass(slots=True)
class _Job:
    """A job and its future, which is done once the transaction is committed, or, with `synced_first`, synced."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    writes: bool
    durable: bool = False
    synced_first: bool = False
    brief: bool = False


class SqliteWorker:
    """Runs jobs on the SqliteFile at `path`. May be used by several event loops."""

    def __init__(self, path: Path | None, versions: tuple[str, ...]) -> None:
        self._file = SqliteFile(path, versions)
        self._pending: list[_Job] = []
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Jobs in the thread: while there are any, later ones go there too, to keep the order.
        self._in_thread = 0
        self._lock = threading.Lock()
        self._closed = False
        self._slow_ones = 0
        self._left_to_thread_until = 0.0

    def run(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        writes: bool = True,
        durable: bool = False,
        synced_first: bool = False,
        can_wait: bool = False,
        brief: bool = False,
    ) -> asyncio.Future[T]:
        """The result of `work`, once its transaction is committed. Not run if it is cancelled before it begins.

        A `can_wait` job may run up to CAN_WAIT_S later, and before all later ones. A `durable` one is synced within
        UNSYNCED_S, a `synced_first` one before its future is done. A `brief` one takes a fraction of a millisecond.
        Raises, when awaited: StoreUnavailable.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._closed or self._in_thread > MAX_WAITING:
                future.set_exception(StoreUnavailable())
                return future
            self._pending.append(_Job(work, future, loop, writes, durable, synced_first, brief))
        if can_wait:
            loop.call_later(CAN_WAIT_S, self._run_pending)
        else:
            loop.call_soon(self._run_pending)  # with all jobs of this step of the loop
        return future

    def close(self) -> None:
        """Finish the pending jobs and close the file. Blocks for up to 2 * BUSY_S."""
        with self._lock:
            self._closed = True
            self._give_to_thread()
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join(2 * BUSY_S)

    def _run_pending(self) -> None:
        """Run the pending jobs, here or in the thread. Called in an event loop."""
        with self._lock:
            if not self._pending:
                return
            if not self._may_run_here(self._pending):
                self._give_to_thread()
                return
            jobs, self._pending = self._pending[:MAX_BRIEF], self._pending[MAX_BRIEF:]
            if self._pending:
                asyncio.get_running_loop().call_soon(self._run_pending)
            # Under the lock, to keep the order.
            jobs = [job for job in jobs if not job.future.cancelled()]
            began = time.monotonic()
            results = self._file.try_do([job.work for job in jobs], writes=any(job.writes for job in jobs))
            self._note_time(time.monotonic() - began)
            if results is None:
                self._pending = [*jobs, *self._pending]
                self._give_to_thread()
                return
        if any(job.durable for job in jobs) and self._file.mark_unsynced():
            self._queue.put([])  # wakes the thread, which syncs
        _answer(list(zip(jobs, results, strict=True)), None, here=asyncio.get_running_loop())

    def _may_run_here(self, jobs: list[_Job]) -> bool:
        return (
            not self._in_thread
            and self._thread is not None
            and all(job.brief and not job.synced_first for job in jobs)
            and self._file.disk_ok
            and time.monotonic() > self._left_to_thread_until
        )

    def _note_time(self, took_s: float) -> None:
        # A single slow one may only have waited for the processor.
        self._slow_ones = self._slow_ones + 1 if took_s > SLOW_S else 0
        if self._slow_ones == SLOW_ONES or took_s > STUCK_S:
            self._slow_ones = 0
            self._left_to_thread_until = time.monotonic() + LEFT_TO_THREAD_S

    def _give_to_thread(self) -> None:
        jobs, self._pending = self._pending, []
        if not jobs:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hfchat-ledger", daemon=True)
            self._thread.start()
        self._in_thread += len(jobs)
        self._queue.put(jobs)

    def _work(self) -> None:
        more = True
        while more:
            try:
                batches = [self._queue.get(timeout=self._sync_in_s())]
            except queue.Empty:
                self._file.sync()
                continue
            with suppress(queue.Empty):
                while len(batches) < MAX_BATCH:
                    batches.append(self._queue.get_nowait())
            more = None not in batches
            jobs = [job for batch in batches if batch is not None for job in batch]
            for _, group in groupby(jobs, lambda job: job.writes):
                self._run_in_thread(list(group))
            if self._sync_in_s() == 0 or not more:
                self._file.sync()
        self._file.close()

    def _sync_in_s(self) -> float | None:
        unsynced_for_s = self._file.unsynced_for_s()
        return None if unsynced_for_s is None else max(UNSYNCED_S - unsynced_for_s, 0)

    def _run_in_thread(self, group: list[_Job]) -> None:
        """Run the jobs in one transaction; after a failed fsync, durable ones wait for the next."""
        jobs = [job for job in group if not job.future.cancelled()]
        results: list[Any] = [None] * len(jobs)
        failure: Exception | None = None
        try:
            if jobs:
                results = self._file.do([job.work for job in jobs], writes=jobs[0].writes)
        except Exception as failed:
            failure = failed
        with self._lock:
            self._in_thread -= len(group)
        wait = [job.synced_first or (job.durable and not self._file.disk_ok) for job in jobs]
        if failure is None and any(job.durable or job.synced_first for job in jobs):
            self._file.mark_unsynced()
        answers = list(zip(jobs, results, wait, strict=True))
        _answer([(job, result) for job, result, waits in answers if failure or not waits], failure)
        if failure is None and any(wait):
            failure = self._file.sync()
            _answer([(job, result) for job, result, waits in answers if waits], failure)


def _answer(
    answers: list[tuple[_Job, Any]], failure: Exception | None, *, here: asyncio.AbstractEventLoop | None = None
) -> None:
    """Set the futures, each in its event loop; `here` is the running one."""
    for loop in {job.loop for job, _ in answers}:
        of_loop = [(job, result) for job, result in answers if job.loop is loop]
        if loop is here:
            _set_results(of_loop, failure)
        else:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_set_results, of_loop, failure)


def _set_results(answers: Iterable[tuple[_Job, Any]], failure: Exception | None) -> None:
    for job, result in answers:
        if job.future.done():
            continue
        if failure is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(_translated(failure))


def _translated(failure: Exception) -> Exception:
    if not isinstance(failure, sqlite3.Error | OSError):
        return failure
    unavailable = StoreUnavailable()
    unavailable.__cause__ = failure
    return unavailable
