"""What each setting's value must be: each function gives the value of what is written, or says what to write instead.

No message shows a value that may be a secret. Nothing is opened but the files that JWT_PUBLIC_KEY and HFCHAT_LOGO may name.
"""

import base64
import importlib.util
import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from hfchat.auth.public_keys import PUBLIC_KEY_ALGORITHMS, read_public_key
from hfchat.http.media import is_host_name
from hfchat.types import MODEL_ID, OWN_ISSUER, ROUTER_URL

SECRET_BYTES = 32
STORE = "sqlite:///.hfchat/ledger.db"
SUBJECT_CLAIM = "sub"
HMAC_ALGORITHM = "HS256"
_STORES = f"{STORE}, sqlite:////an/absolute/path.db, redis://host:6379/0, rediss://host:6379/0 or memory://"
_REDIS_OPTIONS = ("db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
_REDIS_SCHEMES = frozenset({"redis", "rediss", "valkey", "valkeys", "unix"})
_MAX_PEM_BYTES = 64 * 1024
_MAX_LOGO_BYTES = 100_000
# The first bytes of a picture, and what it is then.
_PICTURES = {
    b"\x89PNG\r\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"RIFF": "webp",
    b"<svg": "svg+xml",
    b"<?xml": "svg+xml",
}
_MAX_HOST_CHARS = 253  # RFC 1035 2.3.4, as text
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_MAX_NAME_CHARS = 255  # as much of a claim as is taken

_PLACEHOLDER = re.compile(
    r"secret|password|passphrase|change.?me|example|placeholder|sample|replace|insert|your[-_. ]|^<.*>$|\.\.\."
    r"|x{6}|0123456789|abcdefgh",
    re.IGNORECASE,
)


def jwt_secret(value: str) -> str:
    """An HMAC key of 32 bytes or more, no sample and no public key."""
    make = "make one with: python -m hfchat secret"
    if value.startswith(("-----BEGIN", "ssh-")):
        raise ValueError(f"it is no key for HS256; a public key is written as JWT_PUBLIC_KEY; {make}")
    if len(value.encode()) < SECRET_BYTES:
        raise ValueError(f"it has {len(value.encode())} bytes and needs {SECRET_BYTES} or more (RFC 7518 3.2); {make}")
    return _not_a_placeholder(value, make)


def hf_token(value: str) -> str:
    """A token of one word."""
    make = "copy the token again from https://huggingface.co/settings/tokens, or leave the variable out"
    if re.search(r"\s", value) or not value.isascii() or not value.isprintable():
        raise ValueError(f"it has a space, a line break or another stray character inside; {make}")
    if value.startswith("hf_"):
        _not_a_placeholder(value, make)
    return value


def _not_a_placeholder(value: str, what_to_do: str) -> str:
    # A long random value may well have a word in front of it: prod-jwt-secret-5f3c...
    tail = re.search(r"([0-9a-f]{32,}|[\w+/]{40,}=*)$", value)
    random = tail is not None and len(set(tail[0])) >= 12 and not _PLACEHOLDER.search(tail[0])
    if len(set(value)) < 10 or (_PLACEHOLDER.search(value) and not random):
        raise ValueError(f"it looks like a sample, not a real one; {what_to_do}")
    return value


def base_url(value: str) -> str:
    """The address of a chat completions server, up to its `/v1`."""
    url = _without_query(value, ROUTER_URL).rstrip("/")
    if urlsplit(url).hostname == "api-inference.huggingface.co":
        raise ValueError(f"this address is retired (it answers 410); write {ROUTER_URL} or leave the variable out")
    return url.removesuffix("/chat/completions")


def origin(value: str) -> str:
    """Scheme, host and port, as browsers send them."""
    example = "https://app.example.org"
    url = _without_query(value, example).rstrip("/")
    if urlsplit(url).path:
        raise ValueError(f"{value!r} has a path; write only the beginning, for example {example}")
    return url.lower()


def media_host(value: str) -> str:
    """The full name of a host, which is no IP address."""
    if not is_host_name(value.lower()):
        raise ValueError(
            f"{value!r} is not the full name of a host; write only the name, for example pictures.example.org, without "
            "https://, port or path, no IP address, and letters beyond ASCII as xn--..."
        )
    return value.lower()


def jwks_url(value: str) -> str:
    """The address of a key set, which nobody on the way to it can change."""
    example = "https://login.example.org/.well-known/jwks.json"
    parts = _address(value, example)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("an address with a user name or a `#` is not taken; write it without")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            "over http:// whoever is on the way could put in keys of their own; write https:// "
            "(http:// is taken on this machine's own address only)"
        )
    return value


def _without_query(value: str, example: str) -> str:
    parts = _address(value, example)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address with a user name, a `?` or a `#` is not taken; write it without")
    return value


def _address(value: str, example: str) -> SplitResult:
    parts = _split(value)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"it is not a whole address, from http:// or https:// on; write for example {example}")
    return parts


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        good = parts.port != 0 and value.isascii() and value.isprintable() and " " not in value
    except ValueError:
        return None
    return parts if good else None


