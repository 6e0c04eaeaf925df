"""Gradio's sessions kept apart by person: another's `session_hash` reaches nothing.

Gradio binds a session to nobody: its hash, made by the browser, gives that session's history and running reply to
whoever sends it. So the hash in a request becomes one of that person's own before Gradio sees it, by a secret key:
nothing has to be remembered. And a body reaches Gradio only with fields that the page itself sends.
"""

import asyncio
import hmac
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import Message, Receive, Scope

from hfchat.errors import InvalidRequest, PayloadTooLarge

MAX_PAGE_BODY_BYTES = 4 * 1024 * 1024
BODY_TIMEOUT_S = 60.0
HEARTBEAT = "/gradio_api/heartbeat/"
_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Every name of a field that the page sends. With others (`path`, `files`, `component`, `_type`, ...) Gradio would read
# a file of the server, fetch an address, or build a component that the sender names.
_FIELDS = frozenset(
    re.findall(
        r"\w+",
        "data event_data fn_index trigger_id session_hash event_id "
        "role content metadata options text type title id parent_id duration status log label value index "
        "previous_value _dispatch_value liked",
    )
)
_MAX_DEPTH = 12


def own_hash(key: bytes, subject: str, session_hash: object) -> str:
    """The session that this person's `session_hash` stands for. Raises: InvalidRequest where it is none."""
    if not isinstance(session_hash, str) or not _HASH.fullmatch(session_hash):
        raise InvalidRequest("session_hash", param="session_hash")
    return hmac.digest(key, f"{subject}\0{session_hash}".encode(), "sha256").hex()


async def own_session(scope: Scope, receive: Receive, subject: str, key: bytes) -> Receive:
    """Make the session that a request to Gradio names the caller's own, in `scope` and in the body to be received.

    `key` is the gate's secret. Raises: InvalidRequest for a body or hash of another form, or with fields that the page
    never sends; PayloadTooLarge.
    """
    path: str = scope["path"]
    if path.startswith(HEARTBEAT):
        scope["path"] = HEARTBEAT + own_hash(key, subject, path.removeprefix(HEARTBEAT))
        scope["raw_path"] = scope["path"].encode()
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    renamed = [(name, own_hash(key, subject, value) if name == "session_hash" else value) for name, value in query]
    scope["query_string"] = urlencode(renamed).encode()
    if scope["method"] != "POST":
        return receive
    body = _own_body(await read_body(receive, MAX_PAGE_BODY_BYTES), subject, key)
    headers = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"session_hash")]
    scope["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
    return replayed(body, receive)


def _own_body(body: bytes, subject: str, key: bytes) -> bytes:
    try:
        sent: Any = json.loads(body)
    except (ValueError, RecursionError) as broken:
        raise InvalidRequest("not_json", param="body") from broken
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param="body")
    _check_fields(sent)
    if sent.get("session_hash") is not None:
        sent["session_hash"] = own_hash(key, subject, sent["session_hash"])
    try:
        # Half a surrogate pair, as text that was cut in the middle has, becomes a question mark.
        return json.dumps(sent, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(errors="replace")
    except ValueError as broken:  # NaN
        raise InvalidRequest("not_json", param="body") from broken


def _check_fields(sent: dict[str, Any]) -> None:
    """Raises: InvalidRequest for a field that the page never sends, at any depth, and for a body that is too deep."""
    level: list[Any] = [sent]
    for _ in range(_MAX_DEPTH):
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                if not value.keys() <= _FIELDS:
                    raise InvalidRequest("no_files", param="data")
                inside += value.values()
            elif isinstance(value, list):
                inside += value
        level = inside
    if level:
        raise InvalidRequest("unreadable", param="body")


async def read_body(receive: Receive, limit: int, timeout_s: float = BODY_TIMEOUT_S) -> bytes:
    """The whole body.

    Raises: PayloadTooLarge past `limit` bytes; InvalidRequest where it is not there in time, or the caller left.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, limit)
    except TimeoutError as slow:
        raise InvalidRequest("unreadable", param="body") from slow


async def _read(receive: Receive, limit: int) -> bytes:
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
