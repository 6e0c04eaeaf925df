"""Limits of a person that the owner sets while the program runs, kept in the ledger and not in a token. Pure.

They are kept by subject: a name means the person of that name at every issuer.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from hfchat.errors import StoreUnavailable
from hfchat.limits import Limits, narrowed, parse_limit
from hfchat.types import Policy


@dataclass(frozen=True, slots=True)
class PersonLimits(Limits):
    """The limits of one person; None where the settings' hold. Who is `blocked` is let in with no token."""

    blocked: bool = False

    def __str__(self) -> str:
        """As the stores keep it, and compare it: JSON in one spelling; empty where nothing is set."""
        values = {
            "blocked": self.blocked or None,
            "budget": self.budget and str(self.budget),
            "rate": self.rate and str(self.rate),
            "streams": self.streams,
        }
        values = {name: value for name, value in values.items() if value is not None}
        return json.dumps(values) if values else ""


def read_person_limits(text: str) -> PersonLimits:
    """The limits that a store keeps as this text. Raises: StoreUnavailable for one that another version wrote."""
    try:
        values: dict[str, Any] = json.loads(text or "{}")
        values |= {name: parse_limit(values[name]) for name in ("rate", "budget") if name in values}
        return PersonLimits(**values)
    except (ValueError, TypeError, AttributeError) as unreadable:
        raise StoreUnavailable from unreadable  # a limit that is not understood would not hold


def limited(policy: Policy, limits: Limits) -> Policy:
    """A caller's policy with the limits of their person in place of the settings', each narrowed by the token's own."""
    token = policy.token_limits
    streams = [streams for streams in (limits.streams, token.streams) if streams is not None]
    return replace(
        policy,
        rate=policy.rate if limits.rate is None else narrowed((limits.rate,), token.rate),
        budget=policy.budget if limits.budget is None else narrowed((limits.budget,), token.budget),
        streams=policy.streams if limits.streams is None else min(streams),
    )
