"""Disconnect detection: whether anybody still listens to a turn of the page, also if a tab closes before its stream opens.

Gradio ends a turn when its stream ends, and a page opens that only after its question was taken.
"""

import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from hfchat.page.sessions import HEARTBEAT

_STREAM, _JOIN = "/gradio_api/queue/data", "/gradio_api/queue/join"
# A page is connected all the time; between two streams there may be a moment without.
GONE_S = 0.5
# Whoever asked without being connected may come late.
LATE_S = 10.0


class OpenConnections:
    """The open connections of each page, by its session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._open: Counter[str] = Counter()
        self._clock = clock

    def turn(self, path: str, session: str | None) -> "Listener":
        """For a turn that was asked for at this path. What was not asked by a page has its answer fetched at any time."""
        return Listener(self, session if path.endswith(_JOIN) else None, self._clock)

    def any(self, session: str) -> bool:
        """Whether a page of this session is connected."""
        return session in self._open

    def opened(self, session: str) -> None:
        """One more connection."""
        self._open[session] += 1

    def closed(self, session: str) -> None:
        """One less."""
        self._open[session] -= 1
        if not self._open[session]:
            del self._open[session]


class Listener:
    """Whoever asked for one turn."""

    def __init__(self, connections: OpenConnections, session: str | None, clock: Callable[[], float]) -> None:
        self._connections = connections
        self._session = session
        self._clock = clock
        self._missed_since: float | None = None
        self._patience_s = LATE_S

    def disconnected(self) -> bool:
        """Whether they listen no more. To be asked again and again."""
        if self._session is None:
            return False
        if self._connections.any(self._session):
            self._missed_since, self._patience_s = None, GONE_S
            return False
        if self._missed_since is None:
            self._missed_since = self._clock()
        return self._clock() - self._missed_since > self._patience_s


class ConnectionTracker:
    """ASGI middleware of Gradio's application: notes the connections of pages that stay open."""

    def __init__(self, app: ASGIApp, *, connections: OpenConnections) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        session = _session(scope)
        if session is None:
            return await self._app(scope, receive, send)
        self._connections.opened(session)
        try:
            await self._app(scope, receive, send)
        finally:
            self._connections.closed(session)
        return None


def _session(scope: Scope) -> str | None:
    if scope["type"] != "http":
        return None
    path: str = scope["path"]
    if path.startswith(HEARTBEAT):
        return path.removeprefix(HEARTBEAT)
    if path == _STREAM:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("session_hash")
    return None
