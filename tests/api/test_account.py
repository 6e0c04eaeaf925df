"""`GET /api/ai/usage`, what every answer says of what is left, and `POST /api/ai/revoke`, after which no door opens."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import jwt
import pytest

from hfchat.auth.policy import PolicyClaim
from hfchat.chat.turns import CUT_S, WATCH_S
from hfchat.gate.response_headers import EXPOSED
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import Limit
from tests.conftest import KEY, RunningApp, make_settings, make_token, page_client, running, wait_until
from tests.support.raw_client import UNSET, Said, ask, bearer, cookie, line_to, logged
from tests.support.rows import each_row
from tests.support.stub_upstream import Answer, StubUpstream, event

QUESTION = {"messages": [{"role": "user", "content": "hello there"}]}
ORIGIN = "https://app.example"
LIMITED = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Budget-Remaining")
# "hello there" may cost a prompt of 83 and a reply of 100, and costs 7 and 2 by the stub's count.
MOST, COSTS = 183, 9


@pytest.fixture(scope="module")
def store() -> SqliteStore:
    return SqliteStore(None)


@pytest.fixture(scope="module")
def app(shared_stub: StubUpstream, store: SqliteStore) -> Iterator[RunningApp]:
    settings = make_settings(
        HF_CHAT_BASE_URL=shared_stub.base_url,
        HF_CHAT_MAX_TOKENS="100",
        HFCHAT_RATE="30/day",
        HFCHAT_BUDGET="5000/day",
        HFCHAT_STREAMS="4",
        HFCHAT_CORS_ORIGINS=ORIGIN,
    )
    with running(settings, store=store) as served:
        yield served


def with_token(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def chat(app: RunningApp, headers: dict[str, str], **more: Any) -> Said:
    return ask(app, "POST", "/api/ai/chat", headers, json.dumps({**QUESTION, **more}).encode())


def usage(app: RunningApp, token: str) -> Any:
    response = ask(app, "GET", "/api/ai/usage", with_token(token))
    assert response.status == 200
    return response.json


# --- what is left


def test_a_token_may_ask_what_it_has_left(app: RunningApp, stub: StubUpstream) -> None:
    token = make_token("ann")
    fresh = usage(app, token)
    until_midnight = 86_400 - time.time() % 86_400
    for window in (fresh["rate"], fresh["budget"]):
        assert abs(window.pop("reset_s") - until_midnight) < 5
    assert fresh == {
        "subject": "ann",
        "rate": {"limit": 30, "remaining": 30, "window": "day"},
        "budget": {"limit": 5000, "remaining": 5000, "window": "day"},
        "streams": {"limit": 4, "remaining": 4},
    }
    chat(app, with_token(token))
    after = usage(app, token)
    assert (after["rate"]["remaining"], after["budget"]["remaining"]) == (29, 5000 - COSTS)
    assert after["streams"] == {"limit": 4, "remaining": 4}
    assert usage(app, make_token("ann"))["rate"]["remaining"] == 29
    assert usage(app, make_token("ben"))["rate"]["remaining"] == 30


def test_asking_what_is_left_takes_nothing(app: RunningApp, stub: StubUpstream) -> None:
    token = make_token("asks-often")
    assert [usage(app, token)["rate"]["remaining"] for _ in range(3)] == [30] * 3


def test_a_reply_in_progress_holds_its_place_and_all_that_it_may_cost(app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    token = make_token("holds")
    with line_to(app) as line:
        line.begin("POST", "/api/ai/chat", with_token(token), json.dumps({**QUESTION, "stream": True}).encode())
        held = usage(app, token)
        assert (held["streams"]["remaining"], held["budget"]["remaining"]) == (3, 5000 - MOST)
    wait_until(lambda: usage(app, token)["streams"]["remaining"] == 4)
    # Whoever leaves pays for the prompt, and for what came.
    assert 5000 - MOST < usage(app, token)["budget"]["remaining"] < 5000


TIGHTER: dict[str, tuple[PolicyClaim, int, tuple[str, int, str, int]]] = {
    # the token's limits, questions asked, and the limit that says no first with what is left of it
    "the token's, in another window": (PolicyClaim(rate=Limit(20, "month")), 0, ("rate", 20, "month", 20)),
    "the owner's": (PolicyClaim(rate=Limit(40, "month")), 0, ("rate", 30, "day", 30)),
    "the owner's, which has no more left": (PolicyClaim(rate=Limit(40, "month")), 1, ("rate", 30, "day", 29)),
    "the token's, in the same window": (PolicyClaim(rate=Limit(3, "day")), 1, ("rate", 3, "day", 2)),
    "the token's wider one, in the same window": (PolicyClaim(rate=Limit(99, "day")), 1, ("rate", 30, "day", 29)),
    "the token's budget": (PolicyClaim(budget=Limit(4000, "week")), 1, ("budget", 4000, "week", 4000 - COSTS)),
    "the owner's budget": (PolicyClaim(budget=Limit(9000, "week")), 1, ("budget", 5000, "day", 5000 - COSTS)),
}


@pytest.mark.parametrize("name", TIGHTER)
def test_of_two_limits_the_one_that_says_no_first_is_shown(app: RunningApp, stub: StubUpstream, name: str) -> None:
    claim, questions, (meter, limit, window, left) = TIGHTER[name]
    token = make_token(name, policy=claim)
    for _ in range(questions):
        assert chat(app, with_token(token)).status == 200
    shown = usage(app, token)[meter]
    assert (shown["limit"], shown["window"], shown["remaining"]) == (limit, window, left)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/ai/usage", "/api/ai/revoke"])
def test_the_cookie_opens_neither(app: RunningApp, path: str, method: str) -> None:
    response = ask(app, method, path, {**cookie(scopes=("chat", "admin")), "Sec-Fetch-Site": "same-origin"}, b"{}")
    assert (response.status, response.code) == (401, "missing_token")


# --- the headers

CHAT = json.dumps(QUESTION).encode()
STREAM = json.dumps({**QUESTION, "stream": True}).encode()
JOIN = json.dumps({"data": ["hello there", [], *UNSET], "session_hash": "abc"}).encode()
ANSWERS: dict[str, tuple[str, str, bytes, int]] = {
    "page": ("GET", "/", b"", 200),
    "page's head": ("HEAD", "/", b"", 200),
    "reference": ("GET", "/docs", b"", 200),
    "document": ("GET", "/openapi.json", b"", 200),
    "asset": ("GET", "/static/img/logo.svg", b"", 200),
    "no asset": ("GET", "/assets/nothing", b"", 404),
    "page's configuration": ("GET", "/config", b"", 200),
    "page's question": ("POST", "/gradio_api/call/chat", JOIN, 200),
    "page's wrong question": ("POST", "/gradio_api/queue/join", b"{}", 400),
    "heartbeat": ("GET", "/gradio_api/heartbeat/abc", b"", 200),
    "not found": ("GET", "/nothing", b"", 404),
    "wrong method": ("PUT", "/", b"", 405),
    "reply": ("POST", "/api/ai/chat", CHAT, 200),
    "stream": ("POST", "/api/ai/chat", STREAM, 200),
    "wrong question": ("POST", "/api/ai/chat", b"{}", 400),
    "too large": ("POST", "/api/ai/chat", b" " * (1 << 20) + b" ", 413),
    "not allowed": ("POST", "/api/ai/revoke", b"{}", 403),
    "usage": ("GET", "/api/ai/usage", b"", 200),
}


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("by", [bearer, cookie])
def test_every_answer_to_a_known_caller_says_what_is_left_and_none_to_a_stranger(
    app: RunningApp,
    stub: StubUpstream,
    by: Callable[[str], dict[str, str]],
    method: str,
    path: str,
    body: bytes,
    status: int,
) -> None:
    subject = f"{by.__name__} {method} {path} {len(body)}"
    sent = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{app.port}"}
    known = not (by is cookie and path.startswith("/api/"))
    with line_to(app) as line:
        said = line.begin(method, path, {**by(subject), **sent}, body)
        assert said.status == (status if known else 401)
        assert all((said.headers[name] is not None) == known for name in LIMITED)
    with line_to(app) as line:
        stranger = line.begin(method, path, sent, body)
        assert (stranger.status, [name for name in LIMITED if name in stranger.headers]) == (401, [])
    if known:
        assert said.headers["RateLimit-Limit"] == "30"
        # The page's question is asked after it is answered that it was taken.
        asked = path == "/api/ai/chat" and status == 200
        assert said.headers["RateLimit-Remaining"] == ("29" if asked else "30")


FORGED = f"{make_token().rpartition('.')[0]}.{'A' * 43}"
STRANGERS: dict[str, dict[str, str]] = {
    "forged": with_token(FORGED),
    "ended": bearer(ttl_s=1, now=1),
    "ended session": cookie(ttl_s=1, now=1),
    "no token": {"Authorization": "Bearer"},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
def test_whoever_is_not_known_hears_of_no_limit(app: RunningApp, headers: dict[str, str]) -> None:
    response = ask(app, "GET", "/config", headers)
    assert (response.status, [name for name in LIMITED if name in response.headers]) == (401, [])


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login"])
def test_what_is_open_to_everybody_says_nothing_of_limits(app: RunningApp, path: str) -> None:
    response = ask(app, "GET", path, bearer())
    assert [name for name in LIMITED if name in response.headers] == []


def agree(response: Said, body: Any) -> bool:
    shown = [response.headers[name] for name in LIMITED]
    rate, budget = body["rate"], body["budget"]
    seconds = abs(int(shown.pop(2)) - rate["reset_s"])
    return seconds <= 1 and shown == [str(rate["limit"]), str(rate["remaining"]), str(budget["remaining"])]


def test_the_headers_agree_with_the_usage(app: RunningApp, stub: StubUpstream) -> None:
    token = make_token("agrees", policy=PolicyClaim(rate=Limit(9, "week"), budget=Limit(400, "month")))
    for _ in range(2):
        response = ask(app, "GET", "/api/ai/usage", with_token(token))
        assert agree(response, response.json)
        # What a whole reply says is what was settled, not what was reserved.
        assert agree(chat(app, with_token(token)), usage(app, token))
    assert usage(app, token)["budget"]["remaining"] == 400 - 2 * COSTS
    refused = chat(app, with_token(token), max_tokens=0)
    assert (refused.status, agree(refused, usage(app, token))) == (400, True)


def test_a_stream_begins_with_what_is_left_while_it_goes_on(app: RunningApp, stub: StubUpstream) -> None:
    response = chat(app, bearer("streams"), stream=True)
    assert response.body.count(b"event: done") == 1
    assert (response.headers["RateLimit-Remaining"], response.headers["X-Budget-Remaining"]) == ("29", str(5000 - MOST))
    assert usage(app, make_token("streams"))["budget"]["remaining"] == 5000 - COSTS


def test_a_turn_that_fails_before_a_word_is_free_and_says_so(app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(503, "application/json", pieces=[b'{"error":"Model x is currently loading"}'])
    response = chat(app, bearer("fails"))
    assert (response.status, response.code) == (503, "model_loading")
    assert (response.headers["RateLimit-Remaining"], response.headers["X-Budget-Remaining"]) == ("29", "5000")


@pytest.mark.parametrize(("body", "status"), [(CHAT, 200), (STREAM, 200), (b"{}", 400)], ids=["whole", "stream", "bad"])
def test_a_page_of_a_listed_origin_can_read_what_is_left(
    app: RunningApp, stub: StubUpstream, body: bytes, status: int
) -> None:
    response = ask(app, "POST", "/api/ai/chat", {**bearer("cors"), "Origin": ORIGIN}, body)
    exposed = ", ".join(response.headers.get_all("Access-Control-Expose-Headers") or []).split(", ")
    assert (response.status, set(exposed)) == (status, set(EXPOSED))
    others = {"Retry-After", "X-Request-Id", "Idempotent-Replayed", "X-Hfchat-Attempts", "X-Should-Retry"}
    assert {*LIMITED, *others} == set(EXPOSED)


# --- revoke


def revoke(app: RunningApp, body: Any, **more: Any) -> Said:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(app, "POST", "/api/ai/revoke", bearer("root", **{"scopes": ("admin",), **more}), sent)


def id_of(token: str) -> str:
    return str(jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False})["jti"])


@pytest.mark.parametrize("scopes", [("chat",), ("chat", "admin"), ("admin",)], ids="+".join)
def test_only_an_admin_takes_a_token_back(app: RunningApp, scopes: tuple[str, ...]) -> None:
    token = make_token("zoe")
    response = revoke(app, {"token": token}, scopes=scopes)
    if "admin" in scopes:
        assert (response.status, response.json) == (200, {"revoked": id_of(token)})
    else:
        assert (response.status, response.code) == (403, "insufficient_scope")
        assert "`admin`" in response.json["error"]["message"]
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="hfchat", error="insufficient_scope"'
    assert ask(app, "GET", "/api/ai/usage", with_token(token)).status == (401 if "admin" in scopes else 200)


def test_a_backend_makes_nobody_an_admin(app: RunningApp) -> None:
    theirs = jwt.encode({"sub": "root", "exp": time.time() + 60, "scope": "chat admin"}, KEY, algorithm="HS256")
    response = ask(app, "POST", "/api/ai/revoke", with_token(theirs), json.dumps({"token": make_token()}).encode())
    assert (response.status, response.code) == (403, "insufficient_scope")


WRONG: dict[str, tuple[Any, int, str]] = {
    "nothing": ({}, 400, "body"),
    "both nothing": ({"token": None, "jti": None}, 400, "body"),
    "both": ({"token": make_token(), "jti": "x"}, 400, "body"),
    "not JSON": (b"token=x", 400, "body"),
    "a list": ([], 400, "body"),
    "empty token": ({"token": ""}, 400, "token"),
    "token a number": ({"token": 1}, 400, "token"),
    "no token": ({"token": "garbage"}, 400, "token"),
    "blank token": ({"token": "   "}, 400, "token"),
    "half a token": ({"token": make_token().rpartition(".")[0]}, 400, "token"),
    "forged token": ({"token": FORGED}, 400, "token"),
    "link with a forged token": ({"token": f"https://chat.example/login?token={FORGED}"}, 400, "token"),
    "an id as a token": ({"token": id_of(make_token())}, 400, "token"),
    "empty id": ({"jti": ""}, 400, "jti"),
    "blank id": ({"jti": " "}, 400, "jti"),
    "id of two lines": ({"jti": "a\nb"}, 400, "jti"),
    "long id": ({"jti": "x" * 256}, 400, "jti"),
    "half a token as an id": ({"jti": make_token().rpartition(".")[0]}, 400, "jti"),
    "unknown field": ({"tokn": "x"}, 400, "tokn"),
    "too large": ({"token": "x" * 40_000}, 413, "body"),
}


@each_row(("body", "status", "param"), WRONG.values(), ids=WRONG)
def test_what_takes_back_nothing_is_refused_with_its_place(app: RunningApp, body: Any, status: int, param: str) -> None:
    with logged() as lines:
        response = revoke(app, body)
    assert (response.status, response.json["error"]["param"]) == (status, param)
    assert response.code == ("invalid_request" if status == 400 else "payload_too_large")
    assert "token_revoked" not in "".join(lines)


WAYS: dict[str, Callable[[str], dict[str, str]]] = {
    "token": lambda token: {"token": token},
    "token with white space": lambda token: {"token": f" {token}\n"},
    "invite link": lambda token: {"token": f"https://chat.example/login?token={token}"},
    "id": lambda token: {"jti": id_of(token)},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_revoked_token_opens_no_door(
    app: RunningApp, stub: StubUpstream, way: Callable[[str], dict[str, str]]
) -> None:
    token, other = make_token("zoe"), make_token("zoe")
    assert chat(app, with_token(token)).status == 200
    with logged() as lines:
        response = revoke(app, way(token))
    assert (response.status, response.json) == (200, {"revoked": id_of(token)})
    (line,) = [line for line in lines if "token_revoked" in line]
    assert id_of(token) in line
    assert ("'zoe'" in line) == ("token" in way(token))
    assert not any(part in "".join(lines) for part in token.split("."))

    session = {"Cookie": f"hfchat_session={token}"}
    with logged() as lines:
        for method, path in (("POST", "/api/ai/chat"), ("GET", "/api/ai/usage"), ("GET", "/"), ("GET", "/nothing")):
            refused = ask(app, method, path, with_token(token), CHAT if method == "POST" else b"")
            assert (refused.status, refused.code) == (401, "revoked_token")
            assert refused.headers["WWW-Authenticate"] == 'Bearer realm="hfchat", error="invalid_token"'
            assert [name for name in LIMITED if name in refused.headers] == []
        for path in ("/config", "/gradio_api/queue/data?session_hash=a", "/gradio_api/heartbeat/a"):
            assert ask(app, "GET", path, session).code == "revoked_token"
        page = ask(app, "GET", "/", {**session, "Accept": "text/html"})
        assert (page.status, page.headers["Location"]) == (303, "/login?why=revoked_token")
        link = ask(app, "GET", f"/login?token={token}")
        assert (link.status, link.headers["Location"]) == (303, "/login?why=revoked_token&detail=")
        for headers, words in (({}, "has been taken back"), ({"Accept-Language": "es"}, "ha sido retirado")):
            form = ask(app, "POST", "/login", headers, f"token={quote(token)}".encode())
            led = ask(app, "GET", link.headers["Location"], headers)
            for shown in (form, led):
                assert (shown.status, words in shown.body.decode()) == (401, True)
                assert shown.headers["Set-Cookie"] is None
        assert ask(app, "GET", "/login", session).status == 200
    # Whose token it was is in the log of each refusal.
    assert all("'zoe'" in line for line in lines if "revoked_token" in line and "sign_in" not in line)
    assert not any(part in "".join(lines) for part in token.split("."))
    assert len(stub.requests) == 1
    assert chat(app, with_token(other)).status == 200


def test_a_client_of_the_page_whose_token_is_revoked_chats_no_more(app: RunningApp, stub: StubUpstream) -> None:
    token = make_token("zoe")
    with closing(page_client(app, token)) as client:
        assert client.predict("hello there", api_name="/chat") == "hello there "
        revoke(app, {"token": token})
        with pytest.raises(Exception, match="401"):
            client.predict("hello again", api_name="/chat")
    with pytest.raises(Exception, match="Please login"), closing(page_client(app, token)):
        pass
    assert len(stub.requests) == 1


def test_an_admin_may_take_back_their_own_token(app: RunningApp) -> None:
    token = make_token("root", scopes=("admin",))
    body = json.dumps({"token": token}).encode()
    assert ask(app, "POST", "/api/ai/revoke", with_token(token), body).status == 200
    assert ask(app, "POST", "/api/ai/revoke", with_token(token), body).code == "revoked_token"


def test_a_backends_token_is_taken_back_by_itself_or_by_the_id_in_the_log(app: RunningApp) -> None:
    for way, claims in (("token", {}), ("jti", {}), ("token", {"jti": "its-1"}), ("jti", {"jti": "its-2"})):
        expires = time.time() + 60 + len(way)
        theirs = jwt.encode({"sub": "zoe", "exp": expires, **claims}, KEY, algorithm="HS256")
        with logged() as lines:
            ask(app, "GET", "/nothing", with_token(theirs))
        (token_id,) = set(re.findall(r"'jti': '(x-[0-9a-f]{32}|its-\d)'", "".join(lines)))
        response = revoke(app, {way: theirs if way == "token" else token_id})
        assert response.json == {"revoked": token_id}
        assert ask(app, "GET", "/api/ai/usage", with_token(theirs)).code == "revoked_token"


def test_a_token_that_has_ended_is_answered_and_nothing_is_stored(app: RunningApp, store: SqliteStore) -> None:
    ended = make_token("zoe", ttl_s=60, now=1000)
    with logged() as lines:
        response = revoke(app, {"token": ended})
    assert (response.status, response.json) == (200, {"revoked": id_of(ended)})
    assert "token_revoked" not in "".join(lines)
    assert asyncio.run(store.revoked([id_of(ended)], now=0)) == set()
    good = make_token()
    revoke(app, {"token": good})
    assert asyncio.run(store.revoked([id_of(good)], now=0)) == {id_of(good)}


def test_a_backends_token_that_has_ended_is_taken_back_for_its_replies(app: RunningApp, store: SqliteStore) -> None:
    theirs = jwt.encode({"sub": "zoe", "exp": 1000, "jti": "its-3"}, KEY, algorithm="HS256")
    assert revoke(app, {"token": theirs}).json == {"revoked": "its-3"}
    assert asyncio.run(store.revoked(["its-3"], now=time.time() + 86_000)) == {"its-3"}


def test_all_that_the_end_of_a_revoked_tokens_reply_waits_for_is_less_than_two_seconds() -> None:
    assert WATCH_S + CUT_S < 2


@pytest.mark.parametrize("pieces", [[event("one ")], []], ids=["during the reply", "before the first word"])
def test_a_reply_in_progress_ends(app: RunningApp, stub: StubUpstream, pieces: list[bytes]) -> None:
    stub.answer = lambda _: Answer(pieces=pieces, ending="hang")
    token, other = make_token("zoe"), make_token("zoe")
    heard: dict[str, bytes] = {}

    def listen(name: str, method: str, path: str, body: bytes) -> None:
        heard[name] = ask(app, method, path, with_token(token), body).body

    joined = ask(app, "POST", "/gradio_api/call/chat", {**with_token(token), "Content-Type": "application/json"}, JOIN)
    turns = {
        "stream": ("POST", "/api/ai/chat", STREAM),
        "whole": ("POST", "/api/ai/chat", CHAT),
        "page": ("GET", f"/gradio_api/call/chat/{joined.json['event_id']}", b""),
    }
    listening = [threading.Thread(target=listen, args=(name, *turn)) for name, turn in turns.items()]
    for thread in listening:
        thread.start()
    with line_to(app) as line:
        if pieces:
            line.begin("POST", "/api/ai/chat", with_token(other), STREAM)
        wait_until(lambda: stub.in_progress == 3 + bool(pieces))
        with logged() as lines:
            assert revoke(app, {"token": token}).status == 200
            for thread in listening:
                thread.join(30)
        assert len(heard) == 3
        wait_until(lambda: stub.in_progress == bool(pieces))
    said = heard["stream"].decode()
    *deltas, error = said.strip().split("\n\n")
    assert deltas == ['data: {"delta": "one "}'] * len(pieces)
    if pieces:
        name, _, data = error.partition("\n")
        assert name == "event: error"
        error = data.removeprefix("data: ")
    assert json.loads(error)["error"]["code"] == "revoked_token"
    assert json.loads(heard["whole"])["error"]["code"] == "revoked_token"
    assert b"This token has been taken back." in heard["page"]
    assert sum("'outcome': 'revoked_token'" in line for line in lines) == 3
