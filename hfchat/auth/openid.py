"""OpenID provider client: discovery, the authorization code with PKCE, refresh and userinfo. Hugging Face is the provider.

Its answers are bounded in size and time, no redirect is followed, and all its addresses are on its own host: a token or a code
is sent nowhere else.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx2

from hfchat.auth.claims import is_time
from hfchat.auth.id_token import ProviderError, verify_id_token
from hfchat.auth.jwks import Jwks
from hfchat.auth.sign_in_attempt import Attempt

DISCOVERY_PATH = "/.well-known/openid-configuration"
# An ID token with 200 organisations has about 60 kB.
MAX_BODY_BYTES = 512 * 1024
DISCOVERY_FRESH_S = 3600.0
DISCOVERY_RETRY_S = 2.0
# Where a reply does not say it: a time after which the token is renewed in any case.
_DEFAULT_LIFETIME_S = 3600.0
_MAX_LIFETIME_S = 31 * 86_400.0
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")  # RFC 6750 section 2.1
_REFUSED = frozenset({"invalid_grant", "access_denied"})  # RFC 6749 section 5.2: of this grant, not of this client


class GrantRefused(ProviderError):
    """The provider does not take this code or refresh token: used, expired or withdrawn."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The provider's own addresses. `names_issuer`: its answers in the browser have `iss` (RFC 9207)."""

    issuer: str
    authorization: str
    token: str
    userinfo: str
    jwks: str
    names_issuer: bool


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """What the provider gave for a code or a refresh token; `expires_at` is in seconds since 1970."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float
    scopes: frozenset[str]
    id_token: str | None = field(default=None, repr=False)


class OpenIdProvider:
    """The provider at `url`, for one client. Used inside one event loop; `close` it.

    Without a `client_secret` the client is a public one, known by its id and PKCE. An answer takes `timeout_s` at most.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        scopes: tuple[str, ...],
        redirect_uri: str,
        timeout_s: float = 10,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._redirect_uri = redirect_uri
        self._timeout_s = timeout_s
        self._clock = clock
        self._endpoints: Endpoints | None = None
        self._jwks: Jwks | None = None
        self._discover_at = 0.0
        self._discovering = asyncio.Lock()
        self._client: httpx2.AsyncClient | None = None

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where a browser asks the provider for this attempt. Raises: ProviderError."""
        endpoints = await self.endpoints()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in endpoints.authorization else "?"
        return f"{endpoints.authorization}{mark}{urlencode(query)}"

    async def exchange(self, code: str, attempt: Attempt) -> tuple[ProviderTokens, dict[str, Any]]:
        """The tokens for this code, and the verified claims of the ID token. Raises: GrantRefused, ProviderError."""
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        tokens = await self._token_request({**grant, "code_verifier": attempt.verifier})
        endpoints = await self.endpoints()
        if tokens.id_token is None or self._jwks is None:
            raise ProviderError("there is no ID token")
        claims = await verify_id_token(
            tokens.id_token,
            self._jwks,
            issuer=endpoints.issuer,
            client_id=self._client_id,
            nonce=attempt.nonce,
            began=attempt.began,
            now=self._clock(),
        )
        return tokens, claims

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        """New tokens for a refresh token, which may be good for nothing afterwards. Raises: GrantRefused, ProviderError."""
        tokens = await self._token_request({"grant_type": "refresh_token", "refresh_token": refresh_token})
        # RFC 6749 section 6: without a new one, the old one stays.
        new_refresh_token = tokens.refresh_token or refresh_token
        return ProviderTokens(tokens.access_token, new_refresh_token, tokens.expires_at, tokens.scopes)

    async def userinfo(self, tokens: ProviderTokens, subject: str) -> dict[str, Any]:
        """What the provider says of this person, and of nobody else. Raises: ProviderError."""
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        status, answer = await self._json("GET", (await self.endpoints()).userinfo, headers=headers)
        if status != 200 or not isinstance(answer, dict) or answer.get("sub") != subject:
            raise ProviderError(f"userinfo answered {status}, or is about somebody else")
        return answer

    async def endpoints(self) -> Endpoints:
        """The provider's addresses, cached for DISCOVERY_FRESH_S and through its outages. Raises: ProviderError."""
        if self._clock() >= self._discover_at:
            async with self._discovering:
                if self._clock() >= self._discover_at:
                    await self._discover()
        if self._endpoints is None:
            raise ProviderError("its addresses are not known yet")
        return self._endpoints

    async def close(self) -> None:
        """Close the connections."""
        if self._jwks is not None:
            await self._jwks.close()
        if self._client is not None:
            await self._client.aclose()

    async def _discover(self) -> None:
        try:
            status, document = await self._json("GET", f"{self._url}{DISCOVERY_PATH}")
            if status != 200:
                raise ProviderError(f"its configuration answered {status}")
            endpoints = _read_endpoints(document, self._url)
        except ProviderError:
            self._discover_at = self._clock() + DISCOVERY_RETRY_S
            if self._endpoints is None:
                raise
            return
        if self._endpoints is None or self._endpoints.jwks != endpoints.jwks:
            if self._jwks is not None:
                await self._jwks.close()
            # Only the provider itself sends ID tokens here, so a new key is fetched at once.
            self._jwks = Jwks(endpoints.jwks, refetch_s=DISCOVERY_RETRY_S)
        self._endpoints = endpoints
        self._discover_at = self._clock() + DISCOVERY_FRESH_S

    async def _token_request(self, grant: Mapping[str, str]) -> ProviderTokens:
        endpoints = await self.endpoints()
        form = {**grant, "client_id": self._client_id}
        basic = None
        if self._client_secret is not None:  # RFC 6749 section 2.3.1
            basic = httpx2.BasicAuth(quote_plus(self._client_id), quote_plus(self._client_secret))
        status, answer = await self._json("POST", endpoints.token, data=form, auth=basic)
        if status != 200:
            error = answer.get("error") if isinstance(answer, dict) else None
            refused = status == 400 and error in _REFUSED
            raise (GrantRefused if refused else ProviderError)(f"the token endpoint answered {status}")
        return self._read_tokens(answer)

    def _read_tokens(self, answer: Any) -> ProviderTokens:
        answer = answer if isinstance(answer, dict) else {}
        access_token, refresh_token, id_token = (answer.get(f"{kind}_token") for kind in ("access", "refresh", "id"))
        lifetime_s, scope = answer.get("expires_in", _DEFAULT_LIFETIME_S), answer.get("scope")
        readable = (
            _is_token(access_token)
            and (refresh_token is None or _is_token(refresh_token))
            and isinstance(id_token, str | None)
            and is_time(lifetime_s)
            and isinstance(scope, str | None)
            and str(answer.get("token_type", "")).lower() == "bearer"
        )
        if not readable:
            raise ProviderError("the token endpoint's answer is not in the right form")
        expires_at = self._clock() + min(lifetime_s, _MAX_LIFETIME_S)
        # RFC 6749 section 5.1: without it, what was asked for is granted.
        scopes = frozenset(self._scopes if scope is None else scope.split())
        return ProviderTokens(access_token, refresh_token, expires_at, scopes, id_token)

    async def _json(self, method: str, url: str, **request: Any) -> tuple[int, Any]:
        """The status and the JSON of an answer, None where it is no JSON."""
        # Once: a TLS context takes 20 ms. `identity`: a small compressed answer could unpack to a huge one.
        self._client = self._client or httpx2.AsyncClient(
            timeout=None,  # the whole is limited: a server that sends a byte at a time cannot stretch it
            follow_redirects=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s), self._client.stream(method, url, **request) as response:
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise ProviderError("a compressed answer")
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > MAX_BODY_BYTES:
                        raise ProviderError(f"more than {MAX_BODY_BYTES} bytes")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as failure:
            # Without the cause: it holds the request, with what is secret in it.
            raise ProviderError(type(failure).__name__) from None
        try:
            return response.status_code, json.loads(body)
        except (ValueError, RecursionError):
            return response.status_code, None


def _read_endpoints(document: Any, url: str) -> Endpoints:
    """The addresses in a provider's configuration (OpenID Connect Discovery section 4.2). Raises: ProviderError."""
    document = document if isinstance(document, dict) else {}
    names = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    values = [document.get(name) for name in names]
    if not all(isinstance(value, str) for value in values) or str(values[0]).rstrip("/") != url:
        raise ProviderError("its configuration is not in the right form, or another issuer's")
    try:
        elsewhere = [value for value in values if _origin(str(value)) != _origin(url)]
    except httpx2.InvalidURL:
        elsewhere = values
    if elsewhere:
        raise ProviderError("its configuration names an address on another host")
    issuer, authorization, token, userinfo, jwks = map(str, values)
    names_issuer = document.get("authorization_response_iss_parameter_supported") is True
    return Endpoints(issuer, authorization, token, userinfo, jwks, names_issuer)


def _origin(url: str) -> tuple[str, str, int | None, bytes]:
    parts = httpx2.URL(url)
    return parts.scheme, parts.host, parts.port, parts.userinfo


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None
