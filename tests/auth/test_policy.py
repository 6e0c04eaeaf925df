"""The policy in a token: read exactly, and never wider than the owner's."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfchat.auth.policy import MAX_MODELS, MAX_STREAMS, PolicyClaim, narrow, read_policy
from hfchat.errors import InvalidToken
from hfchat.limits import WINDOWS, Limit
from hfchat.types import MAX_TOKENS, Policy
from tests.support.errors import reason_of
from tests.support.rows import each_row

OWNERS = Policy(
    default_model="a/b",
    models=frozenset({"a/b", "c/d", "e/f"}),
    fallback_models=("e/f", "g/h"),
    max_tokens=4096,
    rate=(Limit(30, "minute"),),
    budget=(Limit(200_000, "day"),),
    streams=4,
)
ANY_MODEL = replace(OWNERS, models=None)

CLAIMS: dict[str, tuple[dict[str, Any], PolicyClaim]] = {
    "nothing": ({}, PolicyClaim()),
    "models": ({"models": ["a/b", "c/d:fastest"]}, PolicyClaim(models=("a/b", "c/d:fastest"))),
    "rate": ({"rate": "10/minute"}, PolicyClaim(rate=Limit(10, "minute"))),
    "budget": ({"budget": "50000/day"}, PolicyClaim(budget=Limit(50_000, "day"))),
    "streams": ({"streams": 2}, PolicyClaim(streams=2)),
    "max_tokens": ({"max_tokens": 512}, PolicyClaim(max_tokens=512)),
    "the most of all": (
        {"models": ["m"] * MAX_MODELS, "streams": MAX_STREAMS, "max_tokens": MAX_TOKENS},
        PolicyClaim(models=("m",) * MAX_MODELS, streams=MAX_STREAMS, max_tokens=MAX_TOKENS),
    ),
}


@each_row(("written", "claim"), CLAIMS.values(), ids=CLAIMS)
def test_a_claim_is_read_as_it_is_written(written: dict[str, Any], claim: PolicyClaim) -> None:
    assert read_policy(written) == claim
    assert claim.payload() == written
    assert bool(claim) is bool(written)


NO_NUMBERS = [0, -1, 1.5, 2.0, "2", True, None, [2], {}, float("nan")]
WRONG: list[tuple[str, object]] = [
    *[
        ("models", value)
        for value in ([], "a/b", None, {"a/b": 1}, [5], [None], ["a b"], [""], ["*"], ["http://a/b"], 5)
    ],
    ("models", ["m"] * (MAX_MODELS + 1)),
    *[
        (name, value)
        for name in ("rate", "budget")
        for value in ("", "fast", "0/day", "5/year", 5, None, ["5/day"], True)
    ],
    *[(name, value) for name in ("streams", "max_tokens") for value in NO_NUMBERS],
    ("streams", MAX_STREAMS + 1),
    ("max_tokens", MAX_TOKENS + 1),
]


@each_row(("name", "value"), WRONG, ids=[f"{name}={value!r:.20}" for name, value in WRONG])
def test_what_is_wrong_in_a_claim_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidToken) as refused:
        read_policy({"streams": 1, "rate": "1/day", name: value})
    assert reason_of(refused.value) == f"token_claim_wrong|hfchat.{name}"


@each_row("claim", [None, 5, "30/minute", [], [("rate", "1/day")], True], ids=repr)
def test_a_claim_is_an_object(claim: object) -> None:
    with pytest.raises(InvalidToken) as refused:
        read_policy(claim)
    assert reason_of(refused.value) == "token_claim_wrong|hfchat"


def test_what_is_not_known_in_a_claim_is_named_briefly() -> None:
    with pytest.raises(InvalidToken) as refused:
        read_policy({"rate": "1/day", "speed": 5, "Rate": 1})
    assert reason_of(refused.value) == "token_claim_unknown|hfchat.Rate, hfchat.speed"
    with pytest.raises(InvalidToken) as refused:
        read_policy({f"name{number}": 1 for number in range(200)})
    assert len(reason_of(refused.value)) < 250


# the owner's policy, the token's claim, and what of the owner's is changed by it
NARROWED: dict[str, tuple[Policy, PolicyClaim, dict[str, Any]]] = {
    "nothing said": (OWNERS, PolicyClaim(), {}),
    "nothing said, any model": (ANY_MODEL, PolicyClaim(), {}),
    "one model": (OWNERS, PolicyClaim(models=("a/b",)), {"models": {"a/b"}, "fallback_models": ()}),
    "another than the default": (
        OWNERS,
        PolicyClaim(models=("e/f", "c/d")),
        {"models": {"c/d", "e/f"}, "default_model": "e/f", "fallback_models": ("e/f",)},
    ),
    "the default among others": (
        OWNERS,
        PolicyClaim(models=("c/d", "a/b")),
        {"models": {"a/b", "c/d"}, "fallback_models": ()},
    ),
    "a model that is not offered": (
        OWNERS,
        PolicyClaim(models=("x/y", "c/d")),
        {"models": {"c/d"}, "default_model": "c/d", "fallback_models": ()},
    ),
    "a fallback that is not offered by itself": (
        OWNERS,
        PolicyClaim(models=("a/b", "g/h")),
        {"models": {"a/b"}, "fallback_models": ("g/h",)},
    ),
    "only models that are not offered": (
        OWNERS,
        PolicyClaim(models=("x/y",)),
        {"models": set(), "fallback_models": ()},
    ),
    "any model is offered": (
        ANY_MODEL,
        PolicyClaim(models=("x/y", "z")),
        {"models": {"x/y", "z"}, "default_model": "x/y", "fallback_models": ()},
    ),
    "a smaller rate": (OWNERS, PolicyClaim(rate=Limit(5, "minute")), {"rate": (Limit(5, "minute"),)}),
    "a larger rate": (OWNERS, PolicyClaim(rate=Limit(500, "minute")), {}),
    "another window": (
        OWNERS,
        PolicyClaim(rate=Limit(500, "day")),
        {"rate": (Limit(30, "minute"), Limit(500, "day"))},
    ),
    "no rate of the owner's": (
        replace(OWNERS, rate=()),
        PolicyClaim(rate=Limit(5, "day")),
        {"rate": (Limit(5, "day"),)},
    ),
    "a smaller budget": (OWNERS, PolicyClaim(budget=Limit(9, "day")), {"budget": (Limit(9, "day"),)}),
    "a larger budget": (OWNERS, PolicyClaim(budget=Limit(10**9, "day")), {}),
    "a budget for the month": (
        OWNERS,
        PolicyClaim(budget=Limit(10**9, "month")),
        {"budget": (Limit(200_000, "day"), Limit(10**9, "month"))},
    ),
    "fewer streams": (OWNERS, PolicyClaim(streams=1), {"streams": 1}),
    "more streams": (OWNERS, PolicyClaim(streams=100), {}),
    "no streams of the owner's": (replace(OWNERS, streams=None), PolicyClaim(streams=9), {"streams": 9}),
    "shorter replies": (OWNERS, PolicyClaim(max_tokens=10), {"max_tokens": 10, "default_tokens": 10}),
    "a lower ceiling": (OWNERS, PolicyClaim(max_tokens=2000), {"max_tokens": 2000}),
    "longer replies": (OWNERS, PolicyClaim(max_tokens=10**6), {}),
}


@each_row(("owners", "claim", "changed"), NARROWED.values(), ids=NARROWED)
def test_a_token_has_the_narrower_of_its_own_and_the_owners(
    owners: Policy, claim: PolicyClaim, changed: dict[str, Any]
) -> None:
    expected = {name: frozenset(value) if isinstance(value, set) else value for name, value in changed.items()}
    assert narrow(owners, claim) == replace(owners, **expected)


LIMITS = st.none() | st.builds(Limit, st.integers(1, 10**6), st.sampled_from(WINDOWS))
MODELS = st.none() | st.lists(st.sampled_from(["a/b", "c/d", "e/f", "g/h", "x/y"]), min_size=1).map(tuple)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    st.builds(
        PolicyClaim,
        models=MODELS,
        rate=LIMITS,
        budget=LIMITS,
        streams=st.none() | st.integers(1, MAX_STREAMS),
        max_tokens=st.none() | st.integers(1, MAX_TOKENS),
    )
)
def test_no_claim_widens_anything(claim: PolicyClaim) -> None:
    assert read_policy(claim.payload()) == claim
    for owners in (OWNERS, ANY_MODEL):
        policy = narrow(owners, claim)
        assert policy.max_tokens <= owners.max_tokens
        assert policy.streams is not None
        assert policy.streams <= 4
        assert set(policy.fallback_models) <= set(owners.fallback_models)
        if owners.models is not None:
            assert policy.models is not None
            assert policy.models <= owners.models
        for limits, of_owner in ((policy.rate, owners.rate), (policy.budget, owners.budget)):
            for limit in of_owner:
                assert min(known.amount for known in limits if known.window == limit.window) <= limit.amount
        if claim.models is not None:
            assert policy.models is not None
            assert policy.models <= set(claim.models)
            assert policy.default_model in policy.models or not policy.models
        assert narrow(policy, claim) == policy
