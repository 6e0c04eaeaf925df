import asyncio
import json
import math
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.types import Message

from hfchat.errors import HfchatError, InvalidRequest, PayloadTooLarge
from hfchat.http.body import read_body, replayed
from hfchat.page.sessions import MAX_PAGE_BODY_BYTES, scope_session, scoped_session_hash
from tests.conftest import KEY, RunningApp, wait_until
from tests.support.raw_client import UNSET, Said, ask, bearer, functions, line_to, post
from tests.support.rows import each_row
from tests.support.stub_upstream import StubUpstream, reply

META = {"_type": "gradio.FileData"}


class Listener:
    """A server that a request could be forged to: it counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.02)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/x.png"
        self.connections = 0

    def quota(self) -> int:
        try:
            self._socket.accept()[0].close()
            self.connections += 1
        except TimeoutError:
            pass
        return self.connections

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def secret_file() -> Iterator[Path]:
    """A file where Gradio would take one from, were it asked to: in the directory for temporary files."""
    with tempfile.NamedTemporaryFile(prefix="hfchat-test-", suffix=".txt") as file:
        file.write(b"swordfish")
        file.flush()
        yield Path(file.name)


def _message(*content: Any) -> list[Any]:
    return [{"role": "user", "metadata": None, "options": None, "content": list(content)}]


def _file(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"path": path, **more}}


def _component(component: str, value: Any) -> dict[str, Any]:
    return {"type": "component", "component": component, "value": value, "constructor_args": {}, "props": {}}


def _deep(value: Any, depth: int) -> Any:
    return _deep({"value": [value]}, depth - 1) if depth else value


# What stands for a file in them: PATH.
FORGERIES: dict[str, Any] = {
    "file": _message(_file("PATH", meta=META)),
    "file without meta": _message(_file("PATH")),
    "file by address": _message(_file("PATH", meta=META, url="PATH")),
    "file as content": _message({"path": "PATH", "meta": META}),
    "file as message": [{"path": "PATH", "meta": META}],
    "file beside text": _message({"type": "text", "text": "hi"}, _file("PATH", meta=META)),
    "file as text": _message({"type": "text", "text": {"path": "PATH", "meta": META}}),
    "file as metadata": [{"role": "user", "content": [], "metadata": {"title": {"path": "PATH", "meta": META}}}],
    "component": _message(_component("image", {"path": "PATH", "meta": META})),
    "component with a value": _message(_component("html", "PATH")),
    "component's arguments": _message({**_component("file", None), "constructor_args": {"value": "PATH"}}),
    "deep": _message(_deep(_file("PATH", meta=META), 3)),
    "very deep": _message(_deep(_file("PATH", meta=META), 100)),
    "files of a message": _message({"type": "text", "text": "x", "files": ["PATH"]}),
    "stream": _message(_file("PATH", meta=META, is_stream=True)),
}
ESCAPES = {
    "plain": lambda text: text,
    "escaped value": lambda text: text.replace("gradio", "\\u0067radio"),
    "escaped names": lambda text: text.replace('"path"', '"\\u0070ath"').replace('"_type"', '"\\u005Ftype"'),
    "spaced": lambda text: text.replace(":", "\n\t : "),
    "name twice": lambda text: text.replace('"path":', '"path": "", "path":'),
}


def _is_refused(response: Said) -> bool:
    return response.status == 400 and response.code == "invalid_request"


@each_row("escape", ESCAPES)
@each_row("forgery", FORGERIES)
def test_a_forged_file_or_component_gives_nothing_away(
    offline_app: RunningApp, listener: Listener, secret_file: Path, forgery: str, escape: str
) -> None:
    number = functions(offline_app)
    for path in ("/proc/self/environ", str(secret_file), listener.url)[: 3 if escape == "plain" else 1]:
        forged = json.loads(json.dumps(FORGERIES[forgery]).replace("PATH", path))
        session = {"session_hash": "abc", "trigger_id": None}
        for target, body in (
            ("run/predict", {"data": [forged], "fn_index": number["_synchronize"], **session}),
            ("run/predict", {"data": [None, forged], "fn_index": number["_append_message_to_history"], **session}),
            ("queue/join", {"data": ["hi", forged], "fn_index": number["chat"], **session}),
            (
                "queue/join",
                {"data": [[]], "fn_index": number["_take_back"], "event_data": {"value": forged}, **session},
            ),
            ("call/chat", {"data": ["hi", forged], "session_hash": "abc"}),
            ("call/chat", {"data": [forged]}),
        ):
            response = post(offline_app, f"/gradio_api/{target}", ESCAPES[escape](json.dumps(body)).encode())
            assert _is_refused(response), (target, path, response)
            assert b"swordfish" not in response.body
            assert b"PATH=" not in response.body
    assert listener.quota() == 0


def test_an_edit_that_names_files_takes_none(offline_app: RunningApp, listener: Listener, secret_file: Path) -> None:
    """The page keeps the value of an edit, and Gradio makes files of what stands under `files` there."""
    number = functions(offline_app)
    for path in (
        "/proc/self/environ",
        str(secret_file),
        listener.url,
        str(Path(__file__).parents[2] / "requirements.txt"),
    ):
        edited = {"index": 0, "previous_value": "y", "value": {"type": "text", "text": "x", "files": [path]}}
        body = {"data": [[]], "fn_index": number["_take_back"], "event_data": edited, "session_hash": "files"}
        assert _is_refused(post(offline_app, "/gradio_api/queue/join", body))
        body = {"data": [None, None], "fn_index": number["_append_message_to_history_1"], "session_hash": "files"}
        response = post(offline_app, "/gradio_api/run/predict", body)
        assert b"path" not in response.body
    assert listener.quota() == 0


SPARE_FIELDS = {
    "batched": {"batched": True},
    "simple_format": {"simple_format": True},
    "oauth_token": {"oauth_token": "x"},
    "request": {"request": {}},
    "batch_trigger_ids": {"batch_trigger_ids": [1]},
}


@pytest.mark.parametrize("field", SPARE_FIELDS.values(), ids=SPARE_FIELDS)
def test_a_field_that_the_page_never_sends_is_refused(offline_app: RunningApp, field: dict[str, Any]) -> None:
    body = {"data": [], "fn_index": functions(offline_app)["account_menu"], **field}
    assert _is_refused(post(offline_app, "/gradio_api/run/predict", body))


TEXTS = {
    "JSON of a file": json.dumps(_file("/proc/self/environ", meta=META)),
    "JSON of a component": json.dumps(_component("image", None)),
    "the marker alone": "gradio.FileData",
    "a quoted marker": '"gradio.FileData"',
    "the name alone": "path",
    "a quoted name": '"path":',
    "a name that ends": 'path":',
    "a backslash": '\\"path":\\',
    "the session": "session_hash",
    "line ends": '{\n  "path": "x",\r\n\t"_type": "y"\u2028}',
    "NUL and controls": "a\x00b\x1bc\x7f",
    "every plane": "ñ 漢 🎉 \u202e ­",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_about_files_is_only_text(offline_app: RunningApp, text: str) -> None:
    number = functions(offline_app)["_synchronize"]
    shown = _message({"type": "text", "text": text})
    for ensure_ascii in (True, False):
        body = {"data": [shown], "fn_index": number, "session_hash": "texts", "event_data": {"index": 0, "value": text}}
        sent = json.dumps(body, ensure_ascii=ensure_ascii).encode()
        assert post(offline_app, "/gradio_api/run/predict", sent).status == 200


def test_a_text_about_files_reaches_the_model_as_it_is(stub_app: RunningApp, stub: StubUpstream) -> None:
    for text in TEXTS.values():
        event_id = post(stub_app, "/gradio_api/call/chat", {"data": [text, [], *UNSET], "session_hash": "abc"}).json[
            "event_id"
        ]
        assert b"event: complete" in ask(stub_app, "GET", f"/gradio_api/call/chat/{event_id}", bearer()).body
    assert [asked["messages"][-1]["content"] for asked in stub.requests] == list(TEXTS.values())


def _events(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n\n") if line]


def test_another_persons_session_hash_reaches_nothing(stub_app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply([f"swordfish{place} " for place in range(30)], pause_s=0.03)
    chat = functions(stub_app)["chat"]
    heard: dict[str, bytes] = {}

    def listen() -> None:
        heard["bob"] = ask(stub_app, "GET", "/gradio_api/queue/data?session_hash=shared", bearer("bob")).body

    joined = post(
        stub_app,
        "/gradio_api/queue/join",
        {"data": ["hi", [], *UNSET], "fn_index": chat, "session_hash": "shared"},
        "bob",
    )
    listening = threading.Thread(target=listen)
    listening.start()
    wait_until(lambda: stub.in_progress == 1)
    got = [
        ask(stub_app, "GET", f"/gradio_api/{path}", bearer("alice")).body
        for path in (
            "queue/data?session_hash=shared",
            "queue/data?session_hash=other&session_hash=shared",
            "queue/data?session%5fhash=shared",
            "call/chat/shared",
            f"call/chat/{scoped_session_hash(b'', 'bob', 'shared')}",
            f"call/chat/{scoped_session_hash(b'', 'bob', 'shared')[:32]}",
            "stream/shared/1/1/playlist.m3u8",
        )
    ]
    assert b"swordfish" not in b"".join(got)
    assert [event["msg"] for event in _events(got[0])] == ["unexpected_error"]
    with line_to(stub_app) as line:
        assert line.begin("GET", "/gradio_api/heartbeat/shared", bearer("alice")).status == 200
    cancelled = {"session_hash": "shared", "fn_index": chat, "event_id": "x"}
    assert post(stub_app, "/gradio_api/cancel", cancelled).status == 200
    assert post(stub_app, "/gradio_api/reset", {"event_id": joined.json["event_id"]}).status == 200
    for path in (
        f"stream/{joined.json['event_id']}",
        f"stream/{joined.json['event_id']}/close",
        "component_server",
        "upload",
    ):
        assert post(stub_app, f"/gradio_api/{path}", {"session_hash": "shared", "data": []}).status == 404
    listening.join(10)
    events = _events(heard["bob"])
    assert [event["msg"] for event in events][-2:] == ["process_completed", "close_stream"]
    assert "swordfish29" in json.dumps(events[-2])
    assert stub.left_early == 0


def test_the_page_stops_its_own_reply(stub_app: RunningApp, stub: StubUpstream) -> None:
    """That the attempts above fail says something only because this one does not."""
    stub.answer = lambda _: reply(["word "] * 200, pause_s=0.05)
    chat = functions(stub_app)["chat"]
    joined = post(
        stub_app, "/gradio_api/queue/join", {"data": ["hi", [], *UNSET], "fn_index": chat, "session_hash": "own"}, "bob"
    )
    wait_until(lambda: stub.in_progress == 1)
    cancelled = {"session_hash": "own", "fn_index": chat, "event_id": joined.json["event_id"]}
    assert post(stub_app, "/gradio_api/cancel", cancelled, "bob").status == 200
    wait_until(lambda: stub.in_progress == 0)
    assert stub.left_early == 1


def test_what_a_session_keeps_is_its_persons_own(offline_app: RunningApp) -> None:
    number = functions(offline_app)
    saves = {"data": ["swordfish"], "fn_index": number["_clear_and_save_textbox"], "session_hash": "kept"}
    shows = {"data": [None, []], "fn_index": number["_append_message_to_history"], "session_hash": "kept"}
    assert post(offline_app, "/gradio_api/run/predict", saves, "bob").status == 200
    assert b"swordfish" not in post(offline_app, "/gradio_api/run/predict", shows, "alice").body
    assert b"swordfish" in post(offline_app, "/gradio_api/run/predict", shows, "bob").body


def test_what_a_session_keeps_is_not_for_another_issuers_person_of_the_same_name(offline_app: RunningApp) -> None:
    number = functions(offline_app)
    saves = {"data": ["swordfish"], "fn_index": number["_clear_and_save_textbox"], "session_hash": "kept"}
    shows = {"data": [None, []], "fn_index": number["_append_message_to_history"], "session_hash": "kept"}
    theirs = jwt.encode({"sub": "bob", "iss": "https://id.example", "exp": time.time() + 60}, KEY, algorithm="HS256")
    headers = {"Authorization": f"Bearer {theirs}", "Content-Type": "application/json"}
    assert post(offline_app, "/gradio_api/run/predict", saves, "bob").status == 200
    response = ask(offline_app, "POST", "/gradio_api/run/predict", headers, json.dumps(shows).encode())
    assert (response.status == 401, b"swordfish" in response.body) == (False, False)
    assert b"swordfish" in post(offline_app, "/gradio_api/run/predict", shows, "bob").body


ODD_HASHES: dict[str, Any] = {
    "empty": "",
    "number": 1,
    "true": True,
    "list": ["abc"],
    "object": {"value": "abc"},
    "NUL": "a\0b",
    "slash": "a/b",
    "too long": "a" * 65,
    "not ASCII": "ñ",
    "digits of another script": "١٢٣",
    "line end": "abc\n",
    "half a surrogate pair": "\ud83d",
}


@each_row("session_hash", ODD_HASHES.values(), ids=ODD_HASHES)
@each_row("path", ["run/predict", "queue/join", "cancel", "call/chat", "reset"])
def test_a_session_hash_of_another_form_is_refused(offline_app: RunningApp, path: str, session_hash: Any) -> None:
    response = post(offline_app, f"/gradio_api/{path}", {"data": [], "fn_index": 0, "session_hash": session_hash})
    assert _is_refused(response)
    assert response.json["error"]["param"] == "session_hash"


@each_row("value", ["", "a%00b", "%C3%B1", "a" * 65, "a%20b", "a%0A"])
def test_a_session_hash_of_another_form_in_an_address_is_refused(offline_app: RunningApp, value: str) -> None:
    assert _is_refused(ask(offline_app, "GET", f"/gradio_api/queue/data?session_hash={value}", bearer()))
    assert ask(offline_app, "GET", f"/gradio_api/heartbeat/{value}", bearer()).status in (400, 404)


def test_a_session_is_worked_out_by_nobody_without_the_key() -> None:
    own = scoped_session_hash(b"key", "alice", "abc")
    assert own == scoped_session_hash(b"key", "alice", "abc")
    others = {
        scoped_session_hash(b"another", "alice", "abc"),
        scoped_session_hash(b"key", "bob", "abc"),
        scoped_session_hash(b"key", "alice", "abd"),
    }
    assert len({own, *others}) == 4
    # An event's id has 32 characters, and what is asked for under `call/` must have.
    assert len(own) != 32


BROKEN_BODIES = {
    "empty": b"",
    "not JSON": b"swordfish",
    "cut": b'{"data":[',
    "two": b"{}{}",
    "list": b"[]",
    "text": b'"x"',
    "null": b"null",
    "NaN": b'{"data":[NaN]}',
    "Infinity": b'{"data":[1e999]}',
    "not UTF-8": b'{"data":["\xff"]}',
    "endless number": b'{"data":[' + b"1" * 5000 + b"]}",
    "many lists": b"[" * 100_000,
    "many objects": b'{"data":' * 100_000,
    "closed depth bomb": b'{"data":' + b"[" * 900 + b"]" * 900 + b"}",
    "deeper than any page": b'{"data":' + b"[" * 12 + b"]" * 12 + b"}",
    "form": b"data=1&session_hash=abc",
    "multipart": b'--x\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\nx\r\n--x--\r\n',
}


@each_row("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@each_row("path", ["run/predict", "queue/join", "call/chat", "cancel", "reset"])
def test_a_body_that_is_not_the_pages_is_refused(offline_app: RunningApp, path: str, body: bytes) -> None:
    response = post(offline_app, f"/gradio_api/{path}", body)
    assert _is_refused(response)
    assert b"swordfish" not in response.body


def test_a_body_is_taken_up_to_its_limit(offline_app: RunningApp) -> None:
    frame = len(b'{"event_id":""}')
    for size, status in ((MAX_PAGE_BODY_BYTES, 200), (MAX_PAGE_BODY_BYTES + 1, 413)):
        assert post(offline_app, "/gradio_api/reset", b'{"event_id":"%s"}' % (b"a" * (size - frame))).status == status


async def received(scope: dict[str, Any], body: bytes, subject: str = "alice") -> Any:
    """What Gradio receives of a body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    scope["query_string"] = b""
    message = await (await scope_session(scope, receive, subject, b"key"))()
    assert message["more_body"] is False
    return json.loads(message["body"])


