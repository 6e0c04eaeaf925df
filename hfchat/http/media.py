"""Pictures in a request: checks `data:` URLs, and which addresses may go on to the server that fetches them (SSRF). Pure.

A model's own server in the owner's network would fetch any address, `http://169.254.169.254/` too. So the rule is an
allow-list of whole host names, in addresses of one plain form: no port, no user, no IP address, no other spelling.
"""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from typing import Any

# The kinds of parts that a message may have, in the forms of several servers.
TEXT_PARTS = ("text", "input_text", "output_text", "refusal", "thinking")
PICTURE_PARTS = ("image_url", "input_image")
# The magic numbers of the formats that vision models take.
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
# Visible ASCII without backslash, which some clients read as a slash: every parser finds the same host.
_ADDRESS = re.compile(r"https://([A-Za-z0-9\-.]{1,253})(?:[/?#][!-\[\]-~]*)?", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9\-]{1,63}(?<!-)")


def picture_url(part: Mapping[str, Any]) -> object:
    """The address of the picture in a part of a message: `image_url` is a text, or an object with `url`."""
    image = part.get("image_url")
    return image.get("url") if isinstance(image, dict) else image


def is_picture(url: object) -> bool:
    """Whether it is a `data:` URL of a picture: base64 with the magic number of its type, so no text in disguise."""
    if not isinstance(url, str):
        return False
    header, _, payload = url.partition(",")
    media_type = _HEADER.fullmatch(header)
    if media_type is None or not payload.isascii():
        return False
    padding = payload.encode("ascii").translate(None, _BASE64)
    if padding not in (b"", b"=", b"==") or not payload.endswith(padding.decode()):
        return False
    try:
        start = base64.b64decode(payload[:32])
    except binascii.Error:
        return False
    return PICTURE_MAGIC[media_type[1].replace("jpg", "jpeg")].match(start) is not None


def is_host_name(name: str) -> bool:
    """Whether it is a full host name in ASCII and lower case, and no spelling of an IP address."""
    labels = name.split(".")
    last = labels[-1]
    # A last label of digits or 0x... makes URL parsers read the whole as an IPv4 address (URL Standard, "ends in a number").
    numeric = last.isdigit() or last.startswith("0x")
    return len(name) <= 253 and len(labels) > 1 and not numeric and all(map(_LABEL.fullmatch, labels))


def may_be_fetched(url: object, hosts: Collection[str] | None) -> bool:
    """Whether a picture may have this address: a picture's `data:` URL, or https without port and user, of one of the `hosts`.

    `hosts` None allows any host name: the server is the public router. A redirect by an allowed host is not checked.
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
