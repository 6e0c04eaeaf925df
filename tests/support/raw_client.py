"""A caller who says exactly what it is told: no client in between that would put a path or a header in order."""

import http.client
import json
import logging
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import RunningApp, make_token

# The settings of a chat, as the page sends them where nobody touched them.
UNSET = [None, None, "", None, None, None, False, None]
Headers = dict[str, str] | Iterable[tuple[str, str]]


@dataclass
class Said:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, where the answer is an error in our form."""
        return str(self.json["error"]["code"])


@dataclass
class Line:
    """One connection, kept open from request to request."""

    app: RunningApp
    _socket: socket.socket | None = field(default=None, repr=False)

    def ask(
        self, method: str, target: str, headers: Headers = (), body: bytes = b"", *, host: str | None = None
    ) -> Said:
        response = self.begin(method, target, headers, body, host=host)
        said = Said(response.status, response.headers, response.read())
        if response.will_close or response.headers.get("connection") == "close":
            self.close()
        return said

    def begin(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        host: str | None = None,
        length: bool = True,
    ) -> http.client.HTTPResponse:
        """The answer with its head read, its body not. Without `length` the body's is not said."""
        self.send_head(method, target, headers, body, host=host, length=length)
        response = http.client.HTTPResponse(self._connected(), method=method)
        response.begin()
        return response

    def send_head(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        host: str | None = None,
        length: bool = True,
    ) -> None:
        """The head, and what there is of the body. What is answered is not waited for."""
        sent = [("Host", f"127.0.0.1:{self.app.port}" if host is None else host)]
        sent += headers.items() if isinstance(headers, dict) else headers
        if body and length:
            sent.append(("Content-Length", str(len(body))))
        head = "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in sent), "\r\n"])
        self._connected().sendall(head.encode("latin-1") + body)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.app.port), timeout=60)
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@contextmanager
def line_to(app: RunningApp) -> Iterator[Line]:
    line = Line(app)
    try:
        yield line
    finally:
        line.close()


def ask(app: RunningApp, method: str, target: str, headers: Headers = (), body: bytes = b"", **more: Any) -> Said:
    """One request on a connection of its own."""
    with line_to(app) as line:
        return line.ask(method, target, headers, body, **more)


def bearer(subject: str = "alice", **more: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(subject, **more)}"}


def cookie(subject: str = "alice", **more: Any) -> dict[str, str]:
    return {"Cookie": f"hfchat_session={make_token(subject, **more)}"}


def post(app: RunningApp, target: str, body: Any, subject: str = "alice") -> Said:
    """JSON, signed in."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(app, "POST", target, {**bearer(subject), "Content-Type": "application/json"}, sent)


def functions(app: RunningApp) -> dict[str, int]:
    """The numbers of the page's functions, by name."""
    config = ask(app, "GET", "/config", bearer()).json
    return {function["api_name"]: function["id"] for function in config["dependencies"]}


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Gradio counts its events with pandas, which warns; here that is an error, of a task that nobody looks at.
        if record.exc_info and record.exc_info[0] and issubclass(record.exc_info[0], Warning):
            return
        facts = getattr(record, "facts", "")
        self.lines.append(f"{record.levelname} {self.format(record)} {facts}")


@contextmanager
def logged() -> Iterator[list[str]]:
    """All that the program and the server underneath write into the log, with tracebacks and facts, a text each."""
    kept = _Kept()
    loggers = [logging.getLogger(name) for name in ("hfchat", "uvicorn", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(kept)
        logger.setLevel(logging.DEBUG)
    try:
        yield kept.lines
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(kept)
            logger.setLevel(level)
