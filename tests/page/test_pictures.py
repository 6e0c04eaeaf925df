"""The pictures of the page's questions, as the server reads them from a browser that it does not believe."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.chat.token_count import MAX_TOKENS_PER_PICTURE, max_prompt_tokens
from hfchat.errors import HfchatError, InvalidRequest, UnsupportedInput
from hfchat.i18n.errors import DETAILS
from hfchat.i18n.sentences import PICTURES
from hfchat.page.notices import notice
from hfchat.page.pictures import (
    MAX_GIVEN_CHARS,
    MAX_PICTURE_BYTES,
    MAX_SENT,
    has_pictures,
    read_pictures,
    with_pictures,
)
from hfchat.types import Message, ModelFacts
from hfchat.upstream.offline import reply_to
from tests.support.rows import each_row

STATIC = Path(__file__).parents[2] / "hfchat" / "page" / "static"
SCRIPTS = "\n".join(path.read_text("utf-8") for path in sorted(STATIC.glob("pictures/*.js")))
MAGIC = {"jpeg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\x04\0\0\0WEBP"}
SEES = ModelFacts("m", input_modalities=("text", "image"))
READS = ModelFacts("m", input_modalities=("text",))


def picture(form: str = "jpeg", rest: bytes = b"rest") -> str:
    return f"data:image/{form};base64,{base64.b64encode(MAGIC[form] + rest).decode()}"


def number(place: int) -> str:
    return f"{place:032x}"


def reference(place: int = 1, name: str = "photo.jpg") -> str:
    return f"[🖼 {name}](#hfchat-image-{number(place)})"


def said(text: str, role: str = "user") -> Message:
    return Message(role, text)


def contents(messages: tuple[Message, ...]) -> list[Any]:
    return [message.payload()["content"] for message in messages]


def image(data: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data}}


@pytest.mark.parametrize("form", MAGIC)
def test_pictures_are_read(form: str) -> None:
    assert read_pictures(json.dumps({number(1): picture(form)})) == {number(1): picture(form)}


HOSTILE: dict[str, object] = {
    "nothing": None,
    "no text": 7,
    "a list of Gradio's": [picture()],
    "no JSON": "{",
    "too deep": "[" * 100_000,
    "a list": json.dumps([number(1), picture()]),
    "a number": "1e999",
    "too much": json.dumps({number(1): picture(), "pad": "x" * MAX_GIVEN_CHARS}),
    "another id": json.dumps({number(1).upper().replace("0", "A"): picture()}),
    "an id with a line end": json.dumps({f"{number(1)}\n": picture()}),
    "an address": json.dumps({number(1): "https://example.org/a.jpg"}),
    "a file": json.dumps({number(1): "file:///etc/passwd"}),
    "a drawing with scripts": json.dumps({number(1): picture().replace("jpeg", "svg+xml")}),
    "no base64": json.dumps({number(1): "data:image/jpeg;base64,/9j/4A=A"}),
    "half a base64": json.dumps({number(1): "data:image/jpeg;base64,/9j/4"}),
    "a line end after it": json.dumps({number(1): picture() + "\n"}),
    "words of another kind of file": json.dumps({number(1): picture("png").replace("image/png", "image/jpeg")}),
    "more parameters": json.dumps({number(1): picture().replace(";base64", ";charset=x;base64")}),
    "too large": json.dumps({number(1): picture(rest=b"\0" * MAX_PICTURE_BYTES)}),
    "an object": json.dumps({number(1): {"url": picture()}}),
    "empty": json.dumps({number(1): ""}),
}


@each_row("sent", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_picture_is_left_out(sent: object) -> None:
    assert read_pictures(sent) == {}


def test_one_that_is_none_does_not_take_the_others_along() -> None:
    assert read_pictures(json.dumps({number(1): "no", number(2): picture()})) == {number(2): picture()}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.whole
@given(st.text() | JSON.map(json.dumps) | st.dictionaries(st.just(number(1)), st.text()).map(json.dumps))
def test_nothing_that_is_sent_breaks_it(sent: str) -> None:
    for data in read_pictures(sent).values():
        assert re.fullmatch(r"data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}", data)


@given(st.lists(st.text() | st.integers(0, 3).map(reference), max_size=6).map(" ".join))
def test_no_question_breaks_it(text: str) -> None:
    pictures = {number(place): picture() for place in range(4)}
    (sent,) = with_pictures([said(text)], pictures, "m", SEES)
    assert "#hfchat-image-0000" not in json.dumps(sent.payload())


def test_a_question_is_sent_with_its_picture_and_without_the_reference() -> None:
    sent = with_pictures([said(f"what is this?\n\n{reference()}")], {number(1): picture()}, "m", SEES)
    assert contents(sent) == [[{"type": "text", "text": "what is this?"}, image(picture())]]
    assert sent[0].content == "what is this?\n\n🖼 photo.jpg"
    assert max_prompt_tokens(sent) > MAX_TOKENS_PER_PICTURE


def test_a_question_may_be_a_picture_alone() -> None:
    sent = with_pictures([said(reference())], {number(1): picture()}, "m", None)
    assert contents(sent) == [[image(picture())]]
    assert sent[0].content.strip()
    assert "🖼 photo.jpg" in reply_to(sent)


def test_earlier_questions_keep_their_pictures_as_far_as_they_came() -> None:
    talk = [
        said(f"one {reference(1)}"),
        said("I see", "assistant"),
        said(f"two {reference(2)}"),
        said("ah", "assistant"),
        said("and?"),
    ]
    sent = with_pictures(talk, {number(2): picture()}, "m", SEES)
    assert contents(sent) == [
        "one 🖼 photo.jpg",
        "I see",
        [{"type": "text", "text": "two "}, image(picture())],
        "ah",
        "and?",
    ]


def test_what_a_model_says_is_no_reference() -> None:
    talk = [said("q"), said(reference(), "assistant"), said("more")]
    assert not has_pictures(talk)
    assert with_pictures(talk, {number(1): picture()}, "m", SEES) == tuple(talk)


def test_a_picture_goes_once_however_often_it_is_named() -> None:
    sent = with_pictures(
        [said(reference()), said("a", "assistant"), said(reference() * 5000)], {number(1): picture()}, "m", SEES
    )
    assert contents(sent) == ["🖼 photo.jpg", "a", [image(picture())]]


def test_only_the_newest_go() -> None:
    pictures = {number(place): picture(rest=b"%d" % place) for place in range(20)}
    talk = [said(reference(place)) for place in range(20)]
    sent = contents(with_pictures(talk, pictures, "m", SEES))
    assert [isinstance(content, list) for content in sent] == [False] * (20 - MAX_SENT) + [True] * MAX_SENT


def test_a_model_that_takes_none_is_not_asked_about_one() -> None:
    with pytest.raises(UnsupportedInput, match="no_pictures") as refused:
        with_pictures([said(reference())], {number(1): picture()}, "some/model", READS)
    assert refused.value.model == "some/model"


def test_a_model_that_takes_none_goes_on_where_another_saw_one() -> None:
    talk = [said(f"one {reference()}"), said("I see", "assistant"), said("and?")]
    assert contents(with_pictures(talk, {number(1): picture()}, "m", READS)) == ["one 🖼 photo.jpg", "I see", "and?"]


def test_a_missing_picture_of_the_question_is_said() -> None:
    with pytest.raises(InvalidRequest, match="picture_missing"):
        with_pictures([said(f"see {reference()}")], {}, "m", SEES)


def test_the_question_of_a_continued_reply_is_the_one_before_the_instruction() -> None:
    talk = [said(f"see {reference()}"), said("I", "assistant"), said("go on")]
    with pytest.raises(InvalidRequest, match="picture_missing"):
        with_pictures(talk, {}, "m", SEES, questions=2)
    with pytest.raises(UnsupportedInput, match="no_pictures"):
        with_pictures(talk, {number(1): picture()}, "m", READS, questions=2)


def test_a_question_with_too_many_is_refused() -> None:
    pictures = {number(place): picture() for place in range(MAX_SENT + 1)}
    with pytest.raises(InvalidRequest, match="pictures_at_most"):
        with_pictures([said(" ".join(map(reference, range(MAX_SENT + 1))))], pictures, "m", SEES)


def test_no_picture_is_in_a_repr() -> None:
    sent = with_pictures([said(reference())], {number(1): picture()}, "m", SEES)
    assert "base64" not in repr(sent)


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_notices_say_what_helps(language: Any) -> None:
    failures: list[HfchatError] = [
        InvalidRequest("picture_missing"),
        InvalidRequest("pictures_at_most", params={"value": MAX_SENT}),
    ]
    for failure in failures:
        text = notice(failure, language, "id", False)["content"]
        assert "hfchat-do-shorter" in text
        assert "/docs" not in text
    text = notice(
        UnsupportedInput("no_pictures", params={"value": "some/model"}, model="some/model"), language, "id", False
    )["content"]
    assert f"⚠️ **{DETAILS[language]['no_pictures'].format(value='some/model')}**" in text
    assert text.index("hfchat-do-another_model") < text.index("hfchat-do-retry")


@each_row("key", PICTURES["en"])
def test_a_sentence_about_pictures_is_used(key: str) -> None:
    assert re.search(rf"\.{key}\b", SCRIPTS)


def test_the_script_asks_for_no_other_sentence() -> None:
    assert set(re.findall(r"\bsays\.(\w+)", SCRIPTS)) <= PICTURES["en"].keys()
