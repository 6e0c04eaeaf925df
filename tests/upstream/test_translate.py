"""Whatever a provider or the network can do becomes one error of ours, with the right code, and is fit to be shown."""

import asyncio
import email.utils
import importlib
import json
import socket
import ssl
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx2
import pytest
from huggingface_hub import errors as hub

from hfchat import errors as e
from hfchat.upstream.failure_text import MAX_WAIT_S, clean
from hfchat.upstream.sse import SSEDecoder
from hfchat.upstream.translate import Refusal, translate
from tests.support.rows import each_row

DATA = Path(__file__).parents[1] / "data"
CASES: list[dict[str, Any]] = [
    case
    for name in ("upstream_failures.json", "other_words.json")
    for case in json.loads((DATA / name).read_text("utf-8"))
    if case["expect"]["code"]
]


def is_quirk(case: dict[str, Any]) -> bool:
    return case.get("phase") == "stream-quirk"


def refusal_of(case: dict[str, Any]) -> Refusal:
    body = case["body"].encode() if case["body"] is not None else None
    if case["content_type"] == "text/event-stream":
        decoder = SSEDecoder()
        body = next(event.data for event in [*decoder.feed(body), *decoder.close()] if event.data != "[DONE]")
    return Refusal(case["status"], body, case["headers"])


ANSWERS = {case["id"]: case for case in CASES if case["status"] and not is_quirk(case)}


