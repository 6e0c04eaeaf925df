"""The browser's session cookie, and Gradio's sessions kept apart by person: another's `session_hash` reaches nothing.

Gradio binds a session to nobody: its hash, made by the browser, gives that session's history and running reply to whoever
sends it. So the hash that a request names, in its query, path or body, becomes one of that person's own before Gradio
sees it. Nothing has to be remembered for that.
"""

import hashlib
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Message, Receive, Scope

from hfchat.errors import InvalidRequest, PayloadTooLarge

COOKIE = "hfchat_session"
MAX_PAGE_BODY_BYTES = 4 * 1024 * 1024
HEARTBEAT = "/gradio_api/heartbeat/"
_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}")
# With these Gradio would read a file of the server, fetch an address, or build a component that the sender names. They
# are looked for in JSON written anew, where a quote inside somebody's text is always escaped.
_NEVER_SENT = (b'"gradio.FileData"', b'"_type":', b'"path":', b'"component":', b'"constructor_args":')


def session_token(headers: Headers) -> str:
    """The token in the browser's cookie, or the empty string."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def own_hash(subject: str, session_hash: object) -> str:
    """The session that this person's `session_hash` stands for. Raises: InvalidRequest where it is none."""
    if not isinstance(session_hash, str) or not _HASH.fullmatch(session_hash):
        raise InvalidRequest("session_hash", param="session_hash")
    return hashlib.sha256(f"{subject}\0{session_hash}".encode()).hexdigest()[:40]


async def own_session(scope: Scope, receive: Receive, subject: str) -> Receive:
    """Make the session that a request to Gradio names the caller's own, in `scope` and in the body to be received.

    Raises: InvalidRequest for a body or hash of another form, or one that carries files; PayloadTooLarge.
    """
    path: str = scope["path"]
    if path.startswith(HEARTBEAT):
        scope["path"] = HEARTBEAT + own_hash(subject, path.removeprefix(HEARTBEAT))
        scope["raw_path"] = scope["path"].encode()
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    renamed = [(name, own_hash(subject, value) if name == "session_hash" else value) for name, value in query]
    scope["query_string"] = urlencode(renamed).encode()
    if scope["method"] != "POST":
        return receive
    body = _own_body(await read_body(receive, MAX_PAGE_BODY_BYTES), subject)
    headers = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"session_hash")]
    scope["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
    return replayed(body, receive)


def _own_body(body: bytes, subject: str) -> bytes:
    try:
        sent: Any = json.loads(body)
    except (ValueError, RecursionError) as broken:
        raise InvalidRequest("not_json", param="body") from broken
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param="body")
    if sent.get("session_hash") is not None:
        sent["session_hash"] = own_hash(subject, sent["session_hash"])
    try:
        written = json.dumps(sent, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as broken:  # a lone surrogate, NaN
        raise InvalidRequest("not_json", param="body") from broken
    if any(marker in written for marker in _NEVER_SENT):
        raise InvalidRequest("no_files", param="data")
    return written


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises: PayloadTooLarge past `limit` bytes; InvalidRequest where the caller left in the middle."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("unreadable", param="body")
        body += message.get("body", b"")
        if len(body) > limit:
            raise PayloadTooLarge(f"body_bytes|{limit}", param="body")
        if not message.get("more_body", False):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body once, then what the connection says: that the caller has left."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
