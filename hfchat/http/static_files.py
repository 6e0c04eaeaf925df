"""Static files of ours, in memory: their address changes with what is in them, so a browser that has one need not ask again."""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_MEDIA_TYPES = {"js": "text/javascript", "css": "text/css"}


def static_routes(name: str, files: Mapping[str, bytes]) -> tuple[str, list[Route]]:
    """The folder that these files are in, `/static/<name>-<hash of all>`, and a route for each, by its path in the folder."""
    digest = hashlib.sha256()
    for path, body in files.items():
        digest.update(f"{path}\0{len(body)}\0".encode() + body)
    folder = f"/static/{name}-{digest.hexdigest()[:16]}"
    return folder, [Route(f"{folder}/{path}", _StaticFile(path, body)) for path, body in files.items()]


class _StaticFile:
    """ASGI application: one file that never changes, compressed for the first who asks and kept."""

    def __init__(self, path: str, body: bytes) -> None:
        self._body = body
        self._media_type = _MEDIA_TYPES[path.rpartition(".")[2]]
        self._gzipped: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self._body
        headers = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            if self._gzipped is None:
                self._gzipped = await asyncio.to_thread(gzip.compress, body)  # Swagger UI's takes 150 ms
            body, headers["Content-Encoding"] = self._gzipped, "gzip"
        await Response(body, headers=headers, media_type=self._media_type)(scope, receive, send)
