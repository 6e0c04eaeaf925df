"""Pure: a call as the JSON body that a chat completions server takes."""

from typing import Any

import orjson

from hfchat.types import Call

# Other servers' names for `max_tokens`; each is cut, so that none gets around it.
LENGTHS = (
    "max_tokens",
    "max_completion_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "max_length",
    "n_predict",
    "num_predict",
)
# How many tokens a model may think; some servers count them beside the reply's.
THOUGHTS = ("thinking_budget", "thinking_token_budget", "thinking_budget_tokens")
THOUGHTS_OF = {"thinking": "budget_tokens", "reasoning": "max_tokens", "chat_template_kwargs": "thinking_budget"}


def call_body(call: Call, *, ask_usage: bool) -> bytes:
    """The body. `ask_usage` asks for the count of tokens at the end of a stream."""
    body: dict[str, Any] = {
        **call.options,
        "model": call.model,
        "messages": [message.as_sent() for message in call.messages],
        "stream": call.stream,
    }
    if call.options:
        _cut(body, call.max_tokens)
    if not isinstance(body.get("max_tokens"), int):
        # A server that does not know the name that was used would know no limit; two of the usual ones some refuse.
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


def _cut(body: dict[str, Any], max_tokens: int) -> None:
    """Cut every limit that a caller set to the call's own."""
    for name in (*LENGTHS, *THOUGHTS):
        if isinstance(body.get(name), int | float):
            body[name] = min(body[name], max_tokens)
    for name, inner in THOUGHTS_OF.items():
        held = body.get(name)
        if isinstance(held, dict) and isinstance(held.get(inner), int | float):
            body[name] = {**held, inner: min(held[inner], max_tokens)}
