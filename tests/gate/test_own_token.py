"""A visitor's own token, for their programs: given to the page's own script only."""

import pytest

from tests.conftest import RunningApp, make_token
from tests.support.raw_client import ask, bearer, logged
from tests.support.rows import each_row

TOKEN = make_token("zoe")
COOKIE = {"Cookie": f"hfchat_session={TOKEN}"}
ASKS = {"X-Hfchat-Asks": "1"}
HERE = {"Sec-Fetch-Site": "same-origin"}


def test_the_pages_own_script_gets_it_and_no_log_has_it(offline_app: RunningApp) -> None:
    with logged() as lines:
        response = ask(offline_app, "POST", "/own-token", {**COOKIE, **ASKS, **HERE})
    assert response.json == {"token": TOKEN}
    assert response.headers["Cache-Control"] == "no-store"
    assert TOKEN not in "".join(lines)


REFUSED = {
    "a stranger": {**ASKS, **HERE},
    "a form": {**COOKIE, **HERE},
    "another site": {**COOKIE, **ASKS, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "a neighbour": {**COOKIE, **ASKS, "Sec-Fetch-Site": "same-site"},
    "another origin": {**COOKIE, **ASKS, "Origin": "http://127.0.0.1:1"},
    "no browser": {**COOKIE, **ASKS},
    "a bad token": {"Cookie": f"hfchat_session={TOKEN}x", **ASKS, **HERE},
    "a bearer": {**bearer("zoe"), **ASKS},
}


@each_row("headers", REFUSED.values(), ids=REFUSED.keys())
def test_nobody_else_gets_it(offline_app: RunningApp, headers: dict[str, str]) -> None:
    response = ask(offline_app, "POST", "/own-token", headers)
    assert response.status in (400, 401)
    assert TOKEN.encode() not in response.body


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_a_link_does_not_get_it(offline_app: RunningApp, method: str) -> None:
    response = ask(offline_app, method, "/own-token", {**COOKIE, **ASKS, **HERE})
    assert response.status == 405
    assert TOKEN.encode() not in response.body
