"""SQLite file and connection: transactions, write-ahead log, fsync and migration. Opened again after a failure.

One thread at a time uses the connection, under a lock that `do` waits for and `try_do` does not.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

Work = Callable[[sqlite3.Connection], Any]
# Busy timeout: how long to wait for another process's transaction.
BUSY_S = 0.8
# Transactions between two checkpoints of the write-ahead log; SQLite waits for the disk at one. With 50 a burst of 500 callers'
# reservations takes 10 % longer; with 1,000 one caller's turn takes 6 % more processor time, since the log is longer to read.
CHECKPOINT_EVERY = 250
SQLITE_VERSION = sqlite3.sqlite_version_info
_WAL_RESET_FIXES = ((3, 44, 6), (3, 50, 7))


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether this version of SQLite can lose pages at a checkpoint (sqlite.org/wal.html, "The WAL-Reset Bug").

    It is in 3.7.0 to 3.51.2, but in 3.44 and 3.50 only up to 3.44.5 and 3.50.6.
    """
    fixed = any(version[:2] == fix[:2] and version >= fix for fix in _WAL_RESET_FIXES)
    return (3, 7, 0) <= version < (3, 51, 3) and not fixed


class SqliteFile:
    """The database at `path`; None is a database in memory.

    `versions` are the migrations, one for each version of the schema. The file and its folder are made on first use. A file
    that is deleted afterwards is not made again: an empty one would give everybody their whole budget.
    """

    def __init__(self, path: Path | None, versions: tuple[str, ...]) -> None:
        self._path = path
        self._versions = versions
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._patient = True
        self._was_made = False
        self._wal_fd: int | None = None
        self._commits = 0
        # When the oldest commit that is not synced was made; and whether the last fsync succeeded.
        self._unsynced_since: float | None = None
        self.disk_ok = True

    def do(self, works: Sequence[Work], *, writes: bool) -> list[Any]:
        """The results of the works, in one transaction: all commit or none. Waits for other processes.

        Raises: sqlite3.Error, OSError, and what the works raise.
        """
        with self._lock:
            try:
                return self._do(self._connected(), works, writes, patient=True)
            except BaseException:
                self._disconnect()
                raise

    def try_do(self, works: Sequence[Work], *, writes: bool) -> list[Any] | None:
        """As `do`, but without waiting; None, and nothing is done, where it would have to wait or fails."""
        if self._connection is None or not self._lock.acquire(blocking=False):
            return None
        connection = self._connection
        try:
            if connection is None or self._moved():
                return None
            return self._do(connection, works, writes, patient=False)
        except Exception:  # the caller does it again with `do`, which raises
            with suppress(sqlite3.Error):
                connection.rollback()
            return None
        finally:
            self._lock.release()

    def mark_unsynced(self) -> bool:
        """Note a commit that has to be synced; whether it is the first since the last `sync`."""
        if self._path is None or self._unsynced_since is not None:
            return False
        self._unsynced_since = time.monotonic()
        return True

    def unsynced_for_s(self) -> float | None:
        """The age of the oldest commit that is not synced."""
        since = self._unsynced_since
        return None if since is None else time.monotonic() - since

    def sync(self) -> Exception | None:
        """Sync the write-ahead log, as `synchronous = FULL` does at each commit; the failure, if it failed.

        Frames of the log are valid by their checksums, and a checkpoint syncs the log before it copies them.
        """
        if self._path is None or self._unsynced_since is None:
            return None
        self._unsynced_since = None
        try:
            if self._wal_fd is None:
                self._wal_fd = os.open(f"{self._path}-wal", os.O_RDONLY)
                _sync_folder(self._path.parent)
            os.fdatasync(self._wal_fd)
        except OSError as failure:
            self.disk_ok = False
            with self._lock:
                self._disconnect()
            return failure
        self.disk_ok = True
        if self._commits >= CHECKPOINT_EVERY:
            self._checkpoint()
        return None

    def close(self) -> None:
        """Close the connection; a database in memory keeps what it has."""
        with self._lock:
            self._disconnect()

    def _do(self, connection: sqlite3.Connection, works: Sequence[Work], writes: bool, *, patient: bool) -> list[Any]:
        if patient is not self._patient:
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000) if patient else 0}")
            self._patient = patient
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        results = [work(connection) for work in works]
        connection.execute("COMMIT")
        self._commits += writes
        return results

    def _checkpoint(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            if self._connection is None:
                return
            with self._log_kept():
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            # The first write after a checkpoint restarts the log and waits for the disk: here, not in the event loop.
            no_change = f"PRAGMA user_version = {len(self._versions)}"
            self._do(self._connection, [lambda db: db.execute(no_change)], writes=True, patient=True)
            self._commits = 0

    @contextmanager
    def _log_kept(self) -> Iterator[None]:
        """Keep every process from resetting the log, where SQLite has the WAL-reset bug.

        A checkpoint that reads the log's header just before another connection's commit resets the log then counts new frames
        as copied, and their pages are lost. A read transaction holds off the reset and no writer. One that began when all
        was copied reads the database alone; it does not hold off the reset, but then the checkpoint copies nothing.
        """
        if not has_wal_reset_bug(SQLITE_VERSION):
            yield
            return
        with closing(sqlite3.connect(self._address(), uri=True, isolation_level=None, timeout=0)) as reader:
            reader.execute("BEGIN")
            reader.execute("PRAGMA user_version").fetchone()  # a transaction begins with its first read
            yield

    def _address(self) -> str:
        return ":memory:" if self._path is None else f"file:{quote(str(self._path))}?mode=rw"

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._moved():
            self._disconnect()
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _moved(self) -> bool:
        return self._path is not None and _identity(self._path) != self._identity

    def _open(self) -> sqlite3.Connection:
        if self._path is not None and not self._was_made:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(
            self._address(), uri=True, isolation_level=None, timeout=BUSY_S, check_same_thread=False
        )
        try:
            self._use_a_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._patient = True
        self._was_made = self._path is not None
        self._identity = _identity(self._path) if self._path is not None else None
        return connection

    def _use_a_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # the busy timeout does not hold for this pragma
                if time.monotonic() > deadline:
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
        if self._wal_fd is not None:
            os.close(self._wal_fd)
            self._wal_fd = None
        if self._connection is None:
            return
        with suppress(sqlite3.Error):
            if self._path is None:
                # A database in memory is lost when it is closed.
                self._connection.rollback()
                return
            self._connection.close()
        self._connection = None


def _sync_folder(folder: Path) -> None:
    """Make a new file in the folder outlive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino
