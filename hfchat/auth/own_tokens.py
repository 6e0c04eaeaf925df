"""Our own signed tokens: HS256 JWTs that say who is calling and until when; what is not exactly right is refused.

The rules are RFC 7519 (claims) and RFC 8725 (best practice): one algorithm, never the token's choice; required `exp`;
no header but `alg` and `typ`, so that no embedded key, key address or critical extension is ever looked at.
"""

import re
import secrets
import time
import unicodedata
from typing import Any, Final

import jwt
from jwt.types import Options

from hfchat.auth.policy import CLAIM, PolicyClaim, narrow, read_policy
from hfchat.auth.public_keys import PublicKey
from hfchat.errors import ExpiredToken, InvalidToken
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE, OWN_ISSUER, Caller, Policy

ALGORITHM = "HS256"
MAX_TOKEN_BYTES = 8192
MAX_SUBJECT_CHARS = 255
CLOCK_SKEW_S = 60
MAX_TIME = 253_402_300_799  # the last second of the year 9999, which is as far as `datetime` goes
SCOPES = (CHAT_SCOPE, ADMIN_SCOPE)
_REQUIRED = ("sub", "iss", "iat", "exp", "jti")
_KNOWN = frozenset((*_REQUIRED, "nbf", "scope", CLAIM))
# RFC 7515 section 2: base64url without padding; PyJWT takes it with padding too.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
# What is printable to Python and shows nothing: Unicode's Default_Ignorable_Code_Point that is no format character, and the
# empty braille pattern. Names that differ in these look the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError)
# The claims are checked here, their types too, and the error says which one is wrong.
_ONLY_THE_SIGNATURE: Final[Options] = {
    "enforce_minimum_key_length": True,
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_jti": False,
    "verify_nbf": False,
    "verify_sub": False,
}


def issue_token(
    key: str,
    subject: str,
    *,
    ttl_s: int,
    scopes: tuple[str, ...] = (CHAT_SCOPE,),
    policy: PolicyClaim | None = None,
    now: int | None = None,
) -> str:
    """A token for this person, by the name as `read_name` writes it, good for `ttl_s` seconds, with `policy` inside.

    Raises: ValueError for a subject, scope or time that is none; InvalidToken for a policy that would not be taken.
    """
    name = read_name(subject)
    if name is None:
        raise ValueError(f"a subject has 1 to {MAX_SUBJECT_CHARS} characters, all of which can be seen")
    if ttl_s <= 0:
        raise ValueError("a token needs a time above zero")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"a token's scopes are out of: {', '.join(SCOPES)}")
    now = int(time.time()) if now is None else now
    claims: dict[str, Any] = {
        "sub": name,
        "iss": OWN_ISSUER,
        "iat": now,
        "exp": now + ttl_s,
        "jti": secrets.token_hex(12),
        "scope": " ".join(scopes),
    }
    if policy:
        read_policy(policy.written())
        claims[CLAIM] = policy.written()
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def verify_token(key: str, token: str, policy: Policy, now: float | None = None) -> Caller:
    """Who is calling, with the narrower of the owner's `policy` and the token's.

    Raises: ExpiredToken for a good token past its `exp`; InvalidToken for all else, saying what.
    """
    header, _ = unverified(token)
    if header.keys() - {"alg", "typ"} or header["alg"] != ALGORITHM or str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidToken("token_algorithm")
    return _caller(signed_claims(token, key, ALGORITHM), time.time() if now is None else now, policy)


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a token says in its header and its claims, whoever wrote it. Raises: InvalidToken where it is no token."""
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken("token_too_long")
    if not _FORM.fullmatch(token):
        raise InvalidToken("token_malformed")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except _MALFORMED as malformed:
        raise InvalidToken("token_malformed") from malformed
    if "alg" not in parts["header"]:
        raise InvalidToken("token_malformed")
    return parts["header"], parts["payload"]


def signed_claims(token: str, key: str | PublicKey, algorithm: str) -> dict[str, Any]:
    """The claims that this key signed, none of them checked yet. Raises: InvalidToken where it did not sign them."""
    try:
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options=_ONLY_THE_SIGNATURE)
    except jwt.InvalidSignatureError as forged:
        raise InvalidToken("token_signature") from forged
    except _MALFORMED as malformed:
        raise InvalidToken("token_malformed") from malformed
    return claims


def _caller(claims: dict[str, Any], now: float, policy: Policy) -> Caller:
    for name in _REQUIRED:
        if claims.get(name) is None:
            raise InvalidToken("token_claim_missing", params={"value": name})
    if claims["iss"] != OWN_ISSUER:
        raise InvalidToken("token_claim_wrong", params={"value": "iss"})
    strange = sorted(claims.keys() - _KNOWN)
    if strange:
        # A limit that is written in a token and silently does not hold is worse than a refusal.
        raise InvalidToken("token_claim_unknown", params={"value": ", ".join(strange)[:200]})
    for name in ("iat", "exp", "nbf"):
        if not is_time(claims.get(name, 0)):
            raise InvalidToken("token_claim_wrong", params={"value": name})
    subject = read_name(claims["sub"])
    if subject is None:
        raise InvalidToken("token_claim_wrong", params={"value": "sub"})
    if not is_name(claims["jti"]):
        raise InvalidToken("token_claim_wrong", params={"value": "jti"})
    scope = claims.get("scope", CHAT_SCOPE)
    if not isinstance(scope, str):
        raise InvalidToken("token_claim_wrong", params={"value": "scope"})
    narrower = narrow(policy, read_policy(claims.get(CLAIM, {})))
    # `iat` says when, not from when on (RFC 7519 4.1.6): a clock that is a little ahead does no harm.
    if claims["iat"] > now + CLOCK_SKEW_S or claims.get("nbf", 0) > now:
        raise InvalidToken("token_early")
    if claims["exp"] <= now:
        raise expired(subject, claims["jti"])
    return Caller(subject, claims["jti"], float(claims["exp"]), narrower, frozenset(scope.split()))


def expired(subject: str, token_id: str) -> ExpiredToken:
    """The error for a token that was theirs until its `exp`."""
    error = ExpiredToken()
    error.subject, error.token_id = subject, token_id
    return error


def is_time(value: object) -> bool:
    """Whether a claim's value is a NumericDate (RFC 7519 section 2) that a clock can reach."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_TIME


def read_name(value: object) -> str | None:
    """The name of a person or an issuer as accounts are kept by it: in NFKC (UAX 15), so that each has one spelling.

    None for what can name nobody, also for what has signs that nobody sees.
    """
    if not isinstance(value, str) or len(value) > MAX_SUBJECT_CHARS or _INVISIBLE.search(value):
        return None
    name = unicodedata.normalize("NFKC", value)
    return name if is_name(value) and is_name(name) and not _INVISIBLE.search(name) else None


def is_name(value: object) -> bool:
    """Whether a claim's value can stand in a log, a table, a header."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_SUBJECT_CHARS
        and value.isprintable()
        and value == value.strip()
    )
