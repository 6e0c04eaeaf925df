"""Tokens without a tokenizer: never more than the most, and about what came."""

import pytest

from hfchat.counting import Tally, prompt_about, prompt_at_most
from hfchat.types import Call, Delta, Finish, Message, Usage

PROSE = "The quick brown fox jumps over the lazy dog while nobody is looking, and then it goes home. " * 20


def call(*texts: str, max_tokens: int = 1000) -> Call:
    return Call("m", tuple(Message("user", text) for text in texts), max_tokens)


@pytest.mark.parametrize("text", ["", "a", "é", "日本語", "🙂" * 50, PROSE, "\ud800", "0" * 500])
def test_a_prompt_has_no_more_tokens_than_bytes_and_the_estimate_is_no_more_than_that(text: str) -> None:
    messages = call(text, text).messages
    assert prompt_at_most(messages) == 64 + 2 * (8 + len(text.encode(errors="replace")))
    assert prompt_about(messages) <= prompt_at_most(messages)


def test_a_text_that_grows_when_it_is_composed_is_taken_at_its_longest() -> None:
    assert prompt_at_most(call("\U0001d160" * 10).messages) == 64 + 8 + 120
    assert prompt_at_most(call("e\u0301" * 10).messages) == 64 + 8 + 30


def test_an_estimate_errs_against_the_caller_by_little() -> None:
    # What tokenizers make of this English: 4.4 to 4.7 bytes a token.
    true = len(PROSE) / 4.5
    assert true < prompt_about(call(PROSE).messages) < 1.4 * true


COUNTED: dict[str, tuple[list[Delta | Finish], Usage]] = {
    "by the provider": ([Delta("a b"), Finish("m", usage=Usage(7, 5))], Usage(7, 5)),
    "by the provider, nothing": ([Finish("m", usage=Usage(7, 0))], Usage(7, 0)),
    "one token in each delta": ([Delta("a ")] * 9, Usage(6, 9, estimated=True)),
    "many tokens in one delta": ([Delta("x" * 350)], Usage(6, 100, estimated=True)),
    "thoughts count": ([Delta("", "hm ")] * 4 + [Delta("a")], Usage(6, 5, estimated=True)),
    "empty deltas do not": ([Delta(), Delta("a"), Delta()], Usage(6, 1, estimated=True)),
    "more than was asked for": ([Delta("x" * 35_000)], Usage(6, 10_000, estimated=True)),
    "digits are worth more": ([Delta("3" * 150)], Usage(6, 100, estimated=True)),
    "signs of other scripts too": ([Delta("日" * 100)], Usage(6, 100, estimated=True)),
    "the provider gave no count": ([Delta("a "), Finish("m")], Usage(6, 1, estimated=True)),
    "the provider counted nothing of what it sent": (
        [Delta("a "), Finish("m", usage=Usage(0, 0))],
        Usage(6, 1, estimated=True),
    ),
    "nothing came": ([], Usage(6, 0, estimated=True)),
}


@pytest.mark.parametrize(("parts", "usage"), COUNTED.values(), ids=COUNTED)
def test_what_came_is_counted_however_it_ends(parts: list[Delta | Finish], usage: Usage) -> None:
    tally = Tally(call("hello"))
    for part in parts:
        tally.add(part)
    assert tally.usage() == usage
    assert tally.began == any(isinstance(part, Delta) and part != Delta() for part in parts)
