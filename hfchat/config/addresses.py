"""Validators of addresses: URLs, hosts and the store, each with an error that shows what to write instead."""

import importlib.util
import ipaddress
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from hfchat.http.media import is_host_name
from hfchat.ledger.open_store import MEMORY, REDIS_SCHEMES
from hfchat.types import HUB_URL, ROUTER_URL

STORE = "sqlite:///.hfchat/ledger.db"
_STORES = f"{STORE}, sqlite:////an/absolute/path.db, redis://host:6379/0, rediss://host:6379/0 or {MEMORY}"
_REDIS_OPTIONS = ("db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
_WEB_PORTS = {"http": ":80", "https": ":443"}
# RFC 3986 section 3.1, but not the schemes whose origin is `null`, nor the web's, which are read as addresses.
_APP_SCHEME = re.compile(r"(?!(?:https?|file|data|blob|about|javascript)$)[a-z][a-z0-9+.-]{0,50}", re.ASCII)
# Its case stays: browsers write only hosts of the web in lower case.
_APP_HOST = re.compile(r"[\w.-]{1,253}(:\d{1,5})?", re.ASCII)
_MAX_HOST_CHARS = 253  # RFC 1035 2.3.4, as text
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


def base_url(value: str) -> str:
    """The address of a chat completions server, up to its `/v1`."""
    url = _without_query(value, ROUTER_URL).rstrip("/")
    if urlsplit(url).hostname == "api-inference.huggingface.co":
        raise ValueError(f"this address is retired (it answers 410); write {ROUTER_URL} or leave the variable out")
    return url.removesuffix("/chat/completions")


def cors_origin(value: str) -> str:
    """An origin as browsers send it: of a web page, or of an app or an extension, which has its own scheme (RFC 6454)."""
    scheme, mark, host = value.partition("://")
    scheme, host = scheme.lower(), host.rstrip("/")
    if scheme in _WEB_PORTS and "*" not in host:
        return origin(value).removesuffix(_WEB_PORTS[scheme])  # browsers leave the usual port out
    if not mark or not _APP_SCHEME.fullmatch(scheme) or not _APP_HOST.fullmatch(host):
        raise ValueError(
            f"{value[:100]!r} is not a whole address, from http://, https:// or the scheme of an app on; write for example "
            "https://app.example.org, app://obsidian.md or chrome-extension://ID (* and null would be anybody)"
        )
    return f"{scheme}://{host}"


def origin(value: str) -> str:
    """Scheme, host and port of a web page, as browsers send them."""
    example = "https://app.example.org"
    url = _without_query(value, example).rstrip("/")
    if urlsplit(url).path:
        raise ValueError(f"{value!r} has a path; write only the beginning, for example {example}")
    return url.lower()


def media_host(value: str) -> str:
    """The full name of a host, not an IP address."""
    if not is_host_name(value.lower()):
        raise ValueError(
            f"{value!r} is not the full name of a host; write only the name, for example pictures.example.org, without "
            "https://, port or path, no IP address, and letters beyond ASCII as xn--..."
        )
    return value.lower()


def jwks_url(value: str) -> str:
    """The address of a key set, over https: else anybody on the way could replace the keys."""
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


def provider(value: str) -> str:
    """The address of an OpenID provider, over https: else anybody on the way could sign in as anybody."""
    url = _without_query(value, HUB_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("over http:// whoever is on the way could sign in as anybody; write https://")
    return url


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
        valid = parts.port != 0 and value.isascii() and value.isprintable() and " " not in value
    except ValueError:
        return None
    return parts if valid else None


def store(value: str) -> str:
    """The address of a store of a known kind."""
    scheme, mark, rest = value.partition("://")
    scheme = scheme.lower()
    if mark and scheme in REDIS_SCHEMES:
        _check_redis(value, scheme)
    elif scheme == "sqlite" and rest.startswith("/") and rest.isprintable() and not re.search(r"[?#]", rest):
        if rest.rpartition("/")[2] in ("", ".", ".."):
            raise ValueError(f"its path is a folder's; write a file's, for example {STORE}")
    elif value.lower() != MEMORY:
        raise ValueError(f"it is not the address of a store; write {_STORES}")
    return f"{scheme}://{rest}"


def store_copy(value: str) -> str:
    """The address of a bucket on Hugging Face."""
    if not re.fullmatch(r"hf://buckets/[A-Za-z0-9][\w.\-]{0,95}/[A-Za-z0-9][\w.\-]{0,95}", value, re.ASCII):
        raise ValueError("it is not the address of a bucket; write hf://buckets/OWNER/NAME")
    return value


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


def is_loopback(name: str) -> bool:
    """Whether a server that listens on this name or address is reached only from its own machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
