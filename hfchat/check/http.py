"""HTTP calls of the check: each ends in time, reads no more than it may, and fails in few ways."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

# For a whole answer; a server that goes on for longer, or sends more, is not what was asked for.
ANSWER_S = 8.0
MAX_BYTES = 1024 * 1024
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError)


@dataclass(frozen=True, slots=True)
class Response:
    """The status, the headers and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def object(self) -> dict[str, Any]:
        """The JSON object of the body; an empty one where it has none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


async def fetch(client: httpx2.AsyncClient, method: str, url: str, **options: Any) -> Response:
    """The response. Raises: what is in FAILURES."""
    body = bytearray()
    async with asyncio.timeout(ANSWER_S), client.stream(method, url, **options) as response:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_BYTES:
                break
        return Response(response.status_code, response.headers, bytes(body[:MAX_BYTES]))
