"""The hub client against a stub on the wire: what is read, what is refused, what is given back."""

import asyncio
import gc
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hfchat import errors as e
from hfchat.types import Call, Delta, Finish, Message, Usage
from hfchat.upstream.hub import HubUpstream
from hfchat.upstream.reply import Reply
from hfchat.upstream.sse import ServerSentEvent
from tests.conftest import free_port, wait_until
from tests.support.rows import each_row
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, reply, usage_event

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parents[1] / "data"
CASES = json.loads((DATA / "upstream_failures.json").read_text("utf-8"))
CALL = Call("org/model", (Message("system", "be brief"), Message("user", "hello")), 64, 0.5, 0.9)
WHOLE = [event("Hel"), event("lo"), event(finish_reason="stop"), usage_event(3, 2), DONE]


@pytest.fixture
def stub() -> Iterator[StubUpstream]:
    """One that nobody else has a connection to."""
    with StubUpstream() as upstream:
        yield upstream


@asynccontextmanager
async def hub(stub: StubUpstream, **more: Any) -> AsyncIterator[HubUpstream]:
    upstream = HubUpstream(**{"hf_token": "hf_test", "base_url": stub.base_url, "timeout_s": 30, **more})
    try:
        yield upstream
    finally:
        await upstream.close()


async def read(upstream: HubUpstream, call: Call = CALL) -> tuple[str, Finish]:
    text = ""
    async with aclosing(upstream.stream(call)) as parts:
        async for part in parts:
            if isinstance(part, Finish):
                return text, part
            text += part.content
    raise AssertionError("there was no Finish")


async def failure_of(upstream: HubUpstream) -> e.HfchatError:
    with pytest.raises(e.HfchatError) as caught:
        await read(upstream)
    return caught.value


async def test_a_reply_is_streamed_whole_with_its_usage(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=WHOLE, headers={"x-inference-provider": "fast-one"})
    async with hub(stub) as upstream:
        assert await read(upstream) == ("Hello", Finish("org/model", "stop", Usage(3, 2), "fast-one"))


