"""Tokens without a tokenizer: never more than the most, and about what came."""

import json
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from hfchat.chat import token_count
from hfchat.chat.token_count import MAX_TOKENS_PER_PICTURE, UsageCounter, estimated_prompt_tokens, max_prompt_tokens
from hfchat.types import Call, Delta, Extras, Finish, Message, Usage
from tests.support.rows import each_row

PROSE = "The quick brown fox jumps over the lazy dog while nobody is looking, and then it goes home. " * 20


def call(*texts: str, max_tokens: int = 1000) -> Call:
    return Call("m", tuple(Message("user", text) for text in texts), max_tokens)


@each_row("text", ["", "a", "é", "日本語", "🙂" * 50, PROSE, "\ud800", "0" * 500])
def test_a_prompt_has_no_more_tokens_than_bytes_and_the_estimate_is_no_more_than_that(text: str) -> None:
    messages = call(text, text).messages
    # Two bytes: a line break between them, and SentencePiece's space.
    assert max_prompt_tokens(messages) <= 64 + 2 * (8 + len(text.encode(errors="replace"))) + 2
    assert estimated_prompt_tokens(messages) <= max_prompt_tokens(messages)


def test_an_estimate_errs_against_the_caller_by_little() -> None:
    # What tokenizers make of this English: 4.4 to 4.7 bytes a token.
    true = len(PROSE) / 4.5
    assert true < estimated_prompt_tokens(call(PROSE).messages) < 1.4 * true


LONG = "x" * 10_000
PNG = "data:image/png;base64,iVBORw0KGgo" + "A" * 100_000
# Each holds 10,000 letters that nothing but their bytes can count.
LETTERS: dict[str, dict[str, Any]] = {
    "a text": {"content": LONG},
    "a part": {"content": [{"type": "text", "text": LONG}]},
    "a part with a picture's key": {"content": [{"type": "text", "text": LONG, "image_url": "x"}]},
    "a part with a real picture's key": {"content": [{"type": "text", "text": LONG, "image_url": PNG}]},
    "a picture with a text": {"content": [{"type": "image_url", "image_url": {"url": PNG}, "text": LONG}]},
    "a picture's detail": {"content": [{"type": "image_url", "image_url": {"url": PNG, "detail": LONG}}]},
    "a picture's address": {"content": [{"type": "image_url", "image_url": {"url": f"https://a/{LONG}"}}]},
    "prose as a picture": {"content": [{"type": "image_url", "image_url": f"data:image/png;base64,{LONG}"}]},
    "a text by its data": {"content": [{"type": "image_url", "image_url": {"url": f"data:text/plain,{LONG}"}}]},
    "an unknown kind": {"content": [{"type": LONG}]},
    "a part that is a text": {"content": [LONG]},
    "a key of a part": {"content": [{"type": "text", LONG: 1}]},
    "nested": {"content": [{"type": "tool_result", "content": [{"type": "text", "text": [[[LONG]]]}]}]},
    "its role": {"role": LONG},
    "its name": {"content": "a", "name": LONG},
    "a refusal": {"content": None, "refusal": LONG},
    "what it thought": {"content": "a", "reasoning_content": LONG},
    "notes": {"content": "a", "annotations": [{"a": {"b": LONG}}]},
    "cache": {"content": "a", "cache_control": {"type": LONG}},
    "a tool's call": {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": LONG}}]},
    "a tool's name": {"content": None, "tool_calls": [{"function": {"name": LONG, "arguments": ""}}]},
    "its key": {"content": "a", LONG: 1},
    "numbers": {"content": "a", "x": [1.2345678901234567] * 600},
}


@each_row("written", LETTERS.values(), ids=LETTERS)
def test_every_letter_of_a_message_is_counted_whatever_its_key(written: dict[str, Any]) -> None:
    message = Message("user", "", {"role": "user", **written})
    # Besides what is reserved for pictures.
    assert max_prompt_tokens([message]) % MAX_TOKENS_PER_PICTURE >= 10_000
    assert estimated_prompt_tokens([message]) > 10_000 / 3.5


def test_every_letter_of_the_options_is_counted() -> None:
    for options in ({"tools": [{"x": LONG}]}, {LONG: 1}, {"stop": [LONG]}, {"a": {"b": {LONG: []}}}):
        assert max_prompt_tokens(call("a").messages, options) >= 10_000


def test_a_short_prompt_is_counted_by_its_bytes() -> None:
    for size in (0, 10, 1024):
        assert max_prompt_tokens(call("a" * size).messages) == 64 + 8 + size
    assert 64 + 8 + 300 < max_prompt_tokens(call(PROSE[:1025]).messages) < 64 + 8 + 600


def test_code_that_the_days_budget_has_room_for_can_be_sent() -> None:
    code = Path(token_count.__file__).read_text("utf-8")
    large = code * (220_000 // len(code))
    assert max_prompt_tokens(call(large).messages) + 4096 < 200_000


def test_no_estimate_is_above_what_is_reserved() -> None:
    for text in (" " * 10_000, "\n    " * 3000, "international " * 900, "the " * 3000, "日" * 3000):
        messages = call(text).messages
        assert estimated_prompt_tokens(messages) <= max_prompt_tokens(messages)


def test_tools_have_room_for_what_a_template_says_of_them() -> None:
    plain, tools = (max_prompt_tokens(call("a").messages, options) for options in ({"stop": ["a"]}, {"tools": ["a"]}))
    assert 1000 < tools - plain < 1100


def test_a_picture_is_reserved_at_its_most_and_each_of_them() -> None:
    parts = [{"type": "image_url", "image_url": {"url": PNG}}] * 1000
    messages = [Message("user", "", {"role": "user", "content": parts})]
    assert 1000 * MAX_TOKENS_PER_PICTURE < max_prompt_tokens(messages) < 1000 * (MAX_TOKENS_PER_PICTURE + 100)


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place, with {braces}, [brackets], commas: and colons.",
        "parameters": {
            "type": "object",
            "properties": {name: {"type": "string", "enum": ["a", "b", "日"]} for name in ("city", "unit", "day")},
            "required": ["city"],
        },
    },
}
NESTED: dict[str, Any] = {
    "tools": [TOOL] * 9,
    "many small values": [[0] * 5000],
    "deep": json.loads("[" * 200 + "1" + "]" * 200),
    "deep and many": json.loads("[" * 200 + ",".join("1" * 3000) + "]" * 200),
    "empty": [{}, [], {"a": {}}],
}


