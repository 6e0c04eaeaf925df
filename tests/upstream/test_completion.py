"""An answer as chunks, and chunks as an answer: whatever it has is there both ways."""

import json
from typing import Any

import pytest

from hfchat.upstream.completion import chunks_of, completion_of, with_plain_messages
from tests.support.rows import each_row

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 5, "model": "m", "system_fingerprint": "fp"}


def chunk(delta: Any = None, reason: str | None = None, index: int | None = 0, **more: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"delta": delta or {}, "finish_reason": reason, **more}
    return {**HEAD, "choices": [choice if index is None else {"index": index, **choice}]}


def call(arguments: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "arguments": arguments}, **more}


def message_of(*chunks: dict[str, Any]) -> dict[str, Any]:
    (choice,) = completion_of(chunks)["choices"]
    return dict(choice["message"])


MERGED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "text": ([{"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"}], {"content": "ab"}),
    "a role in each": (
        [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
        {"content": "ab"},
    ),
    "thoughts": (
        [{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "a"}],
        {"content": "a", "reasoning_content": "hm"},
    ),
    "thoughts by another name": (
        [{"reasoning": "h"}, {"reasoning": "m"}, {"content": "a"}],
        {"content": "a", "reasoning": "hm", "reasoning_content": "hm"},
    ),
    "thoughts in parts": (
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]},
            {"content": "a"},
            {"content": "b"},
        ],
        {"content": "ab", "reasoning_content": "hm"},
    ),
    "details of thoughts": (
        [
            {"reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0, "format": "v1"}]},
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "m", "index": 0, "format": "v1", "signature": "s"}
                ]
            },
        ],
        {
            "content": "",
            "reasoning_content": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "index": 0, "format": "v1", "signature": "s"}
            ],
        },
    ),
    "a refusal": ([{"refusal": "I "}, {"refusal": "won't"}], {"content": None, "refusal": "I won't"}),
    "a call in pieces": (
        [
            {"tool_calls": [{"index": 0, **call("", id="1")}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        ],
        {"content": None, "tool_calls": [call('{"a": 1}', id="1")]},
    ),
    "two calls": (
        [{"tool_calls": [{"index": 0, **call("x", id="1")}]}, {"tool_calls": [{"index": 1, **call("y", id="2")}]}],
        {"content": None, "tool_calls": [call("x", id="1"), call("y", id="2")]},
    ),
    "two calls at once, without places": (
        [{"tool_calls": [call("x", id="1"), call("y", id="2")]}],
        {"content": None, "tool_calls": [call("x", id="1"), call("y", id="2")]},
    ),
    "pieces without places": (
        [
            {"tool_calls": [call("", id="1")]},
            {"tool_calls": [{"function": {"arguments": "x"}}]},
            {"tool_calls": [call("", id="2")]},
            {"tool_calls": [{"id": "2", "function": {"arguments": "y"}}]},
        ],
        {"content": None, "tool_calls": [call("x", id="1"), call("y", id="2")]},
    ),
    "calls that all have the same place": (
        [
            {"tool_calls": [{"index": 0, **call("x", id="1")}]},
            {"tool_calls": [{"index": 0, **call("y", id="2")}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": "z"}}]},
            {"tool_calls": [{"index": 0, **call("w", id="1")}]},
        ],
        {"content": None, "tool_calls": [call("xw", id="1"), call("yz", id="2")]},
    ),
    "the name in each piece": (
        [{"tool_calls": [{"index": 0, **call("x", id="1")}]}, {"tool_calls": [{"index": 0, **call("y", id="1")}]}],
        {"content": None, "tool_calls": [call("xy", id="1")]},
    ),
    "arguments as an object": (
        [{"tool_calls": [call({"a": 1}, id="1")]}],
        {"content": None, "tool_calls": [call('{"a":1}', id="1")]},
    ),
    "a function": (
        [{"function_call": {"name": "f", "arguments": "x"}}, {"function_call": {"arguments": "y"}}],
        {"content": None, "function_call": {"name": "f", "arguments": "xy"}},
    ),
    "a field of a vendor": (
        [{"content": "a", "vendor": {"x": "1"}}, {"vendor": {"x": "2"}}],
        {"content": "a", "vendor": {"x": "12"}},
    ),
    "annotations": (
        [
            {"content": "a", "annotations": [{"type": "url_citation", "n": 1}]},
            {"annotations": [{"type": "url_citation", "n": 2}]},
        ],
        {"content": "a", "annotations": [{"type": "url_citation", "n": 1}, {"type": "url_citation", "n": 2}]},
    ),
    "nothing": ([{}], {"content": ""}),
}


@each_row(("deltas", "message"), MERGED.values(), ids=MERGED)
def test_deltas_are_put_together_as_a_message(deltas: list[Any], message: dict[str, Any]) -> None:
    before = json.dumps(deltas)
    assert message_of(*map(chunk, deltas)) == {"role": "assistant", **message}
    assert json.dumps(deltas) == before


def test_a_call_without_an_id_gets_one() -> None:
    (made,) = message_of(chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}))[
        "tool_calls"
    ]
    assert (made["type"], made["id"].startswith("call_"), "index" in made) == ("function", True, False)


def test_what_stands_around_the_messages_is_kept() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    logprobs = [{"content": [{"token": word, "logprob": -1.0}]} for word in "ab"]
    chunks = [chunk({"content": word}, logprobs=logprob) for word, logprob in zip("ab", logprobs, strict=True)]
    chunks += [
        chunk({}, "length", stop_reason=5),
        {**HEAD, "choices": [], "usage": usage, "citations": ["https://a.example"]},
    ]
    completion = completion_of(chunks)
    assert completion == {
        **HEAD,
        "object": "chat.completion",
        "usage": usage,
        "citations": ["https://a.example"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab"},
                "finish_reason": "length",
                "logprobs": {"content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -1.0}]},
                "stop_reason": 5,
            }
        ],
    }


def test_several_replies_are_told_apart() -> None:
    chunks = [chunk({"content": word}, index=index) for word, index in (("a", 0), ("x", 1), ("b", 0), ("y", 1))]
    chunks += [chunk({}, "stop", index=1), chunk({}, "length", index=0)]
    choices = completion_of(chunks)["choices"]
    assert [(choice["message"]["content"], choice["finish_reason"]) for choice in choices] == [
        ("ab", "length"),
        ("xy", "stop"),
    ]


ENDS = {
    "text": ({"content": "a"}, "stop"),
    "calls": ({"tool_calls": [call("x")]}, "tool_calls"),
    "a function": ({"function_call": {"name": "f", "arguments": "x"}}, "function_call"),
}


@pytest.mark.parametrize(("message", "reason"), ENDS.values(), ids=ENDS)
def test_a_finish_reason_that_is_missing_is_given(message: dict[str, Any], reason: str) -> None:
    assert completion_of([chunk(message, index=None)])["choices"][0]["finish_reason"] == reason
    chunks = chunks_of({"choices": [{"message": message}]}, include_usage=False)
    assert [part["choices"][0]["finish_reason"] for part in chunks] == [None, reason]


def test_the_form_before_chat_completions_is_read_too() -> None:
    assert message_of({"choices": [{"text": "a"}]}, {"choices": [{"text": "b"}]})["content"] == "ab"
    whole = {"choices": [{"index": 0, "text": "ab", "finish_reason": "stop"}]}
    message = {"role": "assistant", "content": "ab"}
    assert with_plain_messages(whole, "message")["choices"][0]["message"] == message
    assert chunks_of(whole, include_usage=False)[0]["choices"][0]["delta"] == message


def test_a_message_at_the_end_of_a_stream_is_not_added_to_its_deltas() -> None:
    end = {"choices": [{"index": 0, "message": {"content": "ab"}, "finish_reason": "stop"}]}
    assert message_of(chunk({"content": "a"}), chunk({"content": "b"}), end)["content"] == "ab"
    assert message_of(end)["content"] == "ab"


WHOLE: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 5,
    "model": "m",
    "system_fingerprint": "fp",
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "a",
                "refusal": "no",
                "reasoning_content": "hm",
                "tool_calls": [call("x", id="1"), call("y", id="2")],
                "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}],
                "vendor": {"a": 1},
            },
            "finish_reason": "tool_calls",
            "logprobs": {"content": [{"token": "a", "logprob": -1.0}]},
        },
        {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "stop", "logprobs": None},
    ],
}


