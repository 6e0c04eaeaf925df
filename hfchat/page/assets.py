"""Cache of Gradio's scripts and styles, in memory: Gradio would read and compress them anew for each request.

Their names change with what is in them, so a browser that has one need not ask again.
"""

import re
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Only the names of files: there are so many, and no more can be asked for.
_ASSET = re.compile(r"/assets/[\w.-]+-[\w-]{8}\.(?:js|css|woff2)")
_CODINGS = ("br", "gzip")
_KEEP = "private, max-age=31536000, immutable"


@dataclass(slots=True)
class _Answer:
    start: Message = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False


class AssetCache:
    """ASGI middleware of Gradio's application: keeps what is answered to `GET /assets/...`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, str], _Answer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with what is kept; pass any other request on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _ASSET.fullmatch(scope["path"]):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if "range" in headers:
            return await self._app(scope, receive, send)
        accepted = headers.get("accept-encoding", "")
        coding = next((coding for coding in _CODINGS if coding in accepted), "")
        answer = self._kept.get((scope["path"], coding))
        if answer is None:
            answer = await self._ask(scope, receive)
            if answer.whole:
                self._kept[scope["path"], coding] = answer
        # A copy: what stands further out writes its own headers into it.
        await send({**answer.start, "headers": list(answer.start["headers"])})
        await send({"type": "http.response.body", "body": answer.body})
        return None

    async def _ask(self, scope: Scope, receive: Receive) -> _Answer:
        answer, parts = _Answer(), []

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.start = message
            else:
                parts.append(message.get("body", b""))
                answer.whole = answer.start["status"] == 200 and not message.get("more_body", False)

        await self._app(scope, receive, gather)
        answer.body = b"".join(parts)
        if answer.whole:
            headers = MutableHeaders(scope=answer.start)
            headers["cache-control"] = _KEEP
            headers["content-length"] = str(len(answer.body))
        return answer
