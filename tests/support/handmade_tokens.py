"""Tokens made by hand, as no library would make them."""

import base64
import hmac
import json

from tests.conftest import KEY


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def segment(value: object) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def sign(header: object, claims: object, key: str | bytes = KEY, digest: str = "sha256") -> str:
    """A token with this header and these claims, as JSON or as bytes, and the HMAC of both."""
    signed = f"{segment(header)}.{segment(claims)}"
    secret = key.encode() if isinstance(key, str) else key
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), digest).digest())}"
