"""The page's scripts and styles: kept as they were sent first, and by the browser too."""

import gzip
import re

from tests.conftest import RunningApp
from tests.support.raw_client import ask, cookie


def asset(app: RunningApp) -> str:
    """The path of a script that the page asks for."""
    match = re.search(rb"assets/index-[\w-]{8}\.js", ask(app, "GET", "/", cookie()).body)
    assert match
    return f"/{match[0].decode()}"


def test_a_script_is_the_same_each_time_and_in_each_coding(offline_app: RunningApp) -> None:
    path = asset(offline_app)
    plain = ask(offline_app, "GET", path, cookie()).body
    for _ in range(2):
        for accepted, coding in (("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("", None)):
            answer = ask(offline_app, "GET", path, {**cookie(), "Accept-Encoding": accepted})
            assert (answer.status, answer.headers.get("Content-Encoding")) == (200, coding)
            assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
            assert answer.headers["Content-Type"].startswith("application/javascript")
            assert int(answer.headers["Content-Length"]) == len(answer.body)
            assert len(answer.headers.get_all("X-Request-Id") or []) == 1
            if coding == "gzip":
                assert gzip.decompress(answer.body) == plain
            assert (len(answer.body) < len(plain)) == (coding is not None)


def test_parts_of_it_and_what_is_not_there_are_asked_for_anew(offline_app: RunningApp) -> None:
    path = asset(offline_app)
    whole = ask(offline_app, "GET", path, cookie())
    part = ask(offline_app, "GET", path, {**cookie(), "Range": "bytes=0-9"})
    assert (part.status, part.body) == (206, whole.body[:10])
    missing = ask(offline_app, "GET", "/assets/nothing-12345678.js", cookie())
    assert missing.status == 404
    assert "Cache-Control" not in missing.headers or "immutable" not in missing.headers["Cache-Control"]


def test_nobody_is_let_in_by_it(offline_app: RunningApp) -> None:
    path = asset(offline_app)
    assert ask(offline_app, "GET", path, cookie()).status == 200
    assert ask(offline_app, "GET", path, {}).status != 200
