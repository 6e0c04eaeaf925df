"""People: what the owner sets for one person in the ledger, in force at once in every process, and what that person used."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hfchat.ledger.meters import Meter, Principal, meters_of
from hfchat.ledger.person_limits import PersonLimits, limited, read_person_limits
from hfchat.ledger.store import Store
from hfchat.ledger.store_timeout import REPORT_TIMEOUT_S, StoreTimeout
from hfchat.logs import log_event
from hfchat.types import Policy

logger = logging.getLogger(__name__)

# No token has it: what is asked about the person is not about one.
_NO_TOKEN = "-"  # noqa: S105


@dataclass(frozen=True, slots=True)
class PersonUse:
    """What a person used with tokens of one issuer: of each meter in its current window, and replies in progress."""

    issuer: str
    used: tuple[tuple[Meter, int], ...]
    streams: int


@dataclass(frozen=True, slots=True)
class Person:
    """What holds for a person: `limits` as the owner set them, `policy` as a token without limits of its own gets it."""

    subject: str
    limits: PersonLimits
    policy: Policy
    uses: tuple[PersonUse, ...]


class People:
    """The people of one ledger, by their subject as `read_name` spells it."""

    def __init__(self, store: Store, clock: Callable[[], float], timeout: StoreTimeout) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout

    async def person(self, subject: str, policy: Policy) -> Person:
        """What holds for this person, where the settings' policy is this one, and what they used. Raises: StoreUnavailable."""
        limits = await self._limits(subject)
        holds = limited(policy, limits)
        totals = await self._timeout.wait(
            self._store.totals(subject, now=self._clock()), reads=True, timeout_s=REPORT_TIMEOUT_S
        )
        uses = [await self._use(Principal(total.issuer, subject), holds) for total in totals]
        return Person(subject, limits, holds, tuple(uses))

    async def change(self, subject: str, change: Callable[[PersonLimits], PersonLimits]) -> None:
        """Set the limits of this person to what `change` makes of them. Two changes at once both take effect.

        Raises: StoreUnavailable.
        """
        changed = False
        while not changed:
            before = await self._text(subject)
            after = change(read_person_limits(before))
            changed = await self._timeout.wait(self._store.set_limits(subject, before, str(after)))
        log_event(
            logger,
            logging.INFO,
            "person_limits",
            subject=subject,
            blocked=after.blocked,
            rate=after.rate and str(after.rate),
            budget=after.budget and str(after.budget),
            streams=after.streams,
        )

    async def reset(self, subject: str) -> None:
        """Forget what this person used in the current windows of rate and budget, replies in progress included.

        The totals stay. Raises: StoreUnavailable.
        """
        await self._timeout.wait(self._store.reset(subject), timeout_s=REPORT_TIMEOUT_S)
        log_event(logger, logging.INFO, "person_reset", subject=subject)

    async def blocked(self, subjects: Collection[str]) -> set[str]:
        """Those of the people who are blocked. Raises: StoreUnavailable."""
        limits = await self._timeout.wait(self._store.limits(subjects), reads=True)
        return {subject for subject, text in limits.items() if read_person_limits(text).blocked}

    async def _limits(self, subject: str) -> PersonLimits:
        return read_person_limits(await self._text(subject))

    async def _text(self, subject: str) -> str:
        """The limits as the store spells them, which is what it compares; empty where none are set."""
        limits = await self._timeout.wait(self._store.limits([subject]), reads=True)
        return limits.get(subject, "")

    async def _use(self, principal: Principal, policy: Policy) -> PersonUse:
        meters = meters_of(policy)
        counters = await self._timeout.wait(
            self._store.quota(principal, _NO_TOKEN, meters, now=self._clock()), reads=True
        )
        used = tuple((meter, count) for meter, (_, count) in zip(meters, counters.used, strict=True))
        return PersonUse(principal.issuer, used, counters.streams)
