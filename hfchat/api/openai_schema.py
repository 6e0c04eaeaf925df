"""JSON Schema of `/v1/chat/completions` for the OpenAPI document: the fields that are passed on, and the answer."""

from collections.abc import Iterable, Mapping
from typing import Any

from hfchat.api.message_fields import MESSAGE_FIELDS, PARTS, PICTURE, ROLES, TEXT_PARTS_ONLY
from hfchat.api.openai_body import MAX_MESSAGES, MAX_REPLIES
from hfchat.api.request_fields import FIELDS, Kind
from hfchat.chat.conversation import INSTRUCTION_ROLES
from hfchat.http.media import PICTURE_PARTS
from hfchat.types import MAX_TOKENS, MODEL_ID
from hfchat.upstream.request_body import MAX_TOKENS_NAMES


def _to(most: int, description: str) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": 1, "maximum": most, "description": description}


def _object(kinds: Mapping[str, Kind], **properties: Any) -> dict[str, Any]:
    """The schema of an object whose fields are listed."""
    listed = {name: kind.schema for name, kind in kinds.items()}
    return {"type": "object", "properties": {**listed, **properties}, "additionalProperties": False}


_PICTURE_URL = {
    "type": "string",
    "pattern": "^data:image/png;base64,iVBORw0KGgo[A-Za-z0-9+/]*$",
    "description": "A `data:image/...` URL, or an https address of a host that is allowed.",
}
_PICTURE = {"anyOf": [_PICTURE_URL, {**_object(PICTURE, url=_PICTURE_URL), "required": ["url"]}]}


def _part(kind: str, fields: Mapping[str, Kind]) -> dict[str, Any]:
    picture = {"image_url": _PICTURE} if kind in PICTURE_PARTS else {}
    return {**_object(fields, type={"const": kind}, **picture), "required": ["type", *picture]}


def _message(roles: Iterable[str], parts: Mapping[str, Mapping[str, Kind]], description: str) -> dict[str, Any]:
    part = {"anyOf": [_part(kind, fields) for kind, fields in parts.items()]}
    content = {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": part}], "description": description}
    return {**_object(MESSAGE_FIELDS, role={"enum": sorted(roles)}, content=content), "required": ["role"]}


_MESSAGE = {
    "anyOf": [
        _message(set(ROLES) - set(INSTRUCTION_ROLES), PARTS, "A text, or parts: texts and pictures."),
        _message(INSTRUCTION_ROLES, TEXT_PARTS_ONLY, "A text, or parts of text."),
    ]
}

COMPLETION: dict[str, Any] = {
    **_object(
        FIELDS,
        messages={"type": "array", "minItems": 1, "maxItems": MAX_MESSAGES, "items": _MESSAGE},
        model={
            "type": ["string", "null"],
            "pattern": f"^({MODEL_ID.pattern})?$",
            "description": "One that this chat offers.",
        },
        stream={"type": ["boolean", "null"], "description": "Server-sent events instead of one JSON object."},
        n=_to(MAX_REPLIES, "Several replies, each of which counts."),
        **{name: _to(MAX_TOKENS, "Cut to the owner's limit.") for name in MAX_TOKENS_NAMES},
    ),
    "title": "CompletionBody",
    "description": "A request of OpenAI's chat completions. The fields that are listed pass to the provider as they are.",
    "required": ["messages"],
    "examples": [{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}],
}

ANSWER: dict[str, Any] = {
    "type": "object",
    "title": "Completion",
    "description": "The provider's own answer.",
    "required": ["choices"],
    "properties": {"choices": {"type": "array", "items": {"type": "object"}}},
}
