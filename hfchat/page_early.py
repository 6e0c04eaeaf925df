"""What must run on the page before Gradio does: Gradio's `head` comes after the whole page is drawn.

Written into the document itself, which Gradio, that compresses what has a file's name only, sends as it is.
"""

import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEAD = b"<head>"


class EarlyScript:
    """ASGI middleware of Gradio's application: puts `script` first into the head of the page at `/`."""

    def __init__(self, app: ASGIApp, *, script: str) -> None:
        self._app = app
        self._script = f"<script>{script}</script>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the page back with the script in it, compressed."""
        if scope["type"] != "http" or scope["path"] != "/":
            return await self._app(scope, receive, send)
        start: Message | None = None
        body = b""

        async def gather(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body", False) or start is None:
                return
            whole = body.replace(_HEAD, _HEAD + self._script, 1)
            headers = MutableHeaders(scope=start)
            headers.add_vary_header("Accept-Encoding")
            if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
                whole = gzip.compress(whole, 5)
                headers["content-encoding"] = "gzip"
            if "content-length" in headers and scope["method"] != "HEAD":
                headers["content-length"] = str(len(whole))
            await send(start)
            await send({"type": "http.response.body", "body": whole})

        await self._app(scope, receive, gather)
        return None
