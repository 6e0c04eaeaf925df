"""Response headers: what is added to every answer. Errors of Gradio's own form become errors of ours."""

from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from hfchat import errors as e
from hfchat.http.content_security_policy import DATA_POLICY
from hfchat.ledger.quota import Quota

# What a page of another origin may read of an answer's headers.
EXPOSED = (
    "X-Request-Id",
    "Retry-After",
    "X-Should-Retry",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-Budget-Remaining",
    "X-Hfchat-Attempts",
    "Idempotent-Replayed",
)


_FIXED = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-opener-policy", b"same-origin")]
# With `no-referrer` a browser sends `Origin: null` with a form, and the sign-in could not tell whose form it is; with
# `same-origin` the token of an invite link would stand in `Referer`, which proxies log.
_NO_REFERRER, _ORIGIN_ONLY = (b"referrer-policy", b"no-referrer"), (b"referrer-policy", b"strict-origin")
_CSP = b"content-security-policy"
_DATA_CSP = (_CSP, DATA_POLICY.encode())
_NO_STORE = (b"cache-control", b"no-store")
_OURS = frozenset(
    {b"x-request-id", b"cache-control", b"x-accel-buffering", b"referrer-policy", *(name for name, _ in _FIXED)}
)


def quota_headers(quota: Quota) -> list[tuple[bytes, bytes]]:
    """What the caller may still use, as headers."""
    headers = []
    if (rate := quota.rate) is not None:
        headers = [
            (b"ratelimit-limit", b"%d" % rate.limit),
            (b"ratelimit-remaining", b"%d" % rate.remaining),
            (b"ratelimit-reset", b"%d" % (rate.reset_s or 0)),
        ]
    if (budget := quota.budget) is not None:
        headers.append((b"x-budget-remaining", b"%d" % budget.remaining))
    return headers


class ResponseHeaders:
    """The `send` of a request: adds our headers, and knows whether an answer began.

    While it `translates`, an answer that is an error is withheld: Gradio's quote what was sent, and have not our form.
    """

    def __init__(
        self, send: Send, request_id: str, origin: str | None, path: str, *, small_page_csp: str = DATA_POLICY
    ) -> None:
        """`small_page_csp` is the policy of an HTML document that brings none of its own."""
        self._send = send
        self._small_page_csp = small_page_csp
        self._request_id = request_id
        self._origin = origin
        self._path = path
        self.translates = False
        self.withheld: e.HfchatError | None = None
        self.began = False
        self.quota: Quota | None = None
        self.attempts = 1
        self._ended = False

    def set_quota(self, quota: Quota) -> None:
        """What the caller has left now: the answer says it, where it has not begun."""
        self.quota = quota

    def set_attempts(self, attempts: int) -> None:
        """So many calls upstream were made for this answer: it says so, where there was more than one."""
        self.attempts = attempts

    async def __call__(self, message: Message) -> None:
        """Send the message on, or withhold it."""
        if message["type"] == "http.response.start" and self.translates and message["status"] >= 400:
            self.withheld = _translate(message["status"])
        if self.translates and self.withheld is not None:
            return
        if message["type"] == "http.response.start":
            self.began = True
            message["headers"] = self._headers(message["headers"], message["status"])
        elif message["type"] == "http.response.body":
            self._ended = not message.get("more_body", False)
        await self._send(message)

    def _headers(self, headers: Iterable[tuple[bytes, bytes]], status: int) -> list[tuple[bytes, bytes]]:
        stays = status < 400 and self._path.startswith(("/assets/", "/static/"))
        headers = [
            header
            for header in headers
            if (name := header[0].lower()) not in _OURS or (stays and name == b"cache-control")
        ]
        headers.append((b"x-request-id", self._request_id.encode()))
        headers += _FIXED
        headers.append(_ORIGIN_ONLY if self._path == "/login" else _NO_REFERRER)
        if all(name != _CSP for name, _ in headers):
            is_document = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
            headers.append((_CSP, self._small_page_csp.encode()) if is_document else _DATA_CSP)
        if self.quota is not None:
            headers += quota_headers(self.quota)
        if self.attempts > 1:
            headers.append((b"x-hfchat-attempts", b"%d" % self.attempts))
        if any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers):
            headers.append((b"x-accel-buffering", b"no"))  # nginx and a Space's proxy would hold the events back
        if not stays:
            headers.append(_NO_STORE)
        if self._origin:
            shared = MutableHeaders(raw=headers)
            shared["Access-Control-Allow-Origin"] = self._origin
            shared["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
            shared.add_vary_header("Origin")
        return headers

    async def cut(self) -> None:
        """End an answer that has begun."""
        if not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _translate(status: int) -> e.HfchatError:
    if status >= 500:
        return e.Overloaded() if status == 503 else e.InternalError()
    return e.NotFound() if status == 404 else e.InvalidRequest("unreadable", param="body")
