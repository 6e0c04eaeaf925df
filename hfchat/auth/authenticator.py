"""Who holds a token: its signature and its claims first, then the ledger, which knows whether it was taken back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hfchat.ledger.quota import Quota
from hfchat.types import Caller

# The caller, as the token says. Raises: InvalidToken, ExpiredToken.
Verify = Callable[[str], Awaitable[Caller]]
# What the caller has left. Raises: RevokedToken, StoreUnavailable.
QuotaOf = Callable[[Caller], Awaitable[Quota]]


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Both questions; whoever is let in has been asked both, but for a chat turn, which reserves before anything is done."""

    verify: Verify
    quota: QuotaOf

    async def __call__(self, token: str) -> Caller:
        """Who holds the token. Raises: InvalidToken, ExpiredToken, RevokedToken, StoreUnavailable."""
        caller = await self.verify(token)
        await self.quota(caller)
        return caller
