"""Validators of settings: keys, claims, models and the page. Each returns the value, or raises what to write instead.

No message shows a value that may be a secret. Only the files in JWT_PUBLIC_KEY and HFCHAT_LOGO are opened.
"""

import base64
import re
from pathlib import Path

from hfchat.auth.claims import MAX_SUBJECT_CHARS
from hfchat.auth.public_keys import PUBLIC_KEY_ALGORITHMS, read_public_key
from hfchat.auth.verifier import HMAC_KEY_BYTES
from hfchat.http.media import PICTURE_MAGIC
from hfchat.types import MODEL_ID, OWN_ISSUER

SECRET_BYTES = 32
BASE64 = "base64:"
SUBJECT_CLAIM = "sub"
_MAX_PEM_BYTES = 64 * 1024
_MAX_LOGO_BYTES = 100_000
_PLACEHOLDER = re.compile(
    r"secret|password|passphrase|change.?me|example|placeholder|sample|replace|insert|your[-_. ]|^<.*>$|\.\.\."
    r"|x{6}|0123456789|abcdefgh",
    re.IGNORECASE,
)


def jwt_secret(value: str) -> str:
    """An HMAC key of 32 bytes or more, no sample and no public key; behind `base64:`, the base64 of one."""
    make = "make one with: python -m hfchat secret"
    if value.startswith(("-----BEGIN", "ssh-")):
        raise ValueError(f"it is no key for HS256; a public key is written as JWT_PUBLIC_KEY; {make}")
    try:
        length = len(signing_key(value))
    except ValueError:
        raise ValueError(f"what stands behind {BASE64} is no base64; copy it again, or {make}") from None
    if length < SECRET_BYTES:
        raise ValueError(f"it has {length} bytes and needs {SECRET_BYTES} or more (RFC 7518 3.2); {make}")
    _not_a_placeholder(value.removeprefix(BASE64), make)
    return value


def signing_key(value: str) -> bytes:
    """The bytes of a secret: its text in UTF-8, or what the base64 behind `base64:` decodes to. Raises: ValueError."""
    if not value.startswith(BASE64):
        return value.encode()
    # Both alphabets of RFC 4648, with and without padding: libraries write either.
    text = value.removeprefix(BASE64).strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def hf_token(value: str) -> str:
    """A Hugging Face token, or another server's key, without stray characters."""
    make = "copy the token again from https://huggingface.co/settings/tokens, or leave the variable out"
    if re.search(r"\s", value) or not value.isascii() or not value.isprintable():
        raise ValueError(f"it has a space, a line break or another stray character inside; {make}")
    if value.startswith("hf_"):
        _not_a_placeholder(value, make)
    return value


def _not_a_placeholder(value: str, advice: str) -> str:
    # A long random value may have a prefix of words: prod-jwt-secret-5f3c...
    tail = re.search(r"([0-9a-f]{32,}|[\w+/]{40,}=*)$", value)
    random = tail is not None and len(set(tail[0])) >= 12 and not _PLACEHOLDER.search(tail[0])
    if len(set(value)) < 10 or (_PLACEHOLDER.search(value) and not random):
        raise ValueError(f"it looks like a sample, not a real one; {advice}")
    return value


def public_key(value: str) -> str:
    """The PEM text of a public key, from the text itself, also in one line, or from the file of this name."""
    text = value.replace("\\r", "").replace("\\n", "\n") if "-----BEGIN" in value else _file(value)
    read_public_key(text)
    return text


def _file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return file.read(_MAX_PEM_BYTES).decode()
    except (OSError, ValueError) as error:
        raise ValueError(
            "it is neither the text of a public key (from -----BEGIN PUBLIC KEY----- on) nor the name of a file "
            f"that can be read ({type(error).__name__}); write one or the other"
        ) from None


def algorithm(value: str) -> str:
    """A signature algorithm that is supported."""
    supported = (*HMAC_KEY_BYTES, *sorted(PUBLIC_KEY_ALGORITHMS))
    if value not in supported:
        raise ValueError(f"{value[:20]!r} is not taken; write some of {', '.join(supported)}")
    return value


