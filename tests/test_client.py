"""The Python client, against running servers."""

import math
import socket
import traceback
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from hfchat.client import send_chat_message
from hfchat.errors import (
    HfchatError,
    InvalidRequest,
    InvalidToken,
    UpstreamInvalidResponse,
    UpstreamTimeout,
    UpstreamUnavailable,
    catalogue,
)
from hfchat.http.error_response import say
from hfchat.types import Call, Delta, Finish
from tests.conftest import RunningApp, free_port, make_settings, make_token, running
from tests.support.rows import each_row
from tests.support.stub_upstream import Answer, StubUpstream

HELLO = [{"role": "user", "content": "Hello"}]


def hello(model: str = "a/b") -> dict[str, Any]:
    return {"messages": HELLO, "model": model}


class Failing:
    """Raises the error that the question names."""

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        if code := call.messages[-1].content:
            raise catalogue()[code]("at_most", params={"value": 2}, model=call.model, retry_after_s=7)
        yield Delta()

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def failing_app() -> Iterator[RunningApp]:
    with running(make_settings(), Failing()) as app:
        yield app


def test_a_reply_is_a_text(offline_app: RunningApp) -> None:
    reply = send_chat_message(make_token(), HELLO, base_url=offline_app.url)
    assert "> Hello\n" in reply
    assert "offline stand-in" in reply


