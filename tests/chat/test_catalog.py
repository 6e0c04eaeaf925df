"""The list of models: read exactly or not at all, kept for a while, asked for by one."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from hfchat.chat.catalog import FRESH_S, RETRY_S, Catalog, CatalogEntry
from hfchat.errors import UpstreamUnavailable
from hfchat.types import Call, Delta, Finish, ModelFacts, Policy
from hfchat.upstream.model_list import read_models
from tests.support.rows import each_row

pytestmark = pytest.mark.anyio


class Listing:
    """An upstream that lists what it is told to, and counts how often it is asked."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.asked = 0
        self.fails = False

    async def models(self) -> list[ModelFacts]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fails:
            raise UpstreamUnavailable
        return [ModelFacts(name, 100) for name in self.ids]

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        raise NotImplementedError
        yield

    async def close(self) -> None:
        pass


ALL = Policy("a/b:fastest", None)


async def names(catalog: Catalog, policy: Policy = ALL) -> list[str]:
    return [offer.id for offer in await catalog.offers(policy)]


async def test_the_default_comes_first_and_facts_go_by_the_name_without_its_provider() -> None:
    catalog = Catalog(Listing("c/d", "a/b"))
    first, *others = await catalog.offers(ALL)
    assert first == CatalogEntry("a/b:fastest", True, ModelFacts("a/b", 100))
    assert [offer.id for offer in others] == ["a/b", "c/d"]


async def test_a_policy_shows_its_own_models_only() -> None:
    catalog = Catalog(Listing("c/d", "e/f"))
    assert await names(catalog, Policy("c/d", frozenset({"c/d", "not/listed"}))) == ["c/d", "not/listed"]
    assert await names(catalog, Policy("c/d", frozenset())) == []


async def test_the_list_is_asked_for_once_by_many_and_again_after_a_while() -> None:
    now, upstream = [0.0], Listing("c/d")
    catalog = Catalog(upstream, clock=lambda: now[0])
    await asyncio.gather(*(names(catalog) for _ in range(50)))
    now[0] += FRESH_S - 1
    await names(catalog)
    assert upstream.asked == 1
    upstream.ids = ("new/one",)
    now[0] += 2
    await names(catalog)
    await asyncio.sleep(0.01)
    assert await names(catalog) == ["a/b:fastest", "new/one"]
    assert upstream.asked == 2


async def test_what_is_known_stays_through_an_outage_which_is_not_asked_about_at_once_again() -> None:
    now, upstream = [0.0], Listing("c/d")
    catalog = Catalog(upstream, clock=lambda: now[0])
    await names(catalog)
    upstream.fails = True
    now[0] += FRESH_S + 1
    for _ in range(5):
        assert await names(catalog) == ["a/b:fastest", "c/d"]
        await asyncio.sleep(0.001)
    assert upstream.asked == 2
    now[0] += RETRY_S + 1
    await names(catalog)
    await asyncio.sleep(0.001)
    assert upstream.asked == 3


LIVE = {"provider": "x", "status": "live"}
X = ("x",)
LISTS: dict[str, tuple[Any, list[ModelFacts]]] = {
    "nothing": (None, []),
    "another form": ({"data": {"id": "a/b"}}, []),
    "an id alone": ({"data": [{"id": "a/b"}]}, [ModelFacts("a/b")]),
    "ids that are none": ({"data": [{"id": 5}, {"id": "https://x"}, {"id": ""}, "a/b", {}]}, []),
    "free": (
        {"data": [{"id": "a", "providers": [{**LIVE, "is_free": True}]}]},
        [ModelFacts("a", price=(0.0, 0.0), providers=X)],
    ),
    "the smallest context of those alive": (
        {
            "data": [
                {
                    "id": "a",
                    "providers": [
                        {**LIVE, "context_length": 9},
                        {**LIVE, "context_length": 5},
                        {"status": "error", "context_length": 1},
                        {**LIVE, "context_length": "3"},
                    ],
                }
            ]
        },
        [ModelFacts("a", 5, providers=X)],
    ),
    "half a price": (
        {"data": [{"id": "a", "providers": [{**LIVE, "pricing": {"input": 1}}]}]},
        [ModelFacts("a", providers=X)],
    ),
    "names of providers that are none": (
        {"data": [{"id": "a", "providers": [{"provider": name} for name in ("y:z", "", 5, None, "y", "a b", "y")]}]},
        [ModelFacts("a", providers=("y",))],
    ),
    "vLLM": ({"data": [{"id": "a", "max_model_len": 32768}]}, [ModelFacts("a", 32768)]),
    "llama.cpp": ({"data": [{"id": "a", "meta": {"n_vocab": 5, "n_ctx_train": 4096}}]}, [ModelFacts("a", 4096)]),
    "llama.cpp, as it runs": (
        {"data": [{"id": "a", "meta": {"n_ctx": 512, "n_ctx_train": 4096}}]},
        [ModelFacts("a", 512)],
    ),
    "a context of its own": ({"data": [{"id": "a", "context_length": 8192}]}, [ModelFacts("a", 8192)]),
    "contexts that are none": (
        {"data": [{"id": "a", "context_length": "8k", "max_model_len": True, "meta": {"n_ctx_train": -1}}]},
        [ModelFacts("a")],
    ),
    "odd architecture": ({"data": [{"id": "a", "architecture": ["x"], "providers": "x"}]}, [ModelFacts("a")]),
}


@each_row(("answer", "models"), LISTS.values(), ids=LISTS)
async def test_a_list_is_read_and_what_is_not_as_it_should_be_is_left_out(
    answer: Any, models: list[ModelFacts]
) -> None:
    assert read_models(answer) == models
