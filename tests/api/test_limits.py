"""What a token says, what the owner set and what is asked, at both doors: the page refuses and admits as the API does."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest

from hfchat.auth.policy import PolicyClaim
from hfchat.i18n.errors import ERRORS
from hfchat.ledger.meters import UsageTotals
from hfchat.ledger.open_store import open_store
from hfchat.limits import Limit
from hfchat.page.history import NOTICE_ID
from tests.conftest import KEY, RunningApp, make_settings, make_token, page_client, running, wait_until
from tests.support.raw_client import UNSET, Said, ask, line_to
from tests.support.redis_server import redis_server
from tests.support.stub_upstream import Answer, StubUpstream, echo, event, reply, usage_event

pytestmark = pytest.mark.whole

WORDS = "hello there"
# What "hello there" with a reply of 100 may cost; the stub counts 7 and 2.
MOST, COSTS = 183, 9
OFFERED = {"HF_CHAT_MODEL": "own/default", "HF_CHAT_MODELS": "own/default,own/other", "HF_CHAT_MAX_TOKENS": "100"}
SETTINGS: dict[str, dict[str, str]] = {
    "roomy": OFFERED,
    "any model": {**OFFERED, "HF_CHAT_MODELS": "*"},
    "falls back": {**OFFERED, "HF_CHAT_FALLBACK_MODELS": "own/other,fall/back"},
    "2 requests": {**OFFERED, "HFCHAT_RATE": "2/day"},
    "200 tokens": {**OFFERED, "HFCHAT_BUDGET": "200/day"},
    "1 stream": {**OFFERED, "HFCHAT_STREAMS": "1"},
}
Start = Callable[[str], RunningApp]


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """The addresses of new ledgers, one after the other."""
    folder, numbers = tmp_path_factory.mktemp(request.param), iter(range(16))
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"
        return
    with redis_server(folder) as server:
        yield lambda: f"{server.url.removesuffix('/0')}/{next(numbers)}"


@pytest.fixture(scope="module")
def start(shared_stub: StubUpstream, store: Callable[[], str]) -> Iterator[Start]:
    """The program with these settings, started when it is first asked for."""
    started: dict[str, RunningApp] = {}
    with ExitStack() as opened:

        def app_with(settings: str) -> RunningApp:
            if settings not in started:
                variables = {"HF_CHAT_BASE_URL": shared_stub.base_url, "HFCHAT_STORE": store()}
                chosen = make_settings(**variables, **SETTINGS[settings])
                started[settings] = opened.enter_context(running(chosen))
            return started[settings]

        yield app_with


def with_token(token: str, language: str = "en") -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept-Language": language}


def by_api(app: RunningApp, headers: dict[str, str], **more: Any) -> Said:
    body = {"messages": [{"role": "user", "content": WORDS}], **more}
    return ask(app, "POST", "/api/ai/chat", headers, json.dumps(body).encode())


def join(app: RunningApp, headers: dict[str, str]) -> str:
    """Ask by the page's own API; gives where the reply is heard."""
    response = ask(app, "POST", "/gradio_api/call/chat", headers, json.dumps({"data": [WORDS, [], *UNSET]}).encode())
    assert response.status == 200
    return f"/gradio_api/call/chat/{response.json['event_id']}"


def by_page(app: RunningApp, headers: dict[str, str]) -> tuple[str, str]:
    """The reply, or the notice, by the page's own API."""
    heard = ask(app, "GET", join(app, headers), headers).body.decode()
    (last,) = re.findall(r"event: complete\ndata: (.*)", heard)
    shown, *_ = json.loads(last)
    if isinstance(shown, str):
        return shown, ""
    assert shown[-1]["metadata"] == {"id": NOTICE_ID}
    return "", shown[-1]["content"]


@dataclass
class Case:
    """Questions, one after the other: how many of them are answered, and the code that refuses the next."""

    settings: str = "roomy"
    claim: PolicyClaim = field(default_factory=PolicyClaim)
    asks: dict[str, Any] = field(default_factory=dict)
    answered: int = 1
    code: str | None = None
    sent: dict[str, Any] = field(default_factory=dict)


