"""What a connection may bring before a request is whole, byte by byte, against a real server."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn

from hfchat.http import protocol
from hfchat.http.protocol import (
    HEAD_TIMEOUT_S,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    SEND_TIMEOUT_S,
    HeadLimitProtocol,
    connection_limit,
)
from tests.conftest import RunningApp, make_settings, make_token, running, wait_until
from tests.support.rows import each_row
from tests.support.stub_upstream import StubUpstream

TOKEN = make_token("ann")
QUESTION = b'{"messages": [{"role": "user", "content": "hi"}]}'
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
# The server closes after it.
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def app() -> Iterator[RunningApp]:
    with StubUpstream() as stub, running(make_settings(HF_CHAT_BASE_URL=stub.base_url)) as served:
        yield served


def talk(app: RunningApp, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """All that is answered to these pieces, until the server closes."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as line:
        for piece in pieces:
            try:
                line.sendall(piece)
            except (ConnectionResetError, BrokenPipeError):
                break
            if pause_s:
                time.sleep(pause_s)
        answer = b""
        try:
            while piece := line.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def statuses(answer: bytes) -> list[int]:
    """The status of each answer, in order."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def post(*headers: str, body: bytes = QUESTION, target: str = "/api/ai/chat", token: str = TOKEN) -> bytes:
    head = [f"POST {target} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if token:
        head.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*head, "", ""]).encode() + body


LENGTH = f"Content-Length: {len(QUESTION)}"
CHUNKED = b"%x\r\n%b\r\n" % (len(QUESTION), QUESTION)
UPGRADES = {
    "h2c": ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    "a websocket": ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "anything": ("Upgrade: foo/1",),
}


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("door", ["/api/ai/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_an_offer_to_upgrade_is_ignored(app: RunningApp, upgrade: tuple[str, ...], door: str, chunked: bool) -> None:
    framing, body = ("Transfer-Encoding: chunked", CHUNKED + b"0\r\n\r\n") if chunked else (LENGTH, QUESTION)
    request = post(*upgrade, framing, body=body, target=door).replace(
        b"Connection: close", b"Connection: Upgrade, close"
    )
    head, _, rest = request.partition(b"\r\n\r\n")
    for pieces in (
        [request],
        [head + b"\r\n\r\n", rest],
        [request[place : place + 1] for place in range(len(request))],
    ):
        assert statuses(talk(app, *pieces)) == [200]


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_one_request_that_offers_an_upgrade_has_one_answer_wherever_its_body_comes(
    app: RunningApp, method: str, version: str
) -> None:
    hidden = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    head = (
        f"{method} /login HTTP/{version}\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\n"
        f"Content-Length: {len(hidden)}\r\n\r\n"
    ).encode()
    for pieces in ((head + hidden, LAST), (head, hidden, LAST)):
        answered = statuses(talk(app, *pieces, pause_s=0.05))
        # HTTP/1.0 ends the connection with the first answer.
        assert answered[1:] == ([200] if version == "1.1" else [])


# As a client may offer it, after what else the head has and before it.
OFFERS = {
    "upgrade": ("Connection: Upgrade", "Upgrade: foo/1"),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    "lower case": ("connection: keep-alive, upgrade", "upgrade: tls/1.0, http/2"),
    "without Connection": ("Upgrade: h2c",),
    "with a close": ("Connection: close", "Connection: upgrade", "Upgrade: h2c"),
    "Connection only": ("Connection: upgrade",),
    "a websocket with a body": ("Connection: Upgrade", *UPGRADES["a websocket"]),
}
INNER = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
BODIES = {
    "length": (f"Content-Length: {len(INNER)}", INNER),
    "chunks": ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)),
    "chunks and trailers": (
        "Transfer-Encoding: chunked",
        b"%x;a=b\r\n%b\r\n0\r\nUpgrade: foo/1\r\nConnection: upgrade\r\n\r\n" % (len(INNER), INNER),
    ),
}


@each_row("offer", OFFERS.values(), ids=OFFERS, at_once=True)
@each_row(("framing", "body"), BODIES.values(), ids=BODIES)
@each_row("method", ["POST", "PUT"])
def test_a_body_that_is_a_request_is_none(
    app: RunningApp, offer: tuple[str, ...], framing: str, body: bytes, method: str
) -> None:
    for headers in ((*offer, framing), (framing, *offer)):
        head = "\r\n".join([f"{method} /login HTTP/1.1", "Host: x", *headers, "", ""]).encode()
        last = LAST if "Connection: close" not in offer else b""
        for pieces in ([head + body + last], [head, body, last], [bytes([byte]) for byte in head + body + last]):
            answered = statuses(talk(app, *pieces, pause_s=0.03 if len(pieces) == 3 else 0.0))
            assert answered == ([401, 200] if last else [401])


@pytest.mark.parametrize("offer", [(), OFFERS["h2c"]], ids=["plain", "h2c"])
def test_a_body_that_waits_to_be_asked_for_is_asked_for_once(app: RunningApp, offer: tuple[str, ...]) -> None:
    head, _, body = post(*offer, LENGTH, "Expect: 100-continue").partition(b"\r\n\r\n")
    head += b"\r\n\r\n"
    assert statuses(talk(app, head, body, pause_s=0.1)) == [100, 200]
    assert statuses(talk(app, head.replace(b"HTTP/1.1", b"HTTP/1.0"), body, pause_s=0.1)) == [200]


@pytest.mark.parametrize("door", ["/api/ai/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_curl_that_offers_http_2_is_answered(app: RunningApp, door: str, stream: bool) -> None:
    body = QUESTION.replace(b"}]}", b'}], "stream": true}') if stream else QUESTION
    call = ["curl", "-sS", "--http2", "-H", f"Authorization: Bearer {TOKEN}", "-d", body.decode(), f"{app.url}{door}"]
    answer = subprocess.run([*call, "-w", "\n%{http_code} %{http_version}"], capture_output=True, text=True, check=True)
    assert answer.stdout.endswith("\n200 1.1")
    assert ("data: " in answer.stdout) == stream


@each_row("key", ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X: y"], ids=["whole", "no key"])
@each_row("path", ["/", "/healthz", "/api/ai/chat", "/v1/chat/completions", "/v1/models"])
def test_a_websocket_has_one_answer_and_none_to_what_follows(app: RunningApp, path: str, key: str) -> None:
    offer = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *offer, "", ""]).encode()
    for pieces in ([head + ALIVE], [head, ALIVE]):
        (status,) = statuses(talk(app, *pieces, pause_s=0.03))
        assert 400 <= status < 500


def test_a_trailer_that_closes_is_obeyed(app: RunningApp) -> None:
    request = b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    trailer = b"Connection: close\r\n\r\n"
    assert statuses(talk(app, request + trailer + ALIVE)) == [401]
    assert statuses(talk(app, request, trailer, ALIVE, pause_s=0.03)) == [401]


def test_after_an_upgrade_that_was_ignored_the_connection_goes_on(app: RunningApp) -> None:
    first = post("Upgrade: h2c", LENGTH).replace(b"Connection: close", b"Connection: Upgrade")
    assert statuses(talk(app, first + LAST)) == [200, 200]
    assert statuses(talk(app, first, LAST, pause_s=0.05)) == [200, 200]


def test_a_trailer_is_no_header(app: RunningApp) -> None:
    trailer = f"Authorization: Bearer {TOKEN}\r\n".encode()
    body = CHUNKED + b"0\r\n" + trailer + b"\r\n"
    request = post("Transfer-Encoding: chunked", body=body, token="")
    for pieces in ([request], request.partition(b"\r\n\r\n"), [bytes([byte]) for byte in request]):
        assert statuses(talk(app, *pieces)) == [401]
    again = request.replace(b"Connection: close\r\n", b"")
    assert statuses(talk(app, again + LAST)) == [401, 200]


ENDLESS = {
    "a header": b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 3 * MAX_HEAD_BYTES,
    "an address": b"GET /" + b"a" * 3 * MAX_HEAD_BYTES,
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "a chunk's extension": post("Transfer-Encoding: chunked", body=b"5;" + b"a" * 3 * MAX_HEAD_BYTES),
    "a trailer": post("Transfer-Encoding: chunked", body=b"0\r\nX: " + b"a" * 3 * MAX_HEAD_BYTES),
    "trailers": post("Transfer-Encoding: chunked", body=b"0\r\n" + b"X: a\r\n" * MAX_HEAD_BYTES),
}


@each_row("request_", ENDLESS.values(), ids=ENDLESS)
def test_what_is_no_body_has_a_bound(app: RunningApp, request_: bytes) -> None:
    pieces = [request_[place : place + 16_384] for place in range(0, len(request_), 16_384)]
    answer = talk(app, *pieces)
    assert statuses(answer) in ([400], [])  # [] where the reset overtook the answer
    assert b"aaaa" not in answer


def test_many_small_chunks_are_a_body(app: RunningApp) -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in QUESTION + b" " * 50_000) + b"0\r\n\r\n"
    assert statuses(talk(app, post("Transfer-Encoding: chunked", body=body))) == [200]


BAD: dict[str, bytes] = {
    "both lengths": post(LENGTH, "Transfer-Encoding: chunked", body=CHUNKED + b"0\r\n\r\n"),
    "two lengths": post(LENGTH, "Content-Length: 1"),
    "no number": post("Content-Length: 5x"),
    "a sign": post("Content-Length: +5"),
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    "a NUL": b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "a bare CR": b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00",
    "another coding last": post("Transfer-Encoding: chunked, gzip", body=CHUNKED + b"0\r\n\r\n"),
    "a tunnel": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel with a body": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 33\r\n\r\n" + INNER,
    "a tunnel to a path": b"CONNECT /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel to all": b"CONNECT * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a version nobody speaks": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2 in the words of HTTP/1": b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2 without an offer": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "no version": b"GET /healthz\r\n\r\n",
    "an offer with both lengths": post(
        *OFFERS["h2c"], LENGTH, "Transfer-Encoding: chunked", body=CHUNKED + b"0\r\n\r\n"
    ),
    "an offer with an unknown coding": post(*OFFERS["h2c"], "Transfer-Encoding: gzip", body=INNER),
    "an offer with two lengths": post(*OFFERS["h2c"], "Content-Length: 1", "Content-Length: 2"),
    "a broken chunk": post("Transfer-Encoding: chunked", body=b"zz\r\n"),
}


@each_row("request_", BAD.values(), ids=BAD)
def test_what_is_no_request_is_refused_and_the_connection_closed(app: RunningApp, request_: bytes) -> None:
    for pieces in ([request_ + LAST], [*(bytes([byte]) for byte in request_), LAST]):
        answered = statuses(talk(app, *pieces))
        assert answered in ([400], [])
        assert 200 not in answered


def test_a_client_of_http_1_0_is_answered_without_chunks(app: RunningApp) -> None:
    body = QUESTION.replace(b"}]}", b'}], "stream": true}')
    request = post(f"Content-Length: {len(body)}", body=body).replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _, events = talk(app, request).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert events.startswith(b"data: ")
    assert b"event: done" in events
    assert events.rstrip().endswith(b"}")


def test_many_requests_at_once_are_bounded(app: RunningApp) -> None:
    assert statuses(talk(app, ALIVE * 19 + LAST)) == [200] * 20
    answer = talk(app, ALIVE * 5_000)
    assert len(statuses(answer)) < 200


def test_early_data_after_the_last_request_is_dropped(app: RunningApp) -> None:
    assert statuses(talk(app, LAST + ALIVE)) == [200]


class Server:
    """The protocol in front of the smallest application, with other bounds."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        head_s: float = HEAD_TIMEOUT_S,
        send_s: float = SEND_TIMEOUT_S,
        limit: int | None = None,
        body: bytes = b"ok",
        keep_alive_s: float = 5,
    ) -> None:
        self._body = body
        self._keep_alive_s = keep_alive_s
        monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", head_s)
        monkeypatch.setattr(protocol, "SEND_TIMEOUT_S", send_s)
        monkeypatch.setattr(protocol, "connection_limit", lambda: limit)

    async def __aenter__(self) -> int:
        async def answer(_: object, receive: object, send: object) -> None:
            length = b"%d" % len(self._body)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})  # type: ignore[operator]
            await send({"type": "http.response.body", "body": self._body})  # type: ignore[operator]

        config = uvicorn.Config(
            answer, http=HeadLimitProtocol, port=0, lifespan="off", log_config=None, access_log=False
        )
        config.timeout_keep_alive = self._keep_alive_s  # type: ignore[assignment]  # a part of a second
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._task


