"""The programs that speak OpenAI's form, as their users use them: a base URL, and a token as the key."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from huggingface_hub import InferenceClient
from pydantic import BaseModel

from hfchat.auth.policy import read_policy
from tests.conftest import RunningApp, make_settings, make_token, running
from tests.support.raw_client import logged
from tests.support.stub_upstream import DONE, Answer, StubUpstream, echo, event, usage_event


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    body = {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "own/served",
        "choices": [choice],
    }
    return f"data: {json.dumps({**body, **more})}\n\n".encode()


def whole(message: dict[str, Any], **more: Any) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", "logprobs": None}
    body = {"id": "chatcmpl-9", "object": "chat.completion", "created": 5, "model": "own/served", "choices": [choice]}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return Answer(content_type="application/json", pieces=[json.dumps({**body, "usage": usage, **more}).encode()])


def say(request: dict[str, Any]) -> Answer:
    if not request["stream"]:
        return whole({"content": f"you said {request['messages'][-1]['content']}"}, system_fingerprint="fp_1")
    return echo(request)


@pytest.fixture(scope="module")
def upstream() -> Iterator[StubUpstream]:
    with StubUpstream(say) as stub:
        yield stub


@pytest.fixture(scope="module")
def app(upstream: StubUpstream) -> Iterator[RunningApp]:
    settings = make_settings(HF_CHAT_BASE_URL=upstream.base_url, HF_CHAT_MODELS="*", HF_CHAT_SYSTEM_PROMPT="Be kind.")
    with running(settings) as served:
        yield served


@pytest.fixture(autouse=True)
def as_before(upstream: StubUpstream) -> Iterator[None]:
    yield
    upstream.answer = say


def client(app: RunningApp, token: str | None = None, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{app.url}/v1", api_key=token or make_token(), **{"max_retries": 0, **more})


ASKED: list[Any] = [{"role": "system", "content": "And brief."}, {"role": "user", "content": "hi there"}]
# One system message: the owner's words, then the caller's.
SENT: list[Any] = [{"role": "system", "content": "Be kind.\n\nAnd brief."}, ASKED[1]]


def test_a_completion_comes_back_as_the_provider_wrote_it(app: RunningApp, upstream: StubUpstream) -> None:
    with client(app) as web:
        completion = web.chat.completions.create(
            model="own/model",
            messages=ASKED,
            seed=7,
            extra_body={"top_k": 5, "chat_template_kwargs": {"enable_thinking": False}},
        )
    assert completion.choices[0].message.content == "you said hi there"
    assert (completion.id, completion.model, completion.system_fingerprint) == ("chatcmpl-9", "own/served", "fp_1")
    assert completion.usage is not None
    assert completion.usage.total_tokens == 12
    sent = upstream.requests[-1]
    assert sent["messages"] == SENT
    assert (sent["model"], sent["seed"], sent["top_k"], sent["stream"]) == ("own/model", 7, 5, False)
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert sent["max_tokens"] == 1024


def test_a_stream_comes_as_it_comes_and_its_usage_only_if_asked_for(app: RunningApp, upstream: StubUpstream) -> None:
    with client(app) as web:
        plain = list(web.chat.completions.create(model="m", messages=ASKED, stream=True))
        counted = list(
            web.chat.completions.create(model="m", messages=ASKED, stream=True, stream_options={"include_usage": True})
        )
    assert "".join(part.choices[0].delta.content or "" for part in plain) == "hi there "
    assert plain[-1].choices[0].finish_reason == "stop"
    assert all(part.usage is None for part in plain)
    assert [part.choices for part in counted][-1] == []
    assert counted[-1].usage is not None
    assert counted[-1].usage.completion_tokens == 2
    assert upstream.requests[-2]["stream_options"] == {"include_usage": True}


def test_tools_stream_their_arguments(app: RunningApp, upstream: StubUpstream) -> None:
    function = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    tools: list[Any] = [{"type": "function", "function": function}]
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces = [chunk({"role": "assistant", "content": None, "tool_calls": [call]})]
    pieces += [
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}) for text in ('{"city"', ': "Paris"}')
    ]
    upstream.answer = lambda _: Answer(pieces=[*pieces, chunk({}, "tool_calls"), usage_event(20, 9), DONE])
    with (
        client(app) as web,
        web.chat.completions.stream(
            model="m", messages=ASKED, tools=tools, tool_choice="auto", parallel_tool_calls=False
        ) as stream,
    ):
        completion = stream.get_final_completion()
    assert completion.choices[0].finish_reason == "tool_calls"
    (made,) = completion.choices[0].message.tool_calls or []
    assert (made.id, made.function.name, json.loads(made.function.arguments)) == (
        "call_1",
        "weather",
        {"city": "Paris"},
    )
    sent = upstream.requests[-1]
    assert (sent["tools"], sent["tool_choice"], sent["parallel_tool_calls"]) == (tools, "auto", False)
    after = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [made.model_dump(exclude={"index"})]}]
    after.append({"role": "tool", "tool_call_id": "call_1", "content": "sunny"})
    upstream.answer = say
    with client(app) as web:
        assert web.chat.completions.create(model="m", messages=after).choices[0].message.content == "you said sunny"
    assert upstream.requests[-1]["messages"] == [*SENT, *after[2:]]


class Recipe(BaseModel):
    name: str
    minutes: int


def test_structured_output_is_parsed_into_a_class_and_its_form_arrives_as_written(
    app: RunningApp, upstream: StubUpstream
) -> None:
    upstream.answer = lambda _: whole({"content": '{"name": "soup", "minutes": 20}'})
    with client(app) as web:
        said = web.chat.completions.parse(model="m", messages=ASKED, response_format=Recipe)
    assert said.choices[0].message.parsed == Recipe(name="soup", minutes=20)
    form = upstream.requests[-1]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "Recipe"
    assert form["json_schema"]["schema"]["required"] == ["name", "minutes"]


def test_pictures_and_several_replies_arrive(app: RunningApp, upstream: StubUpstream) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo" + "A" * 200_000}}
    content = [{"type": "text", "text": "what is this?"}, picture]
    upstream.answer = lambda _: whole({"content": "a cat"})
    with client(app) as web:
        web.chat.completions.create(
            model="m", messages=[{"role": "user", "content": content}], n=2, stop=["x"], logprobs=True
        )  # type: ignore[list-item, misc]
    sent = upstream.requests[-1]
    assert sent["messages"][-1]["content"] == content
    assert (sent["n"], sent["stop"], sent["logprobs"]) == (2, ["x"], True)


NO_PROVIDER = "The requested model is not supported by any provider you have enabled."


def refused(status: int, message: str) -> Answer:
    return Answer(status, "application/json", pieces=[json.dumps({"error": {"message": message}}).encode()])


ERRORS: dict[str, tuple[Answer | None, dict[str, Any], type[openai.APIStatusError], str]] = {
    "no token": (None, {"token": "x.y.z"}, openai.AuthenticationError, "invalid_token"),
    "another model": (None, {"policy": {"models": ["own/model"]}}, openai.PermissionDeniedError, "model_not_allowed"),
    "too little left": (None, {"policy": {"budget": "10/day"}}, openai.RateLimitError, "budget_exceeded"),
    "wrong form": (None, {"messages": []}, openai.BadRequestError, "invalid_request"),
    "provider's rate": (refused(429, "slow down"), {}, openai.RateLimitError, "upstream_rate_limited"),
    "loading": (refused(503, "Model m is currently loading"), {}, openai.InternalServerError, "model_loading"),
    "not supported": (refused(400, NO_PROVIDER), {}, openai.BadRequestError, "model_not_supported"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("answer", "asks", "kind", "code"), ERRORS.values(), ids=ERRORS)
def test_an_error_becomes_the_right_exception(
    app: RunningApp,
    upstream: StubUpstream,
    answer: Answer | None,
    asks: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    stream: bool,
) -> None:
    if answer is not None:
        upstream.answer = lambda _: answer
    token = asks.get("token") or make_token("e", policy=read_policy(asks.get("policy", {})))
    with client(app, token) as web, pytest.raises(kind) as raised:
        web.chat.completions.create(model="m", messages=asks.get("messages", ASKED), stream=stream)
    assert raised.value.code == code
    assert raised.value.body["message"]  # type: ignore[index]


def test_a_stream_that_breaks_is_an_exception_after_what_came(app: RunningApp, upstream: StubUpstream) -> None:
    upstream.answer = lambda _: Answer(pieces=[event("a "), event("b ")], ending="cut")
    heard = []
    with client(app) as web:
        parts = web.chat.completions.create(model="m", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match="cut off"):
            heard.extend(part.choices[0].delta.content for part in parts)
    assert heard == ["a ", "b "]


def test_a_retry_waits_as_long_as_it_is_told(app: RunningApp, upstream: StubUpstream) -> None:
    answers = iter([Answer(429, "application/json", headers={"retry-after": "1"}, pieces=[b"{}"])])
    upstream.answer = lambda request: next(answers, None) or say(request)
    with client(app, max_retries=2) as web:
        said = web.chat.completions.with_raw_response.create(model="m", messages=ASKED)
    assert said.retries_taken == 1
    assert said.parse().choices[0].message.content == "you said hi there"
    assert said.headers["RateLimit-Remaining"]


# What the provider answers, and what comes of it. Each is tried once: another try soon could not succeed.
FINAL: dict[str, tuple[Answer, str]] = {
    "no credit": (refused(402, "You have exceeded your monthly included credits"), "credits_exhausted"),
    "the owner's token": (refused(401, "Invalid credentials in Authorization header"), "hf_token_invalid"),
    "no permission": (
        refused(403, "This authentication method does not have sufficient permissions"),
        "hf_token_forbidden",
    ),
    "gone": (refused(410, "https://api-inference.huggingface.co is no longer supported"), "endpoint_retired"),
    "a rate of hours": (
        Answer(429, "application/json", headers={"retry-after": "7200"}, pieces=[b"{}"]),
        "upstream_rate_limited",
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("answer", "code"), FINAL.values(), ids=FINAL)
def test_what_no_retry_can_mend_is_asked_for_once(
    app: RunningApp, upstream: StubUpstream, answer: Answer, code: str, stream: bool
) -> None:
    upstream.answer = lambda _: answer
    upstream.requests.clear()
    with client(app, max_retries=2) as web, pytest.raises(openai.APIStatusError) as raised:
        web.chat.completions.create(model="m", messages=ASKED, stream=stream)
    assert (raised.value.code, len(upstream.requests)) == (code, 1)
    assert raised.value.response.headers["X-Should-Retry"] == "false"


@pytest.mark.parametrize("policy", [{"budget": "1165/day"}, {"rate": "1/month"}], ids=["budget", "rate"])
def test_a_limit_that_lasts_is_an_error_at_once(app: RunningApp, policy: dict[str, str]) -> None:
    token = make_token(str(policy), policy=read_policy(policy))
    with client(app, token, max_retries=2) as web:
        web.chat.completions.create(model="m", messages=ASKED)
        with logged() as lines, pytest.raises(openai.RateLimitError) as raised:
            web.chat.completions.create(model="m", messages=ASKED)
    assert raised.value.response.headers["X-Should-Retry"] == "false"
    assert int(raised.value.response.headers["Retry-After"]) > 0
    assert len([line for line in lines if "_exceeded" in line]) == 1


def test_the_message_says_what_to_do(app: RunningApp) -> None:
    with client(app, make_token(ttl_s=60, now=1)) as web, pytest.raises(openai.AuthenticationError) as raised:
        web.models.list()
    assert "Ask whoever runs this chat for a new token" in str(raised.value.body["message"])  # type: ignore[index]


@pytest.mark.parametrize("base", ["", "/", "/v1//", "/v1/v1", "/v1/chat/completions", "/api/ai"])
def test_a_wrong_base_url_is_told_the_right_one(app: RunningApp, base: str) -> None:
    web = openai.OpenAI(base_url=app.url + base, api_key=make_token(), max_retries=0)
    with web, pytest.raises(openai.NotFoundError, match="`/v1/chat/completions`"):
        web.chat.completions.create(model="m", messages=ASKED)


def test_a_token_in_our_own_header_goes_before_the_key(app: RunningApp) -> None:
    headers = {"X-Hfchat-Token": make_token()}
    with client(app, "hf_of_a_private_space", default_headers=headers) as web:
        assert web.chat.completions.create(model="m", messages=ASKED).choices[0].message.content == "you said hi there"


def test_the_async_client_does_the_same(app: RunningApp) -> None:
    async def chat() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key=make_token(), max_retries=0) as web:
            completion = await web.chat.completions.create(model="m", messages=ASKED)
            stream = await web.chat.completions.create(model="m", messages=ASKED, stream=True)
            return completion.choices[0].message.content or "", "".join(
                [part.choices[0].delta.content or "" async for part in stream]
            )

    assert asyncio.run(chat()) == ("you said hi there", "hi there ")


def test_the_models_are_listed(app: RunningApp) -> None:
    token = make_token(policy=read_policy({"models": ["a/b", "c/d:groq"]}))
    with client(app, token) as web:
        assert [model.id for model in web.models.list()] == ["a/b", "c/d:groq"]


def test_the_hub_client_chats_by_base_url(app: RunningApp) -> None:
    hub = InferenceClient(base_url=f"{app.url}/v1", api_key=make_token())
    assert hub.chat_completion(ASKED, model="own/model").choices[0].message.content == "you said hi there"
    stream = hub.chat_completion(ASKED, model="own/model", stream=True)
    assert "".join(part.choices[0].delta.content or "" for part in stream) == "hi there "


# --- what a provider says in other forms


def in_one(message: dict[str, Any], reason: str = "stop") -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    body = {"id": "c-1", "object": "chat.completion", "created": 5, "model": "m", "choices": [choice], "usage": usage}
    return Answer(content_type="application/json", pieces=[json.dumps(body).encode()])


def test_a_stream_of_a_server_that_does_not_stream_has_all_of_its_answer(
    app: RunningApp, upstream: StubUpstream
) -> None:
    made = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    upstream.answer = lambda _: in_one(
        {"content": "Let me see.", "reasoning": "hm", "tool_calls": [made]}, "tool_calls"
    )
    options: Any = {"model": "m", "messages": ASKED, "stream_options": {"include_usage": True}}
    with client(app) as web:
        chunks = list(web.chat.completions.create(**options, stream=True))
        with web.chat.completions.stream(**options) as stream:
            completion = stream.get_final_completion()
        unasked = list(web.chat.completions.create(model="m", messages=ASKED, stream=True))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12
    assert all(part.usage is None for part in unasked)
    message = completion.choices[0].message
    assert (message.content, completion.choices[0].finish_reason) == ("Let me see.", "tool_calls")
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == "hm"
    (call,) = message.tool_calls or []
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == (
        "call_1",
        "weather",
        {"city": "Paris"},
    )


def test_an_answer_of_a_server_that_always_streams_has_all_of_its_events(
    app: RunningApp, upstream: StubUpstream
) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces = [
        chunk({"role": "assistant", "content": "", "reasoning_content": "hm"}),
        chunk({"content": "Let me see."}),
        chunk({"tool_calls": [{"index": 0, **call}]}),
        *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}) for text in ('{"city"', ': "Paris"}')),
        chunk({}, "tool_calls"),
        usage_event(20, 9),
        DONE,
    ]
    upstream.answer = lambda _: Answer(pieces=pieces)
    with client(app) as web:
        completion = web.chat.completions.create(model="m", messages=ASKED)
    message = completion.choices[0].message
    assert (completion.id, completion.model, completion.object) == ("chatcmpl-9", "own/served", "chat.completion")
    assert (message.content, completion.choices[0].finish_reason) == ("Let me see.", "tool_calls")
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == "hm"
    (made,) = message.tool_calls or []
    assert json.loads(made.function.arguments) == {"city": "Paris"}
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (20, 9)


def test_a_stream_that_is_cut_at_its_limit_is_gathered_with_its_thoughts(
    app: RunningApp, upstream: StubUpstream
) -> None:
    upstream.answer = lambda _: Answer(pieces=[chunk({"reasoning": "word " * 7})] * 100, ending="hang", pause_s=0.001)
    with client(app, make_token("thinker", policy=read_policy({"max_tokens": 50}))) as web:
        completion = web.chat.completions.create(model="m", messages=ASKED)
    assert completion.choices[0].finish_reason == "length"
    assert completion.choices[0].message.model_extra is not None
    assert 50 < completion.choices[0].message.model_extra["reasoning_content"].count("word") < 100


PARTS: list[dict[str, Any]] = [
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    {"content": [{"type": "text", "text": "the answer"}]},
]


def test_thoughts_in_parts_are_no_part_of_the_content(app: RunningApp, upstream: StubUpstream) -> None:
    upstream.answer = lambda _: Answer(pieces=[*map(chunk, PARTS), chunk({}, "stop"), DONE])
    with client(app) as web:
        chunks = list(web.chat.completions.create(model="m", messages=ASKED, stream=True))
        whole_one = web.chat.completions.create(model="m", messages=ASKED).choices[0].message
    deltas = [part.choices[0].delta for part in chunks]
    assert "".join(delta.content or "" for delta in deltas) == "the answer" == whole_one.content
    assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == "hm"
    assert (whole_one.model_extra or {})["reasoning_content"] == "hm"
