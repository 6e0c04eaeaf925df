"""What holds of a setting, a person's limits in the ledger, and a token's own."""

import json

import pytest

from hfchat.auth.policy import PolicyClaim, narrow
from hfchat.errors import StoreUnavailable
from hfchat.ledger.person_limits import PersonLimits, limited, read_person_limits
from hfchat.limits import Limits, parse_limit
from hfchat.types import Policy
from tests.support.rows import each_row

SETTINGS = Policy("m", None, rate=(parse_limit("30/minute"),), budget=(parse_limit("200000/day"),), streams=4)
NONE: dict[str, str | int] = {}
# the person's limits, the token's, and what holds: rate, budget, streams
HOLDS: dict[str, tuple[dict[str, str | int], dict[str, str | int], tuple[str, str, int]]] = {
    "nothing set": (NONE, NONE, ("30/minute", "200000/day", 4)),
    "the token narrows the setting": (NONE, {"budget": "50000/day"}, ("30/minute", "50000/day", 4)),
    "the person has less": ({"budget": "1000/day", "rate": "5/minute", "streams": 1}, NONE, ("5/minute", "1000/day", 1)),
    "the person has more": (
        {"budget": "900000/day", "rate": "90/minute", "streams": 9}, NONE, ("90/minute", "900000/day", 9),
    ),
    "more, and the token narrows it": (
        {"budget": "900000/day", "streams": 9}, {"budget": "50000/day", "streams": 2}, ("30/minute", "50000/day", 2),
    ),
    "more, and the token allows more than the setting": (
        {"budget": "900000/day"}, {"budget": "500000/day"}, ("30/minute", "500000/day", 4),
    ),
    "less than the token": ({"budget": "1000/day"}, {"budget": "50000/day"}, ("30/minute", "1000/day", 4)),
    "less than the token in streams": ({"streams": 2}, {"streams": 3}, ("30/minute", "200000/day", 2)),
    "another window than the setting's": ({"budget": "900000/month"}, NONE, ("30/minute", "900000/month", 4)),
    "another window than the token's": (
        {"budget": "900000/month"}, {"budget": "50000/day"}, ("30/minute", "900000/month+50000/day", 4),
    ),
    "one limit leaves the others": ({"rate": "90/minute"}, {"rate": "10/minute"}, ("10/minute", "200000/day", 4)),
    "the token narrows what the person has not": (
        {"rate": "90/minute"}, {"budget": "50000/day"}, ("90/minute", "50000/day", 4),
    ),
}  # fmt: skip


def limits_of(values: dict[str, str | int]) -> Limits:
    return Limits(**{name: parse_limit(value) if isinstance(value, str) else value for name, value in values.items()})


@each_row(("person", "token", "holds"), HOLDS.values(), ids=HOLDS)
def test_a_persons_limit_replaces_the_settings_and_a_tokens_narrows_it(
    person: dict[str, str | int], token: dict[str, str | int], holds: tuple[str, str, int]
) -> None:
    claim = limits_of(token)
    policy = narrow(SETTINGS, PolicyClaim(rate=claim.rate, budget=claim.budget, streams=claim.streams))
    policy = limited(policy, limits_of(person))
    assert ("+".join(map(str, policy.rate)), "+".join(map(str, policy.budget)), policy.streams) == holds


@each_row("blocked", [False, True])
@each_row("person", [person for person, _, _ in HOLDS.values()], ids=str)
def test_limits_are_kept_as_a_text_in_one_spelling(person: dict[str, str | int], blocked: bool) -> None:
    limits = limits_of(person)
    limits = PersonLimits(limits.rate, limits.budget, limits.streams, blocked)
    assert read_person_limits(str(limits)) == limits
    assert str(read_person_limits(str(limits))) == str(limits)
    assert bool(str(limits)) == bool(person or blocked)


UNREADABLE = ["x", "[1]", "5", '{"speed": 1}', '{"budget": "$5/day"}', '{"budget": 5}', json.dumps({"rate": None})]


@each_row("text", UNREADABLE)
def test_limits_that_another_version_wrote_let_nobody_in(text: str) -> None:
    with pytest.raises(StoreUnavailable):
        read_person_limits(text)
