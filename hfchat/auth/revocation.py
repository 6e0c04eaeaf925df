"""Taking a token back: by the token itself, an invite link, or its id."""

import re
from collections.abc import Awaitable, Callable

from hfchat.auth.own_tokens import MAX_TIME, is_name
from hfchat.auth.verifier import Verifier
from hfchat.errors import ExpiredToken, InvalidRequest
from hfchat.ledger.ledger import Ledger

# Takes a token or an id, gives the id. Raises: InvalidToken for a token that no door takes, InvalidRequest for what is
# neither, StoreUnavailable.
Revoke = Callable[[str], Awaitable[str]]
# Anywhere in what was copied: after `Bearer `, or `token=` of an invite link.
_TOKEN = re.compile(r"(?<![\w-])[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
# The beginning of a token's header: half a token is no id.
_HALF_A_TOKEN = "eyJ"  # noqa: S105


def token_in(text: str) -> str | None:
    """The token that this text has, alone, in a header or in an invite link; None where it has none."""
    found = _TOKEN.search(text.rpartition("token=")[2])
    return found[0] if found else None


def revocation(verifier: Verifier, ledger: Ledger) -> Revoke:
    """What the command line and the API both do."""

    async def revoke(token_or_id: str) -> str:
        token = token_in(token_or_id)
        if token is None:
            token_id = token_or_id.strip()
            if not is_name(token_id) or " " in token_id or _HALF_A_TOKEN in token_id:
                raise InvalidRequest("token_or_id", param="jti")
            # When a token of which only the id is known would expire, nobody can say.
            await ledger.revoke(token_id, MAX_TIME)
            return token_id
        try:
            caller = await verifier.verify(token)
        except ExpiredToken as expired:
            return expired.token_id or ""
        await ledger.revoke(caller.token_id, caller.expires_at, subject=caller.subject)
        return caller.token_id

    return revoke
