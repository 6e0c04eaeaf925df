"""SQLite's WAL-reset bug: which versions have it, and that no checkpoint of ours can meet it, whatever other processes do."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest

from hfchat.ledger.sqlite_file import SqliteFile, has_wal_reset_bug
from tests.support.checkpoint_hammer import VERSIONS, hammer
from tests.support.rows import each_row

VERSIONS_OF_SQLITE = {
    "before the log": ((3, 6, 23), False),
    "the first with a log": ((3, 7, 0), True),
    "Debian 12": ((3, 40, 1), True),
    "3.44, the last with it": ((3, 44, 5), True),
    "3.44, mended": ((3, 44, 6), False),
    "3.45, never mended": ((3, 45, 9), True),
    "3.49, never mended": ((3, 49, 2), True),
    "3.50, the last with it": ((3, 50, 6), True),
    "3.50, mended": ((3, 50, 7), False),
    "3.50, later": ((3, 50, 12), False),
    "3.51, the last with it": ((3, 51, 2), True),
    "3.51, mended": ((3, 51, 3), False),
    "3.52": ((3, 52, 0), False),
    "4": ((4, 0, 0), False),
}


@each_row(("version", "bug"), VERSIONS_OF_SQLITE.values(), ids=VERSIONS_OF_SQLITE)
def test_a_version_has_the_bug_or_not(version: tuple[int, int, int], bug: bool) -> None:
    assert has_wal_reset_bug(version) is bug


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def write(name: str) -> Callable[[sqlite3.Connection], object]:
    return lambda db: db.execute("INSERT INTO rows (who, number) VALUES (?, ?)", (name, 0))


def salts(path: Path) -> bytes:
    """What a reset of the log changes (SQLite's file format, section 4.1)."""
    return path.with_name(f"{path.name}-wal").read_bytes()[16:24]


def commit_elsewhere(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("INSERT INTO rows (who, number) VALUES ('elsewhere', 0)")


@pytest.mark.parametrize("affected", [True, False], ids=["with the bug", "without"])
def test_while_a_checkpoint_runs_other_processes_may_commit_and_cannot_reset_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, affected: bool
) -> None:
    monkeypatch.setattr("hfchat.ledger.sqlite_file.has_wal_reset_bug", lambda _: affected)
    file = SqliteFile(path, VERSIONS)
    file.do([write("first")], writes=True)
    before = salts(path)
    seen = []

    def at_the_checkpoint(statement: str) -> None:
        """A checkpoint of another process, then a commit: without a guard, the commit resets the log."""
        if "wal_checkpoint" not in statement or seen:
            return
        seen.append(salts(path))
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        commit_elsewhere(path)
        seen.append(salts(path))

    assert file._connection
    file._connection.set_trace_callback(at_the_checkpoint)
    file._checkpoint()
    assert seen[0] == before
    assert (seen[1] == before) is affected
    names = file.do([lambda db: db.execute("SELECT who FROM rows").fetchall()], writes=False)[0]
    assert sorted(name for (name,) in names) == ["elsewhere", "first"]
    file.close()


def test_a_checkpoint_that_cannot_hold_the_log_is_made_up_for_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.sqlite_file.has_wal_reset_bug", lambda _: True)
    file = SqliteFile(path, VERSIONS)
    file.do([write("first")], writes=True)
    aside = path.rename(path.with_name("aside"))
    file._checkpoint()
    assert file._commits == 1
    aside.rename(path)
    file._checkpoint()
    assert file._commits == 0
    file.close()


def test_after_a_checkpoint_the_log_is_begun_anew(path: Path) -> None:
    file = SqliteFile(path, VERSIONS)
    file.do([write("first")], writes=True)
    before = salts(path)
    file._checkpoint()
    assert salts(path) != before
    file.close()


def test_two_processes_and_a_command_that_commit_and_checkpoint_at_once_lose_no_page(path: Path) -> None:
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.checkpoint_hammer"])
    file = SqliteFile(path, VERSIONS)
    file.do([], writes=False)
    processes = [context.Process(target=hammer, args=(path, who, 400, who == 2)) for who in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT who, COUNT(*), MAX(number) FROM rows GROUP BY who").fetchall() == [
            (str(who), 400, 399) for who in range(3)
        ]
    file.close()
