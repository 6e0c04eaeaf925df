"""Store: the protocol that the ledger's SQLite and Redis keep: reservations, usage, revocations, idempotent answers."""

from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from hfchat.ledger.meters import Counters, Meter, OnceState, Principal, Reservation, UsageTotals
from hfchat.types import Usage


class Store(Protocol):
    """One store. `now` and `until` are in seconds since 1970. Raises: StoreUnavailable, everywhere, and nothing else.

    `in_order`: what one process asks is answered in the order it is asked, so that nobody there need wait to see it done.
    """

    in_order: bool

    def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Awaitable[Counters]:
        """Take all that is asked for, or nothing; nothing where the token is revoked, too.

        What tokens or replies in progress refuse is a request all the same, and counts as one.
        """
        ...

    def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, look: bool = True
    ) -> Awaitable[Counters | None]:
        """Write what was really used and give back the rest, once: what is not reserved any more stays as it is.

        What is used then it says only where it is to `look`.
        """
        ...

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Keep these reservations; and tidy up what lapsed long ago."""
        ...

    def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Awaitable[Counters]:
        """What is used, and whether the token is revoked."""
        ...

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse this token from now on, until it would have expired.

        It is never deleted: it is the owner's word, and a clock that runs ahead must not make the token good again.
        """
        ...

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those of the tokens that are revoked."""
        ...

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Claim the answer of that name for this owner, or say what is known of it."""
        ...

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Keep the owner's claim until then."""
        ...

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Keep the answer that the owner has claimed until then."""
        ...

    async def end_once(self, name: str, owner: str) -> None:
        """Give up the owner's claim."""
        ...

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """Everybody's account, or those of one subject, by name."""
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...