async def test_what_is_sent_is_what_the_router_takes(stub: StubUpstream) -> None:
    async with hub(stub, bill_to="some-org") as upstream:
        await read(upstream)
    assert stub.paths == ["/v1/chat/completions"]
    assert stub.requests == [
        {
            "model": "org/model",
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
            "max_tokens": 64,
            "temperature": 0.5,
            "top_p": 0.9,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]
    assert stub.headers[0]["authorization"] == "Bearer hf_test"
    assert stub.headers[0]["x-hf-bill-to"] == "some-org"


# A process of its own says "hello" with this token to this server, and prints the reply or the error's code.
ONE_CALL = """
import asyncio, sys
from hfchat.errors import HfchatError
from hfchat.types import Call, Delta, Message
from hfchat.upstream.hub import HubUpstream

async def main(token, *base_url):
    upstream = HubUpstream(hf_token=token or None, **dict(zip(("base_url",), base_url)))
    try:
        async for part in upstream.stream(Call("org/model", (Message("user", "hello"),), 64)):
            print(part.content if isinstance(part, Delta) else "", end="")
    except HfchatError as error:
        print(error.code, end="")
    await upstream.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.whole
async def test_without_a_token_none_is_sent_nor_looked_for(stub: StubUpstream, tmp_path: Path) -> None:
    # The hub client would take a saved token of the machine's user, and hand it to whatever server this is.
    (tmp_path / "token").write_text("hf_saved_by_somebody")
    environ = {**os.environ, "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_of_the_environment", "PYTHONPATH": "."}
    ran = subprocess.run(
        [sys.executable, "-c", ONE_CALL, "", stub.base_url], env=environ, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "hello "
    assert "authorization" not in stub.headers[0]


@pytest.mark.whole
async def test_auto_routing_posts_to_the_router_and_nowhere_else() -> None:
    # A proxy on loopback sees what the program would send to the internet, at every start of a connection.
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().strip())
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        address = "http://127.0.0.1:{}".format(server.sockets[0].getsockname()[1])
        environ = {**os.environ, "HTTPS_PROXY": address, "HTTP_PROXY": address, "PYTHONPATH": "."}
        ran = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ONE_CALL, "hf_test", env=environ, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await ran.communicate()
    assert said == b"upstream_unavailable"
    assert asked == ["CONNECT router.huggingface.co:443 HTTP/1.1"]


async def test_usage_is_not_asked_again_of_a_server_that_refuses_the_question(stub: StubUpstream) -> None:
    def answer(request: dict[str, Any]) -> Answer:
        if "stream_options" in request:
            refusal = {"error": {"message": "Unrecognized request argument supplied: stream_options"}}
            return Answer(400, "application/json", pieces=[json.dumps(refusal).encode()])
        return reply(["fine"])

    stub.answer = answer
    async with hub(stub) as upstream:
        assert [(await read(upstream))[0], (await read(upstream))[0]] == ["fine", "fine"]
    assert ["stream_options" in request for request in stub.requests] == [True, False, False]


async def test_a_model_is_asked_again_in_the_form_that_it_takes_and_then_in_that_form(stub: StubUpstream) -> None:
    def answer(request: dict[str, Any]) -> Answer:
        if "stream_options" in request:
            words = "Unrecognized request argument supplied: stream_options"
        elif "max_tokens" in request:
            words = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        elif request["messages"][0]["role"] == "system":
            words = "System role not supported"
        else:
            return reply(["fine"])
        return Answer(400, "application/json", pieces=[json.dumps({"error": {"message": words}}).encode()])

    stub.answer = answer
    async with hub(stub) as upstream:
        assert [(await read(upstream))[0], (await read(upstream))[0]] == ["fine", "fine"]
        assert len(stub.requests) == 5
        assert stub.requests[-1]["messages"] == [{"role": "user", "content": "be brief\n\nhello"}]
        assert stub.requests[-1]["max_completion_tokens"] == 64
        await read(upstream, replace(CALL, model="org/another"))
    assert len(stub.requests) == 9


async def test_a_refusal_that_stays_the_same_is_the_error(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(400, "application/json", pieces=[b'{"error": "System role not supported"}'])
    async with hub(stub) as upstream:
        assert (await failure_of(upstream)).code == "unsupported_input"
        assert len(stub.requests) == 2
        stub.answer = lambda _: reply(["fine"])
        await read(upstream)
    assert stub.requests[-1]["messages"][0]["role"] == "system"


async def test_reasoning_is_apart_from_the_reply(stub: StubUpstream) -> None:
    names = ("reasoning", "reasoning_content", "reasoning_text")
    thoughts = [{"index": 0, "delta": {"content": None, name: name}, "finish_reason": None} for name in names]
    stub.answer = lambda _: Answer(
        pieces=[*(f"data: {json.dumps({'choices': [thought]})}\n\n".encode() for thought in thoughts), *WHOLE]
    )
    async with hub(stub) as upstream:
        parts = [part async for part in upstream.stream(CALL)]
    assert "".join(part.reasoning for part in parts if isinstance(part, Delta)) == "".join(names)
    assert "".join(part.content for part in parts if isinstance(part, Delta)) == "Hello"


async def test_a_server_that_does_not_stream_is_read_whole(stub: StubUpstream) -> None:
    message = {"choices": [{"message": {"role": "assistant", "content": "all at once"}, "finish_reason": "stop"}]}
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 3}}
    stub.answer = lambda _: Answer(content_type="application/json", pieces=[json.dumps(message | usage).encode()])
    async with hub(stub) as upstream:
        assert await read(upstream) == ("all at once", Finish("org/model", "stop", Usage(1, 3)))


QUIRKS = {
    "bom": b"\xef\xbb\xbf" + b"".join(WHOLE),
    "crlf": b"".join(WHOLE).replace(b"\n", b"\r\n"),
    "cr": b"".join(WHOLE).replace(b"\n", b"\r"),
    "no space after data:": b"".join(WHOLE).replace(b"data: ", b"data:"),
    "empty data": b"data:\n\ndata: \n\n" + b"".join(WHOLE),
    "null data": b"data: null\n\n" + b"".join(WHOLE),
    "comments": b": keep-alive\n\n:\n\n" + b"\n\n: more\n\n".join(WHOLE),
    "usage only": usage_event(1, 1) + b"".join(WHOLE),
    "null delta": b'data: {"choices":[{"delta":null}]}\n\n' + b"".join(WHOLE),
    "null choices": b'data: {"choices":null}\n\ndata: {"choices":[]}\n\ndata: {}\n\n' + b"".join(WHOLE),
    "missing [DONE]": b"".join(WHOLE[:-1]),
    "no blank line at the end": b"".join(WHOLE[:-1]) + b"data: [DONE]",
    "no finish_reason": b"".join([event("Hel"), event("lo"), usage_event(3, 2), DONE]),
    "event names and ids": b"event: message\nid: 7\nretry: 100\n" + b"\nid: 8\n".join(WHOLE),
    "data after [DONE]": b"".join(WHOLE) + event("more"),
}


@pytest.mark.parametrize("body", QUIRKS.values(), ids=QUIRKS.keys())
async def test_a_malformed_stream_reads_as_what_it_means(stub: StubUpstream, body: bytes) -> None:
    for size in (len(body), 1, 7):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        stub.answer = lambda _, pieces=pieces: Answer(pieces=pieces)  # type: ignore[misc]
        async with hub(stub) as upstream:
            text, finish = await read(upstream)
        assert (text, finish.usage) == ("Hello", Usage(3, 2))


async def test_line_separators_of_unicode_are_text(stub: StubUpstream) -> None:
    raw = '{"choices":[{"delta":{"content":"a\u2028b\u2029c\u0085d"},"finish_reason":"stop"}]}'
    stub.answer = lambda _: Answer(pieces=[bytes([byte]) for byte in f"data: {raw}\n\n".encode()])
    async with hub(stub) as upstream:
        assert (await read(upstream))[0] == "a\u2028b\u2029c\u0085d"


BROKEN = {
    "cut without finish_reason": (Answer(pieces=WHOLE[:2]), e.UpstreamInterrupted),
    "connection lost": (Answer(pieces=WHOLE[:2], ending="cut"), e.UpstreamInterrupted),
    "connection lost before a byte": (Answer(ending="cut"), e.UpstreamInterrupted),
    "silent before the first token": (Answer(ending="hang"), e.UpstreamTimeout),
    "silent between tokens": (Answer(pieces=WHOLE[:2], ending="hang"), e.UpstreamTimeout),
    "silent before the headers": (Answer(before_s=60), e.UpstreamTimeout),
    "comments hide no stall": (Answer(pieces=[b": wait\n\n"] * 100, pause_s=0.05), e.UpstreamTimeout),
    "empty": (Answer(), e.UpstreamInvalidResponse),
    "only [DONE]": (Answer(pieces=[DONE]), e.UpstreamInvalidResponse),
    "not JSON": (Answer(pieces=[b"data: {oops\n\n"]), e.UpstreamInvalidResponse),
    "HTML under 200": (Answer(content_type="text/html", pieces=[b"<html>hello</html>"]), e.UpstreamInvalidResponse),
    "JSON that is no reply": (Answer(content_type="application/json", pieces=[b"[1]"]), e.UpstreamInvalidResponse),
    "NaN": (Answer(content_type="application/json", pieces=[b"NaN"]), e.UpstreamInvalidResponse),
    "deep": (Answer(pieces=[b"data: " + b"[" * 100_000 + b"\n\n"]), e.UpstreamInvalidResponse),
    "a line without end": (Answer(pieces=[b"x" * 500_000] * 10), e.UpstreamInvalidResponse),
    "redirect": (Answer(302, None, headers={"location": "http://127.0.0.1:1/"}), e.EndpointRetired),
    "gzip that is none": (Answer(headers={"content-encoding": "gzip"}, pieces=[b"x"]), e.UpstreamInvalidResponse),
    "endless refusal": (Answer(500, "text/plain", pieces=[b"x" * 60_000] * 50), e.UpstreamUnavailable),
    "refusal cut": (Answer(429, "application/json", pieces=[b'{"error'], ending="cut"), e.UpstreamRateLimited),
    "finish_reason error": (Answer(pieces=[event("a"), event(finish_reason="error")]), e.UpstreamUnavailable),
}


@pytest.mark.parametrize(("answer", "expected"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_answer_is_an_error_never_a_short_reply(
    stub: StubUpstream, answer: Answer, expected: type[e.HfchatError]
) -> None:
    stub.answer = lambda _: answer
    async with hub(stub, timeout_s=0.3 if expected is e.UpstreamTimeout else 30) as upstream:
        error = await failure_of(upstream)
        assert type(error) is expected
        assert error.model == "org/model"


async def test_a_refused_connection_is_unavailable(stub: StubUpstream) -> None:
    async with hub(stub, base_url=f"http://127.0.0.1:{free_port()}/v1") as upstream:
        assert (await failure_of(upstream)).code == "upstream_unavailable"


def answer_of(case: dict[str, Any]) -> Answer:
    """The answer that a recorded case is, wrapped in a good stream where it is only a quirk of one."""
    body = (case["body"] or "").encode()
    if case["expect"]["code"] is None:
        body += b"".join(WHOLE)
    headers = {
        name: value for name, value in case["headers"].items() if name not in ("content-type", "transfer-encoding")
    }
    return Answer(case["status"], case["content_type"], headers, [body])


@each_row("case", [case for case in CASES if case["phase"] != "network"], ids=lambda case: case["id"])
async def test_a_recorded_failure_becomes_the_error_we_want(stub: StubUpstream, case: dict[str, Any]) -> None:
    stub.answer = lambda _: answer_of(case)
    async with hub(stub) as upstream:
        if case["expect"]["code"] is None:
            text, _ = await read(upstream)
            assert text.endswith("Hello") or case["id"] in ("sse-together", "sse-cohere", "sse-nebius")
        else:
            error = await failure_of(upstream)
            assert (error.code, error.retryable) == (case["expect"]["code"], case["expect"]["retryable"])


async def test_replies_one_after_another_share_a_connection(stub: StubUpstream) -> None:
    async with hub(stub) as upstream:
        for _ in range(20):
            await read(upstream)
    assert stub.connections == 1


async def test_refusals_one_after_another_share_a_connection(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(429, "application/json", pieces=[b'{"error":"slow down"}'])
    async with hub(stub) as upstream:
        for _ in range(20):
            await failure_of(upstream)
    assert stub.connections == 1


@pytest.mark.whole
async def test_nothing_is_left_behind_by_many_replies(stub: StubUpstream) -> None:
    async with hub(stub) as upstream:
        await read(upstream)
        gc.collect()
        before, tasks = len(gc.get_objects()), len(asyncio.all_tasks())
        for _ in range(100):
            await read(upstream)
        gc.collect()
        assert len(gc.get_objects()) - before < 500  # a response kept for each would be thousands
        assert len(asyncio.all_tasks()) == tasks


ENDINGS = ["aclose", "cancel", "before the first token"]


@pytest.mark.parametrize("how", ENDINGS)
async def test_stopping_the_reader_stops_the_provider(stub: StubUpstream, how: str) -> None:
    started = [] if how == "before the first token" else [event("one")]
    stub.answer = lambda _: Answer(pieces=started, ending="hang")
    async with hub(stub, timeout_s=3600) as upstream:
        parts = upstream.stream(CALL)
        if how == "aclose":
            await anext(parts)
            await parts.aclose()
        else:
            reading = asyncio.create_task(read(upstream))
            await asyncio.to_thread(wait_until, lambda: stub.in_progress == 1)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        await asyncio.to_thread(wait_until, lambda: stub.left_early == 1 and stub.open_connections == 0)


async def test_a_body_that_does_not_end_after_the_reply_holds_nobody_up(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=WHOLE, ending="hang")
    async with hub(stub, timeout_s=3600) as upstream:
        assert (await read(upstream))[0] == "Hello"
        await asyncio.to_thread(wait_until, lambda: stub.open_connections == 0)


@pytest.mark.whole
async def test_the_first_call_of_a_process_makes_no_other(stub: StubUpstream) -> None:
    async with hub(stub, bill_to="some-org") as upstream:
        await read(upstream)
    assert len(stub.requests) == 1
    code = "import hfchat.upstream.hub, huggingface_hub.constants as c; print(c.HF_HUB_DISABLE_TELEMETRY)"
    run = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "True\n"


async def test_two_upstreams_live_in_one_process(stub: StubUpstream) -> None:
    with StubUpstream(lambda _: reply(["second"])) as other:
        async with hub(stub) as one, hub(other, hf_token="hf_other") as two:
            texts = await asyncio.gather(*(read(upstream) for upstream in (one, two) * 10))
    assert [text for text, _ in texts] == ["hello ", "second"] * 10
    assert {headers["authorization"] for headers in stub.headers} == {"Bearer hf_test"}
    assert {headers["authorization"] for headers in other.headers} == {"Bearer hf_other"}


async def test_no_text_of_an_error_has_the_token_or_what_was_written(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(401, "application/json", pieces=[b'{"error":"Invalid token hf_test for: hello"}'])
    async with hub(stub) as upstream:
        error = await failure_of(upstream)
    assert "hf_test" not in f"{error} {error!r} {error.provider_message}"
    assert "hello" not in repr(CALL)


WORDS = [ServerSentEvent(event(word).decode()[6:].strip()) for word in ("a ", "b ", "c ", "d ")]


@pytest.mark.parametrize("passthrough", [False, True])
def test_what_came_at_once_is_put_together_but_for_the_first_word_and_where_the_limit_lies(passthrough: bool) -> None:
    whole, split = (replace(CALL, max_tokens=most, passthrough=passthrough) for most in (10, 3))
    first, rest = Reply(whole, {}).deltas(WORDS)
    assert (first.content, first.count, rest.content, rest.count) == ("a ", 1, "b c d ", 3)
    assert rest.events == ([word.data for word in WORDS[1:]] if passthrough else None)
    assert [(delta.content, delta.count) for delta in Reply(split, {}).deltas(WORDS)] == [
        ("a ", 1),
        ("b c ", 2),
        ("d ", 1),
    ]


def test_what_came_before_an_error_is_given_before_it() -> None:
    events = [*WORDS[:3], ServerSentEvent('{"error": "CUDA out of memory"}'), WORDS[3]]
    given = Reply(CALL, {}).deltas(events)
    assert [next(given).content, next(given).content] == ["a ", "b c "]
    with pytest.raises(e.UpstreamUnavailable):
        next(given)


@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {}, "reasoning": "a few words"},
        {"delta": {"content": ""}, "thinking": {"text": "a few words"}},
        {"delta": "a few words"},
        {"delta": [{"type": "text", "text": "a few words"}]},
    ],
    ids=str,
)
def test_words_beside_or_in_the_place_of_a_delta_are_found(choice: dict[str, Any]) -> None:
    chunk = ServerSentEvent(json.dumps({"choices": [{"index": 0, **choice}]}))
    for delta in Reply(CALL, {}).deltas([chunk, chunk]):
        assert delta.content + delta.reasoning == "a few words"


def test_what_says_nothing_is_no_delta() -> None:
    role = ServerSentEvent('{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}')
    assert list(Reply(CALL, {}).deltas([role])) == []
    (shown,) = Reply(replace(CALL, passthrough=True), {}).deltas([role])
    assert (shown.content, shown.count, shown.events) == ("", 0, [role.data])


@pytest.mark.whole
async def test_the_time_that_a_slow_reader_takes_is_not_the_provider_s(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=WHOLE, pause_s=0.05)
    async with hub(stub, timeout_s=0.3) as upstream, aclosing(upstream.stream(CALL)) as parts:
        said = []
        async for part in parts:
            said.append(part)
            await asyncio.sleep(0.5)
    assert "".join(part.content for part in said if isinstance(part, Delta)) == "Hello"
    assert isinstance(said[-1], Finish)


async def test_what_came_before_a_broken_connection_is_given_to_a_slow_reader_too(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event(word) for word in "abcdef"], pause_s=0.02, ending="cut")
    async with hub(stub) as upstream, aclosing(upstream.stream(CALL)) as parts:
        first = await anext(parts)
        await asyncio.to_thread(wait_until, lambda: stub.open_connections == 0)
        await asyncio.sleep(0.1)
        rest = await anext(parts)
        with pytest.raises(e.UpstreamInterrupted):
            await anext(parts)
    assert isinstance(first, Delta)
    assert isinstance(rest, Delta)
    assert first.content + rest.content == "abcdef"


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece of every reply is followed by a pause, as in a crowd."""
    monkeypatch.setattr("hfchat.upstream.coalescing.Coalescer.delay_s", lambda *_: (0.03, 0.0))


@pytest.mark.usefixtures("crowd")
async def test_what_comes_while_a_reply_pauses_is_given_afterwards(stub: StubUpstream) -> None:
    words = [f"{number} " for number in range(200)]
    stub.answer = lambda _: reply(words, pause_s=0.001)
    async with hub(stub) as upstream, aclosing(upstream.stream(CALL)) as parts:
        said = [part async for part in parts]
        assert "".join(part.content for part in said if isinstance(part, Delta)) == "".join(words)
        assert isinstance(said[-1], Finish)
        await read(upstream)
    assert stub.connections == 1


@pytest.mark.usefixtures("crowd")
async def test_what_ends_while_a_reply_pauses_ends_it_as_ever(stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event(word) for word in "abcdef"], pause_s=0.005, ending="cut")
    said = io.StringIO()

    async def listen(upstream: HubUpstream) -> None:
        async for part in upstream.stream(CALL):
            if isinstance(part, Delta):
                said.write(part.content)

    async with hub(stub) as upstream:
        with pytest.raises(e.UpstreamInterrupted):
            await listen(upstream)
    assert said.getvalue() == "abcdef"


