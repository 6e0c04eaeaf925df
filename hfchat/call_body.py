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


def call_body(call: Call, *, ask_usage: bool) -> bytes:
    """The body. `ask_usage` asks for the count of tokens at the end of a stream."""
    body: dict[str, Any] = {
        **call.options,
        "model": call.model,
        "messages": [message.as_sent() for message in call.messages],
        "stream": call.stream,
    }
    for name in LENGTHS:
        if isinstance(body.get(name), int):
            body[name] = min(body[name], call.max_tokens)
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
