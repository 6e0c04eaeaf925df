import asyncio
import base64
import hashlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any

import jwt
import pytest
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from hfchat.auth.authenticator import Authenticator
from hfchat.errors import Overloaded
from hfchat.gate import access
from hfchat.gate.drain import Drain
from hfchat.gate.gate import Gate
from hfchat.ledger.meters import Counters
from hfchat.ledger.quota import Quota
from hfchat.types import Call, Caller, Delta, Finish, Policy
from hfchat.upstream.offline import OfflineUpstream
from tests.conftest import KEY, RunningApp, make_settings, make_token, running, wait_until
from tests.support.raw_client import UNSET, Said, ask, bearer, cookie, functions, line_to, logged, post
from tests.support.rows import each_row
from tests.support.stub_upstream import Answer, StubUpstream, event, reply

METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "PURGE", "SEARCH", "LINK")
OPEN = {("/healthz", "GET"), ("/healthz", "HEAD"), ("/readyz", "GET"), ("/readyz", "HEAD")} | {
    ("/login", "GET"),
    ("/login", "HEAD"),
    ("/login", "POST"),
    ("/logout", "POST"),
}
# What a Gradio of another version, or with other options, answers at.
ELSEWHERE = [
    "/gradio_api/mcp/",
    "/gradio_api/mcp/sse",
    "/gradio_api/mcp/messages/",
    "/gradio_api/mcp/schema",
    "/monitoring",
    "/metrics",
    "/v1/models",
    "/v1/models/a/b",
    "/v1/chat/completions",
    "/api/ai/usage",
    "/run/predict",
    "/queue/join",
    "/file=/proc/self/environ",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/proxy=http://127.0.0.1/",
    "/gradio_api/queue/status",
    "/.env",
    "/.git/config",
    "*",
]
CHAT = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()


def paths_of(routes: Iterable[Any]) -> Iterator[str]:
    """Every path of the route table, those of included and mounted applications too, its parameters filled in."""
    for route in routes:
        inner: Any = route.app if isinstance(route, Mount) else getattr(route, "original_router", None)
        if inner is not None:
            yield from paths_of(inner.routes)
        else:
            yield re.sub(r"{[^}]*}", "x", route.path)


def all_paths(app: RunningApp) -> list[str]:
    paths = sorted({*paths_of(app.app.routes), *ELSEWHERE})
    assert {"/", "/login", "/api/ai/chat", "/gradio_api/queue/join", "/gradio_api/upload"} <= set(paths)
    assert len(paths) > 90
    return paths


def is_a_refusal(response: Said, method: str) -> bool:
    good = response.status == 401 and response.headers["WWW-Authenticate"] == 'Bearer realm="hfchat"'
    return good and (method == "HEAD" or response.code == "missing_token")


def test_a_stranger_is_refused_on_every_route_with_every_method(offline_app: RunningApp) -> None:
    with line_to(offline_app) as line:
        passed = [
            (method, path)
            for path in all_paths(offline_app)
            for method in METHODS
            if (path, method) not in OPEN and not is_a_refusal(line.ask(method, path), method)
        ]
    assert passed == []