def model(*models: str) -> PolicyClaim:
    return PolicyClaim(models=models)


# The page asks for no model and no length: those that do are the API's alone.
CASES: dict[str, Case] = {
    "the default model": Case(sent={"model": "own/default"}),
    "an offered model": Case(asks={"model": "own/other"}, sent={"model": "own/other"}),
    "a model that is not offered": Case(asks={"model": "x/y"}, answered=0, code="model_not_allowed"),
    "any model of all": Case("any model", asks={"model": "x/y"}, sent={"model": "x/y"}),
    "the token's only model": Case(claim=model("own/other"), sent={"model": "own/other"}),
    "the token's only model, by name": Case(
        claim=model("own/other"), asks={"model": "own/other"}, sent={"model": "own/other"}
    ),
    "the owner's default, which is not the token's": Case(
        claim=model("own/other"), asks={"model": "own/default"}, answered=0, code="model_not_allowed"
    ),
    "the token's models with the default": Case(claim=model("own/other", "own/default"), sent={"model": "own/default"}),
    "a token's model that is not offered": Case(claim=model("x/y"), answered=0, code="model_not_allowed"),
    "the same by name": Case(claim=model("x/y"), asks={"model": "x/y"}, answered=0, code="model_not_allowed"),
    "a token's model out of all": Case("any model", claim=model("x/y"), sent={"model": "x/y"}),
    "another than the token's out of all": Case(
        "any model", claim=model("x/y"), asks={"model": "own/default"}, answered=0, code="model_not_allowed"
    ),
    "the owner's length": Case(sent={"max_tokens": 100}),
    "a longer reply than the owner's": Case(asks={"max_tokens": 5000}, sent={"max_tokens": 100}),
    "a shorter one": Case(asks={"max_tokens": 7}, sent={"max_tokens": 7}),
    "the token's length": Case(claim=PolicyClaim(max_tokens=50), sent={"max_tokens": 50}),
    "a longer reply than the token's": Case(
        claim=PolicyClaim(max_tokens=50), asks={"max_tokens": 70}, sent={"max_tokens": 50}
    ),
    "a shorter one than the token's": Case(
        claim=PolicyClaim(max_tokens=50), asks={"max_tokens": 20}, sent={"max_tokens": 20}
    ),
    "a token's length over the owner's": Case(claim=PolicyClaim(max_tokens=5000), sent={"max_tokens": 100}),
    "the owner's rate": Case("2 requests", answered=2, code="rate_limit_exceeded"),
    "the token's rate": Case(claim=PolicyClaim(rate=Limit(1, "day")), answered=1, code="rate_limit_exceeded"),
    "the token's narrower rate": Case(
        "2 requests", claim=PolicyClaim(rate=Limit(1, "day")), answered=1, code="rate_limit_exceeded"
    ),
    "the token's wider rate": Case(
        "2 requests", claim=PolicyClaim(rate=Limit(9, "day")), answered=2, code="rate_limit_exceeded"
    ),
    "the token's rate in a longer window": Case(
        "2 requests", claim=PolicyClaim(rate=Limit(1, "month")), answered=1, code="rate_limit_exceeded"
    ),
    "the token's wide rate in a longer window": Case(
        "2 requests", claim=PolicyClaim(rate=Limit(99, "month")), answered=2, code="rate_limit_exceeded"
    ),
    "the owner's budget": Case("200 tokens", answered=2, code="budget_exceeded"),
    "the token's budget": Case(claim=PolicyClaim(budget=Limit(MOST, "day")), answered=1, code="budget_exceeded"),
    "the token's narrower budget": Case(
        "200 tokens", claim=PolicyClaim(budget=Limit(MOST, "day")), answered=1, code="budget_exceeded"
    ),
    "the token's wider budget": Case(
        "200 tokens", claim=PolicyClaim(budget=Limit(9999, "day")), answered=2, code="budget_exceeded"
    ),
    "the token's budget in a longer window": Case(
        "200 tokens", claim=PolicyClaim(budget=Limit(MOST, "month")), answered=1, code="budget_exceeded"
    ),
    "a budget that nothing fits into": Case(
        claim=PolicyClaim(budget=Limit(MOST - 1, "day")), answered=0, code="budget_exceeded"
    ),
    "a small budget and a short reply": Case(
        claim=PolicyClaim(budget=Limit(MOST - 1, "day"), max_tokens=50), answered=3, sent={"max_tokens": 50}
    ),
    "a small budget and a short reply asked for": Case(
        claim=PolicyClaim(budget=Limit(MOST - 1, "day")), asks={"max_tokens": 50}, answered=3
    ),
    "rate before budget": Case(
        claim=PolicyClaim(rate=Limit(1, "day"), budget=Limit(MOST, "day")), answered=1, code="rate_limit_exceeded"
    ),
}
BY_PAGE = {name: case for name, case in CASES.items() if not case.asks}


