"""What one person's pages may ask for in a while, and hold open."""

import pytest

from hfchat.errors import RateLimitExceeded, TooManyStreams
from hfchat.page.rate_limit import MAX_PEOPLE, Visitors


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_steps_come_back_with_time() -> None:
    clock = Clock()
    visitors = Visitors(steps_a_second=2, burst=10, clock=clock)
    for _ in range(10):
        visitors.check("ann")
        visitors.take("ann", 1)
    with pytest.raises(RateLimitExceeded) as refused:
        visitors.check("ann")
    assert refused.value.retry_after_s == 1
    visitors.check("bob")
    clock.now += 0.5
    visitors.check("ann")
    clock.now += 1000
    visitors.take("ann", 10)
    with pytest.raises(RateLimitExceeded):
        visitors.check("ann")


def test_a_step_that_costs_more_than_is_left_is_paid_off() -> None:
    clock = Clock()
    visitors = Visitors(steps_a_second=1, burst=10, clock=clock)
    visitors.take("ann", 30)
    with pytest.raises(RateLimitExceeded) as refused:
        visitors.check("ann")
    assert refused.value.retry_after_s == 21
    clock.now += 20
    with pytest.raises(RateLimitExceeded):
        visitors.check("ann")
    clock.now += 1
    visitors.check("ann")


def test_of_so_many_people_only_is_anything_known() -> None:
    visitors = Visitors()
    for number in range(MAX_PEOPLE + 10):
        visitors.take(str(number), 1)
    assert len(visitors._left) == MAX_PEOPLE


def test_so_many_connections_are_open_at_once() -> None:
    visitors = Visitors(max_connections=2)
    with visitors.connected("ann"), visitors.connected("ann"):
        with pytest.raises(TooManyStreams), visitors.connected("ann"):
            pass
        with visitors.connected("bob"):
            pass
    with visitors.connected("ann"):
        pass
    assert not visitors._open