def public_key(value: str) -> str:
    """The PEM text of a public key, from the text itself, in one line too, or from the file of this name."""
    text = value.replace("\\r", "").replace("\\n", "\n") if "-----BEGIN" in value else _file(value)
    read_public_key(text)
    return text


def _file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return file.read(_MAX_PEM_BYTES).decode()
    except (OSError, ValueError) as unreadable:
        raise ValueError(
            "it is neither the text of a public key (from -----BEGIN PUBLIC KEY----- on) nor the name of a file "
            f"that can be read ({type(unreadable).__name__}); write one or the other"
        ) from None


def algorithm(value: str) -> str:
    """A signature that can be checked here."""
    known = (HMAC_ALGORITHM, *sorted(PUBLIC_KEY_ALGORITHMS))
    if value not in known:
        raise ValueError(f"{value[:20]!r} is not taken; write some of {', '.join(known)}")
    return value


def issuer(value: str) -> str:
    """The `iss` of others' tokens, to the letter."""
    if value == OWN_ISSUER:
        raise ValueError(
            f"{OWN_ISSUER} is the issuer of this program's own tokens, and nobody else is; write the `iss` of the others"
        )
    return claim_value(value)


def claim_value(value: str) -> str:
    """A text that a claim can have."""
    if len(value) > _MAX_NAME_CHARS or not value.isprintable():
        raise ValueError(f"it is no claim's value, of {_MAX_NAME_CHARS} printable characters at most; copy it anew")
    return value


def claim_name(value: str) -> str:
    """The name of a claim."""
    if not re.fullmatch(r"[\w.:/-]{1,100}", value):
        raise ValueError("it is not a claim's name; write it as in the tokens, for example sub, id or email")
    return value


def store(value: str) -> str:
    """The address of a ledger that can be opened here."""
    scheme, mark, rest = value.partition("://")
    scheme = scheme.lower()
    if mark and scheme in _REDIS_SCHEMES:
        _check_redis(value, scheme)
    elif scheme == "sqlite" and rest.startswith("/") and rest.isprintable() and not re.search(r"[?#]", rest):
        if rest.rpartition("/")[2] in ("", ".", ".."):
            raise ValueError(f"its path is a folder's; write a file's, for example {STORE}")
    elif value.lower() != "memory://":
        raise ValueError(f"it is not the address of a store; write {_STORES}")
    return f"{scheme}://{rest}"


def _check_redis(value: str, scheme: str) -> None:
    parts = _split(value)
    if parts is None or not (parts.path.strip("/") if scheme == "unix" else parts.hostname):
        raise ValueError("it is not a whole address; write for example redis://host:6379/0 or unix:///run/redis.sock")
    if scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError("what follows its host is not a database's number; write for example redis://host:6379/0")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _REDIS_OPTIONS or (name == "db" and not value.isdigit()):
            raise ValueError(f"after the `?` only these are taken: {', '.join(_REDIS_OPTIONS)}; db is a number")
    if importlib.util.find_spec("redis") is None:
        raise ValueError("it needs the package redis: pip install 'redis>=8,<9'")


def store_from(folder: Path, address: str) -> str:
    """The store's address, with a relative path of SQLite's made absolute from this folder."""
    path = address.removeprefix("sqlite:///")
    return address if path == address else f"sqlite:///{folder / path}"


def server_name(value: str) -> str:
    """An address or a host's name."""
    if not re.fullmatch(r"[A-Za-z0-9.:\-]{1,253}", value):
        raise ValueError("it is not an address or a host's name; write 127.0.0.1, or 0.0.0.0 to let other machines in")
    return value


def space_host(value: str) -> str:
    """The hosts of a Space, comma-separated: its own on hf.space first, then its custom domains, in lower case."""
    hosts = value.lower().split(",")
    for host in hosts:
        if not host:
            raise ValueError(
                "a host is missing before, between or after the commas; write as SPACE.hf.space,chat.example.org"
            )
        if len(host) > _MAX_HOST_CHARS or not all(map(_HOST_LABEL.fullmatch, host.split("."))):
            raise ValueError(
                f"{host[:60]!r} is not a host's name; write as SPACE.hf.space, with commas and no spaces between"
            )
    return ",".join(hosts)


def organisation(value: str) -> str:
    """An organisation's name on the hub."""
    if not re.fullmatch(r"[\w.\-]{1,100}", value):
        raise ValueError("it is not an organisation's name on Hugging Face; write it as in huggingface.co/NAME")
    return value


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
    """The picture at this path as a `data:` address: the page's policy lets no picture in from elsewhere."""
    what = "write the path of a PNG, JPEG, WebP, GIF or SVG file"
    try:
        with Path(path).open("rb") as file:
            picture = file.read(_MAX_LOGO_BYTES + 1)
    except (OSError, ValueError):
        raise ValueError(f"there is no file that can be read; {what}") from None
    if len(picture) > _MAX_LOGO_BYTES:
        raise ValueError(f"the file has more than {_MAX_LOGO_BYTES:,} bytes; make the picture smaller")
    kind = next((kind for start, kind in _PICTURES.items() if picture.lstrip().startswith(start)), None)
    if kind is None:
        raise ValueError(f"the file is no such picture; {what}")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def is_loopback(name: str) -> bool:
    """Whether a server that listens on this name or address is reached from its own machine only."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
