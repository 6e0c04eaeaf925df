"""What a visitor chose beside the question, forged or not, and what the picker offers."""

from typing import Any

import pytest

from hfchat.chat.catalog import CatalogEntry
from hfchat.errors import InvalidRequest
from hfchat.page.inputs import MAX_SYSTEM_CHARS, ChatInputs
from hfchat.page.model_picker import about, label, named, picks
from hfchat.types import ChatRequest, Message, ModelFacts, Policy
from tests.support.rows import each_row

POLICY = Policy("a/b:fastest", frozenset({"a/b:fastest", "a/b", "c/d"}))
QUESTION = (Message("user", "hello"),)


def chosen(**choices: Any) -> ChatRequest:
    return ChatInputs(**choices).request(QUESTION, POLICY)


def test_nothing_chosen_is_the_owners_default() -> None:
    assert chosen() == ChatRequest(QUESTION)
    assert chosen(model="a/b", provider="fastest", system_prompt=" \n") == ChatRequest(QUESTION)
    assert chosen(model="", provider="") == ChatRequest(QUESTION)


def test_what_was_chosen_is_asked_for() -> None:
    asked = chosen(model="c/d", provider="groq", system_prompt="Be brief.", temperature=0, top_p=0.5, max_tokens=100)
    assert asked == ChatRequest((Message("system", "Be brief."), *QUESTION), "c/d:groq", 100, 0, 0.5)


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": -1}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": 10**7}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"model": 5}, "model"),
    ({"model": ["a/b"]}, "model"),
    ({"model": {"a": 1}, "provider": "x"}, "model"),
    ({"model": "x" * 300}, "model"),
    ({"system_prompt": 5}, "system_prompt"),
    ({"system_prompt": ["x"]}, "system_prompt"),
    ({"system_prompt": "x" * (MAX_SYSTEM_CHARS + 1)}, "system_prompt"),
]


@each_row(("choices", "param"), FORGED, ids=[f"{choices}"[:40] for choices, _ in FORGED])
def test_what_is_out_of_bounds_is_refused_by_its_name(choices: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chosen(**choices)
    assert refused.value.param == param


def test_a_model_has_its_provider_after_a_colon() -> None:
    assert (named("a/b", "groq"), named("a/b", ""), named("", "groq")) == ("a/b:groq", "a/b", "")


FACTS = ModelFacts("a/b", 131_072, ("text", "image"), (0.02, 0.4), ("groq", "novita"))


def test_where_the_owner_lists_names_the_provider_is_one_of_those() -> None:
    offers = [
        CatalogEntry("a/b:fastest", True, FACTS),
        CatalogEntry("a/b", False, FACTS),
        CatalogEntry("c/d", False, None),
    ]
    found = picks(offers, POLICY, routed=True)
    assert [(pick.model, pick.providers) for pick in found] == [("a/b", ("fastest", "")), ("c/d", ("",))]


def test_where_any_model_may_be_named_so_may_any_provider_of_it() -> None:
    offers = [CatalogEntry("a/b:fastest", True, FACTS), CatalogEntry("a/b", False, FACTS)]
    (pick,) = picks(offers, Policy("a/b:fastest", None), routed=True)
    assert pick.providers == ("fastest", "", "cheapest", "preferred", "groq", "novita")


def test_two_makers_models_of_the_same_name_are_told_apart() -> None:
    offers = [CatalogEntry(name, name == "a/x", None) for name in ("a/x", "b/x:groq", "b/x", "b/y")]
    assert [label(pick, "en") for pick in picks(offers, POLICY, routed=True)] == ["a/x", "b/x", "y"]
    assert [label(pick, "en") for pick in picks(offers, POLICY, routed=False)] == ["a/x", "x:groq", "b/x", "y"]


def test_another_servers_names_are_not_taken_apart() -> None:
    offers = [CatalogEntry("llama3.2:3b", True, None), CatalogEntry("llama3.2:1b", False, None)]
    assert [pick.model for pick in picks(offers, POLICY, routed=False)] == ["llama3.2:3b", "llama3.2:1b"]


def test_a_model_is_described_in_both_languages() -> None:
    (pick,) = picks([CatalogEntry("a/b", True, FACTS)], Policy("a/b", frozenset({"a/b"})), routed=True)
    assert label(pick, "en") == "b · 131k · text, images · $0.02 / $0.40"
    assert label(pick, "es") == "b · 131k · texto, imágenes · 0,02\u00a0US$ / 0,40\u00a0US$"
    assert about(pick, "en") == ("a/b · 131k tokens of context · text, images · $0.02 in, $0.40 out per million tokens")
    free = picks([CatalogEntry("a/b", True, ModelFacts("a/b", price=(0, 0)))], POLICY, routed=True)[0]
    assert (label(free, "en"), about(free, "es")) == ("b · free", "a/b · gratis")
    (unknown,) = picks([CatalogEntry("a/b", True, None)], POLICY, routed=True)
    assert (label(unknown, "en"), about(unknown, "es")) == ("b", "a/b")