def test_an_answer_is_the_same_after_both_ways() -> None:
    chunks = chunks_of(WHOLE, include_usage=True)
    assert all(part["object"] == "chat.completion.chunk" for part in chunks)
    assert [place["index"] for place in chunks[0]["choices"][0]["delta"]["tool_calls"]] == [0, 1]
    assert completion_of(json.loads(json.dumps(chunks))) == WHOLE
    assert all("usage" not in part for part in chunks_of(WHOLE, include_usage=False))


def odd_delta(delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta}]}


ODD: list[Any] = [
    *({}, {"choices": None}, {"choices": [None, 1, "a", []]}, {"usage": 5, "choices": [{"logprobs": 5}]}),
    *map(
        odd_delta, (None, {"tool_calls": [None, 1]}, {"content": 5}, {"content": {"a": []}}, {"tool_calls": {"a": 1}})
    ),
    {"choices": [{"message": {"tool_calls": {"a": 1}}}]},
    {"choices": [{"index": "x", "delta": {"content": ["a", 1, None]}}]},
    odd_delta({"x": json.loads("[" * 90 + "]" * 90)}),
    odd_delta({"x": json.loads('{"a":' * 90 + "1" + "}" * 90)}),
]


@each_row("odd", ODD, ids=lambda odd: json.dumps(odd)[:50])
def test_whatever_a_provider_sends_is_put_together_somehow(odd: Any) -> None:
    for chunks in ([odd, chunk({"content": "a"}), odd], [chunk({"content": "a"}), odd, odd]):
        assert completion_of(chunks)["object"] == "chat.completion"
    assert isinstance(chunks_of(odd, include_usage=True), list)
