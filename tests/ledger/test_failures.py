"""A store that is gone, full, corrupt, locked, frozen or killed: the answer is no, in time, and it heals by itself."""

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hfchat.errors import StoreUnavailable
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import Principal
from hfchat.ledger.open_store import open_store
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.ledger.store import Store
from hfchat.types import Usage
from tests.conftest import make_settings, running
from tests.support.ledger_questions import NOON, account, ask, reserve, used
from tests.support.raw_client import ask as ask_over_http
from tests.support.raw_client import bearer, post
from tests.support.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

# An answer within two seconds where nothing else is done; a busy machine may take some more to ask.
IN_TIME_S = 10


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "books" / "ledger.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    opened = SqliteStore(file)
    yield opened
    await opened.close()


async def is_a_no(store: Store) -> None:
    began = time.monotonic()
    answers = await asyncio.gather(
        reserve(store, ask("no")),
        store.settle(ask("no"), Usage(0, 0), now=NOON),
        store.renew(["no"], now=NOON, lease_ends=NOON),
        store.revoke("no", now=NOON, until=NOON),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 4
    assert time.monotonic() - began < IN_TIME_S


def gone(file: Path) -> Callable[[], object]:
    moved = [(path, path.with_name(f"{path.name}.away")) for path in (file, *file.parent.glob("ledger.db-*"))]
    for path, away in moved:
        path.rename(away)
    return lambda: [away.rename(path) for path, away in moved]


def folder_gone(file: Path) -> Callable[[], object]:
    away = file.parent.with_name("away")
    file.parent.rename(away)
    return lambda: away.rename(file.parent)


def folder_empty(file: Path) -> Callable[[], object]:
    """What is left where a volume was mounted."""
    back = folder_gone(file)
    file.parent.mkdir()

    def heal() -> None:
        file.parent.rmdir()
        back()

    return heal


def no_database(file: Path) -> Callable[[], object]:
    back = gone(file)
    file.write_bytes(b"no database " * 1000)

    def heal() -> None:
        for path in (file, *file.parent.glob("ledger.db-*")):
            if path.suffix != ".away" and not path.name.endswith(".away"):
                path.unlink()
        back()

    return heal


def a_folder_instead(file: Path) -> Callable[[], object]:
    back = gone(file)
    file.mkdir()

    def heal() -> None:
        file.rmdir()
        back()

    return heal


def locked(file: Path) -> Callable[[], object]:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


def an_empty_file(file: Path) -> Callable[[], object]:
    """As whoever wants to begin anew might leave it: everybody's budget would be whole, and every revoked token good."""
    back = gone(file)
    file.touch()

    def heal() -> None:
        file.unlink()
        back()

    return heal


FAILURES = (an_empty_file, gone, folder_gone, folder_empty, no_database, a_folder_instead, locked)


@pytest.mark.parametrize("fail", FAILURES, ids=lambda fail: fail.__name__)
async def test_a_file_that_fails_is_a_no_and_heals(
    store: Store, file: Path, fail: Callable[[Path], Callable[[], object]]
) -> None:
    await reserve(store, ask("before"))
    heal = fail(file)
    await is_a_no(store)
    heal()
    assert await used(store) == (1, 100, 1)
    assert (await reserve(store, ask("after"))).refused is None
    await store.settle(ask("before"), Usage(7, 5), now=NOON)
    assert await used(store) == (2, 112, 1)


async def test_a_file_that_is_gone_for_good_is_not_made_again_while_the_program_runs(store: Store, file: Path) -> None:
    await reserve(store, ask("before"))
    gone(file)
    await is_a_no(store)
    assert not file.exists()


async def test_the_file_and_its_folder_are_made_on_first_use_for_their_owner_alone(store: Store, file: Path) -> None:
    assert not file.parent.exists()
    await reserve(store, ask())
    assert file.is_file()
    assert file.parent.stat().st_mode & 0o077 == 0
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA user_version").fetchone() == (4,)
    assert file.stat().st_mode & 0o077 == 0
    db.close()


async def test_a_file_of_a_newer_version_is_left_alone(store: Store, file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    await is_a_no(store)


async def test_a_file_that_is_older_is_brought_up_to_date_and_keeps_what_it_has(file: Path) -> None:
    from hfchat.ledger.sqlite_worker import SqliteWorker

    first = SqliteWorker(file, ("CREATE TABLE a (x); INSERT INTO a VALUES (1)",))
    await first.run(lambda db: db.execute("INSERT INTO a VALUES (2)"))
    first.close()
    second = SqliteWorker(file, ("never run again", "CREATE TABLE b (y)"))
    assert await second.run(lambda db: db.execute("SELECT x FROM a, (SELECT 1) WHERE x > 1").fetchall()) == [(2,)]
    assert await second.run(lambda db: db.execute("SELECT COUNT(*) FROM b").fetchall()) == [(0,)]
    second.close()


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from hfchat.errors import StoreUnavailable
from hfchat.ledger.sqlite_store import SqliteStore
from tests.support.ledger_questions import ask, reserve, used

async def main():
    ledger = SqliteStore(Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    await reserve(ledger, ask("before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1] + "-wal").stat().st_size, hard))
    noes = 0
    for number in range(20):
        try:
            await reserve(ledger, ask(str(number), rate=99, budget=10**6, streams=None))
        except StoreUnavailable:
            noes += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    counted = await used(ledger)
    assert noes > 0 and counted[0] == 21 - noes, (noes, counted)
    await reserve(ledger, ask("after", rate=99, budget=10**6, streams=None))
    await ledger.close()
    print("healed")

asyncio.run(main())
"""


def test_a_full_disk_is_a_no_and_heals(file: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.stdout, ran.returncode) == ("healed\n", 0), ran.stderr


READ_ONLY = """
import asyncio, concurrent.futures.thread, os, tempfile
from pathlib import Path
from hfchat.errors import StoreUnavailable
from hfchat.ledger.sqlite_store import SqliteStore
from tests.support.ledger_questions import ask, reserve, used

async def main():
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            os.chown(folder, 65534, 65534)
            os.setuid(65534)  # to root nothing is read-only
        file = Path(folder) / "ledger.db"
        ledger = SqliteStore(file)
        await reserve(ledger, ask("before"))
        await ledger.close()
        paths = [file, Path(folder)]
        for path in paths:
            path.chmod(path.stat().st_mode & ~0o222)
        ledger = SqliteStore(file)
        for _ in range(3):
            try:
                await reserve(ledger, ask("no"))
            except StoreUnavailable:
                continue
            raise AssertionError("it was taken")
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)
        await reserve(ledger, ask("after"))
        assert (await used(ledger))[0] == 2
        await ledger.close()
        print("healed")

asyncio.run(main())
"""


@pytest.mark.whole
def test_a_file_that_may_not_be_written_is_a_no_and_heals() -> None:
    ran = subprocess.run([sys.executable, "-c", READ_ONLY], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.stdout, ran.returncode) == ("healed\n", 0), ran.stderr


@pytest.mark.whole
async def test_several_processes_open_a_new_file_at_once(file: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from hfchat.ledger.sqlite_store import SqliteStore\n"
        "from tests.support.ledger_questions import ask, reserve\n"
        "async def main():\n"
        "    ledger = SqliteStore(Path(sys.argv[1]))\n"
        "    for n in range(20): await reserve(ledger, ask(f'{sys.argv[2]}-{n}', rate=999, budget=10**9, streams=None))\n"
        "    await ledger.close()\n"
        "asyncio.run(main())"
    )
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(file), str(number)) for number in range(4)
    ]
    assert [await process.wait() for process in running] == [0] * 4
    store = SqliteStore(file)
    assert await used(store) == (80, 8000, 80)
    await store.close()


@pytest.mark.whole
def test_while_the_file_is_locked_every_answer_has_our_form(tmp_path: Path) -> None:
    """For longer than a ledger is waited for: SQLite's own patience, and what waits in line for it, are over then."""
    file = tmp_path / "ledger.db"
    with running(make_settings(HFCHAT_STORE=f"sqlite:///{file}")) as app:
        reservation = {"messages": [{"role": "user", "content": "Hello"}]}
        assert post(app, "/api/ai/chat", reservation).status == 200
        unlock = locked(file)
        try:
            with ThreadPoolExecutor(12) as threads:
                answers = list(threads.map(lambda _: post(app, "/api/ai/chat", reservation), range(12)))
            answers.append(ask_over_http(app, "GET", "/api/ai/usage", bearer()))
        finally:
            unlock()
        assert {(said.status, said.code) for said in answers if said.status != 200} == {(503, "store_unavailable")}
        assert post(app, "/api/ai/chat", reservation).status == 200


async def test_the_event_loop_goes_on_while_the_file_is_locked(store: Store, file: Path) -> None:
    await reserve(store, ask("before"))
    unlock = locked(file)
    waiting = asyncio.create_task(reserve(store, ask("after")))
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    unlock()
    assert (await waiting).refused is None


async def test_what_was_asked_together_is_answered_together_and_one_who_left_is_not_done(store: Store) -> None:
    await reserve(store, ask("first"))
    tasks = [asyncio.create_task(reserve(store, ask(str(n), rate=99, streams=None))) for n in range(5)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    requests, _, _ = await used(store)
    assert requests in (5, 6)


async def test_what_is_reserved_is_handed_to_the_disk_after_it_was_answered(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, began = threading.Event(), threading.Event()
    real = os.fdatasync

    def slowly(descriptor: int) -> None:
        began.set()
        disk.wait(30)
        real(descriptor)

    monkeypatch.setattr("hfchat.ledger.sqlite_file.os.fdatasync", slowly)
    assert (await reserve(store, ask("a"))).refused is None
    assert await asyncio.to_thread(began.wait, 30)
    disk.set()


async def test_a_revocation_is_on_the_disk_before_it_is_answered(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    monkeypatch.setattr("hfchat.ledger.sqlite_file.os.fdatasync", lambda _: disk.wait(30))
    revoking = asyncio.create_task(store.revoke("jti", now=NOON, until=NOON + 60))
    await asyncio.sleep(0.05)
    assert not revoking.done()
    disk.set()
    await revoking


async def test_a_disk_that_does_not_take_it_is_a_no_and_heals(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def fails(_: int) -> None:
        failed.set()
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as broken:
        broken.setattr("hfchat.ledger.sqlite_file.os.fdatasync", fails)
        # The first is answered before that is known; from then on nothing is.
        await reserve(store, ask("a"))
        assert await asyncio.to_thread(failed.wait, 30)
        with pytest.raises(StoreUnavailable):
            await reserve(store, ask("b"))
        with pytest.raises(StoreUnavailable):
            await store.revoke("jti", now=NOON, until=NOON + 60)
    assert (await reserve(store, ask("c"))).refused is None


async def test_a_ledger_that_is_closed_says_no(file: Path) -> None:
    store = SqliteStore(file)
    await reserve(store, ask())
    await store.close()
    await is_a_no(store)


# --- Redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@asynccontextmanager
async def on(server: RedisServer) -> AsyncIterator[Store]:
    server.set_quota("FLUSHALL")
    store = open_store(server.url)
    try:
        yield store
    finally:
        await store.close()


async def test_a_server_that_is_killed_is_a_no_and_comes_back_with_the_books(server: RedisServer) -> None:
    async with on(server) as store:
        await reserve(store, ask("before"))
        server.kill()
        await is_a_no(store)
        server.start()
        assert await used(store) == (1, 100, 1)
        assert (await reserve(store, ask("after"))).refused is None


@pytest.mark.whole
async def test_a_server_that_hangs_is_a_no_in_time_and_goes_on(server: RedisServer) -> None:
    async with on(server) as store:
        ledger = Ledger(store)
        await reserve(store, ask("before"))
        server.freeze()
        try:
            began = time.monotonic()
            results = await asyncio.gather(*(ledger.revoked(["x"]) for _ in range(100)), return_exceptions=True)
            assert all(isinstance(result, StoreUnavailable) for result in results)
            assert time.monotonic() - began < IN_TIME_S
        finally:
            server.thaw()
        assert (await reserve(store, ask("after"))).refused is None
        assert (await account(store)).requests == 2


async def test_a_server_that_comes_back_empty_is_no_store_until_the_program_starts_again(server: RedisServer) -> None:
    async with on(server) as store:
        await store.revoke("jti-1", now=NOON, until=NOON + 100)
        server.set_quota("FLUSHALL")
        await is_a_no(store)
        for refused in (store.revoked(["jti-1"], now=NOON), store.totals(None, now=NOON), used(store)):
            with pytest.raises(StoreUnavailable):
                await refused
        anew = open_store(server.url)
        assert (await reserve(anew, ask())).refused is None
        await is_a_no(store)
        await anew.close()


async def test_a_reservation_that_comes_after_it_was_given_back_is_not_taken(server: RedisServer) -> None:
    async with on(server) as store:
        await store.settle(ask("late"), Usage(0, 0), now=NOON)
        await reserve(store, ask("late"))
        assert await used(store) == (0, 0, 0)


async def test_a_reservation_is_asked_for_again_and_was_taken_before_its_token_was_taken_back(
    server: RedisServer,
) -> None:
    async with on(server) as store:
        await reserve(store, ask("taken"))
        await store.revoke("jti-1", now=NOON, until=NOON + 60)
        assert not (await reserve(store, ask("taken"))).revoked
        assert (await reserve(store, ask("not taken"))).revoked
        assert await used(store) == (1, 100, 1)


async def test_a_reservation_of_which_a_part_was_evicted_stops_nothing(server: RedisServer) -> None:
    async with on(server) as store:
        await reserve(store, ask("evicted"))
        await reserve(store, ask("kept"))
        server.set_quota("DEL", "hfchat:reservation:evicted")
        later = NOON + 100_000
        await store.renew([], now=later, lease_ends=later + 60)
        assert (await account(store, later)).prompt_tokens == 60


@pytest.mark.whole
async def test_thousands_of_accounts_are_read_in_few_steps(server: RedisServer) -> None:
    async with on(server) as store:
        for number in range(450):
            await reserve(store, ask(str(number), principal=Principal("hfchat", f"p{number}")))
        assert len(await store.totals(None, now=NOON)) == 450


async def test_connections_that_went_stale_are_no_reason_to_refuse(server: RedisServer) -> None:
    async with on(server) as store:
        await asyncio.gather(*(used(store) for _ in range(10)))
        server.kill()
        server.start()
        await asyncio.gather(*(used(store) for _ in range(10)))


async def test_a_server_that_is_read_only_or_out_of_memory_is_a_no(server: RedisServer) -> None:
    async with on(server) as store:
        await reserve(store, ask("before"))
        server.set_quota("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable):
                await reserve(store, ask("no"))
        finally:
            server.set_quota("CONFIG", "SET", "maxmemory", "0")
        assert await used(store) == (1, 100, 1)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "valkey://127.0.0.1:1", "valkeys://127.0.0.1:1", "unix:///nowhere.sock"]
)
async def test_a_server_that_is_not_there_is_a_no(url: str) -> None:
    store = open_store(url)
    await is_a_no(store)
    await store.close()


@pytest.mark.parametrize("url", ["postgres://host/db", "sqlite:", "", "memory"])
def test_another_kind_of_store_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="no store"):
        open_store(url)


def test_the_redis_client_is_not_needed_for_the_other_stores() -> None:
    code = (
        "import sys; from hfchat.ledger.open_store import open_store\n"
        "open_store('memory://'); assert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