def issuer(value: str) -> str:
    """The `iss` of others' tokens, to the letter."""
    if value == OWN_ISSUER:
        raise ValueError(
            f"{OWN_ISSUER} is the issuer of this program's own tokens, and nobody else is; write the `iss` of the others"
        )
    return claim_value(value)


def scope(value: str) -> str:
    """One scope, as RFC 6749 section 3.3 writes it. A comma would be one of its letters, and is taken for a list's."""
    if not re.fullmatch(r"[!#-+\--\[\]-~]{1,255}", value):
        raise ValueError(
            "it is not one scope; write one, without spaces and commas, as in the tokens, for example chat:use"
        )
    return value


def claim_value(value: str) -> str:
    """A text that a claim can have."""
    if len(value) > MAX_SUBJECT_CHARS or not value.isprintable():
        raise ValueError(f"it is no claim's value, of {MAX_SUBJECT_CHARS} printable characters at most; copy it anew")
    return value


def claim_name(value: str) -> str:
    """The name of a claim."""
    if not re.fullmatch(r"[\w.:/-]{1,100}", value):
        raise ValueError("it is not a claim's name; write it as in the tokens, for example sub, id or email")
    return value


def organisation(value: str) -> str:
    """An organisation's name on the hub."""
    if not re.fullmatch(r"[\w.\-]{1,100}", value):
        raise ValueError("it is not an organisation's name on Hugging Face; write it as in huggingface.co/NAME")
    return value


def member(value: str) -> str:
    """The name of a user or an organisation on the hub, in lower case: they differ in no other way."""
    if not re.fullmatch(r"[\w.\-]{1,100}", value, re.ASCII):
        raise ValueError(
            f"{value[:60]!r} is no user or organisation on Hugging Face; write it as in huggingface.co/NAME"
        )
    return value.lower()


def client_secret(value: str) -> str:
    """An OAuth app's secret, without stray characters."""
    if re.search(r"\s", value) or not value.isascii() or not value.isprintable():
        raise ValueError("it has a space, a line break or another stray character inside; copy it again")
    return value


def scopes(value: str) -> str:
    """OAuth scopes (RFC 6749 section 3.3); those that a sign-in needs are added."""
    names = value.split()
    if not all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}", name) for name in names):
        raise ValueError("it has something that is no scope; write for example: openid profile inference-api")
    return " ".join(dict.fromkeys(("openid", "profile", *names)))


def model(value: str) -> str:
    """A model's id."""
    if not MODEL_ID.fullmatch(value):
        raise ValueError(f"{value!r} is not a model's id; write for example meta-llama/Llama-3.2-3B-Instruct:fastest")
    return value


def model_or_all(value: str) -> str:
    """A model's id, or `*`."""
    return value if value == "*" else model(value)


def comma_separated(value: object) -> object:
    """The parts of a list."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def bar_separated(value: object) -> object:
    """The parts of a list whose parts may have commas."""
    return tuple(part.strip() for part in value.split("|") if part.strip()) if isinstance(value, str) else value


def colour(value: str) -> str:
    """A colour, as #rrggbb."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ValueError("it is not a colour; write # and six digits, for example #2563eb")
    return value.lower()


def logo(path: str) -> str:
    """The picture at this path as a `data:` URL: the page's Content-Security-Policy allows no other."""
    advice = "write the path of a PNG, JPEG, WebP, GIF or SVG file"
    try:
        with Path(path).open("rb") as file:
            picture = file.read(_MAX_LOGO_BYTES + 1)
    except (OSError, ValueError):
        raise ValueError(f"there is no file that can be read; {advice}") from None
    if len(picture) > _MAX_LOGO_BYTES:
        raise ValueError(f"the file has more than {_MAX_LOGO_BYTES:,} bytes; make the picture smaller")
    svg = "svg+xml" if picture.lstrip().startswith((b"<svg", b"<?xml")) else None
    kind = next((kind for kind, magic in PICTURE_MAGIC.items() if magic.match(picture)), svg)
    if kind is None:
        raise ValueError(f"the file is no such picture; {advice}")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
