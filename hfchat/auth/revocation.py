"""Revocation of a token: by the token itself, an invite link, or its id (`jti`)."""

import re
import time
from collections.abc import Awaitable, Callable

from hfchat.auth.claims import MAX_TIME, is_name
from hfchat.auth.hub_account import SUBJECT_PREFIX
from hfchat.auth.own_tokens import unverified
from hfchat.auth.verifier import Verifier
from hfchat.errors import ExpiredToken, InvalidRequest
from hfchat.ledger.ledger import Ledger
from hfchat.types import LONGEST_TURN_S, OWN_ISSUER

# From a token or an id to the id. Raises: InvalidToken for a token that is not valid, InvalidRequest for neither of them,
# StoreUnavailable.
Revoke = Callable[[str], Awaitable[str]]
# Anywhere in a copied text: after `Bearer `, or `token=` of an invite link.
_TOKEN = re.compile(r"(?<![\w-])[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
# How a token begins: half a token is no id.
_TOKEN_PREFIX = "eyJ"  # noqa: S105


def token_in(text: str) -> str | None:
    """The token in this text: alone, in a header or in an invite link; None without one."""
    match = _TOKEN.search(text.rpartition("token=")[2])
    return match[0] if match else None


def revocation(verifier: Verifier, ledger: Ledger) -> Revoke:
    """The function that revokes, for the command line and the API."""

    async def revoke(token_or_id: str) -> str:
        token = token_in(token_or_id)
        if token is None:
            token_id = token_or_id.strip()
            if not is_name(token_id) or " " in token_id or _TOKEN_PREFIX in token_id:
                raise InvalidRequest("token_or_id", param="jti")
            # The `exp` of a token is unknown where only its id is.
            await ledger.revoke(token_id, MAX_TIME)
            return token_id
        try:
            caller = await verifier.verify(token)
            token_id, subject, until = caller.token_id, caller.subject, caller.expires_at
        except ExpiredToken as expired:
            token_id, subject, until = expired.token_id or "", expired.subject or "", 0.0
        if unverified(token)[1].get("iss") != OWN_ISSUER:
            until = max(until, time.time() + LONGEST_TURN_S)  # what began under another issuer's token goes on after it
        if subject.startswith(SUBJECT_PREFIX):
            until = MAX_TIME  # a session with Hugging Face: other tokens have the same `jti`, and may end later
        if until:
            await ledger.revoke(token_id, until, subject=subject)
        return token_id

    return revoke
