"""Hugging Face tokens of people who signed in: sealed in the ledger by the `jti` of their session, and renewed while they can be.

They are used for that person's own calls, and for nothing else.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable

from hfchat.auth.id_token import ProviderError
from hfchat.auth.openid import GrantRefused, OpenIdProvider, ProviderTokens
from hfchat.auth.seal import Seal
from hfchat.errors import HfTokenInvalid, StoreUnavailable, UpstreamUnavailable
from hfchat.ids import random_id
from hfchat.ledger.ledger import Ledger
from hfchat.logs import log_event
from hfchat.types import Caller

logger = logging.getLogger(__name__)

# From the sign-in on, and longer than a session: what nobody forgot ends by itself, however often it was renewed.
KEPT_S = 8 * 86_400
# So that no call begins with a token that ends on the way.
RENEW_BEFORE_S = 120.0
# Longer than a refresh takes: no other process begins one with the same refresh token meanwhile.
REFRESH_HOLD_S = 30.0
REFRESH_POLL_S = 0.1


class HubTokens:
    """Keeps the tokens, with a key of this server's. Used in one event loop."""

    def __init__(
        self, provider: OpenIdProvider, ledger: Ledger, secret: str | bytes, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._seal = Seal(secret, "Hugging Face tokens")
        self._clock = clock
        self._refreshing: dict[str, asyncio.Task[str]] = {}

    async def hf_token(self, caller: Caller) -> str:
        """The caller's own Hugging Face token, for a call that they pay; renewed where it is about to end.

        Raises: HfTokenInvalid, by the caller's fault, where they must sign in again; UpstreamUnavailable, StoreUnavailable.
        """
        stored = await self._read(caller.token_id)
        if stored is None:
            raise _sign_in_again()
        tokens, _ = stored
        if not self._ends_soon(tokens):
            return tokens.access_token
        refreshing = self._refreshing.get(caller.token_id)
        if refreshing is None:
            # A task: its end is not lost when the caller leaves, for the old refresh token is good for nothing then.
            refreshing = asyncio.create_task(self._refresh(caller.token_id))
            self._refreshing[caller.token_id] = refreshing
            refreshing.add_done_callback(lambda task: self._refreshed(caller.token_id, task))
        try:
            return await asyncio.shield(refreshing)
        # Each of those who wait gets an error of its own: a turn writes into it.
        except HfTokenInvalid as failure:
            raise _sign_in_again() from failure
        except (UpstreamUnavailable, StoreUnavailable) as failure:
            raise type(failure) from failure

    async def store(self, token_id: str, tokens: ProviderTokens) -> None:
        """Keep the tokens of a session that begins now. Raises: StoreUnavailable."""
        await self._store(token_id, tokens, self._clock() + KEPT_S)

    async def forget(self, token_id: str) -> None:
        """Forget them. Raises: StoreUnavailable."""
        await self._ledger.delete_record(_record(token_id))

    async def _store(self, token_id: str, tokens: ProviderTokens, until: float) -> None:
        values = [tokens.access_token, tokens.refresh_token, tokens.expires_at, sorted(tokens.scopes), until]
        sealed = self._seal.close(json.dumps(values).encode(), token_id)
        await self._ledger.store_record(_record(token_id), sealed, until=until)

    def _ends_soon(self, tokens: ProviderTokens) -> bool:
        return self._clock() >= tokens.expires_at - RENEW_BEFORE_S

    async def _refresh(self, token_id: str) -> str:
        """Renew the tokens, in one process at a time: the refresh token rotates."""
        name, owner = f"hub-refresh:{token_id}", random_id(96)
        while (await self._ledger.begin_once(name, "", owner, until=self._clock() + REFRESH_HOLD_S)).running:  # noqa: ASYNC110
            await asyncio.sleep(REFRESH_POLL_S)
        try:
            stored = await self._read(token_id)
            if stored is None:
                raise _sign_in_again()
            tokens, _ = stored
            if self._ends_soon(tokens):
                tokens = await self._renewed(token_id, tokens)
            return tokens.access_token
        finally:
            await self._ledger.end_once(name, owner)

    async def _renewed(self, token_id: str, tokens: ProviderTokens) -> ProviderTokens:
        still_good = self._clock() < tokens.expires_at
        try:
            if tokens.refresh_token is None:
                raise GrantRefused("there is no refresh token")
            renewed = await self._provider.refresh(tokens.refresh_token)
        except ProviderError as failure:
            if still_good:
                return tokens
            log_event(logger, logging.WARNING, "hub_token_not_renewed", jti=token_id, cause=str(failure))
            if isinstance(failure, GrantRefused):
                await self.forget(token_id)
                raise _sign_in_again() from failure
            raise UpstreamUnavailable from failure
        stored = await self._read(token_id)
        if stored is None:  # signed out meanwhile
            raise _sign_in_again()
        await self._store(token_id, renewed, stored[1])
        # Signed out since that was read: who signs out revokes first and forgets then, so one of the two deletes it.
        if await self._ledger.revoked([token_id]):
            await self.forget(token_id)
            raise _sign_in_again()
        return renewed

    def _refreshed(self, token_id: str, task: asyncio.Task[str]) -> None:
        del self._refreshing[token_id]
        if not task.cancelled():
            task.exception()  # whoever waited for it may have left

    async def _read(self, token_id: str) -> tuple[ProviderTokens, float] | None:
        """The tokens, and until when they are kept."""
        sealed = await self._ledger.read_record(_record(token_id))
        plain = self._seal.open(sealed, token_id) if sealed is not None else None
        if plain is None:
            return None
        access_token, refresh_token, expires_at, scopes, until = json.loads(plain)
        return ProviderTokens(access_token, refresh_token, expires_at, frozenset(scopes)), until


def _record(token_id: str) -> str:
    return f"hub:{token_id}"


def _sign_in_again() -> HfTokenInvalid:
    error = HfTokenInvalid()
    error.blame_payer()
    return error
