"""Pictures in questions. Pure. The browser stores them; a question has only a reference to each in its text.

They come beside the question that is asked, all of the conversation's, and are read as if a stranger had sent them.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hfchat.errors import InvalidRequest, UnsupportedInput
from hfchat.http.media import PICTURE_MAGIC
from hfchat.page.history import REFERENCE
from hfchat.types import Message, ModelFacts

# With what the page's script puts between a question and its pictures.
_REFERENCES = re.compile(rf"(?:\n\n)?{REFERENCE.pattern}(?: {REFERENCE.pattern})*")
_ID = re.compile(r"[0-9a-f]{32}")
_DATA = re.compile(r"data:image/(jpeg|png|webp);base64,([A-Za-z0-9+/]+={0,2})")
MAX_GIVEN_CHARS = 4 * 1024 * 1024
MAX_PICTURE_BYTES = 1_000_000
# Of a budget each takes a good part until the reply has come, and few providers take more.
MAX_SENT = 8


def has_pictures(messages: Sequence[Message]) -> bool:
    """Whether any question refers to a picture."""
    return any(message.role == "user" and REFERENCE.search(message.content) for message in messages)


def takes_none(facts: ModelFacts | None) -> bool:
    """Whether the model is known to take no pictures."""
    return facts is not None and facts.input_modalities is not None and "image" not in facts.input_modalities


def read_attachments(attachments_json: object) -> dict[str, str]:
    """The pictures and files as data URLs, by id. What is not as the page sends it is left out."""
    try:
        readable = isinstance(attachments_json, str) and 0 < len(attachments_json) <= MAX_GIVEN_CHARS
        sent: Any = json.loads(str(attachments_json)) if readable else {}
    except (ValueError, RecursionError):
        return {}
    listed = sent.items() if isinstance(sent, dict) else ()
    return {name: data for name, data in listed if _ID.fullmatch(name) and isinstance(data, str)}


def read_pictures(attachments_json: object) -> dict[str, str]:
    """The pictures as data URLs, by id."""
    return {name: data for name, data in read_attachments(attachments_json).items() if _is_picture(data)}


def _is_picture(data: str) -> bool:
    form = _DATA.fullmatch(data) if len(data) <= MAX_PICTURE_BYTES * 4 // 3 + 40 else None
    if form is None:
        return False
    try:
        picture = base64.b64decode(form[2], validate=True)
    except binascii.Error:
        return False
    return len(picture) <= MAX_PICTURE_BYTES and PICTURE_MAGIC[form[1]].match(picture) is not None


def with_pictures(
    messages: Sequence[Message],
    pictures: Mapping[str, str],
    model: str,
    facts: ModelFacts | None,
    questions: int = 1,
) -> tuple[Message, ...]:
    """The messages as the model is sent them: with the pictures that they refer to, the last of them the question.

    The newest, each once; in the place of others stands the name, and of all where the model is known to take none.
    Raises: UnsupportedInput where that model is asked about a picture; InvalidRequest where one of the question is missing.
    """
    blind = takes_none(facts)
    question = [message for message in messages if message.role == "user"][-questions:][:1]
    wanted = _references(question[0]) if question else {}
    if wanted and blind:
        raise UnsupportedInput("no_pictures", params={"value": model}, model=model)
    if len(wanted) > MAX_SENT:
        raise InvalidRequest("pictures_at_most", params={"value": MAX_SENT})
    if not wanted.keys() <= pictures.keys():
        raise InvalidRequest("picture_missing")
    left = {} if blind else dict(pictures)
    sent: list[Message] = []
    for message in reversed(messages):
        references = [
            left.pop(name) for name in _references(message) if name in left and len(pictures) - len(left) < MAX_SENT
        ]
        sent.append(_written(message, references))
    return tuple(reversed(sent))


def _references(message: Message) -> dict[str, str]:
    """The names of the pictures that a question refers to, by id."""
    references = REFERENCE.findall(message.content) if message.role == "user" else ()
    return {reference: name for name, reference in references}


def _written(message: Message, pictures: Sequence[str]) -> Message:
    if message.role != "user":
        return message
    named = replace(message, content=REFERENCE.sub(r"🖼 \1", message.content))
    if not pictures:
        return named
    text = _REFERENCES.sub("", message.content)
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text.strip() else []
    parts += [{"type": "image_url", "image_url": {"url": data}} for data in pictures]
    return replace(named, raw={"role": "user", "content": parts})