DISGUISES = {
    "slash after": lambda path: f"{path}/",
    "slash before": lambda path: f"/{path}",
    "dot": lambda path: f"/.{path}",
    "out of healthz": lambda path: f"/healthz/..{path}",
    "out of login, encoded": lambda path: f"/login/%2e%2e{path}",
    "out of login, slash encoded": lambda path: f"/login%2f..%2f{path[1:]}",
    "encoded twice": lambda path: f"/login/%252e%252e{path}",
    "into login": lambda path: f"{path}/../login",
    "into healthz, encoded": lambda path: f"{path}/%2e%2e%2fhealthz",
    "parameters": lambda path: f"{path};/login",
    "parameters before": lambda path: f"/login;{path}",
    "backslash": lambda path: f"/login\\..{path}",
    "backslash encoded": lambda path: f"/login%5c{path}",
    "NUL": lambda path: f"{path}%00/login",
    "NUL after login": lambda path: f"/login%00{path}",
    "line end": lambda path: f"{path}%0d%0a",
    "space": lambda path: f"{path}%20",
    "fragment encoded": lambda path: f"/login%23{path}",
    "query encoded": lambda path: f"/login%3f{path}",
    "full width": lambda path: f"{path}%ef%bc%8flogin",
    "not UTF-8": lambda path: f"{path}%ff",
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_path_is_refused_too(offline_app: RunningApp, disguise: str) -> None:
    with line_to(offline_app) as line:
        passed = [
            (method, target)
            for target in map(DISGUISES[disguise], all_paths(offline_app))
            if target.startswith("/")
            for method in ("GET", "POST")
            if not is_a_refusal(line.ask(method, target), method)
        ]
    assert passed == []


@pytest.mark.parametrize("disguise", [str.upper, lambda path: f"http://127.0.0.1{path}", lambda path: f"{path}?/login"])
def test_upper_case_an_absolute_address_and_a_query_open_nothing(offline_app: RunningApp, disguise: Any) -> None:
    closed = [path for path in all_paths(offline_app) if path.startswith("/") and (path, "GET") not in OPEN]
    with line_to(offline_app) as line:
        assert [path for path in closed if not is_a_refusal(line.ask("GET", disguise(path)), "GET")] == []


CLAIMS = {
    "Host": {"host": "healthz"},
    "empty Host": {"host": ""},
    "Host that is none": {"host": "["},
    "X-Forwarded-Host": {
        "X-Forwarded-Host": "127.0.0.1",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Prefix": "/login",
    },
    "X-Original-URL": {"X-Original-URL": "/login", "X-Rewrite-URL": "/healthz", "X-Original-URI": "/login"},
    "X-HTTP-Method-Override": {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET", "X-HTTP-Method": "GET"},
    "X-Forwarded-User": {"X-Forwarded-User": "alice", "Remote-User": "alice", "X-Real-IP": "127.0.0.1"},
    "X-Gradio-Server": {"X-Gradio-Server": "http://127.0.0.1", "X-IP-Token": "x", "X-Direct-URL": "/"},
    "Forwarded": {"Forwarded": "for=127.0.0.1;proto=https", "Via": "1.1 login"},
    "Gradio's own cookies": {"Cookie": "access-token-unsecure-x=1; access-token-x=1; session=1; _gradio_session=1"},
    "Referer": {"Referer": "http://127.0.0.1/login", "Origin": "http://127.0.0.1"},
}


@each_row("claim", CLAIMS)
@each_row("path", ["/", "/config", "/gradio_api/info", "/gradio_api/run/predict", "/api/ai/chat", "/docs"])
def test_a_claim_in_a_header_opens_nothing(offline_app: RunningApp, claim: str, path: str) -> None:
    headers = dict(CLAIMS[claim])
    host = headers.pop("host", None)
    for method in ("GET", "POST"):
        assert is_a_refusal(ask(offline_app, method, path, headers, host=host), method)


@each_row("line", ["BREW /login", "get /login", "CONNECT x:1", "GET login", "GET http://x", "GET /\xe9"])
def test_a_request_line_that_is_none_is_refused(offline_app: RunningApp, line: str) -> None:
    method, target = line.split()
    with logged() as lines:
        assert ask(offline_app, method, target).status in (400, 401)
    assert "Traceback" not in "".join(lines)


@each_row("path", ["/", "/login", "/healthz", "/gradio_api/queue/join", "/ws"])
@each_row("headers", [{}, bearer(), cookie()], ids=["stranger", "bearer", "cookie"])
def test_nobody_opens_a_websocket(offline_app: RunningApp, path: str, headers: dict[str, str]) -> None:
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", **key}
    with logged() as lines:
        assert ask(offline_app, "GET", path, {**headers, **upgrade}).status == 403
    assert "Traceback" not in "".join(lines)


def test_the_open_routes_answer_a_stranger(offline_app: RunningApp) -> None:
    expected = {("/logout", "POST"): 303, ("/login", "POST"): 401}
    for path, method in sorted(OPEN):
        assert ask(offline_app, method, path).status == expected.get((path, method), 200), (path, method)


@each_row(
    ("method", "path", "status"),
    [
        ("GET", "/", 303),
        ("HEAD", "/", 303),
        ("GET", "/docs", 303),
        ("GET", "/nothing", 303),
        ("POST", "/", 401),
        ("OPTIONS", "/", 401),
        ("GET", "/api/ai/chat", 401),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/models/a/b:fastest", 401),
        ("GET", "/gradio_api/queue/data?session_hash=a", 401),
        ("GET", "/gradio_api/file=/proc/self/environ", 401),
    ],
)
def test_a_stranger_in_a_browser_is_led_to_the_sign_in_page(
    offline_app: RunningApp, method: str, path: str, status: int
) -> None:
    response = ask(offline_app, method, path, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (response.status, response.headers["Location"]) == (status, "/login" if status == 303 else None)


def test_an_ended_session_in_a_browser_is_told_so(offline_app: RunningApp) -> None:
    old = make_token(ttl_s=60, now=int(time.time()) - 3600)
    response = ask(offline_app, "GET", "/", {"Accept": "text/html", "Cookie": f"hfchat_session={old}"})
    assert (response.status, response.headers["Location"]) == (303, "/login?why=expired_token")


def _token_of_another_key() -> str:
    head, claims, _ = make_token().split(".")
    return f"{head}.{claims}.{'A' * 43}"


OWN = ("X-Hfchat-Token", make_token())
AUTHORIZATIONS: dict[str, tuple[list[tuple[str, str]], int, str]] = {
    "good": ([("Authorization", f"Bearer {make_token()}")], 200, ""),
    "lower case": ([("authorization", f"bearer {make_token()}")], 200, ""),
    "upper case": ([("AUTHORIZATION", f"BEARER {make_token()}")], 200, ""),
    "two spaces": ([("Authorization", f"Bearer  {make_token()}")], 200, ""),
    "empty": ([("Authorization", "")], 401, "invalid_token"),
    "no token": ([("Authorization", "Bearer")], 401, "invalid_token"),
    "no scheme": ([("Authorization", make_token())], 401, "invalid_token"),
    "Basic": ([("Authorization", f"Basic {make_token()}")], 401, "invalid_token"),
    "Bearer:": ([("Authorization", f"Bearer: {make_token()}")], 401, "invalid_token"),
    "twice the same": ([("Authorization", f"Bearer {make_token()}")] * 2, 401, "invalid_token"),
    "two of one": ([("Authorization", f"Bearer {make_token()}, Bearer {make_token()}")], 401, "invalid_token"),
    "not ASCII": ([("Authorization", "Bearer \xe9\xff\x80")], 401, "invalid_token"),
    "another key": ([("Authorization", f"Bearer {_token_of_another_key()}")], 401, "invalid_token"),
    "ended": ([("Authorization", f"Bearer {make_token(ttl_s=1, now=1)}")], 401, "expired_token"),
    "good cookie, a proxy's bearer": ([("Authorization", "Bearer x"), *cookie().items()], 200, ""),
    "good cookie, a proxy's password": ([("Authorization", "Basic dTpw"), *cookie().items()], 200, ""),
    "good cookie, a proxy's ticket": ([("Authorization", "Negotiate YII="), *cookie().items()], 200, ""),
    "good cookie, two passwords": ([("Authorization", "Basic dTpw")] * 2 + [*cookie().items()], 200, ""),
    "bad cookie, good bearer": ([("Cookie", "hfchat_session=x"), *bearer().items()], 200, ""),
    "two cookies, good bearer": ([("Cookie", "hfchat_session=x; hfchat_session=y"), *bearer().items()], 200, ""),
    "bad cookie, bad bearer": ([("Cookie", "hfchat_session=x"), ("Authorization", "Bearer y")], 401, "invalid_token"),
    "ended cookie, a proxy's password": (
        [("Authorization", "Basic dTpw"), *cookie(ttl_s=1, now=1).items()],
        401,
        "expired_token",
    ),
    "own header": ([OWN], 200, ""),
    "own header, a proxy's bearer": ([OWN, ("Authorization", "Bearer hf_x")], 200, ""),
    "own header, bad cookie": ([OWN, ("Cookie", "hfchat_session=x")], 200, ""),
    "own header bad, good bearer": ([("X-Hfchat-Token", "x"), *bearer().items()], 401, "invalid_token"),
    "own header bad, good cookie": ([("X-Hfchat-Token", "x"), *cookie().items()], 401, "invalid_token"),
    "own header empty, good bearer": ([("X-Hfchat-Token", ""), *bearer().items()], 401, "invalid_token"),
    "own header twice": ([OWN, OWN], 401, "invalid_token"),
    "own header, a scheme": ([("X-Hfchat-Token", f"Bearer {make_token()}")], 401, "invalid_token"),
    "ended cookie": (list(cookie(ttl_s=1, now=1).items()), 401, "expired_token"),
    "two cookies, the last is bad": ([("Cookie", f"{cookie()['Cookie']}; hfchat_session=x")], 401, "invalid_token"),
    "empty cookie": ([("Cookie", "hfchat_session=")], 401, "missing_token"),
    "token in the query": ([], 401, "missing_token"),
}


@each_row(("headers", "status", "code"), AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_who_is_calling(offline_app: RunningApp, headers: list[tuple[str, str]], status: int, code: str) -> None:
    response = ask(offline_app, "GET", f"/gradio_api/info?token={make_token()}", headers)
    assert response.status == status
    if code:
        assert response.code == code
        known = "" if code == "missing_token" else ', error="invalid_token"'
        assert response.headers["WWW-Authenticate"] == f'Bearer realm="hfchat"{known}'


DOORS = {"/api/ai/chat": "POST", "/v1/chat/completions": "POST", "/v1/models": "GET", "/api/ai/usage": "GET"}


@pytest.mark.parametrize(("path", "method"), DOORS.items(), ids=DOORS)
def test_a_program_may_send_its_token_in_a_header_of_ours(offline_app: RunningApp, path: str, method: str) -> None:
    proxys = ("Authorization", "Bearer hf_x")
    body = CHAT if method == "POST" else b""
    assert ask(offline_app, method, path, [OWN, proxys], body).status == 200
    assert ask(offline_app, method, path, [proxys, OWN], body).status == 200
    response = ask(offline_app, method, path, [OWN, OWN], body)
    assert (response.status, response.code) == (401, "invalid_token")
    assert "`X-Hfchat-Token: <token>`" in response.json["error"]["message"]


def test_of_two_tokens_the_one_in_our_header_counts(offline_app: RunningApp) -> None:
    headers = [*bearer("bob").items(), ("X-Hfchat-Token", make_token("ann")), *cookie("eve").items()]
    assert ask(offline_app, "GET", "/api/ai/usage", headers).json["subject"] == "ann"


def test_on_a_page_the_cookie_counts_and_elsewhere_never(offline_app: RunningApp) -> None:
    both = {**bearer("bob"), **cookie("ann"), "Accept-Language": "en"}
    with logged() as lines:
        ask(offline_app, "GET", "/nothing", both)
    assert "ann" in "".join(lines)
    assert "bob" not in "".join(lines)
    assert ask(offline_app, "GET", "/api/ai/usage", both).json["subject"] == "bob"
    basic = {"Authorization": "Basic dTpw", **cookie("ann")}
    assert ask(offline_app, "GET", "/api/ai/usage", basic).code == "invalid_token"


def test_another_site_gains_nothing_by_a_password_beside_the_cookie(offline_app: RunningApp) -> None:
    headers = {**cookie(), "Authorization": "Basic dTpw", "Sec-Fetch-Site": "cross-site"}
    for method, path in (("GET", "/config"), ("POST", "/gradio_api/reset")):
        response = ask(offline_app, method, path, headers, b"{}" if method == "POST" else b"")
        assert (response.status, response.code) == (401, "missing_token")


@pytest.mark.parametrize("authorization", ["Basic dTpw", "Negotiate YII=", "Digest username=u"])
def test_a_browser_behind_a_proxys_password_is_led_to_sign_in(offline_app: RunningApp, authorization: str) -> None:
    response = ask(offline_app, "GET", "/", {"Accept": "text/html", "Authorization": authorization})
    assert (response.status, response.headers["Location"]) == (303, "/login")


@each_row(
    "headers",
    [
        [("X-Hfchat-Token", "a.b.c" * 20_000)],
        [("Authorization", "Bearer " + "a.b.c" * 20_000)],
        [("Cookie", "hfchat_session=" + "a.b.c" * 20_000)],
        [("Cookie", "hfchat_session=x;" + "=;" * 50_000)],
        [("Accept-Language", "es;q=0." + "9," * 50_000)],
        [("Origin", "http://" + "a" * 100_000)],
        [(f"X-{place}", "a") for place in range(10_000)],
    ],
    ids=["X-Hfchat-Token", "Authorization", "Cookie", "cookies", "Accept-Language", "Origin", "many"],
)
def test_very_long_headers_are_refused(offline_app: RunningApp, headers: list[tuple[str, str]]) -> None:
    with logged() as lines:
        for method in ("GET", "POST"):
            assert ask(offline_app, method, "/gradio_api/info", headers).status in (400, 401)
    assert "crash" not in "".join(lines)


@pytest.mark.parametrize(
    "path", ["/" + "a" * 65_000, "/gradio_api/heartbeat/" + "a" * 65_000, "/assets/" + "a/" * 30_000]
)
def test_a_very_long_path_is_refused(offline_app: RunningApp, path: str) -> None:
    with logged() as lines:
        assert ask(offline_app, "GET", path).status in (400, 401)
        assert ask(offline_app, "GET", path, bearer()).status in (400, 404)
    assert "crash" not in "".join(lines)


@each_row(
    "path",
    [
        "/api/ai/chat",
        "/api/ai/models",
        "/api/ai/usage",
        "/api/ai/revoke",
        "/api/",
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/a/b",
    ],
)
def test_the_cookie_does_not_open_the_api(offline_app: RunningApp, path: str) -> None:
    for method in ("GET", "POST"):
        response = ask(offline_app, method, path, {**cookie(), "Sec-Fetch-Site": "same-origin"}, CHAT)
        assert is_a_refusal(response, method)


PROVENANCES: dict[str, tuple[dict[str, str], bool, bool]] = {
    # headers, may read, may write
    "own page": ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True, True),
    "typed address": ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, True, True),
    "own origin": ({"Origin": "http://127.0.0.1:{port}"}, True, True),
    "own origin behind https": ({"Origin": "https://127.0.0.1:{port}"}, True, True),
    "nothing shown": ({}, True, False),
    "another site": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, False, False),
    "another site, no-cors": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False, False),
    "a sister site": ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False, False),
    "another site's form": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False, False),
    "word of a later standard": ({"Sec-Fetch-Site": "?"}, False, False),
    "another origin": ({"Origin": "https://evil.example"}, False, False),
    "no origin": ({"Origin": "null"}, False, False),
    "another port": ({"Origin": "http://127.0.0.1:1"}, False, False),
    "an origin that begins like ours": ({"Origin": "http://127.0.0.1:{port}.evil.example"}, False, False),
    "an origin with our name": ({"Origin": "http://127.0.0.1:{port}@evil.example"}, False, False),
    "an origin that is none": ({"Origin": "http://["}, False, False),
    "an empty origin": ({"Origin": ""}, False, False),
    "our own site that claims another origin": (
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        False,
        False,
    ),
    "another site that claims our origin": (
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
        False,
        False,
    ),
}


