"""Body of a streamed reply: server-sent events, or, from servers that do not stream whatever their content type says, JSON."""

import codecs

from hfchat.upstream.sse import EventTooLarge, ServerSentEvent, SSEDecoder

MAX_JSON_BYTES = 16 * 1024 * 1024
# The one event of a body that is JSON.
JSON_BODY = "json body"
_BLANK = codecs.BOM_UTF8 + b" \t\r\n"


def is_event_stream(body: bytes) -> bool:
    """Whether a whole body is server-sent events: no JSON begins so."""
    return body[:64].lstrip(_BLANK).startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


class StreamBody:
    """An `SSEDecoder` that takes JSON, too: that is one event, `JSON_BODY`, at the end of the body."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._json: list[bytes] = []
        self._size = 0
        # Whether it is JSON; None before its first character.
        self._is_json: bool | None = None

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """The events that `piece` completes. Raises: EventTooLarge."""
        if self._is_json is None and (begun := piece.lstrip(_BLANK)):
            self._is_json = begun.startswith((b"{", b"["))
        if not self._is_json:
            return self._decoder.feed(piece)
        self._json.append(piece)
        self._size += len(piece)
        if self._size > MAX_JSON_BYTES:
            raise EventTooLarge
        return []

    def close(self) -> list[ServerSentEvent]:
        """The last events, at the end of the body. Raises: EventTooLarge."""
        if self._json:
            return [ServerSentEvent(b"".join(self._json).decode("utf-8-sig", errors="replace"), JSON_BODY)]
        return self._decoder.close()
