import html as html_module
import html.parser
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from hfchat.auth.authenticator import Authenticator
from hfchat.auth.own_tokens import MAX_TOKEN_BYTES
from hfchat.config.settings import load_settings
from hfchat.errors import catalogue
from hfchat.gate import access
from hfchat.gate.drain import Drain
from hfchat.gate.gate import Gate
from hfchat.gate.signin import MAX_COOKIE_TOKEN, MAX_FORM_BYTES, SignIn
from hfchat.i18n.errors import DETAILS
from hfchat.i18n.language import LANGUAGES, Language
from hfchat.i18n.sentences import DIRECTIONS, PAGE
from hfchat.ledger.meters import Counters
from hfchat.ledger.quota import Quota
from hfchat.types import Caller, Policy
from tests.conftest import KEY, RunningApp, make_settings, make_token, running
from tests.support.raw_client import Said, ask, bearer, cookie, functions, line_to, logged, post
from tests.support.rows import each_row

FRAMED = "SameSite=None; Secure; Partitioned"


def sign_in(app: RunningApp, token: str, headers: dict[str, str] | None = None) -> Said:
    return ask(app, "POST", "/login", headers or {}, f"token={quote(token)}".encode())


def open_link(app: RunningApp, token: str, headers: dict[str, str] | None = None) -> Said:
    return ask(app, "GET", f"/login?token={quote(token)}", headers or {})


def follow_link(app: RunningApp, token: str, headers: dict[str, str] | None = None) -> Said:
    """Open the link, and press the button there."""
    page = Page(open_link(app, token, headers).body)
    (field,) = (attributes for tag, attributes in page.tags if tag == "input")
    return sign_in(app, str(field["value"]), headers)


def cookie_of(response: Said) -> tuple[str, list[str]]:
    """The cookie's value and its rules."""
    (header,) = response.headers.get_all("Set-Cookie") or [""]
    value, *rules = header.split("; ")
    return value.partition("=")[2], rules


@pytest.mark.parametrize("way", [sign_in, follow_link])
def test_a_token_becomes_the_browsers_session(offline_app: RunningApp, way: Callable[[RunningApp, str], Said]) -> None:
    token = make_token(ttl_s=3600)
    with logged() as lines:
        response = way(offline_app, token)
        assert (response.status, response.headers["Location"], response.body) == (303, "/", b"")
        value, rules = cookie_of(response)
        assert ask(offline_app, "GET", "/", {"Cookie": f"hfchat_session={value}"}).status == 200
    assert value == token
    assert rules[:2] == ["Path=/", "HttpOnly"]
    assert rules[3:] == ["SameSite=Lax"]
    assert 3590 <= int(rules[2].removeprefix("Max-Age=")) <= 3600
    assert any("signed_in" in line and "alice" in line for line in lines)
    assert not any(part in "".join(lines) for part in token.split("."))


def test_a_token_that_is_pasted_with_white_space_around_is_taken(offline_app: RunningApp) -> None:
    token = make_token()
    assert cookie_of(sign_in(offline_app, f" \r\n{token}\n\t"))[0] == token


def _signed_with_another_key() -> str:
    head, claims, _ = make_token().split(".")
    return f"{head}.{claims}.{'A' * 43}"


BAD_TOKENS = {
    "expired": (make_token(ttl_s=1, now=1), "This token has expired.", "Este token ha caducado."),
    "forged": (_signed_with_another_key(), "Its signature was not made", "Su firma no se hizo"),
    "cut": (make_token()[:-6], "It is not a whole token", "No es un token completo"),
    "half": (make_token().rpartition(".")[0], "It is not a whole token", "No es un token completo"),
    "empty": ("", "It is not a whole token", "No es un token completo"),
    "too long": ("a" * (MAX_TOKEN_BYTES + 1), "It is longer than any token", "Es más largo que"),
    "too long for a cookie": ("a" * (MAX_COOKIE_TOKEN + 1), "which keeps 4 kB", "que guarda 4 kB"),
    "early": (make_token(now=int(time.time()) + 86_400), "It is not valid yet", "Todavía no es válido"),
    "markup": ("<script>alert(1)</script>", "It is not a whole token", "No es un token completo"),
    "no algorithm": ("eyJhbGciOiJub25lIn0.e30.e30", "a signature that is not taken", "una firma que aquí no"),
}


