"""The log: one event a line, whatever is in it, and nothing that somebody wrote."""

import json
import logging
import re
from collections.abc import Callable

import pytest

from hfchat.logs import configure_logging, log_crash, log_event

pytestmark = pytest.mark.usefixtures("loggers_as_they_were")
logger = logging.getLogger("hfchat.chat.chat")

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What stderr got since the last time; stdout gets nothing."""

    def said() -> list[str]:
        shown = capsys.readouterr()
        assert shown.out == ""
        return shown.err.splitlines()

    return said


def test_an_event_is_a_line_of_text(lines: Lines) -> None:
    configure_logging("text")
    log_event(logger, logging.INFO, "turn", subject="alice", took_ms=12, outcome="ok", model="a/b:c")
    (line,) = lines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO turn subject=alice took_ms=12 outcome=ok model=a/b:c", line
    )


def test_an_event_is_a_json_object(lines: Lines) -> None:
    configure_logging("json")
    log_event(logger, logging.WARNING, "turn", subject="José", took_ms=12)
    (line,) = lines()
    event = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", event.pop("time"))
    assert event == {"level": "WARNING", "event": "turn", "subject": "José", "took_ms": 12}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_is_not_known_is_left_out(log_format: str, lines: Lines) -> None:
    configure_logging(log_format)
    log_event(logger, logging.INFO, "turn", provider=None, hint="", prompt_tokens=0, streamed=False)
    (line,) = lines()
    assert "provider" not in line
    assert "hint" not in line
    assert "prompt_tokens" in line
    assert "streamed" in line


HOSTILE = {
    "LF": "a\n2026-01-01 00:00:00 INFO turn subject=root",
    "CR": "a\rb",
    "CRLF": "a\r\nb",
    "NEL": "a\x85b",
    "U+2028": "a\u2028b",
    "U+2029": "a\u2029b",
    "VT": "a\x0bb",
    "FS": "a\x1cb",
    "ESC": "a\x1b[2Jb",
    "NUL": "a\x00b",
    "quote": 'a" level="ERROR',
    "equals": "a=b",
    "space": "a b=c",
    "bidi override": "a\u202eb",
    "lone surrogate": "a\ud800b",
    "backslash": "a\\nb",
}


@pytest.mark.parametrize("fact", HOSTILE.values(), ids=HOSTILE)
def test_a_fact_stays_in_its_place(fact: str, lines: Lines) -> None:
    configure_logging("json")
    log_event(logger, logging.INFO, "turn", subject=fact, outcome="ok")
    (line,) = lines()
    assert json.loads(line)["subject"] == fact
    configure_logging("text")
    log_event(logger, logging.INFO, "turn", subject=fact, outcome="ok")
    (line,) = lines()
    assert line.isprintable()
    written = re.fullmatch(r'\S+ \S+ INFO turn subject=("(?:[^"\\]|\\.)*"|[^\s"=]+) outcome=ok', line)
    assert written
    assert (json.loads(written[1]) if written[1].startswith('"') else written[1]) == fact


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_another_loggers_message_stays_one_line_without_its_exception(log_format: str, lines: Lines) -> None:
    configure_logging(log_format)
    try:
        raise KeyError("Zq8 written text")
    except KeyError:
        logging.getLogger("uvicorn.error").exception("it broke\u2028here\nwith Zq8 in a later line")
    (line,) = lines()
    assert "KeyError" in line
    assert "Zq8" not in line
    assert "it broke" in line


def break_somewhere() -> None:
    secret = "Zq8 written text"
    try:
        raise ValueError(secret)
    except ValueError as cause:
        raise RuntimeError(f"because of {secret}") from cause


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_crash_shows_its_place_and_not_its_text(log_format: str, lines: Lines) -> None:
    configure_logging(log_format)
    try:
        break_somewhere()
    except RuntimeError as crash:
        log_crash(logger, crash, request_id="r1")
    (line,) = lines()
    assert "Zq8" not in line
    for fact in ("ERROR", "crash", "RuntimeError", "r1", "test_logs.py:", "break_somewhere < test_logs.py:"):
        assert fact in line


def test_a_crash_that_was_never_raised_is_logged_too(lines: Lines) -> None:
    configure_logging("text")
    log_crash(logger, ExceptionGroup("Zq8 written text", [ValueError("Zq8")]))
    (line,) = lines()
    assert line.endswith("ERROR crash exception=ExceptionGroup")


def test_a_deep_crash_is_a_short_line(lines: Lines) -> None:
    def fall(depth: int) -> None:
        if depth == 0:
            raise ValueError
        fall(depth - 1)

    configure_logging("text")
    try:
        fall(200)
    except ValueError as crash:
        log_crash(logger, crash)
    (line,) = lines()
    assert len(line) < 600


def test_only_the_servers_warnings_are_shown_and_each_event_once(lines: Lines) -> None:
    configure_logging("text")
    configure_logging("text")
    logging.getLogger("uvicorn.access").info("GET /login?token=Zq8")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("asyncio").debug("selector")
    logger.debug("detail")
    assert lines() == []
    logging.getLogger("uvicorn.error").warning("odd")
    assert len(lines()) == 1
