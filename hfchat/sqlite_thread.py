"""One SQLite file, one connection, one thread: what waits is done in one transaction, and the event loop never waits for a disk.

What fails is answered with StoreUnavailable and the file is opened anew for the next: a store that comes back heals.
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from hfchat.errors import StoreUnavailable

T = TypeVar("T")
# How long another process's transaction is waited for.
BUSY_S = 0.8
MAX_BATCH = 256
# How long what can wait does, so that it shares a transaction with what comes next.
CAN_WAIT_S = 0.002
# How long what is committed may wait to be handed to the disk: what a power cut forgets is not older.
UNSYNCED_S = 0.005
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


class SqliteThread:
    """Does pieces of work on the database at `path`, in the order they come; None is a database in memory.

    `versions` are the scripts that make the database's form, one for each version. The file and its folder are made on
    first use; a file that is gone afterwards is not made again, since an empty one would grant everything anew.
    """

    def __init__(self, path: Path | None, versions: tuple[str, ...]) -> None:
        self._path = path
        self._versions = versions
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._log: int | None = None
        self._was_made = False
        self._thread: threading.Thread | None = None
        self._closed = False
        self._can_wait: list[_Job] = []
        self._waiting = threading.Lock()  # more than one event loop may ask
        # When the oldest commit that the disk has not was made; and whether the disk took the last one.
        self._unsynced_since: float | None = None
        self._disk_takes = True

    def run(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        writes: bool = True,
        durable: bool = False,
        synced_first: bool = False,
        can_wait: bool = False,
    ) -> asyncio.Future[T]:
        """What `work` gives, once its transaction is committed. Cancelled before it began, it is not done.

        What `can_wait` is done with what comes next, or a moment later; always before what is given after it. What is
        `durable` is handed to the disk within a few milliseconds, or, `synced_first`, before it is answered. Raises, when
        awaited: StoreUnavailable. Whoever does not wait for it cannot know.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed or self._jobs.qsize() > MAX_WAITING:
            future.set_exception(StoreUnavailable())
            return future
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hfchat-ledger", daemon=True)
            self._thread.start()
        job = _Job(work, future, loop, writes, durable, synced_first)
        if can_wait:
            with self._waiting:
                if not self._can_wait:
                    loop.call_later(CAN_WAIT_S, self._hand_over)
                self._can_wait.append(job)
        else:
            self._hand_over(job)
        return future

    def _hand_over(self, *more: _Job) -> None:
        """Give the thread what waited, and this, at once: it is woken once."""
        with self._waiting:
            jobs, self._can_wait = [*self._can_wait, *more], []
            if jobs:
                self._jobs.put(jobs)

    def close(self) -> None:
        """Let what waits be done, and close the file. Blocks for a moment."""
        self._closed = True
        self._hand_over()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(2 * BUSY_S)

    def _work(self) -> None:
        more = True
        while more:
            try:
                taken = [self._jobs.get(timeout=self._sync_in_s())]
            except queue.Empty:
                self._sync()
                continue
            with suppress(queue.Empty):
                while len(taken) < MAX_BATCH:
                    taken.append(self._jobs.get_nowait())
            more = None not in taken
            jobs = [job for some in taken if some is not None for job in some if not job.future.cancelled()]
            for _, batch in groupby(jobs, lambda job: job.writes):
                self._do_and_answer(list(batch))
            if self._sync_in_s() == 0 or not more:
                self._sync()
        self._disconnect()

    def _sync_in_s(self) -> float | None:
        if self._unsynced_since is None:
            return None
        return max(self._unsynced_since + UNSYNCED_S - time.monotonic(), 0)

    def _do_and_answer(self, jobs: list[_Job]) -> None:
        """They stand or fall together; where the disk is not to be relied on, they wait for it."""
        done, failure = self._do(jobs)
        wait = [job.synced_first or (job.durable and not self._disk_takes) for job in jobs]
        if failure is None and any(job.durable or job.synced_first for job in jobs):
            self._unsynced_since = self._unsynced_since or time.monotonic()
        answers = list(zip(jobs, done or [None] * len(jobs), strict=True))
        _answer([answer for answer, waits in zip(answers, wait, strict=True) if failure or not waits], failure)
        if failure is None and any(wait):
            failure = self._sync()
            _answer([answer for answer, waits in zip(answers, wait, strict=True) if waits], failure)

    def _do(self, jobs: list[_Job]) -> tuple[list[Any], Exception | None]:
        """The results, or why there is none."""
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE" if jobs[0].writes else "BEGIN")
            done = [job.work(connection) for job in jobs]
            connection.execute("COMMIT")
        except Exception as failure:
            self._disconnect()
            return [], failure
        return done, None

    def _sync(self) -> Exception | None:
        """Hand what is committed to the disk: as `synchronous = FULL` does, which would have everybody wait for it.

        What is in the write-ahead log is valid by its checksums, and whoever takes it from there syncs it first.
        """
        if self._path is None or self._unsynced_since is None:
            self._unsynced_since = None
            return None
        self._unsynced_since = None
        try:
            if self._log is None:
                self._log = os.open(f"{self._path}-wal", os.O_RDONLY)
                _sync_folder(self._path.parent)
            os.fdatasync(self._log)
        except OSError as failure:
            self._disk_takes = False
            self._disconnect()
            return failure
        self._disk_takes = True
        return None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._path is not None and _identity(self._path) != self._file:
            self._disconnect()
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            address = ":memory:"
        else:
            if not self._was_made:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._path.touch(mode=0o600, exist_ok=True)
            address = f"file:{quote(str(self._path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_S)
        try:
            self._use_a_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._was_made = self._path is not None
        self._file = _identity(self._path) if self._path is not None else None
        return connection

    def _use_a_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        until = time.monotonic() + BUSY_S
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # SQLite does not wait here where another process does the same
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == len(self._versions):
            return
        if self._was_made and version == 0:
            raise sqlite3.DatabaseError("another file is in the ledger's place, and it is empty")
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have been first
        if version > len(self._versions):
            raise sqlite3.DatabaseError(f"the ledger is of version {version}: a newer hfchat made it")
        for script in self._versions[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._versions)}")
        connection.execute("COMMIT")

    def _disconnect(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None
        if self._connection is None:
            return
        with suppress(sqlite3.Error):
            if self._path is None:
                # Closed, a database in memory would begin anew, as if nobody had used anything.
                self._connection.rollback()
                return
            self._connection.close()
        self._connection = None


def _sync_folder(folder: Path) -> None:
    """A file that was made just now is found again after a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _answer(answers: list[tuple[_Job, Any]], failure: Exception | None) -> None:
    def tell(loop: asyncio.AbstractEventLoop) -> None:
        for job, found in answers:
            if job.loop is not loop or job.future.done():
                continue
            if failure is None:
                job.future.set_result(found)
            else:
                job.future.set_exception(_translated(failure))

    for loop in {job.loop for job, _ in answers}:
        with suppress(RuntimeError):  # it was closed meanwhile
            loop.call_soon_threadsafe(tell, loop)


def _translated(failure: Exception) -> Exception:
    if not isinstance(failure, sqlite3.Error | OSError):
        return failure
    unavailable = StoreUnavailable()
    unavailable.__cause__ = failure
    return unavailable
