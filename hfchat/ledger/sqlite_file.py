"""One SQLite file, one connection: made on first use, opened anew after a failure, handed to the disk when asked.

For one thread at a time: whoever does not hold its lock waits, or does not (`try_do`).
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

Work = Callable[[sqlite3.Connection], Any]
# How long another process's transaction is waited for.
BUSY_S = 0.8
# After so many transactions the write-ahead log is written into the file, which is when SQLite waits for the disk.
CHECKPOINT_EVERY = 250


class SqliteFile:
    """The database at `path`; None is a database in memory.

    `versions` are the scripts that make the database's form, one for each version. The file and its folder are made on
    first use; a file that is gone afterwards is not made again, since an empty one would grant everything anew.
    """

    def __init__(self, path: Path | None, versions: tuple[str, ...]) -> None:
        self._path = path
        self._versions = versions
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._patient = True
        self._was_made = False
        self._log: int | None = None
        self._commits = 0
        # When the oldest commit that the disk does not have was made; and whether the disk took the last one.
        self._unsynced_since: float | None = None
        self.disk_takes = True

    def do(self, works: Sequence[Work], *, writes: bool) -> list[Any]:
        """What the works give, in one transaction: they stand or fall together. Waits for other processes.

        Raises: sqlite3.Error, OSError, and what the works do.
        """
        with self._lock:
            try:
                return self._do(self._connected(), works, writes, patient=True)
            except BaseException:
                self._disconnect()
                raise

    def try_do(self, works: Sequence[Work], *, writes: bool) -> list[Any] | None:
        """The same where it waits for nobody; None, and nothing is done, where it would or fails."""
        if self._connection is None or not self._lock.acquire(blocking=False):
            return None
        connection = self._connection
        try:
            if connection is None or self._moved():
                return None
            return self._do(connection, works, writes, patient=False)
        except Exception:  # done again where it may take its time, it fails there for everybody to see
            with suppress(sqlite3.Error):
                connection.rollback()
            return None
        finally:
            self._lock.release()

    def owe_the_disk(self) -> bool:
        """Note that what was committed just now is to be handed to the disk; whether it is the first since `sync`."""
        if self._path is None or self._unsynced_since is not None:
            return False
        self._unsynced_since = time.monotonic()
        return True

    def owes_for_s(self) -> float | None:
        """How long the oldest commit that the disk does not have has waited."""
        since = self._unsynced_since
        return None if since is None else time.monotonic() - since

    def sync(self) -> Exception | None:
        """Hand what is committed to the disk: as `synchronous = FULL` does, which would have everybody wait for it.

        What is in the write-ahead log is valid by its checksums, and whoever takes it from there syncs it first.
        """
        if self._path is None or self._unsynced_since is None:
            return None
        self._unsynced_since = None
        try:
            if self._log is None:
                self._log = os.open(f"{self._path}-wal", os.O_RDONLY)
                _sync_folder(self._path.parent)
            os.fdatasync(self._log)
        except OSError as failure:
            self.disk_takes = False
            with self._lock:
                self._disconnect()
            return failure
        self.disk_takes = True
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
        done = [work(connection) for work in works]
        connection.execute("COMMIT")
        self._commits += writes
        return done

    def _checkpoint(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            if self._connection is None:
                return
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            # The first who writes after it begins the log anew and waits for the disk: not the event loop.
            same = f"PRAGMA user_version = {len(self._versions)}"
            self._do(self._connection, [lambda db: db.execute(same)], writes=True, patient=True)
            self._commits = 0

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._moved():
            self._disconnect()
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _moved(self) -> bool:
        return self._path is not None and _identity(self._path) != self._identity

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            address = ":memory:"
        else:
            if not self._was_made:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._path.touch(mode=0o600, exist_ok=True)
            address = f"file:{quote(str(self._path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
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
