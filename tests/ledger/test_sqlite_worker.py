"""Where the work on the file is done: what is brief in the event loop, the rest in the thread, all of it in order."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hfchat.ledger.sqlite_worker import SLOW_ONES, SqliteWorker
from tests.conftest import wait_until
from tests.ledger.test_failures import locked

pytestmark = pytest.mark.anyio
FORM = ("CREATE TABLE steps (step)",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "steps.db"


@pytest.fixture
def worker(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteWorker]:
    monkeypatch.setattr("hfchat.ledger.sqlite_worker.SLOW_S", 0.05)  # a busy machine is no slow disk
    monkeypatch.setattr("hfchat.ledger.sqlite_worker.STUCK_S", 10.0)
    worker = SqliteWorker(file, FORM)
    yield worker
    worker.close()


def step(name: object, wait_s: float = 0) -> Callable[[sqlite3.Connection], str]:
    """Work that writes its name down, and says in which thread it was done."""

    def work(db: sqlite3.Connection) -> str:
        time.sleep(wait_s)
        db.execute("INSERT INTO steps VALUES (?)", (str(name),))
        return threading.current_thread().name

    return work


def steps(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT step FROM steps ORDER BY rowid")]


async def test_the_file_is_opened_in_the_thread_and_what_is_brief_then_done_in_the_event_loop(
    worker: SqliteWorker,
) -> None:
    here = threading.current_thread().name
    assert await worker.run(step("first"), brief=True) == "hfchat-ledger"
    assert await worker.run(step("brief"), brief=True) == here
    assert await worker.run(step("long")) == "hfchat-ledger"
    assert await worker.run(step("brief again"), brief=True) == here


async def test_all_is_done_in_the_order_it_is_asked_wherever_it_is_done(worker: SqliteWorker) -> None:
    kinds: list[dict[str, Any]] = [{"brief": True}, {}, {"brief": True, "can_wait": True}, {"brief": True}, {}]
    reservation = []
    for number in range(50):
        reservation.append(worker.run(step(number, wait_s=0.001 if number % 7 == 0 else 0), **kinds[number % 5]))
        if number % 3 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*reservation)
    assert await worker.run(steps, writes=False, brief=True) == [str(number) for number in range(50)]


async def test_what_is_asked_at_once_shares_a_transaction(worker: SqliteWorker) -> None:
    await worker.run(step("first"))
    await asyncio.gather(*(worker.run(step(number), brief=True) for number in range(10)))
    assert len(await worker.run(steps, writes=False)) == 11
    assert worker._file._commits == 2


async def test_another_process_that_holds_the_file_is_waited_for_in_the_thread(
    worker: SqliteWorker, file: Path
) -> None:
    await worker.run(step("first"))
    unlock = locked(file)
    waiting = worker.run(step("brief"), brief=True)
    await asyncio.sleep(0.02)
    assert not waiting.done()
    unlock()
    assert await waiting == "hfchat-ledger"


async def test_a_slow_disk_is_left_to_the_thread_for_a_while(
    worker: SqliteWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.run(step("first"))
    for number in range(SLOW_ONES):
        assert await worker.run(step(number, wait_s=0.1), brief=True) != "hfchat-ledger"
    assert await worker.run(step("after"), brief=True) == "hfchat-ledger"
    monkeypatch.setattr(worker, "_left_to_thread_until", 0.0)
    assert await worker.run(step("later"), brief=True) != "hfchat-ledger"


async def test_one_that_is_stuck_is_enough(worker: SqliteWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfchat.ledger.sqlite_worker.STUCK_S", 0.3)
    await worker.run(step("first"))
    assert await worker.run(step("stuck", wait_s=0.4), brief=True) != "hfchat-ledger"
    assert await worker.run(step("after"), brief=True) == "hfchat-ledger"


async def test_what_is_to_be_on_the_disk_first_is_not_brief(worker: SqliteWorker) -> None:
    await worker.run(step("first"))
    assert await worker.run(step("revoked"), brief=True, synced_first=True) == "hfchat-ledger"


async def test_only_the_thread_hands_commits_to_the_disk(worker: SqliteWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    synced_in: list[str] = []
    real = os.fdatasync

    def noted(descriptor: int) -> None:
        synced_in.append(threading.current_thread().name)
        real(descriptor)

    monkeypatch.setattr("hfchat.ledger.sqlite_file.os.fdatasync", noted)
    await worker.run(step("first"), durable=True)
    await worker.run(step("brief"), brief=True, durable=True)
    await asyncio.to_thread(wait_until, lambda: bool(synced_in))
    assert set(synced_in) == {"hfchat-ledger"}


def test_what_an_event_loop_that_ended_has_committed_is_handed_to_the_disk(worker: SqliteWorker) -> None:
    async def reserve(name: str) -> None:
        await worker.run(step(name), brief=True, durable=True)

    for name in ("first", "second", "third"):
        asyncio.run(reserve(name))
    wait_until(lambda: worker._file.unsynced_for_s() is None)


async def test_work_that_fails_is_undone_and_says_why(worker: SqliteWorker) -> None:
    await worker.run(step("first"))

    def fails(db: sqlite3.Connection) -> None:
        step("never")(db)
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        await worker.run(fails, brief=True)
    assert await worker.run(steps, writes=False, brief=True) == ["first"]


async def test_the_log_of_what_was_written_does_not_grow_for_ever(
    worker: SqliteWorker, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.ledger.sqlite_file.CHECKPOINT_EVERY", 10)
    log = file.with_name("steps.db-wal")
    for number in range(400):
        await worker.run(step(number), brief=True, durable=True)
        if number % 10 == 0:
            await asyncio.to_thread(wait_until, lambda: worker._file.unsynced_for_s() is None)
    assert log.stat().st_size < 200 * 4096


async def test_the_log_is_begun_anew_by_the_thread_which_may_wait_for_the_disk(
    worker: SqliteWorker, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun() -> bytes:
        return file.with_name("steps.db-wal").read_bytes()[16:24]  # SQLite's file format, section 4.1: the log's salts

    monkeypatch.setattr("hfchat.ledger.sqlite_file.CHECKPOINT_EVERY", 1)
    await worker.run(step("first"), durable=True)
    await asyncio.to_thread(wait_until, lambda: worker._file._commits == 0)
    anew = begun()
    assert await worker.run(step("brief"), brief=True) != "hfchat-ledger"
    assert begun() == anew


async def test_two_event_loops_may_ask(worker: SqliteWorker) -> None:
    await worker.run(step("first"))

    def ask(name: str) -> None:
        async def all_of_it() -> None:
            for number in range(100):
                await worker.run(step(f"{name}{number}"), brief=True)

        asyncio.run(all_of_it())

    await asyncio.gather(asyncio.to_thread(ask, "a"), asyncio.to_thread(ask, "b"))
    done = await worker.run(steps, writes=False)
    assert len(done) == 201
    assert [name for name in done if name.startswith("a")] == [f"a{number}" for number in range(100)]
