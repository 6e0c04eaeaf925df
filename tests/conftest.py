"""Parts that many tests share: a key, tokens made with it, a stub upstream, and the whole program on a real port."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from hfchat.app import create_app
from hfchat.ledger import Ledger
from hfchat.serve import BoundedHead
from hfchat.settings import Settings, load_settings
from hfchat.tokens import issue_token
from hfchat.types import Upstream
from tests.stub_upstream import StubUpstream

KEY = "Rk9vQmFyQmF6UXV4Q29yZ2VHcmF1bHRXYWxkb0ZyZWQ"


def make_token(subject: str = "alice", *, ttl_s: int = 3600, scopes: tuple[str, ...] = ("chat",), **more: Any) -> str:
    return issue_token(KEY, subject, ttl_s=ttl_s, scopes=scopes, **more)


def make_settings(**variables: str) -> Settings:
    """Settings with a key, a ledger in memory, and limits that no test meets by accident."""
    roomy = {"HFCHAT_RATE": "1000000/minute", "HFCHAT_BUDGET": "1000000000/day", "HFCHAT_STREAMS": "1000"}
    return load_settings({"JWT_SECRET": KEY, "HFCHAT_STORE": "memory://", **roomy, **variables})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RunningApp:
    """The program in a thread of this process, behind a real uvicorn on a real port."""

    def __init__(self, settings: Settings, upstream: Upstream | None, ledger: Ledger | None, **server: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings
        self._upstream = upstream
        self._ledger = ledger
        self._options = server
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(30)
        wait_until(lambda: self._server.started, 30)

    def stop(self) -> None:
        self.in_loop(self.app.state.drain.begin)
        self._server.should_exit = True
        self._thread.join(15)

    async def _serve(self) -> None:
        # Gradio makes an event loop of its own, and leaves it open, where none runs.
        self.loop = asyncio.get_running_loop()
        self.app: FastAPI = create_app(self._settings, self._upstream, self._ledger)
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            http=BoundedHead,
            port=self.port,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            backlog=2048,
            **self._options,
        )
        self._server = uvicorn.Server(config)
        self._started.set()
        await self._server.serve()

    def in_loop(self, function: Callable[[], Any]) -> Any:
        """The function's result, called inside the server's event loop."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)


@contextmanager
def running(
    settings: Settings, upstream: Upstream | None = None, ledger: Ledger | None = None, **server: Any
) -> Iterator[RunningApp]:
    """The program, started and stopped. `server` are more options of uvicorn's."""
    served = RunningApp(settings, upstream, ledger, **server)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def wait_until(fact: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait for a fact to come true. Raises: AssertionError where it does not in time."""
    until = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def stub() -> Iterator[StubUpstream]:
    with StubUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def offline_app() -> Iterator[RunningApp]:
    """The program as it starts with nothing but a key set: the offline stand-in answers."""
    with running(make_settings()) as app:
        yield app


@pytest.fixture
def stub_app(stub: StubUpstream) -> Iterator[RunningApp]:
    """The program in front of the stub upstream."""
    with running(make_settings(HF_CHAT_BASE_URL=stub.base_url, HF_CHAT_MODELS="*", HF_CHAT_TIMEOUT_S="5")) as app:
        yield app


@pytest.fixture
def auth() -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token()}"}


@pytest.fixture
def loggers_as_they_were() -> Iterator[None]:
    """For what sets the log up: it stays so for this test only."""
    before = [(found, found.__dict__.copy()) for found in map(logging.getLogger, ("hfchat", "uvicorn", "asyncio"))]
    yield
    for found, state in before:
        found.handlers, found.propagate = state["handlers"], state["propagate"]
        found.setLevel(state["level"])


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
