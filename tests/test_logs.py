"""The log: one event a line, whatever is in it, and nothing that somebody wrote."""

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from hfchat.logs import MAX_EQUAL_LINES, MAX_KINDS, configure_logging, log_crash, log_event, sum_up_log
from tests.conftest import wait_until

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


def refuse(times: int, **facts: str) -> None:
    for number in range(times):
        log_event(logger, logging.INFO, "refused", request_id=f"{number:x}", **facts)


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfchat.logs.WINDOW_S", 0.1)


def test_equal_lines_are_summed_up(lines: Lines) -> None:
    configure_logging("text")
    refuse(5000, code="missing_token", method="GET")
    first = lines()
    assert len(first) == MAX_EQUAL_LINES
    assert all("refused request_id=" in line for line in first)
    sum_up_log()
    (line,) = lines()
    assert re.search(rf" INFO refused code=missing_token method=GET more={5000 - MAX_EQUAL_LINES} in_s=1$", line)
    refuse(1, code="missing_token", method="GET")
    assert len(lines()) == 1, "a new window begins"


def test_a_sum_is_json_too(lines: Lines) -> None:
    configure_logging("json")
    refuse(MAX_EQUAL_LINES + 7, code="missing_token")
    sum_up_log()
    total = json.loads(lines()[-1])
    assert (total["event"], total["code"], total["more"]) == ("refused", "missing_token", 7)
    assert "request_id" not in total


def test_the_servers_warnings_are_summed_up_too(lines: Lines) -> None:
    configure_logging("text")
    for _ in range(300):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    sum_up_log()
    said = lines()
    assert len(said) == MAX_EQUAL_LINES + 1
    assert said[-1].endswith(f"WARNING Invalid HTTP request received. more={300 - MAX_EQUAL_LINES} in_s=1")


@pytest.mark.usefixtures("short_windows")
def test_the_sum_is_written_when_the_window_ends_though_nothing_follows(lines: Lines) -> None:
    configure_logging("text")
    refuse(50, code="missing_token")
    said: list[str] = []

    def sum_came() -> bool:
        said.extend(lines())
        return any(" more=" in line for line in said)

    wait_until(sum_came)
    assert len(said) == MAX_EQUAL_LINES + 1


@pytest.mark.usefixtures("short_windows")
def test_a_window_ends_without_its_timer_too(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    # As after a fork, which takes no threads along.
    monkeypatch.setattr("hfchat.logs.threading.Timer.start", lambda self: None)
    configure_logging("text")
    refuse(50, code="missing_token")
    time.sleep(0.1)
    refuse(1, code="missing_token")
    assert [line.partition("more=")[2].partition(" ")[0] for line in lines()[-2:]] == [f"{50 - MAX_EQUAL_LINES}", ""]


def test_what_differs_is_not_summed_up(lines: Lines) -> None:
    configure_logging("text")
    for subject in ("alice", "bob"):
        for code in ("missing_token", "rate_limit_exceeded"):
            refuse(MAX_EQUAL_LINES, code=code, subject=subject)
    sum_up_log()
    assert len(lines()) == 4 * MAX_EQUAL_LINES


@pytest.mark.parametrize("event", ["turn", "rated", "token_issued", "token_revoked"])
def test_what_is_counted_by_its_lines_has_all_of_them(event: str, lines: Lines) -> None:
    configure_logging("text")
    for _ in range(50):
        log_event(logger, logging.INFO, event, rating="liked", request_id="r1")
    assert len(lines()) == 50


def test_what_is_said_of_replies_that_nobody_knows_is_summed_up(lines: Lines) -> None:
    configure_logging("text")
    for _ in range(50):
        log_event(logger, logging.INFO, "rated", subject="alice", rating="liked")
    sum_up_log()
    assert len(lines()) == MAX_EQUAL_LINES + 1


def test_ever_new_lines_take_no_more_memory(lines: Lines) -> None:
    configure_logging("text")
    for number in range(MAX_KINDS + 500):
        refuse(1, code="missing_token", subject=f"{number}")
    (handler,) = logging.getLogger("hfchat").handlers
    assert len(handler._kinds) <= MAX_KINDS + 1  # type: ignore[attr-defined]
    sum_up_log()
    said = lines()
    assert len(said) == MAX_KINDS + MAX_EQUAL_LINES + 1
    assert said[-1].endswith(f"refused more={500 - MAX_EQUAL_LINES} in_s=1")


def test_the_sum_is_written_at_exit() -> None:
    program = (
        "import logging; from hfchat.logs import configure_logging, log_event; configure_logging('text');"
        "[log_event(logging.getLogger('hfchat'), logging.INFO, 'refused', code='x') for _ in range(100)]"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1].endswith(f"refused code=x more={100 - MAX_EQUAL_LINES} in_s=1")
