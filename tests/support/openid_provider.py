"""Hugging Face's OpenID provider on loopback: as strict as the real one, and hostile where a test says so."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.identity_provider import jwk, signed

ALICE = {"sub": "63f0a1", "name": "Alice A.", "preferred_username": "alice", "orgs": []}
ORGANISATION = {"sub": "0rg", "name": "Acme Inc.", "preferred_username": "Acme", "picture": "https://x.example/a.png"}
# A status, headers and a body that are sent in place of the proper answer; "hang" answers nothing.
Fault = tuple[int, dict[str, str], bytes] | str


class OpenIdProvider:
    """One provider with one person in front of it, who allows what is asked, or not (`allows`).

    `claims` changes what is signed, `sign` signs it, `reply` changes the token endpoint's JSON, `configuration` the discovery
    document; `faults` by path. `click`: the person has to press a button. `tokens` are all that were ever given out.
    """

    def __init__(self) -> None:
        self.reset()
        self.gone = threading.Event()

    def reset(self) -> None:
        self.person: dict[str, Any] = dict(ALICE)
        self.allows = True
        self.click = False
        self.lifetime_s = 28_800
        self.client_secret: str | None = None
        self.claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.configuration: Callable[[dict[str, Any]], dict[str, Any]] = lambda document: document
        self.reply: Callable[[dict[str, Any]], dict[str, Any]] = lambda reply: reply
        self.sign: Callable[[dict[str, Any]], str] = lambda claims: signed(
            "RS256", claims, number=self.key, kid=f"k{self.key}"
        )
        self.answer_iss: str | None = None
        self.key = 1
        self.faults: dict[str, Fault] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.access: dict[str, dict[str, Any]] = {}
        self.refresh: dict[str, dict[str, Any]] = {}
        self.tokens: list[str] = []
        self.asked: list[str] = []

    def authorize(self, query: dict[str, str]) -> tuple[int, str]:
        """A status, and where the browser goes, or what is wrong."""
        origin = urlsplit(query["redirect_uri"])
        if (
            not query["redirect_uri"].endswith("/login/huggingface/callback")
            or query["code_challenge_method"] != "S256"
        ):
            return 400, "redirect_uri"
        if query["client_id"].endswith("/.well-known/oauth-cimd"):
            assert urlsplit(query["client_id"])[:2] == origin[:2]
        answer = {"state": query["state"], **({"iss": self.answer_iss} if self.answer_iss else {})}
        if self.allows:
            answer["code"] = secrets.token_urlsafe(12)
            self.codes[answer["code"]] = query
        else:
            answer["error"] = "access_denied"
        return 303, f"{query['redirect_uri']}?{urlencode(answer)}"

    def grant(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if self.client_secret is not None:
            expected = base64.b64encode(f"{form['client_id']}:{self.client_secret}".encode()).decode()
            if authorization != f"Basic {expected}":
                return 401, {"error": "invalid_client"}
        if form["grant_type"] == "refresh_token":
            asked = self.refresh.pop(form["refresh_token"], None)  # it rotates: the old one is good for nothing
            return (400, {"error": "invalid_grant"}) if asked is None else (200, self._tokens(asked, with_id=False))
        asked = self.codes.pop(form["code"], None)
        if asked is None or (asked["client_id"], asked["redirect_uri"]) != (form["client_id"], form["redirect_uri"]):
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, self._tokens(asked, with_id=True)

    def _tokens(self, body: dict[str, Any], *, with_id: bool) -> dict[str, Any]:
        access, refresh = f"hf_oauth_{secrets.token_urlsafe(24)}", f"hf_refresh_{secrets.token_urlsafe(24)}"
        self.tokens += [access, refresh]
        self.access[access], self.refresh[refresh] = dict(self.person), body
        reply = {
            "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": self.lifetime_s,
            "scope": body["scope"],
        }  # fmt: skip
        if with_id:
            now = int(time.time())
            claims = {
                "iss": self.url,
                "aud": body["client_id"],
                "iat": now,
                "exp": now + 3600,
                "nonce": body["nonce"],
            }
            reply["id_token"] = self.sign(self.claims({**self.person, **claims}))
        return self.reply(reply)

    @property
    def discovery(self) -> dict[str, Any]:
        names = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "jwks_uri": "jwks",
        }
        return {"issuer": self.url, **{name: f"{self.url}/oauth/{path}" for name, path in names.items()}}


def _handler(provider: OpenIdProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            provider.asked.append(parts.path)
            if self._faulty(parts.path):
                return
            if parts.path == "/.well-known/openid-configuration":
                self._json(200, provider.configuration(provider.discovery))
            elif parts.path == "/oauth/jwks":
                self._json(200, {"keys": [jwk("rsa", provider.key, kid=f"k{provider.key}", use="sig", alg="RS256")]})
            elif parts.path == "/oauth/userinfo":
                person = provider.access.get(self.headers["Authorization"].removeprefix("Bearer "))
                self._json(200 if person else 401, person or {})
            elif parts.path == "/oauth/authorize" and provider.click and "allow" not in query:
                link = f"{self.path}&allow=1".replace("&", "&amp;")
                self._send(200, {"Content-Type": "text/html"}, f'<a href="{link}">Authorize</a>'.encode())
            else:
                status, place = provider.authorize(query)
                self._send(status, {"Location": place}, b"")

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if not self._faulty(self.path):
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._json(*provider.grant(form, self.headers.get("Authorization", "")))

        def _faulty(self, path: str) -> bool:
            fault = provider.faults.get(path)
            if fault == "hang":
                provider.gone.wait(60)
                self.close_connection = True
            elif isinstance(fault, tuple):
                self._send(*fault)
            return fault is not None

        def _json(self, status: int, value: Any) -> None:
            self._send(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # a caller who has left


@contextmanager
def openid_provider() -> Iterator[OpenIdProvider]:
    """The provider, in threads of its own, on a free port."""
    provider = OpenIdProvider()
    with _Server(("127.0.0.1", 0), _handler(provider)) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield provider
        provider.gone.set()
        server.shutdown()
