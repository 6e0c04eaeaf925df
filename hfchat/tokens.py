"""Our own signed tokens: HS256 JWTs that say who is calling and until when; what is not exactly right is refused.

The rules are RFC 7519 (claims) and RFC 8725 (best practice): one algorithm, never the token's choice; required `exp`;
no header but `alg` and `typ`, so that no embedded key, key address or critical extension is ever looked at.
"""

import re
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
CLOCK_SKEW_S = 60
MAX_TIME = 253_402_300_799  # the last second of the year 9999, which is as far as `datetime` goes
SCOPES = (CHAT_SCOPE, ADMIN_SCOPE)
_REQUIRED = ("sub", "iss", "iat", "exp", "jti")
_KNOWN = frozenset((*_REQUIRED, "nbf", "scope"))
# RFC 7515 section 2: base64url without padding; PyJWT takes it with padding too.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def issue_token(
    key: str, subject: str, *, ttl_s: int, scopes: tuple[str, ...] = (CHAT_SCOPE,), now: int | None = None
) -> str:
    """A token for this person, good for `ttl_s` seconds. Raises: ValueError for a subject, scope or time that is none."""
    if not _is_name(subject):
        raise ValueError(f"a subject has 1 to {MAX_SUBJECT_CHARS} printable characters")
    if ttl_s <= 0:
        raise ValueError("a token needs a time above zero")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"a token's scopes are out of: {', '.join(SCOPES)}")
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
        _check_form(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={
                "require": list(_REQUIRED),
                "enforce_minimum_key_length": True,
                "verify_aud": False,
                # `_caller` checks these, their types too, and says which one is wrong.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.InvalidSignatureError as forged:
        raise InvalidToken("token_signature") from forged
    except jwt.MissingRequiredClaimError as missing:
        raise InvalidToken(f"token_claim_missing|{missing.claim}") from missing
    except jwt.InvalidIssuerError as other:
        raise InvalidToken("token_claim_wrong|iss") from other
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as malformed:
        raise InvalidToken("token_malformed") from malformed
    return _caller(claims, time.time())


def _check_form(token: str) -> None:
    if not _FORM.fullmatch(token):
        raise InvalidToken("token_malformed")
    header = jwt.get_unverified_header(token)
    if header.keys() - {"alg", "typ"} or header["alg"] != ALGORITHM or str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidToken("token_algorithm")


def _caller(claims: dict[str, Any], now: float) -> Caller:
    strange = sorted(claims.keys() - _KNOWN)
    if strange:
        # A limit that is written in a token and silently does not hold is worse than a refusal.
        raise InvalidToken(f"token_claim_unknown|{', '.join(strange)[:200]}")
    for name in ("iat", "exp", "nbf"):
        if not _is_time(claims.get(name, 0)):
            raise InvalidToken(f"token_claim_wrong|{name}")
    for name in ("sub", "jti"):
        if not _is_name(claims[name]):
            raise InvalidToken(f"token_claim_wrong|{name}")
    scope = claims.get("scope", CHAT_SCOPE)
    if not isinstance(scope, str):
        raise InvalidToken("token_claim_wrong|scope")
    # `iat` says when, not from when on (RFC 7519 4.1.6): a clock that is a little ahead does no harm.
    if claims["iat"] > now + CLOCK_SKEW_S or claims.get("nbf", 0) > now:
        raise InvalidToken("token_early")
    if claims["exp"] <= now:
        raise ExpiredToken
    return Caller(claims["sub"], claims["jti"], float(claims["exp"]), frozenset(scope.split()))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_TIME


def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_SUBJECT_CHARS
        and value.isprintable()
        and value == value.strip()
    )
