"""HTML document of the chat page, in the visitor's language: our scripts are put into it, and its policy with their nonce.

Gradio's own `head` comes after the whole page is drawn, as scripts that cannot have a nonce. The document is compressed here:
Gradio compresses only what has the name of a file.
"""

import gzip
import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfchat.http.content_security_policy import chat_page_policy
from hfchat.i18n.language import Language, language_of
from hfchat.i18n.sentences import DIRECTIONS
from hfchat.page.gradio_translations import with_words

_HEAD = b"<head>"
_LANGUAGE = re.compile(rb'(<html\b[^>]*?)\blang="[^"]*"')
# Gradio's names the document's own folder, which is the base without it too; the policy allows none.
_BASE = re.compile(rb"<base\b[^>]*>")
# Gradio escapes what it writes into its own scripts, so this is a tag wherever it stands.
_SCRIPT = re.compile(rb"<script(?=[\s>])")


class PageHead:
    """ASGI middleware of Gradio's application: puts the head of the visitor's language into the page at `/`, before Gradio's."""

    def __init__(self, app: ASGIApp, *, heads: Mapping[Language, str], on_space: bool) -> None:
        self._app = app
        self._heads = {language: head.encode() for language, head in heads.items()}
        self._on_space = on_space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the page back with the head in it, compressed."""
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
            nonce, request_headers = secrets.token_urlsafe(16), Headers(scope=scope)
            whole = self._with_head(body, nonce, language_of(request_headers.get("accept-language", "")))
            headers = MutableHeaders(scope=start)
            headers["content-security-policy"] = chat_page_policy(nonce, on_space=self._on_space)
            headers.add_vary_header("Accept-Encoding")
            if "gzip" in request_headers.get("accept-encoding", ""):
                whole = gzip.compress(whole, 5)
                headers["content-encoding"] = "gzip"
            if "content-length" in headers and scope["method"] != "HEAD":
                headers["content-length"] = str(len(whole))
            await send(start)
            await send({"type": "http.response.body", "body": whole})

        await self._app(scope, receive, gather)
        return None

    def _with_head(self, body: bytes, nonce: str, language: Language) -> bytes:
        document = _BASE.sub(b"", with_words(body, language), count=1)
        document = _LANGUAGE.sub(rf'\1lang="{language}" dir="{DIRECTIONS[language]}"'.encode(), document, count=1)
        document = document.replace(_HEAD, _HEAD + self._heads[language], 1)
        return _SCRIPT.sub(f'<script nonce="{nonce}"'.encode(), document)