@each_row("case", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_becomes_the_error_it_means(case: dict[str, Any]) -> None:
    error = translate(refusal_of(case))
    assert (error.code, error.retryable) == (case["expect"]["code"], case["expect"]["retryable"])


@each_row("case", ANSWERS.values(), ids=ANSWERS)
def test_what_is_shown_of_an_answer_is_clean(case: dict[str, Any]) -> None:
    detail = translate(refusal_of(case)).provider_message
    assert len(detail) <= 300
    assert detail == clean(detail)
    for kept in ("acme-labs", "org_", "X-Amz", "sk-fake", "<html", "\n"):
        assert kept not in detail


def failure_named(words: str) -> Exception:
    module, _, name = words.partition(":")[0].rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    failure = kind.__new__(kind, "x")
    assert isinstance(failure, Exception)
    return failure


@each_row("case", [case for case in CASES if case["status"] is None], ids=itemgetter("id"))
def test_a_network_failure_becomes_the_error_it_means(case: dict[str, Any]) -> None:
    error = translate(failure_named(case["body"]))
    assert (error.code, error.retryable) == (case["expect"]["code"], case["expect"]["retryable"])


@each_row(
    ("kind", "code"),
    [
        (httpx2.ConnectError, "upstream_unavailable"),
        (httpx2.ConnectTimeout, "upstream_unavailable"),
        (httpx2.ProxyError, "upstream_unavailable"),
        (httpx2.ReadTimeout, "upstream_timeout"),
        (httpx2.WriteTimeout, "upstream_timeout"),
        (httpx2.PoolTimeout, "overloaded"),
        (httpx2.RemoteProtocolError, "upstream_interrupted"),
        (httpx2.ReadError, "upstream_interrupted"),
        (httpx2.WriteError, "upstream_interrupted"),
        (httpx2.CloseError, "upstream_interrupted"),
        (httpx2.LocalProtocolError, "internal_error"),
        (httpx2.DecodingError, "upstream_invalid_response"),
        (httpx2.TooManyRedirects, "endpoint_retired"),
        (httpx2.UnsupportedProtocol, "endpoint_retired"),
        (httpx2.InvalidURL, "endpoint_retired"),
        (httpx2.ResponseNotRead, "upstream_interrupted"),
        (aiohttp.ClientConnectorError, "upstream_unavailable"),
        (aiohttp.ClientConnectorDNSError, "upstream_unavailable"),
        (aiohttp.ClientConnectorCertificateError, "upstream_unavailable"),
        (aiohttp.ClientProxyConnectionError, "upstream_unavailable"),
        (aiohttp.ClientHttpProxyError, "upstream_unavailable"),
        (aiohttp.ConnectionTimeoutError, "upstream_unavailable"),
        (aiohttp.SocketTimeoutError, "upstream_timeout"),
        (aiohttp.ServerTimeoutError, "upstream_timeout"),
        (aiohttp.ServerDisconnectedError, "upstream_interrupted"),
        (aiohttp.ClientPayloadError, "upstream_interrupted"),
        (aiohttp.ClientOSError, "upstream_interrupted"),
        (aiohttp.ClientResponseError, "upstream_invalid_response"),
        (aiohttp.InvalidURL, "endpoint_retired"),
        (hub.InferenceTimeoutError, "upstream_timeout"),
        (hub.OverloadedError, "upstream_overloaded"),
        (hub.ValidationError, "upstream_rejected"),
        (hub.GatedRepoError, "model_gated"),
        (hub.LocalTokenNotFoundError, "hf_token_invalid"),
        (json.JSONDecodeError, "upstream_invalid_response"),
        (UnicodeDecodeError, "upstream_invalid_response"),
        (RecursionError, "upstream_invalid_response"),
        (TimeoutError, "upstream_timeout"),
        (asyncio.TimeoutError, "upstream_timeout"),
        (asyncio.IncompleteReadError, "upstream_interrupted"),
        (ConnectionResetError, "upstream_interrupted"),
        (ConnectionRefusedError, "upstream_unavailable"),
        (socket.gaierror, "upstream_unavailable"),
        (ssl.SSLCertVerificationError, "upstream_unavailable"),
        (KeyError, "internal_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_type_of_another_library_has_its_code(kind: type[Exception], code: str) -> None:
    assert translate(kind.__new__(kind)).code == code


def exceptions_of(*modules: Any) -> list[type[Exception]]:
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return sorted((kind for kind in found if issubclass(kind, Exception)), key=lambda kind: f"{kind.__module__}.{kind}")


FOREIGN = exceptions_of(
    hub,
    httpx2,
    aiohttp,
    importlib.import_module("httpcore2"),
    json,
    json.decoder,
    anyio,
    asyncio,
    asyncio.exceptions,
    ssl,
    socket,
)


def test_the_walk_over_foreign_exceptions_finds_many() -> None:
    assert len(FOREIGN) > 80


@each_row("kind", FOREIGN, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_foreign_exception_comes_through(kind: type[Exception]) -> None:
    failure = kind.__new__(kind)
    error = translate(failure)
    assert isinstance(error, e.HfchatError)
    assert (error.reason, error.provider_message) == ("", "")


@each_row("kind", list(e.catalogue().values()))
def test_an_error_of_ours_stays_what_it_is(kind: type[e.HfchatError]) -> None:
    error = kind()
    assert translate(error) is error


def test_an_exception_that_carries_a_response_is_read_like_the_response() -> None:
    request = httpx2.Request("POST", "https://provider.example/v1/chat/completions")
    response = httpx2.Response(
        429, json={"error": "Model is overloaded"}, headers={"retry-after": "7"}, request=request
    )
    error = translate(httpx2.HTTPStatusError("no", request=request, response=response))
    assert (error.code, error.retry_after_s) == ("upstream_overloaded", 7)


def test_a_response_that_was_not_read_is_judged_by_its_status() -> None:
    request = httpx2.Request("POST", "https://provider.example/v1/chat/completions")

    async def body() -> Any:
        yield b"never read"

    response = httpx2.Response(402, content=body(), request=request)
    assert translate(httpx2.HTTPStatusError("no", request=request, response=response)).code == "credits_exhausted"


DEEP: Any = "rate limit"
for _ in range(2000):
    DEEP = {"error": [DEEP]}


@each_row(
    "body",
    [
        None, b"", b"\xff\xfe\x00", "NaN", "1e999", "9" * 5000, "[" * 50_000, '{"error":' * 5000, '"\\ud800"', "\x00",
        {"error": None}, {"error": {"message": 7, "code": float("nan")}}, {"error": {"code": 10**400}}, DEEP,
        {"errors": {"a": {"b": [None, True, {}]}}}, {7: {"error": 1}}, {"message": ["x", {"msg": b"bytes"}]},
        [[[[]]]], {"estimated_time": "soon"}, {"estimated_time": [1]}, {"error": {"estimated_time": -5}}, "<",
        "<a" * 9999,
    ],
    ids=lambda body: repr(body)[:30] if not isinstance(body, dict) or body is not DEEP else "deep",
)  # fmt: skip
@each_row("status", [200, 400, 404, 429, 503, 0, 999, None, "500"])
def test_no_body_is_too_strange(status: Any, body: Any) -> None:
    headers: Any = {"Retry-After": None, "ratelimit": 5}
    error = translate(Refusal(status, body, headers))
    assert type(error) in e.catalogue().values()
    assert error.retry_after_s is None or 1 <= error.retry_after_s <= MAX_WAIT_S


@each_row(
    ("status", "code"),
    [
        (301, "endpoint_retired"), (400, "upstream_rejected"), (401, "hf_token_invalid"), (402, "credits_exhausted"),
        (403, "hf_token_forbidden"), (404, "model_not_supported"), (405, "endpoint_retired"), (408, "upstream_timeout"),
        (410, "endpoint_retired"), (413, "context_length_exceeded"), (418, "upstream_rejected"),
        (422, "upstream_rejected"),
        (424, "upstream_unavailable"), (429, "upstream_rate_limited"), (498, "upstream_overloaded"),
        (500, "upstream_unavailable"), (502, "upstream_unavailable"), (503, "upstream_overloaded"),
        (504, "upstream_timeout"), (520, "upstream_unavailable"), (522, "upstream_timeout"),
        (524, "upstream_timeout"), (529, "upstream_overloaded"),
    ],
)  # fmt: skip
def test_the_status_decides_where_there_are_no_words(status: int, code: str) -> None:
    assert translate(Refusal(status)).code == code


@each_row(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "120"}, None, 120),
        ({"retry-after": "0"}, None, 1),
        ({"retry-after": "-5"}, None, 1),
        ({"retry-after": "1.2"}, None, 2),
        ({"retry-after": "999999999"}, None, MAX_WAIT_S),
        ({"retry-after": "nan"}, None, 10),
        ({"retry-after": "soon"}, None, 10),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None, 1),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, None, MAX_WAIT_S),
        ({"retry-after-ms": "2500"}, None, 3),
        ({"retry-after-ms": "soon", "ratelimit": '"api";r=0;t=55'}, None, 55),
        ({"ratelimit": '"api";r=0;t=55'}, None, 55),
        ({"retry-after": "3"}, '{"error": "try again in 9s"}', 3),
        ({}, None, 10),
        ({}, '{"error": "slow down", "retry_after": 8}', 8),
        ({}, '{"error": {"message": "slow down", "retry_after": 8.5}}', 9),
        ({}, '{"error": "Please try again in 33m57.312s. Need more?"}', 2038),
        ({}, '{"error": "Please try again in 149.8ms. "}', 1),
        ({}, '{"error": "try again in 2m"}', 120),
        ({}, '{"error": "Please retry in 1h2m3s."}', 3723),
        ({}, '{"error": "Retry after 20 seconds"}', 20),
        ({}, '{"error": "Please wait 5 minutes before trying again"}', 300),
        ({}, '{"error": "Your limit resets in 1 hour and 30 minutes"}', 5400),
        ({}, '{"error": "5 requests per 1 minute"}', 10),
    ],
)
def test_how_long_to_wait_is_what_the_answer_says(headers: dict[str, str], body: str | None, seconds: int) -> None:
    assert translate(Refusal(429, body, headers)).retry_after_s == seconds


