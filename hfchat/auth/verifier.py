"""JWT verifier: a token becomes a `Caller`, our own token or one of a backend or an identity provider.

The settings decide how a token is checked, never the token: one key for each algorithm, and no other algorithm (RFC 8725
sections 3.1 and 3.2). The issuer `hfchat` is accepted with this program's own key only.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

from hfchat.auth.claims import (
    check_times,
    expired,
    is_name,
    missing_claim,
    read_foreign_scopes,
    read_name,
    wrong_claim,
)
from hfchat.auth.jwks import Jwks
from hfchat.auth.own_tokens import ALGORITHM, signed_claims, unverified, verify_token
from hfchat.auth.policy import CLAIM, narrow, read_policy
from hfchat.auth.public_keys import (
    EDDSA_ALGORITHMS,
    PUBLIC_KEY_ALGORITHMS,
    PublicKey,
    algorithms_of,
    read_public_key,
)
from hfchat.errors import InsufficientScope, InvalidToken
from hfchat.types import CHAT_SCOPE, OWN_ISSUER, Caller, Policy

# Cache of verified tokens, up to their `exp`: a program sends the same one with every request.
CACHED_S = 30.0
MAX_CACHED = 5000
# So that the cache holds at most 40 MB of them. A longer token's signature is checked each time, in 0.03 ms.
MAX_CACHED_BYTES = 8192
# RFC 8725 section 3.11, RFC 9068 section 2.1: a token for another purpose has another `typ`.
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# They change what is signed. Other headers are ignored, above all embedded keys and addresses of keys.
_REFUSED_HEADERS = frozenset({"crit", "b64", "zip"})
_HMAC_HEADERS = frozenset({"alg", "typ", "kid"})
# RFC 7518 section 3.2: a key has as many bytes as the hash, or more.
HMAC_KEY_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


def hmac_algorithms(secret: str | bytes) -> frozenset[str]:
    """The HMAC algorithms for which this secret is long enough. HS256 is always one: with a shorter secret its tokens are
    refused.
    """
    length = len(secret.encode() if isinstance(secret, str) else secret)
    return frozenset(alg for alg, needed in HMAC_KEY_BYTES.items() if alg == ALGORITHM or length >= needed)


class Verifier:
    """Verifies tokens with the configured keys; without any, it refuses all. `close` it.

    `secret` verifies HS256, our tokens and those of a backend that shares it; a longer one also HS384 and HS512. `public_key`
    is PEM text, `jwks` a provider's keys; only one of the two is set. `algorithms` narrows the algorithms of the keys. Of
    others' tokens are required, where set: one of the `issuers`, one of the `audiences`, the `required_scope`. `subject_claim`
    names the person in them.
    Raises: ValueError for a `public_key` that is none.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        secret: str | bytes | None = None,
        public_key: str | None = None,
        jwks: Jwks | None = None,
        algorithms: frozenset[str] | None = None,
        issuers: Collection[str] = (),
        audiences: Collection[str] = (),
        required_scope: str | None = None,
        subject_claim: str = "sub",
    ) -> None:
        self._policy = policy
        self._secret = secret or ""
        self._jwks = jwks
        self._keys: dict[str, str | bytes | PublicKey] = (
            dict.fromkeys(hmac_algorithms(secret), secret) if secret else {}
        )
        if public_key:
            key = read_public_key(public_key)
            self._keys |= dict.fromkeys(algorithms_of(key), key)
        supported = self._keys.keys() | (PUBLIC_KEY_ALGORITHMS if jwks else frozenset())
        if algorithms and "EdDSA" in algorithms:
            algorithms |= EDDSA_ALGORITHMS
        self._algorithms = supported if algorithms is None else supported & algorithms
        self._issuers = frozenset(issuers)
        self._audiences = frozenset(audiences)
        self._required_scope = required_scope
        self._subject_claim = subject_claim
        self._verified: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    async def verify(self, token: str, now: float | None = None) -> Caller:
        """The caller, with the narrower of the owner's policy and the token's.

        Raises: ExpiredToken for a valid token past its `exp`; InsufficientScope for one without the required scope; InvalidToken
        for every other fault, with the reason.
        """
        if not self._algorithms:
            raise InvalidToken
        now = time.time() if now is None else now
        entry = self._verified.get(token)
        if entry is not None and entry[0] <= now < min(entry[0] + CACHED_S, entry[1].expires_at):
            return entry[1]
        caller, cacheable = await self._verify(token, now)
        if cacheable and len(token) <= MAX_CACHED_BYTES:
            self._verified[token] = (now, caller)
            self._verified.move_to_end(token)
            if len(self._verified) > MAX_CACHED:
                self._verified.popitem(last=False)
        return caller

    async def _verify(self, token: str, now: float) -> tuple[Caller, bool]:
        """The caller, and whether it may be cached: not with a key that a provider may withdraw."""
        header, claims = unverified(token)
        if not isinstance(header["alg"], str) or header["alg"] not in self._algorithms:
            raise InvalidToken("token_algorithm")
        if header["alg"] == ALGORITHM and claims.get("iss") == OWN_ISSUER:
            return verify_token(self._secret, token, self._policy, now), True
        _check_header(header)
        claims = signed_claims(token, await self._key(header), header["alg"])
        return self._caller(token, claims, now), header["alg"] in self._keys

    async def close(self) -> None:
        """Close the client of `jwks`."""
        if self._jwks is not None:
            await self._jwks.close()

    async def _key(self, header: dict[str, Any]) -> str | bytes | PublicKey:
        if header["alg"] in self._keys:
            return self._keys[header["alg"]]
        if self._jwks is None:
            raise InvalidToken("token_algorithm")
        return await self._jwks.key(header.get("kid"), header["alg"])

    def _caller(self, token: str, claims: dict[str, Any], now: float) -> Caller:
        issuer, subject = self._checked_issuer(claims), self._subject(claims)
        self._check_audience(claims)
        check_times(claims, now)
        policy = narrow(self._policy, read_policy(claims.get(CLAIM, {})))
        token_id = _token_id(token, claims.get("jti"))
        if claims["exp"] <= now:
            raise expired(subject, token_id)
        if self._required_scope is not None and self._required_scope not in read_foreign_scopes(claims):
            error = InsufficientScope("scope_missing", params={"value": self._required_scope})
            error.subject, error.token_id = subject, token_id
            raise error
        # Whatever else it was granted says nothing about this server: its `admin` is not the owner here.
        return Caller(subject, token_id, float(claims["exp"]), policy, frozenset({CHAT_SCOPE}), issuer)

    def _checked_issuer(self, claims: dict[str, Any]) -> str:
        if self._issuers and claims.get("iss") is None:
            raise missing_claim("iss")
        if "iss" not in claims:
            return ""
        issuer = read_name(claims["iss"])
        # A spelling that NFKC turns into ours is not ours either.
        if issuer is None or issuer == OWN_ISSUER or (self._issuers and claims["iss"] not in self._issuers):
            raise wrong_claim("iss")
        return issuer

    def _check_audience(self, claims: dict[str, Any]) -> None:
        if not self._audiences:
            return
        # Where there is no `aud`, the client that the token was issued to says whom it is for: Cognito's access tokens have
        # `client_id`; Clerk's sessions, and Keycloak's tokens for no other service, have `azp`.
        name = next((name for name in ("aud", "client_id", "azp") if claims.get(name) is not None), None)
        if name is None:
            raise missing_claim("aud")
        audience = claims[name]
        audiences = audience if isinstance(audience, list) and name == "aud" else [audience]
        if not all(isinstance(text, str) for text in audiences) or self._audiences.isdisjoint(audiences):
            raise wrong_claim(name)

    def _subject(self, claims: dict[str, Any]) -> str:
        subject = claims.get(self._subject_claim)
        if subject is None:
            raise missing_claim(self._subject_claim)
        if isinstance(subject, int) and not isinstance(subject, bool):
            subject = str(subject)  # a backend's {id: 42}
        name = read_name(subject)
        if name is None:
            raise wrong_claim(self._subject_claim)
        # With an unverified address anybody could be anybody.
        if self._subject_claim == "email" and claims.get("email_verified", True) is not True:
            raise wrong_claim("email_verified")
        return name


def _check_header(header: dict[str, Any]) -> None:
    typ = header.get("typ", "JWT")
    refused = header.keys() & _REFUSED_HEADERS
    if header["alg"] in HMAC_KEY_BYTES:
        refused |= header.keys() - _HMAC_HEADERS
    if refused or not isinstance(typ, str) or typ.lower() not in TYPES:
        raise InvalidToken("token_algorithm")


def _token_id(token: str, jti: object) -> str:
    if is_name(jti):
        return str(jti)
    # Without the signature: from one ECDSA signature anybody can make a second.
    return f"x-{hashlib.sha256(token.rpartition('.')[0].encode()).hexdigest()[:32]}"
