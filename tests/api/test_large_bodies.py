"""Large bodies at the doors of the API: what costs more to read than to send is refused, large texts pass, others go on."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.routing import Mount

from hfchat.http.body import BodyReader
from hfchat.page.requests import PageRequestMiddleware
from tests.conftest import RunningApp, make_settings, running, wait_until
from tests.http.test_json_bounds import MANY
from tests.support.raw_client import ask, bearer, line_to
from tests.support.stub_upstream import Answer, StubUpstream, event

V1, API = "/v1/chat/completions", "/api/ai/chat"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def app(shared_stub: StubUpstream) -> Iterator[RunningApp]:
    settings = make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, HF_CHAT_MODEL="m", HF_CHAT_MAX_TOKENS="1000000")
    with running(settings) as served:
        yield served


@pytest.fixture(scope="module")
def reader(app: RunningApp) -> BodyReader:
    gradio = next(route.app for route in app.app.routes if isinstance(route, Mount))
    found: BodyReader = next(
        layer.kwargs["reader"] for layer in gradio.user_middleware if layer.cls is PageRequestMiddleware
    )
    return found


@pytest.mark.parametrize(
    "wrap", [b"%s", b'{"messages":[{"role":"user","content":"hi"}],"x":%s}'], ids=["alone", "inside"]
)
@pytest.mark.parametrize("many", MANY)
@pytest.mark.parametrize("door", [V1, API])
def test_very_many_values_are_refused(app: RunningApp, stub: StubUpstream, door: str, many: str, wrap: bytes) -> None:
    # All of them the beginning of what was made for larger limits.
    body = wrap % MANY[many][: 15 * MIB if door == V1 else MIB - 100]
    refused = ask(app, "POST", door, bearer(), body)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert stub.requests == []


TEXTS = {"a table": "a,b,[c],{d}\n", "a program": 'f(["a", {"b": 1}, \'c\'])\\\n', "prose": "word "}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(("door", "size"), [(V1, 4 * MIB), (API, MIB * 3 // 4)])
def test_a_large_text_reaches_the_model_as_it_is(
    app: RunningApp, stub: StubUpstream, door: str, size: int, text: str
) -> None:
    written = text * (size // len(json.dumps(text)))
    answer = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
    stub.answer = lambda _: Answer(content_type="application/json", pieces=[json.dumps(answer).encode()])
    body: dict[str, Any] = {"messages": [{"role": "user", "content": written}]}
    assert ask(app, "POST", door, bearer(), json.dumps(body).encode()).status == 200
    assert stub.requests[-1]["messages"][-1]["content"] == written


@pytest.mark.parametrize("door", [V1, API, "/gradio_api/run/predict"])
def test_bodies_that_do_not_end_are_few_of_one_person(app: RunningApp, reader: BodyReader, door: str) -> None:
    before, reader._max_bodies = reader._max_bodies, 3
    head = {"Content-Length": "1000"}
    try:
        with ExitStack() as opened:
            lines = [opened.enter_context(line_to(app)) for _ in range(3)]
            for line in lines:
                line.send_head("POST", door, {**bearer("slow"), **head})
            wait_until(lambda: reader.unfinished == 3)
            with line_to(app) as line:
                assert line.ask("POST", door, {**bearer("slow"), **head}).code == "too_many_streams"
            body = json.dumps({"messages": []}).encode()
            assert ask(app, "POST", V1, bearer("other"), body).status == 400
        wait_until(lambda: reader.unfinished == 0)
    finally:
        reader._max_bodies = before


@pytest.mark.parametrize("door", [V1, API])
def test_large_bodies_that_wait_are_few_of_one_person(
    app: RunningApp, reader: BodyReader, stub: StubUpstream, door: str
) -> None:
    before, reader._max_bytes = reader._max_bytes, 250_000
    stub.answer = lambda _: Answer(pieces=[event("a")], ending="hang")
    text = "word " * 20_000
    body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True}).encode()
    try:
        with line_to(app) as running_one, line_to(app) as waiting_one:
            # What is reserved is bounded by the replies in progress.
            assert running_one.begin("POST", door, {**bearer("ann"), "Idempotency-Key": "k"}, body).status == 200
            assert reader._bytes.total() == 0
            # The same again waits for the first, and has no place among those.
            waiting_one.send_head("POST", door, {**bearer("ann"), "Idempotency-Key": "k"}, body)
            wait_until(lambda: reader.unfinished == 0 and reader._bytes.total() == len(body))
            assert ask(app, "POST", door, bearer("ann"), body + b" " * 100_000).code == "too_many_streams"
            wrong = json.dumps({"messages": [{"role": "user", "content": text}], "stream": "x"}).encode()
            for person, door_refuses in (("ann", wrong), ("bob", wrong)):
                assert ask(app, "POST", door, bearer(person), door_refuses).code == "invalid_request"
            assert reader._bytes.total() == len(body)
        wait_until(lambda: reader._bytes.total() == 0)
    finally:
        reader._max_bytes = before


@pytest.mark.parametrize("door", [V1, API])
def test_a_reply_that_nobody_reads_is_not_fetched_any_further(app: RunningApp, stub: StubUpstream, door: str) -> None:
    # As JSON 12 bytes each: 17 MB, more than the buffers of two connections, and less than twice the tokens asked for.
    stub.answer = lambda _: Answer(pieces=[event("🙂" * 5000)] * 290)
    body = json.dumps(
        {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 1_000_000}
    ).encode()
    with line_to(app) as line:
        assert line.begin("POST", door, bearer(), body).status == 200
        # Another reads all of the same meanwhile.
        whole = ask(app, "POST", door, bearer(), body).body
        assert whole.count(b"\\ud83d\\ude42" * 5000) == 290
        assert stub.in_progress == 1
    wait_until(lambda: stub.in_progress == 0)


@pytest.mark.parametrize("path", ["/login", "/", V1, "/gradio_api/queue/data"])
def test_an_address_with_very_many_fields_is_refused(app: RunningApp, path: str) -> None:
    for count, refused in ((100, False), (101, True), (30_000, True)):
        response = ask(app, "GET", f"{path}?{'a&' * count}", bearer())
        assert (
            response.status == 400 and response.code == "invalid_request" and response.json["error"]["param"] == "query"
        ) is (refused or (path.startswith("/gradio_api/") and count > 20))
