"""Tokens without a tokenizer, which differs from model to model: the most that a text can be, and about what it is. Pure.

The most: no tokenizer in use makes more tokens than bytes of the text, as it is or composed (NFC, which some do first), so
a budget that is reserved by it cannot be overshot. About: letters of prose have 4 to 5 bytes a token, other signs fewer;
what is written in letters only to have many tokens costs up to three times what this says.
"""

import math
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from hfchat.types import Call, Finish, Message, Part, Usage

# Bytes a token: in words, in digits and punctuation, in other scripts.
LETTERS_A_TOKEN = 3.5
SIGNS_A_TOKEN = 1.5
OTHERS_A_TOKEN = 3.0
_LETTERS = (string.ascii_letters + " ").encode()
_ASCII = bytes(range(128))
# What a model's template puts around a message, and around the whole of a conversation.
TOKENS_A_MESSAGE = 4
MOST_TOKENS_A_MESSAGE = 8
MOST_TOKENS_A_PROMPT = 64
# What vision models make of a picture differs widely: the most is what the greediest of them make of the largest.
TOKENS_A_PICTURE = 1500
MOST_TOKENS_A_PICTURE = 16_384
# A sign may become three times as long when it is composed; for long texts all are taken to.
LONG_TEXT = 200_000
LONGEST_COMPOSED = 3
# A budget has to hold a short question beside a reply.
SHORT_PROMPT = MOST_TOKENS_A_PROMPT + MOST_TOKENS_A_MESSAGE + 28


def prompt_at_most(messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> int:
    """No prompt of these messages, with the tools and forms of answer in `options`, has more tokens."""
    texts, pictures = _shown(messages, options)
    each = sum(_most(text) + MOST_TOKENS_A_MESSAGE for text in texts)
    return MOST_TOKENS_A_PROMPT + each + MOST_TOKENS_A_PICTURE * pictures


def prompt_about(messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> int:
    """About how many tokens the prompt has, rather more than fewer."""
    texts, pictures = _shown(messages, options)
    return math.ceil(sum(map(_about, texts))) + TOKENS_A_MESSAGE * len(texts) + TOKENS_A_PICTURE * pictures


def _shown(messages: Sequence[Message], options: Mapping[str, Any] | None) -> tuple[list[str], int]:
    """The texts that a model is shown, and how many pictures: a picture's bytes are no text."""
    texts, pictures = [], 0
    for message in messages:
        written = message.written
        if written is None:
            texts.append(message.content)
            continue
        content = written.get("content")
        if isinstance(content, list):
            # What is no text, a film or a file, is at least a picture, and counts by its bytes too.
            pictures += sum(not isinstance(part, dict) or part.get("type") != "text" for part in content)
            kept = [part for part in content if not isinstance(part, dict) or "image_url" not in part]
            written = {**written, "content": kept}
        texts.append(orjson.dumps(written).decode())
    return texts + ([orjson.dumps(options).decode()] if options else []), pictures


class Tally:
    """What has come of a reply so far, so that it can be charged however it ends."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._deltas = 0
        self._said: list[str] = []
        self._counted: Usage | None = None

    @property
    def began(self) -> bool:
        """Whether anything came."""
        return self._deltas > 0

    @property
    def over(self) -> bool:
        """Whether more came than was asked for: a delta is a token or more."""
        return self._deltas > self._call.max_tokens * self._call.replies

    def add(self, part: Part) -> None:
        """Count a part of the reply."""
        if isinstance(part, Finish):
            self._counted = part.usage
        elif part.content or part.reasoning or part.unseen:
            self._deltas += part.count
            self._said += (part.content, part.reasoning, part.unseen)

    def usage(self) -> Usage:
        """The provider's count; where it gave none, or none of what it sent, an estimate.

        A delta is a token or more, and some providers send many tokens in one.
        """
        counted = self._counted
        if counted is not None and (counted.completion_tokens or not self.began):
            return counted
        completion = max(self._deltas, math.ceil(_about("".join(self._said))))
        call = self._call
        completion = min(completion, call.max_tokens * call.replies)
        return Usage(prompt_about(call.messages, call.options), completion, estimated=True)


def _most(text: str) -> int:
    """Bytes of the text, each sign at its longest: composing several never makes them longer, and all at once takes long."""
    if text.isascii():
        return len(text)
    if len(text) > LONG_TEXT:
        return LONGEST_COMPOSED * len(_utf8(text))
    return sum(times * _most_of(sign) for sign, times in Counter(text).items())


@lru_cache(10_000)
def _most_of(sign: str) -> int:
    return max(len(_utf8(sign)), len(_utf8(unicodedata.normalize("NFC", sign))))


def _about(text: str) -> float:
    if not text:
        return 0
    written = _utf8(text)
    signs = written.translate(None, _LETTERS)
    others = len(signs.translate(None, _ASCII)) if not text.isascii() else 0
    letters = len(written) - len(signs)
    return letters / LETTERS_A_TOKEN + (len(signs) - others) / SIGNS_A_TOKEN + others / OTHERS_A_TOKEN


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")
