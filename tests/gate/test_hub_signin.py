"""Sign-in with Hugging Face over a real server: who gets in, and that a hostile provider or visitor opens nothing."""

import asyncio
import base64
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest

from hfchat.auth.hub_sessions import SESSION_S
from hfchat.auth.own_tokens import issue_token
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import open_store
from hfchat.types import HubAccount
from tests.conftest import KEY, RunningApp, make_token
from tests.support.hub_sign_in import HERE, ORIGIN, Browser, follow, hub_app
from tests.support.identity_provider import signed
from tests.support.openid_provider import ALICE, ORGANISATION, OpenIdProvider
from tests.support.raw_client import Said, ask, bearer, logged
from tests.support.stub_upstream import StubUpstream

JSON = {"Accept": "application/json"}
SESSION, FRAME_COOKIE = "__Host-hfchat_session", "__Host-hfchat_frame"


@pytest.fixture(scope="module")
def app(shared_provider: OpenIdProvider, shared_stub: StubUpstream) -> Iterator[RunningApp]:
    with hub_app(shared_provider, shared_stub, HFCHAT_MEMBERS="Bob, acme, kim") as served:
        yield served


def claims_of(browser: Browser) -> dict[str, Any]:
    return dict(jwt.decode(browser.session, KEY, algorithms=["HS256"]))


# --- who gets in


def test_who_signs_in_has_a_session_of_ours(app: RunningApp, provider: OpenIdProvider) -> None:
    with logged() as lines:
        browser = Browser(app).sign_in()
    claims = claims_of(browser)
    assert claims["sub"] == f"hf:{ALICE['sub']}"
    assert claims["hub"] == {"name": "alice", "payer": "self"}
    assert claims["exp"] - claims["iat"] == SESSION_S
    assert browser.cookies.keys() == {SESSION}
    assert browser.ask("GET", "/").status == 200
    assert any("signed_in" in line and "'name': 'alice'" in line for line in lines)
    written = "".join([*lines, *browser.cookies.values()])
    assert not [token for token in provider.tokens if token in written]


def test_a_session_is_good_where_the_key_is_written_in_base64(
    provider: OpenIdProvider, shared_stub: StubUpstream
) -> None:
    key = b"a key of 32 bytes for these tests"
    with hub_app(provider, shared_stub, JWT_SECRET=f"base64:{base64.b64encode(key).decode()}") as served:
        browser = Browser(served).sign_in()
        assert usage(served, browser.session).status == 200
    assert jwt.decode(browser.session, key, algorithms=["HS256"])["sub"] == f"hf:{ALICE['sub']}"


PEOPLE: dict[str, tuple[dict[str, Any], str | None]] = {
    "a member by name": ({"preferred_username": "bob"}, "bob"),
    "however it is written": ({"preferred_username": "BOB"}, "bob"),
    "by an organisation": ({"orgs": [ORGANISATION]}, "acme"),
    "by the last of 200": ({"orgs": [*({"preferred_username": f"o{n}"} for n in range(200)), ORGANISATION]}, "acme"),
    "a name that looks alike": ({"preferred_username": "ｂｏｂ"}, None),
    "a name that is alike in lower case": ({"preferred_username": "\u212aim"}, None),  # the Kelvin sign
    "the name of a person, not the user name": ({"name": "bob"}, None),
    "the title of an organisation": ({"orgs": [{"name": "acme", "preferred_username": "evil"}]}, None),
    "organisations of another form": ({"orgs": {"acme": ORGANISATION, "x": [1]}}, None),
    "no object": ({"orgs": ["acme", None, 7]}, None),
}  # fmt: skip


@pytest.mark.parametrize(("person", "member"), PEOPLE.values(), ids=PEOPLE)
def test_members_are_those_that_the_owner_names(
    app: RunningApp, provider: OpenIdProvider, person: dict[str, Any], member: str | None
) -> None:
    provider.person |= person
    hub = claims_of(Browser(app).sign_in())["hub"]
    assert (hub.get("member"), hub["payer"]) == (member, "owner" if member else "self")


def test_organisations_that_the_id_token_leaves_out_are_asked_for(app: RunningApp, provider: OpenIdProvider) -> None:
    provider.person["orgs"] = [ORGANISATION]
    provider.claims = lambda claims: {name: value for name, value in claims.items() if name != "orgs"}
    assert claims_of(Browser(app).sign_in())["hub"]["member"] == "acme"
    assert "/oauth/userinfo" in provider.asked


