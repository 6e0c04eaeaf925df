"""The whole check: which questions are asked, in which order, what they cost, and that no secret is in an answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfchat.check.answer import Answer as Found
from hfchat.check.check import asks_hugging_face, check, settings_refused
from hfchat.config.settings import Settings, SettingsError, load_settings
from hfchat.i18n.language import LANGUAGES
from hfchat.i18n.sentences import read
from tests.conftest import KEY, RunningApp, free_port, make_settings
from tests.support.rows import each_row
from tests.support.stub_hub import HF_TOKEN, StubHub, whoami
from tests.support.stub_upstream import Answer, StubUpstream, reply

pytestmark = pytest.mark.anyio
MODEL = "meta-llama/Llama-3.2-3B-Instruct"
HUGGING_FACE = ["hf_token", "permission", "credit"]
MACHINE = ["key", "clock", "store", "port"]


@pytest.fixture
def hub() -> Iterator[StubHub]:
    with StubHub() as found:
        yield found


@pytest.fixture
def router(stub: StubUpstream) -> Iterator[StubUpstream]:
    before = stub.listing
    providers = [{"provider": "groq", "status": "live"}, {"provider": "novita", "status": "error"}]
    body = json.dumps({"data": [{"id": MODEL, "providers": providers}]}).encode()
    stub.listing = Answer(200, "application/json", pieces=[body])
    stub.answer = lambda _: reply(["Hi"], headers={"x-inference-provider": "groq"})
    yield stub
    stub.listing = before


def settings_for(router: StubUpstream, **variables: str) -> Settings:
    return make_settings(
        HF_CHAT_BASE_URL=router.base_url,
        GRADIO_SERVER_PORT=str(free_port()),
        **{"HUGGINGFACE_API_TOKEN": HF_TOKEN, **variables},
    )


def questions(answers: list[Found]) -> list[str]:
    return [answer.question for answer in answers]


def wrong(answers: list[Found]) -> list[str]:
    return [answer.reason for answer in answers if answer.status == "wrong"]


async def test_a_good_installation_costs_one_question_of_each_kind_and_one_token(
    hub: StubHub, router: StubUpstream
) -> None:
    found = await check(settings_for(router), hub_url=hub.url)
    assert questions(found) == ["settings", *HUGGING_FACE, "address", "model", "call", *MACHINE]
    assert [answer for answer in found if answer.status != "good"] == []
    assert sorted(hub.calls) == ["GET /api/settings/billing/usage-v2", "GET /api/whoami-v2"]
    assert [sent["max_tokens"] for sent in router.requests] == [1]


async def test_no_answer_has_a_secret(hub: StubHub, router: StubUpstream) -> None:
    for status, body in ((200, whoami()), (401, {"error": f"no such token: {HF_TOKEN}"})):
        hub.answers["GET /api/whoami-v2"] = (status, body)
        router.answer = lambda _: Answer(401, "application/json", pieces=[b'{"error": "Invalid credentials"}'])
        found = await check(settings_for(router, HFCHAT_PUBLIC_URL=hub.url), hub_url=hub.url)
        text = f"{found}" + "".join(f"{answer.words(language)}" for answer in found for language in LANGUAGES)
        assert HF_TOKEN not in text
        assert KEY not in text


async def test_each_model_is_looked_up_and_only_the_default_is_called(hub: StubHub, router: StubUpstream) -> None:
    settings = settings_for(
        router, HF_CHAT_MODEL=f"{MODEL}:groq", HF_CHAT_MODELS=f"{MODEL}:novita, a/b", HF_CHAT_FALLBACK_MODELS="a/b"
    )
    found = await check(settings, hub_url=hub.url)
    models = [(answer.params["model"], answer.reason) for answer in found if answer.question == "model"]
    assert models == [
        (f"{MODEL}:groq", "model_live"),
        (f"{MODEL}:novita", "model_provider_not_live"),
        ("a/b", "model_unlisted"),
    ]
    assert len(router.requests) == 1


async def test_another_server_is_asked_nothing_of_hugging_face(hub: StubHub, router: StubUpstream) -> None:
    settings = make_settings(HF_CHAT_BASE_URL=router.base_url, GRADIO_SERVER_PORT=str(free_port()))
    found = await check(settings, hub_url=hub.url)
    assert questions(found) == ["settings", "address", "model", "call", *MACHINE]
    assert hub.calls == []


async def test_without_a_token_the_rest_is_asked_all_the_same(hub: StubHub, router: StubUpstream) -> None:
    settings = make_settings(GRADIO_SERVER_PORT=str(free_port()), HFCHAT_STORE="sqlite:///none/ledger.db")
    found = await check(settings, hub_url=hub.url, router_url=router.base_url)
    assert questions(found) == ["settings", "hf_token", "address", "model", "call", *MACHINE[:-1], "sqlite", "port"]
    assert wrong(found) == ["hf_token_missing"]
    assert hub.calls == []
    assert router.requests == []


@pytest.mark.parametrize("status", [301, 410])
async def test_an_address_that_is_retired_or_leads_elsewhere_is_wrong(
    hub: StubHub, router: StubUpstream, status: int
) -> None:
    gone = Answer(status, "application/json", {"location": "https://example.org/"}, pieces=[b'{"error": "gone"}'])
    router.listing, router.answer = gone, lambda _: gone
    found = await check(settings_for(router), hub_url=hub.url)
    no = {answer.question: answer.words("en").fix for answer in found if answer.status == "wrong"}
    assert no.keys() == {"address", "call"}
    assert all("HF_CHAT_BASE_URL" in fix for fix in no.values())


async def test_a_public_address_is_asked_too(hub: StubHub, router: StubUpstream, offline_app: RunningApp) -> None:
    found = await check(settings_for(router, HFCHAT_PUBLIC_URL=offline_app.url), hub_url=hub.url)
    assert questions(found)[-3:] == ["public_url", "host_header", "streaming"]
    assert wrong(found) == []


async def test_where_nothing_answers_everything_is_said_within_seconds() -> None:
    away = "http://127.0.0.1:9"
    settings = make_settings(
        HF_CHAT_BASE_URL=f"{away}/v1",
        HUGGINGFACE_API_TOKEN=HF_TOKEN,
        HFCHAT_PUBLIC_URL=away,
        HFCHAT_STORE="redis://127.0.0.1:9/0",
        GRADIO_SERVER_PORT=str(free_port()),
    )
    found = await check(settings, hub_url=away)
    assert [(answer.question, answer.status) for answer in found] == [
        ("settings", "good"),
        ("hf_token", "unknown"),
        ("credit", "unknown"),
        ("address", "wrong"),
        ("model", "unknown"),
        ("call", "wrong"),
        ("key", "good"),
        ("clock", "unknown"),
        ("store", "wrong"),
        ("port", "good"),
        ("public_url", "wrong"),
    ]


ASKED = {
    "the router": ({}, True),
    "the router, with a token": ({"HUGGINGFACE_API_TOKEN": HF_TOKEN}, True),
    "Ollama": ({"HF_CHAT_BASE_URL": "http://127.0.0.1:11434/v1"}, False),
    "a server with a key of its own": (
        {"HF_CHAT_BASE_URL": "https://api.example.org/v1", "HUGGINGFACE_API_TOKEN": "sk-QmVub2l0TGVz"},
        False,
    ),
    "an address that takes the token": (
        {"HF_CHAT_BASE_URL": "https://router.example.org/v1", "HUGGINGFACE_API_TOKEN": HF_TOKEN},
        True,
    ),
    "an Inference Endpoint": (
        {"HF_CHAT_BASE_URL": "https://x.us-east-1.aws.endpoints.huggingface.cloud/v1", "HUGGINGFACE_API_TOKEN": HF_TOKEN},
        False,
    ),
}  # fmt: skip


@each_row(("variables", "asked"), ASKED.values(), ids=ASKED)
def test_hugging_face_is_asked_where_it_answers_the_calls(variables: dict[str, str], asked: bool) -> None:
    assert asks_hugging_face(load_settings(variables)) is asked


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "the retired address": ({"HF_CHAT_BASE_URL": "https://api-inference.huggingface.co/v1"}, "retired"),
    "a weak key": ({"JWT_SECRET": "short"}, "32 or more"),
    "a sample key": ({"JWT_SECRET": "change-me-change-me-change-me-change-me"}, "looks like a sample"),
    "a misspelt name": ({"HFCHAT_RAET": "1/minute"}, "did you mean HFCHAT_RATE"),
}


@pytest.mark.parametrize(("variables", "says"), REFUSED.values(), ids=REFUSED)
def test_settings_that_do_not_start_are_answers_too(variables: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(variables)
    (answer,) = settings_refused(refused.value)
    assert answer.status == "wrong"
    for language in LANGUAGES:
        assert says in answer.words(language).says


def test_every_sentence_is_said_somewhere() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (Path(__file__).parents[2] / "hfchat/check").glob("*.py"))
    reasons = {reason for reason in read("en")["check"]["answers"] if f'"{reason}"' not in sources}
    assert reasons == {"hf_token_of_free", "hf_token_of_pro"}  # written with the plan
