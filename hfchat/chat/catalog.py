"""The models that somebody may use, with what the router says of them; where it says nothing, by their names alone."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from hfchat.errors import HfchatError
from hfchat.logs import log_event
from hfchat.types import ModelFacts, Policy, Upstream

logger = logging.getLogger(__name__)

FRESH_S = 600.0
RETRY_S = 30.0
PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A model by the name that a request gives it, and what is known of it."""

    id: str
    default: bool
    facts: ModelFacts | None


class Catalog:
    """The provider's list, kept for ten minutes, and through its outages. Used in one event loop."""

    def __init__(self, upstream: Upstream, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._known: dict[str, ModelFacts] = {}
        self._asked_again_at = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def offers(self, policy: Policy) -> list[Offer]:
        """What this policy allows, the default first."""
        known = await self._list()
        names = sorted(known) if policy.models is None else sorted(policy.models)
        names = [policy.default_model, *(name for name in names if name != policy.default_model)]
        allowed = [name for name in names if policy.models is None or name in policy.models]
        return [Offer(name, name == policy.default_model, known.get(name.partition(":")[0])) for name in allowed]

    async def facts(self, model: str) -> ModelFacts | None:
        """What is known of a model, by the name that a request gives it."""
        return (await self._list()).get(model.partition(":")[0])

    async def _list(self) -> dict[str, ModelFacts]:
        if self._asking is None and self._clock() >= self._asked_again_at:
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None and not self._known:
            await asyncio.wait({self._asking}, timeout=PATIENCE_S)
        return self._known

    async def _ask(self) -> None:
        try:
            self._known = {facts.id: facts for facts in await self._upstream.models()}
            self._asked_again_at = self._clock() + FRESH_S
        except HfchatError as failure:
            self._asked_again_at = self._clock() + RETRY_S
            log_event(logger, logging.WARNING, "models_not_listed", code=failure.code)
        finally:
            self._asking = None
