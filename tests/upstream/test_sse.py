"""The decoder: every case read whole, byte by byte, and split at every place."""

from collections.abc import Iterable

import pytest

from hfchat.upstream.sse import MAX_EVENT_CHARS, EventTooLarge, ServerSentEvent, SSEDecoder
from tests.support.rows import each_row

Events = list[tuple[str, str]]

CASES: dict[str, tuple[bytes, Events]] = {
    "nothing": (b"", []),
    "one": (b"data: a\n\n", [("message", "a")]),
    "two": (b"data: a\n\ndata: b\n\n", [("message", "a"), ("message", "b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [("message", "a"), ("message", "b")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", "a"), ("message", "b")]),
    "mixed line ends": (
        b"data: a\r\n\ndata: b\n\rdata: c\r\r\n",
        [("message", "a"), ("message", "b"), ("message", "c")],
    ),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [("message", "a")]),
    "BOM alone": (b"\xef\xbb\xbf", []),
    "BOM later is text": (b"data: \xef\xbb\xbfa\n\n", [("message", "\ufeffa")]),
    "half a BOM": (b"\xef\xbbdata: a\n\n", []),
    "comments": (b": ping\n\n:\n:data: x\ndata: a\n: ping\n\n", [("message", "a")]),
    "no space": (b"data:a\n\n", [("message", "a")]),
    "two spaces": (b"data:  a \n\n", [("message", " a ")]),
    "a tab is no space": (b"data:\ta\n\n", [("message", "\ta")]),
    "colons in the data": (b"data: a: b:c\n\n", [("message", "a: b:c")]),
    "empty data": (b"data:\n\n", [("message", "")]),
    "data without a colon": (b"data\n\n", [("message", "")]),
    "two empty lines of data": (b"data\ndata\n\n", [("message", "\n")]),
    "many lines of data": (b"data: a\ndata: b\ndata:\ndata: c\n\n", [("message", "a\nb\n\nc")]),
    "no data": (b"event: a\n\n", []),
    "an event's name": (b"event: error\ndata: a\n\ndata: b\n\n", [("error", "a"), ("message", "b")]),
    "a name after its data": (b"data: a\nevent: done\n\n", [("done", "a")]),
    "the last name counts": (b"event: a\nevent: b\ndata: c\n\n", [("b", "c")]),
    "an empty name": (b"event: a\nevent\ndata: c\n\n", [("message", "c")]),
    "a name without data is forgotten": (b"event: a\n\ndata: b\n\n", [("message", "b")]),
    "id and retry": (b"id: 1\nretry: 10\ndata: a\nid\nretry: x\n\n", [("message", "a")]),
    "unknown fields": (b"Data: x\n data: y\nfoo: z\ndata : w\ndata: a\n\n", [("message", "a")]),
    "blank lines": (b"\n\n\r\r\n\ndata: a\n\n\n\n", [("message", "a")]),
    "other separators are text": (
        "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\n\n".encode(),
        [("message", "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei")],
    ),
    "NUL": (b"data: a\x00b\n\n", [("message", "a\x00b")]),
    "UTF-8": ("data: ñ€🙂 日本\n\n".encode(), [("message", "ñ€🙂 日本")]),
    "broken UTF-8": (b"data: a\xffb\xe2\x82\n\n", [("message", "a\ufffdb\ufffd")]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", [("message", "a"), ("message", "b")]),
    "no line end at the end": (b"event: done\ndata: b", [("done", "b")]),
    "CR at the end": (b"data: a\r", [("message", "a")]),
    "CRLF at the end": (b"data: a\r\n", [("message", "a")]),
    "one and a half CRLF at the end": (b"data: a\r\n\r", [("message", "a")]),
    "cut in a letter": (b"data: a\xe2\x82", [("message", "a\ufffd")]),
    "cut in a name": (b"data: a\n\neve", [("message", "a")]),
    "cut in a comment": (b"data: a\n\n: pi", [("message", "a")]),
    "no SSE at all": (b'{"error": "x"}', []),
}


def feed(pieces: Iterable[bytes]) -> tuple[SSEDecoder, list[ServerSentEvent]]:
    decoder = SSEDecoder()
    return decoder, [event for piece in pieces for event in decoder.feed(piece)]


def read(pieces: Iterable[bytes]) -> Events:
    decoder, events = feed(pieces)
    return [(event.event, event.data) for event in [*events, *decoder.close()]]


@each_row(("body", "events"), CASES.values(), ids=CASES)
def test_a_body_is_read_whole(body: bytes, events: Events) -> None:
    assert read([body]) == events


@each_row(("body", "events"), CASES.values(), ids=CASES)
def test_a_body_is_read_byte_by_byte(body: bytes, events: Events) -> None:
    assert read(body[place : place + 1] for place in range(len(body))) == events


@each_row(("body", "events"), CASES.values(), ids=CASES)
def test_a_body_is_read_split_at_every_place(body: bytes, events: Events) -> None:
    for place in range(len(body) + 1):
        assert read([body[:place], b"", body[place:]]) == events, place


@each_row(("body", "events"), CASES.values(), ids=CASES)
def test_what_follows_is_read_as_if_alone(body: bytes, events: Events) -> None:
    if not body.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")):
        body += b"\n\n"
    assert read([body + b"event: last\ndata: z\n\n"]) == [*events, ("last", "z")]


def test_an_event_is_given_as_soon_as_it_is_whole() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\nda") == [ServerSentEvent("a")]
    assert decoder.feed(b"ta: b\r\n\r\n") == [ServerSentEvent("b")]
    assert decoder.feed(b"data: c\r\r") == [], "the last CR may be half of a CRLF"
    assert decoder.feed(b":") == [ServerSentEvent("c")]
    assert decoder.close() == []


def test_an_event_does_not_show_its_data() -> None:
    assert "Zq8" not in repr(ServerSentEvent("Zq8"))


LINE = 6  # what `data: ` takes
LARGEST = b"data: " + b"a" * (MAX_EVENT_CHARS - LINE)
HALF = b"data: " + b"a" * (MAX_EVENT_CHARS // 2)
PIECE = 1 << 20


def pieces_of(body: bytes) -> list[bytes]:
    return [body[place : place + PIECE] for place in range(0, len(body), PIECE)]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n", b""], ids=["LF", "CR", "CRLF", "none"])
def test_the_largest_event_is_read(end: bytes) -> None:
    for pieces in ([LARGEST + end], pieces_of(LARGEST + end), [LARGEST, *(bytes([byte]) for byte in end)]):
        ((_, data),) = read(pieces)
        assert len(data) == MAX_EVENT_CHARS - LINE


def test_the_size_is_each_events_own() -> None:
    assert len(read([(HALF + b"\n\n") * 3])) == 3


TOO_LARGE = {
    "one line": LARGEST + b"a\n\n",
    "one line without its end": LARGEST + b"a",
    "two lines": HALF + b"\n" + HALF + b"\n\n",
    "a comment": b":" * (MAX_EVENT_CHARS + 1) + b"\n",
    "an event's name": b"event: " + b"a" * MAX_EVENT_CHARS + b"\n",
    "no line at all": b"a" * (MAX_EVENT_CHARS + 1),
    "empty lines of data": b"data\n" * (MAX_EVENT_CHARS // 5 + 2),
}


@pytest.mark.parametrize("body", TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
def test_a_larger_one_is_refused_before_its_end(body: bytes, split: bool) -> None:
    with pytest.raises(EventTooLarge):
        feed(pieces_of(body) if split else [body])
