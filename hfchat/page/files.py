"""Text files in questions. Pure. The browser keeps them as it does pictures; a question has only a reference to each in its text.

A model is sent them as text: the name, then the content in a fence that nothing in it closes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hfchat.errors import InvalidRequest
from hfchat.page.history import FILE_REFERENCE
from hfchat.page.pictures import read_attachments
from hfchat.types import Message

# In front of a file's text, where a picture's data URL begins otherwise.
FILE_PREFIX = "data:text/plain;charset=utf-8,"
# Of a conversation's files together, the newest: about 500,000 tokens, more than most models read.
MAX_SENT_CHARS = 2_000_000
# With what the page's script puts between a question and its files.
_REFERENCES = re.compile(rf"(?:\n\n| )?{FILE_REFERENCE.pattern}(?: {FILE_REFERENCE.pattern})*")
_TICKS = re.compile(r"`{3,}")


def has_files(messages: Sequence[Message]) -> bool:
    """Whether any question refers to a file."""
    return any(message.role == "user" and FILE_REFERENCE.search(message.content) for message in messages)


def read_files(attachments_json: object) -> dict[str, str]:
    """The texts of the files, by id."""
    attachments = read_attachments(attachments_json).items()
    return {name: data.removeprefix(FILE_PREFIX) for name, data in attachments if data.startswith(FILE_PREFIX)}


def with_files(messages: Sequence[Message], files: Mapping[str, str], questions: int = 1) -> tuple[Message, ...]:
    """The messages with the files that they refer to, each once, the newest first; of others the name.

    The files of the newest question, which is the last of a user's but for `questions` - 1, must be there.
    Raises: InvalidRequest where one is missing, or they are too long together.
    """
    question = [message for message in messages if message.role == "user"][-questions:][:1]
    wanted = {reference for message in question for _, reference in FILE_REFERENCE.findall(message.content)}
    if not wanted <= files.keys():
        raise InvalidRequest("file_missing")
    if sum(len(files[reference]) for reference in wanted) > MAX_SENT_CHARS:
        raise InvalidRequest("files_too_long", params={"value": MAX_SENT_CHARS})
    left, room = dict(files), MAX_SENT_CHARS
    sent: list[Message] = []
    for message in reversed(messages):
        texts = []
        for name, reference in FILE_REFERENCE.findall(message.content) if message.role == "user" else ():
            if reference in left and len(left[reference]) <= room:
                room -= len(left[reference])
                texts.append(f"{name}\n{fenced(left.pop(reference))}")
        sent.append(_written(message, texts))
    return tuple(reversed(sent))


def fenced(text: str) -> str:
    """The text as a block of code; its fence is longer than any in the text."""
    fence = "`" * max(3, *(len(ticks) + 1 for ticks in _TICKS.findall(text)), 3)
    return f"{fence}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}"


def _written(message: Message, texts: Sequence[str]) -> Message:
    if message.role != "user" or not FILE_REFERENCE.search(message.content):
        return message
    content = _with_texts(message.content, texts)
    parts = message.raw["content"] if message.raw is not None else None
    if not isinstance(parts, list):
        return replace(message, content=content)
    pictures = [part for part in parts if part["type"] != "text"]
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    return replace(
        message,
        content=content,
        raw={"role": "user", "content": [{"type": "text", "text": _with_texts(text, texts)}, *pictures]},
    )


def _with_texts(content: str, texts: Sequence[str]) -> str:
    if not texts:
        return FILE_REFERENCE.sub(r"📄 \1", content)
    return "\n\n".join(filter(None, (_REFERENCES.sub("", content), *texts)))