@pytest.mark.anyio
@pytest.mark.parametrize(
    "drip", [b"", b"GET / HTTP/1.1\r\n", b"\r\n", ALIVE + b"POST /"], ids=["silent", "a head", "lines", "later"]
)
async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, drip: bytes) -> None:
    async with Server(monkeypatch, head_s=0.3) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(drip)

        async def drips() -> None:
            while not writer.is_closing():
                writer.write(drip[-1:])
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drips()) if drip else None
        async with asyncio.timeout(30):
            with suppress(ConnectionResetError):
                await reader.read()
        if dripping:
            dripping.cancel()
        writer.close()


@pytest.mark.anyio
async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(monkeypatch, head_s=0.3) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\na")
        assert b"200 OK" in await reader.readuntil(b"ok")
        async with asyncio.timeout(30):
            while not reader.at_eof():
                writer.write(b"a")
                await asyncio.sleep(0.02)
                try:
                    async with asyncio.timeout(0.02):
                        await reader.read(1)
                except TimeoutError:
                    pass
                except ConnectionError:  # it comes instead of the end where what was sent lies there unread
                    break
        writer.close()


LATE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", [(ALIVE,), (LATE, b"abc"), (LATE, b"a", b"bc")], ids=["whole", "late", "in parts"])
async def test_an_idle_connection_is_kept_as_long_as_is_set(
    monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    for head_s, keep_alive_s in ((0.1, 60.0), (60.0, 0.1)):
        async with Server(monkeypatch, head_s=head_s, keep_alive_s=keep_alive_s) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(pieces[0])
            await reader.readuntil(b"ok")
            for piece in pieces[1:]:
                writer.write(piece)
                await asyncio.sleep(0.01)
            if keep_alive_s > head_s:
                await asyncio.sleep(0.1)
                await asyncio.sleep(0.1)
                writer.write(ALIVE)
                assert await reader.readuntil(b"ok")
            else:
                async with asyncio.timeout(30):
                    assert await reader.read() == b""
            writer.close()


# More than the system takes for a connection.
LARGE = bytes(16_000_000)


@pytest.mark.anyio
async def test_who_does_not_read_an_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, send_s=0.3, body=LARGE)
    async with server as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(ALIVE)
        connections = server._server.server_state.connections
        async with asyncio.timeout(30):
            while not connections:
                await asyncio.sleep(0.01)
            while connections:
                await asyncio.sleep(0.01)
        writer.close()


