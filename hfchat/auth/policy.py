"""Policy claim: the limits inside a token (`hfchat`), read exactly or refused, and only ever narrower than the owner's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hfchat.auth.claims import wrong_claim
from hfchat.errors import InvalidToken
from hfchat.limits import Limit, Limits, narrowed, parse_limit
from hfchat.types import MAX_TOKENS, MODEL_ID, Policy

CLAIM = "hfchat"
MAX_MODELS = 100
MAX_STREAMS = 10_000


@dataclass(frozen=True, slots=True)
class PolicyClaim:
    """A token's own limits; None where the owner's holds."""

    models: tuple[str, ...] | None = None
    rate: Limit | None = None
    budget: Limit | None = None
    streams: int | None = None
    max_tokens: int | None = None

    def __bool__(self) -> bool:
        return self != PolicyClaim()

    def payload(self) -> dict[str, Any]:
        """The claim as JSON in a token, without the limits that are None."""
        values = {
            "models": None if self.models is None else list(self.models),
            "rate": self.rate and str(self.rate),
            "budget": self.budget and str(self.budget),
            "streams": self.streams,
            "max_tokens": self.max_tokens,
        }
        return {name: value for name, value in values.items() if value is not None}


def read_policy(claim: object) -> PolicyClaim:
    """The claim. Raises: InvalidToken for an unknown or wrong limit: one that is ignored would not hold."""
    if not isinstance(claim, dict):
        raise wrong_claim(CLAIM)
    unknown = ", ".join(f"{CLAIM}.{name}" for name in sorted(claim.keys() - _READERS.keys()))
    if unknown:
        raise InvalidToken("token_claim_unknown", params={"value": unknown[:200]})
    values = {}
    for name, value in claim.items():
        try:
            values[name] = _READERS[name](value)
        except (ValueError, TypeError, AttributeError) as error:
            raise wrong_claim(f"{CLAIM}.{name}") from error
    return PolicyClaim(**values)


def narrow(policy: Policy, claim: PolicyClaim) -> Policy:
    """The narrower of the two in everything. A token that names models gets no others, as fallbacks neither."""
    models, default_model, fallback_models = policy.models, policy.default_model, policy.fallback_models
    if claim.models is not None:
        offered = [model for model in claim.models if policy.models is None or model in policy.models]
        models = frozenset(offered)
        default_model = next((model for model in (policy.default_model, *offered) if model in models), default_model)
        fallback_models = tuple(model for model in fallback_models if model in claim.models)
    return replace(
        policy,
        default_model=default_model,
        models=models,
        fallback_models=fallback_models,
        max_tokens=_smaller(policy.max_tokens, claim.max_tokens),
        default_tokens=_smaller(policy.default_tokens, claim.max_tokens),
        rate=narrowed(policy.rate, claim.rate),
        budget=narrowed(policy.budget, claim.budget),
        streams=_smaller(policy.streams, claim.streams),
        token_limits=Limits(claim.rate, claim.budget, claim.streams),
    )


def _smaller(*values: int | None) -> Any:
    return min((value for value in values if value is not None), default=None)


def _models(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MODELS:
        raise ValueError("it is no list of models")
    if not all(isinstance(model, str) and MODEL_ID.fullmatch(model) for model in value):
        raise ValueError("it has something that is no model's id")
    return tuple(value)


def _whole_number(maximum: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
            raise ValueError(f"it is no whole number from 1 to {maximum}")
        return value

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "models": _models,
    "rate": parse_limit,
    "budget": parse_limit,
    "streams": _whole_number(MAX_STREAMS),
    "max_tokens": _whole_number(MAX_TOKENS),
}
