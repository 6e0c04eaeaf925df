"""Pure: pictures in a request: what is a real one, and which addresses of pictures may go on to the server that fetches them.

A model's own server in the owner's network would fetch what an address names, `http://169.254.169.254/` too. So the rule is
an allow-list of whole host names, over an address of one plain form: no port, no user, no IP address, no other spelling.
"""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from typing import Any

# The kinds of parts that a message may have, in the forms of several servers.
TEXT_PARTS = ("text", "input_text", "output_text", "refusal", "thinking")
PICTURE_PARTS = ("image_url", "input_image")
# The first bytes of the pictures that vision models are known to take.
PICTURE_MAGIC = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.S),
    "gif": re.compile(rb"GIF8[79]a"),
}
_HEADER = re.compile(r"data:image/(jpeg|jpg|png|webp|gif);base64")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# Of pictures only: some gateways take a PDF, a film or a sound from here by its type, and of those no size bounds the cost.
_DATA = re.compile(r"data:image/[a-z0-9.+\-]{1,40}[;,]", re.IGNORECASE)
# Visible ASCII only, and no backslash, which some clients read as a slash: every reader finds the same host in it.
_ADDRESS = re.compile(r"https://([A-Za-z0-9\-.]{1,253})(?:[/?#][!-\[\]-~]*)?", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9\-]{1,63}(?<!-)")


def picture_url(part: Mapping[str, Any]) -> object:
    """What stands as the picture's address in a part of a message: `image_url` is a text, or an object with `url`."""
    image = part.get("image_url")
    return image.get("url") if isinstance(image, dict) else image


def is_picture(url: object) -> bool:
    """Whether it is a `data:` URL with a picture in it: base64 that begins as its type does, and no text in disguise."""
    if not isinstance(url, str):
        return False
    header, _, payload = url.partition(",")
    kind = _HEADER.fullmatch(header)
    if kind is None or not payload.isascii():
        return False
    padding = payload.encode("ascii").translate(None, _BASE64)
    if padding not in (b"", b"=", b"==") or not payload.endswith(padding.decode()):
        return False
    try:
        beginning = base64.b64decode(payload[:32])
    except binascii.Error:
        return False
    return PICTURE_MAGIC[kind[1].replace("jpg", "jpeg")].match(beginning) is not None


def is_host_name(name: str) -> bool:
    """Whether it is a host's full name in ASCII and lower case, and can be no IP address in any spelling."""
    labels = name.split(".")
    last = labels[-1]
    # A last label of digits or 0x... makes URL parsers read the whole as an IPv4 address (URL Standard, "ends in a number").
    numeric = last.isdigit() or last.startswith("0x")
    return len(name) <= 253 and len(labels) > 1 and not numeric and all(map(_LABEL.fullmatch, labels))


def may_be_fetched(url: object, hosts: Collection[str] | None) -> bool:
    """Whether a picture may be named by this. `hosts` None allows any host's name: the server is the public router.

    A picture's `data:` URL always may; else it is an https address without port or user. Where a host redirects to is its own.
    """
    if not isinstance(url, str):
        return False
    if _DATA.match(url):
        return True
    address = _ADDRESS.fullmatch(url)
    if address is None:
        return False
    host = address[1].lower()
    return is_host_name(host) if hosts is None else host in hosts