def test_who_is_renamed_stays_the_same_person(app: RunningApp, provider: OpenIdProvider) -> None:
    first = claims_of(Browser(app).sign_in())
    provider.person["preferred_username"] = "alison"
    second = claims_of(Browser(app).sign_in())
    assert (first["sub"], second["hub"]["name"]) == (second["sub"], "alison")


def test_a_client_without_a_secret_is_known_by_its_document(app: RunningApp, provider: OpenIdProvider) -> None:
    document = ask(app, "GET", "/.well-known/oauth-cimd").json
    query = parse_qs(urlsplit(Browser(app).start()).query)
    assert document["client_id"] == f"{ORIGIN}/.well-known/oauth-cimd" == query["client_id"][0]
    assert document["redirect_uris"] == [f"{ORIGIN}/login/huggingface/callback"] == query["redirect_uri"]
    assert document["token_endpoint_auth_method"] == "none"
    assert query["scope"] == ["openid profile inference-api"]
    assert query["code_challenge_method"] == ["S256"]


def test_a_registered_client_shows_its_secret_to_the_token_endpoint_only(
    provider: OpenIdProvider, stub: StubUpstream
) -> None:
    provider.client_secret = "s3cr3t"
    variables = {"OAUTH_CLIENT_ID": "c0ffee", "OAUTH_CLIENT_SECRET": "s3cr3t"}
    with hub_app(provider, stub, **variables) as served, logged() as lines:
        browser = Browser(served)
        assert "s3cr3t" not in browser.start()
        browser.sign_in()
        assert ask(served, "GET", "/.well-known/oauth-cimd").status == 404
    assert "s3cr3t" not in "".join(lines)


def test_a_space_signs_in_with_the_app_it_was_given(provider: OpenIdProvider, stub: StubUpstream) -> None:
    provider.client_secret = "s3cr3t"
    space = {"SPACE_ID": "me/chat", "SPACE_HOST": "me-chat.hf.space,chat.example.org"}
    app = {"OAUTH_CLIENT_ID": "c0ffee", "OAUTH_CLIENT_SECRET": "s3cr3t", "OAUTH_SCOPES": "inference-api"}
    with hub_app(provider, stub, HFCHAT_SIGN_IN="", HFCHAT_PUBLIC_URL="", **space, **app) as served:
        page = ask(served, "GET", "/login", {"Sec-Fetch-Dest": "iframe"}).body.decode()
        browser = Browser(served)
        response = browser.ask("GET", "/login/huggingface")
        query = parse_qs(urlsplit(response.headers["Location"]).query)
        browser.sign_in()
    assert 'href="https://me-chat.hf.space/login/huggingface?frame=' in page
    assert 'target="_blank" rel="noopener"' in page
    assert 'name="token"' in page
    assert query["redirect_uri"] == ["https://me-chat.hf.space/login/huggingface/callback"]
    assert query["scope"] == ["openid profile inference-api"]
    assert "SameSite=None; Secure; Partitioned" in response.headers["Set-Cookie"]


# --- who does not


def refused(response: Said, reason: str, fault: str = "caller") -> None:
    assert (response.status, response.code, response.json["error"]["fault"]) == (401, "sign_in_failed", fault)
    assert reason in response.json["error"]["message"], response.json
    assert response.headers.get_all("Set-Cookie") is None
    assert "huggingface.co" not in response.headers.get("Location", "")


UNANSWERED = "Hugging Face did not answer as it should"
AGAIN = "begun in another browser"
CLAIMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another issuer": lambda claims: {**claims, "iss": "https://evil.example"},
    "an issuer that begins alike": lambda claims: {**claims, "iss": f"{claims['iss']}/"},
    "no issuer": lambda claims: {**claims, "iss": None},
    "another client": lambda claims: {**claims, "aud": "https://evil.example/.well-known/oauth-cimd"},
    "another client beside us": lambda claims: {**claims, "aud": [claims["aud"], "evil"]},
    "no audience": lambda claims: {**claims, "aud": []},
    "another party": lambda claims: {**claims, "azp": "evil"},
    "another nonce": lambda claims: {**claims, "nonce": "n"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "expired": lambda claims: {**claims, "exp": int(time.time()) - 1},
    "without end": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "an end that is no time": lambda claims: {**claims, "exp": "9999999999"},
    "made before the attempt": lambda claims: {**claims, "iat": int(time.time()) - 7200},
    "made tomorrow": lambda claims: {**claims, "iat": int(time.time()) + 86_400},
    "no time of making": lambda claims: {name: value for name, value in claims.items() if name != "iat"},
    "not valid yet": lambda claims: {**claims, "nbf": int(time.time()) + 86_400},
    "nobody": lambda claims: {name: value for name, value in claims.items() if name != "sub"},
    "a number": lambda claims: {**claims, "sub": 7},
    "an empty name": lambda claims: {**claims, "sub": ""},
    "a name with a line break": lambda claims: {**claims, "sub": "63f0a1\n"},
    "a name that looks alike": lambda claims: {**claims, "sub": "６３f0a1"},
    "a long name": lambda claims: {**claims, "sub": "a" * 201},
}


