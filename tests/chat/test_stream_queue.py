"""A caller beyond their replies in progress waits for a place, in order, and only for as long as they have patience."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hfchat.chat.stream_queue import WAITING_PER_STREAM, StreamQueue
from hfchat.errors import BudgetExceeded, RateLimitExceeded, TooManyStreams

pytestmark = pytest.mark.anyio


class Room:
    """So many places; `attempt` takes one, or refuses as the ledger does."""

    def __init__(self, places: int) -> None:
        self.left = places
        self.taken: list[str] = []
        self.attempts: list[tuple[str, bool]] = []

    def attempt(self, name: str) -> Callable[[bool], Awaitable[str]]:
        async def attempt(again: bool) -> str:
            self.attempts.append((name, again))
            await asyncio.sleep(0)
            if self.left < 1:
                raise TooManyStreams("streams_used", params={"limit": 1})
            self.left -= 1
            self.taken.append(name)
            return name

        return attempt


def soon(patience_s: float = 30) -> float:
    return asyncio.get_running_loop().time() + patience_s


async def settle_down() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_with_a_place_nobody_waits() -> None:
    queue, room = StreamQueue(), Room(1)
    assert await queue.take("ann", 1, soon(0), room.attempt("a")) == "a"
    assert room.attempts == [("a", False)]


async def test_without_patience_the_refusal_comes_at_once() -> None:
    queue, room = StreamQueue(), Room(0)
    with pytest.raises(TooManyStreams):
        await queue.take("ann", 1, soon(0), room.attempt("a"))
    assert room.attempts == [("a", False)]


async def test_who_waits_is_served_in_order_and_counted_once() -> None:
    queue, room = StreamQueue(), Room(0)
    waiting = []
    for name in "abc":
        waiting.append(asyncio.create_task(queue.take("ann", 1, soon(), room.attempt(name))))
        await settle_down()
    for _ in range(3):
        room.left += 1
        queue.freed("ann")
        await settle_down()
    assert await asyncio.gather(*waiting) == ["a", "b", "c"]
    assert room.taken == ["a", "b", "c"]
    # Only the first knew of no queue; for each the rate counts one attempt.
    assert [sum(1 for who, again in room.attempts if who == name and not again) for name in "abc"] == [1, 1, 1]
    assert not queue._queues


async def test_a_newcomer_does_not_overtake_the_queue() -> None:
    queue, room = StreamQueue(), Room(0)
    first = asyncio.create_task(queue.take("ann", 1, soon(), room.attempt("first")))
    await settle_down()
    room.left = 1
    second = asyncio.create_task(queue.take("ann", 1, soon(), room.attempt("second")))
    await settle_down()
    queue.freed("ann")
    await settle_down()
    assert room.taken == ["first"]
    room.left = 1
    queue.freed("ann")
    assert await second == "second"
    assert await first == "first"


async def test_several_places_freed_at_once_are_all_taken() -> None:
    queue, room = StreamQueue(), Room(0)
    waiting = [asyncio.create_task(queue.take("ann", 3, soon(), room.attempt(name))) for name in "abc"]
    await settle_down()
    room.left = 3
    queue.freed("ann")
    assert sorted(await asyncio.gather(*waiting)) == ["a", "b", "c"]


async def test_one_persons_queue_delays_no_other_person() -> None:
    queue, full, free = StreamQueue(), Room(0), Room(1)
    waiting = asyncio.create_task(queue.take("ann", 1, soon(), full.attempt("a")))
    await settle_down()
    assert await queue.take("bea", 1, soon(), free.attempt("b")) == "b"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not queue._queues


async def test_a_place_that_another_process_frees_is_found() -> None:
    queue, room = StreamQueue(), Room(0)
    waiting = asyncio.create_task(queue.take("ann", 1, soon(), room.attempt("a")))
    await settle_down()
    room.left = 1
    assert await waiting == "a"


async def test_when_the_patience_ends_the_refusal_comes() -> None:
    queue, room = StreamQueue(), Room(0)
    with pytest.raises(TooManyStreams):
        await queue.take("ann", 1, soon(0.05), room.attempt("a"))
    assert len(room.attempts) == 2
    assert not queue._queues


async def test_who_leaves_gives_their_turn_to_the_next() -> None:
    queue, room = StreamQueue(), Room(0)
    first = asyncio.create_task(queue.take("ann", 1, soon(), room.attempt("first")))
    await settle_down()
    second = asyncio.create_task(queue.take("ann", 1, soon(), room.attempt("second")))
    await settle_down()
    room.left = 1
    first.cancel()
    assert await second == "second"


async def test_so_many_wait_and_no_more() -> None:
    queue, room = StreamQueue(), Room(0)
    waiting = [
        asyncio.create_task(queue.take("ann", 2, soon(), room.attempt(str(n)))) for n in range(2 * WAITING_PER_STREAM)
    ]
    await settle_down()
    with pytest.raises(TooManyStreams):
        await queue.take("ann", 2, soon(), room.attempt("one more"))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not queue._queues


REFUSED = [RateLimitExceeded(), BudgetExceeded("budget_used"), BudgetExceeded("budget_never")]


@pytest.mark.parametrize("error", REFUSED, ids=lambda error: f"{error.code} {error.reason}")
async def test_for_what_no_place_heals_nobody_waits(error: Exception) -> None:
    async def attempt(_: bool) -> None:
        raise error

    with pytest.raises(type(error)):
        await StreamQueue().take("ann", 1, soon(), attempt)


async def test_tokens_that_another_reply_holds_are_waited_for() -> None:
    queue, held = StreamQueue(), [BudgetExceeded("budget_held")]

    async def attempt(_: bool) -> str:
        if held:
            raise held.pop()
        return "in"

    waiting = asyncio.create_task(queue.take("ann", 4, soon(), attempt))
    await settle_down()
    queue.freed("ann")
    assert await waiting == "in"
