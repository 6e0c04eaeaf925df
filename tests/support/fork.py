"""A copy of a process that has imported gradio already, which then runs the program as `python app.py` does."""

import os
import runpy
import signal
import sys
import warnings
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

REPOSITORY = Path(__file__).parents[2]


class Fork:
    """What the tests need of `subprocess.Popen`."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        context = get_context("forkserver")
        # What takes a start three seconds, is done once.
        context.set_forkserver_preload(["hfchat.app", __name__])
        pipes = [context.Pipe(duplex=False) for _ in range(2)]
        writers = [writer for _, writer in pipes]
        self._process = context.Process(target=_run, args=(folder, variables, *writers))
        self._process.start()
        for writer in writers:
            writer.close()
        self.stdout, self.stderr = (_text(reader) for reader, _ in pipes)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout_s: float) -> int:
        self._process.join(timeout_s)
        status = self._process.exitcode
        if status is None:
            raise TimeoutError(f"it did not end within {timeout_s} s")
        return status

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid
        os.kill(self._process.pid, number)


def _text(reader: Connection) -> TextIO:
    text = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
    reader.close()
    return text


def _run(folder: Path, variables: dict[str, str], out: Connection, err: Connection) -> None:
    for number, pipe in enumerate((out, err), 1):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    warnings.simplefilter("error", ResourceWarning)
    sys.argv = [str(REPOSITORY / "app.py")]
    runpy.run_path(sys.argv[0], run_name="__main__")