def check(case: Case, stub: StubUpstream) -> None:
    """What the stub was asked: as much as was answered, and what is refused never."""
    assert len(stub.requests) == case.answered
    for request in stub.requests:
        assert case.sent.items() <= request.items()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", CASES)
def test_what_holds_at_the_api(start: Start, stub: StubUpstream, name: str, stream: bool) -> None:
    case = CASES[name]
    app, headers = start(case.settings), with_token(make_token(f"{name} by api, {stream}", policy=case.claim))
    for _ in range(case.answered):
        response = by_api(app, headers, **case.asks, stream=stream)
        assert response.status == 200
        assert (b"event: done" in response.body) == stream
    if case.code:
        response = by_api(app, headers, **case.asks, stream=stream)
        error = response.json["error"]
        status = 403 if case.code == "model_not_allowed" else 429
        assert (response.status, error["code"], error["fault"]) == (status, case.code, "caller")
        assert (response.headers["Retry-After"] is not None, error["retryable"]) == (status == 429, status == 429)
        assert error["type"] == ("permission_error" if status == 403 else "rate_limit_error")
    check(case, stub)


@pytest.mark.parametrize("name", BY_PAGE)
def test_what_holds_at_the_page(start: Start, stub: StubUpstream, name: str) -> None:
    case = BY_PAGE[name]
    app, headers = start(case.settings), with_token(make_token(f"{name} by page", policy=case.claim))
    for _ in range(case.answered):
        assert by_page(app, headers) == ("hello there ", "")
    if case.code:
        shown, notice = by_page(app, headers)
        assert shown == ""
        assert notice.startswith(f"⚠️ **{ERRORS['en'][case.code].message.partition('{')[0].strip()}")
    check(case, stub)