def test_a_date_to_retry_after_is_counted_from_now() -> None:
    date = email.utils.formatdate(time.time() + 600, usegmt=True)
    assert translate(Refusal(503, None, {"retry-after": date})).retry_after_s in range(595, 602)


def test_estimated_time_is_how_long_a_model_loads() -> None:
    body = '{"error": "Model x is currently loading", "estimated_time": 577.37}'
    assert translate(Refusal(503, body)).retry_after_s == 578


def test_what_will_not_pass_says_no_time() -> None:
    assert translate(Refusal(402, None, {"retry-after": "5"})).retry_after_s is None


ECHOED = (
    "rate limit exceeded, insufficient balance, invalid api key, model not found, prompt is too long, no image support"
)


@each_row(
    "body",
    [
        {"detail": [{"msg": "Field required", "input": ECHOED}]},
        {"detail": [{"msg": "Field required", "input": {"message": ECHOED}}]},
        {"error": {"message": "Invalid request", "request": {"messages": [{"content": ECHOED}]}}},
        {"error": "Invalid request", "messages": [{"content": ECHOED}]},
        {"error": "Invalid request", "prompt": ECHOED},
        {"detail": [{"loc": ["body", "metadata", "insufficient_balance"], "msg": "Field required"}]},
        {"detail": [{"loc": ["body", ["content"], {"model": 1}], "msg": "Field required"}]},
        {"message": f"[{{'msg': 'Field required', 'input': '{ECHOED}'}}]"},
        {"message": f"1 validation error: Field required [type=missing, input_value='{ECHOED}', input_type=str]"},
    ],
)
def test_what_a_person_wrote_is_no_cause(body: dict[str, Any]) -> None:
    assert translate(Refusal(400, json.dumps(body))).code == "upstream_rejected"