@each_row(("token", "english", "spanish"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_token_is_told_why(offline_app: RunningApp, token: str, english: str, spanish: str) -> None:
    for language, words in (("en", english), ("es-MX,es;q=0.9,en;q=0.1", spanish)):
        with logged() as lines:
            response = sign_in(offline_app, token, {"Accept-Language": language})
        assert (response.status, response.headers["Set-Cookie"]) == (401, None)
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="hfchat", error="invalid_token"'
        assert words in response.body.decode()
        assert b'role="alert"' in response.body
        assert not token or token.encode() not in response.body
        assert not token or token not in "".join(lines)


@each_row(("token", "english", "spanish"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_link_is_told_why_and_leaves_the_address_bar(
    offline_app: RunningApp, token: str, english: str, spanish: str
) -> None:
    response = open_link(offline_app, token)
    if not token:
        assert response.status == 200
        return
    assert (response.status, response.headers["Set-Cookie"], response.body) == (303, None, b"")
    assert re.fullmatch(r"/login\?why=(invalid|expired)_token&detail=\w*", response.headers["Location"])
    shown = ask(offline_app, "GET", response.headers["Location"], {"Accept-Language": "es"})
    assert shown.status == 401
    assert spanish in shown.body.decode()


TRICKS = {
    "line ends": "{token}\r\nSet-Cookie: x=1\r\n\r\n<script>",
    "line end after": "{token}=\r\nX-Evil: 1",
    "line feed": "{token}\nX-Evil:1",
    "attribute": "{token};Domain=evil.example",
    "attribute after padding": "{token}=; Path=/evil",
    "comma": "{token},x=1",
    "quote": '{token}"',
    "quoted": '"{token}"',
    "blank": "{token} x",
    "letter outside": "{token}ñ",
    "letter outside Latin-1": "{token}漢",
    "NUL": "{token}\0",
    "half a surrogate pair": "{token}%ED%A0%80",
    "padding": "{token}=",
    "BOM": "\ufeff{token}",
}


@each_row("trick", TRICKS.values(), ids=TRICKS)
def test_a_good_token_with_more_in_it_sets_no_cookie(offline_app: RunningApp, trick: str) -> None:
    token = trick.format(token=make_token())
    for said in (sign_in(offline_app, token), open_link(offline_app, token)):
        assert said.status in (401, 303)
        assert (said.headers["Set-Cookie"], said.headers["X-Evil"]) == (None, None)
        assert said.headers["Location"] != "/"


class TrustingApp:
    """The sign-in behind the gate, with a check of tokens that lets everything pass."""

    def __init__(self) -> None:
        async def trusts(_: str) -> Caller:
            return Caller("alice", "x", time.time() + 60, Policy("own/default", None))

        async def looks(_: Caller) -> Quota:
            return Quota(Policy("m", None), Counters((), 0), 0)

        trusting = Authenticator(trusts, looks)
        self.app = Starlette(routes=SignIn(trusting).routes())
        self.gate = Gate(self.app, authenticate=trusting, drain=Drain())

    async def ask(self, token: str) -> dict[bytes, bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": f"token={quote(token)}".encode()}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/login",
            "query_string": b"",
            "headers": [],
            "scheme": "http",
        }
        await self.gate(scope, receive, send)
        return dict(sent[0]["headers"])


@pytest.mark.anyio
@each_row("trick", TRICKS.values(), ids=TRICKS)
async def test_the_header_holds_though_the_check_of_tokens_does_not(trick: str) -> None:
    headers = await TrustingApp().ask(trick.format(token="a.b.c"))
    assert b"set-cookie" not in headers
    assert not any(b"\n" in value or b"\r" in value for value in headers.values())


@pytest.mark.anyio
async def test_the_check_of_tokens_above_lets_a_good_one_pass() -> None:
    assert (await TrustingApp().ask("a.b.c"))[b"set-cookie"].startswith(b"hfchat_session=a.b.c; ")


@each_row("name", ["why", "detail"])
@each_row(
    "value",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "token_call_555_1234_for_a_new_one",
        "token_<b>",
        "Call 555 1234",
        "{facts}",
        "internal_error",
        "../evil",
        "a" * 20_000,
    ],
    ids=lambda value: value[:20],
)
def test_an_address_puts_no_words_on_the_page(offline_app: RunningApp, name: str, value: str) -> None:
    given = {"why": "invalid_token", "detail": "token_signature", name: quote(value)}
    response = ask(offline_app, "GET", "/login?" + "&".join(f"{key}={text}" for key, text in given.items()))
    plain = ask(offline_app, "GET", "/login" if name == "why" else "/login?why=invalid_token")
    assert (response.status, response.body) == (plain.status, plain.body)


class Page(html.parser.HTMLParser):
    """What a page loads and runs."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@each_row(("header", "language"), [*((language, language) for language in LANGUAGES), ("fi", "en"), ("zh-TW", "zh")])
def test_the_sign_in_page_needs_no_script_and_nothing_from_outside(
    offline_app: RunningApp, header: str, language: Language
) -> None:
    response = ask(offline_app, "GET", "/login", {"Accept-Language": header})
    page = Page(response.body)
    assert html_module.escape(PAGE[language]["sign_in_lead"]) in response.body.decode()
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "base"}
    assert [a[name] for _, a in page.tags for name in ("src", "href", "action") if name in a] == ["data:,", "/login"]
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]
    assert b"@import" not in response.body
    assert b"url(" not in response.body
    (form,) = (attributes for tag, attributes in page.tags if tag == "form")
    assert form["method"] == "post"
    (field,) = (attributes for tag, attributes in page.tags if tag == "input")
    assert (field["name"], field["type"], field["autocomplete"]) == ("token", "password", "off")
    assert ("html", {"lang": language, "dir": DIRECTIONS[language]}) in page.tags


def test_who_is_signed_in_is_led_to_the_page(offline_app: RunningApp) -> None:
    assert ask(offline_app, "GET", "/login", cookie()).headers["Location"] == "/"
    assert ask(offline_app, "GET", "/login", {"Cookie": "hfchat_session=x"}).status == 200
    assert ask(offline_app, "GET", "/login?why=expired_token", cookie()).status == 401


@each_row("subject", ["alice", "<b>alice</b>", "ñ 漢 🎉"])
@each_row(("language", "words"), [("en", "Sign in as"), ("es", "Entrar como")])
def test_an_invite_link_says_who_signs_in_and_changes_nothing(
    offline_app: RunningApp, subject: str, language: str, words: str
) -> None:
    token = make_token(subject)
    response = open_link(offline_app, token, {"Accept-Language": language})
    assert (response.status, response.headers["Set-Cookie"], response.headers["Cache-Control"]) == (
        200,
        None,
        "no-store",
    )
    assert response.headers["Referrer-Policy"] == "strict-origin"
    assert f"{words} <bdi><strong>{html_module.escape(subject)}</strong></bdi>" in response.body.decode()
    page = Page(response.body)
    forms = [attributes for tag, attributes in page.tags if tag == "form"]
    assert [(form["method"], form["action"]) for form in forms] == [("post", "/login")]
    assert [tag for tag, attributes in page.tags if "autofocus" in attributes] == ["button"]
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "base"}


def test_an_invite_link_says_who_is_signed_in_already(offline_app: RunningApp) -> None:
    response = open_link(offline_app, make_token("mallory"), cookie("alice"))
    assert "You are signed in as <bdi><strong>alice</strong></bdi> now." in response.body.decode()
    assert "Sign in as <bdi><strong>mallory</strong></bdi>" in response.body.decode()
    assert response.headers["Set-Cookie"] is None
    assert "You are signed in as" not in open_link(offline_app, make_token("mallory")).body.decode()


def test_who_opens_their_own_link_again_is_led_to_the_page(offline_app: RunningApp) -> None:
    token = make_token("alice")
    response = open_link(offline_app, token, {"Cookie": f"hfchat_session={token}"})
    assert (response.status, response.headers["Location"], response.headers["Set-Cookie"]) == (303, "/", None)


def test_another_token_of_the_same_name_is_asked_about(offline_app: RunningApp) -> None:
    """The same `jti` does not make two tokens one: each issuer gives its own."""
    ours = {"sub": "alice", "iss": "https://a.example", "exp": int(time.time()) + 60, "jti": "1"}
    theirs = {**ours, "iss": "https://b.example"}
    session = {"Cookie": f"hfchat_session={jwt.encode(ours, KEY, algorithm='HS256')}"}
    response = open_link(offline_app, jwt.encode(theirs, KEY, algorithm="HS256"), session)
    shown = response.body.decode()
    assert "You are signed in as <bdi><strong>alice</strong></bdi> (<bdi>https://a.example</bdi>) now." in shown
    assert "Sign in as <bdi><strong>alice</strong></bdi> (<bdi>https://b.example</bdi>)" in shown


@pytest.mark.parametrize(("language", "words"), [("en", "from another server"), ("es", "de otro servidor")])
def test_a_link_of_an_issuer_without_a_name_says_so(offline_app: RunningApp, language: str, words: str) -> None:
    token = jwt.encode({"sub": "alice", "exp": int(time.time()) + 60}, KEY, algorithm="HS256")
    response = open_link(offline_app, token, {"Accept-Language": language})
    assert f"<strong>alice</strong></bdi> (<bdi>{words}</bdi>)" in response.body.decode()


def test_a_link_of_another_issuer_names_it(offline_app: RunningApp) -> None:
    claims = {"sub": "alice", "iss": "https://id.example", "exp": time.time() + 60}
    response = open_link(offline_app, jwt.encode(claims, KEY, algorithm="HS256"))
    assert "<strong>alice</strong></bdi> (<bdi>https://id.example</bdi>)" in response.body.decode()


NOT_A_DOCUMENT = (
    "image",
    "video",
    "audio",
    "style",
    "script",
    "empty",
    "iframe",
    "frame",
    "embed",
    "object",
    "font",
    "x",
)


@each_row("destination", NOT_A_DOCUMENT)
@each_row("token", ["", "token"])
@each_row("method", ["GET", "HEAD", "POST"])
def test_the_sign_in_is_opened_by_a_person_only(
    offline_app: RunningApp, method: str, token: str, destination: str
) -> None:
    given = f"token={make_token()}" if token else ""
    headers = {"Sec-Fetch-Dest": destination, "Sec-Fetch-Site": "same-origin"}
    target, body = ("/login", given.encode()) if method == "POST" else (f"/login?{given}", b"")
    response = ask(offline_app, method, target, headers, body)
    assert (response.status, response.headers["Set-Cookie"]) == (400, None)
    assert method == "HEAD" or response.json["error"]["param"] == "Sec-Fetch-Dest"


def test_in_a_frame_people_sign_in_on_a_space_only(configured: tuple[str, RunningApp]) -> None:
    variables, app = configured
    headers = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}
    assert ask(app, "GET", "/login", headers).status == (200 if variables == "Space" else 400)
    assert sign_in(app, make_token(), headers).status == (303 if variables == "Space" else 400)
    assert ask(app, "GET", "/login", {**headers, "Sec-Fetch-Dest": "image"}).status == 400


SENDERS: dict[str, tuple[dict[str, str], bool]] = {
    "no browser": ({}, True),
    "this page": ({"Sec-Fetch-Site": "same-origin", "Origin": "HERE", "Sec-Fetch-Dest": "document"}, True),
    "an old browser": ({"Origin": "HERE"}, True),
    "another origin, the site hidden": ({"Origin": "https://evil.example"}, False),
    "another origin, the site forged": ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, False),
    "a document that hides its origin": ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
    "another site, the origin right": ({"Origin": "HERE", "Sec-Fetch-Site": "cross-site"}, False),
    "a neighbour": ({"Origin": "HERE", "Sec-Fetch-Site": "same-site"}, False),
    "another port": ({"Origin": "http://127.0.0.1:1"}, False),
    "a value nobody knows": ({"Sec-Fetch-Site": "x"}, False),
}


@each_row(("headers", "passes"), SENDERS.values(), ids=SENDERS)
@each_row("path", ["/login", "/logout"])
def test_the_form_is_this_pages_own(offline_app: RunningApp, path: str, headers: dict[str, str], passes: bool) -> None:
    sent = {name: value.replace("HERE", offline_app.url) for name, value in headers.items()}
    response = ask(offline_app, "POST", path, sent, f"token={make_token()}".encode())
    assert (response.status, response.headers["Set-Cookie"] is not None) == ((303, True) if passes else (400, False))


def test_the_public_address_is_an_origin_of_its_own() -> None:
    """Behind a proxy that passes another `Host` on; browsers of before 2023 send no `Sec-Fetch-Site`."""
    with running(make_settings(HFCHAT_PUBLIC_URL="https://chat.example")) as app:
        for headers in ({"Sec-Fetch-Site": "same-origin"}, {}):
            assert sign_in(app, make_token(), {"Origin": "https://chat.example", **headers}).status == 303
            assert sign_in(app, make_token(), {"Origin": "https://chat.example.evil", **headers}).status == 400
            assert sign_in(app, make_token(), {"Origin": "http://chat.example", **headers}).status == 400


@pytest.mark.parametrize("name", ["Sec-Fetch-Site", "Sec-Fetch-Dest", "Origin"])
def test_a_header_that_comes_twice_is_looked_at_twice(offline_app: RunningApp, name: str) -> None:
    good, bad = {
        "Sec-Fetch-Site": ("same-origin", "cross-site"),
        "Sec-Fetch-Dest": ("document", "image"),
        "Origin": (offline_app.url, "https://evil.example"),
    }[name]
    for values in ((good, bad), (bad, good)):
        headers = [(name, value) for value in values]
        for path in ("/login", "/logout"):
            response = ask(offline_app, "POST", path, headers, f"token={make_token()}".encode())
            assert (response.status, response.headers["Set-Cookie"]) == (400, None)


def test_two_sessions_are_refused_and_said_without_a_loop(offline_app: RunningApp) -> None:
    one, two = make_token("alice"), make_token("mallory")
    for cookies in (
        [("Cookie", f"hfchat_session={one}; hfchat_session={two}")],
        [("Cookie", f"hfchat_session={one}"), ("Cookie", f"hfchat_session={two}")],
        [("Cookie", f"hfchat_session={one};  hfchat_session ={two}")],
        [("Cookie", f"hfchat_session={one}; hfchat_session={one}")],
    ):
        response = ask(offline_app, "GET", "/", [*cookies, ("Accept", "text/html")])
        assert (response.status, response.headers["Location"]) == (303, "/login?why=invalid_token&detail=two_sessions")
        assert ask(offline_app, "GET", "/config", cookies).code == "invalid_token"
        shown = ask(offline_app, "GET", response.headers["Location"] or "", [*cookies, ("Accept-Language", "es")])
        assert (shown.status, "dos cookies de sesión" in shown.body.decode()) == (401, True)
        assert "Pide a quien administra" not in shown.body.decode().partition('role="alert"')[2].partition("</p>")[0]
        plain = ask(offline_app, "GET", "/login", cookies)
        assert (plain.status, b"Delete the cookies of this site" in plain.body) == (200, True)
        link = ask(offline_app, "GET", f"/login?token={one}", cookies)
        assert (link.status, link.headers["Location"]) == (303, response.headers["Location"])
        form = ask(offline_app, "POST", "/login", cookies, f"token={one}".encode())
        assert (form.status, form.headers["Set-Cookie"]) == (401, None)
        assert b"Delete the cookies of this site" in form.body
        assert ask(offline_app, "POST", "/logout", cookies).status == 303
        assert (
            ask(
                offline_app, "POST", "/own-token", [*cookies, ("X-Hfchat-Asks", "1"), ("Origin", offline_app.url)]
            ).status
            == 401
        )


def test_over_https_only_the_cookie_that_no_other_host_can_write_is_read(configured: tuple[str, RunningApp]) -> None:
    variables, app = configured
    forwarded = {"X-Forwarded-Proto": "https"}
    plain, secure = cookie(), {"Cookie": cookie()["Cookie"].replace("hfchat_session", "__Host-hfchat_session")}
    assert ask(app, "GET", "/", {**secure, **forwarded}).status == 200
    assert ask(app, "GET", "/", {**plain, **forwarded}).status == 401
    if variables == "loopback":
        assert (ask(app, "GET", "/", plain).status, ask(app, "GET", "/", secure).status) == (200, 401)
    both = {"Cookie": f"{plain['Cookie']}; {secure['Cookie']}", **forwarded}
    assert ask(app, "GET", "/", both).status == 200
    (header,) = sign_in(app, make_token(), forwarded).headers.get_all("Set-Cookie") or [""]
    assert header.startswith("__Host-hfchat_session=")
    assert "Secure" in header
    assert "Path=/;" in header
    assert "Domain" not in header


@pytest.mark.whole
def test_no_reason_in_the_address_breaks_the_page(offline_app: RunningApp) -> None:
    with line_to(offline_app) as line:
        answers = {
            (why, detail, language): line.ask("GET", f"/login?why={why}&detail={detail}", {"Accept-Language": language})
            for why in (*catalogue(), "", "x")
            for detail in (*DETAILS["en"], "", "x")
            for language in ("en", "es")
        }
    assert {said.status for said in answers.values()} <= {200, 401, 403, 503}
    assert not [where for where, said in answers.items() if b"{" in said.body.partition(b"</style>")[2]]
    # Only a sentence on tokens may be chosen.
    assert answers["invalid_token", "not_json", "en"].body == answers["invalid_token", "", "en"].body
    assert answers["invalid_token", "token_claim_missing", "en"].body == answers["invalid_token", "", "en"].body
    assert answers["invalid_token", "token_early", "en"].body != answers["invalid_token", "", "en"].body


# One path of each pattern of the gate's, for the walk below.
PATTERNS = (
    "/assets/nothing.js",
    "/static/img/logo.svg",
    "/gradio_api/heartbeat/abc",
    f"/gradio_api/call/chat/{'0' * 32}",
)
STREAMS = ("/gradio_api/heartbeat/abc", "/gradio_api/queue/data")


def test_no_get_changes_anything(offline_app: RunningApp) -> None:
    """Neither who is signed in, nor what they have left; what has no end is left after its first byte."""
    assert all(any(pattern.fullmatch(path) for path in PATTERNS) for pattern, _ in access.PAGE_PATTERNS)
    table = {**access.OPEN, **access.API, **access.PAGES}
    paths = [path for path, methods in table.items() if "GET" in methods]
    person = make_token("walker")
    session, program = {"Cookie": f"hfchat_session={person}"}, {"Authorization": f"Bearer {person}"}
    links = ("/logout", "/own-token", f"/login?token={make_token('mallory')}", f"/login?token={person}")

    def left() -> Any:
        quota = ask(offline_app, "GET", "/api/ai/usage", program).json
        return quota["subject"], quota["budget"]["remaining"], quota["rate"]["remaining"], quota["streams"]

    before = left()
    for path in (*paths, *PATTERNS, *links):
        for headers in ({}, program, session, {**session, "Accept": "text/html"}):
            target = f"{path}?session_hash=abc" if path == "/gradio_api/queue/data" else path
            with line_to(offline_app) as line:
                answer = line.begin("GET", target, headers)
                assert answer.headers["Set-Cookie"] is None, path
                assert path in STREAMS or answer.read() is not None
    assert left() == before
    assert ask(offline_app, "GET", "/config", session).json["username"] == "walker"


def test_a_huge_form_is_refused(offline_app: RunningApp) -> None:
    assert ask(offline_app, "POST", "/login", {}, b"a" * MAX_FORM_BYTES).status == 401
    response = ask(offline_app, "POST", "/login", {}, b"a" * (MAX_FORM_BYTES + 1))
    assert (response.status, response.code) == (413, "payload_too_large")


@each_row("body", [b"", b"token", b"token=%ff%fe", b"\xff\x00", b"&" * 10_000, b'{"token":"x"}', b"token=&token=x"])
def test_a_form_that_is_none_is_refused(offline_app: RunningApp, body: bytes) -> None:
    assert ask(offline_app, "POST", "/login", {"Content-Type": "multipart/form-data"}, body).status == 401


SETTINGS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "loopback": ({}, {}, "SameSite=Lax"),
    "behind a proxy with https": ({}, {"X-Forwarded-Proto": "https"}, "SameSite=Lax; Secure"),
    "behind a proxy with http": ({}, {"X-Forwarded-Proto": "http"}, "SameSite=Lax"),
    "public address": ({"HFCHAT_PUBLIC_URL": "https://chat.example"}, {}, "SameSite=Lax; Secure"),
    "public address, http claimed": (
        {"HFCHAT_PUBLIC_URL": "https://chat.example"},
        {"X-Forwarded-Proto": "http"},
        "SameSite=Lax; Secure",
    ),
    "Space": ({"SPACE_ID": "a/b", "SPACE_HOST": "a-b.hf.space"}, {"X-Forwarded-Proto": "https"}, FRAMED),
}


@pytest.fixture(scope="module", params=["", "public", "space"])
def configured(request: pytest.FixtureRequest) -> Iterator[tuple[str, RunningApp]]:
    variables = {"": "loopback", "public": "public address", "space": "Space"}[request.param]
    with running(make_settings(GRADIO_SERVER_NAME="127.0.0.1", **SETTINGS[variables][0])) as app:
        yield variables, app


def test_the_cookies_rules_fit_where_the_page_is_shown(configured: tuple[str, RunningApp]) -> None:
    variables, app = configured
    cases = [case for case in SETTINGS.values() if case[0] == SETTINGS[variables][0]]
    assert cases
    for _, headers, rules in cases:
        for said in (sign_in(app, make_token(), headers), follow_link(app, make_token(), headers)):
            assert "; ".join(cookie_of(said)[1][3:]) == rules


def test_signing_out_takes_the_cookie_back_with_the_same_rules(configured: tuple[str, RunningApp]) -> None:
    _, app = configured
    given = cookie_of(sign_in(app, make_token()))[1]
    response = ask(app, "POST", "/logout", {**cookie(), "Sec-Fetch-Site": "same-origin"})
    value, taken = cookie_of(response)
    assert (response.status, response.headers["Location"], value) == (303, "/login", "")
    assert (taken[0], taken[1], taken[2]) == ("Path=/", "HttpOnly", "Max-Age=0")
    assert taken[3:] == given[3:]


@pytest.fixture(scope="module")
def closed_space() -> Iterator[RunningApp]:
    """As a Space is before its owner has set the key."""
    with running(
        load_settings({"SPACE_ID": "a/b", "SPACE_HOST": "a-b.hf.space", "GRADIO_SERVER_NAME": "127.0.0.1"})
    ) as app:
        yield app


def test_a_space_without_a_key_is_closed_and_shows_the_steps(closed_space: RunningApp) -> None:
    for path in ("/", "/docs", "/config"):
        response = ask(closed_space, "GET", path, {**bearer(), "Accept": "text/html"})
        assert (response.status, response.headers["Location"]) == (303, "/login?why=invalid_token")
        assert ask(closed_space, "GET", path, {"Accept": "text/html"}).headers["Location"] == "/login"
    for language, words in (("en", "closed until its owner"), ("es", "cerrado hasta que su dueño")):
        for method, target in (("GET", "/login"), ("GET", "/login?why=invalid_token"), ("POST", "/login")):
            response = ask(
                closed_space, method, target, {"Accept-Language": language}, b"" if method == "GET" else b"token=x"
            )
            assert response.status == 200
            assert words in response.body.decode()
            assert "JWT_SECRET" in response.body.decode()
            assert "HUGGINGFACE_API_TOKEN" in response.body.decode()
            assert "<form" not in response.body.decode()
            assert "form-action 'none'" in (response.headers["Content-Security-Policy"] or "")
    assert ask(closed_space, "GET", f"/login?token={make_token()}").headers["Set-Cookie"] is None
    for headers in ({}, bearer(), cookie()):
        response = ask(closed_space, "POST", "/api/ai/chat", headers, b"{}")
        assert response.status == 401
    assert (ask(closed_space, "GET", "/readyz").status, ask(closed_space, "GET", "/healthz").status) == (503, 200)


SUBJECTS = ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "&lt;b&gt;", "{facts}", "ñ 漢 🎉"]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_persons_name_is_only_a_name(offline_app: RunningApp, subject: str) -> None:
    number = functions(offline_app)["account_menu"]
    tags = []
    for name in (subject, "a plain name"):
        response = post(offline_app, "/gradio_api/run/predict", {"data": [], "fn_index": number}, name)
        (shown,) = json.loads(response.body)["data"]
        tags.append(Page(str(shown).encode()).tags)
    assert tags[0] == tags[1] != []
    pages = [Page(ask(offline_app, "GET", "/", bearer(name)).body).tags for name in (subject, "a plain name")]
    for tags in pages:
        for _, attributes in tags:
            attributes.pop("nonce", None)
    assert pages[0] == pages[1]
    config = ask(offline_app, "GET", "/config", bearer(subject))
    assert (config.headers["Content-Type"], config.json["username"]) == ("application/json", subject)


def test_the_key_is_on_no_page(offline_app: RunningApp) -> None:
    for path in ("/", "/config", "/docs", "/openapi.json", "/gradio_api/info"):
        assert KEY.encode() not in ask(offline_app, "GET", path, bearer()).body
