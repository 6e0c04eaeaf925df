"""Logging: one line for each event, as `key=value` text or JSON. Facts are never tokens, keys or what people wrote.

Rate-limited, so that a stranger's requests do not fill the log: of equal lines the first are written, the others counted.
"""

import json
import logging
import re
import sys
import threading
import time
import traceback
from functools import lru_cache
from typing import Any

_LOGGER = "hfchat"
# Of equal lines, so many are written in each window; then one line has the number of the others.
MAX_EQUAL_LINES = 10
WINDOW_S = 10.0
# Kinds of lines counted apart in a window; beyond them, lines are counted by their event only.
MAX_KINDS = 1000
# Never summed up: each is of use by itself, and rate limits bound them.
_ALWAYS_WRITTEN = frozenset({"turn", "token_issued", "token_revoked"})
# Nor are these where they name their turn. Without one, a page may send them without limit.
_WRITTEN_OF_A_TURN = frozenset({"rated"})
# Facts in which equal lines may differ.
_UNIQUE_FACTS = frozenset({"request_id", "provider_request_id", "took_ms"})
_PLAIN = re.compile(r'[^ "=\n\r\t]+')


def log_event(logger: logging.Logger, level: int, event: str, **facts: object) -> None:
    """Write the event with its facts, without those that are None or empty."""
    if logger.isEnabledFor(level):
        # `logger.log` would look up the place of the call, which no line of ours has.
        record = logging.LogRecord(logger.name, level, "", 0, event, None, None)
        record.facts = {name: fact for name, fact in facts.items() if fact not in (None, "")}
        logger.handle(record)


def log_crash(logger: logging.Logger, crash: BaseException, **facts: object) -> None:
    """Write the traceback of an unforeseen exception, without its text, which may quote what somebody wrote."""
    frames = traceback.extract_tb(crash.__traceback__)[-12:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    log_event(logger, logging.ERROR, "crash", **facts, exception=type(crash).__name__, places=places)


def configure_logging(log_format: str) -> None:
    """Send hfchat's events to stderr, in this format, and the warnings of uvicorn and asyncio."""
    # No line of ours has threads or processes.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sum_up_log()
    handler = _SummingHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    for name, level in ((_LOGGER, logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def sum_up_log() -> None:
    """Write the counts of the current window now. For an end by a signal, at which Python does not close the handlers."""
    for handler in logging.getLogger(_LOGGER).handlers:
        if isinstance(handler, _SummingHandler):
            handler.sum_up()


class _SummingHandler(logging.StreamHandler[Any]):
    """Writes the first of equal lines, and at the end of the window one line for the others: `more=12 in_s=10`."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        # The count of each kind, and the last of its lines.
        self._kinds: dict[tuple[object, ...], tuple[int, logging.LogRecord]] = {}
        self._began = 0.0
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or count it."""
        kind = _kind(record)
        if kind is None:
            return super().emit(record)
        if self._kinds and time.monotonic() - self._began >= WINDOW_S:
            self.sum_up()  # the timer is late, or is one of the parent process
        if not self._kinds:
            self._began = time.monotonic()
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind, record = kind[:3], _without_facts(record)
        count, _ = self._kinds.get(kind, (0, record))
        self._kinds[kind] = (count + 1, record)
        if count < MAX_EQUAL_LINES:
            return super().emit(record)
        if self._timer is None:
            self._timer = threading.Timer(max(self._began + WINDOW_S - time.monotonic(), 0), self.sum_up)
            self._timer.daemon = True
            self._timer.start()
        return None

    def sum_up(self) -> None:
        """End the window: write for each kind how many lines were left out."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
            kinds, self._kinds, self._timer = self._kinds, {}, None
            in_s = max(round(time.monotonic() - self._began), 1)
            for count, record in kinds.values():
                if count > MAX_EQUAL_LINES:
                    super().emit(_sum_of(record, count - MAX_EQUAL_LINES, in_s))
        finally:
            self.release()

    def close(self) -> None:
        """Write the counts, and close. Python calls it at exit."""
        self.sum_up()
        super().close()


def _kind(record: logging.LogRecord) -> tuple[object, ...] | None:
    """What equal lines have in common; None for a line that is always written. The first three are without facts."""
    event = _first_line(record)
    if event in _ALWAYS_WRITTEN:
        return None
    known_facts = _facts(record)
    if event in _WRITTEN_OF_A_TURN and "request_id" in known_facts:
        return None
    facts = tuple((name, str(fact)) for name, fact in known_facts.items() if name not in _UNIQUE_FACTS)
    return record.name, record.levelno, event, *facts


def _without_facts(record: logging.LogRecord) -> logging.LogRecord:
    return logging.LogRecord(record.name, record.levelno, "", 0, _first_line(record).replace("%", "%%"), None, None)


def _sum_of(record: logging.LogRecord, more: int, in_s: int) -> logging.LogRecord:
    facts = {name: fact for name, fact in _facts(record).items() if name not in _UNIQUE_FACTS}
    total = _without_facts(record)
    total.facts = {**facts, "more": more, "in_s": in_s}
    return total


@lru_cache(4)
def _time_of(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = dict(getattr(record, "facts", {}))
    if record.exc_info and record.exc_info[0]:
        facts["exception"] = record.exc_info[0].__name__
    return facts


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={_quoted(fact)}" for name, fact in _facts(record).items())
        when = _time_of(int(record.created))
        return f"{when} {record.levelname} {_first_line(record)} {facts}".rstrip()


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        event = {"time": when, "level": record.levelname, "event": _first_line(record), **_facts(record)}
        return json.dumps(event, default=str)  # ASCII: some readers end a line at U+2028


def _quoted(fact: object) -> str:
    text = str(fact)
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text)


def _first_line(record: logging.LogRecord) -> str:
    # Further lines of asyncio's messages quote exceptions, which may quote what somebody wrote.
    return " ".join(record.getMessage().partition("\n")[0].split())
