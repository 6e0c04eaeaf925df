"""What a caller of the API sees of retries: an answer, how many calls it took, and one charge."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.conftest import RunningApp, make_settings, make_token, running
from tests.support.stub_upstream import Answer, StubUpstream, event, reply, usage_event

DOORS = ["/api/ai/chat", "/v1/chat/completions"]
LISTED = {
    "data": [
        {
            "id": "a/b",
            "providers": [{"provider": name, "status": status} for name, status in (("down", "error"), ("up", "live"))],
        }
    ]
}
BUSY = Answer(503, "application/json", pieces=[b'{"error": "the model is overloaded"}'])
CALL: dict[str, Any] = {"timeout": 60}


@pytest.fixture(scope="module")
def app(shared_stub: StubUpstream) -> Iterator[RunningApp]:
    shared_stub.listing = Answer(content_type="application/json", pieces=[json.dumps(LISTED).encode()])
    variables = {"HF_CHAT_MODEL": "a/b", "HF_CHAT_BASE_URL": shared_stub.base_url, "HFCHAT_STREAMS": "1"}
    with running(make_settings(**variables, HFCHAT_PATIENCE_S="20", HFCHAT_RATE="50/day")) as app:
        yield app


@pytest.fixture
def upstream(shared_stub: StubUpstream) -> Iterator[StubUpstream]:
    shared_stub.forget()
    yield shared_stub
    shared_stub.forget()


def ask(app: RunningApp, door: str, subject: str, *, stream: bool = False, model: str | None = None) -> httpx2.Response:
    body = {
        "messages": [{"role": "user", "content": "one two"}],
        "stream": stream,
        **({"model": model} if model else {}),
    }
    return httpx2.post(app.url + door, json=body, headers={"Authorization": f"Bearer {make_token(subject)}"}, **CALL)


def usage(app: RunningApp, subject: str) -> dict[str, Any]:
    head = {"Authorization": f"Bearer {make_token(subject)}"}
    answer: dict[str, Any] = httpx2.get(f"{app.url}/api/ai/usage", headers=head, **CALL).json()
    return answer


ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}\n\n'
BEFORE_A_WORD = {
    "an error behind the role": Answer(pieces=[ROLE, b'data: {"error": "overloaded"}\n\n'], pause_s=0.02),
    "both at once": Answer(pieces=[ROLE + b'data: {"error": "overloaded"}\n\n']),
    "cut behind the role": Answer(pieces=[ROLE], ending="cut"),
    "the end behind the role": Answer(pieces=[ROLE]),
    "an error behind an event without choices": Answer(
        pieces=[b'data: {"choices": []}\n\n', b'data: {"error": "overloaded"}\n\n'], pause_s=0.02
    ),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("failure", BEFORE_A_WORD.values(), ids=BEFORE_A_WORD)
def test_what_fails_before_its_first_word_is_tried_again_whatever_came_before_that(
    app: RunningApp, upstream: StubUpstream, failure: Answer, door: str, stream: bool
) -> None:
    upstream.answer = lambda _: failure if len(upstream.requests) == 1 else reply(["good"])
    answer = ask(app, door, "early", stream=stream)
    assert (answer.status_code, answer.headers["X-Hfchat-Attempts"]) == (200, "2")
    assert answer.text.count("good") == (2 if stream and door == DOORS[0] else 1)
    assert not stream or "role" not in answer.text


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("door", DOORS)
def test_an_answer_says_how_many_calls_it_took_and_is_charged_once(
    app: RunningApp, upstream: StubUpstream, door: str, stream: bool
) -> None:
    subject = f"again-{door}-{stream}"
    failing = iter([BUSY])
    whole = Answer(
        content_type="application/json",
        pieces=[
            b'{"choices": [{"message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}],'
            b' "usage": {"prompt_tokens": 7, "completion_tokens": 2}}'
        ],
    )
    upstream.answer = lambda request: next(failing, reply(["one ", "two"]) if request.get("stream") else whole)
    before = usage(app, subject)["budget"]["remaining"]
    answer = ask(app, door, subject, stream=stream)
    assert (answer.status_code, answer.headers["X-Hfchat-Attempts"]) == (200, "2")
    assert "two" in answer.text
    after = usage(app, subject)
    assert before - after["budget"]["remaining"] == 9
    assert after["rate"]["remaining"] == 49
    assert "X-Hfchat-Attempts" not in ask(app, door, subject, stream=stream).headers


@pytest.mark.parametrize("door", DOORS)
def test_another_live_provider_of_the_model_answers_where_one_does_not(
    app: RunningApp, upstream: StubUpstream, door: str
) -> None:
    upstream.answer = lambda request: reply(["one"]) if request["model"].endswith(":up") else BUSY
    answer = ask(app, door, f"provider-{door}", stream=True)
    assert answer.status_code == 200
    assert [request["model"] for request in upstream.requests][-1] == "a/b:up"
    assert "a/b:down" not in [request["model"] for request in upstream.requests]


@pytest.mark.parametrize("door", DOORS)
def test_a_failure_that_no_retry_heals_comes_at_once_and_says_one_call(
    app: RunningApp, upstream: StubUpstream, door: str
) -> None:
    upstream.answer = lambda _: Answer(401, "application/json", pieces=[b'{"error": "Invalid username or password."}'])
    answer = ask(app, door, f"once-{door}")
    assert answer.json()["error"]["code"] == "hf_token_invalid"
    assert "X-Hfchat-Attempts" not in answer.headers
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("door", DOORS)
def test_an_error_after_retries_says_how_many(app: RunningApp, upstream: StubUpstream, door: str) -> None:
    long = Answer(429, "application/json", {"Retry-After": "600"}, [b'{"error": "rate limit reached"}'])
    upstream.answer = lambda _: long
    answer = ask(app, door, f"all-{door}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "upstream_rate_limited")
    assert answer.headers["X-Hfchat-Attempts"] == "2"
    assert answer.headers["Retry-After"] == "600"


def test_after_the_first_word_a_failure_is_an_event_and_no_second_call(app: RunningApp, upstream: StubUpstream) -> None:
    upstream.answer = lambda _: Answer(pieces=[event("one ")], ending="cut")
    answer = ask(app, "/api/ai/chat", "cut", stream=True)
    assert "upstream_interrupted" in answer.text
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("door", DOORS)
def test_a_caller_beyond_their_streams_waits_for_a_place(app: RunningApp, upstream: StubUpstream, door: str) -> None:
    subject, gate = f"place-{door}", threading.Event()
    slow = Answer(pieces=[event(f"{n} ") for n in range(20)] + [usage_event(7, 20)], pause_s=0.05)
    answers = iter([slow])
    upstream.answer = lambda _: next(answers, reply(["soon"]))
    codes: list[int] = []

    def first() -> None:
        head = {"Authorization": f"Bearer {make_token(subject)}"}
        body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
        with httpx2.stream("POST", app.url + door, json=body, headers=head, **CALL) as response:
            for _ in response.iter_bytes():
                gate.set()
            codes.append(response.status_code)

    thread = threading.Thread(target=first)
    thread.start()
    assert gate.wait(60)
    second = ask(app, door, subject, stream=True)
    thread.join(60)
    assert (codes, second.status_code) == ([200], 200)
    assert "soon" in second.text
    # Each request is counted once, however often it looked for a place.
    assert usage(app, subject)["rate"]["remaining"] == 48
