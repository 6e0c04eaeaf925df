"""Pure: a body in OpenAI's form as a request. What the policy needs is checked; everything else passes as it is written."""

import codecs
from typing import Any

import orjson

from hfchat.call_body import LENGTHS
from hfchat.errors import InvalidRequest, UnsupportedInput
from hfchat.types import ChatRequest, Message

MAX_MESSAGES = 2000
MAX_REPLIES = 128
MAX_TOKENS = 1_000_000
# What some servers know, and would go around a policy: other models than the one named, more replies than are returned,
# or a prompt without its beginning, where the owner's stands.
AROUND_A_POLICY = (
    *("models", "model_list", "fallbacks", "fallback_models", "route"),
    *("best_of", "use_beam_search", "beam_width", "num_return_sequences"),
    *("chat_template", "truncate_prompt_tokens", "extra_body"),
)


def read_completion(body: bytes) -> ChatRequest:
    """The request. Raises: InvalidRequest with the place as `param`; UnsupportedInput for what would go around a policy."""
    try:
        sent = orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    except ValueError as broken:
        raise InvalidRequest("not_json", param="body") from broken
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param="body")
    try:
        orjson.dumps(sent)  # deeper than this it can be read and not written
    except TypeError as deep:
        raise InvalidRequest("unreadable", param="body") from deep
    options = {name: value for name, value in sent.items() if name not in ("model", "messages", "stream")}
    for name in AROUND_A_POLICY:
        if options.get(name) is not None:
            raise UnsupportedInput("unknown_field", param=name)
    lengths = [_whole(options, name, MAX_TOKENS) for name in LENGTHS if options.get(name) is not None]
    return ChatRequest(
        messages=_messages(sent.get("messages")),
        model=_model(sent.get("model")),
        max_tokens=min(lengths, default=None),
        options=options,
        replies=1 if options.get("n") is None else _whole(options, "n", MAX_REPLIES),
        verbatim=True,
        stream=_stream(sent.get("stream")),
    )


def _model(model: object) -> str | None:
    if model is not None and not isinstance(model, str):
        raise InvalidRequest("text", param="model")
    return model or None


def _stream(stream: object) -> bool:
    if not isinstance(stream, bool | None):
        raise InvalidRequest("boolean", param="stream")
    return bool(stream)


def _whole(options: dict[str, Any], name: str, most: int) -> int:
    value = options[name]
    if isinstance(value, float) and value.is_integer():  # 1.0 is an integer in JSON Schema, and in some languages
        value = options[name] = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest("whole_number", param=name)
    if not 1 <= value <= most:
        raise InvalidRequest(f"at_least|{1}" if value < 1 else f"at_most|{most}", param=name)
    return value


def _messages(sent: object) -> tuple[Message, ...]:
    if sent is None:
        raise InvalidRequest("required", param="messages")
    if not isinstance(sent, list):
        raise InvalidRequest("list", param="messages")
    if not sent:
        raise InvalidRequest("no_messages", param="messages")
    if len(sent) > MAX_MESSAGES:
        raise InvalidRequest(f"too_many_messages|{MAX_MESSAGES}", param="messages")
    return tuple(_message(message, f"messages[{place}]") for place, message in enumerate(sent))


def _message(sent: object, place: str) -> Message:
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param=place)
    role, content = sent.get("role"), sent.get("content")
    if not isinstance(role, str) or not role:
        raise InvalidRequest("required" if role is None else "text", param=f"{place}.role")
    if content is not None and not isinstance(content, str | list):
        raise InvalidRequest("text", param=f"{place}.content")
    return Message(role, _text(content), sent)


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in texts if isinstance(text, str))
    return content or ""
