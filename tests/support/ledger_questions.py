"""What tests ask a ledger, in short. It imports little, so that a process of its own starts at once."""

from hfchat.ledger.store import REQUESTS, TOKENS, Account, Ledger, Meter, Person, Reading, Reservation

ALICE = Person("hfchat", "alice")
DAY = 1_780_272_000  # a midnight UTC
NOON = DAY + 43_200.0


def ask(
    id_: str = "r1",
    *,
    person: Person = ALICE,
    rate: int = 10,
    budget: int = 1000,
    streams: int | None = 3,
    prompt: int = 60,
    completion: int = 40,
    token_id: str = "jti-1",  # noqa: S107  the name of one
) -> Reservation:
    meters = (Meter(REQUESTS, "minute", rate, 1), Meter(TOKENS, "day", budget, prompt + completion))
    return Reservation(id_, person, token_id, meters, streams, prompt, completion)


async def reserve(ledger: Ledger, asked: Reservation, now: float = NOON, lease_s: float = 60) -> Reading:
    return await ledger.reserve(asked, now=now, lease_ends=now + lease_s)


async def used(ledger: Ledger, now: float = NOON, person: Person = ALICE) -> tuple[int, int, int]:
    """Requests of the minute, tokens of the day, replies in progress."""
    reading = await ledger.look(person, "jti-1", ask().meters, now=now)
    return reading.used[0][1], reading.used[1][1], reading.streams


async def account(ledger: Ledger, now: float = NOON, subject: str = "alice") -> Account:
    (found,) = await ledger.accounts(subject, now=now)
    return found
