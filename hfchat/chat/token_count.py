"""Token count without a tokenizer, since each model has another: an upper bound and an estimate of a prompt, and usage. Pure.

Upper bound: what `token_bound` gives for the texts, so that a reservation by it cannot be exceeded. Every byte of `messages`
and `options` as they are sent is counted, except the payload of a picture, which has a bound of its own.

Estimate: letters of prose have 4 to 5 bytes a token, other characters fewer. A text written to have many tokens may have up
to three times the estimate.
"""

import math
import string
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from hfchat.chat.token_bound import max_text_tokens
from hfchat.http.media import TEXT_PARTS, is_picture, picture_url
from hfchat.types import Call, Finish, Message, Part, Usage

# Bytes a token: in words, in digits and punctuation, in other scripts.
LETTER_BYTES_PER_TOKEN = 3.5
ASCII_BYTES_PER_TOKEN = 1.5
UNICODE_BYTES_PER_TOKEN = 3.0
_LETTERS = (string.ascii_letters + " ").encode()
_ASCII = bytes(range(128))
# The most that one character is estimated at: four bytes of another script.
MAX_TOKENS_PER_CHARACTER = 4 / UNICODE_BYTES_PER_TOKEN
# No tokenizer in use has a token of more bytes (Llama 3, Qwen, o200k: a run of 128 spaces is their longest).
MAX_BYTES_PER_TOKEN = 128
# Added by a model's template, to a message and to a conversation.
TOKENS_PER_MESSAGE = 4
MAX_TOKENS_PER_MESSAGE = 8
MAX_TEMPLATE_TOKENS = 64
# Added where tools are offered: how to call them. Llama 3.1 and Qwen 3 write 100 to 200 tokens, Command R 500.
MAX_TOOLS_TEMPLATE_TOKENS = 1024
# A prompt of so few bytes is counted by them: that costs nothing, and no budget turns on it.
SHORT_PROMPT_BYTES = 1024
# Vision models differ widely in tokens a picture; the bound is the most that any makes of the largest.
TOKENS_PER_PICTURE = 1500
MAX_TOKENS_PER_PICTURE = 16_384
# The depth that orjson writes, and the bound from which on the indented JSON is not written out to be measured.
MAX_DEPTH = 254
_NESTED = (dict, list)
LONG_INDENTED = 1_000_000
# The smallest budget has room for a short question besides a reply.
SHORT_PROMPT = MAX_TEMPLATE_TOKENS + MAX_TOKENS_PER_MESSAGE + 28