@pytest.mark.anyio
async def test_a_body_is_passed_on_with_only_its_session_another() -> None:
    headers = [(b"content-length", b"1"), (b"session_hash", b"x"), (b"accept", b"*/*")]
    scope = {"method": "POST", "path": "/gradio_api/queue/join", "headers": headers}
    sent = {"data": ["ñ", 1, 2.5, None, True, {"text": "\u2028"}], "session_hash": "abc", "fn_index": 3}
    got = await received(scope, json.dumps(sent).encode("utf-16"))
    assert got == {**sent, "session_hash": scoped_session_hash(b"key", "alice", "abc")}
    length = len(json.dumps(got, separators=(",", ":"), ensure_ascii=False).encode())
    assert scope["headers"] == [(b"accept", b"*/*"), (b"content-length", str(length).encode())]


@pytest.mark.anyio
async def test_a_text_that_was_cut_within_a_letter_passes() -> None:
    scope = {"method": "POST", "path": "/gradio_api/queue/join", "headers": []}
    assert await received(scope, b'{"data":["a\\ud83d"]}') == {"data": ["a\ufffd"]}


@pytest.mark.anyio
async def test_the_session_in_an_address_becomes_the_persons_own() -> None:
    async def receive() -> Message:
        raise AssertionError("a GET has no body")

    own = scoped_session_hash(b"key", "alice", "abc")
    scope: dict[str, Any] = {
        "method": "GET",
        "path": "/gradio_api/heartbeat/abc",
        "query_string": b"a=%26&session_hash=abc&b=",
    }
    assert await scope_session(scope, receive, "alice", b"key") is receive
    assert (scope["path"], scope["raw_path"]) == (
        f"/gradio_api/heartbeat/{own}",
        f"/gradio_api/heartbeat/{own}".encode(),
    )
    assert scope["query_string"] == f"a=%26&session_hash={own}&b=".encode()


