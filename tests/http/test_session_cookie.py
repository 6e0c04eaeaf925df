"""How the session cookie is read back: its exact name, once, as it was written."""

import pytest

from tests.conftest import RunningApp, make_token
from tests.support.raw_client import ask
from tests.support.rows import each_row

GOOD, OTHER = make_token("alice"), make_token("mallory")
PLAIN, SECURE = "hfchat_session", "__Host-hfchat_session"

# Cookie headers, whose session is read over http, and over https with the secure name in the plain one's place.
READ: dict[str, tuple[list[str], str]] = {
    "alone": ([f"NAME={GOOD}"], "alice"),
    "among others": ([f"a=1; NAME={GOOD}; b=2"], "alice"),
    "blanks and tabs around": ([f"a=1;\t NAME\t= {GOOD} "], "alice"),
    "no blank after the semicolon": ([f"a=1;NAME={GOOD};b"], "alice"),
    "in the second header": (["a=1", f"NAME={GOOD}"], "alice"),
    "quoted": ([f'NAME="{GOOD}"'], ""),
    "the name quoted": ([f'"NAME"={GOOD}'], ""),
    "two quotes, one cookie": ([f'a="; NAME={GOOD}; b="'], "alice"),
    "a comma for a semicolon": ([f"a=1, NAME={GOOD}"], ""),
    "nothing in it": (["NAME="], ""),
    "no equals sign": (["NAME"], ""),
    "a cookie without a name": ([f"=NAME={GOOD}"], ""),
    "a longer name": ([f"xNAME={GOOD}; NAMEx={GOOD}"], ""),
    "a version": ([f"$Version=1; $NAME={GOOD}"], ""),
    "encoded": ([f"NAME%20={GOOD}; %4eAME={GOOD}"], ""),
    "one that only looks like it beside it": ([f"\xa0NAME={OTHER}; NAME={GOOD}"], "alice"),
    "two": ([f"NAME={GOOD}; NAME={OTHER}"], ""),
    "two of one": ([f"NAME={GOOD}; NAME={GOOD}"], ""),
    "two, one empty": ([f"NAME={GOOD}; NAME="], ""),
    "two, one without a value": ([f"NAME; NAME={GOOD}"], ""),
    "two, one spaced": ([f"NAME={GOOD}; NAME ={OTHER}"], ""),
    "two, one quoted": ([f'NAME={GOOD}; NAME="{OTHER}"'], ""),
    "two headers": ([f"NAME={GOOD}", f"NAME={OTHER}"], ""),
    "two headers of one": ([f"NAME={GOOD}", f"NAME={GOOD}"], ""),
}
# What Python's `str.strip` takes for white space and a browser does not: with it, another host's cookie has a name of its own.
UNUSUAL = ("\xa0", "\x85", "\x1f", "\x0b", "\x0c", "\xe2\x80\x80", "\xc2\xa0")


def session_of(app: RunningApp, cookies: list[str], https: bool) -> str:
    proto = [("X-Forwarded-Proto", "https")] if https else []
    response = ask(app, "GET", "/config", [*(("Cookie", header) for header in cookies), *proto])
    assert response.status in (200, 401)
    return str(response.json["username"]) if response.status == 200 else ""


@each_row("https", [False, True], ids=["http", "https"])
@each_row(("headers", "subject"), READ.values(), ids=READ)
def test_whose_session_a_cookie_header_is(
    offline_app: RunningApp, headers: list[str], subject: str, https: bool
) -> None:
    cookies = [header.replace("NAME", SECURE if https else PLAIN) for header in headers]
    assert session_of(offline_app, cookies, https) == subject


@pytest.mark.parametrize("character", UNUSUAL, ids=ascii)
def test_no_other_name_passes_for_the_one_with_the_prefix(offline_app: RunningApp, character: str) -> None:
    for name in (f"{character}{SECURE}", f"{SECURE}{character}", f"{SECURE.lower()}", f"{SECURE.upper()}", PLAIN):
        cookies = [f"{name}={OTHER}"]
        # Where a character ends the request itself, it is refused as none.
        response = ask(offline_app, "GET", "/config", [("Cookie", cookies[0]), ("X-Forwarded-Proto", "https")])
        assert response.status in (400, 401)
        if response.status == 401:
            assert session_of(offline_app, [*cookies, f"{SECURE}={GOOD}"], True) == "alice"


@pytest.mark.parametrize("first", ["http", "https"])
def test_two_words_on_the_scheme_lead_into_no_circle(offline_app: RunningApp, first: str) -> None:
    """Behind two proxies: what is written is read, by the gate and by the sign-in page."""
    second = {"http": "https", "https": "http"}[first]
    proto = [("X-Forwarded-Proto", first), ("X-Forwarded-Proto", second)]
    signed_in = ask(offline_app, "POST", "/login", proto, f"token={GOOD}".encode())
    session = ("Cookie", (signed_in.headers["Set-Cookie"] or "").partition(";")[0])
    assert session[1] == f"{SECURE}={GOOD}"
    assert ask(offline_app, "GET", "/", [session, *proto, ("Accept", "text/html")]).status == 200
    assert ask(offline_app, "GET", "/login", [session, *proto]).headers["Location"] == "/"
