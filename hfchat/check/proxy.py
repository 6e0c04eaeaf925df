"""Public address: does it reach this program, and does the proxy there pass the `Host` header and each event at once?

Nothing that would be worth having is sent to an address before it has shown that it has the same key: the proof is a token
that has expired.
"""

import time
from urllib.parse import urlsplit

import httpx2

from hfchat.auth.own_tokens import issue_token
from hfchat.auth.policy import PolicyClaim
from hfchat.check.answer import Answer, good, unknown, wrong
from hfchat.check.http import FAILURES, Response, fetch
from hfchat.check.machine import is_hfchat
from hfchat.ids import random_id
from hfchat.limits import parse_limit

# The first event of a stream is sent at once; a proxy that gathers them would hold it for much longer.
FIRST_EVENT_S = 4.0
TOKEN_TTL_S = 60
SUBJECT = "hfchat check"
# Whoever reads the token on its way gets no turn for it: none costs so little.
_NO_TURN = PolicyClaim(budget=parse_limit("1/day"), max_tokens=1)


async def ask_proxy(client: httpx2.AsyncClient, url: str, key: bytes | None) -> list[Answer]:
    """The answers about the public address; the later ones only where it reaches a program with this key."""
    reached = await _reached(client, url, key)
    if reached.status != "good":
        return [reached]
    return [reached, await _passes_host(client, url), *([await _streams(client, url, key)] if key else [])]


async def _reached(client: httpx2.AsyncClient, url: str, key: bytes | None) -> Answer:
    try:
        response = await fetch(client, "GET", f"{url}/healthz")
        if 300 <= response.status < 400 and "location" in response.headers:
            return wrong("public_url", "public_url_redirects", url=url, to=_origin(response.headers["location"]))
        if not is_hfchat(response):
            return wrong("public_url", "public_url_other", url=url, status=response.status)
        if key is None:
            return good("public_url", "public_url_reaches", url=url)
        expired = issue_token(key, SUBJECT, ttl_s=1, now=int(time.time()) - 3600)
        response = await fetch(client, "GET", f"{url}/api/ai/usage", headers={"authorization": f"Bearer {expired}"})
    except FAILURES as failure:
        return wrong("public_url", "public_url_unreachable", url=url, kind=type(failure).__name__)
    if _code(response) != "expired_token":
        return wrong("public_url", "public_url_other_key", url=url)
    return good("public_url", "public_url_reaches", url=url)


async def _passes_host(client: httpx2.AsyncClient, url: str) -> Answer:
    """The program takes the form of its own host by either scheme, and knows that host by the `Host` header alone."""
    scheme, host = urlsplit(url)[:2]
    origin = f"{'http' if scheme == 'https' else 'https'}://{host}"
    try:
        response = await fetch(client, "POST", f"{url}/login", data={"token": "none"}, headers={"origin": origin})
    except FAILURES as failure:
        return unknown("host_header", "proxy_silent", url=url, kind=type(failure).__name__)
    if response.status == 401:
        return good("host_header", "host_passed")
    if _code(response) == "invalid_request":
        return wrong("host_header", "host_replaced")
    return unknown("host_header", "proxy_odd", url=url, status=response.status)


async def _streams(client: httpx2.AsyncClient, url: str, key: bytes) -> Answer:
    """The page's own heartbeat sends one event at once, then nothing for long."""
    token = issue_token(key, SUBJECT, ttl_s=TOKEN_TTL_S, policy=_NO_TURN)
    heartbeat = f"{url}/gradio_api/heartbeat/{random_id(64)}"
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with client.stream("GET", heartbeat, headers=headers, timeout=FIRST_EVENT_S) as response:
            if response.status_code != 200:
                return unknown("streaming", "proxy_odd", url=url, status=response.status_code)
            async for event in response.aiter_bytes():
                if event:
                    return good("streaming", "streams")
    except httpx2.TimeoutException:
        return wrong("streaming", "stream_held_back")
    except FAILURES as failure:
        return unknown("streaming", "proxy_silent", url=url, kind=type(failure).__name__)
    return wrong("streaming", "stream_held_back")


def _code(response: Response) -> str:
    error = response.object.get("error")
    return str(error.get("code")) if isinstance(error, dict) else ""


def _origin(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else location[:100]
