"""High-water marks: what is granted without waiting, what is persisted ahead, and that an unacknowledged mark only takes away."""

import pytest

from hfchat.ledger.high_water_marks import Marks, has_mark, step_of
from hfchat.ledger.meters import REQUESTS, TOKENS, Meter
from tests.support.rows import each_row

DAY = 1_780_272_000
TEN = Meter(TOKENS, "day", 1000, 10)
KEY = ("p", "tokens/day")


def used(count: int, meter: Meter = TEN, start: int = DAY) -> tuple[tuple[Meter, tuple[int, int]], ...]:
    return ((meter, (start, count)),)


def upload(
    marks: Marks, count: int, *, held: int = 0, meter: Meter = TEN, start: int = DAY
) -> dict[tuple[str, str], tuple[int, int]]:
    marks.snapshot()
    wants = marks.wants("p", used(count, meter, start))
    return marks.begin([("p", meter.key, start, count)], {"p": held}, wants)


@pytest.mark.parametrize(
    ("meter", "step"),
    [
        (TEN, 100),
        (Meter(TOKENS, "day", 1000, 300), 600),
        (Meter(TOKENS, "minute", 50), 5),
        (Meter(REQUESTS, "hour", 5, 1), 2),
        (Meter(REQUESTS, "month", 1), 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_step_is_a_tenth_or_two_turns(meter: Meter, step: int) -> None:
    assert step_of(meter) == step


@each_row(
    ("name", "window", "marked"),
    [
        (REQUESTS, "second", False),
        (REQUESTS, "minute", False),
        (REQUESTS, "hour", True),
        (TOKENS, "second", True),
        (TOKENS, "minute", True),
        (TOKENS, "month", True),
    ],
)
def test_only_requests_of_short_windows_have_no_mark(name: str, window: str, marked: bool) -> None:
    assert has_mark(Meter(name, window, 10)) is marked


def test_nothing_is_granted_before_its_mark_is_acknowledged() -> None:
    marks = Marks()
    assert not marks.grant("p", used(10))
    uploaded = upload(marks, 10, held=10)
    assert uploaded == {KEY: (DAY, 100)}
    assert not marks.grant("p", used(10))
    marks.end(uploaded)
    assert marks.grant("p", used(100))
    assert not marks.grant("p", used(101))
    assert not marks.grant("p", used(10, start=DAY + 86_400))
    assert not marks.grant("q", used(10))


def test_the_next_step_is_wanted_when_half_of_one_is_left() -> None:
    marks = Marks()
    marks.end(upload(marks, 10, held=10))
    assert not marks.wants("p", used(49))
    assert marks.wants("p", used(50)).keys() == {KEY}


def test_a_mark_at_the_limit_wants_no_more() -> None:
    marks = Marks()
    marks.end(upload(marks, 950))
    assert not marks.wants("p", used(1000))


def test_a_window_in_which_nothing_is_used_gets_a_mark() -> None:
    marks = Marks()
    marks.snapshot()
    wants = marks.wants("p", used(0))
    assert marks.begin([("p", TEN.key, DAY - 86_400, 700)], {}, wants) == {KEY: (DAY, 100)}


def test_what_is_granted_while_the_store_is_read_is_in_the_mark() -> None:
    marks = Marks()
    marks.end(upload(marks, 400, held=400))
    marks.snapshot()
    assert marks.grant("p", used(390))
    assert marks.begin([("p", TEN.key, DAY, 20)], {}, marks.wants("p", used(390))) == {KEY: (DAY, 390)}


def test_a_lower_mark_is_in_force_as_soon_as_it_may_have_been_written() -> None:
    marks = Marks()
    marks.end(upload(marks, 400, held=400))
    assert marks.grant("p", used(400))
    narrow = Meter(TOKENS, "day", 110, 10)
    assert upload(marks, 20, meter=narrow) == {KEY: (DAY, 400)}
    marks.snapshot()
    assert marks.begin([("p", TEN.key, DAY, 20)], {}, marks.wants("p", used(390))) == {KEY: (DAY, 120)}
    assert not marks.grant("p", used(121))
    assert marks.grant("p", used(120))


def test_a_count_that_was_reset_has_no_mark() -> None:
    marks = Marks()
    marks.end(upload(marks, 400))
    marks.snapshot()
    marks.begin([], {}, {})
    assert not marks.grant("p", used(10))
    assert not marks.cover("p", used(10))