@pytest.mark.parametrize("change", CLAIMS.values(), ids=CLAIMS)
def test_an_id_token_with_a_wrong_claim_signs_nobody_in(
    app: RunningApp, provider: OpenIdProvider, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    provider.claims = change
    refused(Browser(app).ask("GET", Browser(app).callback(), JSON), AGAIN)  # by a browser that has not begun
    browser = Browser(app)
    refused(browser.ask("GET", browser.callback(), JSON), UNANSWERED, "upstream")


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, algorithm="none")


SIGNATURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "none": unsigned,
    "our own key": lambda claims: jwt.encode(claims, KEY, algorithm="HS256"),
    "the public key as a secret": lambda claims: jwt.encode(claims, "k" * 40, algorithm="HS256", headers={"kid": "k1"}),
    "another key of that id": lambda claims: signed("RS256", claims, number=9, kid="k1"),
    "a key that is not published": lambda claims: signed("RS256", claims, number=9, kid="k9"),
    "another algorithm": lambda claims: signed("PS256", claims, number=1, kid="k1"),
    "an elliptic curve": lambda claims: signed("ES256", claims, kid="k1"),
    "an id that is no text": lambda claims: signed("RS256", claims, number=1, kid="k1").replace(
        signed("RS256", claims, number=1, kid="k1").partition(".")[0],
        base64.urlsafe_b64encode(b'{"alg":"RS256","kid":7}').rstrip(b"=").decode(),
    ),
    "a critical extension": lambda claims: signed("RS256", claims, number=1, kid="k1", crit=["x"], x=1),
    "no token": lambda claims: "a.b",
    "an empty text": lambda claims: "",
}


@pytest.mark.parametrize("sign", SIGNATURES.values(), ids=SIGNATURES)
def test_an_id_token_that_another_signed_signs_nobody_in(
    app: RunningApp, provider: OpenIdProvider, sign: Callable[[dict[str, Any]], str]
) -> None:
    provider.sign = sign
    browser = Browser(app)
    refused(browser.ask("GET", browser.callback(), JSON), UNANSWERED, "upstream")


def test_new_keys_of_the_provider_are_taken(provider: OpenIdProvider, stub: StubUpstream) -> None:
    with hub_app(provider, stub) as served:
        Browser(served).sign_in()
        provider.key = 2
        sign_in_soon(Browser(served))


def sign_in_soon(browser: Browser) -> None:
    """Where the last keys were fetched just now, new ones are asked for a moment later."""
    until = time.monotonic() + 30
    while SESSION not in browser.cookies:
        assert time.monotonic() < until
        browser.ask("GET", browser.callback())
        time.sleep(0.1)


ANSWERS: dict[str, Callable[[str], str]] = {
    "no state": lambda path: path.replace("state=", "x="),
    "another state": lambda path: path.replace("state=", "state=x"),
    "two states": lambda path: f"{path}&state=x",
    "two codes": lambda path: f"{path}&code=x",
    "a long code": lambda path: f"{path}{'x' * 5000}",
    "a code that was never given": lambda path: path.replace("code=", "code=x"),
}


