"""The chat page's document: our scripts in it, and its Content-Security-Policy with the nonce that they run by.

Gradio's own `head` comes after the whole page is drawn, as scripts that no nonce can be on. The document itself Gradio, which
compresses what has a file's name only, sends as it is.
"""

import gzip
import re
import secrets
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfchat.http.content_security_policy import chat_page_policy

_HEAD, _BODY_ENDS = b"<head>", b"</body>"
# Gradio's names the document's own folder, which is the base without it too; the policy allows none.
_BASE = re.compile(rb"<base\b[^>]*>")
# Gradio escapes what it writes into its own scripts, so this is a tag wherever it stands.
_SCRIPT = re.compile(rb"<script(?=[\s>])")


class PageScripts:
    """ASGI middleware of Gradio's application: puts scripts into the page at `/`, `first` before Gradio's, `last` after.

    `imports` is an import map: where some of Gradio's scripts are loaded from. `icon` is the address of the tab's icon; without
    one a browser asks for `/favicon.ico`, which the policy forbids.
    """

    def __init__(
        self, app: ASGIApp, *, imports: str, first: str, last: Sequence[str], icon: str, on_space: bool
    ) -> None:
        self._app = app
        head = f'<script type="importmap">{imports}</script><script>{first}</script><link rel="icon" href="{icon}">'
        self._first = head.encode()
        self._last = "".join(f"<script>{script}</script>" for script in last).encode()
        self._on_space = on_space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the page back with the scripts in it, compressed."""
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
            whole = self._with_scripts(body, nonce)
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

    def _with_scripts(self, body: bytes, nonce: str) -> bytes:
        document = _BASE.sub(b"", body, count=1).replace(_HEAD, _HEAD + self._first, 1)
        before, end, after = document.rpartition(_BODY_ENDS)
        whole = before + self._last + end + after if end else after
        return _SCRIPT.sub(f'<script nonce="{nonce}"'.encode(), whole)
