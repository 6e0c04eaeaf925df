"""Our own signed tokens: HS256 JWTs that say who is calling and until when; what is not exactly right is refused.

The rules are RFC 7519 (claims) and RFC 8725 (best practice): one algorithm, never the token's choice; required `exp`;
no header but `alg` and `typ`, so that no embedded key, key address or critical extension is ever looked at.
"""

import secrets
import time
from typing import Any

import jwt

from hfchat.errors import ExpiredToken, InvalidToken
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE, Caller

ALGORITHM = "HS256"
ISSUER = "hfchat"
MAX_TOKEN_BYTES = 8192
MAX_SUBJECT_CHARS = 255
SCOPES = (CHAT_SCOPE, ADMIN_SCOPE)
_REQUIRED = ("sub", "iss", "iat", "exp", "jti")
_KNOWN = frozenset((*_REQUIRED, "nbf", "scope"))


def issue_token(
    key: str, subject: str, *, ttl_s: int, scopes: tuple[str, ...] = (CHAT_SCOPE,), now: int | None = None
) -> str:
    """A token for this person, good for `ttl_s` seconds. Raises: ValueError for a subject, scope or time that is none."""
    if not _is_name(subject):
        raise ValueError(f"a subject has 1 to {MAX_SUBJECT_CHARS} printable characters")
    if ttl_s <= 0 or not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"a token needs a time above zero and scopes out of: {', '.join(SCOPES)}")
    now = int(time.time()) if now is None else now
    claims = {
        "sub": subject,
        "iss": ISSUER,
        "iat": now,
        "exp": now + ttl_s,
        "jti": secrets.token_urlsafe(12),
        "scope": " ".join(scopes),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def verify_token(key: str, token: str) -> Caller:
    """Who is calling. Raises: ExpiredToken for a good token past its `exp`; InvalidToken for all else, saying what."""
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken("token_too_long")
    try:
        header = jwt.get_unverified_header(token)
        if header.keys() - {"alg", "typ"} or header["alg"] != ALGORITHM:
            raise InvalidToken("token_algorithm")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={"require": list(_REQUIRED), "verify_aud": False, "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError as expired:
        raise ExpiredToken from expired
    except jwt.ImmatureSignatureError as early:
        raise InvalidToken("token_early") from early
    except jwt.InvalidSignatureError as forged:
        raise InvalidToken("token_signature") from forged
    except jwt.MissingRequiredClaimError as missing:
        raise InvalidToken(f"token_claim_missing|{missing.claim}") from missing
    except jwt.InvalidIssuerError as other:
        raise InvalidToken("token_claim_wrong|iss") from other
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as malformed:
        raise InvalidToken("token_malformed") from malformed
    return _caller(claims)


def _caller(claims: dict[str, Any]) -> Caller:
    strange = sorted(claims.keys() - _KNOWN)
    if strange:
        # A limit that is written in a token and silently does not hold is worse than a refusal.
        raise InvalidToken(f"token_claim_unknown|{', '.join(strange)[:200]}")
    for name in ("iat", "exp", "nbf"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise InvalidToken(f"token_claim_wrong|{name}")
    for name in ("sub", "jti"):
        if not _is_name(claims[name]):
            raise InvalidToken(f"token_claim_wrong|{name}")
    scope = claims.get("scope", CHAT_SCOPE)
    if not isinstance(scope, str):
        raise InvalidToken("token_claim_wrong|scope")
    return Caller(claims["sub"], claims["jti"], float(claims["exp"]), frozenset(scope.split()))


def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_SUBJECT_CHARS
        and value.isprintable()
        and value == value.strip()
    )
