"""Limits as they are written, and the windows in which they hold, at each one's first and last moment."""

from datetime import UTC, datetime

import pytest

from hfchat.limits import MAX_AMOUNT, WINDOWS, Limit, narrowed, parse_limit, window_end, window_start
from tests.support.rows import each_row

WRITTEN = [
    ("30/minute", Limit(30, "minute")),
    ("1/second", Limit(1, "second")),
    (" 200000 / day ", Limit(200_000, "day")),
    ("5/HOUR", Limit(5, "hour")),
    ("007/week", Limit(7, "week")),
    (f"{MAX_AMOUNT}/month", Limit(MAX_AMOUNT, "month")),
]


@each_row(("text", "limit"), WRITTEN, ids=[text for text, _ in WRITTEN])
def test_a_limit_is_an_amount_in_a_window(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit
    assert parse_limit(str(limit)) == limit


NOT_WRITTEN = [
    "", "30", "minute", "/minute", "30/", "0/minute", "-1/minute", "1.5/minute", "1e3/day", "30 per minute", "30/minutes",
    "30/year", "30/minute/hour", "30/minute,5/day", "٣/minute", "30/mınute", f"{MAX_AMOUNT + 1}/day", "9" * 5000 + "/day",
    "30\n/day\nx", "unlimited", "*",
]  # fmt: skip


@each_row("text", NOT_WRITTEN, ids=[repr(text[:20]) for text in NOT_WRITTEN])
def test_what_is_no_limit_is_refused_with_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="30/minute"):
        parse_limit(text)


# window, its first second, the first second of the next
SPANS = [
    ("second", "2026-03-04 05:06:07", "2026-03-04 05:06:08"),
    ("minute", "2026-03-04 05:06:00", "2026-03-04 05:07:00"),
    ("minute", "2026-12-31 23:59:00", "2027-01-01 00:00:00"),
    ("hour", "2026-03-04 05:00:00", "2026-03-04 06:00:00"),
    ("day", "2026-03-04 00:00:00", "2026-03-05 00:00:00"),
    ("day", "2024-02-29 00:00:00", "2024-03-01 00:00:00"),
    ("day", "2026-12-31 00:00:00", "2027-01-01 00:00:00"),
    ("week", "2026-03-02 00:00:00", "2026-03-09 00:00:00"),
    ("week", "2026-12-28 00:00:00", "2027-01-04 00:00:00"),
    ("week", "2024-02-26 00:00:00", "2024-03-04 00:00:00"),
    ("month", "2026-03-01 00:00:00", "2026-04-01 00:00:00"),
    ("month", "2026-04-01 00:00:00", "2026-05-01 00:00:00"),
    ("month", "2026-02-01 00:00:00", "2026-03-01 00:00:00"),
    ("month", "2024-02-01 00:00:00", "2024-03-01 00:00:00"),
    ("month", "2100-02-01 00:00:00", "2100-03-01 00:00:00"),
    ("month", "2026-11-01 00:00:00", "2026-12-01 00:00:00"),
    ("month", "2026-12-01 00:00:00", "2027-01-01 00:00:00"),
]


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@each_row(("window", "first", "after"), SPANS, ids=[f"{window} {first}" for window, first, _ in SPANS])
def test_a_window_is_the_calendars_in_utc(window: str, first: str, after: str) -> None:
    start, end = seconds(first), seconds(after)
    for now in (start, start + 0.001, (start + end) / 2, end - 0.001):
        assert window_start(window, now) == start
    assert window_start(window, start - 0.001) < start
    assert window_start(window, end) == window_end(window, start) == end


@each_row("window", WINDOWS)
def test_windows_follow_each_other_without_a_gap(window: str) -> None:
    start = window_start(window, seconds("2023-12-25 12:00:00"))
    for _ in range(60):
        end = window_end(window, start)
        assert window_start(window, end - 0.5) == start < end
        assert window_start(window, end) == end
        start = end


def test_a_week_begins_on_monday() -> None:
    for day in range(14):
        start = window_start("week", seconds("2026-03-04 12:00:00") + day * 86_400)
        assert datetime.fromtimestamp(start, UTC).strftime("%A %H:%M:%S") == "Monday 00:00:00"


MINUTE, FEWER, MORE, DAY = Limit(30, "minute"), Limit(10, "minute"), Limit(90, "minute"), Limit(5, "day")
NARROWED = [
    ("nothing more", (MINUTE,), None, (MINUTE,)),
    ("none to begin with", (), MINUTE, (MINUTE,)),
    ("nothing at all", (), None, ()),
    ("a smaller one", (MINUTE,), FEWER, (FEWER,)),
    ("a larger one", (MINUTE,), MORE, (MINUTE,)),
    ("the same", (MINUTE,), MINUTE, (MINUTE,)),
    ("another window", (MINUTE,), DAY, (MINUTE, DAY)),
    ("one of several", (MINUTE, DAY), FEWER, (FEWER, DAY)),
    ("a larger one of several", (DAY, MINUTE), MORE, (DAY, MINUTE)),
]


@each_row(("limits", "more", "left"), [row[1:] for row in NARROWED], ids=[row[0] for row in NARROWED])
def test_another_limit_only_ever_narrows(
    limits: tuple[Limit, ...], more: Limit | None, left: tuple[Limit, ...]
) -> None:
    assert narrowed(limits, more) == left
