"""A real redis-server for the tests of the ledger, and where it comes from."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import free_port, in_ci


class RedisServer:
    """redis-server or valkey-server on a free port; it keeps what it is told in `folder`, and can be killed and started again."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        self._process = subprocess.Popen(
            [self._program, *where, "--appendonly", "yes", "--appendfsync", "always"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < until, "redis-server does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """Without a word, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def tell(self, *words: str) -> bytes:
        """One command, and the beginning of its answer."""
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
            line.sendall(command)
            return line.recv(4096)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.tell("PING") == b"+PONG\r\n"
        return False


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """The system's server, started. Skips where there is none; in CI that is a failure."""
    program = os.environ.get("REDIS_SERVER") or shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        if in_ci():
            raise FileNotFoundError("redis-server is not installed")
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    server = RedisServer(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