@pytest.mark.whole
def test_the_conversation_may_be_any_iterable_and_the_address_may_end_in_a_slash(offline_app: RunningApp) -> None:
    messages = iter([*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Why?"}])
    assert "“Hello”" in send_chat_message(f" {make_token()}\n", messages, base_url=f"{offline_app.url}/")


def test_what_is_asked_for_is_sent_and_no_more(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(content_type="application/json", pieces=[b'{"reply": "ok"}'])
    url = f"http://127.0.0.1:{stub.port}"
    assert send_chat_message("t0", HELLO, base_url=url) == "ok"
    send_chat_message("t1", HELLO, base_url=url, model="a/b", max_tokens=5, temperature=0, top_p=0.5)
    assert stub.paths == ["/api/ai/chat"] * 2
    assert [headers["authorization"] for headers in stub.headers] == ["Bearer t0", "Bearer t1"]
    assert stub.requests == [
        {"messages": HELLO},
        {"messages": HELLO, "model": "a/b", "max_tokens": 5, "temperature": 0, "top_p": 0.5},
    ]


@each_row("code", catalogue())
def test_the_error_that_the_server_means_is_raised(code: str, failing_app: RunningApp) -> None:
    kind = catalogue()[code]
    with pytest.raises(kind) as raised:
        send_chat_message(make_token(), [{"role": "user", "content": code}], base_url=failing_app.url)
    error = raised.value
    assert type(error) is kind
    meant = kind("at_most", params={"value": 2}, model=make_settings().hf_chat_model, retry_after_s=7)
    assert (error.message, error.hint) == say(meant, "en")
    assert str(error) == error.message
    assert (error.retry_after_s, error.fault, error.param) == (7, kind.fault, None)
    assert len(error.request_id or "") == 16


def test_a_place_in_the_request_is_named(offline_app: RunningApp) -> None:
    with pytest.raises(InvalidRequest) as raised:
        send_chat_message(make_token(), [*HELLO, {"role": "user", "content": " "}], base_url=offline_app.url)
    assert raised.value.param == "messages[1].content"
    assert raised.value.message.endswith("`messages[1].content`: the content is empty.")
    assert raised.value.hint


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "expired": (make_token(now=1000), {}, "expired_token"),
    "no token": ("abc", {}, "invalid_token"),
    "empty token": ("", {}, "missing_token"),
    "scope": (make_token(scopes=("admin",)), {}, "insufficient_scope"),
    "model": (make_token(), {"model": "not/offered"}, "model_not_allowed"),
    "temperature": (make_token(), {"temperature": 9}, "invalid_request"),
    "nothing": (make_token(), {"messages": []}, "invalid_request"),
    "large": (make_token(), {"messages": [{"role": "user", "content": "a" * (1 << 20)}]}, "payload_too_large"),
}


@pytest.mark.parametrize(("token", "body", "code"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_raised(token: str, body: dict[str, Any], code: str, offline_app: RunningApp) -> None:
    with pytest.raises(HfchatError) as raised:
        send_chat_message(token, **{"messages": HELLO, "base_url": offline_app.url, **body})
    assert raised.value.code == code
    assert raised.value.fault == "caller"
    assert raised.value.message
    assert raised.value.request_id


NOT_HFCHAT: dict[str, tuple[int, str, bytes]] = {
    "HTML": (200, "text/html", b"<html>Welcome</html>"),
    "HTML, 404": (404, "text/html", b"<html>nginx</html>"),
    "empty": (200, "application/json", b""),
    "no content": (500, "text/plain", b"Internal Server Error"),
    "a list": (200, "application/json", b'["reply"]'),
    "a text": (200, "application/json", b'"reply"'),
    "reply no text": (200, "application/json", b'{"reply": 5}'),
    "FastAPI's error": (422, "application/json", b'{"detail": [{"msg": "x"}]}'),
    "error a text": (404, "application/json", b'{"error": "model not found"}'),
    "OpenAI's error": (
        401,
        "application/json",
        b'{"error": {"message": "no", "type": "x", "code": "invalid_api_key"}}',
    ),
    "a strange fault": (400, "application/json", b'{"error": {"code": "invalid_token", "fault": ["caller"]}}'),
    "no UTF-8": (200, "application/json", b'{"reply": "\xff\xfe"}'),
    "nested deep": (200, "application/json", b"[" * 100_000),
    "a stream": (200, "text/event-stream", b'data: {"delta": "x"}\n\n'),
}


@pytest.mark.parametrize(("status", "content_type", "body"), NOT_HFCHAT.values(), ids=NOT_HFCHAT)
def test_what_answers_and_is_not_hfchat_is_told(
    status: int, content_type: str, body: bytes, stub: StubUpstream
) -> None:
    stub.answer = lambda _: Answer(status, content_type, pieces=[body] if body else [])
    with pytest.raises(UpstreamInvalidResponse) as raised:
        send_chat_message("t", **hello(), base_url=f"http://127.0.0.1:{stub.port}")
    assert str(raised.value) == f"What answers there (HTTP {status}) is not hfchat."


def test_a_redirect_is_not_followed_with_the_token(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(307, None, {"location": f"http://127.0.0.1:{stub.port}/elsewhere"})
    with pytest.raises(UpstreamInvalidResponse):
        send_chat_message("t", **hello(), base_url=f"http://127.0.0.1:{stub.port}")
    assert stub.paths == ["/api/ai/chat"]


def test_an_error_that_this_version_does_not_know_is_still_an_error(stub: StubUpstream) -> None:
    body = b'{"error": {"code": "teapot", "message": "Short and stout.", "hint": "Pour.", "fault": "upstream"}}'
    stub.answer = lambda _: Answer(418, "application/json", pieces=[body])
    with pytest.raises(HfchatError, match=r"Short and stout\.") as raised:
        send_chat_message("t", **hello(), base_url=f"http://127.0.0.1:{stub.port}")
    assert (type(raised.value), raised.value.hint, raised.value.fault) == (HfchatError, "Pour.", "upstream")


@pytest.mark.parametrize("ending", ["cut", "hang"])
def test_a_reply_that_does_not_end_is_no_reply(ending: str, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(content_type="application/json", pieces=[b'{"reply":'], ending=ending)
    kind = UpstreamUnavailable if ending == "cut" else UpstreamTimeout
    with pytest.raises(kind):
        send_chat_message("t", **hello(), base_url=f"http://127.0.0.1:{stub.port}", timeout_s=0.1)


def test_a_server_that_says_nothing_is_not_waited_for_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UpstreamTimeout) as raised:
            send_chat_message("t", **hello(), base_url=url, timeout_s=0.05)
    assert str(raised.value) == f"{url} did not answer in 0.05 seconds."
    assert raised.value.retryable


NO_ADDRESSES = ["nowhere", "http://", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:x"]


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_an_address_that_is_none_cannot_be_reached(url: str) -> None:
    with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
        send_chat_message("t", **hello(), base_url=url)


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UpstreamUnavailable) as raised:
        send_chat_message("t", **hello(), base_url=url)
    assert str(raised.value) == f"{url} cannot be reached (ConnectError)."


@pytest.mark.parametrize(
    "token", ["Zq8é", "Zq8\nX-Admin: 1", "Zq8\x00", "Zq8\ud800"], ids=["é", "LF", "NUL", "surrogate"]
)
def test_a_token_that_no_header_can_carry_is_refused_unseen(token: str, offline_app: RunningApp) -> None:
    with pytest.raises(InvalidToken) as raised:
        send_chat_message(token, **hello(), base_url=offline_app.url)
    assert "Zq8" not in "".join(traceback.format_exception_only(raised.value))


UNWRITABLE: list[tuple[str, dict[str, Any]]] = [
    ("NaN", {"temperature": math.nan}),
    ("bytes", {"messages": [{"role": "user", "content": b"Zq8"}]}),
]


@pytest.mark.parametrize("asked", [asked for _, asked in UNWRITABLE], ids=[name for name, _ in UNWRITABLE])
def test_what_cannot_be_written_is_an_invalid_request(asked: dict[str, Any], offline_app: RunningApp) -> None:
    with pytest.raises(InvalidRequest) as raised:
        send_chat_message(make_token(), **{**hello(), "base_url": offline_app.url, **asked})
    assert "Zq8" not in str(raised.value)


def test_a_text_that_was_cut_inside_an_emoji_is_sent(stub_app: RunningApp) -> None:
    messages = [{"role": "user", "content": "cut \ud83d"}]
    assert send_chat_message(make_token(), messages, base_url=stub_app.url) == "cut \ufffd "
