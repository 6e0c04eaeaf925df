"""Who holds a token: its signature and its claims first, then the ledger, which knows whether it was taken back."""

from collections.abc import Awaitable, Callable

from hfchat.accounts import Accounts
from hfchat.ledger import Standing
from hfchat.types import Caller
from hfchat.verifier import Verifier

# The caller, and what they have left.
Authenticate = Callable[[str], Awaitable[tuple[Caller, Standing]]]


def authentication(verifier: Verifier, accounts: Accounts) -> Authenticate:
    """What every door asks. It raises InvalidToken, ExpiredToken, RevokedToken and StoreUnavailable."""

    async def authenticate(token: str) -> tuple[Caller, Standing]:
        caller = await verifier.verify(token)
        return caller, await accounts.look(caller)

    return authenticate
