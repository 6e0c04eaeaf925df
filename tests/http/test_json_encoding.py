"""What is made of a body that a strict parser refuses."""

import gzip
import json
import zlib
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfchat.errors import InvalidRequest, UnsupportedEncoding
from hfchat.http import json_encoding
from hfchat.http.json_encoding import mended, without_halves
from tests.support.rows import each_row

# In JSON's escapes, and what each becomes.
HALVES = {
    "high": (r"cut \ud83d", "cut \ufffd"),
    "low": (r"\ude00 cut", "\ufffd cut"),
    "upper case": (r"\uD83D", "\ufffd"),
    "edges": (r"\ud800\udbff\udc00\udfff", "\ufffd\U0010fc00\ufffd"),
    "two highs": (r"\ud83d\ud83d", "\ufffd\ufffd"),
    "swapped": (r"\ude00\ud83d", "\ufffd\ufffd"),
    "high, then a pair": (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    "pair, then low": (r"\ud83d\ude00\ude00", "\U0001f600\ufffd"),
    "pair in mixed case": (r"\uD83d\uDe00\ud83d", "\U0001f600\ufffd"),
    "after a backslash": (r"\\\ud83d", "\\\ufffd"),
    "text that looks like it": (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
    "text that looks like its other half": (r"\ud83d\\ude00", "\ufffd\\ude00"),
    "text that looks like its first half": (r"\\ud83d\ude00", "\\ud83d\ufffd"),
    "pair after backslashes": (r"\\\\\ud83d\ude00\ud83d", "\\\\\U0001f600\ufffd"),
    "other escapes": (r"\n\"\u0041\/\ud83d\t", '\n"A/\ufffd\t'),
    "neighbours of the surrogates": (r"\ud7ff\ue000\ud83d", "\ud7ff\ue000\ufffd"),
}


@each_row(("escaped", "text"), HALVES.values(), ids=HALVES)
@each_row("form", ['"{}"', '{{"a": ["{}", 1]}}', '{{"{}": null}}'], ids=["text", "value", "name"])
def test_half_a_pair_becomes_a_replacement_character(escaped: str, text: str, form: str) -> None:
    body = form.format(escaped).encode()
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    written = json.dumps(text)[1:-1]
    assert orjson.loads(mended(body)) == json.loads(form.format(written))


BYTES = {
    "high": (b"cut \xed\xa0\xbd", "cut \ufffd"),
    "low": (b"\xed\xb8\x80", "\ufffd"),
    "a pair": (b"\xed\xa0\xbd\xed\xb8\x80", "\U0001f600"),
    "swapped, beside an escape": (b"\xed\xb8\x80\xed\xa0\xbd\\ud83d", "\ufffd\ufffd\ufffd"),
    "beside other letters": ("\ud7ff한é".encode() + b"\xed\xa0\xbd", "\ud7ff한é\ufffd"),
}


@pytest.mark.parametrize(("written", "text"), BYTES.values(), ids=BYTES)
def test_half_a_pair_may_stand_there_as_bytes(written: bytes, text: str) -> None:
    assert orjson.loads(mended(b'{"a": "%b"}' % written)) == {"a": text}


def test_latin_1_is_not_taken_for_half_a_pair() -> None:
    with pytest.raises(UnsupportedEncoding):
        mended('{"a": "í¡Á é"}'.encode("latin-1"))


PIECES = st.sampled_from([r"\ud83d", r"\ude00", r"\\", r"\"", r"\n", r"\u0041", "ud83d", "a", "é", "\U0001f600"])


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=12), st.integers(1, 20))
def test_it_is_what_a_lenient_parser_reads_wherever_it_is_sliced(pieces: list[str], slice_bytes: int) -> None:
    body = f'["{"".join(pieces)}"]'.encode()
    expected = [without_halves(text) for text in json.loads(body)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_encoding, "SLICE_BYTES", slice_bytes)
        try:
            again = mended(body)
        except InvalidRequest:
            again = body
    assert orjson.loads(again) == expected


TEXT = '{"messages": [{"role": "user", "content": "¿Qué?"}]}'
ENCODED: dict[str, tuple[bytes, str]] = {
    "Latin-1": (TEXT.encode("latin-1"), "Latin-1"),
    "Latin-1 after a space": (b" \r\n" + TEXT.encode("latin-1"), "Latin-1"),
    "UTF-16 with a mark": (TEXT.encode("utf-16"), "UTF-16"),
    "UTF-16, little end": (TEXT.encode("utf-16-le"), "UTF-16-LE"),
    "UTF-16, big end": (TEXT.encode("utf-16-be"), "UTF-16-BE"),
    "UTF-32": (TEXT.encode("utf-32"), "UTF-32"),
    "gzip": (gzip.compress(TEXT.encode()), "gzip"),
    "deflate": (zlib.compress(TEXT.encode()), "deflate"),
    "deflate, fast": (zlib.compress(TEXT.encode(), 1), "deflate"),
    "zstd": (b"\x28\xb5\x2f\xfd\x00", "zstd"),
}


@each_row(("body", "name"), ENCODED.values(), ids=ENCODED)
def test_another_encoding_is_named(body: bytes, name: str) -> None:
    with pytest.raises(UnsupportedEncoding) as raised:
        mended(body)
    assert str(raised.value.params["value"]).startswith(name)


NO_JSON: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "Latin-1 text": "¿Qué?".encode("latin-1"),
    "zeros": bytes(64),
    "cut off": b'{"a": [',
    "half an escape": b'{"a": "\\ud8"}',
    "escape outside of a text": b"{\\u0061}",
    "bytes": bytes(range(128, 256)),
}


@each_row("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_in_any_encoding_is_refused_as_that(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        mended(body)
    assert raised.value.reason == "not_json"


@pytest.mark.parametrize("function", [without_halves], ids=["text"])
def test_a_text_without_halves_can_be_written(function: Callable[[str], str]) -> None:
    assert function("a\ud83d b\ude00 \U0001f600") == "a\ufffd b\ufffd \U0001f600"
