"""HTTP/1.1 protocol of a connection: uvicorn's, with limits of size, number and time for requests that are not complete.

Extends `HttpToolsProtocol` of the pinned uvicorn; llhttp decides where a message begins and ends (RFC 9112).
"""

import asyncio
import sys
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hfchat.http.buffered_head import BufferedHead

# A head, or trailers, or what is between two chunks. node.js takes 16 kB, Tomcat 8, nginx 32.
MAX_HEAD_BYTES = 64 * 1024
# Browsers send about 20, proxies add some; nginx takes 1,000, Apache 100.
MAX_HEADERS = 256
MAX_PIPELINED = 32
# A head comes in one packet or a few. Apache waits 20 s to 40 s, nginx 60 s.
HEAD_TIMEOUT_S = 20.0
# What nobody reads is held here and in the system, some megabytes a connection. nginx's `send_timeout` is as long.
SEND_TIMEOUT_S = 60.0
# File descriptors for the ledger, the log, and the connections to the provider.
RESERVED_DESCRIPTORS = 2256
# At the limit, one idle connection in so many is closed at once, so that the search for them is rare.
CLOSED_SHARE = 16
_FRAMING = (b"content-length", b"transfer-encoding")


def connection_limit() -> int | None:
    """The most connections that the file descriptors allow; None where the system has no limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(soft - min(soft // 2, RESERVED_DESCRIPTORS), 16)


class HeadLimitProtocol(HttpToolsProtocol):
    """One connection. The head of a response is sent together with the first piece of its body.

    Trailers are dropped: nothing reads them. An offer to upgrade is ignored (RFC 9110 section 7.8), since nothing here speaks
    another protocol. A websocket handshake, which has no body, gets the application's refusal.
    """

    # Bytes read since the start of the message, or since the last piece of its body.
    _head_bytes = 0
    _in_head = False
    _replays = False
    _replayed_whole = False
    _head_timer: asyncio.TimerHandle | None = None
    # Since when it is idle, by the event loop's clock; None while a request is in progress.
    idle_since: float | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(cast(asyncio.Transport, BufferedHead(transport)))
        self.idle_since = self.loop.time()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_timed_out)
        limit = connection_limit()
        if limit is not None and len(self.connections) > limit:
            self._make_room(limit)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client disconnected."""
        self._stop_head_timer()
        self._stop_send_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, or refuse what is no request or too large."""
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            return self._refuse("Invalid HTTP request received.")
        if self._head_bytes > MAX_HEAD_BYTES:
            return self._refuse("The head of the request is too large.")
        if self._head_timer is None and self.timeout_keep_alive_task is None and self._idle():
            # Also for the rest of a body after the response: nothing reads it.
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_timed_out)
        return None

    def on_message_begin(self) -> None:
        """The start of a request."""
        if not self._replays:
            self._head_bytes, self._in_head = 0, True
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if not self._in_head or self._replays:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The end of the head. Raises: ValueError for one that is refused."""
        if self._replays:
            return
        self._in_head = False
        version = self.parser.get_http_version()
        # A tunnel would begin after the head, whatever it says of a body.
        if version not in ("1.0", "1.1") or self.parser.get_method() == b"CONNECT":
            raise ValueError("not a request of HTTP/1")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise ValueError("RFC 9112 section 3.2: one Host")
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110 section 10.1.1
        self._stop_head_timer()
        self.idle_since = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of the request; with an offer to upgrade, only the parser thinks so."""
        if self._replays:
            self._replayed_whole = True
        elif not self.parser.should_upgrade():
            self._complete()

    def _complete(self) -> None:
        super().on_message_complete()
        # A trailer may have said so: the parser reads nothing more.
        self.cycle.keep_alive = self.cycle.keep_alive and self.parser.should_keep_alive()
        if not self._idle() or self.transport.is_closing():
            return
        # What was left of a body has come after the response.
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if not self.cycle.keep_alive:
            self.transport.close()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """The end of the response."""
        super().on_response_complete()
        if self._idle():
            self.idle_since = self.loop.time()

    def pause_writing(self) -> None:
        """The send buffer is full: the client reads slower than it is sent to."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """The client has read on."""
        self._stop_send_timer()
        super().resume_writing()

    def _watch_sending(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(SEND_TIMEOUT_S, self._send_timed_out, unsent)

    def _send_timed_out(self, unsent: int) -> None:
        """Cut the connection if as much waits to be sent as a while ago: nothing of it was read."""
        self._send_timer = None
        if self.transport.get_write_buffer_size() < unsent:
            self._watch_sending()
        else:
            self.transport.abort()

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _idle(self) -> bool:
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    return self.handle_websocket_upgrade()
                data = data[upgrade.args[0] :]
                self._ignore_upgrade()
        return None

    def _ignore_upgrade(self) -> None:
        """Continue as if no upgrade was offered: the parser stops after such a head, and would read its body as a request."""
        framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING]
        closing = b"connection: close\r\n" if self._wants_close() else b""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._replays, self._replayed_whole = True, False
        version = self.scope["http_version"].encode()
        self.parser.feed_data(b"POST / HTTP/%b\r\n%b%b\r\n" % (version, closing, b"".join(framing)))
        self._replays = False
        self.cycle.keep_alive = version == b"1.1" and self.parser.should_keep_alive()
        if self._replayed_whole:
            self._complete()

    def _wants_close(self) -> bool:
        values = [value.lower() for name, value in self.headers if name == b"connection"]
        return any(token.strip() == b"close" for value in values for token in value.split(b","))

    def _should_upgrade(self) -> bool:
        if self.scope["method"] != "GET" or any(name in _FRAMING for name, _ in self.headers):
            return False
        return super()._should_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.scope["http_version"] == "1.0":
            app = _ends_by_closing(cycle, app)
        super()._start_asgi_task(cycle, app)

    def _refuse(self, message: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # a response is in progress
        else:
            self.send_400_response(message)

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if self._idle() and not self.transport.is_closing():
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _make_room(self, limit: int) -> None:
        """Close the connections that are idle for longest; without any, this new one."""
        idle = [
            connection
            for connection in self.connections
            if isinstance(connection, HeadLimitProtocol)
            and connection.idle_since is not None
            and connection is not self
        ]
        idle.sort(key=lambda connection: connection.idle_since or 0.0)
        for connection in idle[: max(len(self.connections) - limit, len(idle) // CLOSED_SHARE)] or [self]:
            connection.idle_since = None
            connection.transport.close()


def _ends_by_closing(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """The application for HTTP/1.0, which has no chunks: a response without a length ends with the connection."""

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        unbounded = False

        async def send_plain(message: Any) -> None:
            nonlocal unbounded
            if message["type"] == "http.response.start":
                unbounded = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if unbounded:
                    cycle.chunked_encoding = False
            elif unbounded:
                cycle.expected_content_length += len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return respond
