"""A network between a browser and the program that can go away: nothing passes then, and what was passing is torn."""

import asyncio
import threading
from contextlib import suppress


class Wire:
    """Passes connections on to `port`, from a port of its own, in a thread of its own. `records`: all that came back."""

    def __init__(self, port: int, *, records: bool = False) -> None:
        self._to = port
        self.came_back = bytearray()
        self._record = self.came_back if records else None
        self._torn = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._pass, "127.0.0.1", 0), self._loop).result(
            5
        )
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def lead_to(self, port: int) -> None:
        """Pass on to another port from now on."""
        self._to = port

    def tear(self) -> None:
        """Let nothing pass any more."""
        self._torn = True
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        """Let everything pass again."""
        self._torn = False

    def _abort(self) -> None:
        for end in list(self._open):
            end.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        self._abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._torn:
            return writer.transport.abort()
        with suppress(ConnectionError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            self._open |= {writer, back}
            await asyncio.gather(_copy(reader, back), _copy(there, writer, self._record))
            self._open -= {writer, back}
        writer.close()
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray | None = None) -> None:
    with suppress(ConnectionError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            if record is not None:
                record += part
            await writer.drain()
    writer.close()
