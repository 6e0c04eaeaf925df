"""Pictures: what is a real one, and which addresses may be fetched by whoever answers."""

import base64

import pytest

from hfchat.http.media import is_host_name, is_picture, may_be_fetched
from tests.support.rows import each_row

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 100).decode()
HOSTS = frozenset({"pictures.example.org", "xn--bcher-kva.example"})


def data(kind: str, begins: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(begins + bytes(50)).decode()}"


REAL = {
    "png": data("png", b"\x89PNG\r\n\x1a\n"),
    "jpeg": data("jpeg", b"\xff\xd8\xff"),
    "jpg": data("jpg", b"\xff\xd8\xff"),
    "webp": data("webp", b"RIFF\x01\x02\x03\x04WEBP"),
    "gif": data("gif", b"GIF89a"),
}


@pytest.mark.parametrize("url", REAL.values(), ids=REAL)
def test_a_real_picture_is_one(url: str) -> None:
    assert is_picture(url)


NO_PICTURES = {
    "prose": "data:image/png;base64,The quick brown fox",
    "prose without blanks": "data:image/png;base64," + "TheQuickBrownFox" * 9,
    "prose in base64": data("png", b"The quick brown fox"),
    "prose behind a picture's beginning": f"data:image/png;base64,{PNG} and then the story goes on",
    "signs of others": f"data:image/png;base64,{PNG}日本",
    "another type's beginning": data("png", b"\xff\xd8\xff"),
    "a type that few know": data("svg+xml", b"<svg>"),
    "a text": "data:text/plain,hello",
    "a text in base64": data("png", b"").replace("image/png", "text/plain"),
    "more of a header": f"data:image/png;x={'a' * 50};base64,{PNG}",
    "not base64": "data:image/png,\x89PNG",
    "padding in the middle": f"data:image/png;base64,iVBORw0KGgo={PNG}",
    "nothing": "data:image/png;base64,",
    "an address": "https://a.example/x.png",
    "no text": None,
}


@each_row("url", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_none(url: object) -> None:
    assert not is_picture(url)


ALLOWED = (
    "https://pictures.example.org/a.png",
    "HTTPS://Pictures.Example.ORG/a%20b.png?x=1&y=@:[]#z".replace("[]", ""),
    "https://pictures.example.org",
    "https://pictures.example.org?x",
    "https://xn--bcher-kva.example/a",
    "data:image/png;base64,xx",
    "DATA:Image/X-Odd;base64,xx",
)


@each_row("url", ALLOWED)
def test_a_picture_of_a_host_that_is_allowed_may_be_fetched(url: str) -> None:
    assert may_be_fetched(url, HOSTS)
    assert may_be_fetched(url, None)
    assert may_be_fetched(url, ()) == url.lower().startswith("data:")


# On a server of the owner's; the second value: also where the public router answers.
REFUSED: dict[str, tuple[object, bool]] = {
    "another host": ("https://other.example.org/a.png", False),
    "a host below": ("https://x.pictures.example.org/a.png", False),
    "a host that begins so": ("https://pictures.example.org.evil.example/", False),
    "not encrypted": ("http://pictures.example.org/a.png", True),
    "the cloud's own": ("http://169.254.169.254/latest/meta-data/", True),
    "an IP address": ("https://127.0.0.1/", True),
    "an IP address as one number": ("https://2130706433/", True),
    "an IP address in hex": ("https://0x7f.0.0.0x1/", True),
    "an IP address in hex, last": ("https://a.0x7f/", True),
    "an IP address in octal": ("https://0177.0.0.1/", True),
    "a short IP address": ("https://127.1/", True),
    "IPv6": ("https://[::1]/", True),
    "this machine": ("https://localhost/", True),
    "a port": ("https://pictures.example.org:8443/", True),
    "the usual port": ("https://pictures.example.org:443/", True),
    "a user": ("https://pictures.example.org@127.0.0.1/", True),
    "a user and a password": ("https://a:b@pictures.example.org/", True),
    "a trailing dot": ("https://pictures.example.org./", True),
    "a backslash": ("https://pictures.example.org\\@127.0.0.1/", True),
    "a backslash further on": ("https://pictures.example.org/\\@127.0.0.1/", True),
    "a line end": ("https://pictures.example.org/\r\nHost: x", True),
    "a blank before": (" https://pictures.example.org/", True),
    "a blank after": ("https://pictures.example.org ", True),
    "a tab inside": ("https://pictures\t.example.org/", True),
    "full-width letters": ("https://ｐictures.example.org/", True),
    "a full stop of others": ("https://pictures。example.org/", True),
    "letters beyond ASCII": ("https://bücher.example/", True),
    "a percent sign": ("https://pictures%2eexample.org/", True),
    "three slashes": ("https:///pictures.example.org/", True),
    "one slash": ("https:/pictures.example.org/", True),
    "no scheme": ("//pictures.example.org/", True),
    "a file": ("file:///etc/passwd", True),
    "a path": ("/etc/passwd", True),
    "a base64 text": ("iVBORw0KGgo", True),
    "another program": ("gopher://pictures.example.org/", True),
    "a text in it": ("data:text/plain,hello", True),
    "a document in it": ("data:application/pdf;base64,JVBERi0xLjc=", True),
    "a film in it": ("data:video/mp4;base64,AAAA", True),
    "a sound in it": ("DATA:audio/flac;base64,ZkxhQw==", True),
    "anything in it": ("data:;base64,JVBERi0xLjc=", True),
    "another type behind a picture's": ("data:image/png/application/pdf;base64,JVBERi0xLjc=", True),
    "an object": ({"url": "data:image/png;base64,xx"}, True),
    "nothing": (None, True),
    "empty": ("", True),
}


@each_row(("url", "by_the_router_too"), REFUSED.values(), ids=REFUSED)
def test_another_address_may_not(url: object, by_the_router_too: bool) -> None:
    assert not may_be_fetched(url, HOSTS)
    assert not may_be_fetched(url, ())
    assert may_be_fetched(url, None) != by_the_router_too


@pytest.mark.parametrize("name", ["a.b", "x-1.example.org", "1.example", "0x7f.example"])
def test_a_hosts_full_name_is_one(name: str) -> None:
    assert is_host_name(name)


@each_row("name", ["a", "", ".", "a.", ".a", "-a.b", "a-.b", "a..b", "A.b", "1.2.3.4", "a.1", "a.0x1", "*.a"])
def test_what_could_be_an_address_or_many_hosts_is_no_name(name: str) -> None:
    assert not is_host_name(name)
