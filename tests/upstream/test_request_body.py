"""A call as the body that goes upstream: what was asked, within what is allowed."""

import json
from typing import Any

from hfchat.types import Call, Message
from hfchat.upstream.request_body import call_body
from tests.support.rows import each_row

ASKED = (Message("user", "hi"),)
PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 9}

BODIES: dict[str, tuple[Call, bool, dict[str, Any]]] = {
    "plain": (Call("m", ASKED, 9), False, PLAIN),
    "with its usage": (Call("m", ASKED, 9), True, {**PLAIN, "stream_options": {"include_usage": True}}),
    "sampling": (Call("m", ASKED, 9, 0.0, 0.5), False, {**PLAIN, "temperature": 0.0, "top_p": 0.5}),
    "options pass": (Call("m", ASKED, 9, options={"seed": 1, "x": None}), False, {**PLAIN, "seed": 1, "x": None}),
    "options set nothing of ours": (
        Call("m", ASKED, 9, options={"model": "other", "messages": [], "stream": False}),
        False,
        PLAIN,
    ),
    "a message as it was written": (
        Call("m", (Message("tool", "x", {"role": "tool", "tool_call_id": "1", "content": "x"}),), 9),
        False,
        {**PLAIN, "messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]},
    ),
    "not streamed": (
        Call("m", ASKED, 9, options={"stream_options": {"include_usage": True}}, stream=False),
        True,
        {**PLAIN, "stream": False},
    ),
    "their stream options": (
        Call("m", ASKED, 9, options={"stream_options": {"a": 1, "include_usage": False}}),
        True,
        {**PLAIN, "stream_options": {"a": 1, "include_usage": True}},
    ),
    "odd stream options": (
        Call("m", ASKED, 9, options={"stream_options": 7}),
        True,
        {**PLAIN, "stream_options": {"include_usage": True}},
    ),
    "by another server's name": (
        Call("m", ASKED, 9, options={"n_predict": 10**6}),
        False,
        {**PLAIN, "n_predict": 9},
    ),
    "budgets of thinking": (
        Call(
            "m",
            ASKED,
            9,
            options={
                **{
                    "thinking_budget": 500,
                    "thinking_token_budget": -1,
                    "reasoning": {"effort": "low", "max_tokens": 500},
                },
                **{
                    "thinking": {"type": "enabled", "budget_tokens": 5},
                    "chat_template_kwargs": {"thinking_budget": 500},
                },
            },
        ),
        False,
        {
            **{
                **PLAIN,
                "thinking_budget": 9,
                "thinking_token_budget": -1,
                "reasoning": {"effort": "low", "max_tokens": 9},
            },
            **{"thinking": {"type": "enabled", "budget_tokens": 5}, "chat_template_kwargs": {"thinking_budget": 9}},
        },
    ),
    "no tools": (
        Call(
            *("m", ASKED, 9),
            options={
                "tools": [],
                "tool_choice": "auto",
                "parallel_tool_calls": True,
                "functions": [],
                "function_call": "auto",
            },
        ),
        False,
        PLAIN,
    ),
    "a choice of what is not named here": (
        Call("m", ASKED, 9, options={"tool_choice": "none"}),
        False,
        {**PLAIN, "tool_choice": "none"},
    ),
    "a limit that is none": (Call("m", ASKED, 9, options={"max_tokens": None}), False, PLAIN),
    "a longer reply": (Call("m", ASKED, 9, options={"max_tokens": 500}), False, PLAIN),
    "a shorter one by a newer name": (
        Call("m", ASKED, 9, options={"max_completion_tokens": 3}),
        False,
        {**{name: value for name, value in PLAIN.items() if name != "max_tokens"}, "max_completion_tokens": 3},
    ),
}


@each_row(("call", "ask_usage", "body"), BODIES.values(), ids=BODIES)
def test_a_call_becomes_the_body_that_was_asked_for(call: Call, ask_usage: bool, body: dict[str, Any]) -> None:
    assert json.loads(call_body(call, ask_usage=ask_usage)) == body
