"""What `check` says of the models' address, the list, and a call of one token, against the stub upstream."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hfchat.check.answer import good, wrong
from hfchat.check.models import Listing, ask_listing, ask_model, model_listed, unique
from hfchat.types import ModelFacts
from hfchat.upstream.hub import HubUpstream
from tests.support.rows import each_row
from tests.support.stub_upstream import Answer, StubUpstream, reply

pytestmark = pytest.mark.anyio
MODEL = "meta-llama/Llama-3.2-3B-Instruct"


@pytest.fixture
async def upstream(stub: StubUpstream) -> AsyncIterator[HubUpstream]:
    made = HubUpstream(hf_token="hf_x", base_url=stub.base_url)
    yield made
    await made.close()


def listing(*models: ModelFacts) -> Listing:
    return Listing(good("address", "address_answers", address="a", count=1), {facts.id: facts for facts in models})


def answered(status: int, body: Any, **headers: str) -> Answer:
    return Answer(status, "application/json", headers, pieces=[json.dumps(body).encode()])


LISTS: dict[str, tuple[Answer, str, str]] = {
    "models": (answered(200, {"data": [{"id": MODEL}]}), "good", "address_answers"),
    "an empty list": (answered(200, {"data": []}), "good", "address_lists_nothing"),
    "no list": (answered(200, {"hello": 1}), "good", "address_lists_nothing"),
    "no such path": (answered(404, {"error": "x"}), "good", "address_lists_nothing"),
    "a page": (Answer(200, "text/html", pieces=[b"<html>"]), "good", "address_lists_nothing"),
}


@pytest.mark.parametrize(("answer", "status", "reason"), LISTS.values(), ids=LISTS)
async def test_an_address_that_answers_is_good_whatever_it_lists(
    stub: StubUpstream, upstream: HubUpstream, answer: Answer, status: str, reason: str
) -> None:
    before, stub.listing = stub.listing, answer
    try:
        found = await ask_listing(upstream, stub.base_url)
    finally:
        stub.listing = before
    assert (found.address.status, found.address.reason) == (status, reason)
    assert stub.base_url in found.address.words("en").title


async def test_an_address_that_is_away_is_wrong() -> None:
    away = HubUpstream(hf_token=None, base_url="http://127.0.0.1:9/v1")
    found = await ask_listing(away, "http://127.0.0.1:9/v1")
    await away.close()
    assert found.address.status == "wrong"
    assert "HF_CHAT_BASE_URL" in found.address.words("es").fix


LISTED: dict[str, tuple[str, Listing, bool, str]] = {
    "live": (MODEL, listing(ModelFacts(MODEL, providers=("groq", "novita"))), True, "model_live"),
    "live, the fastest": (f"{MODEL}:fastest", listing(ModelFacts(MODEL, providers=("groq",))), True, "model_live"),
    "live at its provider": (f"{MODEL}:groq", listing(ModelFacts(MODEL, providers=("groq",))), True, "model_live"),
    "not at its provider": (
        f"{MODEL}:together",
        listing(ModelFacts(MODEL, providers=("groq",))),
        True,
        "model_provider_not_live",
    ),
    "nowhere live": (MODEL, listing(ModelFacts(MODEL)), True, "model_not_live"),
    "unknown": ("a/b", listing(ModelFacts(MODEL, providers=("groq",))), True, "model_unlisted"),
    "no list": (MODEL, Listing(good("address", "address_lists_nothing", address="a")), True, "model_list_unread"),
    "no list of another server": (
        MODEL,
        Listing(good("address", "address_lists_nothing", address="a")),
        False,
        "model_not_listed_here",
    ),
    "nobody there": (MODEL, Listing(wrong("address", "address_away", address="a")), False, "model_list_unread"),
    "another server's": ("llama3.2:latest", listing(ModelFacts("llama3.2:latest")), False, "model_listed"),
    "another server's, not in it": ("llama3.2", listing(ModelFacts("x")), False, "model_not_listed_here"),
}


@each_row(("model", "models", "routed", "reason"), LISTED.values(), ids=LISTED)
def test_a_model_is_looked_for_in_the_list(model: str, models: Listing, routed: bool, reason: str) -> None:
    answer = model_listed(model, models, routed=routed)
    assert answer.reason == reason
    ends = {
        "model_live": "good",
        "model_listed": "good",
        "model_not_listed_here": "unknown",
        "model_list_unread": "unknown",
    }
    assert answer.status == ends.get(reason, "wrong")
    assert model in answer.words("en").title


@pytest.mark.parametrize("model", ["org/a", "org/b"])
def test_each_model_is_asked_about_once(model: str) -> None:
    assert unique([model, "*", model]) == [model]


NOT_ENABLED = {
    "error": {"message": f"The requested model '{MODEL}' is not supported by any provider you have enabled."}
}
CALLS: dict[str, tuple[Answer, str, str]] = {
    "answered": (reply(["Hi"], headers={"x-inference-provider": "groq"}), "", "provider groq, which is enabled"),
    "answered by a server": (reply(["Hi"]), "", "It answered."),
    "not streamed": (answered(200, {"choices": [{"message": {"content": "Hi"}}]}), "", "It answered."),
    "none enabled": (
        answered(400, NOT_ENABLED),
        "hf.co/settings/inference-providers",
        "(groq, novita), none is enabled",
    ),
    "token wrong, 401": (answered(401, {"error": "Invalid username or password."}), "HUGGINGFACE_API_TOKEN", "sign in"),
    "token wrong, 400": (
        answered(400, {"error": "Authorization header is invalid"}),
        "HUGGINGFACE_API_TOKEN",
        "sign in",
    ),
    "no permission, 403": (
        answered(
            403,
            {"error": "This authentication method does not have sufficient permissions to call Inference Providers"},
        ),
        "inference.serverless.write",
        "not permitted",
    ),
    "no permission, 400": (
        answered(400, {"error": "token lacks the permission inference.serverless.write"}),
        "Make calls to Inference Providers",
        "not permitted",
    ),
    "no credit": (answered(402, {"error": "You have depleted your monthly included credits."}), "billing", "no credit"),
    "loading": (answered(503, {"error": "Model is currently loading", "estimated_time": 7}), "7 seconds", "loading"),
    "retired": (
        answered(410, {"error": "api-inference.huggingface.co is no longer supported"}),
        "HF_CHAT_BASE_URL",
        "",
    ),
    "limited": (answered(429, {"error": "rate limit"}), "HF_CHAT_FALLBACK_MODELS", "limiting"),
    "gated": (answered(403, {"error": "Access to this gated model is restricted"}), f"huggingface.co/{MODEL}", "gated"),
    "a page": (Answer(200, "text/html", pieces=[b"<html>"]), "/v1", "no readable reply"),
}


@pytest.mark.parametrize(("answer", "fix", "says"), CALLS.values(), ids=CALLS)
async def test_a_call_of_one_token_says_what_is_wrong_and_what_to_do(
    stub: StubUpstream, upstream: HubUpstream, answer: Answer, fix: str, says: str
) -> None:
    stub.answer = lambda _: answer
    models: asyncio.Future[Listing] = asyncio.get_running_loop().create_future()
    models.set_result(listing(ModelFacts(MODEL, providers=("groq", "novita"))))
    found = await ask_model(upstream, f"{MODEL}:fastest", models)
    words = found.words("en")
    assert (found.status == "good") == (fix == "")
    assert says in words.says
    assert fix in words.fix
    assert [(sent["max_tokens"], sent["model"]) for sent in stub.requests] == [(1, f"{MODEL}:fastest")]


async def test_a_call_that_is_not_answered_ends(stub: StubUpstream, upstream: HubUpstream) -> None:
    stub.answer = lambda _: Answer(ending="hang")
    found = await ask_model(upstream, MODEL, asyncio.Future(), timeout_s=0.05)
    assert found.status == "wrong"
    assert "HF_CHAT_TIMEOUT_S" in found.words("en").fix
