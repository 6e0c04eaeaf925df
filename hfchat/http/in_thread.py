"""Thread for work on large bodies, so that the event loop goes on. Small work stays in the loop: a thread costs 0.1 ms."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
# Hashing takes 1 ms per MB, reading JSON 3, counting up to 60, compressing 40.
LARGE_BYTES = 64 * 1024


async def in_thread(size: int, function: Callable[..., T], *args: Any) -> T:
    """The result of the function on so many bytes, in a thread where they are many."""
    return function(*args) if size < LARGE_BYTES else await asyncio.to_thread(function, *args)
