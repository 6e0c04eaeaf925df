"""A bucket in this process that is late and fails: in place of the Hub's, where a test starts and kills a program often."""

import asyncio
import random
from collections.abc import Collection

from hfchat.errors import StoreUnavailable
from hfchat.ledger.bucket import unavailable


class LateBucket:
    """Files by name. With a seed, calls take up to `delay_s`, one in `one_in` of them fails, and a failed write may have taken
    effect, take effect later, or never. What has taken effect may do so again later, as a request that was sent twice."""

    def __init__(self, *, seed: int | None = None, delay_s: float = 0.002, one_in: int = 12) -> None:
        self.files: dict[str, bytes] = {}
        self.is_private = True
        self.down = False
        self.writes: list[str] = []
        self._random = random.Random(seed) if seed is not None else None
        self._delay_s = delay_s
        self._one_in = one_in
        self._later: set[asyncio.Task[None]] = set()

    async def private(self) -> bool:
        await self._late()
        return self.is_private

    async def names(self) -> list[str]:
        await self._late()
        return sorted(self.files)

    async def read(self, name: str) -> bytes:
        await self._late()
        if name not in self.files:
            raise unavailable("there is no such file")
        return self.files[name]

    async def write(self, name: str, content: bytes) -> None:
        self.writes.append(name)
        await self._pause()
        if self.down:
            raise unavailable("the bucket is down")
        if self._fails():
            # Applied although nobody is told, applied later, or lost.
            if self._random is not None and self._random.random() < 0.7:
                self._apply_later(name, content, 20)
            raise unavailable("the bucket failed")
        self.files[name] = content
        if self._fails():
            self._apply_later(name, content, 50)
        await self._pause()

    async def delete(self, names: Collection[str]) -> None:
        await self._late()
        for name in names:
            self.files.pop(name, None)

    async def settle(self) -> None:
        """Wait for what takes effect late."""
        await asyncio.gather(*self._later)

    def _fails(self) -> bool:
        return self._random is not None and self._random.randrange(self._one_in) == 0

    def _apply_later(self, name: str, content: bytes, most: int) -> None:
        async def apply() -> None:
            assert self._random is not None
            await asyncio.sleep(self._random.random() * self._delay_s * most)
            self.files[name] = content

        task = asyncio.create_task(apply())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _late(self) -> None:
        await self._pause()
        if self.down or self._fails():
            raise StoreUnavailable

    async def _pause(self) -> None:
        await asyncio.sleep(0 if self._random is None else self._random.random() * self._delay_s)
