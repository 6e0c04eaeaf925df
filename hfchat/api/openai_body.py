"""Request body in OpenAI's form: each listed field is passed on as it is, any other is refused. Pure."""

import codecs
from collections.abc import Collection
from typing import Any

import orjson

from hfchat.api.message_fields import ROLES, check_message
from hfchat.api.request_fields import DATA, FIELDS, check_fields
from hfchat.errors import InvalidRequest, UnsupportedInput
from hfchat.http.json_encoding import mended
from hfchat.types import MAX_TOKENS, ChatRequest, Message
from hfchat.upstream.request_body import MAX_TOKENS_NAMES

MAX_MESSAGES = 2000
MAX_REPLIES = 128
_READ_HERE = frozenset(("model", "messages", "stream"))
_LISTED = {**FIELDS, **dict.fromkeys((*MAX_TOKENS_NAMES, *_READ_HERE), DATA)}


def read_completion(body: bytes, media_hosts: Collection[str] | None = frozenset()) -> ChatRequest:
    """The request. `media_hosts` are those from which pictures may be fetched; None is any.

    Raises: InvalidRequest with the place as `param`; UnsupportedInput for a field, a part or an address that is not passed on;
    UnsupportedEncoding.
    """
    sent = _loads(body.removeprefix(codecs.BOM_UTF8))
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param="body")
    try:
        orjson.dumps(sent)  # deeper than this it can be read and not written
    except TypeError as deep:
        raise InvalidRequest("unreadable", param="body") from deep
    check_fields(sent, _LISTED)
    # A null of a field that is not listed says nothing, and does not go on.
    options = {name: value for name, value in sent.items() if name in _LISTED and name not in _READ_HERE}
    lengths = [_whole(options, name, MAX_TOKENS) for name in MAX_TOKENS_NAMES if options.get(name) is not None]
    return ChatRequest(
        messages=_messages(sent.get("messages"), media_hosts),
        model=_model(sent.get("model")),
        max_tokens=min(lengths, default=None),
        options=options,
        replies=1 if options.get("n") is None else _whole(options, "n", MAX_REPLIES),
        passthrough=True,
        stream=_stream(sent.get("stream")),
        body_bytes=len(body),
    )


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        again = mended(body)
    try:
        return orjson.loads(again)
    except ValueError as broken:
        raise InvalidRequest("not_json", param="body") from broken


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
        reason, bound = ("at_least", 1) if value < 1 else ("at_most", most)
        raise InvalidRequest(reason, params={"value": bound}, param=name)
    return value


def _messages(sent: object, media_hosts: Collection[str] | None) -> tuple[Message, ...]:
    if sent is None:
        raise InvalidRequest("required", param="messages")
    if not isinstance(sent, list):
        raise InvalidRequest("list", param="messages")
    if not sent:
        raise InvalidRequest("no_messages", param="messages")
    if len(sent) > MAX_MESSAGES:
        raise InvalidRequest("too_many_messages", params={"value": MAX_MESSAGES}, param="messages")
    return tuple(_message(message, f"messages[{place}]", media_hosts) for place, message in enumerate(sent))


def _message(sent: object, place: str, media_hosts: Collection[str] | None) -> Message:
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param=place)
    role, content = sent.get("role"), sent.get("content")
    if not isinstance(role, str) or not role:
        raise InvalidRequest("required" if role is None else "text", param=f"{place}.role")
    if role not in ROLES:
        raise UnsupportedInput("one_of", params={"value": ", ".join(ROLES)}, param=f"{place}.role")
    if content is not None and not isinstance(content, str | list):
        raise InvalidRequest("text", param=f"{place}.content")
    if len(sent) > 2 or not isinstance(content, str):  # else it is a role and a text
        check_message(sent, place, media_hosts)
    return Message(role, _text(content), sent)


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in texts if isinstance(text, str))
    return content or ""
