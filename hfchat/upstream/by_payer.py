"""Upstream by payer, where the owner has no token: people who pay for themself reach the router, others the offline stand-in."""

from collections.abc import AsyncGenerator

from hfchat.types import Call, Delta, Finish, ModelFacts, Upstream


class UpstreamByPayer:
    """`own` answers the calls that have a caller's own token, `others` those that have none. Closes both."""

    def __init__(self, own: Upstream, others: Upstream) -> None:
        self._own = own
        self._others = others

    def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """The reply of the one that the call is for."""
        return (self._others if call.own_token is None else self._own).stream(call)

    async def models(self) -> list[ModelFacts]:
        """The router lists its models to everybody."""
        return await self._own.models()

    async def close(self) -> None:
        """Close both."""
        await self._own.close()
        await self._others.close()
