"""Files of the page's questions: what of a browser's is read, and how a model is sent them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.chat.token_count import max_prompt_tokens
from hfchat.errors import InvalidRequest
from hfchat.page.files import FILE_PREFIX, MAX_SENT_CHARS, fenced, has_files, read_files, with_files
from hfchat.page.notices import notice
from hfchat.page.pictures import MAX_GIVEN_CHARS, with_pictures
from hfchat.types import Message
from tests.page.test_pictures import image, number, picture
from tests.page.test_pictures import reference as picture_reference
from tests.support.rows import each_row


def reference(place: int = 1, name: str = "notes.txt") -> str:
    return f"[📄 {name}](#hfchat-file-{number(place)})"


def asked(*texts: str) -> list[Message]:
    return [Message("user" if place % 2 == 0 else "assistant", text) for place, text in enumerate(texts)]


def contents(messages: tuple[Message, ...]) -> list[Any]:
    return [message.payload()["content"] for message in messages]


def test_files_are_read() -> None:
    given = {number(1): f"{FILE_PREFIX}a\n", number(2): picture()}
    assert read_files(json.dumps(given)) == {number(1): "a\n"}


HOSTILE: dict[str, object] = {
    "nothing": None,
    "no text": 7,
    "no JSON": "{",
    "too deep": "[" * 100_000,
    "a list": "[1]",
    "too much": json.dumps({number(1): FILE_PREFIX + "x" * MAX_GIVEN_CHARS}),
    "another id": json.dumps({"../etc": FILE_PREFIX}),
    "an address": json.dumps({number(1): "file:///etc/passwd"}),
    "an object": json.dumps({number(1): {"path": "/etc/passwd"}}),
}


@each_row("sent", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_file_is_left_out(sent: object) -> None:
    assert read_files(sent) == {}


def test_a_question_is_sent_with_its_file_which_is_counted() -> None:
    sent = with_files(asked(f"why?\n\n{reference()}"), {number(1): "word " * 1000}, 1)
    assert contents(sent) == [f"why?\n\nnotes.txt\n```\n{'word ' * 1000}\n```"]
    assert max_prompt_tokens(sent) > 1000


FENCES = {"none": ("a", 3), "three": ("```\na\n```", 4), "seven": ("x ``````` y", 8), "two": ("``", 3)}


@pytest.mark.parametrize(("text", "ticks"), FENCES.values(), ids=FENCES)
def test_a_text_cannot_close_its_fence(text: str, ticks: int) -> None:
    assert fenced(text) == f"{'`' * ticks}\n{text}\n{'`' * ticks}"


@given(st.text(alphabet="`a\n"))
def test_no_text_closes_its_fence(text: str) -> None:
    first, *_, last = fenced(text).split("\n")
    assert first == last
    assert first not in text


def test_earlier_files_go_along_and_each_goes_once() -> None:
    talk = asked(f"one\n\n{reference(1)}", "ok", f"two\n\n{reference(2)} {reference(1)}")
    assert contents(with_files(talk, {number(1): "A", number(2): "B"})) == [
        "one\n\n📄 notes.txt",
        "ok",
        "two\n\nnotes.txt\n```\nB\n```\n\nnotes.txt\n```\nA\n```",
    ]


def test_of_too_many_the_newest_go() -> None:
    talk = asked(f"one {reference(1)}", "ok", f"two {reference(2)}")
    files = {number(1): "a" * 10, number(2): "b" * (MAX_SENT_CHARS - 5)}
    assert contents(with_files(talk, files))[0] == "one 📄 notes.txt"


def test_a_picture_and_a_file_go_together() -> None:
    talk = asked(f"see\n\n{picture_reference(1)} {reference(2)}")
    seen = with_pictures(talk, {number(1): picture()}, "m", None)
    (content,) = contents(with_files(seen, {number(2): "text"}))
    assert content == [{"type": "text", "text": "see\n\nnotes.txt\n```\ntext\n```"}, image(picture())]


def test_what_a_file_says_is_no_reference() -> None:
    talk = asked(f"see\n\n{reference(1)}")
    (content,) = contents(with_files(talk, {number(1): reference(2), number(2): "secret"}))
    assert content == f"see\n\nnotes.txt\n```\n{reference(2)}\n```"


def test_what_a_model_says_is_no_reference() -> None:
    talk = asked("q", reference(), "more")
    assert not has_files(talk)
    assert with_files(talk, {number(1): "a"}) == tuple(talk)


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "missing": ({}, "file_missing"),
    "too long": ({number(1): "a" * (MAX_SENT_CHARS + 1)}, "files_too_long"),
}


@pytest.mark.parametrize(("files", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_question_without_all_of_its_files_is_refused(files: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        with_files(asked(f"see {reference()}"), files)
    text = notice(refused.value, "es", "id", False)["content"]
    assert "hfchat-do-shorter" in text
    assert "/docs" not in text


def test_the_question_of_a_reply_that_is_continued_is_the_one_before() -> None:
    talk = asked(f"see {reference()}", "half", "go on")
    with pytest.raises(InvalidRequest, match="file_missing"):
        with_files(talk, {}, questions=2)
    assert contents(with_files(talk, {}))[0] == "see 📄 notes.txt"