def _pieces(*pieces: bytes, ending: Message | None = None) -> Any:
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append(ending or {"type": "http.request", "body": b"", "more_body": False})
    remaining = iter(messages)

    async def receive() -> Message:
        return next(remaining)

    return receive


@pytest.mark.anyio
async def test_a_body_is_read_whole_however_it_comes() -> None:
    assert await read_body(_pieces(b"abc"), 3) == b"abc"
    assert await read_body(_pieces(b"a", b"", b"bc"), 3) == b"abc"
    assert await read_body(_pieces(), 3) == b""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pieces", "refusal"),
    [
        (_pieces(b"abcd"), PayloadTooLarge),
        (_pieces(b"ab", b"cd"), PayloadTooLarge),
        (_pieces(b"a", ending={"type": "http.disconnect"}), InvalidRequest),
    ],
    ids=["at once", "in pieces", "the caller leaves"],
)
async def test_a_body_is_refused(pieces: Any, refusal: type[HfchatError]) -> None:
    with pytest.raises(refusal):
        await read_body(pieces, 3)


@pytest.mark.anyio
async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    async def never() -> Message:
        await asyncio.sleep(math.inf)
        raise AssertionError

    with pytest.raises(InvalidRequest):
        await read_body(never, 3, timeout_s=0.01)


@pytest.mark.anyio
async def test_a_replayed_body_comes_once_and_then_what_the_connection_says() -> None:
    receive = replayed(b"abc", _pieces(ending={"type": "http.disconnect"}))
    assert await receive() == {"type": "http.request", "body": b"abc", "more_body": False}
    assert await receive() == {"type": "http.disconnect"}
