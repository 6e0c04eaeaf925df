"""Bucket: the protocol of the remote storage that holds the ledger's copy: whole small files, written and then acknowledged.

copy_writer.py writes into it; upstream/hub_bucket.py is the bucket at Hugging Face.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

from hfchat.errors import StoreUnavailable

T = TypeVar("T")
# What a start does takes seconds and begins anew where it fails, so a single failure does not count.
TRIES = 4


class CopyError(Exception):
    """Why the copy of the ledger cannot be used, in a sentence for the owner's log."""


class Bucket(Protocol):
    """A folder of files in remote storage. Every method has a time-out, and raises StoreUnavailable, and nothing else.

    A file is never written twice under one name, so a write that takes effect late or twice does no harm. What is written and
    acknowledged is in every later listing. A write that fails may still take effect.
    """

    async def private(self) -> bool:
        """Whether only its owner can read it."""
        ...

    async def names(self) -> list[str]:
        """The names of all files of the folder."""
        ...

    async def read(self, name: str) -> bytes:
        """A file's content."""
        ...

    async def write(self, name: str, content: bytes) -> None:
        """Write a file. Returns once it is acknowledged."""
        ...

    async def delete(self, names: Collection[str]) -> None:
        """Delete files. Who deletes twice may be told so by an error."""
        ...


def unavailable(sentence: str) -> StoreUnavailable:
    """The error for a copy that cannot be used, with this sentence as its cause."""
    error = StoreUnavailable()
    error.__cause__ = CopyError(sentence)
    return error


async def tried(call: Callable[[], Awaitable[T]], *, pause_s: float, tries: int = TRIES) -> T:
    """The result of a call that is tried again where it fails. Raises: StoreUnavailable, the last one."""
    for _ in range(tries - 1):
        try:
            return await call()
        except StoreUnavailable:
            await asyncio.sleep(pause_s)
    return await call()
