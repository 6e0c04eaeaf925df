"""A chunk that is read by what stands around its word says what it says when it is parsed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.errors import UpstreamInvalidResponse
from hfchat.upstream import chunks
from hfchat.upstream.chunks import Frame, loads, plain_word
from tests.support.rows import each_row


def chunk(word: Any, **more: Any) -> str:
    return json.dumps(
        {"id": "c-1", "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}], **more}
    )


def learnt(data: str) -> Frame:
    frame = Frame()
    word = plain_word(loads(data))
    assert word is not None
    frame.learn(data, word)
    return frame


def test_the_next_word_in_the_same_frame_need_not_be_parsed() -> None:
    frame = learnt(chunk("Hello"))
    for word in ("there", "", " ", "{}", "señor", "日本", "😀", "Hello"):
        assert frame.word_in(json.dumps(json.loads(chunk(word)), ensure_ascii=False)) == word


@pytest.mark.parametrize("word", ["\n", 'say "so"', "back\\slash", "\u2028", "\x7f"], ids=repr)
def test_a_word_that_json_writes_in_another_way_is_parsed(word: str) -> None:
    frame = learnt(chunk("Hello"))
    for data in (chunk(word), json.dumps(json.loads(chunk(word)), ensure_ascii=False)):
        assert frame.word_in(data) is None
    frame.learn(chunk(word), word)
    assert frame.word_in(chunk("there")) == "there"


def test_what_differs_around_the_word_is_parsed() -> None:
    frame = learnt(chunk("Hello"))
    other = chunk("there")
    for data in (
        *(chunk("x", usage={"prompt_tokens": 1, "completion_tokens": 1}), chunk("x", error={"message": "no"})),
        *(other.replace("null", '"stop"'), other.replace("c-1", "c-2"), other[:-1], f"{other} ", "", "[DONE]"),
        other.replace('"there"', '"there", "tool_calls": []'),
        other.replace('"there"', '"there", "content": "another"'),
        other.replace('"there"', "null"),
    ):
        assert frame.word_in(data) is None


def test_a_frame_shorter_than_its_two_sides_is_none() -> None:
    data = chunk("aa")
    frame = learnt(data)
    before, after = data.split('"aa"')
    assert frame.word_in(before + '"' + after) is None


@each_row("word", [":", ", ", "content", "index", "c-1", "choices", "0", "}]}"])
def test_a_word_that_stands_elsewhere_too_is_not_mistaken(word: str) -> None:
    data = chunk(word, note=word, system_fingerprint="c-1")
    frame = Frame()
    frame.learn(data, word)
    assert frame.word_in(data) in (word, None)
    assert frame.word_in(chunk(word, note="x", system_fingerprint="c-1")) is None


def test_a_provider_that_writes_each_chunk_differently_is_not_learnt_from_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed = []
    monkeypatch.setattr(chunks, "loads", lambda data: parsed.append(data) or loads(data))
    frame = Frame()
    for number in range(100):
        frame.learn(chunk("word", created=number), "word")
    assert 0 < len(parsed) < 10


WORDS = st.text(max_size=6) | st.sampled_from([":", ", ", '"', "\\", "c-1", "content", "another word"])
PLAIN = st.dictionaries(st.sampled_from(["role", "content"]), WORDS)
OTHER = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "refusal"]), WORDS | st.none() | st.integers()
)
MORE = st.dictionaries(st.sampled_from(["id", "usage", "error", "choices", "note"]), WORDS | st.none(), max_size=2)


@st.composite
def chunks_of_a_reply(draw: st.DrawFn) -> list[str]:
    """As a provider may send them: most in one form, some in others."""
    forms = draw(st.lists(st.tuples(MORE, st.booleans(), st.sampled_from([None, "stop"])), min_size=1, max_size=3))
    written = []
    for _ in range(draw(st.integers(1, 8))):
        more, ascii_only, reason = draw(st.sampled_from(forms))
        choice = {"index": 0, "delta": draw(PLAIN | OTHER), "finish_reason": reason}
        body = {"id": "c-1", **more, "choices": [choice]} if draw(st.booleans()) else {"choices": [choice], **more}
        written.append(json.dumps(body, ensure_ascii=ascii_only))
    return written


@given(chunks_of_a_reply())
def test_each_chunk_of_any_reply_says_what_it_says_when_it_is_parsed(written: list[str]) -> None:
    frame = Frame()
    for data in written:
        parsed = plain_word(loads(data))
        assert frame.word_in(data) in (parsed, None)
        if parsed is not None:
            frame.learn(data, parsed)


@given(WORDS, st.text(max_size=12))
def test_whatever_stands_where_the_word_stood_is_read_as_json_reads_it(word: str, instead: str) -> None:
    """Also what nobody's JSON writer would write there."""
    frame = Frame()
    frame.learn(chunk(word), word)
    before, _, after = chunk("X").partition("X")
    data = f"{before}{instead}{after}"
    try:
        parsed = plain_word(loads(data))
    except UpstreamInvalidResponse:
        parsed = None
    assert frame.word_in(data) in (parsed, None)