@each_row(("headers", "may_read", "may_write"), PROVENANCES.values(), ids=PROVENANCES)
def test_another_site_cannot_use_the_cookie(
    offline_app: RunningApp, headers: dict[str, str], may_read: bool, may_write: bool
) -> None:
    sent = {**cookie(), **{name: value.format(port=offline_app.port) for name, value in headers.items()}}
    read = ask(offline_app, "GET", "/gradio_api/info", sent)
    written = ask(
        offline_app, "POST", "/gradio_api/reset", {**sent, "Content-Type": "application/json"}, b'{"event_id":"x"}'
    )
    assert (read.status, written.status) == (200 if may_read else 401, 200 if may_write else 401)


def test_a_link_on_another_site_opens_the_page_and_nothing_under_it(offline_app: RunningApp) -> None:
    headers = {**cookie(), "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(offline_app, "GET", "/", headers).status == 200
    assert ask(offline_app, "GET", "/gradio_api/info", headers).status == 401
    assert ask(offline_app, "POST", "/", headers).status == 401


@each_row("path", ["/login", "/logout"])
@each_row(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://["}],
    ids=str,
)
def test_another_sites_form_signs_nobody_in_or_out(offline_app: RunningApp, path: str, headers: dict[str, str]) -> None:
    response = ask(offline_app, "POST", path, headers, f"token={make_token()}".encode())
    assert (response.status, response.code, response.headers["Set-Cookie"]) == (400, "invalid_request", None)


def listed() -> list[tuple[str, str]]:
    found = [(path, method) for path, methods in {**access.API, **access.PAGES}.items() for method in methods]
    return sorted([*found, ("/static/img/logo.svg", "GET"), ("/gradio_api/heartbeat/a", "GET")])


def test_only_what_the_page_needs_is_open_to_who_is_signed_in(offline_app: RunningApp) -> None:
    needed = {path for path, _ in listed()} | {path for path, _ in OPEN}
    needed |= {"/static/x", "/assets/x", "/gradio_api/heartbeat/x"}
    shut = [
        path
        for path in all_paths(offline_app)
        if path not in needed and not path.startswith(("/static/docs-", "/static/hfchat-", "/v1/models/"))
    ]
    assert {"/gradio_api/upload", "/gradio_api/file=x", "/gradio_api/proxy=x", "/gradio_api/component_server"} <= set(
        shut
    )
    assert {"/gradio_api/deep_link", "/gradio_api/openapi.json", "/monitoring/x", "/gradio_api/dev/reload"} <= set(shut)
    assert {"/gradio_api/vibe-edit", "/gradio_api/stream/x", "/gradio_api/stream/x/close", "/gradio_api/call/x"} <= set(
        shut
    )
    with line_to(offline_app) as line:
        answers = {
            (path, method): line.ask(method, path, bearer()) for path in shut for method in ("GET", "POST", "PUT")
        }
    assert {
        where: said.status for where, said in answers.items() if said.status != 404 or said.code != "not_found"
    } == {}


@each_row(("path", "method"), listed())
def test_what_is_listed_is_there(offline_app: RunningApp, path: str, method: str) -> None:
    admin = bearer(scopes=("chat", "admin"))
    with line_to(offline_app) as line:
        body = b"{}" if method == "POST" else b""
        status = line.begin(method, path, {**admin, "Content-Type": "application/json"}, body).status
    assert status in ((400,) if method == "POST" or path == "/gradio_api/queue/data" else (200,))


@each_row(
    ("method", "path", "allow"),
    [
        ("PUT", "/", "GET, HEAD"),
        ("TRACE", "/", "GET, HEAD"),
        ("OPTIONS", "/", "GET, HEAD"),
        ("GET", "/api/ai/chat", "POST"),
        ("DELETE", "/login", "GET, HEAD, POST"),
        ("GET", "/logout", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("GET", "/gradio_api/queue/join", "POST"),
        ("POST", "/gradio_api/heartbeat/abc", "GET"),
        ("HEAD", "/favicon.ico", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(offline_app: RunningApp, method: str, path: str, allow: str) -> None:
    response = ask(offline_app, method, path, bearer())
    assert (response.status, response.headers["Allow"]) == (405, allow)
    if method != "HEAD":
        assert response.code == "method_not_allowed"


@each_row("path", ["/login/", "//login", "/healthz/", "/docs/", "/./", "/nothing", "/gradio_api/info/", "/%00"])
def test_an_unknown_path_is_not_found_for_who_is_signed_in(offline_app: RunningApp, path: str) -> None:
    response = ask(offline_app, "GET", path, {**bearer(), "Accept-Language": "es"})
    assert (response.status, response.code, response.json["error"]["message"]) == (
        404,
        "not_found",
        "No hay nada en esta dirección.",
    )


COMPLETIONS, CHAT_PATH = "/v1/chat/completions", "/api/ai/chat"
# Each with the address that it was meant for, of the two doors and their lists.
WRONG_ADDRESSES = {
    "/v1/chat/completions/": COMPLETIONS,
    "/v1//chat/completions": COMPLETIONS,
    "//v1/chat/completions": COMPLETIONS,
    "/chat/completions": COMPLETIONS,
    "/v1/v1/chat/completions": COMPLETIONS,
    "/v1/chat/completions/chat/completions": COMPLETIONS,
    "/V1/Chat/Completions": COMPLETIONS,
    "/openai/v1/chat/completions": COMPLETIONS,
    "/v1/chat/completions%20": COMPLETIONS,
    "/api/v1/chat/completions": COMPLETIONS,
    "/api/ai/chat/completions": COMPLETIONS,
    "/api/ai/chat/v1/chat/completions": COMPLETIONS,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": COMPLETIONS,
    "/v1/chat": COMPLETIONS,
    "/v1": COMPLETIONS,
    "/api/ai/chat/": CHAT_PATH,
    "/api/ai//chat": CHAT_PATH,
    "/api/ai/ai/chat": CHAT_PATH,
    "/v1/api/ai/chat": CHAT_PATH,
    "/ai/chat": CHAT_PATH,
    "/api/chat": CHAT_PATH,
    "/api/ai": CHAT_PATH,
}
WRONG_LISTS = {
    "/v1/models/": "/v1/models",
    "/v1//models": "/v1/models",
    "/v1/v1/models": "/v1/models",
    "/models": "/v1/models",
    "/v1/models/meta-llama/Llama-3.2-3B-Instruct": "/v1/models",
    "/v1": "/v1/models",
    "/api/ai/models/": "/api/ai/models",
    "/api/ai/usage/": "/api/ai/usage",
    "/usage": "/api/ai/usage",
}


@each_row(
    ("method", "path", "right"),
    [("POST", *row) for row in WRONG_ADDRESSES.items()] + [("GET", *row) for row in WRONG_LISTS.items()],
)
def test_a_wrong_address_is_told_the_right_one(offline_app: RunningApp, method: str, path: str, right: str) -> None:
    response = ask(offline_app, method, path, bearer(), CHAT if method == "POST" else b"")
    assert (response.status, response.code) == (404, "not_found")
    assert f"`{right}`" in response.json["error"]["message"]
    assert ask(offline_app, method, path, {}, CHAT if method == "POST" else b"").status == 401


@each_row("path", ["/v1/embeddings", "/v1/audio/speech", "/api/tags", "/api/version", "/x", "/v2/files"])
def test_an_address_that_points_nowhere_is_told_of_none(offline_app: RunningApp, path: str) -> None:
    response = ask(offline_app, "POST", path, {**bearer(), "Accept-Language": "en"}, b"{}")
    assert response.json["error"]["message"].startswith("There is nothing at this address.")
    assert "right one" not in response.json["error"]["message"]


def test_behind_v1_the_message_says_what_to_do(offline_app: RunningApp) -> None:
    for path in ("/v1/models", "/v1/embeddings", "/v1/chat/completions"):
        for headers in ({}, bearer()):
            error = ask(offline_app, "DELETE", path, headers).json["error"]
            assert error["message"].endswith(error["hint"])
            assert len(error["message"]) > len(error["hint"]) > 0
    error = ask(offline_app, "POST", "/api/ai/chat").json["error"]
    assert error["hint"] not in error["message"]


GRADIOS_REFUSALS = {
    "no such function": ("POST", "/gradio_api/run/predict", {"data": [], "fn_index": 999}, 500, "internal_error"),
    "not a list": ("POST", "/gradio_api/run/predict", {"data": "swordfish"}, 400, "invalid_request"),
    "no data": ("POST", "/gradio_api/queue/join", {}, 400, "invalid_request"),
    "no session": ("POST", "/gradio_api/queue/join", {"data": []}, 400, "invalid_request"),
    "nothing to cancel": ("POST", "/gradio_api/cancel", {"data": ["swordfish"]}, 400, "invalid_request"),
    "no session to listen to": ("GET", "/gradio_api/queue/data", None, 400, "invalid_request"),
    "no such asset": ("GET", "/assets/swordfish.js", None, 404, "not_found"),
    "no such page": ("GET", "/?page=swordfish", None, 500, "internal_error"),
}


@each_row(("method", "path", "body", "status", "code"), GRADIOS_REFUSALS.values(), ids=GRADIOS_REFUSALS)
def test_gradios_own_refusals_have_our_form_and_quote_nothing(
    offline_app: RunningApp, method: str, path: str, body: Any, status: int, code: str
) -> None:
    sent = b"" if body is None else json.dumps(body).encode()
    with logged() as lines:
        response = ask(offline_app, method, path, {**bearer(), "Content-Type": "application/json"}, sent)
    assert (response.status, response.code, response.headers["Cache-Control"]) == (status, code, "no-store")
    assert response.json["error"]["request_id"] == response.headers["X-Request-Id"]
    assert b"swordfish" not in response.body
    assert "swordfish" not in "".join(lines)


ANSWERS = {
    "alive": ("GET", "/healthz", {}, 200),
    "sign-in": ("GET", "/login", {}, 200),
    "sign-in refused": ("POST", "/login", {}, 401),
    "sign-out": ("POST", "/logout", {}, 303),
    "stranger": ("GET", "/config", {}, 401),
    "stranger led on": ("GET", "/", {"Accept": "text/html"}, 303),
    "page": ("GET", "/", bearer(), 200),
    "reference": ("GET", "/docs", bearer(), 200),
    "not found": ("GET", "/nothing", bearer(), 404),
    "asset": ("GET", "/static/img/logo.svg", bearer(), 200),
    "no asset": ("GET", "/assets/nothing", bearer(), 404),
    "bad request": ("POST", "/api/ai/chat", bearer(), 400),
    "heartbeat": ("GET", "/gradio_api/heartbeat/abc", bearer(), 200),
}


@each_row(("method", "path", "headers", "status"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_carries_our_headers(
    offline_app: RunningApp, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with line_to(offline_app) as line:
        said = line.begin(
            method, path, {**headers, "X-Request-Id": "mine", "Origin": f"http://127.0.0.1:{offline_app.port}"}
        )
    assert said.status == status
    assert re.fullmatch(r"[0-9a-f]{16}", said.headers["X-Request-Id"])
    assert "frame-ancestors" in said.headers["Content-Security-Policy"]
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert said.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert said.headers["Referrer-Policy"] == ("strict-origin" if path == "/login" else "no-referrer")
    assert (said.headers["Cache-Control"] == "no-store") == (path != "/static/img/logo.svg")
    assert said.headers["Access-Control-Allow-Origin"] is None
    for name in ("X-Request-Id", "Content-Security-Policy", "Cache-Control"):
        assert len(said.headers.get_all(name) or [""]) == 1


def policy_of(response: Said) -> dict[str, str]:
    return dict(rule.split(" ", 1) for rule in (response.headers["Content-Security-Policy"] or "").split("; "))


def test_nothing_on_the_page_is_fetched_or_sent_because_a_reply_says_so(offline_app: RunningApp) -> None:
    page = ask(offline_app, "GET", "/", cookie())
    policy = policy_of(page)
    assert policy["img-src"] == "data: blob:"
    assert {policy[name] for name in ("media-src", "frame-src", "object-src", "base-uri", "form-action")} == {"'none'"}
    assert b"<base" not in page.body
    assert {policy[name] for name in ("default-src", "connect-src", "frame-ancestors")} == {"'self'"}
    assert not re.search("unsafe-(inline|eval)", policy["script-src"])


def test_each_script_of_the_page_has_the_nonce_of_this_answer(offline_app: RunningApp) -> None:
    nonces = set()
    for _ in range(2):
        page = ask(offline_app, "GET", "/", cookie())
        (nonce,) = re.findall("'nonce-([^']+)'", policy_of(page)["script-src"])
        tags = re.findall(rb"<script[^>]*>", page.body)
        assert len(tags) > 6
        assert all(f'nonce="{nonce}"'.encode() in tag for tag in tags)
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.parametrize("path", ["/login", "/login?why=expired_token"])
def test_a_page_of_our_own_has_its_style_and_runs_nothing(offline_app: RunningApp, path: str) -> None:
    page = ask(offline_app, "GET", path, bearer())
    policy = policy_of(page)
    style = page.body.partition(b"<style>")[2].partition(b"</style>")[0]
    assert policy["style-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'"
    assert (policy["default-src"], policy["base-uri"]) == ("'none'", "'none'")
    assert policy["form-action"] == ("'self'" if b"<form" in page.body else "'none'")
    assert b"<script" not in page.body
    assert b" style=" not in page.body


@pytest.mark.parametrize(("path", "headers"), [("/api/ai/usage", bearer()), ("/config", bearer()), ("/v1/models", {})])
def test_what_is_no_document_loads_nothing(offline_app: RunningApp, path: str, headers: dict[str, str]) -> None:
    assert policy_of(ask(offline_app, "GET", path, headers)) == {"default-src": "'none'", "frame-ancestors": "'none'"}


def test_only_on_a_space_hugging_face_shows_it_in_a_frame() -> None:
    space = {"SPACE_ID": "a/b", "SPACE_HOST": "a-b.hf.space", "GRADIO_SERVER_NAME": "127.0.0.1"}
    with running(make_settings(**space)) as app:
        for path in ("/", "/login", "/docs"):
            policy = policy_of(ask(app, "GET", path, {} if path == "/login" else bearer()))
            assert policy["frame-ancestors"] == "'self' https://huggingface.co"


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, x-hfchat-token",
}
APPS = ("app://obsidian.md", "chrome-extension://mhnlakgilnojmhinhkckjpncpbhabphi", "tauri://localhost")


@each_row("path", ["/api/ai/chat", "/", "/gradio_api/run/predict", "/gradio_api/queue/join", "/login"])
@each_row("origin", ["https://evil.example", "null", "http://localhost:3000"])
@each_row("host", ["hfchat.example", "localhost"])
def test_no_origin_is_let_in_by_default(offline_app: RunningApp, path: str, origin: str, host: str) -> None:
    for method, headers in (("OPTIONS", PREFLIGHT), ("GET", bearer()), ("OPTIONS", {**PREFLIGHT, **bearer()})):
        response = ask(offline_app, method, path, {**headers, "Origin": origin}, host=host)
        assert [name for name in response.headers if name.lower().startswith("access-control-allow-")] == []


@pytest.fixture(scope="module")
def cors_app() -> Iterator[RunningApp]:
    origins = ",".join(("https://app.example", "https://two.example", *APPS))
    with running(make_settings(HFCHAT_CORS_ORIGINS=origins), OfflineUpstream(pause_s=0)) as app:
        yield app


def test_a_listed_origin_may_call_the_api(cors_app: RunningApp) -> None:
    response = ask(cors_app, "OPTIONS", "/api/ai/chat", {**PREFLIGHT, "Origin": "https://app.example"})
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
    assert "authorization" in response.headers["Access-Control-Allow-Headers"].lower()
    assert response.headers["Access-Control-Allow-Credentials"] is None
    response = ask(cors_app, "POST", "/api/ai/chat", {**bearer(), "Origin": "https://two.example"}, CHAT)
    assert (response.status, response.headers.get_all("Access-Control-Allow-Origin")) == (200, ["https://two.example"])
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("door", ["/api/ai/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("origin", APPS)
def test_an_app_of_a_listed_origin_may_call_the_api(cors_app: RunningApp, door: str, origin: str) -> None:
    response = ask(cors_app, "OPTIONS", door, {**PREFLIGHT, "Origin": origin})
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert "x-hfchat-token" in response.headers["Access-Control-Allow-Headers"].lower()
    assert response.headers["Access-Control-Allow-Credentials"] is None
    response = ask(cors_app, "POST", door, [OWN, ("Origin", origin)], CHAT)
    assert (response.status, response.headers.get_all("Access-Control-Allow-Origin")) == (200, [origin])
    assert "X-Should-Retry" in response.headers["Access-Control-Expose-Headers"]


def test_a_listed_origin_may_call_a_server_in_its_users_own_network(cors_app: RunningApp) -> None:
    asked = {**PREFLIGHT, "Access-Control-Request-Private-Network": "true"}
    response = ask(cors_app, "OPTIONS", "/api/ai/chat", {**asked, "Origin": "https://app.example"})
    assert (response.status, response.headers["Access-Control-Allow-Private-Network"]) == (200, "true")
    response = ask(cors_app, "OPTIONS", "/api/ai/chat", {**asked, "Origin": "https://evil.example"})
    assert (response.status, response.headers["Access-Control-Allow-Private-Network"]) == (401, None)


def test_a_listed_origin_can_read_a_refusal(cors_app: RunningApp) -> None:
    for headers, status in (({}, 401), (bearer(), 400)):
        response = ask(cors_app, "POST", "/api/ai/chat", {**headers, "Origin": "https://app.example"}, b"{}")
        assert (response.status, response.headers.get_all("Access-Control-Allow-Origin")) == (
            status,
            ["https://app.example"],
        )
        assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
        assert response.headers["Access-Control-Allow-Credentials"] is None


@each_row(
    "origin",
    [
        "app://other",
        "tauri://localhost.evil",
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "HTTPS://APP.EXAMPLE",
        "null",
    ],
)
def test_an_origin_that_is_not_listed_gets_nothing(cors_app: RunningApp, origin: str) -> None:
    assert ask(cors_app, "OPTIONS", "/api/ai/chat", {**PREFLIGHT, "Origin": origin}).status == 401
    response = ask(cors_app, "POST", "/api/ai/chat", {**bearer(), "Origin": origin}, b"{}")
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (400, None)


@each_row("path", ["/", "/config", "/gradio_api/run/predict", "/login", "//api/ai/chat", "/apix"])
def test_a_listed_origin_has_no_preflight_for_the_pages(cors_app: RunningApp, path: str) -> None:
    assert ask(cors_app, "OPTIONS", path, {**PREFLIGHT, "Origin": "https://app.example"}).status == 401


def test_a_listed_origin_cannot_use_the_cookie(cors_app: RunningApp) -> None:
    headers = {**cookie(), "Origin": "https://app.example", "Content-Type": "application/json"}
    assert ask(cors_app, "POST", "/gradio_api/reset", headers, b'{"event_id":"x"}').status == 401
    assert ask(cors_app, "GET", "/config", headers).status == 401


@pytest.mark.whole
def test_a_session_ends_with_its_token(stub_app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("word ")], ending="hang")
    chat = functions(stub_app)["chat"]
    token = make_token("carol", ttl_s=4)
    ends = {"/gradio_api/heartbeat/abc": 0.0, "/gradio_api/queue/data?session_hash=abc": 0.0}

    def listen(path: str) -> None:
        with line_to(stub_app) as line:
            line.begin("GET", path, {"Authorization": f"Bearer {token}"}).read()
        ends[path] = time.time()

    joined = {"data": ["hello", [], *UNSET], "fn_index": chat, "session_hash": "abc", "trigger_id": None}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with logged() as lines:
        assert ask(stub_app, "POST", "/gradio_api/queue/join", headers, json.dumps(joined).encode()).status == 200
        listeners = [threading.Thread(target=listen, args=(path,)) for path in ends]
        for listener in listeners:
            listener.start()
        assert ask(stub_app, "GET", "/config", headers).status == 200
        for listener in listeners:
            listener.join(30)
        exp = json.loads(_claims(token))["exp"]
        assert all(exp - 0.1 <= end for end in ends.values()), (exp, ends)
        response = ask(stub_app, "GET", "/config", headers)
        assert (response.status, response.code) == (401, "expired_token")
        wait_until(lambda: stub.in_progress == 0)
    assert not re.search("Traceback|crash|ERROR", "".join(lines)), lines


@pytest.mark.whole
def test_what_the_page_began_under_anothers_token_is_finished(stub_app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["word "] * 40, pause_s=0.05)
    theirs = jwt.encode({"sub": "erin", "iss": "https://clerk.example.org", "exp": time.time() + 1}, KEY, "HS256")
    headers = {"Authorization": f"Bearer {theirs}", "Content-Type": "application/json"}
    chat = functions(stub_app)["chat"]
    joined = {"data": ["hello", [], *UNSET], "fn_index": chat, "session_hash": "def", "trigger_id": None}
    with line_to(stub_app) as pulse:
        pulse.begin("GET", "/gradio_api/heartbeat/def", headers)
        assert ask(stub_app, "POST", "/gradio_api/queue/join", headers, json.dumps(joined).encode()).status == 200
        heard = ask(stub_app, "GET", "/gradio_api/queue/data?session_hash=def", headers).body.decode()
    assert '"msg":"process_completed"' in heard.replace(" ", "")
    assert "expired" not in heard
    assert ask(stub_app, "GET", "/config", headers).code == "expired_token"


def _claims(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.split(".")[1] + "==")


@pytest.mark.whole
def test_a_server_that_is_about_to_stop_begins_nothing_new_and_ends_what_is_idle(stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["word "] * 20, pause_s=0.05)
    answers: dict[str, Any] = {}
    with running(make_settings(HF_CHAT_BASE_URL=stub.base_url, HF_CHAT_MODELS="*")) as app, line_to(app) as pulse:
        heartbeat = pulse.begin("GET", "/gradio_api/heartbeat/abc", bearer())
        assert heartbeat.read(12) == b"data: ALIVE\n"
        asking = threading.Thread(target=lambda: answers.update(reply=ask(app, "POST", "/api/ai/chat", bearer(), CHAT)))
        asking.start()
        wait_until(lambda: stub.in_progress == 1)
        with logged() as lines:
            app.in_loop(app.app.state.drain.begin)
            assert heartbeat.read() == b"\n"
            for method, path in (("POST", "/api/ai/chat"), ("GET", "/"), ("GET", "/gradio_api/heartbeat/abc")):
                response = ask(app, method, path, bearer())
                assert (response.status, response.code, response.headers["Retry-After"]) == (503, "overloaded", "5")
            assert ask(app, "GET", "/healthz").status == 200
            assert ask(app, "GET", "/readyz").status == 503
            assert ask(app, "GET", "/config").status == 401
        assert "Traceback" not in "".join(lines)
        asking.join(60)
        assert (answers["reply"].status, answers["reply"].json["reply"].count("word")) == (200, 20)


@pytest.mark.anyio
async def test_draining_passes_over_a_stream_that_is_just_ending() -> None:
    drain = Drain()
    ended = []

    async def stream(limit: asyncio.Timeout) -> None:
        try:
            async with limit:
                drain.watch(limit)
                await asyncio.sleep(60)
        except TimeoutError:
            ended.append(limit)

    limits = [asyncio.timeout(0 if place % 2 else 60) for place in range(6)]
    tasks = [asyncio.create_task(stream(limit)) for limit in limits]
    while not any(limit.expired() for limit in limits):
        await asyncio.sleep(0)
    drain.begin()
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks)
    assert len(ended) == 6


class Crashing:
    """An upstream with a fault in it, before the first delta or after."""

    def __init__(self, deltas: int) -> None:
        self._deltas = deltas

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        for _ in range(self._deltas):
            yield Delta("word ")
        raise RuntimeError(f"swordfish {call.messages[-1].content}")

    async def close(self) -> None:
        return


def test_a_crash_inside_says_nothing_of_itself() -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": "swordfish"}]}).encode()
    with running(make_settings(), Crashing(0)) as app, logged() as lines:
        response = ask(app, "POST", "/api/ai/chat", bearer(), asked)
        assert (response.status, response.code) == (500, "internal_error")
        wait_until(lambda: any("crash" in line for line in lines))
    assert response.headers["X-Request-Id"] in "".join(lines)
    assert b"swordfish" not in response.body
    assert "swordfish" not in "".join(lines)


@pytest.mark.whole
def test_a_crash_in_the_middle_ends_the_answer() -> None:
    asked = json.dumps({"stream": True, "messages": [{"role": "user", "content": "swordfish"}]}).encode()
    with running(make_settings(), Crashing(2)) as app, logged() as lines:
        try:
            said = ask(app, "POST", "/api/ai/chat", bearer(), asked).body
        except http.client.IncompleteRead as cut:
            said = cut.partial
        wait_until(lambda: any("crash" in line for line in lines))
        assert ask(app, "GET", "/healthz").status == 200
    assert b"swordfish" not in said
    assert "swordfish" not in "".join(lines)


def _scope(path: str) -> Scope:
    headers = [(b"authorization", b"Bearer x")]
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "raw_path": path.encode(),
    }


async def pass_through(path: str, failure: BaseException, drain: Drain, sent: list[Message]) -> None:
    """A request that passes the gate, behind which it fails; `sent` gets the messages of its answer."""

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise failure

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def trusts(_: str) -> Caller:
        return Caller("alice", "x", time.time() + 60, Policy("own/default", None))

    async def looks(_: Caller) -> Quota:
        return Quota(Policy("m", None), Counters((), 0), 0)

    await Gate(fails, authenticate=Authenticator(trusts, looks), drain=drain)(_scope(path), receive, send)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("failure", "status"),
    [(TimeoutError("swordfish"), 500), (Overloaded(), 503), (KeyError("swordfish"), 500)],
    ids=str,
)
async def test_what_fails_behind_the_gate_is_not_mistaken_for_an_ended_session(failure: Exception, status: int) -> None:
    sent: list[Message] = []
    await pass_through("/gradio_api/info", failure, Drain(), sent)
    assert sent[0]["status"] == status
    assert b"swordfish" not in sent[1]["body"]


class Panic(BaseException):
    """As a library in Rust raises it: it is no Exception."""


@pytest.mark.anyio
@each_row("path", ["/healthz", "/gradio_api/info", "/api/ai/usage"])
@each_row(
    ("failure", "draining", "status", "passes"),
    [
        (Panic("swordfish"), False, 500, False),
        (asyncio.CancelledError("swordfish"), False, 500, True),
        (asyncio.CancelledError("swordfish"), True, 503, True),
        (BaseExceptionGroup("swordfish", [Panic("swordfish")]), False, 500, False),
    ],
    ids=["panic", "cancelled", "cancelled at the end", "group"],
)
async def test_what_is_no_exception_is_answered_in_our_form_too(
    failure: BaseException, draining: bool, status: int, passes: bool, path: str
) -> None:
    sent: list[Message] = []
    drain = Drain(after_s=0)
    drain.began = draining and path == "/healthz"
    status = 500 if draining and not drain.began else status
    with logged() as lines:
        guarded = pass_through(path, failure, drain, sent)
        if passes:
            with pytest.raises(asyncio.CancelledError):
                await guarded
        else:
            await guarded
    assert sent[0]["status"] == status
    error = json.loads(sent[1]["body"])["error"]
    assert error["code"] == ("overloaded" if status == 503 else "internal_error")
    assert "swordfish" not in f"{error}{lines}"


def test_a_page_that_asks_for_a_lost_session_is_no_crash(offline_app: RunningApp) -> None:
    with logged() as lines:
        response = ask(offline_app, "GET", "/gradio_api/queue/data?session_hash=lost", bearer())
        assert b"session_not_found" in response.body
        wait_until(lambda: ask(offline_app, "GET", "/healthz").status == 200)
    assert "crash" not in "".join(lines)


def test_a_refused_body_is_not_waited_for(offline_app: RunningApp) -> None:
    with socket.create_connection(("127.0.0.1", offline_app.port), timeout=60) as caller:
        caller.sendall(b"POST /api/ai/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{")
        assert caller.recv(100).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("path", ["/api/ai/chat", "/gradio_api/run/predict", "/login"])
def test_a_huge_body_is_refused(offline_app: RunningApp, path: str) -> None:
    headers = bearer() if path != "/login" else {}
    with socket.create_connection(("127.0.0.1", offline_app.port), timeout=60) as caller:
        head = [
            f"POST {path} HTTP/1.1",
            "Host: x",
            "Content-Length: 1000000000",
            *(f"{n}: {v}" for n, v in headers.items()),
        ]
        caller.sendall("\r\n".join([*head, "", ""]).encode())
        caller.sendall(b'{"data":["' + b"a" * 4_300_000)
        said = http.client.HTTPResponse(caller)
        said.begin()
        assert (said.status, json.loads(said.read())["error"]["code"]) == (413, "payload_too_large")


def test_a_page_function_is_run_for_who_is_signed_in(offline_app: RunningApp) -> None:
    response = post(
        offline_app, "/gradio_api/run/predict", {"data": [], "fn_index": functions(offline_app)["account_menu"]}, "bob"
    )
    assert response.status == 200
    assert b"bob" in response.body


@pytest.mark.anyio
async def test_replies_that_outlast_the_grace_are_ended_before_the_server_cuts_them() -> None:
    called: list[str] = []
    drain = Drain(lambda: called.append("last call"), after_s=0.05)
    drain.begin()
    assert (drain.began, called) == (True, [])
    await asyncio.to_thread(wait_until, lambda: called == ["last call"])
