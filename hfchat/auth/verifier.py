"""The one place where a token becomes a `Caller`: our own tokens, and those of a backend or an identity provider.

What is configured decides how a token is checked, never the token: one key for each algorithm, and no algorithm beside
those (RFC 8725 sections 3.1 and 3.2). Nobody but this program's own key speaks for the issuer `hfchat`.
"""

import hashlib
import time
from collections import OrderedDict
from typing import Any

from hfchat.auth.jwks import Jwks
from hfchat.auth.own_tokens import (
    ALGORITHM,
    CLOCK_SKEW_S,
    expired,
    is_name,
    is_time,
    read_name,
    signed_claims,
    unverified,
    verify_token,
)
from hfchat.auth.policy import CLAIM, narrow, read_policy
from hfchat.auth.public_keys import PUBLIC_KEY_ALGORITHMS, PublicKey, algorithms_of, read_public_key
from hfchat.errors import InvalidToken
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE, OWN_ISSUER, Caller, Policy

# A token that was good a moment ago is good, until its end: a program sends the same one with every request.
REMEMBERED_S = 30.0
MAX_REMEMBERED = 5000
# RFC 8725 section 3.11, RFC 9068 section 2.1: a token made for something else has a type of its own.
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# They would change what was signed. The other headers are not looked at, above all no key and no key's address.
_REFUSED_HEADERS = frozenset({"crit", "b64", "zip"})
_HMAC_HEADERS = frozenset({"alg", "typ", "kid"})


class Verifier:
    """Checks tokens with the keys it is given; with none of them, it lets nobody in. `close` it.

    `secret` checks HS256, of ours and of a backend that shares it; `public_key` is PEM text, and `jwks` a provider's
    keys, of which one or the other is given. `algorithms` narrows what they may check. `issuer` and `audience` are
    required of others' tokens where set; `subject_claim` names the person there.
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
        checkable = self._keys.keys() | (PUBLIC_KEY_ALGORITHMS if jwks else frozenset())
        self._algorithms = checkable if algorithms is None else checkable & algorithms
        self._issuer = issuer
        self._audience = audience
        self._subject_claim = subject_claim
        self._verified: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    async def verify(self, token: str, now: float | None = None) -> Caller:
        """Who is calling, with the narrower of the owner's policy and the token's.

        Raises: ExpiredToken for a good token past its `exp`; InvalidToken for all else, saying what.
        """
        if not self._algorithms:
            raise InvalidToken
        now = time.time() if now is None else now
        known = self._verified.get(token)
        if known is not None and known[0] <= now < min(known[0] + REMEMBERED_S, known[1].expires_at):
            return known[1]
        caller, key_stays = await self._verify(token, now)
        if key_stays:
            self._verified[token] = (now, caller)
            self._verified.move_to_end(token)
            if len(self._verified) > MAX_REMEMBERED:
                self._verified.popitem(last=False)
        return caller

    async def _verify(self, token: str, now: float) -> tuple[Caller, bool]:
        """The caller, and whether the token's key is one that no provider can take out of use."""
        header, claims = unverified(token)
        if not isinstance(header["alg"], str) or header["alg"] not in self._algorithms:
            raise InvalidToken("token_algorithm")
        if header["alg"] == ALGORITHM and claims.get("iss") == OWN_ISSUER:
            return verify_token(self._secret, token, self._policy, now), True
        _check_header(header)
        claims = signed_claims(token, await self._key(header), header["alg"])
        return self._caller(token, claims, now), header["alg"] in self._keys

    async def close(self) -> None:
        """Give back what is held open."""
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
        _check_times(claims, now)
        scopes = _scopes(claims)
        policy = narrow(self._policy, read_policy(claims.get(CLAIM, {})))
        token_id = _token_id(token, claims.get("jti"))
        if claims["exp"] <= now:
            raise expired(subject, token_id)
        return Caller(subject, token_id, float(claims["exp"]), policy, scopes, issuer)

    def _checked_issuer(self, claims: dict[str, Any]) -> str:
        if self._issuer is not None and claims.get("iss") is None:
            raise InvalidToken("token_claim_missing", params={"value": "iss"})
        if "iss" not in claims:
            return ""
        issuer = read_name(claims["iss"])
        # What is written in other signs and read as ours is not ours either.
        if issuer is None or issuer == OWN_ISSUER or self._issuer not in (None, claims["iss"]):
            raise InvalidToken("token_claim_wrong", params={"value": "iss"})
        return issuer

    def _check_audience(self, claims: dict[str, Any]) -> None:
        if self._audience is None:
            return
        audience = claims.get("aud")
        if audience is None:
            raise InvalidToken("token_claim_missing", params={"value": "aud"})
        audiences = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(name, str) for name in audiences) or self._audience not in audiences:
            raise InvalidToken("token_claim_wrong", params={"value": "aud"})

    def _subject(self, claims: dict[str, Any]) -> str:
        subject = claims.get(self._subject_claim)
        if subject is None:
            raise InvalidToken("token_claim_missing", params={"value": self._subject_claim})
        if isinstance(subject, int) and not isinstance(subject, bool):
            subject = str(subject)  # a backend's {id: 42}
        name = read_name(subject)
        if name is None:
            raise InvalidToken("token_claim_wrong", params={"value": self._subject_claim})
        # Whoever may write any address into their profile would be whom they like.
        if self._subject_claim == "email" and claims.get("email_verified", True) is not True:
            raise InvalidToken("token_claim_wrong", params={"value": "email_verified"})
        return name


def _check_header(header: dict[str, Any]) -> None:
    kind = header.get("typ", "JWT")
    strange = header.keys() & _REFUSED_HEADERS
    if header["alg"] == ALGORITHM:
        strange |= header.keys() - _HMAC_HEADERS
    if strange or not isinstance(kind, str) or kind.lower() not in TYPES:
        raise InvalidToken("token_algorithm")


def _check_times(claims: dict[str, Any], now: float) -> None:
    if claims.get("exp") is None:
        raise InvalidToken("token_claim_missing", params={"value": "exp"})
    for name in ("exp", "nbf", "iat"):
        if not is_time(claims.get(name, 0)):
            raise InvalidToken("token_claim_wrong", params={"value": name})
    # RFC 7519 section 4.1.5 allows for clocks that differ; at its `exp` a token has ended, whoever's clock says so.
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + CLOCK_SKEW_S:
        raise InvalidToken("token_early")


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", CHAT_SCOPE)
    if not isinstance(scope, str):
        raise InvalidToken("token_claim_wrong", params={"value": "scope"})
    # What `admin` means at its issuer is not that this server's owner speaks.
    return frozenset(scope.split()) - {ADMIN_SCOPE}


def _token_id(token: str, jti: object) -> str:
    if is_name(jti):
        return str(jti)
    # Without the signature: of one signature ECDSA lets anybody make a second.
    return f"x-{hashlib.sha256(token.rpartition('.')[0].encode()).hexdigest()[:32]}"
