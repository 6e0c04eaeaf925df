"""Authentication of a token: its signature and claims first, then the ledger, which knows whether it is revoked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hfchat.ledger.quota import Quota
from hfchat.types import Caller

# From a token to its caller. Raises: InvalidToken, ExpiredToken.
Verify = Callable[[str], Awaitable[Caller]]
# What a caller may still use. Raises: RevokedToken, StoreUnavailable.
QuotaOf = Callable[[Caller], Awaitable[Quota]]


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Both checks. A chat turn skips the second: its reservation includes it."""

    verify: Verify
    quota: QuotaOf

    async def __call__(self, token: str) -> Caller:
        """The caller who holds the token. Raises: InvalidToken, ExpiredToken, RevokedToken, StoreUnavailable."""
        caller = await self.verify(token)
        await self.quota(caller)
        return caller
