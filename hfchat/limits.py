"""Rate limit and budget: limits as owners write them, `30/minute`, and their fixed windows, aligned to UTC. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_LENGTHS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
WINDOWS = (*_LENGTHS_S, "month")
MAX_AMOUNT = 10**15
# 1970-01-01 was a Thursday; weeks begin on Monday (ISO 8601).
_WEEK_OFFSET_S = 3 * 86_400
_FORM = re.compile(rf"(\d{{1,16}})\s*/\s*({'|'.join(WINDOWS)})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limit:
    """An amount in each window; `window` is one of `WINDOWS`."""

    amount: int
    window: str

    def __str__(self) -> str:
        return f"{self.amount}/{self.window}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of requests, tokens and replies in progress that belong to one token or one person; None where others hold."""

    rate: Limit | None = None
    budget: Limit | None = None
    streams: int | None = None


def parse_limit(text: str) -> Limit:
    """The limit in a text such as `30/minute`. Raises: ValueError that shows the form."""
    match = _FORM.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= MAX_AMOUNT:
        raise ValueError(
            f"it is not a limit; write a number above 0, a slash, and one of {', '.join(WINDOWS)}: 30/minute"
        )
    return Limit(int(match[1]), match[2].lower())


def window_start(window: str, now: float) -> int:
    """When the window that `now` lies in began, in seconds since 1970."""
    if window == "month":
        day = datetime.fromtimestamp(now, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp())
    length_s, offset_s = _LENGTHS_S[window], _WEEK_OFFSET_S if window == "week" else 0
    return int((now + offset_s) // length_s * length_s - offset_s)


def window_end(window: str, start: int) -> int:
    """When the window that began at `start` ends, and the next begins."""
    if window == "month":
        day = datetime.fromtimestamp(start, UTC)
        return int(datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC).timestamp())
    return start + _LENGTHS_S[window]


def narrowed(limits: tuple[Limit, ...], limit: Limit | None) -> tuple[Limit, ...]:
    """The limits and one more: of two for the same window the smaller one stays."""
    if limit is None:
        return limits
    smallest = {other.window: other for other in limits}
    smallest[limit.window] = min(smallest.get(limit.window, limit), limit, key=lambda one: one.amount)
    return tuple(smallest.values())
