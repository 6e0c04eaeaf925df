"""HTML document of the chat page: our scripts are put into it, and its Content-Security-Policy with their nonce.

Gradio's own `head` comes after the whole page is drawn, as scripts that no nonce can be on. The document itself Gradio, which
compresses what has a file's name only, sends as it is.
"""

import gzip
import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfchat.http.content_security_policy import chat_page_policy

_HEAD = b"<head>"
# Gradio's names the document's own folder, which is the base without it too; the policy allows none.
_BASE = re.compile(rb"<base\b[^>]*>")
# Gradio escapes what it writes into its own scripts, so this is a tag wherever it stands.
_SCRIPT = re.compile(rb"<script(?=[\s>])")


class PageHead:
    """ASGI middleware of Gradio's application: puts `head` into the page at `/`, before anything of Gradio's."""

    def __init__(self, app: ASGIApp, *, head: str, on_space: bool) -> None:
        self._app = app
        self._head = head.encode()
        self._on_space = on_space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the page back with `head` in it, compressed."""
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
            nonce = secrets.token_urlsafe(16)
            whole = self._with_head(body, nonce)
            headers = MutableHeaders(scope=start)
            headers["content-security-policy"] = chat_page_policy(nonce, on_space=self._on_space)
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

    def _with_head(self, body: bytes, nonce: str) -> bytes:
        document = _BASE.sub(b"", body, count=1).replace(_HEAD, _HEAD + self._head, 1)
        return _SCRIPT.sub(f'<script nonce="{nonce}"'.encode(), document)