@pytest.mark.parametrize("value", NESTED.values(), ids=NESTED)
def test_tools_are_counted_as_a_template_writes_them(value: Any) -> None:
    indented = json.dumps(value, indent=4, ensure_ascii=False)
    bound = max_prompt_tokens(call("a").messages, {"tools": value}) - max_prompt_tokens(call("a").messages)
    # Each line is a break, its indentation and what is written.
    assert bound >= sum(2 + len(line.split()) for line in indented.splitlines())
    if len(orjson.dumps(value)) > 2000 and len(indented) < 100_000:
        assert bound < 1.6 * len(indented)


def test_a_body_that_would_be_long_to_indent_is_counted_at_once() -> None:
    options = {"tools": json.loads("[" * 200 + ",".join("1" * 500_000) + "]" * 200)}
    began = time.perf_counter()
    assert max_prompt_tokens(call("a").messages, options) > 100_000_000
    assert time.perf_counter() - began < 1


COUNTED: dict[str, tuple[list[Delta | Finish], Usage]] = {
    "by the provider": ([Delta("a b"), Finish("m", usage=Usage(7, 5))], Usage(7, 5)),
    "by the provider, nothing": ([Finish("m", usage=Usage(7, 0))], Usage(7, 0)),
    "one token in each delta": ([Delta("a ")] * 9, Usage(6, 9, estimated=True)),
    "many tokens in one delta": ([Delta("x" * 350)], Usage(6, 100, estimated=True)),
    "thoughts count": ([Delta("", "hm ")] * 4 + [Delta("a")], Usage(6, 5, estimated=True)),
    "empty deltas do not": ([Delta(), Delta("a"), Delta()], Usage(6, 1, estimated=True)),
    "as many as were asked for at the most": ([Delta("x" * 7000)], Usage(6, 1000, estimated=True)),
    "more than was asked for": ([Delta("word " * 1500)], Usage(6, 1500, estimated=True)),
    "pictures": (
        [Delta(extras=Extras(pictures=["data:image/png;base64,a", "data:image/png;base64,b"]))],
        Usage(6, 2600, estimated=True),
    ),
    "a picture that the provider counts": (
        [Delta(extras=Extras(pictures=["data:image/png;base64,a"])), Finish("m", usage=Usage(7, 258))],
        Usage(7, 258),
    ),
    "digits are worth more": ([Delta("3" * 150)], Usage(6, 100, estimated=True)),
    "signs of other scripts too": ([Delta("日" * 100)], Usage(6, 100, estimated=True)),
    "the provider gave no count": ([Delta("a "), Finish("m")], Usage(6, 1, estimated=True)),
    "the provider counted nothing of what it sent": (
        [Delta("a "), Finish("m", usage=Usage(0, 0))],
        Usage(6, 1, estimated=True),
    ),
    "by the provider, more than was asked for": ([Delta("a"), Finish("m", usage=Usage(7, 90_000))], Usage(7, 90_000)),
    "by the provider, each letter a delta": ([Delta("a")] * 108 + [Finish("m", usage=Usage(7, 30))], Usage(7, 30)),
    "by the provider, as few as it can be": ([Delta("word " * 70), Finish("m", usage=Usage(7, 70))], Usage(7, 70)),
    "by the provider, fewer than it can be": (
        [Delta("word " * 70), Finish("m", usage=Usage(7, 45))],
        Usage(7, 100, estimated=True),
    ),
    "fewer than it can be, in many deltas": (
        [*[Delta("word ")] * 70, Finish("m", usage=Usage(7, 45))],
        Usage(7, 100, estimated=True),
    ),
    "a prompt of nothing": ([Delta("a "), Finish("m", usage=Usage(0, 5))], Usage(6, 5, estimated=True)),
    "for tools": ([Delta("", "", "x" * 350)], Usage(6, 100, estimated=True)),
    "nothing came": ([], Usage(6, 0, estimated=True)),
}


