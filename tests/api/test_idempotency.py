"""`Idempotency-Key`: the same request twice is one call, one charge and one answer, at both doors and on both stores."""

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from hfchat.api import idempotency
from hfchat.api.idempotency import Try
from hfchat.errors import StoreUnavailable
from hfchat.types import Caller, Policy
from tests.conftest import RunningApp, make_settings, make_token, running, wait_until
from tests.support.raw_client import ask, bearer
from tests.support.redis_server import redis_server
from tests.support.stub_upstream import Answer, StubUpstream, event, reply

pytestmark = pytest.mark.whole

DOORS = ["/api/ai/chat", "/v1/chat/completions"]
WHOLE = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi there"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}


def say(request: dict[str, Any]) -> Answer:
    if not request.get("stream"):
        return Answer(content_type="application/json", pieces=[json.dumps(WHOLE).encode()])
    return reply(["hi ", "there"])


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def apps(
    request: pytest.FixtureRequest, shared_stub: StubUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningApp, RunningApp]]:
    """Two programs on one store."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as opened:
        url = (
            f"sqlite:///{folder}/l.db" if request.param == "sqlite" else opened.enter_context(redis_server(folder)).url
        )
        settings = make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, HFCHAT_STORE=url, HF_CHAT_MODEL="m")
        first, second = (opened.enter_context(running(settings)) for _ in range(2))
        yield first, second


@pytest.fixture
def app(apps: tuple[RunningApp, RunningApp], stub: StubUpstream) -> RunningApp:
    stub.answer = say
    return apps[0]


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def body(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def send(app: RunningApp, door: str, key: str, sent: dict[str, Any], token: str | None = None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token or make_token()}", "Idempotency-Key": key}
    return httpx2.post(f"{app.url}{door}", json=sent, headers=headers, timeout=60)


def requests_of(app: RunningApp, subject: str) -> int:
    left = ask(app, "GET", "/api/ai/usage", bearer(subject)).json["rate"]
    return int(left["limit"]) - int(left["remaining"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("door", DOORS)
def test_the_same_again_is_one_call_one_charge_and_one_answer(
    apps: tuple[RunningApp, RunningApp], app: RunningApp, stub: StubUpstream, key: str, door: str, stream: bool
) -> None:
    subject = f"retries-{key}"
    token = make_token(subject)
    first = send(app, door, key, body(stream=stream), token)
    again = [send(one, door, key, body(stream=stream), token) for one in apps]
    assert first.status_code == 200
    assert "idempotent-replayed" not in first.headers
    for said in again:
        assert (said.status_code, said.content, said.headers["content-type"]) == (
            200,
            first.content,
            first.headers["content-type"],
        )
        assert said.headers["idempotent-replayed"] == "true"
        assert said.headers["x-budget-remaining"]
    assert len(stub.requests) == 1
    assert requests_of(app, subject) == 1
    assert send(app, door, f"{key}-new", body(stream=stream), token).status_code == 200
    assert len(stub.requests) == 2


@pytest.mark.parametrize("door", DOORS)
def test_another_body_under_the_same_key_is_refused(app: RunningApp, stub: StubUpstream, key: str, door: str) -> None:
    assert send(app, door, key, body()).status_code == 200
    refused = send(app, door, key, body("something else"))
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "Idempotency-Key")
    assert "another body" in error["message"]
    assert len(stub.requests) == 1


def test_two_people_and_two_doors_do_not_meet_under_one_key(app: RunningApp, stub: StubUpstream, key: str) -> None:
    for subject in ("ann", "bob"):
        for door in DOORS:
            response = send(app, door, key, body(f"I am {subject}"), make_token(f"{subject}-{key}"))
            assert (response.status_code, "idempotent-replayed" in response.headers) == (200, False)
    assert len(stub.requests) == 4


def test_while_the_first_still_runs_the_others_wait_for_its_answer(
    apps: tuple[RunningApp, RunningApp], app: RunningApp, stub: StubUpstream, key: str
) -> None:
    go = threading.Event()

    def waits(request: dict[str, Any]) -> Answer:
        go.wait(30)
        return say(request)

    stub.answer = waits
    answers: list[httpx2.Response] = []
    threads = [
        threading.Thread(target=lambda one=apps[number % 2]: answers.append(send(one, DOORS[0], key, body())))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(stub.requests) == 1)
    refused = send(app, DOORS[0], key, body("other"))
    assert refused.status_code == 400
    go.set()
    for thread in threads:
        thread.join(60)
    assert {said.content for said in answers} == {answers[0].content}
    assert sorted("idempotent-replayed" in said.headers for said in answers) == [False, *[True] * 5]
    assert len(stub.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_what_failed_is_not_kept_and_may_be_tried_again(
    app: RunningApp, stub: StubUpstream, key: str, stream: bool
) -> None:
    stub.answer = lambda _: (
        Answer(pieces=[event("one "), b'data: {"error": "CUDA out of memory"}\n\n'])
        if stream
        else Answer(503, "application/json", pieces=[b'{"error": "no"}'])
    )
    failed = send(app, DOORS[0], key, body(stream=stream))
    assert (failed.status_code == 200) is stream
    stub.answer = say
    response = send(app, DOORS[0], key, body(stream=stream))
    assert (response.status_code, "idempotent-replayed" in response.headers) == (200, False)
    assert "hi there" in response.text


def test_whoever_leaves_ends_the_call_and_a_retry_is_a_call_of_its_own(
    app: RunningApp, stub: StubUpstream, key: str
) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    headers = {**bearer(), "Idempotency-Key": key}
    with httpx2.stream("POST", f"{app.url}{DOORS[0]}", json=body(stream=True), headers=headers, timeout=60) as said:
        assert "one" in next(said.iter_text())
    wait_until(lambda: stub.in_progress == 0)
    stub.answer = say
    again = send(app, DOORS[0], key, body(stream=True))
    assert (again.status_code, "hi " in again.text) == (200, True)
    assert len(stub.requests) == 2


def test_whoever_does_not_wait_for_the_first_leaves_it_alone(app: RunningApp, stub: StubUpstream, key: str) -> None:
    go = threading.Event()

    def waits(request: dict[str, Any]) -> Answer:
        go.wait(30)
        return say(request)

    stub.answer = waits
    answers: list[httpx2.Response] = []
    first = threading.Thread(target=lambda: answers.append(send(app, DOORS[0], key, body())))
    first.start()
    wait_until(lambda: len(stub.requests) == 1)
    headers = {**bearer(), "Idempotency-Key": key}
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{app.url}{DOORS[0]}", json=body(), headers=headers, timeout=0.5)
    go.set()
    first.join(60)
    assert answers[0].status_code == 200
    assert send(app, DOORS[0], key, body()).content == answers[0].content


@pytest.mark.parametrize("key", ["", "a b", "ñ", "x" * 256])
def test_what_is_no_key_is_refused(app: RunningApp, key: str) -> None:
    headers = [(b"authorization", bearer()["Authorization"].encode()), (b"idempotency-key", key.encode("latin-1"))]
    response = httpx2.post(f"{app.url}{DOORS[0]}", json=body(), headers=headers, timeout=60)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")


def test_a_token_that_was_taken_back_gets_no_kept_answer(app: RunningApp, key: str) -> None:
    token = make_token(f"outcast-{key}")
    assert send(app, DOORS[1], key, body(), token).status_code == 200
    admin = {"Authorization": f"Bearer {make_token('root', scopes=('admin',))}"}
    assert httpx2.post(f"{app.url}/api/ai/revoke", json={"token": token}, headers=admin).status_code == 200
    refused = send(app, DOORS[1], key, body(), token)
    assert refused.json()["error"]["code"] == "revoked_token"


def test_a_token_that_may_not_chat_gets_no_kept_answer(app: RunningApp, key: str) -> None:
    subject = f"admin-{key}"
    assert send(app, DOORS[0], key, body(), make_token(subject)).status_code == 200
    refused = send(app, DOORS[0], key, body(), make_token(subject, scopes=("admin",)))
    assert refused.json()["error"]["code"] == "insufficient_scope"


def test_openais_client_may_retry_under_a_key(app: RunningApp, stub: StubUpstream, key: str) -> None:
    client = openai.OpenAI(base_url=f"{app.url}/v1", api_key=make_token())
    answers = [
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}], extra_headers={"Idempotency-Key": key}
        )
        for _ in range(2)
    ]
    assert [said.choices[0].message.content for said in answers] == ["hi there"] * 2
    assert len(stub.requests) == 1


def test_nobody_who_reads_the_ledger_reads_the_answer_or_the_key(
    tmp_path: Path, stub: StubUpstream, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.answer = say
    file = tmp_path / "l.db"
    with running(make_settings(HF_CHAT_BASE_URL=stub.base_url, HFCHAT_STORE=f"sqlite:///{file}")) as app:
        assert send(app, DOORS[0], key, body("a secret question")).status_code == 200
        # It is kept right after it was said: the same again waits for that.
        assert send(app, DOORS[0], key, body("a secret question")).headers["idempotent-replayed"] == "true"
        with sqlite3.connect(file) as db:
            ((name, answer),) = db.execute("SELECT name, answer FROM answers").fetchall()
        db.close()
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("l.db*"))
        assert answer
        assert not any(word in stored for word in (b"hi there", b"secret question", key.encode()))
        assert key not in name
        # A day later it is forgotten.
        monkeypatch.setattr(idempotency, "KEPT_S", -1)
        assert send(app, DOORS[0], f"{key}2", body()).status_code == 200
        assert "idempotent-replayed" not in send(app, DOORS[0], f"{key}2", body()).headers


def test_a_claim_whose_owner_was_killed_ends(
    app: RunningApp, stub: StubUpstream, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_S", 0.3)

    ended = threading.Event()

    async def never(*_: object) -> None:
        return None

    async def dies(*_: object) -> None:
        ended.set()

    with monkeypatch.context() as killed:
        killed.setattr(idempotency.OnceResponse, "_hold", never)
        killed.setattr(idempotency.OnceResponse, "_end", dies)
        assert send(app, DOORS[0], key, body()).status_code == 200
        assert ended.wait(30)
    response = send(app, DOORS[0], key, body())
    assert (response.status_code, "idempotent-replayed" in response.headers) == (200, False)
    assert len(stub.requests) == 2


def test_a_long_first_try_keeps_its_claim(
    app: RunningApp, stub: StubUpstream, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "CLAIM_S", 0.6)
    stub.answer = lambda _: reply(["hi "] * 15, pause_s=0.1)
    answers: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(send(app, DOORS[0], key, body()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers[0].content == answers[1].content
    assert len(stub.requests) == 1


def test_what_another_seals_does_not_open() -> None:
    caller = Caller("alice", "jti", 0, Policy("m", None))
    tried, other = (Try.of(caller, "/api/ai/chat", key, b"{}") for key in ("a", "b"))
    sealed = tried.close([("content-type", "application/json")], b"hello")
    assert tried.open(sealed) == ([(b"content-type", b"application/json")], b"hello")
    for broken in (sealed[:-1], sealed[:5], b""):
        with pytest.raises(StoreUnavailable):
            tried.open(broken)
    with pytest.raises(StoreUnavailable):
        other.open(sealed)
