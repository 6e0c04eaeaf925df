"""Pieces of work on one SQLite file, in the order they come: what is brief in the event loop, the rest in a thread.

Without a disk to wait for, a transaction takes a tenth of a millisecond, and giving it to a thread takes longer than that.
Whatever may take its time goes to the thread: other processes, a slow disk, a failure. What fails there is answered with
StoreUnavailable, and the file is opened anew for the next: a store that comes back heals.
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
MAX_BATCH = 256
# How many pieces of work the event loop does at a time, before it looks at what else there is.
MAX_BRIEF = 64
# How long what can wait does, so that it shares a transaction with what comes next.
CAN_WAIT_S = 0.002
# How long what is committed may wait to be handed to the disk: what a power cut forgets is not older.
UNSYNCED_S = 0.02
# Where so many transactions in a row take longer than this, the event loop leaves them to the thread for a while.
SLOW_S = 0.002
SLOW_ONES = 5
# One that takes longer than this is enough.
STUCK_S = 0.05
LEFT_TO_THREAD_S = 5.0
MAX_WAITING = 20_000


@dataclass(slots=True)
class _Job:
    """Answered once it is committed; what is `durable` outlives a power cut a moment later, or, `synced_first`, then already."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    writes: bool
    durable: bool = False
    synced_first: bool = False
    brief: bool = False


class SqliteWorker:
    """Does pieces of work on the database at `path`, as SqliteFile has it. May be used by several event loops."""

    def __init__(self, path: Path | None, versions: tuple[str, ...]) -> None:
        self._file = SqliteFile(path, versions)
        self._asked: list[_Job] = []
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # How many jobs the thread has; until it has done them, what comes next goes there too.
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
        """What `work` gives, once its transaction is committed. Cancelled before it began, it is not done.

        What `can_wait` is done with what comes next, or a moment later; always before what is given after it. What is
        `durable` is handed to the disk a moment later, or, `synced_first`, before it is answered. What is
        `brief` takes a fraction of a millisecond. Raises, when awaited: StoreUnavailable. Whoever does not wait for it
        cannot know.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._closed or self._in_thread > MAX_WAITING:
                future.set_exception(StoreUnavailable())
                return future
            self._asked.append(_Job(work, future, loop, writes, durable, synced_first, brief))
        if can_wait:
            loop.call_later(CAN_WAIT_S, self._do_asked)
        else:
            loop.call_soon(self._do_asked)  # with all that is asked in this turn of the loop
        return future

    def close(self) -> None:
        """Let what waits be done, and close the file. Blocks for a moment."""
        with self._lock:
            self._closed = True
            self._give_to_thread()
            self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(2 * BUSY_S)

    def _do_asked(self) -> None:
        """Do what was asked, at once or in the thread. Called in an event loop."""
        with self._lock:
            if not self._asked:
                return
            if not self._may_be_done_here(self._asked):
                self._give_to_thread()
                return
            jobs, self._asked = self._asked[:MAX_BRIEF], self._asked[MAX_BRIEF:]
            if self._asked:
                asyncio.get_running_loop().call_soon(self._do_asked)
            # Under the lock, so that nothing overtakes it.
            jobs = [job for job in jobs if not job.future.cancelled()]
            began = time.monotonic()
            done = self._file.try_do([job.work for job in jobs], writes=any(job.writes for job in jobs))
            self._note_time(time.monotonic() - began)
            if done is None:
                self._asked = [*jobs, *self._asked]
                self._give_to_thread()
                return
        if any(job.durable for job in jobs) and self._file.owe_the_disk():
            self._jobs.put([])  # the thread waits for the rest, and the disk
        _answer(list(zip(jobs, done, strict=True)), None, here=asyncio.get_running_loop())

    def _may_be_done_here(self, jobs: list[_Job]) -> bool:
        return (
            not self._in_thread
            and self._thread is not None
            and all(job.brief and not job.synced_first for job in jobs)
            and self._file.disk_takes
            and time.monotonic() > self._left_to_thread_until
        )

    def _note_time(self, took_s: float) -> None:
        # One that is a little slow may have waited for the processor, as anything may.
        self._slow_ones = self._slow_ones + 1 if took_s > SLOW_S else 0
        if self._slow_ones == SLOW_ONES or took_s > STUCK_S:
            self._slow_ones = 0
            self._left_to_thread_until = time.monotonic() + LEFT_TO_THREAD_S

    def _give_to_thread(self) -> None:
        jobs, self._asked = self._asked, []
        if not jobs:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hfchat-ledger", daemon=True)
            self._thread.start()
        self._in_thread += len(jobs)
        self._jobs.put(jobs)

    def _work(self) -> None:
        more = True
        while more:
            try:
                taken = [self._jobs.get(timeout=self._sync_in_s())]
            except queue.Empty:
                self._file.sync()
                continue
            with suppress(queue.Empty):
                while len(taken) < MAX_BATCH:
                    taken.append(self._jobs.get_nowait())
            more = None not in taken
            given = [job for some in taken if some is not None for job in some]
            for _, batch in groupby(given, lambda job: job.writes):
                self._do_and_answer(list(batch))
            if self._sync_in_s() == 0 or not more:
                self._file.sync()
        self._file.close()

    def _sync_in_s(self) -> float | None:
        owes_for_s = self._file.owes_for_s()
        return None if owes_for_s is None else max(UNSYNCED_S - owes_for_s, 0)

    def _do_and_answer(self, given: list[_Job]) -> None:
        """They stand or fall together; where the disk is not to be relied on, they wait for it."""
        jobs = [job for job in given if not job.future.cancelled()]
        done: list[Any] = [None] * len(jobs)
        failure: Exception | None = None
        try:
            if jobs:
                done = self._file.do([job.work for job in jobs], writes=jobs[0].writes)
        except Exception as failed:
            failure = failed
        with self._lock:
            self._in_thread -= len(given)
        wait = [job.synced_first or (job.durable and not self._file.disk_takes) for job in jobs]
        if failure is None and any(job.durable or job.synced_first for job in jobs):
            self._file.owe_the_disk()
        answers = list(zip(jobs, done, wait, strict=True))
        _answer([(job, found) for job, found, waits in answers if failure or not waits], failure)
        if failure is None and any(wait):
            failure = self._file.sync()
            _answer([(job, found) for job, found, waits in answers if waits], failure)


def _answer(
    answers: list[tuple[_Job, Any]], failure: Exception | None, *, here: asyncio.AbstractEventLoop | None = None
) -> None:
    """Answer them, each in its event loop; `here` is the one that is running."""
    for loop in {job.loop for job, _ in answers}:
        of_loop = [(job, found) for job, found in answers if job.loop is loop]
        if loop is here:
            _tell(of_loop, failure)
        else:
            with suppress(RuntimeError):  # it was closed meanwhile
                loop.call_soon_threadsafe(_tell, of_loop, failure)


def _tell(answers: Iterable[tuple[_Job, Any]], failure: Exception | None) -> None:
    for job, found in answers:
        if job.future.done():
            continue
        if failure is None:
            job.future.set_result(found)
        else:
            job.future.set_exception(_translated(failure))


def _translated(failure: Exception) -> Exception:
    if not isinstance(failure, sqlite3.Error | OSError):
        return failure
    unavailable = StoreUnavailable()
    unavailable.__cause__ = failure
    return unavailable
