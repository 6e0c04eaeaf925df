"""The log: one line an event, as `key=value` text or JSON. Events name facts; no token, key or written text is a fact.

What a stranger can repeat without end does not fill it: of equal lines the first are written, and the others counted.
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
# Of lines that say the same, so many are written within so many seconds; then one line says how many more there were.
WRITTEN_AT_ONCE = 10
WINDOW_S = 10.0
# Kinds of lines that are told apart within the seconds; what comes beyond them is told apart by its event only.
MAX_KINDS = 1000
# Each of them is of use by itself, and what brings it about is limited.
_EACH = frozenset({"turn", "token_issued", "token_revoked"})
# So are these where they name their turn. Of replies that no turn is known of, a page may tell without end.
_EACH_OF_A_TURN = frozenset({"rated"})
# In these, lines differ that say the same.
_OF_ONE_LINE = frozenset({"request_id", "provider_request_id", "took_ms"})
_PLAIN = re.compile(r'[^ "=\n\r\t]+')


def log_event(logger: logging.Logger, level: int, event: str, **facts: object) -> None:
    """Write the event with those of its facts that are known."""
    if logger.isEnabledFor(level):
        # Made here: `logger.log` looks up the place of the call, which no line of ours has.
        record = logging.LogRecord(logger.name, level, "", 0, event, None, None)
        record.facts = {name: fact for name, fact in facts.items() if fact not in (None, "")}
        logger.handle(record)


def log_crash(logger: logging.Logger, crash: BaseException, **facts: object) -> None:
    """Write where an unforeseen exception came from, without its text: that may quote what somebody wrote."""
    frames = traceback.extract_tb(crash.__traceback__)[-12:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    log_event(logger, logging.ERROR, "crash", **facts, exception=type(crash).__name__, places=places)


def configure_logging(log_format: str) -> None:
    """Send hfchat's events to stderr, in this format; and the warnings of the server underneath, without its addresses."""
    # What no line of ours has is not looked up for each: threads, processes, the place of the call.
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
    """Write at once how many lines were left out. For the end of a program that a signal may end, without what Python does."""
    for handler in logging.getLogger(_LOGGER).handlers:
        if isinstance(handler, _SummingHandler):
            handler.sum_up()


class _SummingHandler(logging.StreamHandler[Any]):
    """Writes the first of equal lines, and, when the window has ended, one line for the others: `more=12 in_s=10`."""

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
            self.sum_up()  # where the timer is late, or belongs to another process
        if not self._kinds:
            self._began = time.monotonic()
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind, record = kind[:3], _without_facts(record)
        count, _ = self._kinds.get(kind, (0, record))
        self._kinds[kind] = (count + 1, record)
        if count < WRITTEN_AT_ONCE:
            return super().emit(record)
        if self._timer is None:
            self._timer = threading.Timer(max(self._began + WINDOW_S - time.monotonic(), 0), self.sum_up)
            self._timer.daemon = True
            self._timer.start()
        return None

    def sum_up(self) -> None:
        """End the window: say of each kind how many lines were not written."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
            kinds, self._kinds, self._timer = self._kinds, {}, None
            in_s = max(round(time.monotonic() - self._began), 1)
            for count, record in kinds.values():
                if count > WRITTEN_AT_ONCE:
                    super().emit(_sum_of(record, count - WRITTEN_AT_ONCE, in_s))
        finally:
            self.release()

    def close(self) -> None:
        """Write what is counted, and end. Python calls it when it exits."""
        self.sum_up()
        super().close()


def _kind(record: logging.LogRecord) -> tuple[object, ...] | None:
    """What equal lines have in common; None for a line that is always written. An event without facts has three."""
    event = _first_line(record)
    known = _facts(record)
    if event in _EACH or (event in _EACH_OF_A_TURN and "request_id" in known):
        return None
    facts = tuple((name, str(fact)) for name, fact in known.items() if name not in _OF_ONE_LINE)
    return record.name, record.levelno, event, *facts


def _without_facts(record: logging.LogRecord) -> logging.LogRecord:
    return logging.LogRecord(record.name, record.levelno, "", 0, _first_line(record).replace("%", "%%"), None, None)


def _sum_of(record: logging.LogRecord, more: int, in_s: int) -> logging.LogRecord:
    facts = {name: fact for name, fact in _facts(record).items() if name not in _OF_ONE_LINE}
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
        return json.dumps(event, default=str)  # ASCII: to some readers U+2028 and its like end a line


def _quoted(fact: object) -> str:
    text = str(fact)
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text)


def _first_line(record: logging.LogRecord) -> str:
    # What asyncio says in further lines quotes exceptions, and they quote what somebody wrote.
    return " ".join(record.getMessage().partition("\n")[0].split())
