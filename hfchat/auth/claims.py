"""JWT claims (RFC 7519): names, times, scopes and clock skew, read alike in our own tokens and in other issuers'."""

import re
import unicodedata
from typing import Any

from hfchat.errors import ExpiredToken, InvalidToken
from hfchat.types import CHAT_SCOPE

MAX_SUBJECT_CHARS = 255
CLOCK_SKEW_S = 60
MAX_TIME = 253_402_300_799  # the last second of the year 9999: the maximum of `datetime`
# Printable to Python, but invisible: Unicode's Default_Ignorable_Code_Point without the format characters, and the empty
# braille pattern. Names that differ only in these look the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def missing_claim(name: str) -> InvalidToken:
    """The error for a token without this claim."""
    return InvalidToken("token_claim_missing", params={"value": name})


def wrong_claim(name: str) -> InvalidToken:
    """The error for a token in which this claim has a wrong type or value."""
    return InvalidToken("token_claim_wrong", params={"value": name})


def expired(subject: str, token_id: str) -> ExpiredToken:
    """The error for a valid token past its `exp`."""
    error = ExpiredToken()
    error.subject, error.token_id = subject, token_id
    return error


def check_times(claims: dict[str, Any], now: float) -> None:
    """Raises: InvalidToken unless `exp`, `nbf` and `iat` are times, and the token is valid already; `exp` is required.

    Whether it has expired is for the caller to check, last: only a token that is good otherwise is an expired one.
    """
    if claims.get("exp") is None:
        raise missing_claim("exp")
    for name in ("exp", "nbf", "iat"):
        if not is_time(claims.get(name, 0)):
            raise wrong_claim(name)
    # RFC 7519 section 4.1.5 allows for clocks that differ. `iat` (4.1.6) is no start of validity, but a time far in the future
    # is wrong.
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + CLOCK_SKEW_S:
        raise InvalidToken("token_early")


def read_scopes(claims: dict[str, Any]) -> frozenset[str]:
    """The scopes of our own token's `scope` (RFC 8693 section 4.2), `chat` without one. Raises: InvalidToken."""
    scope = claims.get("scope", CHAT_SCOPE)
    if not isinstance(scope, str):
        raise wrong_claim("scope")
    return frozenset(scope.split())


def read_foreign_scopes(claims: dict[str, Any]) -> frozenset[str]:
    """The scopes that another issuer granted: of `scope`, `scp` (Entra ID, Okta) and `permissions` (those that Auth0 and WorkOS
    grant by a person's roles), each a text or a list of texts.
    """
    scopes: set[str] = set()
    for name in ("scope", "scp", "permissions"):
        value = claims.get(name)
        texts = value if isinstance(value, list) else [value]
        scopes.update(scope for text in texts if isinstance(text, str) for scope in text.split())
    return frozenset(scopes)


def is_time(value: object) -> bool:
    """Whether a claim's value is a NumericDate (RFC 7519 section 2) up to MAX_TIME."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_TIME


def read_name(value: object) -> str | None:
    """The name of a person or an issuer in NFKC (UAX 15), so that it has one spelling, by which usage is counted.

    None for what is no name, also for one with invisible characters.
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
