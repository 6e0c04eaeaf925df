"""Tokens without a tokenizer, which differs from model to model: the most that a prompt can be, and about what it is. Pure.

The most: no tokenizer in use makes more tokens than bytes of the text, as it is or composed (NFC, which some do first), so
a budget that is reserved by it cannot be overshot. Every byte of `messages` and `options` as they are sent is counted,
whatever its key, but the payload of a real picture, for which the most that a picture takes is. About: letters of prose
have 4 to 5 bytes a token, other signs fewer; what is written in letters only to have many tokens costs up to three times
what this says.
"""

import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from hfchat.http.media import TEXT_PARTS, is_picture, picture_url
from hfchat.types import Call, Finish, Message, Part, Usage

# Bytes a token: in words, in digits and punctuation, in other scripts.
LETTERS_A_TOKEN = 3.5
SIGNS_A_TOKEN = 1.5
OTHERS_A_TOKEN = 3.0
_LETTERS = (string.ascii_letters + " ").encode()
_ASCII = bytes(range(128))
# The most of these that one sign makes: four bytes of another script.
TOKENS_A_SIGN = 4 / OTHERS_A_TOKEN
# No tokenizer in use has a token of more bytes (Llama 3, Qwen, o200k: a run of 128 spaces is their longest).
BYTES_A_TOKEN = 128
# What a model's template puts around a message, and around the whole of a conversation.
TOKENS_A_MESSAGE = 4
MOST_TOKENS_A_MESSAGE = 8
MOST_TOKENS_A_PROMPT = 64
# What vision models make of a picture differs widely: the most is what the greediest of them make of the largest.
TOKENS_A_PICTURE = 1500
MOST_TOKENS_A_PICTURE = 16_384
# Composing adds bytes in two cases only: a sign that is always written decomposed, and a mark that takes the
# place of another in a sign of both, for example U+0323 after U+00E9. A sign decomposed has at most 8 bytes
# more than composed. A test goes through all of Unicode for both.
_DECOMPOSED = (
    "\\u0344\\u0958-\\u095f\\u09dc-\\u09df\\u0a33-\\u0a5e\\u0b5c\\u0b5d\\u0f43-\\u0fb9\\u2adc\\ufa6c\\ufacf-\\ufad7\\ufb1d-\\ufb4e"
    "\\U0001d15e-\\U0001d164\\U0001d1bb-\\U0001d1c0"
)
_MARKS = "\\u0300-\\u0345\\u0653-\\u0655\\u093c\\u0c56\\u0dca\\u3099\\u309a\\U000110ba"
# One set first: the search for it is fast.
_COMPOSED_LONGER = re.compile(rf"[{_DECOMPOSED}{_MARKS}](?:(?<=[{_DECOMPOSED}])|(?<=[^\x00-\x7f].))", re.DOTALL)
MOST_BYTES_COMPOSED = 8
COUNTED_AT_ONCE = 16_384
# As deep as JSON can be written here, and from how many bytes on it is not written out to see how long it is indented.
MAX_DEPTH = 254
_NESTED = (dict, list)
LONG_INDENTED = 1_000_000
# A budget has to hold a short question beside a reply.
SHORT_PROMPT = MOST_TOKENS_A_PROMPT + MOST_TOKENS_A_MESSAGE + 28