@each_row(("parts", "usage"), COUNTED.values(), ids=COUNTED)
def test_what_came_is_counted_however_it_ends(parts: list[Delta | Finish], usage: Usage) -> None:
    usage_counter = UsageCounter(call("hello"))
    for part in parts:
        usage_counter.add(part)
    assert usage_counter.usage() == usage
    assert usage_counter.began == any(isinstance(part, Delta) and part != Delta() for part in parts)


def test_a_prompt_count_that_cannot_be_true_is_replaced() -> None:
    text = "word " * 2000
    for counted, prompt in ((78, estimated_prompt_tokens(call(text).messages)), (79, 79), (5000, 5000)):
        usage_counter = UsageCounter(call(text))
        usage_counter.add(Delta("a "))
        usage_counter.add(Finish("m", usage=Usage(counted, 3)))
        assert (usage_counter.usage().prompt_tokens, usage_counter.usage().completion_tokens) == (prompt, 3)


# Texts of 60 tokens or fewer on every tokenizer that was measured, in deltas as a provider may send them.
HONEST: dict[str, list[str]] = {
    "one letter in each": ["a"] * 108,
    "words": ["word "] * 60,
    "long words": ["responsibility "] * 60,
    "words with marks": ["don't ", "nhiệm ", "señor "] * 20,
    "another alphabet": ["ответственность "] * 60,
    "another alphabet, letter by letter": [*("ответственность " * 60)],
    "a script without spaces": ["中国", "国际", "组织"] * 20,
    "letters of Thailand": ["ประเทศ"] * 60,
    "letters of India": ["अंतरराष्ट्रीय "] * 60,
    "a drawn line": ["=" * 64 + "\n"] * 60,
    "a wide table": ["|", "-" * 20] * 30,
    "far indented": [" " * 40, "return "] * 30,
    "nothing": [""] * 10_000,
}


@each_row("deltas", HONEST.values(), ids=HONEST)
def test_a_reply_that_can_have_as_many_tokens_as_asked_for_is_not_cut(deltas: list[str]) -> None:
    usage_counter = UsageCounter(call("hello", max_tokens=60))
    for text in deltas:
        usage_counter.add(Delta(text))
        assert not usage_counter.limit_exceeded
    usage_counter.add(Finish("m", usage=Usage(7, 60)))
    assert usage_counter.usage() == Usage(7, 60)


# What one delta says again and again, and its tokens at the most.
ENDLESS: dict[str, tuple[str, int]] = {
    "a word": ("word ", 1),
    "many words": ("word " * 14, 14),
    "letter by letter": ("a", 1),
    "digits": ("3", 1),
    "signs": ('{"a": [', 7),
    "a script without spaces": ("国际组织", 4),
    "letters of Thailand": ("ประเทศ", 6),
    "another alphabet": ("ответственность ", 8),
    "emoji": ("😀", 3),
    "blank lines": ("\n\n", 2),
}


@each_row(("text", "tokens"), ENDLESS.values(), ids=ENDLESS)
@each_row("limit", [5, 60, 1000])
def test_a_reply_that_goes_on_is_ended_near_its_limit_and_charged_at_it(text: str, tokens: int, limit: int) -> None:
    usage_counter = UsageCounter(call("hello", max_tokens=limit))
    deltas = 0
    while not usage_counter.limit_exceeded:
        usage_counter.add(Delta(text))
        deltas += 1
        assert deltas * len(text) < 128 * (limit + limit / 6 + 16)
    if text == "word ":
        assert limit < deltas < limit * 7 / 6 + 8 + 32 / 5
    assert usage_counter.limit_exceeded
    charged = usage_counter.usage().completion_tokens
    assert limit <= charged <= limit * 7 / 6 + 8 + 32


def test_a_whole_reply_is_not_cut() -> None:
    usage_counter = UsageCounter(call("hello", max_tokens=60))
    usage_counter.add(Delta("x" * 35_000, whole=True))
    assert not usage_counter.limit_exceeded
