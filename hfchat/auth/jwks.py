"""JWKS client: the public keys that an identity provider publishes, fetched on demand and cached through its outages.

The address may be that of its discovery document (OpenID Connect Discovery 1.0), which names the keys' address as `jwks_uri`.

Who sends tokens does not decide how often the provider is called. Only a valid new set replaces the cached keys.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx2

from hfchat.auth.public_keys import BadKeySet, PublicKey, PublishedKey, read_key_set
from hfchat.errors import InvalidToken
from hfchat.logs import log_event

MAX_BODY_BYTES = 512 * 1024
MAX_REDIRECTS = 3
_log = logging.getLogger(__name__)


class Jwks:
    """The keys at `url`. Used inside one event loop; `close` it.

    Keys are fresh for `fresh_s`; stale ones stay in use while new ones are fetched in the background. An unknown key causes a
    fetch, but none begins within `refetch_s` of the end of the last one, or `retry_s` before the first success. A fetch takes
    `timeout_s` at most.
    """

    def __init__(
        self,
        url: str,
        *,
        fresh_s: float = 300,
        refetch_s: float = 30,
        retry_s: float = 2,
        timeout_s: float = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = httpx2.URL(url)
        self._fresh_s = fresh_s
        self._refetch_s = refetch_s
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._keys: list[PublishedKey] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._client: httpx2.AsyncClient | None = None
        self._closed = False

    async def key(self, kid: str | None, alg: str) -> PublicKey:
        """The published key with this `kid` for this algorithm; without a `kid`, the only key for it.

        Concurrent calls share one fetch, and cancelling one of them does not end it.
        Raises: InvalidToken("token_key_unknown") where the current set has none; InvalidToken("token_key_unreachable"),
        which is the owner's fault, where no set was ever fetched.
        """
        key = self._fitting(kid, alg)
        if key is None or self._stale():
            self._begin()
        if key is None and self._fetching is not None:
            await asyncio.wait([self._fetching])
            key = self._fitting(kid, alg)
        if key is not None:
            return key
        if self._keys:
            raise InvalidToken("token_key_unknown")
        unreachable = InvalidToken("token_key_unreachable")
        unreachable.fault = "owner"
        raise unreachable

    async def close(self) -> None:
        """Cancel a fetch in progress, whose waiters then get no key, and close the client. No fetch begins afterwards."""
        self._closed = True
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        if self._client is not None:
            await self._client.aclose()

    def _fitting(self, kid: str | None, alg: str) -> PublicKey | None:
        fitting = [key for key in self._keys if alg in key.algorithms]
        if kid is None:
            # RFC 7515 section 4.1.4: without a `kid`, only one candidate is no guess.
            return fitting[0].key if len(fitting) == 1 else None
        return next((key.key for key in fitting if key.kid == kid), None)

    def _stale(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= self._fresh_s

    def _begin(self) -> None:
        cooldown_s = self._refetch_s if self._keys else self._retry_s
        cooled_down = self._tried_at is None or self._clock() - self._tried_at >= cooldown_s
        if self._fetching is None and cooled_down and not self._closed:
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                document = await self._document()
            self._keys, private = read_key_set(document)
            self._fetched_at = self._clock()
            if private:
                self._warn("jwks_private_keys", f"{private} private keys are published, and not used")
        except BadKeySet as error:
            self._warn("jwks_failed", str(error))
        except Exception as failure:  # in a task nobody would see it; the cached keys stay
            self._warn("jwks_failed", type(failure).__name__)
        finally:
            self._tried_at = self._clock()
            self._fetching = None

    async def _document(self) -> Any:
        document = await self._get(self._url)
        if not isinstance(document, dict) or "jwks_uri" not in document or "keys" in document:
            return document
        try:
            keys_url = self._url.join(document["jwks_uri"])
        except (httpx2.InvalidURL, TypeError, ValueError) as error:
            raise BadKeySet("a discovery document whose jwks_uri is no address") from error
        if _origin(keys_url) != _origin(self._url):
            # As a redirect: the owner named this host, and nobody else may name another.
            raise BadKeySet(
                f"a discovery document; set JWT_JWKS_URL to its jwks_uri, which is at {keys_url.host}"[:200]
            )
        return await self._get(keys_url)

    async def _get(self, url: httpx2.URL) -> Any:
        # Once: a TLS context takes 20 ms. `identity`: a small compressed answer could unpack to a huge one.
        self._client = self._client or httpx2.AsyncClient(
            timeout=None,  # `_fetch` limits the whole: a server that sends a byte at a time cannot stretch it
            headers={"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        for _ in range(MAX_REDIRECTS + 1):
            async with self._client.stream("GET", url) as response:
                if not response.has_redirect_location:
                    return await _json(response)
                url = url.join(response.headers["location"])
            if _origin(url) != _origin(self._url):
                raise BadKeySet("a redirect to another place")
        raise BadKeySet("too many redirects")

    def _warn(self, event: str, reason: str) -> None:
        # The host only: an address may have a key in its query.
        log_event(_log, logging.WARNING, event, host=self._url.host, reason=reason, keys=len(self._keys))


def _origin(url: httpx2.URL) -> tuple[str, str, int | None, bytes]:
    return url.scheme, url.host, url.port, url.userinfo


async def _json(response: httpx2.Response) -> Any:
    if response.status_code != 200:
        raise BadKeySet(f"status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BadKeySet("a compressed answer")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise BadKeySet(f"more than {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadKeySet("not JSON") from error
