"""What tests ask a ledger, in short. It imports little, so that a process of its own starts at once."""

from hfchat.ledger.meters import REQUESTS, TOKENS, Counters, Meter, Principal, Reservation, UsageTotals
from hfchat.ledger.store import Store

ALICE = Principal("hfchat", "alice")
DAY = 1_780_272_000  # a midnight UTC
NOON = DAY + 43_200.0


def ask(
    id_: str = "r1",
    *,
    principal: Principal = ALICE,
    rate: int = 10,
    budget: int = 1000,
    streams: int | None = 3,
    prompt: int = 60,
    completion: int = 40,
    token_id: str = "jti-1",  # noqa: S107  the name of one
) -> Reservation:
    meters = (Meter(REQUESTS, "minute", rate, 1), Meter(TOKENS, "day", budget, prompt + completion))
    return Reservation(id_, principal, token_id, meters, streams, prompt, completion)


async def reserve(store: Store, reservation: Reservation, now: float = NOON, lease_s: float = 60) -> Counters:
    return await store.reserve(reservation, now=now, lease_ends=now + lease_s)


async def used(store: Store, now: float = NOON, principal: Principal = ALICE) -> tuple[int, int, int]:
    """Requests of the minute, tokens of the day, replies in progress."""
    counters = await store.quota(principal, "jti-1", ask().meters, now=now)
    return counters.used[0][1], counters.used[1][1], counters.streams


async def account(store: Store, now: float = NOON, subject: str = "alice") -> UsageTotals:
    (found,) = await store.totals(subject, now=now)
    return found