@each_row(
    ("words", "shown"),
    [
        ('User Access Token "my-token" is expired', "User Access Token [hidden] is expired"),
        ("key sk-fake****************0000.", "key [hidden]"),
        ("gsk_fakeFAKE12345678 nvapi-FAKE123456 hf_fake r8_fake123456", "[hidden] [hidden] [hidden] [hidden]"),
        ("jwt eyJhbGciOi.eyJzdWIi.c2ln", "jwt [hidden]"),
        ("Authorization: Bearer abcDEF123456", "Authorization: Bearer [hidden]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [hidden]"),
        ("Use Bearer authentication", "Use Bearer authentication"),
        ("api_key=abc123def is wrong", "api_key=[hidden] is wrong"),
        ("token abcdef12345678901234567", "token [hidden]"),
        ("get https://user:pw@host.example/a?X-Amz-Signature=abc#frag now", "get https://host.example/a now"),
        ("at /v1/chat?key=abc", "at /v1/chat"),
        ("mail support+x@help.example.com now", "mail [hidden] now"),
        ("in organization `org_01fake` service tier", "in organization [hidden] service tier"),
        ("on behalf of org acme-labs", "on behalf of org [hidden]"),
        ("Account acme-labs-1 is suspended", "Account [hidden] is suspended"),
        ("for the organisation acme", "for the organisation [hidden]"),
        ("in organization Acme Corp on tokens", "in organization [hidden] on tokens"),
        ("organization id: 12ab-44", "organization id: [hidden]"),
        ("project proj_abc123 and team 'Blue'", "project [hidden] and team [hidden]"),
        ("accounts/acme-1/deployments/a", "accounts/[hidden]/deployments/a"),
        ("user 'alice' is blocked", "user [hidden] is blocked"),
        ("your organization has reached its limit", "your organization has reached its limit"),
        ("your account balance is too low", "your account balance is too low"),
        ("Conversation roles must alternate user/assistant", "Conversation roles must alternate user/assistant"),
        ("set a user-agent for hf-inference", "set a user-agent for hf-inference"),
        ("Model meta-llama/Llama-3.2-3B-Instruct takes text", "Model meta-llama/Llama-3.2-3B-Instruct takes text"),
        ("`inputs` tokens + `max_new_tokens` <= 4096", "`inputs` tokens + `max_new_tokens` <= 4096"),
        ("Unexpected token '}' at 12", "Unexpected token '}' at 12"),
        ("line\r\none\u202e\x07\u2028two\ud800", "line one two"),
        ("<h1>Bad</h1> gateway", "Bad gateway"),
        ("", ""),
    ],
)
def test_what_is_shown_is_clean_and_still_says_it(words: str, shown: str) -> None:
    assert clean(words) == shown
    assert clean(clean(words)) == shown


def test_what_is_shown_is_short() -> None:
    assert len(clean("word " * 1000)) == 300


HARD = {
    "braces": "{", "brackets": "[", "tags": "<a ", "word": "a", "underscores": "a_", "paths": "a-1/", "digits": "1",
    "mails": "a@", "dots": ". ", "queries": "?a=", "links": "https://", "stars": "*", "times": "try again in 1m",
    "words": "model tokens exceed input request not image context provider access to token key organization ",
}  # fmt: skip


@pytest.mark.parametrize("piece", HARD.values(), ids=HARD)
def test_a_hostile_body_takes_no_more_than_its_share_of_time(piece: str) -> None:
    def taken(size: int) -> float:
        body = json.dumps({"error": {"message": (piece * size)[:size]}})
        spans = []
        for _ in range(5):
            start = time.perf_counter()
            translate(Refusal(400, body))
            spans.append(time.perf_counter() - start)
        return min(spans)

    # Twice the body in a quadratic pattern takes four times as long; 8 and the floor leave room for a busy machine.
    assert taken(64 * 1024) < 8 * taken(32 * 1024) + 0.01


def test_a_hostile_text_is_cleaned_in_time() -> None:
    for piece in HARD.values():
        assert len(clean((piece * 70_000)[:70_000])) <= 300
