"""Parts that many tests share: a key, tokens made with it, a stub upstream, and the whole program on a real port."""

import asyncio
import gc
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from hfchat.auth.own_tokens import issue_token
from hfchat.config.settings import Settings, load_settings
from hfchat.http.protocol import HeadLimitProtocol
from hfchat.ledger.store import Store
from hfchat.types import Upstream
from tests.support.stub_upstream import StubUpstream

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.scripted_upstream import ScriptedUpstream

HERE = Path(__file__).parent
# Nothing here calls by TLS but to certificates of its own: with all authorities of the machine each client takes 20 ms to make.
os.environ["SSL_CERT_FILE"] = str(HERE / "data" / "authority.pem")

# What pytest makes of the test files takes it seconds. It is kept, in pytest's folder where there shall be none beside sources.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(HERE.parent / ".pytest_cache" / "bytecode")

KEY = "Rk9vQmFyQmF6UXV4Q29yZ2VHcmF1bHRXYWxkb0ZyZWQ"

# How the tests call: patient with a busy machine, and with one context.
TLS = ssl.create_default_context()
CALL = {"timeout": 60, "verify": TLS}

# How long an example takes says something of the machine only.
hypothesis_settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("busy")


@pytest.hookimpl(tryfirst=True)  # before pytest itself selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
        if item.path.parent.name == "whole":
            item.add_marker("whole")

    # The longest first, so that no worker is alone with one of them at the end: browsers, whole programs, large files.
    def rank(item: pytest.Item) -> tuple[bool, bool, int]:
        first = [item.get_closest_marker(name) is None for name in ("browser", "whole")]
        return (first[0], first[1], -item.path.stat().st_size)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    # What has been imported stays: a million objects that need not be looked through at every collection.
    gc.collect()
    gc.freeze()
    # Each start of the program makes more objects than the usual 700, and keeps them.
    gc.set_threshold(50_000, 20, 20)


def make_token(subject: str = "alice", *, ttl_s: int = 3600, scopes: tuple[str, ...] = ("chat",), **more: Any) -> str:
    return issue_token(KEY, subject, ttl_s=ttl_s, scopes=scopes, **more)


def make_settings(**variables: str) -> Settings:
    """Settings with a key, a ledger in memory, limits that no test meets by accident, and no patience with what fails."""
    roomy = {"HFCHAT_RATE": "1000000/minute", "HFCHAT_BUDGET": "1000000000/day", "HFCHAT_STREAMS": "1000"}
    roomy["HFCHAT_PATIENCE_S"] = "0"
    return load_settings({"JWT_SECRET": KEY, "HFCHAT_STORE": "memory://", **roomy, **variables})


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections: none of these can take it."""
    while True:
        port = SystemRandom().randrange(20_000, 32_768)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class RunningApp:
    """The program in a thread of this process, behind a real uvicorn on a real port."""

    def __init__(self, settings: Settings, upstream: Upstream | None, store: Store | None, **server: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings
        self._upstream = upstream
        self._store = store
        self._options = server
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(60)
        wait_until(lambda: self._server.started)

    def stop(self) -> None:
        self.in_loop(self.app.state.drain.begin)
        self._server.should_exit = True
        self._thread.join(60)

    async def _serve(self) -> None:
        # Gradio makes an event loop of its own, and leaves it open, where none runs.
        self.loop = asyncio.get_running_loop()
        # Here: the process that only hands out the tests need not wait for Gradio.
        from hfchat.app import create_app

        self.app: FastAPI = create_app(self._settings, self._upstream, self._store)
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            http=HeadLimitProtocol,
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

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(60)


@contextmanager
def running(
    settings: Settings, upstream: Upstream | None = None, store: Store | None = None, **server: Any
) -> Iterator[RunningApp]:
    """The program, started and stopped. `server` are more options of uvicorn's."""
    served = RunningApp(settings, upstream, store, **server)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def wait_until(fact: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait for a fact to come true. Raises: AssertionError where it does not in time, which is ample on a busy machine."""
    until = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _upstreams_as_new(request: pytest.FixtureRequest) -> None:
    """What a test before this one has told a shared upstream to do is over, also where this one names only the program."""
    for name in {"shared_stub", "module_upstream"}.intersection(request.fixturenames):
        request.getfixturevalue(name).forget()


@pytest.fixture(scope="session")
def shared_stub() -> Iterator[StubUpstream]:
    with StubUpstream() as upstream:
        yield upstream


@pytest.fixture
def stub(shared_stub: StubUpstream) -> Iterator[StubUpstream]:
    """A stub upstream that has heard nothing yet, and echoes."""
    shared_stub.forget()
    yield shared_stub
    wait_until(lambda: shared_stub.in_progress == 0)
    shared_stub.forget()


@pytest.fixture(scope="session")
def offline_app() -> Iterator[RunningApp]:
    """The program as it starts with nothing but a key set: the offline stand-in answers."""
    with running(make_settings()) as app:
        yield app


@pytest.fixture(scope="session")
def shared_app(shared_stub: StubUpstream) -> Iterator[RunningApp]:
    settings = make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, HF_CHAT_MODELS="*", HF_CHAT_TIMEOUT_S="60")
    with running(settings) as app:
        yield app


@pytest.fixture
def stub_app(shared_app: RunningApp, stub: StubUpstream) -> RunningApp:
    """The program in front of the stub upstream."""
    return shared_app


@pytest.fixture(scope="session")
def app(shared_stub: StubUpstream) -> Iterator[RunningApp]:
    """The program with one model, in front of the stub upstream: what most tests of the page look at."""
    with running(make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, HF_CHAT_TIMEOUT_S="60")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One for all tests of a file. It cannot stay for longer: where Playwright is at work, no other event loop runs."""
    from tests.support.browser import chromium  # only where a page is looked at

    with chromium() as found:
        yield found


@pytest.fixture
def upstream(module_upstream: "ScriptedUpstream") -> "ScriptedUpstream":
    """The file's own scripted upstream, which has heard nothing yet, and echoes."""
    module_upstream.forget()
    return module_upstream


def page_client(app: RunningApp, token: str | None = None) -> Any:
    """Gradio's own client, signed in. Whoever asks for it closes it."""
    from gradio_client import Client  # it imports the hub's client, which hfchat keeps quiet when it is first

    headers = {"Authorization": f"Bearer {token or make_token()}"}
    return Client(app.url, headers=headers, verbose=False, analytics_enabled=False, ssl_verify=TLS)


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
