"""Models endpoints: `GET /api/ai/models` and `GET /v1/models` list the models that a token may use.

`max_tokens` of a model is the most that a reply to this token may have.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from hfchat.api.bodies import ModelsBody, OpenAiModelBody, OpenAiModelsBody, errors
from hfchat.chat.catalog import Catalog, CatalogEntry
from hfchat.errors import NotFound
from hfchat.types import Caller, Policy


def models_router(catalog: Catalog) -> APIRouter:
    """The routes. The gate has let in only who has a bearer token."""
    router = APIRouter(tags=["models"])

    @router.get(
        "/api/ai/models",
        response_model=ModelsBody,
        response_model_exclude_none=True,
        responses=errors(),
        operation_id="models",
        summary="Models",
    )
    async def models_route(request: Request) -> Response:
        """The models that this token may use, the default first. `pricing` is in US dollars for a million tokens."""
        caller: Caller = request.state.caller
        return JSONResponse(
            {"models": [_described(offer, caller.policy) for offer in await catalog.offers(caller.policy)]}
        )

    @router.get(
        "/v1/models",
        response_model=OpenAiModelsBody,
        response_model_exclude_none=True,
        responses=errors(),
        operation_id="openai_models",
        summary="Models, in OpenAI's form",
    )
    async def openai_models_route(request: Request) -> Response:
        """The same in the form of OpenAI's API."""
        caller: Caller = request.state.caller
        listed = [_in_openai_form(offer, caller.policy) for offer in await catalog.offers(caller.policy)]
        return JSONResponse({"object": "list", "data": listed})

    @router.get(
        "/v1/models/{model:path}",
        response_model=OpenAiModelBody,
        response_model_exclude_none=True,
        responses=errors(404),
        operation_id="openai_model",
        summary="One model, in OpenAI's form",
    )
    async def openai_model_route(request: Request, model: str) -> Response:
        """One of them, by its id, slashes and all."""
        caller: Caller = request.state.caller
        offer = await catalog.offer(caller.policy, model)
        if offer is None:
            raise NotFound("not_offered", params={"value": "/v1/models"})
        return JSONResponse(_in_openai_form(offer, caller.policy))

    return router


def _in_openai_form(offer: CatalogEntry, policy: Policy) -> dict[str, Any]:
    fields = {"id": offer.id, "object": "model", "created": 0, "owned_by": offer.id.partition("/")[0]}
    context = offer.facts and offer.facts.context_length
    return {**fields, **({"context_length": context} if context else {}), "max_tokens": policy.max_tokens}


def _described(offer: CatalogEntry, policy: Policy) -> dict[str, Any]:
    facts = offer.facts
    details: dict[str, Any] = {}
    if facts is not None:
        details = {"context_length": facts.context_length, "input_modalities": facts.input_modalities}
        details["pricing"] = facts.price and {"input": facts.price[0], "output": facts.price[1]}
    fields = {name: fact for name, fact in details.items() if fact is not None}
    return {"id": offer.id, "default": offer.default, "max_tokens": policy.max_tokens, **fields}
