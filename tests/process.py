"""The program as a process of its own, as a person starts it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port, wait_until

REPOSITORY = Path(__file__).parent.parent


class Process:
    """A running `python app.py` with what it has said so far."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: said for name, said in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        # Found before the one beside app.py, which whoever works on hfchat may have; and the ledger is made beside it.
        (folder / ".env").touch()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", REPOSITORY / "app.py"],
            cwd=folder,
            env={**kept, "GRADIO_SERVER_PORT": str(self.port), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=lambda: self.out.extend(iter(self.process.stdout.readline, ""))),  # type: ignore[union-attr]
            threading.Thread(target=lambda: self.err.extend(iter(self.process.stderr.readline, ""))),  # type: ignore[union-attr]
        ]
        for reader in self._readers:
            reader.start()

    def listening(self) -> "Process":
        wait_until(lambda: bool(self.out) or self.process.poll() is not None, 120)
        assert self.process.poll() is None, "".join(self.err)
        return self

    def ended(self, timeout_s: float = 60) -> int:
        status = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join()
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.stderr.close()  # type: ignore[union-attr]
        return status


@contextmanager
def started(folder: Path, **variables: str) -> Iterator[Process]:
    process = Process(folder, variables)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.process.kill()
        if not process.process.stdout.closed:  # type: ignore[union-attr]
            process.ended()
