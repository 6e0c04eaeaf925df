"""Access rules, as data: which routes there are, for whom; and the same-origin rules against cross-site requests (CSRF)."""

import re

from starlette.datastructures import Headers

from hfchat.errors import InvalidRequest, NotFound
from hfchat.types import MODEL_ID

READ = frozenset({"GET", "HEAD"})
_GET, _POST = frozenset({"GET"}), frozenset({"POST"})

HUB_SIGN_IN, HUB_CALLBACK, CLIENT_METADATA = (
    "/login/huggingface",
    "/login/huggingface/callback",
    "/.well-known/oauth-cimd",
)
HUB_ROUTES = (HUB_SIGN_IN, HUB_CALLBACK, CLIENT_METADATA)
OPEN = {
    "/healthz": READ,
    "/readyz": READ,
    "/login": READ | _POST,
    "/logout": _POST,
    **dict.fromkeys(HUB_ROUTES, _GET),  # only where people sign in with Hugging Face
}
API = {
    "/api/ai/chat": _POST,
    "/api/ai/usage": _GET,
    "/api/ai/revoke": _POST,
    "/api/ai/models": _GET,
    "/v1/chat/completions": _POST,
    "/v1/models": _GET,
}
# An id has slashes.
_MODEL = re.compile(f"/v1/models/{MODEL_ID.pattern}")
# Other forms of the same, which are not served: a client that asks for one can be set to ask for this.
_SAME_AS = dict.fromkeys(("completion", "messages", "responses"), "completions")
PAGES = {
    "/": READ,
    "/docs": READ,
    "/openapi.json": READ,
    "/config": _GET,
    "/theme.css": _GET,
    "/favicon.ico": _GET,
    "/manifest.json": _GET,
    "/own-token": _POST,
    "/payer": _POST,
    "/gradio_api/app_id": _GET,  # asked again and again by a page that lost its connection
    "/gradio_api/info": _GET,
    "/gradio_api/theme.css": _GET,
    "/gradio_api/startup-events": _GET,
    "/gradio_api/run/predict": _POST,
    "/gradio_api/queue/join": _POST,
    "/gradio_api/queue/data": _GET,
    "/gradio_api/cancel": _POST,
    "/gradio_api/reset": _POST,
    "/gradio_api/left": _POST,  # ours: a page says that it is about to go
    "/gradio_api/call/chat": _POST,
}
PAGE_PATTERNS = (
    (re.compile(r"/(assets|static)/[\w.@/-]{1,300}"), _GET),
    (re.compile(r"/gradio_api/heartbeat/[\w-]+"), _GET),
    # An event's id only: for what is no event's id, Gradio looks for a session of that name.
    (re.compile(r"/gradio_api/call/chat/[0-9a-f]{32}"), _GET),
)

# What a browser may fetch these as (Fetch Metadata): a document that its user sees, or the page's own sign-out. Never a picture,
# a style or a script that a reply names.
_OPENED_AS = {
    "/login": {"document"},
    "/logout": {"document", "empty"},
    HUB_SIGN_IN: {"document"},
    HUB_CALLBACK: {"document"},
}

# Of `Sec-Fetch-Site`; `none` is what a person typed, or opened from a bookmark.
_OWN_SITE = frozenset({"same-origin", "none"})


def check_opening(headers: Headers, path: str, method: str, *, framed: bool, public_url: str | None) -> None:
    """Refuse what no person opened: the sign-in as a picture, or its form sent by another page (login CSRF).

    `framed` where the page may stand in a frame. Raises: InvalidRequest. A program that sends none of a browser's headers passes.
    """
    opened_as = _OPENED_AS.get(path)
    if opened_as is None:
        return
    if not opened_as | ({"iframe"} if framed else set()) >= set(headers.getlist("sec-fetch-dest")):
        raise InvalidRequest("only_as_page", param="Sec-Fetch-Dest")
    if method == "POST" and is_cross_site(headers, public_url):
        raise InvalidRequest("cross_site", param="Origin")


def is_cross_site(headers: Headers, public_url: str | None) -> bool:
    """Whether `Sec-Fetch-Site` or `Origin`, each where it is sent, names another origin than this server's.

    `public_url` is the server's own origin, where a proxy does not pass the `Host` header on.

    An `Origin` of `null`, of a document that hides its own, is another one.
    """
    host = headers.get("host")
    own = {f"http://{host}", f"https://{host}", public_url}
    return not (_OWN_SITE.issuperset(headers.getlist("sec-fetch-site")) and own.issuperset(headers.getlist("origin")))


def methods_of(path: str) -> frozenset[str] | None:
    """The methods of a route that needs a token; None where there is no such route."""
    methods = API.get(path) or PAGES.get(path) or (_GET if _MODEL.fullmatch(path) else None)
    if methods is None and ".." not in path and "//" not in path:
        methods = next((methods for pattern, methods in PAGE_PATTERNS if pattern.fullmatch(path)), None)
    return methods


def likely_address(path: str, method: str) -> str | None:
    """The API's address that a wrong one was meant for; None where nothing points to one.

    Base URLs are written with and without `/v1`, with a slash too many, or with the whole address, and each client adds its own
    part. So what counts is which names stand in the path, the last of them most.
    """
    segments = [_SAME_AS.get(segment, segment) for part in path.lower().split("/") if (segment := part.strip())]
    candidates = []
    for address, methods in API.items():
        names = address.split("/")[1:]
        begins = 0 < len(segments) < len(names) and names[: len(segments)] == segments
        if begins or names[-1] in segments:
            last = len(segments) if begins else max(i for i, segment in enumerate(segments, 1) if segment == names[-1])
            score = (method in methods, last, len({*names} & {*segments}), -len(names))
            candidates.append((score, address))
    return max(candidates, key=lambda candidate: candidate[0])[1] if candidates else None


def not_found(path: str, method: str) -> NotFound:
    """The error of a route that is not listed."""
    address = likely_address(path, method)
    return NotFound() if address is None else NotFound("right_address", params={"value": address})


def speaks_openai(path: str) -> bool:
    """Whether it is a client of OpenAI's form that asks: of an error it shows the message alone."""
    return "/v1/" in f"{path}/"


def is_page(path: str) -> bool:
    """Whether the route is one of a browser, which may send the session cookie in place of a bearer token."""
    return path not in API and not path.startswith(("/api/", "/v1/"))


def same_origin_shown(headers: Headers) -> bool:
    """Every browser sends one of the two with a POST; what sends neither is no browser and has no use for a cookie."""
    return "sec-fetch-site" in headers or "origin" in headers