def test_a_token_falls_back_on_its_own_models_only(start: Start, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(503, "application/json", pieces=[b'{"error":"Model x is currently loading"}'])
    app = start("falls back")
    assert by_api(app, with_token(make_token("unlimited"))).code == "model_loading"
    assert [request["model"] for request in stub.requests] == ["own/default", "own/other", "fall/back"]
    stub.requests.clear()
    narrow = make_token("narrow", policy=model("own/default", "own/other"))
    assert by_api(app, with_token(narrow)).code == "model_loading"
    assert [request["model"] for request in stub.requests] == ["own/default", "own/other"]


STREAMS: dict[str, tuple[str, PolicyClaim, int, str]] = {
    # the owner's setting, the token's, how many at once, and the door that they come by
    "the owner's": ("1 stream", PolicyClaim(), 1, "api"),
    "the token's": ("roomy", PolicyClaim(streams=2), 2, "page"),
    "the token's, by the API": ("roomy", PolicyClaim(streams=2), 2, "api"),
    "the token's wider": ("1 stream", PolicyClaim(streams=9), 1, "page"),
}


@pytest.mark.parametrize(("settings", "claim", "at_once", "door"), STREAMS.values(), ids=STREAMS)
def test_so_many_replies_at_once_and_no_more_whichever_door_they_came_by(
    start: Start, stub: StubUpstream, settings: str, claim: PolicyClaim, at_once: int, door: str
) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    minute = time.time() // 60
    app = start(settings)
    headers = with_token(make_token(f"{settings} {claim} {door}", policy=claim))
    with ExitStack() as opened:
        for _ in range(at_once):
            line = opened.enter_context(line_to(app))
            if door == "api":
                body = {"messages": [{"role": "user", "content": WORDS}], "stream": True}
                line.begin("POST", "/api/ai/chat", headers, json.dumps(body).encode())
            else:
                line.begin("GET", join(app, headers), headers)
        wait_until(lambda: stub.in_progress == at_once)
        response = by_api(app, headers)
        assert (response.status, response.code, response.headers["Retry-After"]) == (429, "too_many_streams", "5")
        replies = "1 reply" if at_once == 1 else f"{at_once} replies"
        assert f"you may have {replies} in progress." in response.json["error"]["message"]
        assert f"Too many replies at once: you may have {replies} in progress." in by_page(app, headers)[1]
        spanish = {**headers, "Accept-Language": "es"}
        respuestas = "1 respuesta" if at_once == 1 else f"{at_once} respuestas"
        assert f"puedes tener {respuestas} en curso." in by_api(app, spanish).json["error"]["message"]
        assert f"puedes tener {respuestas} en curso." in by_page(app, spanish)[1]
        assert len(stub.requests) == at_once
        # What one minute has counted the next one has not.
        # A turn that is refused for want of a place counts as a request.
        assert time.time() // 60 != minute or response.headers["RateLimit-Remaining"] == str(1_000_000 - at_once - 1)
    stub.answer = echo
    wait_until(lambda: stub.in_progress == 0, 10)
    wait_until(lambda: by_api(app, headers).status == 200)


def ends_then(length_s: int, wait_s: int, began: float) -> bool:
    """Whether a window of time ended so long after an answer that came since `began`; to the second."""
    return (began + wait_s - 2) // length_s < (time.time() + wait_s + 2) // length_s


def refused_in_both_languages(app: RunningApp, token: str) -> tuple[Said, list[str]]:
    """The English refusal of the API; and the four sentences, by the API and by the page."""
    english, spanish = with_token(token), with_token(token, "es")
    response = by_api(app, english)
    messages = [each.json["error"]["message"] for each in (response, by_api(app, spanish))]
    notices = [by_page(app, each)[1].partition("\n")[0] for each in (english, spanish)]
    return response, [*messages, *(notice.removeprefix("⚠️ **").removesuffix("**") for notice in notices)]


def test_a_rate_that_is_used_up_is_said_in_words(start: Start, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["ok"])
    app, token = start("roomy"), make_token("fast", policy=PolicyClaim(rate=Limit(30, "minute")))
    # A minute may end meanwhile: at most another 30 are answered then.
    answered = next(number for number in range(61) if by_api(app, with_token(token)).status == 429)
    began = time.time()
    said, (english, spanish, *notices) = refused_in_both_languages(app, token)
    assert answered in range(30, 61)
    assert len(stub.requests) == answered
    wait_s = int(said.headers["Retry-After"])
    assert ends_then(60, wait_s, began)
    assert wait_s == said.json["error"]["retry_after_s"] == int(said.headers["RateLimit-Reset"])
    assert english == f"Too many requests: 30 requests a minute; try again in {wait_s} s."
    assert re.fullmatch(r"Demasiadas peticiones: 30 peticiones por minuto; inténtalo de nuevo en \d+ s\.", spanish)
    assert [re.sub(r"\d+ s", "", notice) for notice in notices] == [
        re.sub(r"\d+ s", "", message) for message in (english, spanish)
    ]
    assert (said.headers["RateLimit-Limit"], said.headers["RateLimit-Remaining"]) == ("30", "0")


def test_a_budget_that_is_used_up_is_said_in_words(start: Start, stub: StubUpstream) -> None:
    counts = usage_event(49_900, 100)
    stub.answer = lambda _: Answer(pieces=[event("ok"), event(finish_reason="stop"), counts])
    app, token = start("roomy"), make_token("spender", policy=PolicyClaim(budget=Limit(50_000, "day")))
    assert by_api(app, with_token(token)).headers["X-Budget-Remaining"] == "0"
    began = time.time()
    said, sentences = refused_in_both_languages(app, token)
    assert sentences == 2 * [
        "Too few tokens are left: your 50,000 tokens for today are used; they return at midnight UTC.",
        "Quedan muy pocos tokens: tus 50\u00a0000 tokens de hoy ya están usados; vuelven a medianoche UTC.",
    ]
    assert (said.status, said.code, said.headers["X-Budget-Remaining"]) == (429, "budget_exceeded", "0")
    assert ends_then(86_400, int(said.headers["Retry-After"]), began)
    assert len(stub.requests) == 1


def test_a_budget_that_is_nearly_used_up_says_what_this_may_cost(start: Start, stub: StubUpstream) -> None:
    app, token = start("roomy"), make_token("nearly", policy=PolicyClaim(budget=Limit(190, "week")))
    assert by_api(app, with_token(token)).status == 200
    _, sentences = refused_in_both_languages(app, token)
    assert sentences == 2 * [
        "Too few tokens are left: this could use 183, but only 181 of your 190 for this week are left. "
        "The rest returns on Monday at midnight UTC.",
        "Quedan muy pocos tokens: esto podría usar 183, y quedan 181 de tus 190 de esta semana; "
        "el resto vuelve el lunes a medianoche UTC.",
    ]
    # As the hint says: a shorter reply fits.
    assert by_api(app, with_token(token), max_tokens=50).status == 200


def test_a_budget_that_another_reply_holds_says_so(start: Start, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    app, token = start("roomy"), make_token("holder", policy=PolicyClaim(budget=Limit(300, "day")))
    body = {"messages": [{"role": "user", "content": WORDS}], "stream": True}
    with line_to(app) as line:
        line.begin("POST", "/api/ai/chat", with_token(token), json.dumps(body).encode())
        said, sentences = refused_in_both_languages(app, token)
    assert sentences[0] == (
        "Too few tokens are left: this could use 183, but only 117 of your 300 for today are free while your other replies "
        "go on."
    )
    assert sentences[2] == sentences[0]
    # Soon enough, it will have ended.
    assert said.headers["Retry-After"] == "5"


def test_a_budget_that_is_too_small_for_any_reply_says_so(start: Start, stub: StubUpstream) -> None:
    app, token = start("roomy"), make_token("tiny", policy=PolicyClaim(budget=Limit(150, "month")))
    _, sentences = refused_in_both_languages(app, token)
    assert sentences == 2 * [
        "Too few tokens are left: this could use 183, more than all your 150 for this month.",
        "Quedan muy pocos tokens: esto podría usar 183, más que todos tus 150 de este mes.",
    ]


def test_whoever_may_use_no_model_is_told_so_at_both_doors(start: Start, stub: StubUpstream) -> None:
    app, token = start("roomy"), make_token("none", policy=model("x/y"))
    assert "none, because the models that this token names" in by_api(app, with_token(token)).json["error"]["hint"]
    assert "ninguno, porque los modelos que nombra este token" in by_page(app, with_token(token, "es"))[1]
    assert stub.requests == []


def test_gradio_client_hears_of_a_limit_in_words(start: Start, stub: StubUpstream) -> None:
    token = make_token("client", policy=PolicyClaim(rate=Limit(1, "day")))
    with closing(page_client(start("roomy"), token)) as client:
        assert client.predict(WORDS, api_name="/chat") == "hello there "
        (notice,) = client.predict(WORDS, api_name="/chat")
    assert "Too many requests: 1 request a day; try again in" in notice["content"]
    assert len(stub.requests) == 1


ASKED_BY_OPENAI = json.dumps({"messages": [{"role": "user", "content": WORDS}]}).encode()


async def all_accounts(url: str) -> list[UsageTotals]:
    store = open_store(url)
    try:
        return await store.totals(None, now=time.time())
    finally:
        await store.close()


def test_a_person_is_one_line_of_the_ledger_by_whichever_door_and_token(
    stub: StubUpstream, store: Callable[[], str]
) -> None:
    token, invited = make_token("ann"), make_token("ann")
    variables = {"HF_CHAT_BASE_URL": stub.base_url, "HFCHAT_STORE": store()}
    with running(make_settings(**variables, **OFFERED)) as app:
        link = ask(app, "POST", "/login", {}, f"token={invited}".encode())
        session = (link.headers["Set-Cookie"] or "").partition(";")[0]
        page = {"Cookie": session, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
        assert by_api(app, with_token(token)).status == 200
        assert by_api(app, with_token(token), stream=True).status == 200
        assert by_page(app, with_token(token))[0] == "hello there "
        assert by_page(app, page)[0] == "hello there "
        assert by_api(app, with_token(invited)).status == 200
        openai = ask(app, "POST", "/v1/chat/completions", with_token(token), ASKED_BY_OPENAI)
        assert openai.status == 200
    (account,) = asyncio.run(all_accounts(variables["HFCHAT_STORE"]))
    assert (account.subject, account.issuer, account.requests) == ("ann", "hfchat", 6)
    assert (account.prompt_tokens, account.completion_tokens) == (6 * 7, 6 * 2)
    assert (account.estimated_tokens, account.held_tokens) == (0, 0)


def test_a_backends_person_of_the_same_name_has_an_account_of_their_own(start: Start, stub: StubUpstream) -> None:
    app, claim = start("roomy"), {"rate": "1/day", "models": ["own/other"]}
    claims = {"sub": "twin", "iss": "https://id.example", "exp": time.time() + 60, "hfchat": claim}
    theirs = with_token(jwt.encode(claims, KEY, algorithm="HS256"))
    ours = with_token(make_token("twin", policy=PolicyClaim(rate=Limit(1, "day"))))
    for headers in (ours, theirs):
        assert by_api(app, headers).status == 200
        assert by_api(app, headers).code == "rate_limit_exceeded"
        assert by_page(app, headers)[1].startswith("⚠️ **Too many requests")
    assert [request["model"] for request in stub.requests] == ["own/default", "own/other"]


def test_while_the_ledger_is_away_no_door_opens_and_each_says_so(stub: StubUpstream, tmp_path: Path) -> None:
    store, away = tmp_path / "ledger.db", tmp_path / "away.db"
    settings = make_settings(HF_CHAT_BASE_URL=stub.base_url, HFCHAT_STORE=f"sqlite:///{store}")
    token = make_token(scopes=("chat", "admin"))
    headers, session = with_token(token), {"Cookie": f"hfchat_session={token}"}
    revoked = json.dumps({"jti": "x"}).encode()
    with running(settings) as app:
        assert by_api(app, headers).status == 200
        store.rename(away)
        for said in (
            by_api(app, headers),
            by_api(app, headers, stream=True),
            ask(app, "GET", "/api/ai/usage", headers),
            ask(app, "POST", "/api/ai/revoke", headers, revoked),
            ask(app, "GET", "/", session),
            ask(app, "GET", "/config", session),
            ask(app, "POST", "/gradio_api/call/chat", headers, json.dumps({"data": [WORDS, [], *UNSET]}).encode()),
        ):
            assert (said.status, said.code, said.headers["Retry-After"]) == (503, "store_unavailable", "5")
            assert said.json["error"]["fault"] == "owner"
            assert said.headers["RateLimit-Limit"] is None
        link = ask(app, "GET", f"/login?token={token}")
        assert link.headers["Location"] == "/login?why=store_unavailable&detail="
        for language, words in (("en", "it answers nobody for the moment"), ("es", "no responde a nadie")):
            on_quota = {"Accept-Language": language}
            page = ask(app, "GET", "/", {**session, **on_quota, "Accept": "text/html"})
            assert (page.status, page.headers["Retry-After"], page.headers["Content-Type"]) == (
                503,
                "5",
                "text/html; charset=utf-8",
            )
            assert words in page.body.decode()
            form = ask(app, "POST", "/login", on_quota, f"token={token}".encode())
            for shown in (form, ask(app, "GET", link.headers["Location"], on_quota)):
                assert (shown.status, shown.headers["Retry-After"]) == (503, "5")
                assert words in shown.body.decode()
                assert shown.headers["Set-Cookie"] is None
        away.rename(store)
        assert by_api(app, headers).status == 200
        assert by_page(app, headers) == ("hello there ", "")
    assert len(stub.requests) == 3
