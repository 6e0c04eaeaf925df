"""Token count without a tokenizer, since each model has another: an upper bound and an estimate of a prompt, and usage. Pure.

Upper bound: what `token_bound` gives for the texts, so that a reservation by it cannot be exceeded. Every byte of `messages`
and `options` as they are sent is counted, except the payload of a picture, which has a bound of its own.

Estimate: letters of prose have 4 to 5 bytes a token, other characters fewer. A text written to have many tokens may have up
to three times the estimate.
"""

import math
import re
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
# No tokenizer in use has a token of more bytes (Llama 3, Qwen, o200k: a run of 128 spaces is their longest).
MAX_BYTES_PER_TOKEN = 128
# Added by a model's template, to a message and to a conversation.
TOKENS_PER_MESSAGE = 4
MAX_TOKENS_PER_MESSAGE = 8
MAX_TEMPLATE_TOKENS = 64
# Added where tools are offered: how to call them. Llama 3.1 and Qwen 3 write 100 to 200 tokens, Command R 500.
MAX_TOOLS_TEMPLATE_TOKENS = 1024
# A shorter prompt is counted by its bytes: that takes no time, and the difference is small against any budget.
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


# Lower bound of a reply: no tokenizer in use puts two words into one token, so each of these is a token or more: a word of up to
# 20 letters, and 8 more of a longer one; 4 digits; a run of other ASCII signs that no letter follows; in scripts without spaces 3
# characters (Chinese, Japanese) or 6 (Thai, Khmer, Burmese, Tibetan); 2 emoji. Less than 16 signs of white space belong to the
# word beside them. Measured on o200k, cl100k and Llama 3, over prose of 20 languages, code, tables and JSON: 0.3 to 1.0 times the
# tokens of whichever makes the fewest. Bytes a token are no such bound: they go from 3 (emoji) to 33 (a line of "=").
_AT_LEAST_A_TOKEN = re.compile(
    r"[\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff]{1,3}"
    r"|[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]{1,6}"
    r"|[\U0001f000-\U0001ffff\u2600-\u27bf\ufe0f\u200d]{1,2}"
    r"|(?<![A-Za-z'\u0080-\U0010ffff])[A-Za-z'\u0080-\U0010ffff]{1,20}|[A-Za-z'\u0080-\U0010ffff]{1,8}"
    r"|[0-9]{1,4}"
    rf"|[!-/:-@\[-`{{-~]{{1,{MAX_BYTES_PER_TOKEN}}}(?![A-Za-z'\u0080-\U0010ffff])"
    rf"|\s{{16,{MAX_BYTES_PER_TOKEN}}}"
)
LONG_WORD_TOKENS = 8
# A reply is counted in pieces of at least so many characters, so that each is counted once, and words are not cut in two.
_MIN_PIECE_CHARS = 32
# Of a reply without usage: pictures take about 1,300 tokens each (Gemini 2.5 Flash Image).
_TOKENS_PER_REPLY_PICTURE = 1300


class UsageCounter:
    """Counts a reply while it streams, so that it can be charged however it ends."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._limit = call.max_tokens * call.replies
        # A sixth more, or one long word: some servers count the end of a thought, or of a turn, apart.
        self._cut_at = self._limit + max(self._limit // 6, LONG_WORD_TOKENS)
        self._deltas = 0
        self._pictures = 0
        self._whole = False
        # Texts that are not counted yet, and their length.
        self._texts: list[str] = []
        self._chars = 0
        # So many characters of them are fewer tokens than are left.
        self._countable_chars = max(self._cut_at, _MIN_PIECE_CHARS)
        # Of the texts before: the least tokens, and the estimate.
        self._least = 0
        self._tokens = 0.0
        self._provider_usage: Usage | None = None

    @property
    def began(self) -> bool:
        """Whether any delta came."""
        return self._deltas > 0 or self._pictures > 0

    @property
    def limit_exceeded(self) -> bool:
        """Whether more may come although the reply has more tokens than it may have: the provider must be ignoring the limit.

        A delta may be a single letter, or many words, so the text is counted, by its lower bound.
        """
        if self._chars <= self._countable_chars or self._whole:
            return False
        self._count()
        left = self._cut_at - self._least
        self._countable_chars = max(left, _MIN_PIECE_CHARS) if left >= 0 else -1
        return left < 0

    def add(self, part: Part) -> None:
        """Count a part of the reply."""
        if isinstance(part, Finish):
            self._provider_usage = part.usage
            return
        if part.extras is not None:
            self._pictures += len(part.extras.pictures)
        if part.content or part.reasoning or part.tool_text:
            self._deltas += part.count
            self._whole = part.whole
            text = part.content + part.reasoning + part.tool_text
            self._texts.append(text)
            self._chars += len(text)

    def usage(self) -> Usage:
        """The provider's usage, where the reply can have so few tokens.

        Otherwise the estimate, or the number of deltas, where these are more: a delta is a token as a rule. Neither is
        charged beyond the limit of the call, but the lower bound is: so it may exceed the reservation.
        """
        usage, call = self._provider_usage, self._call
        plausible = usage is not None and self._plausible(usage.prompt_tokens)
        if usage is not None and plausible and self._can_be(usage.completion_tokens):
            return usage
        self._count(to_the_end=True)
        deltas = self._deltas if usage is None else usage.completion_tokens
        tokens = max(self._least, min(max(deltas, math.ceil(self._tokens)), self._limit))
        completion = max(tokens + _TOKENS_PER_REPLY_PICTURE * self._pictures, usage.completion_tokens if usage else 0)
        prompt = usage.prompt_tokens if usage and plausible else estimated_prompt_tokens(call.messages, call.options)
        return Usage(prompt, completion, estimated=True)

    def _can_be(self, tokens: int) -> bool:
        """Whether the reply can have so few tokens. The estimate is looked at first: it is a hundred times as fast."""
        if tokens >= self._least and 2 * tokens >= self._tokens + _estimated_tokens("".join(self._texts)):
            return True
        self._count(to_the_end=True)
        return tokens >= self._least

    def _count(self, *, to_the_end: bool = False) -> None:
        """Count the texts that are not counted yet; without the last word, of which more may come, unless it is `to_the_end`."""
        if not self._texts:
            return
        text, rest = "".join(self._texts), ""
        end = text.rfind(" ", -MAX_BYTES_PER_TOKEN)
        if end >= 0 and not to_the_end:
            text, rest = text[:end], text[end:]
        self._least += len(_AT_LEAST_A_TOKEN.findall(text))
        self._tokens += _estimated_tokens(text)
        self._texts, self._chars = [rest] if rest else [], len(rest)

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