@pytest.mark.parametrize("change", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_the_providers_signs_nobody_in(
    app: RunningApp, provider: OpenIdProvider, change: Callable[[str], str]
) -> None:
    browser = Browser(app)
    refused(browser.ask("GET", change(browser.callback()), JSON), AGAIN)


def test_an_answer_works_once(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app)
    answer = browser.callback()
    thief = Browser(app, dict(browser.cookies))
    assert browser.ask("GET", answer).status == 303
    refused(thief.ask("GET", answer, JSON), AGAIN)
    # Nor with another code of the same attempt.
    state = parse_qs(urlsplit(answer).query)["state"][0]
    query = dict(provider.codes)  # none is left
    assert query == {}
    refused(thief.ask("GET", f"/login/huggingface/callback?code=x&state={state}", JSON), AGAIN)


USED = {
    "a code that was never given": lambda path: path.replace("code=", "code=x"),
    "a refusal": lambda path: path.replace("code=", "error=access_denied&x="),
    "another issuer": lambda path: f"{path}&iss=https%3A%2F%2Fevil.example",
    "no code": lambda path: path.replace("code=", "x="),
}


@pytest.mark.parametrize("change", USED.values(), ids=USED)
def test_an_attempt_is_used_up_by_its_first_answer(
    app: RunningApp, provider: OpenIdProvider, change: Callable[[str], str]
) -> None:
    browser = Browser(app)
    answer = browser.callback()
    assert browser.ask("GET", change(answer), JSON).code == "sign_in_failed"
    exchanged = provider.asked.count("/oauth/token")
    refused(browser.ask("GET", answer, JSON), AGAIN)
    assert provider.asked.count("/oauth/token") == exchanged


def test_an_attempt_is_used_up_where_the_provider_fails(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app)
    answer = browser.callback()
    provider.faults["/oauth/token"] = (500, {}, b"")
    refused(browser.ask("GET", answer, JSON), UNANSWERED, "upstream")
    provider.faults.clear()
    refused(browser.ask("GET", answer, JSON), AGAIN)


def test_an_attempt_is_not_used_up_by_an_answer_that_is_not_its_own(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app)
    answer = browser.callback()
    refused(browser.ask("GET", answer.replace("state=", "state=x"), JSON), AGAIN)
    assert browser.ask("GET", answer).headers["Location"] == "/"


def test_a_second_code_for_a_finished_attempt_is_refused(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app)
    address = browser.start()
    attempt = dict(browser.cookies)
    first, second = (urlsplit(follow(address)) for _ in range(2))
    assert browser.ask("GET", f"{first.path}?{first.query}").headers["Location"] == "/"
    refused(Browser(app, attempt).ask("GET", f"{second.path}?{second.query}", JSON), AGAIN)


def test_nobody_is_signed_in_by_somebody_elses_link(app: RunningApp, provider: OpenIdProvider) -> None:
    mallory, victim = Browser(app), Browser(app)
    answer = mallory.callback()
    victim.start()
    before = dict(victim.cookies)
    refused(victim.ask("GET", answer, JSON), AGAIN)
    refused(Browser(app).ask("GET", answer, JSON), AGAIN)
    assert victim.cookies == before


COOKIES = {
    "none": "",
    "of another key": base64.urlsafe_b64encode(b"x" * 300).decode(),
    "no base64": "a b",
    "a session": make_token(),
    "two": "x; __Host-hfchat_sign_in=y",
}


@pytest.mark.parametrize("value", COOKIES.values(), ids=COOKIES)
def test_an_attempt_that_this_server_did_not_begin_is_none(
    app: RunningApp, provider: OpenIdProvider, value: str
) -> None:
    answer = Browser(app).callback()
    cookie = {"Cookie": f"__Host-hfchat_sign_in={value}"} if value else {}
    refused(ask(app, "GET", answer, {**JSON, **cookie}), AGAIN)


def test_an_answer_of_another_provider_is_not_believed(app: RunningApp, provider: OpenIdProvider) -> None:
    provider.answer_iss = "https://evil.example"
    browser = Browser(app)
    refused(browser.ask("GET", browser.callback(), JSON), UNANSWERED, "upstream")
    assert "/oauth/token" not in provider.asked
    provider.answer_iss = provider.url
    browser.sign_in()


def test_a_provider_that_says_it_names_itself_must_do_so(provider: OpenIdProvider, stub: StubUpstream) -> None:
    provider.configuration = lambda document: {**document, "authorization_response_iss_parameter_supported": True}
    with hub_app(provider, stub) as served:
        browser = Browser(served)
        refused(browser.ask("GET", browser.callback(), JSON), UNANSWERED, "upstream")


def test_who_does_not_allow_it_is_told_what_to_do(app: RunningApp, provider: OpenIdProvider) -> None:
    provider.allows = False
    browser = Browser(app)
    refused(browser.ask("GET", browser.callback(), JSON), "You did not allow it")
    for language, words in (
        ("en", "You did not allow it at Hugging Face."),
        ("es", "No lo has permitido en Hugging Face."),
    ):
        page = browser.ask("GET", browser.callback(), {"Accept": "text/html", "Accept-Language": language})
        shown = browser.ask("GET", page.headers["Location"], {"Accept-Language": language})
        assert (page.status, shown.status) == (303, 401)
        assert words in shown.body.decode()
        assert "/login/huggingface" in shown.body.decode()


def test_who_pays_for_themself_must_allow_it(app: RunningApp, provider: OpenIdProvider) -> None:
    provider.reply = lambda reply: {**reply, "scope": "openid profile"}
    browser = Browser(app)
    refused(browser.ask("GET", browser.callback(), JSON), "allow this chat to use Inference Providers")
    provider.person["preferred_username"] = "bob"
    Browser(app).sign_in()


def test_where_nobody_pays_for_themself_only_members_get_in(provider: OpenIdProvider, stub: StubUpstream) -> None:
    with hub_app(provider, stub, HF_CHAT_BASE_URL=stub.base_url, HFCHAT_MEMBERS="bob") as served:
        browser = Browser(served)
        refused(browser.ask("GET", browser.callback(), JSON), "Only members may chat here")
        provider.person["preferred_username"] = "bob"
        browser.sign_in()


FAULTS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "an error": (500, {}, b"oops"),
    "a redirect": (307, {"Location": "http://127.0.0.1:1/steal"}, b""),
    "a page": (200, {"Content-Type": "text/html"}, b"<html>"),
    "too much": (200, {}, b"[" + b" " * 600_000 + b"]"),
    "compressed": (200, {"Content-Encoding": "gzip"}, b"{}"),
    "a list": (200, {}, b"[]"),
    "deep": (200, {}, b"[" * 100_000),
    "an empty object": (200, {}, b"{}"),
    "a wrong client": (401, {}, b'{"error": "invalid_client"}'),
    "a token with a line break": (200, {}, json.dumps({"access_token": "a\r\nX: y", "token_type": "bearer"}).encode()),
    "no ID token": (200, {}, json.dumps({"access_token": "abc", "token_type": "bearer"}).encode()),
    "another kind of token": (200, {}, json.dumps({"access_token": "abc", "token_type": "mac"}).encode()),
    "an end that is none": (200, {}, b'{"access_token": "abc", "token_type": "bearer", "expires_in": NaN}'),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_token_endpoint_that_misbehaves_signs_nobody_in(
    app: RunningApp, provider: OpenIdProvider, fault: tuple[int, dict[str, str], bytes]
) -> None:
    browser = Browser(app)
    answer = browser.callback()
    provider.faults["/oauth/token"] = fault
    with logged() as lines:
        refused(browser.ask("GET", answer, JSON), UNANSWERED, "upstream")
    assert "crash" not in "".join(lines)


def test_userinfo_about_somebody_else_signs_nobody_in(app: RunningApp, provider: OpenIdProvider) -> None:
    provider.claims = lambda claims: {name: value for name, value in claims.items() if name != "orgs"}
    browser = Browser(app)
    answer = browser.callback()
    provider.faults["/oauth/userinfo"] = (200, {}, json.dumps({"sub": "other", "orgs": [ORGANISATION]}).encode())
    refused(browser.ask("GET", answer, JSON), UNANSWERED, "upstream")


ELSEWHERE = {
    "another issuer": {"issuer": "https://evil.example"},
    "another token endpoint": {"token_endpoint": "https://evil.example/token"},
    "other keys": {"jwks_uri": "http://127.0.0.1:1/jwks"},
    "another page": {"authorization_endpoint": "https://evil.example/authorize"},
    "no address": {"token_endpoint": "http://["},
    "nothing": {"token_endpoint": None},
}


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_configuration_that_leads_elsewhere_is_not_followed(
    provider: OpenIdProvider, stub: StubUpstream, change: dict[str, Any]
) -> None:
    provider.configuration = lambda document: {**document, **change}
    with hub_app(provider, stub) as served:
        refused(ask(served, "GET", "/login/huggingface", JSON), UNANSWERED, "upstream")


def test_nobody_begins_but_from_our_own_page(app: RunningApp, provider: OpenIdProvider) -> None:
    for site in ("cross-site", "same-site"):
        response = ask(app, "GET", "/login/huggingface", {"Sec-Fetch-Site": site})
        assert (response.status, response.headers["Location"], response.headers["Set-Cookie"]) == (303, "/login", None)
    response = ask(app, "GET", "/login/huggingface", {"Sec-Fetch-Dest": "image"})
    assert (response.status, response.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "name", ["next", "_target_url", "redirect", "redirect_uri", "return_to", "state", "url", "client_id"]
)
def test_no_parameter_says_where_a_browser_goes(app: RunningApp, provider: OpenIdProvider, name: str) -> None:
    evil = quote("https://evil.example/", safe="")
    browser = Browser(app)
    response = browser.ask("GET", f"/login/huggingface?{name}={evil}")
    assert response.headers["Location"].startswith(f"{provider.url}/oauth/authorize?")
    assert "evil.example" not in response.headers["Location"]
    if name != "state":
        place = urlsplit(follow(response.headers["Location"]))
        assert browser.ask("GET", f"{place.path}?{place.query}&{name}={evil}").headers["Location"] == "/"


# --- a frame of a Space


@pytest.fixture(scope="module")
def space(shared_provider: OpenIdProvider, shared_stub: StubUpstream) -> Iterator[RunningApp]:
    variables = {"SPACE_ID": "me/chat", "SPACE_HOST": "me-chat.hf.space", "OAUTH_CLIENT_ID": "c0ffee"}
    with hub_app(shared_provider, shared_stub, HFCHAT_SIGN_IN="", HFCHAT_PUBLIC_URL="", **variables) as served:
        yield served


FRAMED = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
CLICKED = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


def link_in(frame: Browser) -> str:
    """The address that the frame's link opens in a tab."""
    page = frame.ask("GET", "/login", FRAMED).body.decode()
    match = re.search(r'href="https://me-chat\.hf\.space(/login/huggingface\?frame=[0-9a-f]{64})"', page)
    assert match
    return match[1]


def sign_in_by(tab: Browser, link: str, headers: dict[str, str] = CLICKED) -> None:
    place = urlsplit(follow(tab.ask("GET", link, headers).headers["Location"]))
    assert tab.ask("GET", f"{place.path}?{place.query}").headers["Location"] == "/"


def test_a_frame_goes_on_with_the_session_that_was_begun_in_its_tab(
    space: RunningApp, provider: OpenIdProvider
) -> None:
    frame, tab = Browser(space), Browser(space)
    link = link_in(frame)
    assert link_in(frame) == link  # loaded anew, it still waits for the same
    sign_in_by(tab, link)
    secret = frame.cookies["__Host-hfchat_frame"]
    assert secret not in link
    response = frame.ask("GET", "/login", FRAMED)
    assert (response.status, response.headers["Location"]) == (303, "/")
    assert "SameSite=None; Secure; Partitioned" in response.headers["Set-Cookie"]
    assert claims_of(frame) == claims_of(tab)
    again = Browser(space, {"__Host-hfchat_frame": secret}).ask("GET", "/login", FRAMED)
    assert again.status == 200  # once
    tab.ask("POST", "/logout")
    assert frame.ask("GET", "/config").status == 401


FOLLOWED = {
    "a link of another site": {**CLICKED, "Sec-Fetch-Site": "cross-site"},
    "a link of a neighbour": {**CLICKED, "Sec-Fetch-Site": "same-site"},
    "a link in a mail": {**CLICKED, "Sec-Fetch-Site": "none"},
    "no browser": {},
}


@pytest.mark.parametrize("headers", FOLLOWED.values(), ids=FOLLOWED)
def test_nobody_gets_a_session_for_their_frame_by_a_link_that_they_send(
    space: RunningApp, provider: OpenIdProvider, headers: dict[str, str]
) -> None:
    mallory, victim = Browser(space), Browser(space)
    link = link_in(mallory)
    if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        assert victim.ask("GET", link, headers).headers["Location"] == "/login"
    else:
        sign_in_by(victim, link, headers)
    assert mallory.ask("GET", "/login", FRAMED).status == 200
    assert SESSION not in mallory.cookies


OTHER_SECRETS = {"none": "", "another": "x" * 43, "the id": "ID", "two": f"x; {FRAME_COOKIE}=y"}


@pytest.mark.parametrize("secret", OTHER_SECRETS.values(), ids=OTHER_SECRETS)
def test_only_the_frame_itself_gets_the_session(space: RunningApp, provider: OpenIdProvider, secret: str) -> None:
    link = link_in(Browser(space))
    sign_in_by(Browser(space), link)
    cookie = {"Cookie": f"{FRAME_COOKIE}={secret.replace('ID', link.rpartition('=')[2])}"} if secret else {}
    assert ask(space, "GET", "/login", {**FRAMED, **cookie}).status == 200


def test_only_a_frame_has_such_a_link(space: RunningApp, app: RunningApp, provider: OpenIdProvider) -> None:
    for served, headers in ((space, CLICKED), (space, {}), (app, CLICKED)):
        response = ask(served, "GET", "/login", headers)
        assert b"frame=" not in response.body
        assert response.headers["Set-Cookie"] is None


# --- what a session and its tokens may


def usage(app: RunningApp, token: str) -> Said:
    return ask(app, "GET", "/api/ai/usage", {"Authorization": f"Bearer {token}"})


def test_a_program_token_is_narrower_and_ends_with_the_session(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app).sign_in()
    token = browser.program_token()
    ours, theirs = claims_of(browser), dict(jwt.decode(token, KEY, algorithms=["HS256"]))
    assert theirs["hub"]["program"] is True
    assert theirs["exp"] <= ours["exp"]
    assert usage(app, token).json["subject"] == f"hf:{ALICE['sub']}"
    program = Browser(app, {SESSION: token})
    assert program.ask("GET", "/config").status == 401
    assert program.ask("POST", "/own-token", HERE).status == 401
    assert program.pay("self").status == 401
    assert ask(app, "POST", "/login", {}, f"token={token}".encode()).headers["Set-Cookie"] is None
    both = {**HERE, "Authorization": f"Bearer {token}", "Cookie": f"{SESSION}=x"}
    for path, body in (("/own-token", b""), ("/payer", b'{"payer": "self"}')):
        assert ask(app, "POST", path, both, body).code == "invalid_token"
    assert program.ask("POST", "/logout").status == 303
    assert usage(app, token).status == 200
    assert browser.ask("POST", "/logout").status == 303
    assert browser.cookies == {}
    for ended in (token, jwt.encode(ours, KEY)):
        assert usage(app, ended).code == "revoked_token"


def forged(claims: dict[str, Any], **changes: Any) -> str:
    return jwt.encode({**claims, **changes}, KEY)


ENDED: dict[str, Callable[[dict[str, Any]], str]] = {
    "expired": lambda claims: forged(claims, iat=claims["iat"] - 2 * SESSION_S, exp=claims["iat"] - 60),
    "nobody pays for them": forged,
    "no member any more": lambda claims: forged(claims, hub={**claims["hub"], "member": "acme", "payer": "owner"}),
}


@pytest.mark.parametrize("change", ENDED.values(), ids=ENDED)
def test_signing_out_forgets_a_session_that_is_refused_for_another_reason(
    provider: OpenIdProvider, stub: StubUpstream, tmp_path: Path, change: Callable[[dict[str, Any]], str]
) -> None:
    store = {"HFCHAT_STORE": f"sqlite:///{tmp_path}/ledger.db"}
    with hub_app(provider, stub, **store) as served:
        claims = claims_of(Browser(served).sign_in())
    with hub_app(provider, stub, HFCHAT_MEMBERS="bob", HF_CHAT_BASE_URL=stub.base_url, **store) as served:
        browser = Browser(served, {SESSION: change(claims)})
        assert browser.ask("GET", "/config").status == 401
        assert browser.ask("POST", "/logout").headers["Location"] == "/login"
        assert browser.cookies == {}
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        kept = {name for (name,) in ledger.execute("select name from records")}
        revoked = {name for (name,) in ledger.execute("select token_id from revocations")}
    assert f"hub:{claims['jti']}" not in kept
    assert claims["jti"] in revoked


def test_nothing_is_kept_of_who_is_blocked(provider: OpenIdProvider, stub: StubUpstream, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/ledger.db"

    async def block() -> None:
        ledger = Ledger(open_store(store))
        await ledger.people.change(f"hf:{ALICE['sub']}", lambda limits: replace(limits, blocked=True))
        await ledger.close()

    asyncio.run(block())
    with hub_app(provider, stub, HFCHAT_STORE=store) as served:
        browser = Browser(served)
        response = browser.ask("GET", browser.callback(), JSON)
        assert (response.status, response.code, SESSION in browser.cookies) == (401, "revoked_token", False)
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        kept = [name for (name,) in ledger.execute("select name from records") if name.startswith("hub:")]
    assert kept == []


NOT_ITS_HOLDER: dict[str, Callable[[dict[str, Any]], str]] = {
    "another key": lambda claims: jwt.encode(claims, "k" * 40),
    "no signature": unsigned,
    "a program": lambda claims: forged(claims, hub={**claims["hub"], "program": True}, exp=claims["iat"] + 1),
    "an issuer that shares the key": lambda claims: forged(claims, iss="backend"),
    "no session with Hugging Face": lambda claims: forged({name: claims[name] for name in claims if name != "hub"}),
}


@pytest.mark.parametrize("change", NOT_ITS_HOLDER.values(), ids=NOT_ITS_HOLDER)
def test_nobody_else_ends_a_session(
    app: RunningApp, provider: OpenIdProvider, change: Callable[[dict[str, Any]], str]
) -> None:
    browser = Browser(app).sign_in()
    Browser(app, {SESSION: change(claims_of(browser))}).ask("POST", "/logout")
    assert usage(app, browser.session).status == 200


def test_signing_in_again_keeps_the_program_tokens(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app).sign_in()
    token = browser.program_token()
    browser.sign_in()
    assert usage(app, token).status == 200
    provider.person |= {"sub": "other", "preferred_username": "bob"}
    browser.sign_in()
    assert usage(app, browser.session).json["subject"] == "hf:other"
    browser.ask("POST", "/logout")
    assert usage(app, token).status == 200


@pytest.mark.parametrize("ended", [False, True], ids=["a good token", "one that has ended"])
def test_the_owner_ends_a_session_by_any_token_of_it(app: RunningApp, provider: OpenIdProvider, ended: bool) -> None:
    browser = Browser(app).sign_in()
    claims = claims_of(browser)
    made = int(time.time()) - (3600 if ended else 0)
    account = HubAccount("alice", program=True)
    token = issue_token(KEY, claims["sub"], ttl_s=60, account=account, token_id=claims["jti"], now=made)
    browser.sign_in()  # its tokens end later now
    admin = bearer("owner", scopes=("chat", "admin"))
    assert ask(app, "POST", "/api/ai/revoke", admin, json.dumps({"token": token}).encode()).status == 200
    later = issue_token(KEY, claims["sub"], ttl_s=9999, account=account, token_id=claims["jti"])
    for left in (browser.session, later):
        assert usage(app, left).code == "revoked_token"


def test_a_membership_holds_as_long_as_the_owner_says_so(provider: OpenIdProvider, stub: StubUpstream) -> None:
    provider.person["orgs"] = [ORGANISATION]
    with hub_app(provider, stub, HFCHAT_MEMBERS="acme") as served:
        session = Browser(served).sign_in().session
        assert usage(served, session).json["budget"]["limit"] == 1_000_000_000
    with hub_app(provider, stub, HFCHAT_MEMBERS="others") as served:
        assert "limit" not in (usage(served, session).json["budget"] or {})
    with hub_app(provider, stub, HFCHAT_MEMBERS="others", HF_CHAT_BASE_URL=stub.base_url) as served:
        assert usage(served, session).code == "invalid_token"
    with hub_app(provider, stub, HFCHAT_SIGN_IN="token") as served:
        assert usage(served, session).code == "invalid_token"


# --- where it is the only way, or none


def test_where_it_is_the_only_way_no_token_signs_in(provider: OpenIdProvider, stub: StubUpstream) -> None:
    with hub_app(provider, stub, HFCHAT_SIGN_IN="huggingface") as served:
        token = make_token()
        page = ask(served, "GET", f"/login?token={token}").body.decode()
        assert token not in page
        assert 'name="token"' not in page
        response = ask(served, "POST", "/login", {}, f"token={token}".encode())
        assert (response.status, response.headers["Set-Cookie"]) == (401, None)
        assert "Tokens and invite links are not taken" in response.body.decode()
        assert ask(served, "GET", "/api/ai/usage", bearer()).status == 200


@pytest.mark.parametrize(
    "path", ["/login/huggingface", "/login/huggingface/callback?code=x&state=y", "/.well-known/oauth-cimd"]
)
def test_where_it_is_not_set_up_there_is_nothing(offline_app: RunningApp, path: str) -> None:
    assert ask(offline_app, "GET", path).code == "missing_token"
    assert ask(offline_app, "GET", path, bearer()).code == "not_found"
    assert "huggingface" not in ask(offline_app, "GET", "/login").body.decode()


@pytest.mark.parametrize("why", ["expired_token", "revoked_token", "invalid_token"])
def test_whose_session_has_ended_is_not_sent_to_the_owner(app: RunningApp, provider: OpenIdProvider, why: str) -> None:
    page = ask(app, "GET", f"/login?why={why}").body.decode()
    assert 'role="alert"' in page
    assert "new token or invite link" not in page
    assert f'href="{ORIGIN}/login/huggingface" autofocus>' in page
    assert page.count("autofocus") == 1
