"""Work on large bodies in a thread: the event loop goes on meanwhile. Small work stays where it is: a thread costs 0.1 ms."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
# Hashing takes 1 ms per MB, reading JSON 3, counting up to 60, compressing 40.
LARGE_BYTES = 64 * 1024


async def in_thread(size: int, function: Callable[..., T], *args: Any) -> T:
    """What the function gives, of so many bytes. In a thread it lets the event loop run where it lets the interpreter go."""
    return function(*args) if size < LARGE_BYTES else await asyncio.to_thread(function, *args)
