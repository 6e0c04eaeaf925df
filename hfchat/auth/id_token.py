"""ID token (OpenID Connect Core section 3.1.3.7): its signature and every claim that says whom it is from, for and about."""

from typing import Any

import jwt

from hfchat.auth.claims import CLOCK_SKEW_S, check_times
from hfchat.auth.jwks import Jwks
from hfchat.auth.own_tokens import signed_claims
from hfchat.errors import InvalidToken

# Hugging Face's; never taken from the token.
ALGORITHM = "RS256"


class ProviderError(Exception):
    """The provider did not answer as it should. The message is ours, fit for the log."""


async def verify_id_token(
    token: str, jwks: Jwks, *, issuer: str, client_id: str, nonce: str, began: float, now: float
) -> dict[str, Any]:
    """The claims of an ID token for this client, made after `began`, for the attempt with this `nonce`. Raises: ProviderError."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as malformed:
        raise ProviderError("the ID token is malformed") from malformed
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or "crit" in header or not isinstance(kid, str | None):
        raise ProviderError("the ID token's header is not taken")
    try:
        claims = signed_claims(token, await jwks.key(kid, ALGORITHM), ALGORITHM)
        check_times(claims, now)
    except InvalidToken as refused:
        raise ProviderError(f"the ID token is refused: {refused.reason}") from refused
    audience = claims.get("aud")
    problems = {
        "iss": claims.get("iss") != issuer,
        # An audience beside us is one that this program does not trust.
        "aud": audience not in (client_id, [client_id]) or claims.get("azp", client_id) != client_id,
        "exp": claims["exp"] <= now,
        "iat": "iat" not in claims or claims["iat"] < began - CLOCK_SKEW_S,
        "nonce": claims.get("nonce") != nonce,
        "sub": not _is_subject(claims.get("sub")),
    }
    if wrong := [name for name, is_wrong in problems.items() if is_wrong]:
        raise ProviderError(f"the ID token has a wrong {', '.join(wrong)}")
    return claims


def _is_subject(value: object) -> bool:
    # Section 2: at most 255 ASCII characters; a prefix of ours comes before it.
    return (
        isinstance(value, str)
        and 0 < len(value) <= 200
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )
