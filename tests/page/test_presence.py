"""A turn of the page ends with whoever asked for it, also where the page closed before it listened."""

import asyncio

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from hfchat.errors import InvalidRequest
from hfchat.page.presence import GONE_S, LATE_S, ConnectionTracker, OpenConnections
from hfchat.page.sessions import LEFT, PageRequest

pytestmark = pytest.mark.anyio
JOIN = "/gradio_api/queue/join"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_page_that_closes_is_missed_after_a_moment() -> None:
    clock = Clock()
    connections = OpenConnections(clock)
    connections.opened("a")
    turn = connections.turn(JOIN, "a")
    clock.now = 1000
    assert not turn.disconnected()
    connections.opened("a")
    connections.closed("a")
    assert not turn.disconnected()
    connections.closed("a")
    connections.opened("another")
    assert not turn.disconnected()
    clock.now += GONE_S + 0.01
    assert turn.disconnected()


def test_a_moment_between_two_connections_is_no_end() -> None:
    clock = Clock()
    connections = OpenConnections(clock)
    connections.opened("a")
    turn = connections.turn(JOIN, "a")
    for _ in range(5):
        connections.closed("a")
        clock.now += GONE_S / 2
        assert not turn.disconnected()
        connections.opened("a")
        assert not turn.disconnected()
        clock.now += 10


def test_who_was_never_connected_may_come_late_but_not_for_ever() -> None:
    clock = Clock()
    turn = OpenConnections(clock).turn(f"/behind/a/proxy{JOIN}", "a")
    assert not turn.disconnected()
    clock.now = LATE_S - 1
    assert not turn.disconnected()
    clock.now = LATE_S + 1
    assert turn.disconnected()


def test_what_is_fetched_later_has_all_the_time_there_is() -> None:
    clock = Clock()
    turn = OpenConnections(clock).turn("/gradio_api/call/chat", "a")
    clock.now = 10_000
    assert not turn.disconnected()


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
    connections = OpenConnections()
    went = asyncio.Event()

    async def app(scope: object, receive: object, send: object) -> None:
        assert connections.any("a") is noted
        went.set()
        raise ConnectionError

    transport = httpx2.ASGITransport(app=ConnectionTracker(app, connections=connections))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as web:
        with pytest.raises(ConnectionError):
            await web.get(path)
    assert went.is_set()
    assert not connections.any("a")


def test_a_page_that_says_it_goes_is_gone_at_once() -> None:
    connections = OpenConnections(Clock())
    connections.opened("a")
    turns = [
        connections.turn(path, session) for path, session in ((JOIN, "a"), (JOIN, "b"), ("/gradio_api/call/chat", "c"))
    ]
    for session in ("a", "c", "nobody"):
        connections.left(session)
    assert [turn.disconnected() for turn in turns] == [True, False, False]
    assert not connections.turn(JOIN, "a").disconnected()


@pytest.mark.parametrize(("session", "status"), [("a", 204), (None, None)], ids=["named", "not named"])
async def test_a_page_goes_with_its_session(session: str | None, status: int | None) -> None:
    connections = OpenConnections()
    turn = connections.turn(JOIN, "a")

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("it is no request of Gradio's")

    async def tracker(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PageRequest.KEY] = PageRequest("alice", session)
        await ConnectionTracker(app, connections=connections)(scope, receive, send)

    transport = httpx2.ASGITransport(app=tracker)
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as web:
        if status is None:
            with pytest.raises(InvalidRequest):
                await web.post(LEFT)
        else:
            assert (await web.post(LEFT)).status_code == status
    assert turn.disconnected() is (session == "a")
