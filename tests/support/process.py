"""The program as a process of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tests.conftest import free_port, wait_until
from tests.support.fork import REPOSITORY, Fork


def popen(folder: Path, variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", REPOSITORY / "app.py"],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Process:
    """A running program with what it has said so far."""

    def __init__(self, folder: Path, variables: dict[str, str], *, fork: bool) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: said for name, said in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        # Found before the one beside app.py, which whoever works on hfchat may have; and the ledger is made beside it.
        (folder / ".env").touch()
        start = Fork if fork else popen
        self.process = start(folder, {**kept, "GRADIO_SERVER_PORT": str(self.port), **variables})
        self.out: list[str] = []
        self.err: list[str] = []
        assert self.process.stdout
        assert self.process.stderr
        self._pipes = {self.process.stdout: self.out, self.process.stderr: self.err}
        self._readers = [threading.Thread(target=self._read, args=pipe) for pipe in self._pipes.items()]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe: TextIO, lines: list[str]) -> None:
        lines.extend(iter(pipe.readline, ""))

    def listening(self) -> "Process":
        wait_until(lambda: bool(self.out) or self.process.poll() is not None, 120)
        assert self.process.poll() is None, "".join(self.err)
        return self

    def ended(self, timeout_s: float = 60) -> int:
        status = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join()
        for pipe in self._pipes:
            pipe.close()
        return status

    def end(self) -> None:
        """Kill it, if need be."""
        if self.process.poll() is None:
            self.process.kill()
        if not all(pipe.closed for pipe in self._pipes):
            self.ended()


@contextmanager
def started(folder: Path, **variables: str) -> Iterator[Process]:
    """As a person starts it: `python app.py`."""
    process = Process(folder, variables, fork=False)
    try:
        yield process
    finally:
        process.end()


@contextmanager
def forked(folder: Path, **variables: str) -> Iterator[Process]:
    """The same at once, for tests that are not about how it starts."""
    process = Process(folder, variables, fork=True)
    try:
        yield process
    finally:
        process.end()
