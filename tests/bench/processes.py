"""Programs as processes of their own: started, held still while others are measured, looked at, and ended.

What is measured has one core, the stub and the callers have the others. Memory and processor time are read from /proc.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORES: list[int] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
MEASURED = CORES[:1]
LOADING = CORES[1:] or CORES


def settle_on(cores: list[int]) -> None:
    """Run this process, and what it starts from now on, on these cores only."""
    if cores:
        os.sched_setaffinity(0, cores)


class Program:
    """A running program. `log` has what it said, should it end."""

    def __init__(self, command: list[str], cores: list[int], folder: Path, variables: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.log = folder / "log.txt"
        self.answered_s = 0.0
        self.began = time.monotonic()
        settle_on(cores)
        try:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(command, cwd=folder, env={**kept, **variables}, stdout=log, stderr=log)
        finally:
            settle_on(LOADING)

    async def answers(self, port: int, path: str, timeout_s: float = 90) -> None:
        """Wait until it answers 200 there. Raises: RuntimeError, with what it said, where it does not."""
        while time.monotonic() - self.began < timeout_s and self.process.poll() is None:
            with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=2)) as asked:
                asked.request("GET", path)
                if asked.getresponse().status == 200:
                    self.answered_s = time.monotonic() - self.began
                    return
            await asyncio.sleep(0.005)
        raise RuntimeError(f"it does not answer: {self.log.read_text(errors='replace')[-2000:]}")

    def hold(self) -> None:
        """Keep it from running: idle programs take their part of the core too."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def rss_kib(self) -> int:
        """The memory it has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def cpu_s(self) -> float:
        """The processor time it has used, all threads together, to the nanosecond (clock_getcpuclockid of Linux)."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def end(self) -> None:
        if self.process.poll() is not None:
            return
        self.go_on()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask_stub(port: int) -> dict[str, int]:
    """What the stub counted since it was last asked."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as asked:
        asked.request("GET", "/counted")
        counted: dict[str, int] = json.loads(asked.getresponse().read())
    counted["connections"] -= 1  # this one
    return counted
