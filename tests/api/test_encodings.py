"""Bodies as clients encode them, at both doors: what is understood arrives at the model, what is not is named."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import RunningApp, make_settings, running
from tests.support.raw_client import UNSET, Said, ask, bearer, line_to
from tests.support.rows import each_row
from tests.support.stub_upstream import StubUpstream

DOORS = ["/api/ai/chat", "/v1/chat/completions"]
TEXT = '{"messages": [{"role": "user", "content": "¿Qué?"}]}'


@pytest.fixture(scope="module")
def upstream() -> Iterator[StubUpstream]:
    with StubUpstream() as stub:
        yield stub


@pytest.fixture(scope="module")
def app(upstream: StubUpstream) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_BASE_URL=upstream.base_url)) as served:
        yield served


def send(app: RunningApp, door: str, body: bytes, **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(app, "POST", door, {**bearer(), "Accept-Language": "en", **named}, body)


def conversation(*contents: str) -> bytes:
    """Messages with these contents, as they stand in JSON."""
    roles = ("user", "assistant")
    messages = (f'{{"role": "{roles[place % 2]}", "content": "{text}"}}' for place, text in enumerate(contents))
    return f'{{"messages": [{", ".join(messages)}]}}'.encode()


UNDERSTOOD: dict[str, tuple[bytes, list[str]]] = {
    "half an emoji": (conversation(r"cut \ud83d"), ["cut \ufffd"]),
    "the other half": (conversation(r"\ude00 cut"), ["\ufffd cut"]),
    "in a history": (conversation(r"a \ud83d", r"b \ud83d", "c"), ["a \ufffd", "b \ufffd", "c"]),
    "beside a whole one": (conversation(r"\ud83d\ude00 \ud83d"), ["\U0001f600 \ufffd"]),
    "a backslash and letters": (conversation(r"\\ud83d"), [r"\ud83d"]),
    "both": (conversation(r"\\ud83d \ud83d"), ["\\ud83d \ufffd"]),
    "a byte order mark": (b"\xef\xbb\xbf" + conversation("hi"), ["hi"]),
    "a mark and half an emoji": (b"\xef\xbb\xbf" + conversation(r"\ud83d"), ["\ufffd"]),
    "large": (conversation("a" * 200_000 + r"\ud83d"), ["a" * 200_000 + "\ufffd"]),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("body", "contents"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_a_text_that_was_cut_is_understood(
    app: RunningApp, upstream: StubUpstream, door: str, body: bytes, contents: list[str]
) -> None:
    assert send(app, door, body).status == 200
    assert [message["content"] for message in upstream.requests[-1]["messages"]] == contents


def test_also_in_any_other_field_of_openais_form(app: RunningApp, upstream: StubUpstream) -> None:
    schema = r'{"type": "object", "properties": {"a\ud83d": {"description": "\ude00"}}}'
    tools = f'[{{"type": "function", "function": {{"name": "f", "parameters": {schema}}}}}]'
    body = f'{{"messages": [{{"role": "user", "content": "hi"}}], "tools": {tools}, "user": "u\\ud83d"}}'.encode()
    assert send(app, DOORS[1], body).status == 200
    sent = upstream.requests[-1]
    assert sent["tools"][0]["function"]["parameters"]["properties"] == {"a\ufffd": {"description": "\ufffd"}}


@pytest.mark.parametrize("door", DOORS)
def test_an_unknown_field_is_named_also_where_it_was_cut(app: RunningApp, door: str) -> None:
    response = send(app, door, conversation("hi")[:-1] + rb', "x\ud83d": 1}')
    assert (response.status, response.json["error"]["param"]) == (400, "x\ufffd")


ZIPPED = gzip.compress(TEXT.encode())
# The body, its headers, and what the error names.
NAMED: dict[str, tuple[bytes, dict[str, str], str]] = {
    "gzip": (ZIPPED, {"Content_Encoding": "gzip"}, "gzip"),
    "gzip in upper case": (ZIPPED, {"Content_Encoding": "GZIP"}, "gzip"),
    "gzip that is none": (TEXT.encode(), {"Content_Encoding": "gzip"}, "gzip"),
    "gzip unsaid": (ZIPPED, {}, "gzip"),
    "deflate": (zlib.compress(TEXT.encode()), {"Content_Encoding": "deflate"}, "deflate"),
    "zstd": (b"\x28\xb5\x2f\xfd", {"Content_Encoding": "zstd"}, "zstd"),
    "br": (b"\x0b\x02\x80", {"Content_Encoding": "br"}, "br"),
    "two": (ZIPPED, {"Content_Encoding": "identity, br"}, "br"),
    "unknown": (TEXT.encode(), {"Content_Encoding": "x" * 5000}, "x" * 40),
    "Latin-1": (TEXT.encode("latin-1"), {"Content_Type": "application/json; charset=iso-8859-1"}, "Latin-1"),
    "UTF-16": (TEXT.encode("utf-16"), {"Content_Type": "application/json; charset=utf-16"}, "UTF-16"),
    "UTF-16 unmarked": (TEXT.encode("utf-16-le"), {}, "UTF-16-LE"),
    "UTF-32": (TEXT.encode("utf-32-be"), {}, "UTF-32-BE"),
}


@each_row("door", [*DOORS, "/api/ai/revoke"])
@each_row(("body", "headers", "name"), NAMED.values(), ids=NAMED)
def test_an_encoding_that_is_not_read_is_named(
    app: RunningApp, door: str, body: bytes, headers: dict[str, str], name: str
) -> None:
    response = ask(
        app,
        "POST",
        door,
        {
            **bearer(scopes=("chat", "admin")),
            "Accept-Language": "en",
            **{key.replace("_", "-"): value for key, value in headers.items()},
        },
        body,
    )
    error: dict[str, Any] = response.json["error"]
    assert (response.status, error["code"], error["fault"]) == (415, "unsupported_encoding", "caller")
    assert name in error["message"]
    assert "UTF-8, and not compressed" in error["hint"]
    assert response.headers["Accept-Encoding"] == "identity"
    assert response.headers["X-Should-Retry"] == "false"


def test_a_coding_in_transfer_is_named(app: RunningApp) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ZIPPED), ZIPPED)
    with line_to(app) as line:
        headers = {**bearer(), "Transfer-Encoding": "gzip, chunked"}
        response = line.begin("POST", DOORS[0], headers, chunks, length=False)
        assert response.status == 415
        assert b"gzip" in response.read()


@pytest.mark.parametrize("coding", ["identity", "utf-8", "", "UTF8"])
def test_a_body_that_is_not_coded_is_read(app: RunningApp, coding: str) -> None:
    assert send(app, DOORS[0], TEXT.encode(), Content_Encoding=coding).status == 200


def test_a_compressed_body_is_refused_before_it_is_sent(app: RunningApp) -> None:
    headers = {**bearer(), "Content-Encoding": "gzip", "Content-Length": "1000000"}
    assert ask(app, "POST", DOORS[0], headers).status == 415


def test_who_is_calling_is_asked_first(app: RunningApp) -> None:
    response = ask(app, "POST", DOORS[0], {"Content-Encoding": "gzip"}, ZIPPED)
    assert (response.status, response.code) == (401, "missing_token")


def test_the_page_understands_a_text_that_was_cut(app: RunningApp, upstream: StubUpstream) -> None:
    body = json.dumps({"data": ["cut \ud83d", *UNSET]}).encode()
    headers = {**bearer(), "Content-Type": "application/json"}
    event_id = ask(app, "POST", "/gradio_api/call/chat", headers, body).json["event_id"]
    response = ask(app, "GET", f"/gradio_api/call/chat/{event_id}", bearer())
    assert b"event: complete" in response.body
    assert upstream.requests[-1]["messages"][-1]["content"] == "cut \ufffd"
