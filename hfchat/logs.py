"""The log: one line an event, as `key=value` text or JSON. Events name facts; no token, key or written text is a fact."""

import json
import logging
import re
import sys
import time
import traceback
from functools import lru_cache
from typing import Any

_LOGGER = "hfchat"
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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    for name, level in ((_LOGGER, logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


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
