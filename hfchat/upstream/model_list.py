"""Model list: reads the router's `/models`. Entries and fields of a wrong form are left out. Pure."""

import re
from typing import Any

from hfchat.types import MODEL_ID, ModelFacts

MAX_MODELS = 5000
# vLLM and SGLang; Together, OpenRouter and Featherless; Groq; LM Studio and Mistral; Novita.
_CONTEXT_NAMES = ("max_model_len", "context_length", "context_window", "max_context_length", "context_size")
_PROVIDER = re.compile(r"[\w.\-]{1,100}", re.ASCII)


def read_models(answer: object) -> list[ModelFacts]:
    """The facts of each model; the smallest context that is named, and the lowest price of several live providers.

    With auto routing any of them may answer, so only the smallest context is certain.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    models = data if isinstance(data, list) else []
    return [_facts(model) for model in models[:MAX_MODELS] if isinstance(model, dict) and _is_id(model.get("id"))]


def _is_id(name: object) -> bool:
    return isinstance(name, str) and MODEL_ID.fullmatch(name) is not None


def _facts(model: dict[str, Any]) -> ModelFacts:
    providers = model.get("providers")
    providers = [provider for provider in providers if _is_live(provider)] if isinstance(providers, list) else []
    architecture = model.get("architecture")
    modalities = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    contexts = [*(provider.get("context_length") for provider in providers), *_own_contexts(model)]
    prices = [price for provider in providers if (price := _price(provider)) is not None]
    return ModelFacts(
        id=model["id"],
        context_length=min(filter(_is_size, contexts), default=None),
        input_modalities=tuple(name for name in modalities or () if isinstance(name, str)) if modalities else None,
        price=min(prices, key=sum, default=None),
        providers=tuple(
            dict.fromkeys(name for provider in providers if _is_provider(name := provider.get("provider")))
        ),
    )


def _own_contexts(model: dict[str, Any]) -> list[object]:
    """What the entry itself says of the context, in the words of several servers."""
    meta = model.get("meta")  # llama.cpp: what the model was trained with, and in later versions what it runs with
    trained = meta.get("n_ctx") or meta.get("n_ctx_train") if isinstance(meta, dict) else None
    return [trained, *(model.get(name) for name in _CONTEXT_NAMES)]


def _is_size(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size > 0


def _is_provider(name: object) -> bool:
    return isinstance(name, str) and _PROVIDER.fullmatch(name) is not None


def _is_live(provider: object) -> bool:
    return isinstance(provider, dict) and provider.get("status", "live") == "live"


def _price(provider: dict[str, Any]) -> tuple[float, float] | None:
    if provider.get("is_free") is True:
        return 0.0, 0.0
    pricing = provider.get("pricing")
    if not isinstance(pricing, dict) or not (_is_price(pricing.get("input")) and _is_price(pricing.get("output"))):
        return None
    return float(pricing["input"]), float(pricing["output"])


def _is_price(price: object) -> bool:
    return isinstance(price, int | float) and not isinstance(price, bool) and 0 <= price < 1e6
