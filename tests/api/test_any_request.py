"""Any request: it is answered in order and never with a 500, a GET changes nothing, and all that goes on is counted."""

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hfchat.api.message_fields import MESSAGE_FIELDS, PARTS
from hfchat.api.openai_body import read_completion
from hfchat.api.request_fields import FIELDS
from hfchat.chat.chat import authorize
from hfchat.chat.token_count import max_prompt_tokens
from hfchat.errors import HfchatError
from hfchat.http.media import is_picture
from hfchat.types import Caller, Policy
from hfchat.upstream.request_body import MAX_TOKENS_NAMES, call_body
from tests.conftest import RunningApp, make_token
from tests.support.raw_client import ask, bearer
from tests.support.stub_upstream import StubUpstream, reply

ONE_APP = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
CALLER = Caller("alice", "j1", 2**40, Policy("a/b", None, max_tokens=50))
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="
WORDS = st.sampled_from(
    ["user", "text", "image_url", "function", "json_schema", "auto", "low", PICTURE, "https://a.example/b"]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats(allow_nan=False) | st.text(max_size=8) | WORDS
NAMES = st.sampled_from(
    sorted({"type", "url", "text", "effort", "budget_tokens", "name", *MAX_TOKENS_NAMES})
) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(PARTS)) | SCALARS},
    optional=dict.fromkeys(("text", "refusal", "thinking", "image_url", "detail", "annotations", "x"), WORDS | VALUES),
)
CONTENT = st.text(max_size=20) | st.lists(PART | SCALARS, max_size=3) | VALUES
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]) | SCALARS, "content": CONTENT},
    optional=dict.fromkeys([*sorted(MESSAGE_FIELDS.keys() - {"role", "content"}), "x"], VALUES),
)
OPTION = st.tuples(st.sampled_from([*sorted(FIELDS), *MAX_TOKENS_NAMES, "x"]), VALUES)
BODIES = st.builds(
    lambda options, fields: {**dict(options), **fields},
    st.lists(OPTION, max_size=4),
    st.fixed_dictionaries(
        {"messages": st.lists(MESSAGE, min_size=1, max_size=3)}, optional={"stream": st.booleans(), "model": SCALARS}
    ),
)
# Such as pass, so that something is sent.
GOOD_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=30) | st.none()},
    optional={
        "tool_calls": st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3), max_size=2),
        "name": st.text(max_size=9),
    },
)
GOOD_BODIES = st.builds(
    lambda messages, tools, fields: {"messages": messages, "metadata": tools, **dict(fields)},
    st.lists(GOOD_MESSAGE, min_size=1, max_size=3),
    VALUES,
    st.lists(st.tuples(st.sampled_from(["max_tokens", "n", "n_predict"]), st.integers(1, 60)), max_size=2),
)


def letters(value: Any) -> int:
    """Bytes of all that a template could write of it: every text, name and number."""
    if isinstance(value, dict):
        return sum(letters(name) + letters(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(letters, value))
    if isinstance(value, str):
        return 0 if is_picture(value) else len(value.encode(errors="replace"))
    return 0 if value is None else len(json.dumps(value))


@given(BODIES | GOOD_BODIES)
@example(
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "annotations": [{"b": "\u0958" * 9}]}]}]}
)
@example({"messages": [{"role": "user", "content": None, "tool_calls": [{"x" * 40: 2**62}]}], "n": 3.0})
def test_all_that_is_sent_is_counted(body: dict[str, Any]) -> None:
    try:
        call = authorize(CALLER, read_completion(json.dumps(body).encode()), "the owner's words")
    except HfchatError:
        return
    sent = json.loads(call_body(call, ask_usage=True))
    ours = {"model", "stream", "stream_options", "max_tokens"}
    prompt = {name: value for name, value in sent.items() if name not in ours}
    assert letters(prompt) <= max_prompt_tokens(call.messages, call.options)
    assert sent["messages"][0]["content"].startswith("the owner's words")
    assert [message["role"] for message in sent["messages"]].count("system") == 1
    assert any(isinstance(sent.get(name), int) for name in ("max_tokens", "max_completion_tokens"))
    assert all(sent[name] <= call.max_tokens <= 50 for name in MAX_TOKENS_NAMES if sent.get(name) is not None)
    assert (sent.get("n") or 1) == call.replies


