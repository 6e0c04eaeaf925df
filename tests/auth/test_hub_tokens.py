"""Hugging Face tokens of people: renewed once however many ask, by one process, and forgotten when they are told to be."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hfchat.auth.hub_tokens import KEPT_S, HubTokens
from hfchat.auth.id_token import ProviderError
from hfchat.auth.openid import OpenIdProvider, ProviderTokens
from hfchat.auth.sign_in_attempt import Attempt
from hfchat.errors import HfTokenInvalid, UpstreamUnavailable
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import open_store
from hfchat.types import Caller, HubAccount, Policy
from tests.conftest import KEY
from tests.support.openid_provider import OpenIdProvider as Stub
from tests.support.openid_provider import openid_provider

pytestmark = pytest.mark.anyio

CALLER = Caller("hf:1", "s1", 2**40, Policy("m", None), account=HubAccount("alice"))
TOKEN_PATH = "/oauth/token"


@pytest.fixture(scope="module")
def module_stub() -> Iterator[Stub]:
    with openid_provider() as stub:
        yield stub


@pytest.fixture
def stub(module_stub: Stub) -> Stub:
    module_stub.reset()
    module_stub.refresh["r1"] = {"scope": "openid inference-api"}
    return module_stub


def client(stub: Stub, timeout_s: float = 10) -> OpenIdProvider:
    return OpenIdProvider(stub.url, "me", scopes=("openid",), redirect_uri="https://x/", timeout_s=timeout_s)


@pytest.fixture
async def provider(stub: Stub) -> AsyncIterator[OpenIdProvider]:
    opened = client(stub)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = Ledger(open_store(f"sqlite:///{tmp_path}/ledger.db"))
    yield opened
    await opened.close()


@pytest.fixture
def tokens(provider: OpenIdProvider, ledger: Ledger) -> HubTokens:
    return HubTokens(provider, ledger, KEY)


def given(ends_in_s: float = 3600, refresh: str | None = "r1") -> ProviderTokens:
    return ProviderTokens("a1", refresh, time.time() + ends_in_s, frozenset({"inference-api"}))


async def test_a_token_that_is_good_is_given_as_it_is(tokens: HubTokens, stub: Stub) -> None:
    await tokens.store("s1", given())
    assert await tokens.hf_token(CALLER) == "a1"
    assert stub.asked == []
    assert "a1" not in repr(given())


async def test_one_that_ends_is_renewed_once_for_all_who_ask(tokens: HubTokens, stub: Stub) -> None:
    await tokens.store("s1", given(-1))
    renewed = await asyncio.gather(*(tokens.hf_token(CALLER) for _ in range(20)))
    assert set(renewed) == {stub.tokens[0]}
    assert stub.asked.count(TOKEN_PATH) == 1
    assert await tokens.hf_token(CALLER) == stub.tokens[0]
    assert stub.asked.count(TOKEN_PATH) == 1


async def test_two_processes_renew_it_once(provider: OpenIdProvider, stub: Stub, tmp_path: Path) -> None:
    ledgers = [Ledger(open_store(f"sqlite:///{tmp_path}/shared.db")) for _ in range(2)]
    processes = [HubTokens(provider, ledger, KEY) for ledger in ledgers]
    await processes[0].store("s1", given(-1))
    renewed = await asyncio.gather(*(tokens.hf_token(CALLER) for tokens in processes for _ in range(3)))
    assert set(renewed) == {stub.tokens[0]}
    assert stub.asked.count(TOKEN_PATH) == 1
    for ledger in ledgers:
        await ledger.close()


async def test_the_renewed_refresh_token_is_used_next(tokens: HubTokens, stub: Stub) -> None:
    stub.lifetime_s = 0
    await tokens.store("s1", given(-1))
    assert [await tokens.hf_token(CALLER) for _ in range(3)] == stub.tokens[::2]


async def test_who_leaves_does_not_lose_the_renewed_token(tokens: HubTokens, stub: Stub) -> None:
    await tokens.store("s1", given(-1))
    leaving = asyncio.create_task(tokens.hf_token(CALLER))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await tokens.hf_token(CALLER) == stub.tokens[0]
    assert stub.asked.count(TOKEN_PATH) == 1


REFUSED = {"refused": "r0", "none": None}


@pytest.mark.parametrize("refresh_token", REFUSED.values(), ids=REFUSED)
async def test_where_it_cannot_be_renewed_the_person_signs_in_again(
    tokens: HubTokens, refresh_token: str | None
) -> None:
    await tokens.store("s1", given(-1, refresh_token))
    for _ in range(2):
        with pytest.raises(HfTokenInvalid) as failed:
            await tokens.hf_token(CALLER)
        assert (failed.value.status, failed.value.fault, failed.value.own_account) == (401, "caller", True)


async def test_each_who_waits_gets_an_error_of_their_own(tokens: HubTokens) -> None:
    await tokens.store("s1", given(-1, "r0"))
    errors = await asyncio.gather(*(tokens.hf_token(CALLER) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in errors] == [HfTokenInvalid] * 3
    assert len({id(error) for error in errors}) == 3


async def test_while_the_provider_is_away_the_token_is_used_to_its_end(tokens: HubTokens, stub: Stub) -> None:
    stub.faults[TOKEN_PATH] = (503, {}, b"")
    await tokens.store("s1", given(60))
    assert await tokens.hf_token(CALLER) == "a1"
    await tokens.store("s1", given(-1))
    with pytest.raises(UpstreamUnavailable):
        await tokens.hf_token(CALLER)
    stub.faults.clear()
    assert await tokens.hf_token(CALLER) == stub.tokens[0]


async def test_what_is_forgotten_is_gone_and_of_nobody_else(tokens: HubTokens) -> None:
    await tokens.store("s1", given())
    await tokens.store("s2", given())
    await tokens.forget("s1")
    with pytest.raises(HfTokenInvalid):
        await tokens.hf_token(CALLER)
    assert await tokens.hf_token(replace(CALLER, token_id="s2")) == "a1"


async def test_what_is_forgotten_while_it_is_renewed_stays_gone(tokens: HubTokens, stub: Stub) -> None:
    loop = asyncio.get_running_loop()

    def forget_first(reply: dict[str, Any]) -> dict[str, Any]:
        asyncio.run_coroutine_threadsafe(tokens.forget("s1"), loop).result(60)
        return reply

    await tokens.store("s1", given(-1))
    stub.reply = forget_first
    for _ in range(2):
        with pytest.raises(HfTokenInvalid):
            await tokens.hf_token(CALLER)
    assert stub.asked.count(TOKEN_PATH) == 1


async def test_what_is_signed_out_of_just_before_it_is_stored_stays_gone(tokens: HubTokens, ledger: Ledger) -> None:
    await tokens.store("s1", given(-1))
    store_record = ledger.store_record

    async def sign_out_and_store(name: str, content: bytes, *, until: float) -> None:
        await ledger.revoke("s1", until)
        await tokens.forget("s1")
        await store_record(name, content, until=until)

    ledger.store_record = sign_out_and_store  # type: ignore[method-assign]
    with pytest.raises(HfTokenInvalid):
        await tokens.hf_token(CALLER)
    assert await ledger.read_record("hub:s1") is None


async def test_renewing_does_not_keep_them_longer(provider: OpenIdProvider, stub: Stub, ledger: Ledger) -> None:
    now = time.time()
    tokens = HubTokens(provider, ledger, KEY, clock=lambda: now)
    stub.lifetime_s = 0
    await tokens.store("s1", given(-1))
    written: list[float] = []
    store_record = ledger.store_record

    async def store_and_note(name: str, content: bytes, *, until: float) -> None:
        written.append(until)
        await store_record(name, content, until=until)

    ledger.store_record = store_and_note  # type: ignore[method-assign]
    signed_in = now
    for _ in range(3):
        now += 86_400
        await tokens.hf_token(CALLER)
    assert written == [signed_in + KEPT_S] * 3


async def test_another_key_reads_nothing(tokens: HubTokens, provider: OpenIdProvider, ledger: Ledger) -> None:
    await tokens.store("s1", given())
    with pytest.raises(HfTokenInvalid):
        await HubTokens(provider, ledger, KEY[::-1]).hf_token(CALLER)
    sealed = await ledger.read_record("hub:s1")
    assert sealed
    assert b"a1" not in sealed
    await ledger.store_record("hub:s2", sealed, until=time.time() + 60)
    with pytest.raises(HfTokenInvalid):
        await tokens.hf_token(replace(CALLER, token_id="s2"))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", TOKEN_PATH])
async def test_an_answer_that_never_comes_is_not_waited_for(stub: Stub, path: str) -> None:
    stub.faults[path] = "hang"
    impatient = client(stub, timeout_s=0.05)
    with pytest.raises(ProviderError, match="TimeoutError"):
        await impatient.exchange("code", Attempt.begin(time.time()))
    await impatient.close()


async def test_a_provider_that_is_away_is_asked_now_and_then_only(stub: Stub) -> None:
    stub.faults["/.well-known/openid-configuration"] = (503, {}, b"")
    provider = client(stub)
    failed = await asyncio.gather(*(provider.endpoints() for _ in range(20)), return_exceptions=True)
    assert [type(error) for error in failed] == [ProviderError] * 20
    assert len(stub.asked) == 1
    await provider.close()


async def test_known_addresses_outlast_an_outage(stub: Stub) -> None:
    now = 0.0
    provider = OpenIdProvider(stub.url, "me", scopes=(), redirect_uri="https://x/", clock=lambda: now)
    known = await provider.endpoints()
    stub.faults["/.well-known/openid-configuration"] = (503, {}, b"")
    now = 7200.0
    assert await provider.endpoints() == known
    assert len(stub.asked) == 2
    await provider.close()
