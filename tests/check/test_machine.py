"""What `check` says of the key, the clock, the ledger, SQLite and the port."""

import errno
import socket
import sqlite3
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest

from hfchat.check.machine import ask_port, ask_store, clock, key, sqlite
from hfchat.config.settings import load_settings
from tests.conftest import KEY, RunningApp, free_port, make_settings
from tests.support.identity_provider import public_pem
from tests.support.rows import each_row
from tests.support.stub_hub import StubHub

pytestmark = pytest.mark.anyio
NOW = 1_780_000_000.0


def test_a_key_is_good_where_it_stays() -> None:
    assert key(make_settings()).reason == "key_strong"
    assert key(load_settings({"JWT_PUBLIC_KEY": public_pem("p256")})).reason == "key_of_others"
    for made_or_none in (load_settings({}), load_settings({"SPACE_ID": "a/b"})):
        assert (key(made_or_none).status, key(made_or_none).reason) == ("wrong", "key_missing")
    assert KEY not in f"{key(make_settings())}"


CLOCKS: dict[str, tuple[str | None, str, str]] = {
    "the same": (formatdate(NOW, usegmt=True), "clock_right", ""),
    "a minute behind": (formatdate(NOW + 60, usegmt=True), "clock_right", ""),
    "more": (formatdate(NOW + 61, usegmt=True), "clock_behind", "61 seconds"),
    "an hour ahead": (formatdate(NOW - 3600, usegmt=True), "clock_ahead", "3600 seconds"),
    "no date": (None, "clock_unknown", ""),
    "no date at all": ("yesterday", "clock_unknown", ""),
    "no day": ("Mon, 99 Nov 2026 10:00:00 GMT", "clock_unknown", ""),
}


@each_row(("date", "reason", "says"), CLOCKS.values(), ids=CLOCKS)
def test_the_clock_is_right_to_the_minute(date: str | None, reason: str, says: str) -> None:
    answer = clock(date, NOW)
    assert answer.reason == reason
    assert says in answer.words("en").says
    assert answer.status == {"clock_right": "good", "clock_unknown": "unknown"}.get(reason, "wrong")


@pytest.mark.parametrize(("version", "reason"), [((3, 40, 1), "sqlite_guarded"), ((3, 51, 3), "sqlite_sound")])
def test_sqlite_is_sound_or_guarded(version: tuple[int, int, int], reason: str) -> None:
    answer = sqlite(version)
    assert (answer.status, answer.reason) == ("good", reason)
    assert ".".join(map(str, version)) in answer.words("es").says


async def store(url: str) -> tuple[str, str]:
    answer = await ask_store(make_settings(HFCHAT_STORE=url))
    return answer.status, answer.reason


async def test_a_ledger_in_memory_is_said_to_forget() -> None:
    assert await store("memory://") == ("good", "store_in_memory")


async def test_a_ledger_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper" / "ledger.db"
    assert await store(f"sqlite:///{path}") == ("good", "store_not_there_yet")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    assert await store(f"sqlite:///{tmp_path}/file/ledger.db") == ("wrong", "store_no_folder")


async def test_a_ledger_takes_a_change_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    assert await store(f"sqlite:///{path}") == ("good", "store_writable")
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(*) FROM answers").fetchone() == (0,)
    db.close()


async def test_a_ledger_that_refuses_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database" * 100)
    answer = await ask_store(make_settings(HFCHAT_STORE=f"sqlite:///{path}"))
    assert (answer.status, answer.reason) == ("wrong", "store_refuses")
    assert "DatabaseError" in answer.words("en").says


async def test_a_ledger_that_is_away_is_wrong_and_its_password_is_not_said() -> None:
    answer = await ask_store(make_settings(HFCHAT_STORE="redis://:a-password@127.0.0.1:9/0"))
    assert (answer.status, answer.reason) == ("wrong", "store_refuses")
    assert "a-password" not in f"{answer} {answer.words('en')}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


async def port(number: int, name: str = "127.0.0.1") -> tuple[str, str]:
    settings = make_settings(GRADIO_SERVER_PORT=str(number), GRADIO_SERVER_NAME=name)
    async with httpx2.AsyncClient(timeout=0.2, trust_env=False) as client:
        answer = await ask_port(client, settings)
    return answer.status, answer.reason


async def test_a_port_is_free_or_ours_or_taken(offline_app: RunningApp, listener: socket.socket) -> None:
    assert await port(free_port()) == ("good", "port_free")
    assert await port(offline_app.port) == ("good", "port_ours")
    assert await port(listener.getsockname()[1]) == ("wrong", "port_taken")


async def test_another_web_server_is_not_ours(stub_port: int) -> None:
    assert await port(stub_port) == ("wrong", "port_taken")


@pytest.fixture
def stub_port() -> Iterator[int]:
    with StubHub() as hub:
        hub.answers["GET /healthz"] = (200, {"status": "ok"})
        yield int(hub.url.rpartition(":")[2])


REFUSALS = {
    "forbidden": (errno.EACCES, "port_forbidden"),
    "no address": (errno.EADDRNOTAVAIL, "port_no_address"),
    "taken": (errno.EADDRINUSE, "port_taken"),
}


@pytest.mark.parametrize(("number", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_a_port_that_cannot_be_listened_on_says_why(
    monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    number_of_port = free_port()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr("hfchat.check.machine.socket.create_server", refuse)
    assert await port(number_of_port) == ("wrong", reason)


def test_a_real_date_is_read() -> None:
    assert clock(formatdate(time.time(), usegmt=True)).status == "good"
