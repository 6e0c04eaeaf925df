"""A way to a real Redis that breaks at a chosen command: before it is done, or after that and before its answer."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

READ_BYTES = 1 << 20
# A connection that is closed with this is reset, as those of a process that is killed may be.
_AT_ONCE = struct.pack("ii", 1, 0)


class RedisProxy:
    """Commands are counted by what a client sends at once. `way` says what happens at the one of number `at`:

    `lost`: its connection is reset; `unheard`: it is done, and the connection reset before the answer; `heard`: right behind
    the answer; `late`: the connection is reset, and the command done when `deliver` is called; `mute`: it is done, and the
    answer never comes; `before` and `after` it is done, `then` is called, and nothing breaks.
    """

    def __init__(self, port: int) -> None:
        self._redis = ("127.0.0.1", port)
        self._clients: set[asyncio.StreamWriter] = set()
        self._late: list[bytes] = []
        self.port = 0
        self.then: Callable[[], object] = list
        self.arm(0, "")

    def arm(self, at: int, way: str, *, away: bool = False) -> None:
        """Count anew. `away`: from that command on every connection is reset, until it is armed again."""
        self._at, self._way, self._away = at, way, away
        self._commands = 0

    @property
    def reached(self) -> bool:
        """Whether there was a command of that number."""
        return 0 < self._at <= self._commands

    def reset_all(self) -> None:
        """Reset every connection."""
        for client in self._clients:
            _reset(client)

    async def deliver(self) -> None:
        """Let what is late arrive."""
        for command in self._late:
            from_redis, to_redis = await asyncio.open_connection(*self._redis)
            to_redis.write(command)
            await from_redis.read(READ_BYTES)
            to_redis.close()
        self._late.clear()

    async def serve(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One client's connection, until it ends or breaks."""
        if self._away and self.reached:
            return _reset(client)
        self._clients.add(client)
        from_redis, to_redis = await asyncio.open_connection(*self._redis)
        try:
            while command := await from_client.read(READ_BYTES):
                self._commands += 1
                way = self._way if self._commands == self._at else "lost" if self._away and self.reached else ""
                if way == "late":
                    self._late.append(command)
                if way == "before":
                    self.then()
                if way not in ("lost", "late"):
                    to_redis.write(command)
                    answer = await from_redis.read(READ_BYTES)
                    if way == "after":
                        self.then()
                    if way not in ("unheard", "mute"):
                        client.write(answer)
                if way in ("lost", "unheard", "heard", "late"):
                    self.reset_all() if self._away else _reset(client)
        finally:
            self._clients.discard(client)
            client.close()
            to_redis.close()


def _reset(client: asyncio.StreamWriter) -> None:
    if not client.is_closing():
        client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        client.transport.abort()


@asynccontextmanager
async def redis_proxy(port: int) -> AsyncIterator[RedisProxy]:
    """A proxy before the Redis at this port of this machine."""
    proxy = RedisProxy(port)

    async def serve(from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):  # the client may be gone
            await proxy.serve(from_client, client)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.reset_all()
        await server.wait_closed()


@contextmanager
def resets_at_once() -> Iterator[int]:
    """The port of a server that resets every connection as soon as there is one, as a server that is just dying does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                    client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