def max_prompt_tokens(messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> int:
    """The upper bound of the prompt of these messages, with the tools and response formats in `options`."""
    texts, pictures = _texts(messages, options)
    text = "\n".join(texts)
    text_tokens = len(text) if len(text) <= SHORT_PROMPT_BYTES and text.isascii() else max_text_tokens(text)
    template_tokens = MAX_TEMPLATE_TOKENS + MAX_TOKENS_PER_MESSAGE * len(texts)
    if options and (options.get("tools") or options.get("functions")):
        template_tokens += MAX_TOOLS_TEMPLATE_TOKENS
    return template_tokens + text_tokens + MAX_TOKENS_PER_PICTURE * pictures + _indentation(options)


def estimated_prompt_tokens(messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> int:
    """The estimate of the prompt, rather too high than too low, and never above its upper bound."""
    texts, pictures = _texts(messages, options)
    added = TOKENS_PER_MESSAGE * len(texts) + TOKENS_PER_PICTURE * pictures
    return min(math.ceil(sum(map(_estimated_tokens, texts))) + added, max_prompt_tokens(messages, options))


def _texts(messages: Sequence[Message], options: Mapping[str, Any] | None) -> tuple[list[str], int]:
    """The texts to send, without the payloads of pictures; and the number of parts that are pictures or other media."""
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
            pictures += sum(part is not full or not _is_text(part) for part, full in zip(parts, content, strict=True))
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
    """The most tokens that a template adds by indenting tools and other objects by 4, as many do."""
    nested = [value for value in options.values() if isinstance(value, _NESTED)] if options else []
    if not nested:
        return 0
    compact = orjson.dumps(nested)
    brackets = compact.count(b"{") + compact.count(b"[")
    lines = compact.count(b",") + 2 * brackets
    spaces = compact.count(b":") + lines * 4 * min(brackets, MAX_DEPTH)
    if spaces <= LONG_INDENTED:
        # orjson indents by 2.
        indented = orjson.dumps(nested, option=orjson.OPT_INDENT_2)
        lines = indented.count(b"\n")
        spaces = 2 * (len(indented) - len(compact) - lines)
    # A line break, and a run of spaces, of which no tokenizer takes less than 4 as one token.
    return 2 * lines + math.ceil(spaces / 4)


# In the estimate: one token may be a word of sixty letters.
LONG_WORD_TOKENS = 16


class UsageCounter:
    """Counts a reply while it streams, so that it can be charged however it ends."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._max_tokens = max(2 * call.max_tokens * call.replies, LONG_WORD_TOKENS)
        self._deltas = 0
        self._whole = False
        # Texts that are not estimated yet, and their length: most replies are estimated once, at their end.
        self._texts: list[str] = []
        self._chars = 0
        self._tokens = 0.0
        self._provider_usage: Usage | None = None

    @property
    def began(self) -> bool:
        """Whether any delta came."""
        return self._deltas > 0

    @property
    def limit_exceeded(self) -> bool:
        """Whether more may come although the reply is so long that the provider must be ignoring the limit.

        That is twice the limit, or one long word if that is more: a delta may be a single letter, and tokens are estimated.
        """
        if self._tokens + self._chars * MAX_TOKENS_PER_CHARACTER <= self._max_tokens or self._whole:
            return False
        return self._estimate() > self._max_tokens

    def add(self, part: Part) -> None:
        """Count a part of the reply."""
        if isinstance(part, Finish):
            self._provider_usage = part.usage
        elif part.content or part.reasoning or part.tool_text:
            self._deltas += part.count
            self._whole = part.whole
            text = part.content + part.reasoning + part.tool_text
            self._texts.append(text)
            self._chars += len(text)

    def usage(self) -> Usage:
        """The provider's usage, where its completion tokens are at least half of the estimate.

        Otherwise the larger of the two; without a provider's usage, the larger of the estimate and the number of deltas, each of
        which is a token or more. It may exceed the reservation.
        """
        usage, tokens, call = self._provider_usage, self._estimate(), self._call
        plausible = usage is not None and self._plausible(usage.prompt_tokens)
        if usage is not None and plausible and 2 * usage.completion_tokens >= tokens:
            return usage
        completion = max(self._deltas if usage is None else usage.completion_tokens, math.ceil(tokens))
        prompt = usage.prompt_tokens if usage and plausible else estimated_prompt_tokens(call.messages, call.options)
        return Usage(prompt, completion, estimated=True)

    def _estimate(self) -> float:
        """The estimate of the reply; each text is estimated once."""
        if self._texts:
            self._tokens += _estimated_tokens("".join(self._texts))
            self._texts, self._chars = [], 0
        return self._tokens

    def _plausible(self, prompt_tokens: int) -> bool:
        """Whether the messages can have so few tokens: some servers leave out what they had cached."""
        return prompt_tokens * MAX_BYTES_PER_TOKEN >= sum(len(message.content) for message in self._call.messages)


def _estimated_tokens(text: str) -> float:
    if not text:
        return 0
    raw = _utf8(text)
    rest = raw.translate(None, _LETTERS)
    others = len(rest.translate(None, _ASCII)) if not text.isascii() else 0
    letters = len(raw) - len(rest)
    return (
        letters / LETTER_BYTES_PER_TOKEN
        + (len(rest) - others) / ASCII_BYTES_PER_TOKEN
        + others / UNICODE_BYTES_PER_TOKEN
    )


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")
