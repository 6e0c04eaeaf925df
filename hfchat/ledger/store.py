"""Store: the protocol of the SQLite and the Redis store: reservations, usage, revocations, idempotency keys, records."""

from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from hfchat.ledger.meters import Counters, Meter, OnceState, Principal, Reservation, UsageTotals
from hfchat.types import Usage


class Store(Protocol):
    """A database of usage. `now` and `until` are in seconds since 1970. Every method raises StoreUnavailable, and nothing else.

    `in_order`: calls of one process take effect in the order they are made, so a caller need not await one to see its effect.
    """

    in_order: bool

    def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Awaitable[Counters]:
        """Count the whole reservation, or nothing of it where a meter refuses or the token is revoked, or where the person has
        other limits by now than the reservation was made of: the counters then have them.

        A reservation that the budget or the concurrent replies refuse still counts as a request.
        """
        ...

    def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, read_counters: bool = True
    ) -> Awaitable[Counters | None]:
        """Count what was really used and give back the rest, once: a reservation that is settled already stays as it is.

        The counters afterwards are returned only with `read_counters`.
        """
        ...

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Extend the leases of these reservations; delete reservations whose lease ended a day ago."""
        ...

    def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Awaitable[Counters]:
        """What is used of these meters, and whether the token is revoked."""
        ...

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse this token from now on, until it would have expired.

        A revocation is never deleted: a clock that runs ahead must not make the token valid again.
        """
        ...

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those of the tokens that are revoked."""
        ...

    async def limits(self, subjects: Collection[str]) -> dict[str, str]:
        """The limits of those of the people who have some of their own."""
        ...

    async def set_limits(self, subject: str, before: str, after: str) -> bool:
        """Set a person's limits, empty for none; False, and nothing is set, where they are not `before` any more."""
        ...

    async def reset(self, subject: str) -> None:
        """Forget what a person used in every window, replies in progress included; the totals stay."""
        ...

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Take the idempotency key `name` for this owner, or return its state."""
        ...

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Extend the owner's hold of the key."""
        ...

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Store the answer under the key that the owner holds."""
        ...

    async def end_once(self, name: str, owner: str) -> None:
        """Free the key that the owner holds."""
        ...

    async def store_record(self, name: str, content: bytes, *, now: float, until: float) -> None:
        """Store a record under this name, in place of what is there; those that have ended are deleted."""
        ...

    async def read_record(self, name: str, *, now: float) -> bytes | None:
        """What is stored under this name and has not ended."""
        ...

    async def delete_record(self, name: str) -> None:
        """Delete what is stored under this name."""
        ...

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """The totals of everybody, or of one subject, sorted by name."""
        ...

    async def open(self) -> None:
        """Begin what takes long, and return at once. A command need not call it."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...
