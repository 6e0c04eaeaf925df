"""What every answer carries on its way out: our headers, and our form where Gradio refuses in its own."""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from hfchat import errors as e
from hfchat.ledger import Standing

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self' https://huggingface.co"
)

# What a page of another origin may read of an answer's headers.
EXPOSED = (
    "X-Request-Id",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-Budget-Remaining",
)


def standing_headers(standing: Standing) -> dict[str, str]:
    """What the caller may still use, as headers."""
    headers = {}
    if standing.rate is not None:
        rate = standing.rate
        headers = {
            "RateLimit-Limit": str(rate.limit),
            "RateLimit-Remaining": str(rate.remaining),
            "RateLimit-Reset": str(rate.reset_s),
        }
    if standing.budget is not None:
        headers["X-Budget-Remaining"] = str(standing.budget.remaining)
    return headers


class Passage:
    """The `send` of a request: adds our headers, and knows whether an answer began.

    While it `translates`, an answer that is an error is withheld: Gradio's quote what was sent, and have not our form.
    """

    def __init__(self, send: Send, request_id: str, origin: str | None, path: str) -> None:
        self._send = send
        self._request_id = request_id
        self._origin = origin
        self._path = path
        self.translates = False
        self.withheld: e.HfchatError | None = None
        self.began = False
        self.standing: Standing | None = None
        self._ended = False

    def tell(self, standing: Standing) -> None:
        """What the caller has left now: the answer says it, where it has not begun."""
        self.standing = standing

    async def __call__(self, message: Message) -> None:
        """Send the message on, or withhold it."""
        if message["type"] == "http.response.start" and self.translates and message["status"] >= 400:
            self.withheld = _translate(message["status"])
        if self.translates and self.withheld is not None:
            return
        if message["type"] == "http.response.start":
            self.began = True
            self._add_headers(MutableHeaders(scope=message), message["status"])
        elif message["type"] == "http.response.body":
            self._ended = not message.get("more_body", False)
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders, status: int) -> None:
        headers["X-Request-Id"] = self._request_id
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        if self.standing is not None:
            headers.update(standing_headers(self.standing))
        headers["Referrer-Policy"] = "no-referrer"
        if headers.get("content-type", "").startswith("text/event-stream"):
            headers["X-Accel-Buffering"] = "no"  # nginx and a Space's proxy would hold the page's events back
        if status >= 400 or not self._path.startswith(("/assets/", "/static/")):
            headers["Cache-Control"] = "no-store"
        if self._origin:
            headers["Access-Control-Allow-Origin"] = self._origin
            headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
            headers.add_vary_header("Origin")

    async def cut(self) -> None:
        """End an answer that has begun."""
        if not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _translate(status: int) -> e.HfchatError:
    if status >= 500:
        return e.Overloaded() if status == 503 else e.InternalError()
    return e.NotFound() if status == 404 else e.InvalidRequest("unreadable", param="body")
