"""`/docs`: Swagger UI on the OpenAPI document, with nothing from another host; FastAPI's own page loads it from a CDN."""

import asyncio
import gzip
import hashlib
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hfchat.errors import catalogue
from hfchat.http.content_security_policy import reference_policy
from hfchat.http.error_response import say
from hfchat.http.html import template
from hfchat.i18n.language import language_of
from hfchat.i18n.sentences import PAGE

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "swagger-ui/swagger-ui-bundle.js": "text/javascript",
    "swagger-ui/swagger-ui.css": "text/css",
    "docs.js": "text/javascript",
    "docs.css": "text/css",
}
_DOCS = template("api/templates/docs.html")


def docs_routes(*, on_space: bool) -> list[Route]:
    """The page and its files, whose address changes with them. `on_space` where Hugging Face's page may frame it."""
    files = {name: (_STATIC / name).read_bytes() for name in _FILES}
    folder = f"/static/docs-{hashlib.sha256(b''.join(files.values())).hexdigest()[:16]}"
    headers = {"Content-Security-Policy": reference_policy(on_space=on_space)}

    async def docs(request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        # Without its particulars, a sentence may end with the colon that stands before them.
        errors = [(error.status, code, say(error(), language)[0].rstrip(":")) for code, error in catalogue().items()]
        page = _DOCS.render(language=language, texts=PAGE[language], folder=folder, errors=sorted(errors))
        return HTMLResponse(page, headers=headers)

    assets = [Route(f"{folder}/{name}", _Asset(body, _FILES[name])) for name, body in files.items()]
    return [Route("/docs", docs, methods=["GET"]), *assets]


class _Asset:
    """ASGI application: one file that never changes, compressed for the first who asks and kept."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self._body = body
        self._media_type = media_type
        self._gzipped: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self._body
        headers = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            if self._gzipped is None:
                self._gzipped = await asyncio.to_thread(gzip.compress, body)  # the bundle takes 150 ms
            body, headers["Content-Encoding"] = self._gzipped, "gzip"
        await Response(body, headers=headers, media_type=self._media_type)(scope, receive, send)
