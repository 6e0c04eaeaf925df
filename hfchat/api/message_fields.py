"""Allow-list of a message's fields and parts in OpenAI's form: texts, and pictures by an address that may be fetched. Pure.

Films, sounds and files are refused, because their cost cannot be computed from what is sent. A WAV of one sample a second, or a
FLAC of silence, has fewer bytes than tokens, so its bytes are no upper bound.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from hfchat.api.request_fields import DATA, MAX_PARAM_CHARS, SCALAR, SWITCH, Kind, check_fields
from hfchat.chat.conversation import INSTRUCTION_ROLES
from hfchat.errors import InvalidRequest, UnsupportedInput
from hfchat.http.media import PICTURE_PARTS, may_be_fetched, picture_url

# What names a medium, in any server's form.
_MEDIUM = re.compile(
    r"(input_?|inline_?)?(images?|audios?|videos?|files?|media|documents?|source|pixel_values)"
    r"(_?(urls?|uri|ids?|data|embeds|pil))?",
    re.IGNORECASE,
)
# Data that a tool is called with: no server fetches what it names.
_ARGUMENTS = ("arguments", "input", "args")
MAX_KIND_CHARS = 60
# A template may write a role as it is.
ROLES = (*INSTRUCTION_ROLES, "user", "assistant", "tool", "function")


def _no_media(value: object, path: str) -> None:
    """Raises: UnsupportedInput where a medium is named at any depth."""
    path = path[:MAX_PARAM_CHARS]  # a long name would be written anew for each value inside
    if isinstance(value, list):
        for index, item in enumerate(value):
            _no_media(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and _MEDIUM.fullmatch(kind):
            raise _refuse_part(kind, f"{path}.type")
        for name, held in value.items():
            if held is None or name in _ARGUMENTS:
                continue
            if _MEDIUM.fullmatch(name):
                raise _refuse_part(name, f"{path}.{name}")
            _no_media(held, f"{path}.{name}")


def _refuse_part(kind: str, path: str) -> UnsupportedInput:
    return UnsupportedInput("part_refused", params={"value": kind[:MAX_KIND_CHARS]}, param=path[:MAX_PARAM_CHARS])


def _text(value: object, path: str) -> None:
    if not isinstance(value, str):
        raise InvalidRequest("text", param=path)


_PLAIN = Kind(_no_media, {})
_TEXT = Kind(_text, {"type": ["string", "null"]})
MESSAGE_FIELDS: Mapping[str, Kind] = {
    "role": DATA,  # these two are checked before
    "content": DATA,
    **dict.fromkeys(("name", "id", "refusal", "tool_call_id", "tool_name", "tool_plan"), SCALAR),
    **dict.fromkeys(("reasoning", "reasoning_content", "reasoning_text", "thinking", "signature"), _PLAIN),
    **dict.fromkeys(("tool_calls", "function_call", "cache_control", "provider_specific_fields"), _PLAIN),
    **dict.fromkeys(("annotations", "citations", "reasoning_details", "thinking_blocks"), _PLAIN),
    **dict.fromkeys(("prefix", "partial"), SWITCH),  # DeepSeek, Mistral, Qwen: the reply begins with this message
    "parsed": DATA,  # OpenAI's client adds it to what a model wrote
}
_OF_ANY_PART: Mapping[str, Kind] = {"type": DATA, "cache_control": _PLAIN}
_TEXT_PART: Mapping[str, Kind] = {**_OF_ANY_PART, "text": _TEXT, "annotations": _PLAIN}
PARTS: Mapping[str, Mapping[str, Kind]] = {
    "text": _TEXT_PART,
    "input_text": _TEXT_PART,
    "output_text": _TEXT_PART,
    "refusal": {**_OF_ANY_PART, "refusal": _TEXT},
    "thinking": {**_OF_ANY_PART, "thinking": _PLAIN, "signature": SCALAR, "closed": SCALAR},
    "image_url": {**_OF_ANY_PART, "image_url": DATA},
    "input_image": {**_OF_ANY_PART, "image_url": DATA, "detail": SWITCH},
}
TEXT_PARTS_ONLY = {kind: fields for kind, fields in PARTS.items() if "text" in fields}
PICTURE: Mapping[str, Kind] = {"url": DATA, "detail": SWITCH}


def check_message(message: Mapping[str, Any], path: str, media_hosts: Collection[str] | None) -> None:
    """Check every field of a message, and every part of its content. `media_hosts`: as `media.may_be_fetched` takes them.

    Raises: UnsupportedInput for a field, a kind of part or an address that is not passed on; InvalidRequest.
    """
    check_fields(message, MESSAGE_FIELDS, f"{path}.")
    content = message.get("content")
    if isinstance(content, list):
        # All instructions become one text.
        fields = TEXT_PARTS_ONLY if message.get("role") in INSTRUCTION_ROLES else PARTS
        for index, part in enumerate(content):
            _check_part(part, f"{path}.content[{index}]", media_hosts, fields)


def _check_part(
    part: object, path: str, media_hosts: Collection[str] | None, parts: Mapping[str, Mapping[str, Kind]]
) -> None:
    if not isinstance(part, dict):
        raise InvalidRequest("object", param=path)
    kind = part.get("type")
    if not isinstance(kind, str):
        raise InvalidRequest("required" if kind is None else "text", param=f"{path}.type")
    fields = parts.get(kind)
    if fields is None:
        raise _refuse_part(kind, f"{path}.type")
    check_fields(part, fields, f"{path}.")
    if kind in PICTURE_PARTS:
        image, place = part.get("image_url"), f"{path}.image_url"
        if isinstance(image, dict):
            check_fields(image, PICTURE, f"{place}.")
            place += ".url"
        if not may_be_fetched(picture_url(part), media_hosts):
            raise UnsupportedInput("picture_address", param=place)
