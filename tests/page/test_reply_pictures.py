"""Pictures of a reply: held for their owner only, for a while and within a bound; what is none is a link, or said."""

import base64
import re

from hfchat.i18n.sentences import PAGE
from hfchat.page.history import REPLY_PICTURES_ID, SOURCES_ID, messages_for_model
from hfchat.page.notices import MAX_SOURCES, sources_note
from hfchat.page.reply_pictures import HELD_S, MAX_HELD_CHARS, MAX_PICTURE_CHARS, ReplyPictures
from hfchat.types import Source
from tests.support.rows import each_row

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n0123").decode()


def ids_in(messages: list[dict[str, str]]) -> list[str]:
    return re.findall(r"[0-9a-f]{32}", "".join(message["content"] for message in messages))


def test_a_picture_is_fetched_by_its_owner_only() -> None:
    pictures = ReplyPictures()
    shown = pictures.message("alice", [PNG], "en")
    (picture_id,) = ids_in(shown)
    assert shown[0]["content"] == f"[🖼 Picture 1](#hfchat-image-{picture_id})"
    assert pictures.of("alice", [picture_id, "0" * 32]) == {picture_id: PNG}
    assert pictures.of("bob", [picture_id]) == {}
    assert pictures.message("alice", [], "en") == []


def test_pictures_are_held_for_a_while_and_within_a_bound() -> None:
    now = [0.0]
    pictures = ReplyPictures(lambda: now[0])
    first = pictures.hold("alice", PNG)
    now[0] = HELD_S + 1
    second = pictures.hold("alice", f"{PNG}AAAA")
    assert pictures.of("alice", [first, second]).keys() == {second}
    for number in range(MAX_HELD_CHARS // MAX_PICTURE_CHARS + 1):
        last = pictures.hold("bob", str(number).ljust(MAX_PICTURE_CHARS))
    assert pictures.of("alice", [second]) == {}
    assert pictures.of("bob", [last])


NOT_SHOWN = {
    "another kind": "data:image/svg+xml;base64,PHN2Zz4=",
    "a text in disguise": "data:image/png;base64,aGVsbG8=",
    "too large": PNG + "A" * MAX_PICTURE_CHARS,
    "a file": "file:///etc/passwd",
    "a script": "javascript:alert(1)",
    "an address with a bracket": "https://a.example/>![x](https://b.example)",
}


@each_row("picture", NOT_SHOWN.values(), ids=NOT_SHOWN)
def test_what_is_no_picture_is_said(picture: str) -> None:
    (message,) = ReplyPictures().message("alice", [picture], "es")
    assert message["content"] == PAGE["es"]["picture_not_shown"]


def test_a_picture_elsewhere_is_a_link() -> None:
    (message,) = ReplyPictures().message("alice", ["https://a.example/x.png?a=(1)"], "en")
    assert message["content"] == "[Picture 1](<https://a.example/x.png?a=(1)>)"


def test_a_model_is_told_of_its_pictures_and_not_of_its_sources() -> None:
    shown = ReplyPictures().message("alice", [PNG], "en")
    note = sources_note([Source("https://a.example", "A")], "en")
    assert (shown[0]["metadata"], note["metadata"]) == ({"id": REPLY_PICTURES_ID}, {"id": SOURCES_ID})
    history = [{"role": "user", "content": "Draw it."}, {"role": "assistant", "content": "Here."}, *shown, note]
    assert [message.content for message in messages_for_model(history)] == ["Draw it.", "Here.\n\n🖼 Picture 1"]


SOURCES: dict[str, tuple[Source, str]] = {
    "a title": (Source("https://a.example/b", "Title"), "1. [Title](<https://a.example/b>)"),
    "none": (Source("https://a.example/b"), "1. [a.example](<https://a.example/b>)"),
    "marks in the title": (
        Source("https://a.example", "[x](y) *z*\n#"),
        "1. [&#91;x&#93;&#40;y&#41; &#42;z&#42; &#35;](<https://a.example>)",
    ),
    "a script": (Source("javascript:alert(1)", "Title"), "1. Title"),
    "a bracket in the address": (Source("https://a.example/>x", "Title"), "1. Title"),
    "a space in the address": (Source("https://a.example/ x", "Title"), "1. Title"),
}


@each_row(("source", "line"), SOURCES.values(), ids=SOURCES)
def test_sources_are_safe_links(source: Source, line: str) -> None:
    assert sources_note([source], "en")["content"] == f"**Sources**\n\n{line}"


def test_sources_are_bounded() -> None:
    sources = [Source(f"https://a.example/{number}") for number in range(100)]
    assert sources_note(sources, "en")["content"].count("\n") == MAX_SOURCES + 1
