"""Models: does the address answer, does it list the owner's models, and does the default one answer a call of one token?"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from hfchat import errors as e
from hfchat.check.answer import Answer, failed, good, unknown, wrong
from hfchat.types import ROUTING_RULES, Call, Finish, Message, ModelFacts, Upstream

# A model that is being loaded takes longer than this, and says so sooner.
CALL_TIMEOUT_S = 20.0
_MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """What the address lists; `models` is None where it lists nothing that can be read."""

    address: Answer
    models: dict[str, ModelFacts] | None = None


async def ask_listing(upstream: Upstream, base_url: str) -> Listing:
    """The models that are listed. Not every server lists them: only one that is retired or away is wrong."""
    try:
        models = {facts.id: facts for facts in await upstream.models()}
    except e.EndpointRetired as error:
        return Listing(failed("address", error, address=base_url))
    except (e.UpstreamUnavailable, e.UpstreamTimeout):
        return Listing(wrong("address", "address_away", address=base_url))
    except e.HfchatError:
        return Listing(good("address", "address_lists_nothing", address=base_url))
    if not models:
        return Listing(good("address", "address_lists_nothing", address=base_url))
    return Listing(good("address", "address_answers", address=base_url, count=len(models)), models)


def model_listed(model: str, listing: Listing, *, routed: bool) -> Answer:
    """Whether the model is known and live. Only Hugging Face's router, `routed`, lists all that it has, and who serves it."""
    name, _, suffix = model.partition(":")
    if listing.models is None:
        away = listing.address.status == "wrong"
        return unknown("model", "model_list_unread" if away or routed else "model_not_listed_here", model=model)
    facts = listing.models.get(model) or (listing.models.get(name) if routed else None)
    if facts is None:
        return (
            wrong("model", "model_unlisted", model=model)
            if routed
            else unknown("model", "model_not_listed_here", model=model)
        )
    if not routed:
        return good("model", "model_listed", model=model)
    if not facts.providers:
        return wrong("model", "model_not_live", model=model)
    providers = ", ".join(facts.providers[:_MAX_NAMED])
    if suffix and suffix not in ROUTING_RULES and suffix not in facts.providers:
        return wrong("model", "model_provider_not_live", model=model, provider=suffix, providers=providers)
    return good("model", "model_live", model=model, providers=providers)


async def ask_model(
    upstream: Upstream, model: str, listing: "asyncio.Future[Listing]", *, timeout_s: float = CALL_TIMEOUT_S
) -> Answer:
    """A call of one token, in the way of every other call: it tells whether a provider is enabled, and which one."""
    call = Call(model, (Message("user", "Hi"),), max_tokens=1)
    try:
        finish = await asyncio.wait_for(_finish(upstream, call), timeout_s)
    except TimeoutError:
        return failed("call", _of(e.UpstreamTimeout(), model), model=model)
    except e.ModelNotSupported as error:
        facts = ((await listing).models or {}).get(model.partition(":")[0])
        if facts is None or not facts.providers:
            return failed("call", _of(error, model), model=model)
        return wrong("call", "call_not_enabled", model=model, providers=", ".join(facts.providers[:_MAX_NAMED]))
    except e.HfchatError as error:
        return failed("call", _of(error, model), model=model)
    if finish is not None and finish.provider:
        return good("call", "call_answered_by", model=model, provider=finish.provider[:100])
    return good("call", "call_answered", model=model)


def unique(models: Sequence[str]) -> list[str]:
    """The models that are named, once each; `*` names none."""
    return [model for model in dict.fromkeys(models) if model != "*"]


async def _finish(upstream: Upstream, call: Call) -> Finish | None:
    async with aclosing(upstream.stream(call)) as parts:
        async for part in parts:
            if isinstance(part, Finish):
                return part
    return None


def _of(error: e.HfchatError, model: str) -> e.HfchatError:
    error.model = error.model or model
    return error
