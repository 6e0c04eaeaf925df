"""Models endpoints: `GET /api/ai/models` and `GET /v1/models` list the models that a token may use."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from hfchat.api.bodies import ModelsBody, OpenAiModelsBody, errors
from hfchat.chat.catalog import Catalog, CatalogEntry
from hfchat.types import Caller


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
        return JSONResponse({"models": [_described(offer) for offer in await catalog.offers(caller.policy)]})

    @router.get(
        "/v1/models",
        response_model=OpenAiModelsBody,
        responses=errors(),
        operation_id="openai_models",
        summary="Models, in OpenAI's form",
    )
    async def openai_models_route(request: Request) -> Response:
        """The same in the form of OpenAI's API."""
        caller: Caller = request.state.caller
        offers = await catalog.offers(caller.policy)
        listed = [
            {"id": offer.id, "object": "model", "created": 0, "owned_by": offer.id.partition("/")[0]}
            for offer in offers
        ]
        return JSONResponse({"object": "list", "data": listed})

    return router


def _described(offer: CatalogEntry) -> dict[str, Any]:
    facts = offer.facts
    details: dict[str, Any] = {}
    if facts is not None:
        details = {"context_length": facts.context_length, "input_modalities": facts.input_modalities}
        details["pricing"] = facts.price and {"input": facts.price[0], "output": facts.price[1]}
    fields = {name: fact for name, fact in details.items() if fact is not None}
    return {"id": offer.id, "default": offer.default, **fields}
