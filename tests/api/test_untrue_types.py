"""A provider whose content type says another form than its body has: both ways, nothing is lost."""

import json
from typing import Any

from tests.conftest import RunningApp
from tests.support.raw_client import post
from tests.support.rows import each_row
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event

MESSAGE = {"role": "assistant", "content": "all at once"}
COMPLETION = {
    **{"id": "x", "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]},
    "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
}
WHOLE = {
    "JSON": json.dumps(COMPLETION).encode(),
    "JSON of several lines": json.dumps(COMPLETION, indent=2).encode(),
    "JSON with a mark and a space in front": b"\xef\xbb\xbf\r\n " + json.dumps(COMPLETION).encode(),
    "a list of one": json.dumps([COMPLETION]).encode(),
    "one event": b"data: " + json.dumps(COMPLETION).encode() + b"\n\n" + DONE,
    "a stream": b": ping\n\n" + event("all at ") + event("once", finish_reason="stop") + DONE,
    "a list of chunks": b"[%b,%b]" % (event("all at ")[6:-2], event("once", finish_reason="stop")[6:-2]),
}
TYPES = (
    "application/json",
    "application/problem+json",
    "text/event-stream",
    "text/plain",
    "application/octet-stream",
    None,
)


def text_of(streamed: bytes) -> tuple[str, list[str]]:
    """The words and the finish reasons of a stream."""
    *events, done = streamed.decode().strip().split("\n\n")
    assert done == "data: [DONE]"
    choices = [choice for part in events for choice in json.loads(part.removeprefix("data: "))["choices"]]
    words = [choice["delta"].get("content") or "" for choice in choices]
    return "".join(words), [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


@each_row("kind", TYPES)
@each_row("body", WHOLE.values(), ids=WHOLE)
@each_row("split", [False, True], ids=["at once", "byte by byte"])
def test_a_body_is_read_as_what_it_is(
    stub_app: RunningApp, stub: StubUpstream, body: bytes, kind: str | None, split: bool
) -> None:
    pieces = [bytes([byte]) for byte in body] if split else [body]
    stub.answer = lambda _: Answer(content_type=kind, pieces=pieces)
    question: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
    response = post(stub_app, "/v1/chat/completions", question)
    assert (response.status, response.json["choices"][0]["message"]["content"]) == (200, "all at once")
    response = post(stub_app, "/v1/chat/completions", {**question, "stream": True})
    assert (response.status, text_of(response.body)) == (200, ("all at once", ["stop"]))
    assert post(stub_app, "/api/ai/chat", question).json["reply"] == "all at once"


def test_an_error_in_json_keeps_its_name_where_a_stream_is_announced(stub_app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[b'{"error": {"message": "Rate limited", "code": 429}}'])
    question = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    assert post(stub_app, "/v1/chat/completions", question).code == "upstream_rate_limited"
    stub.answer = lambda _: Answer(pieces=[b'{"choices": '])
    assert post(stub_app, "/v1/chat/completions", question).code == "upstream_invalid_response"
