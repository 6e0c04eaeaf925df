"""Session scope: Gradio's sessions are kept apart by person; another person's `session_hash` reaches nothing.

Gradio binds a session to nobody: its hash, made by the browser, gives that session's history and running reply to
whoever sends it. So the hash in a request becomes one of that person's own before Gradio sees it, by a secret key:
nothing has to be remembered. And a body reaches Gradio only with fields that the page itself sends.
"""

import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from starlette.types import Receive, Scope

from hfchat.errors import InvalidRequest
from hfchat.http.body import read_body, replayed
from hfchat.http.json_bounds import check_json
from hfchat.http.json_encoding import without_halves

MAX_PAGE_BODY_BYTES = 4 * 1024 * 1024
HEARTBEAT = "/gradio_api/heartbeat/"
CALL = "/gradio_api/call/chat/"
# Where a page says that it is about to go. Not Gradio's.
LEFT = "/gradio_api/left"
MAX_QUERY_FIELDS = 20
# A message of the page has 8, a turn 24. Gradio takes 45 ms for 1,300 messages, and lets nothing else run meanwhile.
MAX_PAGE_VALUES = 10_000
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


def scoped_session_hash(key: bytes, subject: str, session_hash: object) -> str:
    """The session that this person's `session_hash` stands for. Raises: InvalidRequest where it is none."""
    if not isinstance(session_hash, str) or not _HASH.fullmatch(session_hash):
        raise InvalidRequest("session_hash", param="session_hash")
    return hmac.digest(key, f"{subject}\0{session_hash}".encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a request to Gradio is about, in the scope under `PageRequest.KEY`: whose session, which event, how much."""

    KEY: ClassVar[str] = "hfchat.page_request"
    person: str
    session: str | None = None
    event_id: str | None = None
    body_bytes: int = 0
    values: int = 0


async def scope_session(
    scope: Scope,
    receive: Receive,
    subject: str,
    key: bytes,
    read: Callable[[Receive, int], Awaitable[bytes]] = read_body,
) -> Receive:
    """Make the session that a request to Gradio names the caller's own, in `scope` and in the body to be received.

    `key` is the gate's secret; `read` reads a body up to a limit. Raises: InvalidRequest for a body or hash of another
    form, with too many values, or with fields that the page never sends; what `read` does.
    """
    path: str = scope["path"]
    session = event_id = None
    if path.startswith(HEARTBEAT):
        session = scoped_session_hash(key, subject, path.removeprefix(HEARTBEAT))
        scope["path"] = HEARTBEAT + session
        scope["raw_path"] = scope["path"].encode()
    elif path.startswith(CALL):
        event_id = path.removeprefix(CALL)
    query = []
    for name, value in _query_of(scope):
        if name == "session_hash":
            value = session = scoped_session_hash(key, subject, value)
        query.append((name, value))
    scope["query_string"] = urlencode(query).encode()
    if scope["method"] != "POST":
        scope[PageRequest.KEY] = PageRequest(subject, session, event_id)
        return receive
    body = await read(receive, MAX_PAGE_BODY_BYTES)
    sent, values = await _checked(body)
    if path == CALL.rstrip("/") and sent.get("session_hash") is None:
        sent["session_hash"] = secrets.token_hex(16)  # Gradio would make one that is nobody's
    if sent.get("session_hash") is not None:
        sent["session_hash"] = session = scoped_session_hash(key, subject, sent["session_hash"])
    event_id = sent["event_id"] if isinstance(sent.get("event_id"), str) else None
    scope[PageRequest.KEY] = PageRequest(subject, session, event_id, len(body), values)
    body = _written(sent)
    headers = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"session_hash")]
    scope["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
    return replayed(body, receive)


def _query_of(scope: Scope) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError as many:
        raise InvalidRequest("unreadable", param="query") from many


async def _checked(body: bytes) -> tuple[dict[str, Any], int]:
    """What is in the body, and how many values."""
    try:
        encoding = json.detect_encoding(body)
        if encoding != "utf-8":
            body = body.decode(encoding, "surrogatepass").encode(errors="surrogatepass")
        await check_json(body, MAX_PAGE_VALUES, "page_values")
        sent: Any = json.loads(body)
    except (ValueError, RecursionError) as broken:
        raise InvalidRequest("not_json", param="body") from broken
    if not isinstance(sent, dict):
        raise InvalidRequest("object", param="body")
    return sent, _check_fields(sent)


def _written(sent: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(sent, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as broken:  # NaN
        raise InvalidRequest("not_json", param="body") from broken
    return without_halves(text).encode()


def _check_fields(sent: dict[str, Any]) -> int:
    """How many values there are.

    Raises: InvalidRequest for a field that the page never sends, at any depth, and for a body that is too deep.
    """
    level: list[Any] = [sent]
    values = 0
    for _ in range(_MAX_DEPTH):
        values += len(level)
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
    return values
