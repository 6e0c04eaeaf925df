"""JWTs of our own (HS256): issue and verify. A token that is not exactly right is refused.

The rules are RFC 7519 (claims) and RFC 8725 (best practice). One algorithm, never the token's choice; `exp` is required; no
header but `alg` and `typ`, so that no embedded key, key address or critical extension is ever looked at.
"""

import json
import re
import secrets
import time
from typing import Any

import jwt
from jwt.algorithms import OKPAlgorithm

from hfchat.auth import hub_account
from hfchat.auth.claims import (
    MAX_SUBJECT_CHARS,
    check_times,
    expired,
    is_name,
    missing_claim,
    read_name,
    read_scopes,
    wrong_claim,
)
from hfchat.auth.policy import CLAIM, PolicyClaim, narrow, read_policy
from hfchat.auth.public_keys import PublicKey
from hfchat.errors import InvalidToken
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE, OWN_ISSUER, Caller, HubAccount, Policy

ALGORITHM = "HS256"
# Providers that write every group of a person into the token: 200 groups of Entra ID, its maximum, are 11 kB.
MAX_TOKEN_BYTES = 16_384
SCOPES = (CHAT_SCOPE, ADMIN_SCOPE)
_REQUIRED = ("sub", "iss", "iat", "exp", "jti")
_KNOWN = frozenset((*_REQUIRED, "nbf", "scope", CLAIM, hub_account.CLAIM))
# RFC 7515 section 2: base64url without padding; PyJWT takes it with padding too.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError)
# The signature only: the checks of claims.py say which claim is wrong.
_JWS = jwt.PyJWS(options={"enforce_minimum_key_length": True})
for _name in ("Ed25519", "Ed448"):  # RFC 9864; the signature is the one of `EdDSA`, and the key says which of the two
    _JWS.register_algorithm(_name, OKPAlgorithm())


def issue_token(
    key: str | bytes,
    subject: str,
    *,
    ttl_s: int,
    scopes: tuple[str, ...] = (CHAT_SCOPE,),
    policy: PolicyClaim | None = None,
    account: HubAccount | None = None,
    token_id: str | None = None,
    now: int | None = None,
) -> str:
    """A token for this person, whose name `read_name` normalizes, valid for `ttl_s` seconds, with `policy` inside.

    `account` is there for who signed in with Hugging Face; all tokens of a session have its `token_id`, so they end with it.

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
        "jti": token_id or secrets.token_hex(12),
        "scope": " ".join(scopes),
    }
    if policy:
        read_policy(policy.payload())
        claims[CLAIM] = policy.payload()
    if account is not None:
        claims[hub_account.CLAIM] = hub_account.account_payload(account)
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def invite_link(url: str, token: str) -> str:
    """The address that signs in whoever opens it, at the program at `url`: it has the token itself (gate/signin.py reads it)."""
    return f"{url}/login?token={token}"


def verify_token(
    key: str | bytes, token: str, policy: Policy, now: float | None = None, *, also_expired: bool = False
) -> Caller:
    """The caller, with the narrower of the owner's `policy` and the token's; `also_expired`: of a token past its `exp` too.

    Raises: ExpiredToken for a valid token past its `exp`; InvalidToken for every other fault, with the reason.
    """
    header, _ = unverified(token)
    if header.keys() - {"alg", "typ"} or header["alg"] != ALGORITHM or str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidToken("token_algorithm")
    now = time.time() if now is None else now
    caller = _caller(signed_claims(token, key, ALGORITHM), now, policy)
    if caller.expires_at <= now and not also_expired:
        raise expired(caller.subject, caller.token_id)
    return caller


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a token, with no signature checked. Raises: InvalidToken where it is no token."""
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


def signed_claims(token: str, key: str | bytes | PublicKey, algorithm: str) -> dict[str, Any]:
    """The claims that this key signed, none of them checked yet. Raises: InvalidToken for another signature."""
    try:
        claims: dict[str, Any] = json.loads(_JWS.decode(token, key, algorithms=[algorithm]))
    except jwt.InvalidSignatureError as forged:
        raise InvalidToken("token_signature") from forged
    except _MALFORMED as malformed:
        raise InvalidToken("token_malformed") from malformed
    return claims


def _caller(claims: dict[str, Any], now: float, policy: Policy) -> Caller:
    for name in _REQUIRED:
        if claims.get(name) is None:
            raise missing_claim(name)
    if claims["iss"] != OWN_ISSUER:
        raise wrong_claim("iss")
    unknown = sorted(claims.keys() - _KNOWN)
    if unknown:
        # A limit in a token that is silently ignored is worse than a refusal.
        raise InvalidToken("token_claim_unknown", params={"value": ", ".join(unknown)[:200]})
    subject = read_name(claims["sub"])
    if subject is None:
        raise wrong_claim("sub")
    if not is_name(claims["jti"]):
        raise wrong_claim("jti")
    scopes = read_scopes(claims)
    policy = narrow(policy, read_policy(claims.get(CLAIM, {})))
    account = hub_account.read_account(claims[hub_account.CLAIM]) if hub_account.CLAIM in claims else None
    check_times(claims, now)
    return Caller(subject, claims["jti"], float(claims["exp"]), policy, scopes, account=account)
