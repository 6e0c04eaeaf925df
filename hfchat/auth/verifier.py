"""JWT verifier: a token becomes a `Caller`, our own token or one of a backend or an identity provider.

The settings decide how a token is checked, never the token: one key for each algorithm, and no other algorithm (RFC 8725
sections 3.1 and 3.2). The issuer `hfchat` is accepted with this program's own key only.
"""

import hashlib
import time
from collections import OrderedDict
from typing import Any

from hfchat.auth.claims import check_times, expired, is_name, missing_claim, read_name, read_scopes, wrong_claim
from hfchat.auth.jwks import Jwks
from hfchat.auth.own_tokens import ALGORITHM, signed_claims, unverified, verify_token
from hfchat.auth.policy import CLAIM, narrow, read_policy
from hfchat.auth.public_keys import PUBLIC_KEY_ALGORITHMS, PublicKey, algorithms_of, read_public_key
from hfchat.errors import InvalidToken
from hfchat.types import ADMIN_SCOPE, OWN_ISSUER, Caller, Policy

# Cache of verified tokens, up to their `exp`: a program sends the same one with every request.
CACHED_S = 30.0
MAX_CACHED = 5000
# RFC 8725 section 3.11, RFC 9068 section 2.1: a token for another purpose has another `typ`.
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# They change what is signed. Other headers are ignored, above all embedded keys and addresses of keys.
_REFUSED_HEADERS = frozenset({"crit", "b64", "zip"})
_HMAC_HEADERS = frozenset({"alg", "typ", "kid"})


class Verifier:
    """Verifies tokens with the configured keys; without any, it refuses all. `close` it.

    `secret` verifies HS256, our tokens and those of a backend that shares it. `public_key` is PEM text, `jwks` a provider's
    keys; only one of the two is set. `algorithms` narrows the algorithms of the keys. `issuer` and `audience`, where set, are
    required of others' tokens; `subject_claim` names the person in them.
    Raises: ValueError for a `public_key` that is none.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        secret: str | None = None,
        public_key: str | None = None,
        jwks: Jwks | None = None,
        algorithms: frozenset[str] | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        subject_claim: str = "sub",
    ) -> None:
        self._policy = policy
        self._secret = secret or ""
        self._jwks = jwks
        self._keys: dict[str, str | PublicKey] = {ALGORITHM: secret} if secret else {}
        if public_key:
            key = read_public_key(public_key)
            self._keys |= dict.fromkeys(algorithms_of(key), key)
        supported = self._keys.keys() | (PUBLIC_KEY_ALGORITHMS if jwks else frozenset())
        self._algorithms = supported if algorithms is None else supported & algorithms
        self._issuer = issuer
        self._audience = audience
        self._subject_claim = subject_claim
        self._verified: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    async def verify(self, token: str, now: float | None = None) -> Caller:
        """The caller, with the narrower of the owner's policy and the token's.

        Raises: ExpiredToken for a valid token past its `exp`; InvalidToken for every other fault, with the reason.
        """
        if not self._algorithms:
            raise InvalidToken
        now = time.time() if now is None else now
        entry = self._verified.get(token)
        if entry is not None and entry[0] <= now < min(entry[0] + CACHED_S, entry[1].expires_at):
            return entry[1]
        caller, cacheable = await self._verify(token, now)
        if cacheable:
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

    async def _key(self, header: dict[str, Any]) -> str | PublicKey:
        if header["alg"] in self._keys:
            return self._keys[header["alg"]]
        if self._jwks is None:
            raise InvalidToken("token_algorithm")
        return await self._jwks.key(header.get("kid"), header["alg"])

    def _caller(self, token: str, claims: dict[str, Any], now: float) -> Caller:
        issuer, subject = self._checked_issuer(claims), self._subject(claims)
        self._check_audience(claims)
        check_times(claims, now)
        scopes = read_scopes(claims) - {ADMIN_SCOPE}  # `admin` of another issuer is not the owner of this server
        policy = narrow(self._policy, read_policy(claims.get(CLAIM, {})))
        token_id = _token_id(token, claims.get("jti"))
        if claims["exp"] <= now:
            raise expired(subject, token_id)
        return Caller(subject, token_id, float(claims["exp"]), policy, scopes, issuer)

    def _checked_issuer(self, claims: dict[str, Any]) -> str:
        if self._issuer is not None and claims.get("iss") is None:
            raise missing_claim("iss")
        if "iss" not in claims:
            return ""
        issuer = read_name(claims["iss"])
        # A spelling that NFKC turns into ours is not ours either.
        if issuer is None or issuer == OWN_ISSUER or self._issuer not in (None, claims["iss"]):
            raise wrong_claim("iss")
        return issuer

    def _check_audience(self, claims: dict[str, Any]) -> None:
        if self._audience is None:
            return
        audience = claims.get("aud")
        if audience is None:
            raise missing_claim("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(name, str) for name in audiences) or self._audience not in audiences:
            raise wrong_claim("aud")

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
    if header["alg"] == ALGORITHM:
        refused |= header.keys() - _HMAC_HEADERS
    if refused or not isinstance(typ, str) or typ.lower() not in TYPES:
        raise InvalidToken("token_algorithm")


def _token_id(token: str, jti: object) -> str:
    if is_name(jti):
        return str(jti)
    # Without the signature: from one ECDSA signature anybody can make a second.
    return f"x-{hashlib.sha256(token.rpartition('.')[0].encode()).hexdigest()[:32]}"