async def test_stopping_a_reply_that_pauses_stops_the_provider(
    stub: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.upstream.coalescing.Coalescer.delay_s", lambda *_: (60.0, 0.0))
    stub.answer = lambda _: Answer(pieces=[event("one")], ending="hang")
    async with hub(stub, timeout_s=3600) as upstream:
        parts = upstream.stream(CALL)
        await anext(parts)
        pausing = asyncio.create_task(anext(parts))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        pausing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pausing
        await asyncio.to_thread(wait_until, lambda: stub.left_early == 1 and stub.open_connections == 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_connection_that_is_closed_after_an_answer_fails_nobody(stream: bool) -> None:
    served = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        body = b"".join(WHOLE)
        kind = b"content-type: text/event-stream\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (kind, len(body), body))
        served.append(head)
        await writer.drain()
        writer.close()  # without a word before, as some servers do

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = HubUpstream(hf_token=None, base_url=f"http://127.0.0.1:{port}/v1", timeout_s=30)
    try:
        for _ in range(20):
            assert (await read(upstream, replace(CALL, stream=stream)))[0] == "Hello"
    finally:
        await upstream.close()
        server.close()
    assert len(served) == 20


async def test_a_new_connection_that_is_closed_without_an_answer_is_not_tried_again() -> None:
    connections = []

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = HubUpstream(hf_token=None, base_url=f"http://127.0.0.1:{port}/v1", timeout_s=30)
    try:
        assert isinstance(await failure_of(upstream), e.UpstreamUnavailable)
    finally:
        await upstream.close()
        server.close()
    assert len(connections) == 1
