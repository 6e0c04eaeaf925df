"""Model picker: its options, and their labels: name, context length, modalities and price."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hfchat.chat.catalog import CatalogEntry
from hfchat.i18n.amounts import dollars
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import CHAT
from hfchat.types import ROUTING_RULES, ModelFacts, Policy

_MODALITIES = ("text", "image", "audio", "video")


def short(model: str) -> str:
    """A model's name as the page says it: without its maker's."""
    return model.rpartition("/")[2]


def named(model: str, provider: str) -> str:
    """The model's name with the provider's after the colon."""
    return f"{model}:{provider}" if model and provider else model


@dataclass(frozen=True, slots=True)
class ModelOption:
    """A model as the picker has it, and what may stand after the colon: "" where nothing need stand there.

    `name` is what it is called there: without its maker's name, where no other maker's is called the same.
    """

    offer: CatalogEntry
    model: str
    providers: tuple[str, ...]
    name: str


def picks(offers: Sequence[CatalogEntry], policy: Policy, *, routed: bool) -> list[ModelOption]:
    """The models that may be chosen, the default first. Only a `routed` name has a provider after its colon."""
    entries: dict[str, tuple[CatalogEntry, tuple[str, ...]]] = {}
    for offer in offers:
        model, _, provider = offer.id.partition(":") if routed else (offer.id, "", "")
        first, listed = entries.get(model, (offer, ()))
        listed = (*listed, provider)
        if routed and policy.models is None:
            known = offer.facts.providers if offer.facts else ()
            listed = (*listed, "", *ROUTING_RULES, *known)
        entries[model] = first, tuple(dict.fromkeys(listed))
    called = Counter(map(short, entries))
    return [
        ModelOption(offer, model, providers, short(model) if called[short(model)] == 1 else model)
        for model, (offer, providers) in entries.items()
    ]


def label(pick: ModelOption, language: Language) -> str:
    """A line of the picker: the model's name, and what is known of it, short."""
    facts = pick.offer.facts
    known = [] if facts is None else [_size(facts.context_length), _takes(facts, language), _price(facts, language)]
    return " · ".join(filter(None, (pick.name, *known)))


def about(pick: ModelOption, language: Language) -> str:
    """Whole and in full words: the model's id, and all that is known of it."""
    facts, texts = pick.offer.facts, CHAT[language]
    known = []
    if facts is not None:
        size = _size(facts.context_length)
        price = facts.price
        costs = _price(facts, language)
        if price and any(price):
            each = {"input": dollars(price[0], language), "output": dollars(price[1], language)}
            costs = texts["price"].format(**each)
        known = [size and texts["context"].format(size=size), _takes(facts, language), costs]
    return " · ".join(filter(None, (pick.model, *known)))


def provider_label(provider: str, language: Language) -> str:
    """What a provider, or the rule that picks one, is called."""
    texts = CHAT[language]
    if provider in ROUTING_RULES:
        return texts[f"provider_{provider}"]
    return provider or texts["provider_default"]


def _size(tokens: int | None) -> str:
    return "" if tokens is None else f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)


def _takes(facts: ModelFacts, language: Language) -> str:
    taken = [name for name in _MODALITIES if name in (facts.input_modalities or ())]
    return ", ".join(CHAT[language][f"takes_{name}"] for name in taken)


def _price(facts: ModelFacts, language: Language) -> str:
    if facts.price is None:
        return ""
    if not any(facts.price):
        return CHAT[language]["free"]
    return " / ".join(dollars(price, language) for price in facts.price)