def max_prompt_tokens(messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> int:
    """No prompt of these messages, with the tools and forms of answer in `options`, has more tokens."""
    texts, pictures = _texts(messages, options)
    each = sum(_most(text) + MOST_TOKENS_A_MESSAGE for text in texts)
    return MOST_TOKENS_A_PROMPT + each + MOST_TOKENS_A_PICTURE * pictures + _indentation(options)


def estimated_prompt_tokens(messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> int:
    """About how many tokens the prompt has, rather more than fewer."""
    texts, pictures = _texts(messages, options)
    return math.ceil(sum(map(_about, texts))) + TOKENS_A_MESSAGE * len(texts) + TOKENS_A_PICTURE * pictures


def _texts(messages: Sequence[Message], options: Mapping[str, Any] | None) -> tuple[list[str], int]:
    """What is sent, as texts, without the payloads of real pictures; and how many parts are pictures or other media."""
    texts, pictures = [], 0
    for message in messages:
        raw = message.raw
        if raw is None:
            texts.append(message.content)
            continue
        content = raw.get("content")
        if isinstance(content, list):
            parts = [_without_payload(part) for part in content]
            raw = {**raw, "content": parts}
            pictures += sum(part is not sent or not _is_text(part) for part, sent in zip(parts, content, strict=True))
        texts.append(orjson.dumps(raw).decode())
    return texts + ([orjson.dumps(options).decode()] if options else []), pictures


def _without_payload(part: object) -> object:
    if not isinstance(part, dict) or "image_url" not in part or not is_picture(picture_url(part)):
        return part
    image = part["image_url"]
    return {**part, "image_url": {**image, "url": ""} if isinstance(image, dict) else ""}


def _is_text(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and part.get("type") in TEXT_PARTS)


def _indentation(options: Mapping[str, Any] | None) -> int:
    """The most bytes that a template adds which writes tools and other objects indented by 4, as many do."""
    if not options:
        return 0
    nested = [value for value in options.values() if isinstance(value, _NESTED)]
    if not nested:
        return 0
    compact = orjson.dumps(nested)
    opened = compact.count(b"{") + compact.count(b"[")
    lines = compact.count(b",") + 2 * opened
    most = compact.count(b":") + lines * (1 + 4 * min(opened, MAX_DEPTH))
    if most > LONG_INDENTED:
        return most
    # By 2 it is written fast; by 4 no part of what is added more than doubles.
    return 2 * (len(orjson.dumps(nested, option=orjson.OPT_INDENT_2)) - len(compact))


# By the estimate: a model that may say one token may say a word of sixty letters.
LONG_WORD_TOKENS = 16


class UsageCounter:
    """What has come of a reply so far, so that it can be charged however it ends."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._most = max(2 * call.max_tokens * call.replies, LONG_WORD_TOKENS)
        self._deltas = 0
        self._whole = False
        # What is not estimated yet, and how many signs: most replies are estimated once, at their end.
        self._texts: list[str] = []
        self._signs = 0
        self._tokens = 0.0
        self._counted: Usage | None = None

    @property
    def began(self) -> bool:
        """Whether anything came."""
        return self._deltas > 0

    @property
    def over(self) -> bool:
        """Whether so much text came that the provider cannot be holding to the limit, and more may come.

        That is twice the limit, or one long word if that is more: a delta may be a single letter, and the text is only estimated.
        """
        if self._tokens + self._signs * TOKENS_A_SIGN <= self._most or self._whole:
            return False
        return self._estimate() > self._most

    def add(self, part: Part) -> None:
        """Count a part of the reply."""
        if isinstance(part, Finish):
            self._counted = part.usage
        elif part.content or part.reasoning or part.tool_text:
            self._deltas += part.count
            self._whole = part.whole
            text = part.content + part.reasoning + part.tool_text
            self._texts.append(text)
            self._signs += len(text)

    def usage(self) -> Usage:
        """The provider's count where it is at least half of what the text that came is estimated at.

        Otherwise the larger of both; where there is no count, of the estimate and the number of deltas, each of which is a
        token or more. It may be more than was asked for, and than was reserved.
        """
        counted, tokens, call = self._counted, self._estimate(), self._call
        believed = counted is not None and self._possible(counted.prompt_tokens)
        if counted is not None and believed and 2 * counted.completion_tokens >= tokens:
            return counted
        completion = max(self._deltas if counted is None else counted.completion_tokens, math.ceil(tokens))
        prompt = counted.prompt_tokens if counted and believed else estimated_prompt_tokens(call.messages, call.options)
        return Usage(prompt, completion, estimated=True)

    def _estimate(self) -> float:
        """About how many tokens came: each text is looked at once."""
        if self._texts:
            self._tokens += _about("".join(self._texts))
            self._texts, self._signs = [], 0
        return self._tokens

    def _possible(self, prompt_tokens: int) -> bool:
        """Whether the texts of the messages fit into so many tokens: some servers leave out what they had cached."""
        return prompt_tokens * BYTES_A_TOKEN >= sum(len(message.content) for message in self._call.messages)


def _most(text: str) -> int:
    """Bytes of the text, as it is or composed."""
    if text.isascii():
        return len(text)
    # In pieces, between which other threads run: 150 ns each. What stands before a piece is looked at all the same.
    starts = range(0, len(text), COUNTED_AT_ONCE)
    longer = sum(len(_COMPOSED_LONGER.findall(text, start, start + COUNTED_AT_ONCE)) for start in starts)
    return len(_utf8(text)) + MOST_BYTES_COMPOSED * longer


def _about(text: str) -> float:
    if not text:
        return 0
    raw = _utf8(text)
    signs = raw.translate(None, _LETTERS)
    others = len(signs.translate(None, _ASCII)) if not text.isascii() else 0
    letters = len(raw) - len(signs)
    return letters / LETTERS_A_TOKEN + (len(signs) - others) / SIGNS_A_TOKEN + others / OTHERS_A_TOKEN


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")
