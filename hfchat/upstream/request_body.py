"""Request body: a call as the JSON of chat completions, with every limit of tokens cut to the call's `max_tokens`. Pure."""

from typing import Any

import orjson

from hfchat.types import Call

# All names of `max_tokens` on other servers.
MAX_TOKENS_NAMES = (
    "max_tokens",
    "max_completion_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "max_length",
    "n_predict",
    "num_predict",
)
# What says how to use what is offered. Where nothing is, many servers refuse the empty list, or the second without the first.
_OFFERED = {"tools": ("tool_choice", "parallel_tool_calls"), "functions": ("function_call",)}
# Names of the limit on reasoning tokens, which some servers count apart from the reply's.
_REASONING_NAMES = ("thinking_budget", "thinking_token_budget", "thinking_budget_tokens")
_NESTED_REASONING_NAMES = {
    "thinking": "budget_tokens",
    "reasoning": "max_tokens",
    "chat_template_kwargs": "thinking_budget",
}


def call_body(call: Call, *, ask_usage: bool) -> bytes:
    """The body. `ask_usage` asks for the count of tokens at the end of a stream."""
    body: dict[str, Any] = {
        **call.options,
        "model": call.model,
        "messages": [message.payload() for message in call.messages],
        "stream": call.stream,
    }
    if call.options:
        _cut_limits(body, call.max_tokens)
        _leave_out_empty(body)
    if not isinstance(body.get("max_tokens"), int):
        # A server ignores a name that it does not know, so one of the two usual ones is set; some servers refuse both together.
        body.pop("max_tokens", None)
        if not isinstance(body.get("max_completion_tokens"), int):
            body["max_tokens"] = call.max_tokens
    if call.temperature is not None:
        body["temperature"] = call.temperature
    if call.top_p is not None:
        body["top_p"] = call.top_p
    if call.stream and ask_usage:
        options = body.get("stream_options")
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    elif not call.stream:
        body.pop("stream_options", None)
    return orjson.dumps(body)


def _cut_limits(body: dict[str, Any], max_tokens: int) -> None:
    """Lower every limit that the caller set to the call's own."""
    for name in (*MAX_TOKENS_NAMES, *_REASONING_NAMES):
        if isinstance(body.get(name), int | float):
            body[name] = min(body[name], max_tokens)
    for name, inner in _NESTED_REASONING_NAMES.items():
        options = body.get(name)
        if isinstance(options, dict) and isinstance(options.get(inner), int | float):
            body[name] = {**options, inner: min(options[inner], max_tokens)}


def _leave_out_empty(body: dict[str, Any]) -> None:
    """Leave out an empty list of tools, and what says how to use them."""
    for name, others in _OFFERED.items():
        if name in body and not body[name]:
            for left_out in (name, *others):
                body.pop(left_out, None)