@pytest.mark.anyio
async def test_who_reads_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(monkeypatch, send_s=1.0, body=LARGE) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=100_000)
        writer.write(ALIVE)
        await reader.readuntil(b"\r\n\r\n")
        came = 0
        while came < len(LARGE):
            came += len(await reader.read(200_000))
            await asyncio.sleep(0.02)
        writer.close()


@pytest.mark.anyio
async def test_silent_connections_make_room_for_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(monkeypatch, limit=20) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        await asyncio.sleep(0.1)
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ALIVE)
            assert b"200 OK" in await reader.readuntil(b"ok")
            writer.close()
        closed = [reader.at_eof() for reader, _ in silent]
        assert sum(closed) >= 40
        # The longest silent were closed first.
        assert all(closed[:30])
        for _, writer in silent:
            writer.close()


def test_the_limit_leaves_room_for_other_files() -> None:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = connection_limit()
    assert limit is None or 16 <= limit < soft


def test_nobody_is_shut_out_by_silent_connections(app: RunningApp) -> None:
    silent = [socket.create_connection(("127.0.0.1", app.port)) for _ in range(300)]
    try:
        assert statuses(talk(app, LAST)) == [200]
    finally:
        for line in silent:
            line.close()
    wait_until(lambda: statuses(talk(app, LAST)) == [200])
