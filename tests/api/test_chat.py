"""`POST /api/ai/chat` as HTTP stories, against the real program on a real port."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from tests.conftest import CALL, KEY, RunningApp, make_settings, make_token, running, wait_until
from tests.support.rows import each_row
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, reply

CASES = json.loads((Path(__file__).parents[1] / "data" / "upstream_failures.json").read_text("utf-8"))
# A name that is not found, a port that is closed: no answer of a stub can be those two.
FAILURES = [case for case in CASES if case["expect"]["code"] and case["id"] not in ("net-dns", "net-refused")]
QUESTION = {"messages": [{"role": "user", "content": "hello there"}]}
# CONTRACT: whose fault each is, as this owner's callers see it.
FAULTS = {"context_length_exceeded": "caller", "unsupported_input": "caller", "upstream_rejected": "caller"}
OWNERS = (
    "model_not_supported",
    "model_gated",
    "credits_exhausted",
    "hf_token_invalid",
    "hf_token_forbidden",
    "endpoint_retired",
)
STATUSES = {
    "model_not_supported": 400,
    "model_gated": 403,
    "credits_exhausted": 503,
    "hf_token_invalid": 502,
    "hf_token_forbidden": 502,
    "endpoint_retired": 502,
    "context_length_exceeded": 400,
    "unsupported_input": 400,
    "upstream_rejected": 400,
    "upstream_rate_limited": 429,
    "model_loading": 503,
    "upstream_overloaded": 503,
    "upstream_timeout": 504,
    "upstream_unavailable": 502,
    "upstream_interrupted": 502,
    "upstream_invalid_response": 502,
}


def ask(app: RunningApp, body: Any = QUESTION, *, token: str | None = None, **headers: str) -> httpx2.Response:
    sent = {
        "Authorization": f"Bearer {token or make_token()}",
        **{name.replace("_", "-"): said for name, said in headers.items()},
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.post(f"{app.url}/api/ai/chat", content=content, headers=sent, **CALL)


def events_of(answer: httpx2.Response) -> list[tuple[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        if block.startswith(":"):
            continue  # a comment, which says on a slow machine that there is more to come
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines.get("event", "message"), json.loads(lines["data"])))
    return found


def test_a_question_gets_a_reply(stub_app: RunningApp, stub: StubUpstream) -> None:
    answer = ask(stub_app)
    assert answer.status_code == 200
    assert answer.json() == {
        "reply": "hello there ",
        "model": "meta-llama/Llama-3.2-3B-Instruct:fastest",
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }
    assert answer.headers["x-request-id"]
    assert stub.requests[0]["max_tokens"] == 1024


def test_a_stream_gives_deltas_and_then_the_whole(stub_app: RunningApp) -> None:
    answer = ask(stub_app, {**QUESTION, "stream": True})
    *deltas, done = events_of(answer)
    assert {name for name, _ in deltas} == {"message"}
    assert "".join(body["delta"] for _, body in deltas) == "hello there "
    assert done == ("done", ask(stub_app).json())
    assert answer.headers["x-accel-buffering"] == "no"


def test_what_may_be_chosen_is_passed_on(stub_app: RunningApp, stub: StubUpstream) -> None:
    body = {**QUESTION, "model": "other/model", "max_tokens": 5, "temperature": 0, "top_p": 1, "stream": None}
    assert ask(stub_app, body).status_code == 200
    sent = stub.requests[0]
    assert (sent["model"], sent["max_tokens"], sent["temperature"], sent["top_p"]) == ("other/model", 5, 0, 1)


def test_max_tokens_is_cut_to_the_owners_limit(stub_app: RunningApp, stub: StubUpstream) -> None:
    ask(stub_app, {**QUESTION, "max_tokens": 999_999})
    assert stub.requests[0]["max_tokens"] == 4096


def message(**parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi", **parts}]}


BAD: dict[str, tuple[Any, str]] = {
    "not JSON": (b"hello", "body"),
    "empty body": (b"", "body"),
    "cut off": (b'{"messages": [', "body"),
    "deep": (b"[" * 100_000, "body"),
    "a list": ([], "body"),
    "a string": ("hello", "body"),
    "null": (None, "body"),
    "no messages": ({}, "messages"),
    "messages null": ({"messages": None}, "messages"),
    "messages empty": ({"messages": []}, "messages"),
    "messages a string": ({"messages": "hello"}, "messages"),
    "message a string": ({"messages": ["hello"]}, "messages[0]"),
    "501 messages": ({"messages": [{"role": "user", "content": "x"}] * 501}, "messages"),
    "no role": ({"messages": [{"content": "x"}]}, "messages[0].role"),
    "unknown role": (message(role="system"), "messages[0].role"),
    "role a number": (message(role=1), "messages[0].role"),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "content null": (message(content=None), "messages[0].content"),
    "content a list": (message(content=[{"type": "text", "text": "x"}]), "messages[0].content"),
    "content a number": (message(content=1), "messages[0].content"),
    "content blank": (message(content=" \n"), "messages[0].content"),
    "half of a broken escape": (b'{"messages": [{"role": "user", "content": "\\ud8"}]}', "body"),
    "last is the assistant's": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
        "messages[1].role",
    ),
    "unknown field": ({**QUESTION, "modle": "x"}, "modle"),
    "unknown field in a message": (message(name="x"), "messages[0].name"),
    "model a number": ({**QUESTION, "model": 1}, "model"),
    "model empty": ({**QUESTION, "model": ""}, "model"),
    "model too long": ({**QUESTION, "model": "x" * 201}, "model"),
    "max_tokens zero": ({**QUESTION, "max_tokens": 0}, "max_tokens"),
    "max_tokens negative": ({**QUESTION, "max_tokens": -1}, "max_tokens"),
    "max_tokens huge": ({**QUESTION, "max_tokens": 10**30}, "max_tokens"),
    "max_tokens a text": ({**QUESTION, "max_tokens": "5"}, "max_tokens"),
    "max_tokens true": ({**QUESTION, "max_tokens": True}, "max_tokens"),
    "max_tokens 1.5": ({**QUESTION, "max_tokens": 1.5}, "max_tokens"),
    "temperature 2.1": ({**QUESTION, "temperature": 2.1}, "temperature"),
    "temperature negative": ({**QUESTION, "temperature": -0.1}, "temperature"),
    "temperature NaN": (b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}', "temperature"),
    "temperature infinite": (b'{"messages":[{"role":"user","content":"x"}],"temperature":1e999}', "temperature"),
    "top_p zero": ({**QUESTION, "top_p": 0}, "top_p"),
    "top_p 1.1": ({**QUESTION, "top_p": 1.1}, "top_p"),
    "stream a text": ({**QUESTION, "stream": "yes"}, "stream"),
}


@each_row(("body", "param"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_its_place(offline_app: RunningApp, body: Any, param: str) -> None:
    answer = ask(offline_app, body, accept_language="es")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", param)
    assert (error["fault"], error["retryable"], error["type"]) == ("caller", False, "invalid_request_error")
    assert param in error["message"]
    assert error["message"].startswith("La petición")
    assert error["request_id"] == answer.headers["x-request-id"]


def test_a_body_over_a_mebibyte_is_not_read(offline_app: RunningApp) -> None:
    answer = ask(offline_app, message(content="x" * (1 << 20)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    assert answer.json()["error"]["param"] == "body"


def test_500_messages_and_nearly_a_mebibyte_are_taken(stub_app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["fine"])
    turns = [{"role": role, "content": "x" * 2000} for role in ("user", "assistant")] * 250
    assert ask(stub_app, {"messages": turns[:-1]}).json()["reply"] == "fine"
    assert len(stub.requests[0]["messages"]) == 499


def test_a_model_that_is_not_offered_is_refused(offline_app: RunningApp) -> None:
    answer = ask(offline_app, {**QUESTION, "model": "other/model"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (403, "model_not_allowed", "model")
    assert "other/model" in error["message"]


def test_a_token_without_the_scope_is_refused(offline_app: RunningApp) -> None:
    answer = ask(offline_app, token=make_token(scopes=("admin",)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.fixture(scope="module")
def start(shared_stub: StubUpstream) -> Iterator[Callable[[str], RunningApp]]:
    """The program that waits so many seconds for the provider."""
    with ExitStack() as opened:

        @cache
        def app(timeout_s: str) -> RunningApp:
            settings = make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, HF_CHAT_TIMEOUT_S=timeout_s)
            return opened.enter_context(running(settings))

        yield app


@each_row("stream", [False, True], ids=["whole", "streamed"])
@each_row("case", FAILURES, ids=lambda case: str(case["id"]))
def test_a_recorded_failure_comes_out_as_the_contract_says(
    start: Callable[[str], RunningApp], stub: StubUpstream, case: dict[str, Any], stream: bool
) -> None:
    network = {
        "net-read-timeout": Answer(ending="hang"),
        "net-incomplete-chunked": Answer(pieces=[b": one\n\n"], ending="cut"),
    }
    body = (case["body"] or "").encode()
    headers = {
        name: said for name, said in case["headers"].items() if name not in ("content-type", "transfer-encoding")
    }
    stub.answer = lambda _: network.get(case["id"]) or Answer(case["status"], case["content_type"], headers, [body])
    answer = ask(start("0.3" if case["id"] == "net-read-timeout" else "30"), {**QUESTION, "stream": stream})
    error = answer.json()["error"]
    code = case["expect"]["code"]
    fault = FAULTS.get(code, "owner" if code in OWNERS else "upstream")
    assert (error["code"], error["retryable"], error["fault"]) == (code, case["expect"]["retryable"], fault)
    assert answer.status_code == STATUSES[code]
    if answer.status_code == 429 or (answer.status_code == 503 and error["retryable"]):
        assert int(answer.headers["retry-after"]) == error["retry_after_s"] > 0
    said = json.dumps(error)
    assert not any(secret in said for secret in ("X-Amz", "org_XXX", "my-token", "?X-"))


def test_a_model_they_named_is_the_callers_to_change(stub: StubUpstream, stub_app: RunningApp) -> None:
    refusal = b'{"error":{"message":"The requested model is not supported by any provider you have enabled."}}'
    stub.answer = lambda _: Answer(400, "application/json", pieces=[refusal])
    assert ask(stub_app, {**QUESTION, "model": "other/model"}).json()["error"]["fault"] == "caller"
    assert ask(stub_app).json()["error"]["fault"] == "owner"


def test_the_owner_is_told_what_the_guest_is_not(stub: StubUpstream, stub_app: RunningApp) -> None:
    stub.answer = lambda _: Answer(402, "application/json", pieces=[b'{"error":"You have depleted your credits"}'])
    guest = ask(stub_app).json()["error"]
    owner = ask(stub_app, token=make_token(scopes=("chat", "admin"))).json()["error"]
    assert "huggingface.co/settings/billing" in owner["hint"]
    assert "huggingface.co" not in guest["hint"]
    assert guest["request_id"] in guest["hint"] or "request id" in guest["hint"]


def test_a_failure_after_the_first_byte_is_an_event_after_what_came(stub: StubUpstream, stub_app: RunningApp) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one "), event("two "), b'data: {"error":"CUDA out of memory"}\n\n'])
    answer = ask(stub_app, {**QUESTION, "stream": True})
    *deltas, (name, body) = events_of(answer)
    assert answer.status_code == 200
    assert "".join(delta["delta"] for _, delta in deltas) == "one two "
    assert (name, body["error"]["code"]) == ("error", "upstream_unavailable")
    assert body["error"]["request_id"] == answer.headers["x-request-id"]


@pytest.mark.whole
def test_a_token_that_ends_during_a_reply_ends_the_reply(stub: StubUpstream, stub_app: RunningApp) -> None:
    stub.answer = lambda _: reply(["word "] * 100, pause_s=0.05)
    answer = ask(stub_app, {**QUESTION, "stream": True}, token=make_token(ttl_s=2))
    name, body = events_of(answer)[-1]
    assert (name, body["error"]["code"]) == ("error", "expired_token")
    wait_until(lambda: stub.in_progress == 0)


@pytest.mark.whole
def test_anothers_token_that_ends_during_a_reply_lets_it_finish(stub: StubUpstream, stub_app: RunningApp) -> None:
    stub.answer = lambda _: reply(["word "] * 50, pause_s=0.05)
    theirs = jwt.encode({"sub": "alice", "iss": "https://clerk.example.org", "exp": time.time() + 1}, KEY, "HS256")
    answer = ask(stub_app, {**QUESTION, "stream": True}, token=theirs)
    name, body = events_of(answer)[-1]
    assert (name, body["reply"].count("word")) == ("done", 50)
    assert ask(stub_app, token=theirs).json()["error"]["code"] == "expired_token"


def test_a_model_is_never_an_address_to_post_to(stub: StubUpstream, stub_app: RunningApp) -> None:
    # The hub client would send the owner's token there.
    with StubUpstream() as thief:
        answer = ask(stub_app, {**QUESTION, "model": f"http://127.0.0.1:{thief.port}/v1"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
        assert thief.connections == 0
    assert stub.requests == []


def test_no_caller_turns_usage_off_for_the_others(stub: StubUpstream, stub_app: RunningApp) -> None:
    echoed = b'{"detail":[{"loc":["body"],"msg":"bad value","input":"stream_options include_usage"}]}'
    stub.answer = lambda _: Answer(422, "application/json", pieces=[echoed])
    assert ask(stub_app).json()["error"]["code"] == "upstream_rejected"
    stub.answer = lambda _: reply(["fine"])
    assert ask(stub_app).json()["usage"]["total_tokens"] == 8


def test_what_nobody_counted_is_estimated_and_says_so(stub: StubUpstream, stub_app: RunningApp) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one "), event("two "), event(finish_reason="stop"), DONE])
    usage = ask(stub_app).json()["usage"]
    assert list(usage) == ["prompt_tokens", "completion_tokens", "total_tokens", "estimated"]
    assert usage["estimated"] is True
    assert min(usage["prompt_tokens"], usage["completion_tokens"]) >= 2
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert events_of(ask(stub_app, {**QUESTION, "stream": True}))[-1][1]["usage"] == usage


LEAVING = {
    "streamed": (True, [event("one")]),
    "streamed, before the first token": (True, []),
    "whole": (False, [event("one")]),
    "whole, before the first token": (False, []),
}


@pytest.mark.parametrize(("stream", "pieces"), LEAVING.values(), ids=LEAVING.keys())
def test_a_caller_who_leaves_stops_the_provider(
    stub: StubUpstream, stub_app: RunningApp, stream: bool, pieces: list[bytes]
) -> None:
    stub.answer = lambda _: Answer(pieces=pieces, ending="hang")
    body = json.dumps({**QUESTION, "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", stub_app.port)) as caller:
        head = f"POST /api/ai/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {make_token()}\r\n"
        caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: stub.in_progress == 1)
    wait_until(lambda: stub.left_early == 1)


@pytest.mark.whole
def test_many_streams_at_once_are_neither_lost_nor_mixed(stub: StubUpstream, stub_app: RunningApp) -> None:
    def words(request: dict[str, Any]) -> Answer:
        name = request["messages"][-1]["content"]
        return reply([f"{name}-{place} " for place in range(20)], pause_s=0.02)

    stub.answer = words
    replies: dict[int, str] = {}

    def one(number: int) -> None:
        body = {**message(content=f"n{number}"), "stream": True}
        *deltas, (name, done) = events_of(ask(stub_app, body, token=make_token(f"person-{number}")))
        assert name == "done"
        assert "".join(delta["delta"] for _, delta in deltas) == done["reply"]
        replies[number] = done["reply"]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert replies == {n: "".join(f"n{n}-{place} " for place in range(20)) for n in range(200)}
    wait_until(lambda: stub.in_progress == 0)


def test_the_reply_is_ascii_on_the_wire_and_whole_when_read(stub: StubUpstream, stub_app: RunningApp) -> None:
    stub.answer = lambda _: Answer(pieces=[event("a\u2028b 😀"), event(finish_reason="stop"), DONE])
    answer = ask(stub_app, {**QUESTION, "stream": True})
    assert answer.content.isascii()
    assert events_of(answer)[-1][1]["reply"] == "a\u2028b 😀"


def test_the_openapi_document_has_examples_and_the_bearer_scheme(offline_app: RunningApp, auth: dict[str, str]) -> None:
    document = httpx2.get(f"{offline_app.url}/openapi.json", headers=auth, **CALL).json()
    chat = document["paths"]["/api/ai/chat"]["post"]
    schema = chat["requestBody"]["content"]["application/json"]["schema"]
    assert schema["examples"][0]["messages"]
    assert {"200", "400", "401", "429"} <= chat["responses"].keys()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    example = ask(offline_app, schema["examples"][0])
    assert example.status_code == 200


# --- what else a model says


def delta_event(delta: dict[str, Any], reason: str | None = None) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]})}\n\n".encode()


CALLS = {
    "tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
}
# The reply, and what its note has, in English and in Spanish.
SAID: dict[str, tuple[list[bytes], str, str, str]] = {
    "thoughts in tags": (
        [delta_event({"content": part}) for part in ("<th", "ink>hm</t", "hink>", "yes")],
        "yes",
        "",
        "",
    ),
    "thoughts in parts": (
        [delta_event({"content": [{"type": "thinking", "thinking": "hm"}]}), delta_event({"content": "yes"})],
        "yes",
        "",
        "",
    ),
    "thoughts without an opening": (
        [delta_event({"content": part}) for part in ("hm\n", "</think>", "yes")],
        "yes",
        "",
        "",
    ),
    "a refusal": ([delta_event({"refusal": "I "}), delta_event({"refusal": "won't."})], "I won't.", "", ""),
    "cut by a filter": ([delta_event({"content": "Well"}, "content_filter")], "Well", "content filter", "filtro"),
    "a tool": ([delta_event(CALLS), delta_event({}, "tool_calls")], "", "`weather`", "`weather`"),
    "a tool, and words": ([delta_event({"content": "Wait. ", **CALLS}), delta_event({}, "stop")], "Wait. ", "", ""),
    "a function": (
        [delta_event({"function_call": {"name": "weather", "arguments": "{}"}}), delta_event({}, "function_call")],
        "",
        "`weather`",
        "`weather`",
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("pieces", "reply_text", "english", "spanish"), SAID.values(), ids=SAID)
def test_the_reply_is_what_a_person_reads_and_a_note_says_why_there_is_no_more(
    stub_app: RunningApp,
    stub: StubUpstream,
    pieces: list[bytes],
    reply_text: str,
    english: str,
    spanish: str,
    stream: bool,
) -> None:
    stub.answer = lambda _: Answer(pieces=[*pieces, DONE])
    for language, words in (("en", english), ("es", spanish)):
        answer = ask(stub_app, {**QUESTION, "stream": stream}, **{"Accept-Language": language})
        body = events_of(answer)[-1][1] if stream else answer.json()
        assert body["reply"] == reply_text
        assert ("note" in body, "finish_reason" in body) == (bool(words), bool(words))
        assert words in body.get("note", "")
