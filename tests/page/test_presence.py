"""A turn of the page ends with whoever asked for it, also where the page closed before it listened."""

import asyncio

import httpx2
import pytest

from hfchat.page.presence import GONE_S, LATE_S, Listeners, Listening

pytestmark = pytest.mark.anyio
JOIN = "/gradio_api/queue/join"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_page_that_closes_is_missed_after_a_moment() -> None:
    clock = Clock()
    listeners = Listeners(clock)
    listeners.opened("a")
    turn = listeners.turn(JOIN, "a")
    clock.now = 1000
    assert not turn.gone()
    listeners.opened("a")
    listeners.closed("a")
    assert not turn.gone()
    listeners.closed("a")
    listeners.opened("another")
    assert not turn.gone()
    clock.now += GONE_S + 0.01
    assert turn.gone()


def test_a_moment_between_two_connections_is_no_end() -> None:
    clock = Clock()
    listeners = Listeners(clock)
    listeners.opened("a")
    turn = listeners.turn(JOIN, "a")
    for _ in range(5):
        listeners.closed("a")
        clock.now += GONE_S / 2
        assert not turn.gone()
        listeners.opened("a")
        assert not turn.gone()
        clock.now += 10


def test_who_was_never_connected_may_come_late_but_not_for_ever() -> None:
    clock = Clock()
    turn = Listeners(clock).turn(f"/behind/a/proxy{JOIN}", "a")
    assert not turn.gone()
    clock.now = LATE_S - 1
    assert not turn.gone()
    clock.now = LATE_S + 1
    assert turn.gone()


def test_what_is_fetched_later_has_all_the_time_there_is() -> None:
    clock = Clock()
    turn = Listeners(clock).turn("/gradio_api/call/chat", "a")
    clock.now = 10_000
    assert not turn.gone()


@pytest.mark.parametrize(
    ("path", "noted"),
    [
        ("/gradio_api/heartbeat/a", True),
        ("/gradio_api/queue/data?session_hash=a", True),
        ("/gradio_api/queue/data", False),
        ("/gradio_api/queue/join?session_hash=a", False),
        ("/", False),
    ],
)
async def test_connections_that_stay_open_are_noted_while_they_are(path: str, noted: bool) -> None:
    listeners = Listeners()
    went = asyncio.Event()

    async def app(scope: object, receive: object, send: object) -> None:
        assert listeners.any("a") is noted
        went.set()
        raise ConnectionError

    transport = httpx2.ASGITransport(app=Listening(app, listeners=listeners))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as web:
        with pytest.raises(ConnectionError):
            await web.get(path)
    assert went.is_set()
    assert not listeners.any("a")