def is_in_our_form(said: Any) -> bool:
    if said.status == 200:
        return True
    return 400 <= said.status < 500 and bool(said.json["error"]["message"]) and "request_id" in said.json["error"]


@pytest.mark.parametrize("door", ["/v1/chat/completions", "/api/ai/chat"])
def test_any_body_is_answered_in_order(stub_app: RunningApp, stub: StubUpstream, door: str) -> None:
    stub.answer = lambda _: reply(["hi"])

    @ONE_APP
    @given(
        (BODIES | GOOD_BODIES | VALUES).map(lambda body: json.dumps(body).encode()) | st.binary(max_size=60),
        st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
    )
    def check(body: bytes, key: str | None) -> None:
        headers = {**bearer("any"), **({} if key is None else {"Idempotency-Key": key})}
        assert is_in_our_form(ask(stub_app, "POST", door, headers, body))

    check()


def origins(app: RunningApp) -> st.SearchStrategy[str]:
    return st.sampled_from([app.url, "null", "https://evil.example", app.url + "0", ""]) | st.text(
        st.characters(min_codepoint=33, max_codepoint=126), max_size=9
    )


def test_any_visit_to_the_sign_in_is_answered_in_order(offline_app: RunningApp) -> None:
    token = make_token("visitor")
    fetched = {
        "Sec-Fetch-Site": ["same-origin", "none", "cross-site", "same-site", "x"],
        "Sec-Fetch-Dest": ["document", "iframe", "image", "empty", "script", ""],
        "Sec-Fetch-Mode": ["navigate", "no-cors", "cors"],
        "Cookie": [f"hfchat_session={token}", f"hfchat_session={token}; hfchat_session=x", "hfchat_session=", "=;=,"],
        "Accept-Language": ["es", "en;q=x", "\x7f"],
    }
    said_in = {name: st.sampled_from(values) for name, values in fetched.items()}
    tokens = st.sampled_from([token, f"{token}x", "", "a.b.c", "%00", "%ff%fe", "+"]) | st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=20
    )

    @settings(max_examples=150)
    @given(
        st.sampled_from(["GET", "POST", "HEAD"]),
        st.sampled_from(["/login", "/logout"]),
        st.fixed_dictionaries({}, optional={**said_in, "Origin": origins(offline_app)}),
        st.sampled_from(["token", "why", "detail", "x"]),
        tokens,
    )
    def check(method: str, path: str, headers: dict[str, str], name: str, value: str) -> None:
        form = f"{name}={value}"
        target, body = (path, form.encode()) if method == "POST" else (f"{path}?{form}", b"")
        response = ask(offline_app, method, target, headers, body)
        assert response.status < 500
        own = headers.get("Origin", offline_app.url) == offline_app.url
        own = own and headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
        changed = "set-cookie" in response.headers
        assert not changed or (method == "POST" and own)
        if method == "POST" and path == "/login" and own and changed:
            assert value == token
        if response.status >= 400 and response.headers["content-type"] == "application/json" and method != "HEAD":
            assert response.code

    check()


def test_any_bytes_are_answered_or_cut_off(offline_app: RunningApp) -> None:
    starts = [
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /api/ai/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    heads = st.sampled_from(
        [b"", *starts, b"GET /login HTTP/1.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01"]
    )
    pieces = st.sampled_from(
        [b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"Content-Length: 3\r\n", b"Upgrade: x\r\n", b":"]
    )

    @settings(max_examples=100)
    @given(heads, st.lists(pieces | st.binary(max_size=20), max_size=6))
    def check(head: bytes, more: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", offline_app.port), timeout=20) as line:
            line.sendall(head + b"".join(more))
            line.shutdown(socket.SHUT_WR)
            said = b""
            while piece := line.recv(65536):
                said += piece
        assert not said or said.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
        assert b"HTTP/1.1 5" not in said
        assert ask(offline_app, "GET", "/healthz").status == 200

    check()
