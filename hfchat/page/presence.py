"""Disconnect detection: whether anybody still listens to a turn of the page, also if a tab closes before its stream opens.

Gradio ends a turn when its stream ends, and a page opens that only after its question was accepted. An idle page has no open
connection: over HTTP/1.1 a browser opens six to one server, for all its tabs together. So a page sends a request when it is
closed. Where a browser crashed, or could not send it, a turn without a stream ends by itself.
"""

import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qsl
from weakref import WeakValueDictionary

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hfchat.errors import InvalidRequest
from hfchat.page.sessions import HEARTBEAT, LEFT, PageRequest

_STREAM, _JOIN = "/gradio_api/queue/data", "/gradio_api/queue/join"
# Between two streams of a turn there may be a moment without.
GONE_S = 0.5
# From the question to its stream: a request and its answer, over a network that may be slow.
LATE_S = 30.0


class OpenConnections:
    """The open connections of each page, by its session, and who listens to its turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._open: Counter[str] = Counter()
        self._listeners: WeakValueDictionary[str, Listener] = WeakValueDictionary()
        self._clock = clock

    def turn(self, path: str, session: str | None) -> "Listener":
        """For a turn that was asked for at this path. What was not asked by a page has its answer fetched at any time."""
        listener = Listener(self, session if path.endswith(_JOIN) else None, self._clock)
        if session is not None:
            self._listeners[session] = listener
        return listener

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

    def left(self, session: str) -> None:
        """The page is gone: nobody listens to its turn any more."""
        listener = self._listeners.get(session)
        if listener is not None:
            listener.leave()


class Listener:
    """Whoever asked for one turn."""

    def __init__(self, connections: OpenConnections, session: str | None, clock: Callable[[], float]) -> None:
        self._connections = connections
        self._session = session
        self._clock = clock
        self._left = False
        self._missed_since: float | None = None
        self._patience_s = LATE_S

    def leave(self) -> None:
        """The page that asked is gone."""
        self._left = self._session is not None

    def disconnected(self) -> bool:
        """Whether they listen no more. To be asked again and again."""
        if self._session is None or self._left:
            return self._left
        if self._connections.any(self._session):
            self._missed_since, self._patience_s = None, GONE_S
            return False
        if self._missed_since is None:
            self._missed_since = self._clock()
        return self._clock() - self._missed_since > self._patience_s


class ConnectionTracker:
    """ASGI middleware of Gradio's application: notes the connections of pages that stay open, and which pages go."""

    def __init__(self, app: ASGIApp, *, connections: OpenConnections) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer a page that goes. Raises: InvalidRequest where it does not say which one it is."""
        if scope["type"] == "http" and scope["path"] == LEFT:
            request: PageRequest | None = scope.get(PageRequest.KEY)
            if request is None or request.session is None:
                raise InvalidRequest("session_hash", param="session_hash")
            self._connections.left(request.session)
            return await Response(status_code=204)(scope, receive, send)
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
