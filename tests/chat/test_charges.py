"""What a turn is charged, at every door and in every store: what came, whatever was asked for and the provider says."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from hfchat.auth.policy import read_policy
from hfchat.chat.token_count import estimated_prompt_tokens
from hfchat.types import Call, Message, Usage
from hfchat.upstream.reply import Reply
from hfchat.upstream.sse import ServerSentEvent
from tests.conftest import CALL, RunningApp, make_settings, make_token, running, wait_until
from tests.support.redis_server import redis_server
from tests.support.rows import each_row
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, usage_event

HELLO = [{"role": "user", "content": "hello"}]
PROSE = "word " * 70  # 70 tokens at the least, estimated at 100
DOORS = ("/v1/chat/completions", "/api/ai/chat")
PROMPT = {
    DOORS[0]: estimated_prompt_tokens([Message("user", "hello", HELLO[0])]),
    DOORS[1]: estimated_prompt_tokens([Message("user", "hello")]),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[StubUpstream]:
    with StubUpstream() as stub:
        yield stub


@pytest.fixture(scope="module", params=["memory", "sqlite", "redis"])
def app(
    request: pytest.FixtureRequest, upstream: StubUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("store")
    with ExitStack() as stack:
        stores = {"memory": lambda: "memory://", "sqlite": lambda: f"sqlite:///{folder}/ledger.db"}
        stores["redis"] = lambda: stack.enter_context(redis_server(folder)).url
        settings = make_settings(HF_CHAT_BASE_URL=upstream.base_url, HFCHAT_STORE=stores[request.param]())
        yield stack.enter_context(running(settings))


def budget(app: RunningApp, token: str) -> int:
    response = httpx2.get(f"{app.url}/api/ai/usage", headers={"Authorization": f"Bearer {token}"}, **CALL)
    return int(response.json()["budget"]["remaining"])


def ask(app: RunningApp, door: str, token: str, **fields: Any) -> httpx2.Response:
    body = {"messages": HELLO, "stream": True, **fields}
    return httpx2.post(f"{app.url}{door}", json=body, headers={"Authorization": f"Bearer {token}"}, **CALL)


END = event(finish_reason="stop")
# What the provider says, and what is charged for prompt and reply; None is what the prompt is estimated at.
CHARGED: dict[str, tuple[list[bytes], int | None, int]] = {
    "by the provider": ([event(PROSE), END, usage_event(7, 90), DONE], 7, 90),
    "by the provider, each letter a delta": ([*[event("a")] * 108, END, usage_event(7, 30), DONE], 7, 30),
    "by the provider, more than was asked for": ([event("a"), END, usage_event(7, 5000), DONE], 7, 5000),
    "by the provider, of another alphabet": ([*[event("Ответственность ")] * 60, END, usage_event(7, 60), DONE], 7, 60),
    "by the provider, a drawn line": ([event("=" * 64 + "\n")] * 30 + [END, usage_event(7, 60), DONE], 7, 60),
    "no count": ([event("word " * 30), END, DONE], None, 43),
    "no count, at the limit": ([event(PROSE[:300]), END, DONE], None, 60),
    "no count, past the limit": ([event(PROSE), END, DONE], None, 70),
    "no count, small deltas": ([*[event("a")] * 50, END, DONE], None, 50),
    "no count, more small deltas than tokens": ([*[event("a")] * 90, END, DONE], None, 60),
    "a count that cannot be true": ([event(PROSE), END, usage_event(7, 3), DONE], 7, 70),
    "a negative count": ([event(PROSE), END, usage_event(-1_000_000, -5), DONE], None, 70),
    "a count of zero": ([event(PROSE), END, usage_event(0, 0), DONE], None, 70),
    "all at once, past the limit": ([event(PROSE * 20), END, DONE], None, 1400),
    "past the limit, its count not waited for": ([event(PROSE * 20), END, usage_event(7, 2000), DONE], None, 1400),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("pieces", "prompt", "completion"), CHARGED.values(), ids=CHARGED)
def test_what_came_is_charged(
    app: RunningApp,
    upstream: StubUpstream,
    request: pytest.FixtureRequest,
    pieces: list[bytes],
    prompt: int | None,
    completion: int,
    door: str,
) -> None:
    upstream.answer = lambda _: Answer(pieces=pieces)
    policy = read_policy({"budget": "100000/day", "max_tokens": 60})
    token = make_token(request.node.name.replace("/", " "), policy=policy)
    assert ask(app, door, token).status_code == 200
    assert 100_000 - budget(app, token) == (prompt or PROMPT[door]) + completion


@pytest.mark.parametrize("door", DOORS)
def test_a_charge_beyond_the_budget_leaves_nothing_and_no_credit(
    app: RunningApp, upstream: StubUpstream, door: str
) -> None:
    token = make_token(f"beyond {door}", policy=read_policy({"budget": "1000/day", "max_tokens": 60}))
    upstream.answer = lambda _: Answer(pieces=[event("a"), END, usage_event(7, 50_000), DONE])
    assert ask(app, door, token).status_code == 200
    assert budget(app, token) == 0
    for _ in range(2):
        response = ask(app, door, token)
        assert (response.status_code, response.json()["error"]["code"]) == (429, "budget_exceeded")


@pytest.mark.parametrize("door", DOORS)
def test_a_server_that_does_not_stream_is_charged_for_all_of_it(
    app: RunningApp, upstream: StubUpstream, door: str
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": PROSE * 20}, "finish_reason": "stop"}
    upstream.answer = lambda _: Answer(
        content_type="application/json", pieces=[json.dumps({"choices": [choice]}).encode()]
    )
    token = make_token(f"whole {door}", policy=read_policy({"budget": "100000/day", "max_tokens": 60}))
    assert PROSE.strip() in ask(app, door, token, stream=False).text
    assert 100_000 - budget(app, token) == PROMPT[door] + 1400


@pytest.mark.parametrize("door", DOORS)
def test_a_reply_that_goes_on_past_its_limit_is_ended(app: RunningApp, upstream: StubUpstream, door: str) -> None:
    upstream.answer = lambda _: Answer(pieces=[event("word " * 7)] * 1000, pause_s=0.001, ending="hang")
    token = make_token(f"endless {door}", policy=read_policy({"budget": "100000/day", "max_tokens": 60}))
    assert ask(app, door, token).status_code == 200
    # 60 tokens, a sixth more, and what came with the last of them.
    assert 70 < 100_000 - budget(app, token) - PROMPT[door] < 70 + 40
    wait_until(lambda: upstream.in_progress == 0)


# --- every letter of a delta

CALL_OF = Call("m", (Message("user", "hello"),), 1000, passthrough=True)
DELTAS: dict[str, dict[str, Any]] = {
    "content": {"content": PROSE},
    "parts": {"content": [{"type": "text", "text": PROSE}]},
    "other parts": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": PROSE}]}]},
    "odd parts": {"content": [PROSE, {"type": "text", "text": {"value": ""}}]},
    "content as an object": {"content": {"text": PROSE}},
    "reasoning": {"reasoning": PROSE},
    "reasoning by another name": {"content": None, "reasoning_content": PROSE},
    "two kinds of reasoning": {"reasoning": "a", "reasoning_content": PROSE[:-1]},
    "reasoning as an object": {"reasoning": {"text": PROSE}},
    "details of reasoning": {"reasoning_details": [{"type": "reasoning.text", "text": PROSE}]},
    "a tool's arguments": {"tool_calls": [{"index": 0, "function": {"arguments": PROSE}}]},
    "a tool's name": {"tool_calls": [{"index": 0, "function": {"name": PROSE}}]},
    "arguments as an object": {"tool_calls": [{"function": {"arguments": {PROSE: ""}}}]},
    "input of a tool": {"tool_calls": [{"type": "custom", "custom": {"input": PROSE}}]},
    "a function": {"function_call": {"arguments": PROSE}},
    "a refusal": {"refusal": PROSE},
    "speech": {"audio": {"id": "a", "transcript": PROSE}},
    "an unknown field": {"vendor": {"deep": [[{"a": PROSE}]]}},
    "an empty content beside": {"role": "assistant", "content": "", "vendor": PROSE},
}


@each_row("streamed", [True, False], ids=["streamed", "whole"])
@each_row("delta", DELTAS.values(), ids=DELTAS)
def test_every_letter_of_a_delta_counts_whatever_its_field(delta: dict[str, Any], streamed: bool) -> None:
    reply = Reply(CALL_OF, {})
    choice = {"index": 0, "delta" if streamed else "message": delta, "finish_reason": None}
    data = json.dumps({"choices": [choice]})
    parts = list(reply.deltas([ServerSentEvent(data=data)])) if streamed else [reply.whole(data.encode())]
    texts = "".join(part.content + part.reasoning + part.tool_text for part in parts)
    assert len(PROSE) - 1 <= len(texts) < len(PROSE) + 40


@pytest.mark.parametrize("other", ["text", "message"])
def test_a_choice_without_a_delta_counts_too(other: str) -> None:
    reply = Reply(CALL_OF, {})
    choice = {"index": 0, other: PROSE if other == "text" else {"content": PROSE}}
    (part,) = reply.deltas([ServerSentEvent(data=json.dumps({"choices": [choice]}))])
    assert part.content == PROSE


def test_what_is_said_twice_or_proves_only_counts_once() -> None:
    reply = Reply(CALL_OF, {})
    details = [{"type": "reasoning.text", "text": PROSE, "signature": "s" * 999, "format": "vendor-v1", "index": 0}]
    delta = {"content": None, "reasoning": PROSE, "reasoning_content": PROSE, "reasoning_details": details}
    (part,) = reply.deltas([ServerSentEvent(data=json.dumps({"choices": [{"index": 0, "delta": delta}]}))])
    assert part.content + part.reasoning + part.tool_text == PROSE


COUNTS: dict[str, tuple[Any, Usage | None]] = {
    "whole numbers": (5, Usage(7, 5)),
    "a float": (5.0, Usage(7, 5)),
    "half a token": (5.5, None),
    "negative": (-5, None),
    "huge": (1 << 60, None),
    "a float without end": (1e308, None),
    "true": (True, None),
    "a text": ("5", None),
    "a list": ([5], None),
    "nothing": (None, None),
}


@each_row(("count", "usage"), COUNTS.values(), ids=COUNTS)
def test_a_count_that_is_none_is_as_if_there_were_none(count: Any, usage: Usage | None) -> None:
    reply = Reply(CALL_OF, {})
    data = json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": count}})
    list(reply.deltas([ServerSentEvent(data=data)]))
    assert reply.usage == usage
