"""Where calls go, and with whose token: what the hub client says, kept for the owner's calls only."""

import pytest

from hfchat.errors import InvalidRequest
from hfchat.upstream import destination
from hfchat.upstream.destination import Destinations

pytestmark = pytest.mark.anyio


async def test_the_hub_client_says_where_a_call_goes_and_who_pays() -> None:
    url, headers = await Destinations(hf_token="hf_owner", base_url=None, bill_to="acme").of("org/model:fastest")
    assert url == "https://router.huggingface.co/v1/chat/completions"
    assert headers["authorization"] == "Bearer hf_owner"
    assert headers["x-hf-bill-to"] == "acme"
    url, headers = await Destinations(hf_token=None, base_url="http://127.0.0.1:1/v1", bill_to=None).of("model")
    assert (url, "authorization" in headers) == ("http://127.0.0.1:1/v1/chat/completions", False)


async def test_a_callers_own_token_is_sent_without_the_owners_and_not_kept() -> None:
    destinations = Destinations(hf_token="hf_owner", base_url=None, bill_to="acme")
    owners = await destinations.of("org/model")
    for own_token in ("hf_first", "hf_second"):
        _, headers = await destinations.of("org/model", own_token)
        assert (headers["authorization"], "x-hf-bill-to" in headers) == (f"Bearer {own_token}", False)
    assert await destinations.of("org/model") is owners
    assert owners[1]["authorization"] == "Bearer hf_owner"


async def test_many_names_of_models_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "MAX_REMEMBERED", 3)
    destinations = Destinations(hf_token="hf_owner", base_url=None, bill_to=None)
    for n in range(10):
        assert (await destinations.of(f"org/model-{n}"))[0].endswith("/chat/completions")
        assert len(destinations._remembered) <= 3


@pytest.mark.parametrize("own_token", [None, "hf_own"])
async def test_a_model_that_is_an_address_gets_no_token(own_token: str | None) -> None:
    destinations = Destinations(hf_token="hf_owner", base_url=None, bill_to=None)
    with pytest.raises(InvalidRequest):
        await destinations.of("https://elsewhere.example/v1", own_token)
