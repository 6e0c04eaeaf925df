"""Model catalog: the models that a policy allows, with the facts of the router where it lists them."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hfchat.errors import HfchatError
from hfchat.logs import log_event
from hfchat.types import ModelFacts, Policy, Upstream

logger = logging.getLogger(__name__)

FRESH_S = 600.0
RETRY_S = 30.0
FIRST_FETCH_S = 3.0


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model by its name in a request, and its facts."""

    id: str
    default: bool
    facts: ModelFacts | None


class Catalog:
    """The provider's list, cached for FRESH_S, and through its outages. Used in one event loop."""

    def __init__(self, upstream: Upstream, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._facts: dict[str, ModelFacts] = {}
        self._next_fetch_at = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def offers(self, policy: Policy) -> list[CatalogEntry]:
        """The models that this policy allows, the default first."""
        facts = await self._list()
        default = policy.default_model
        others = [name for name in sorted(facts if policy.models is None else policy.models) if name != default]
        names = [default, *others] if policy.models is None or default in policy.models else others
        return [CatalogEntry(name, name == default, facts.get(name.partition(":")[0])) for name in names]

    async def offer(self, policy: Policy, name: str) -> CatalogEntry | None:
        """A model that this policy allows, by its name in a request; None where it allows or lists none of this name."""
        offers = await self.offers(policy)
        listed = next((offer for offer in offers if offer.id == name), None)
        if listed is None and policy.models is None and (facts := await self.facts(name)) is not None:
            return CatalogEntry(name, False, facts)
        return listed

    async def facts(self, model: str) -> ModelFacts | None:
        """The facts of a model, by its name in a request."""
        return (await self._list()).get(model.partition(":")[0])

    async def providers(self, model: str) -> Sequence[str]:
        """The live providers of a model, by the names that may stand after the colon; none where nothing lists them."""
        facts = await self.facts(model)
        return facts.providers if facts else ()

    async def _list(self) -> dict[str, ModelFacts]:
        if self._fetching is None and self._clock() >= self._next_fetch_at:
            self._fetching = asyncio.create_task(self._fetch())
        if self._fetching is not None and not self._facts:
            await asyncio.wait({self._fetching}, timeout=FIRST_FETCH_S)
        return self._facts

    async def _fetch(self) -> None:
        try:
            self._facts = {facts.id: facts for facts in await self._upstream.models()}
            self._next_fetch_at = self._clock() + FRESH_S
        except HfchatError as failure:
            self._next_fetch_at = self._clock() + RETRY_S
            log_event(logger, logging.WARNING, "models_not_listed", code=failure.code)
        finally:
            self._fetching = None
