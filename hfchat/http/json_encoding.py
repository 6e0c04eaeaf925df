"""Encoding of a JSON body: what to make of one that a strict parser refuses, though its sender meant JSON. Pure.

A client that cuts a text in the middle of an emoji writes half of it: an escape of one UTF-16 surrogate without the other
(RFC 8259 section 8.2), or, from some languages, its three bytes. Here it becomes U+FFFD.
"""

import json
import re
from collections.abc import Iterator

from hfchat.errors import InvalidRequest, UnsupportedEncoding

# Other threads run between two slices: an expression holds the GIL, at worst 30 ms per MB.
SLICE_BYTES = 256 * 1024
_HIGH, _LOW = rb"[89abAB][0-9a-fA-F]{2}", rb"[c-fC-F][0-9a-fA-F]{2}"
_PAIR = re.compile(rb"\\u[dD]%b\\u[dD]%b" % (_HIGH, _LOW))
_ESCAPE_BYTES = len(b"\\ud83d")
_HALF = re.compile(rb"\\u[dD](?:%b(?!\\u[dD]%b)|(?<!\\u[dD]%b\\u[dD])%b)" % (_HIGH, _LOW, _HIGH, _LOW))
# A surrogate in UTF-8's form, which UTF-8 does not allow; two of them are a character (CESU-8).
_BYTES = re.compile(rb"(?:\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]|\xed[\xa0-\xbf][\x80-\xbf])")
_HALF_IN_TEXT = re.compile("[\ud800-\udfff]")
# RFC 1952, RFC 8878, RFC 1950 with each level of compression.
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78\x01": "deflate", b"\x78\x5e": "deflate"} | {
    b"\x78\x9c": "deflate",
    b"\x78\xda": "deflate",
}


def mended(body: bytes) -> bytes:
    """A body that is no strict JSON, to be read once more: U+FFFD in place of each half of a surrogate pair.

    Raises: UnsupportedEncoding where it is compressed, or JSON in another encoding than UTF-8, which it names; InvalidRequest
    where there is nothing to mend.
    """
    compressed = next((coding for magic, coding in _COMPRESSED.items() if body.startswith(magic)), None)
    if compressed is not None:
        raise UnsupportedEncoding("coding", params={"value": compressed}, param="body")
    sent, body = body, _without_surrogate_bytes(body)
    if (charset := _other_charset(body)) is not None:
        raise UnsupportedEncoding("charset", params={"value": charset}, param="body")
    # From here on each backslash begins an escape.
    again = b"".join(_HALF.sub(rb"\\ufffd", piece) for piece in _slices(body.replace(rb"\\", rb"\u005c")))
    if again == sent:
        raise InvalidRequest("not_json", param="body")
    return again


def without_halves(text: str) -> str:
    """A text with U+FFFD in place of each half of a surrogate pair: all of it can be written as UTF-8."""
    return _HALF_IN_TEXT.sub("\ufffd", text)


def _without_surrogate_bytes(body: bytes) -> bytes:
    """The body, if it is UTF-8 apart from surrogates, with the characters that they are in their place, or U+FFFD."""
    as_utf8 = b"".join(_BYTES.sub(_as_utf8, piece) for piece in _slices(body))
    try:
        as_utf8.decode()
    except UnicodeDecodeError:
        return body
    return as_utf8


def _as_utf8(surrogates: re.Match[bytes]) -> bytes:
    return (
        surrogates[0]
        .decode(errors="surrogatepass")
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        .encode()
    )


def _other_charset(body: bytes) -> str | None:
    encoding = json.detect_encoding(body).removesuffix("-sig")
    if encoding != "utf-8":
        return encoding.upper() if _looks_like_json(body, encoding) else None
    try:
        body.decode()
    except UnicodeDecodeError:
        # Any bytes can be read as Latin-1. Of the encodings with one byte for a letter the first two are by far the most common.
        return "Latin-1 or Windows-1252" if _looks_like_json(body, "latin-1") else None
    return None


def _looks_like_json(body: bytes, encoding: str) -> bool:
    return body.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n").startswith(("{", "["))


def _slices(body: bytes) -> Iterator[bytes]:
    """The body in slices, none of which ends inside an escape or between the halves of a pair."""
    start = 0
    while start < len(body):
        end = body.find(b"\\", start + SLICE_BYTES)
        if end < 0:
            end = len(body)
        elif _PAIR.match(body, end - _ESCAPE_BYTES):
            end += _ESCAPE_BYTES
        yield body[start:end]
        start = end
