"""Who holds a token: its signature and its claims first, then the ledger, which knows whether it was taken back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hfchat.ledger.store import Standing
from hfchat.types import Caller

# The caller, as the token says. Raises: InvalidToken, ExpiredToken.
Verify = Callable[[str], Awaitable[Caller]]
# What the caller has left. Raises: RevokedToken, StoreUnavailable.
Look = Callable[[Caller], Awaitable[Standing]]


@dataclass(frozen=True, slots=True)
class Authentication:
    """Both questions; whoever is let in has been asked both, but for a chat turn, which reserves before anything is done."""

    verify: Verify
    look: Look

    async def __call__(self, token: str) -> Caller:
        """Who holds the token. Raises: InvalidToken, ExpiredToken, RevokedToken, StoreUnavailable."""
        caller = await self.verify(token)
        await self.look(caller)
        return caller
